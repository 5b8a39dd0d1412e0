"""What there is to see of functions and objects: the names that code uses, attributes, and where there is more."""

from __future__ import annotations

import functools
import struct
import sys
import types
from collections.abc import Iterator, Mapping

_LIBRARIES = ("site-packages", "dist-packages")
_HOST = {"comfy", "comfy_api", "comfy_api_nodes", "comfy_execution", "comfy_extras", "execution", "folder_paths",
         "latent_preview", "node_helpers", "nodes", "server"}  # fmt: skip
_OURS = __name__.partition(".detailer.")[0]
_WORD = struct.calcsize("P")  # bytes that an attribute takes


@functools.lru_cache(1024)
def is_library(module: str | None) -> bool:
    """Whether code is Python's, ComfyUI's, ours or an installed library's: it stays as it is while the process runs."""
    name = module or ""
    root = name.partition(".")[0]
    if root in _HOST or root in sys.stdlib_module_names or name == _OURS or name.startswith(f"{_OURS}."):
        return True
    if "comfy_extras" in name:  # ComfyUI loads these from their paths
        return True
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return any(folder in file for folder in _LIBRARIES)


def name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def attributes_of(value: object) -> dict[str, object]:
    """All that an object holds under a name."""
    held: dict[str, object] = dict(getattr(value, "__dict__", {}))
    held.update((name, getattr(value, name)) for name in _slots(type(value)) if hasattr(value, name))
    return held


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if private else name


def is_opaque(kind: type) -> bool:
    """Whether its objects hold more than Python sees: those of classes that are not written in it."""
    seen = sum(1 for _ in _slots(kind)) + (kind.__weakrefoffset__ > 0) + (kind.__dictoffset__ > 0)
    return kind.__basicsize__ > object.__basicsize__ + _WORD * seen or kind.__itemsize__ > 0


def is_own_method(value: object, owner: object, name: str) -> bool:
    """Whether it is what the class has there, as ComfyUI leaves it behind when it takes off what was in its place."""
    if not isinstance(value, types.MethodType) or value.__self__ is not owner:
        return False
    return value.__func__ is getattr(type(owner), name, None)


def content_of_cell(cell: types.CellType) -> object:
    """What a function has enclosed."""
    try:
        return cell.cell_contents
    except ValueError:  # it is empty yet
        return "empty"


def names_in(code: types.CodeType) -> Iterator[str]:
    """The names that a function's code uses, those of the functions in it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def used_by(function: types.FunctionType) -> dict[str, object]:
    """What a function uses of its module's names, and of those of other modules of its pack that it names."""
    known: Mapping[str, object] = function.__globals__
    names, used = set(names_in(function.__code__)), dict[str, object]()
    for name in sorted(names & known.keys()):
        value = used[name] = known[name]
        if isinstance(value, types.ModuleType) and not is_library(value.__name__):
            used[name] = value.__name__, {own: vars(value)[own] for own in sorted(names & vars(value).keys())}
    return used
