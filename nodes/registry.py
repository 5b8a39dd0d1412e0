"""What a node is: each states its id, its name and its place in the menu once, and is found here by its id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import signature
from typing import ClassVar, TypeVar, cast

from . import validate
from .door import Door
from .schema import InputTypes, Unread

# Where nodes stand in the browser's menu; saved workflows don't hold it, but tutorials name it.
PACK = "ImpactPack"
DEBUG = "ImpactPack/Debug"
DETAILER = "ImpactPack/Detailer"
DETECTOR = "ImpactPack/Detector"
HUGGING_FACE = "ImpactPack/HuggingFace"
LEGACY = "ImpactPack/Legacy"
LOGIC = "ImpactPack/Logic"
LOGIC_TEST = "ImpactPack/Logic/_for_test"
OPERATION = "ImpactPack/Operation"
PIPE = "ImpactPack/Pipe"
PROMPT = "ImpactPack/Prompt"
REGIONAL = "ImpactPack/Regional"
SAMPLER = "ImpactPack/Sampler"
SAMPLING = "ImpactPack/sampling"
SIMPLE = "ImpactPack/Simple"
TESTING = "ImpactPack/__for_testing"
UPSCALE = "ImpactPack/Upscale"
UTIL = "ImpactPack/Util"

NODES: dict[str, type[Node]] = {}
"""Every node by its id."""

Widgets = TypeVar("Widgets", bound=Mapping[str, object])


class Node:
    """A node of ComfyUI. ``class DetailerForEach(Node, name="Detailer (SEGS)", menu=DETAILER)`` is one.

    A class without a menu is what several nodes have in common, and no node.

    Attributes:
        ID: by which saved workflows know the node for ever: as a rule the name of its class.
        NAME: what its title bar says.
        CATEGORY: where it stands in the menu.
        DESCRIPTION: what it does, in a sentence or two.
        OWN: no other pack has a node of this id.
        checks_itself: its ``doit`` calls ``checked``; that of other nodes is given checked values.
        door: through which its inputs come.
    """

    ID: ClassVar[str]
    NAME: ClassVar[str]
    CATEGORY: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    OWN: ClassVar[bool] = False
    FUNCTION: ClassVar[str] = "doit"
    checks_itself: ClassVar[bool] = False
    door: ClassVar[Door]
    _needs: ClassVar[tuple[Callable[[], bool], ...]] = ()

    def __init_subclass__(
        cls,
        name: str | None = None,
        menu: str | None = None,
        own: bool = False,
        needs: Callable[[], bool] | None = None,
        node_id: str | None = None,
    ) -> None:
        """Make a class a node.

        Args:
            name: the id, where it is left out.
            menu: one of the places above.
            own: whether the id is ours alone.
            needs: tells whether the running ComfyUI has what the node is to be connected to.
            node_id: where no class can have its name.
        """
        super().__init_subclass__()
        if "doit" in vars(cls) and not cls.checks_itself:
            cls.doit = _with_checked_widgets(vars(cls)["doit"])  # type: ignore[attr-defined]
        if menu is not None:
            cls.ID = node_id or cls.__name__
            cls.NAME, cls.CATEGORY = name or cls.ID, menu
            cls.OWN, cls._needs = own, () if needs is None else (needs,)
            cls.door = Door(cls.ID)
            NODES[cls.ID] = cls

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        """The node's inputs, read anew each time: other packs add samplers, schedulers and files."""
        raise NotImplementedError

    @classmethod
    def is_offered(cls) -> bool:
        """Whether the running ComfyUI has what the node is to be connected to."""
        return all(is_there() for is_there in cls._needs)

    @classmethod
    def checked(cls, values: Widgets) -> Widgets:
        """The values that came in, each of a widget as its INPUT_TYPES say; see ``validate``."""
        return cast(Widgets, validate.checked(cls.ID, cls.INPUT_TYPES(), values, _checked_by(cls)))


class Detailer(Node):
    """A node that samples: nothing stands on the stack between it and the sampler that isn't needed there."""

    checks_itself = True


def in_order_of(modules: Iterable[str]) -> dict[str, type[Node]]:
    """The nodes of these modules, in the modules' order and as they are written down in each."""
    return {node_id: node for module in modules for node_id, node in NODES.items() if node.__module__ == module}


def _with_checked_widgets(doit: Callable[..., object]) -> Callable[..., object]:
    """The same, given only values that can be, and by name. Who gives some by place gives the inputs in their order."""

    @wraps(doit)
    def checking(self: Node, *args: object, **kwargs: object) -> object:
        if args:
            kwargs = _by_name(self.INPUT_TYPES(), args, kwargs)
        return doit(self, **self.checked(kwargs))

    return checking


def _by_name(types: InputTypes, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    names = [
        name
        for group in ("required", "optional", "hidden")
        for name, declared in types.get(group, {}).items()
        if not isinstance(declared[0], Unread)
    ]
    if len(args) > len(names):
        raise TypeError(f"it has {len(names)} inputs, {len(args)} values were given")
    given = dict(zip(names, args, strict=False))
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"more than one value was given for {', '.join(sorted(twice))}")
    return given | dict(kwargs)


def _checked_by(node: type[Node]) -> frozenset[str]:
    """The inputs whose texts a node checks itself, as ComfyUI reads it off too."""
    validates = getattr(node, "VALIDATE_INPUTS", None)
    return frozenset() if validates is None else frozenset(signature(validates).parameters)
