"""What a detailer hook is asked, when, and what becomes of the answers of several: one table.

Calling hooks, chaining them, which of them must see one crop at a time and the table of the documentation come from it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, cast

import torch

from ...core import SEGS
from ..host.answers import NonsenseError, is_number, told
from ..host.custom_sampling import CustomSampling
from ..host.protocols import Sampler
from ..values import Conditioning, KSampleCall, Latent
from .checks import CHECKS

Box = Sequence[int]  # x1, y1, x2, y2
_Method = TypeVar("_Method", bound=Callable[..., object])


class ActsOn(Enum):
    """What an answer can change, in the documentation's words."""

    DETECTION = "what is found"
    SAMPLING = "how all crops are sampled"
    CROP = "a crop on its way"
    VERDICT = "whether it is good"
    PICTURE = "the whole picture"
    NOTHING = "nothing"


# --- how several answers become one -------------------------------------------------------------------------------


class Told:
    """Every hook is told, and none answers.

    Attributes:
        words, gives: how several answers become one, and what one is, for the documentation.
    """

    words = "every hook is told"

    @property
    def gives(self) -> str:
        return "nothing"

    def unanswered(self, event: Event, arguments: Sequence[object]) -> object:
        """What stands for the answer of a hook that lacks the method."""
        return None

    def read(self, event: Event, hook: object, answer: object) -> object:
        """A hook's answer in the form that is looked at."""
        return answer

    def settled(self, answer: object) -> object:
        """An answer that is found good, in the form that is gone on with."""
        return answer

    def joined(self, event: Event, hooks: Iterable[object], arguments: Sequence[object]) -> object:
        """The one answer of several hooks, the first of them asked first."""
        for hook in hooks:
            event.ask(hook, *arguments)
        return None


class First(Told):
    """The first answer that is not None."""

    words = "the first answer that is not None; those after it are not asked"

    @property
    def gives(self) -> str:
        return "something or None"

    def joined(self, event: Event, hooks: Iterable[object], arguments: Sequence[object]) -> object:
        answers = (event.ask(hook, *arguments) for hook in hooks)
        return next((answer for answer in answers if answer is not None), None)


@dataclass(frozen=True)
class Vote(Told):
    """Yes or no, as ``count`` (``any`` or ``all``) says; a hook that lacks the method says no."""

    count: Callable[[Iterable[object]], bool]
    words: str

    @property
    def gives(self) -> str:
        return "yes or no"

    def unanswered(self, event: Event, arguments: Sequence[object]) -> object:
        return False

    def read(self, event: Event, hook: object, answer: object) -> object:
        try:
            return bool(answer)
        except Exception as error:  # a tensor of several values
            raise event.nonsense(hook, told(answer), f"{self.gives} is wanted") from error

    def joined(self, event: Event, hooks: Iterable[object], arguments: Sequence[object]) -> object:
        return self.count(event.ask(hook, *arguments) for hook in hooks)


EITHER = Vote(any, "yes as soon as one says yes")
BOTH = Vote(all, "yes if all say yes")


class Added(Told):
    """Numbers; a hook that lacks the method gives 0."""

    words = "added together"

    @property
    def gives(self) -> str:
        return "a number"

    def unanswered(self, event: Event, arguments: Sequence[object]) -> object:
        return 0.0

    def read(self, event: Event, hook: object, answer: object) -> object:
        if not is_number(answer):
            raise event.nonsense(hook, told(answer), f"{self.gives} is wanted")
        return float(cast("float", answer))

    def joined(self, event: Event, hooks: Iterable[object], arguments: Sequence[object]) -> object:
        return sum(cast("float", event.ask(hook, *arguments)) for hook in hooks)


@dataclass(frozen=True)
class Chained(Told):
    """The answer takes the place of some arguments, and the next hook works on it.

    Attributes:
        passed: the names of these arguments; of several the answer is a tuple.
        whole: they are numbers, of which the whole part is taken.
    """

    passed: tuple[str, ...]
    whole: bool = False
    words = "each works on what the one before gives"

    @property
    def gives(self) -> str:
        return ", ".join(f"`{name}`" for name in self.passed) if len(self.passed) < 3 else "all of them"

    def unanswered(self, event: Event, arguments: Sequence[object]) -> object:
        values = tuple(arguments[event.place_of(name)] for name in self.passed)
        return values if len(self.passed) > 1 else values[0]

    def read(self, event: Event, hook: object, answer: object) -> object:
        if len(self.passed) == 1:
            return answer
        wanted = f"{len(self.passed)} are wanted: {', '.join(self.passed)}"
        if not isinstance(answer, Iterable) or isinstance(answer, str | Mapping):
            raise event.nonsense(hook, told(answer), wanted)
        values = tuple(answer)
        if len(values) != len(self.passed):
            raise event.nonsense(hook, f"{len(values)} values", wanted)
        return values

    def settled(self, answer: object) -> object:
        return tuple(map(int, cast("Iterable[float]", answer))) if self.whole else answer

    def joined(self, event: Event, hooks: Iterable[object], arguments: Sequence[object]) -> object:
        now = list(arguments)
        for hook in hooks:
            answer = event.ask(hook, *now)
            values = answer if len(self.passed) > 1 else (answer,)
            for name, value in zip(self.passed, values, strict=True):
                now[event.place_of(name)] = value
        return self.unanswered(event, now)


# --- the table ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """One of the methods that a hook may have.

    Attributes:
        parameters: its arguments. Hooks of older packs may lack those that have a default.
        by_name: those of them that are passed by their names.
        when: in words, for the documentation.
    """

    name: str
    parameters: tuple[inspect.Parameter, ...]
    when: str
    acts_on: ActsOn
    rule: Told
    by_name: tuple[str, ...] = ()

    def nonsense(self, hook: object, found: str, wanted: str) -> NonsenseError:
        """What is raised for an answer that can't be gone on with."""
        return NonsenseError(
            f"the detailer hook {type(hook).__name__} gives {found} in {self.name}, where {wanted}. "
            "Look for a newer version of its pack, or take that hook off"
        )

    @property
    def one_at_a_time(self) -> bool:
        """Whether a hook that answers has to see crops one after another."""
        return self.acts_on in (ActsOn.CROP, ActsOn.PICTURE)

    def place_of(self, argument: str) -> int:
        return [parameter.name for parameter in self.parameters].index(argument)

    def ask(self, hook: object, *arguments: object) -> Any:
        """One hook's answer, which is whatever it is; where it lacks the method, what comes of no hook at all."""
        function = getattr(hook, self.name, None)
        if function is None:
            return self.rule.unanswered(self, arguments)
        known = list(zip(self.parameters, arguments, strict=True))
        named = {of.name: value for of, value in known if of.name in self.by_name}
        given = [value for of, value in known if of.name not in self.by_name]
        optional = sum(of.default is not of.empty for of in self.parameters)
        if optional and not _takes(function, len(given)):
            given = given[:-optional]
        answer = self.rule.read(self, hook, function(*given, **named))
        check = CHECKS.get(self.name)
        fault = None if check is None else check(answer, *arguments)
        if fault is not None:
            found, wanted = fault
            raise self.nonsense(hook, found, f"{wanted} is wanted")
        return self.rule.settled(answer)

    def joined(self, hooks: Iterable[object], *arguments: object) -> Any:
        """The answer of several hooks as one."""
        return self.rule.joined(self, hooks, arguments)


def _takes(function: Callable[..., object], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):  # it takes fewer, or doesn't say
        return False
    return True


EVENTS: dict[str, Event] = {}  # in the order of the calls


def _event(when: str, acts_on: ActsOn, rule: Told, *by_name: str) -> Callable[[_Method], _Method]:
    """An entry of the table, of the method that it stands over; what that does is ``DetailerHook.at``'s to say."""

    def enter(declared: _Method) -> _Method:
        signature = inspect.signature(declared)
        _, *parameters = signature.parameters.values()
        event = Event(declared.__name__, tuple(parameters), when, acts_on, rule, by_name)
        EVENTS[event.name] = event

        @functools.wraps(declared)
        def method(self: DetailerHook, *given: object, **named: object) -> object:
            bound = signature.bind(self, *given, **named)
            bound.apply_defaults()
            return self.at(event, bound.args[1:])

        return cast("_Method", method)

    return enter


class DetailerHook:
    """A hook with every method, changing nothing: detailers of other packs call them without a look.

    Hooks of other packs may lack any of them. Pictures are ``[B,h,w,3]`` float32 0..1, sizes pixels.

    Attributes:
        cur_step, total_step: the cycle that runs, from 0, and how many there are; both 0 before the first.
    """

    cur_step = 0
    total_step = 0

    def answers_event(self, event: str) -> bool:
        """Whether it does anything there: it has a method of its own."""
        return getattr(type(self), event) is not getattr(DetailerHook, event)

    def fingerprint(self) -> object:
        """None: it doesn't promise that the same crop comes out of it the same, whatever came before. One that does
        gives all that its answers depend on.
        """
        return None

    def at(self, event: Event, arguments: Sequence[object]) -> object:
        """The answer to an event that it has no method of its own for."""
        if event.name == "set_steps":
            (steps,) = arguments
            self.cur_step, self.total_step = cast("tuple[int, int]", steps)
        return event.rule.unanswered(event, arguments)

    @_event("by the detector, for each find that is large enough", ActsOn.DETECTION, Chained(("crop_region",)))
    def post_crop_region(self, w: int, h: int, item_bbox: Box, crop_region: Box) -> Box:
        """``w``, ``h``: the whole picture's size."""
        ...

    @_event("by the detector, once all is found", ActsOn.DETECTION, Chained(("segs",)))
    def post_detection(self, segs: SEGS) -> SEGS: ...

    @_event("before the first crop: sampler, noise levels and guider", ActsOn.SAMPLING, Chained(("custom",)))
    def get_custom_sampling(self, custom: CustomSampling) -> CustomSampling:
        """Crops of one batch are sampled with it as each would be alone."""
        ...

    @_event("before a crop is enlarged: its size then", ActsOn.CROP, Chained(("w", "h"), whole=True))
    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]: ...

    @_event("when it is enlarged", ActsOn.CROP, Chained(("pixels",)))
    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """``mask``: the noise mask ``[1,h,w]`` at the crop's own size, None where all of it is sampled."""
        ...

    @_event("by detailers of other packs only: the ControlNet's hint", ActsOn.VERDICT, EITHER)
    def should_skip_by_cnet_image(self, cnet_image: torch.Tensor) -> bool: ...

    @_event("before it is encoded; yes: straight to `post_decode`", ActsOn.CROP, BOTH)
    def get_skip_sampling(self) -> bool: ...

    @_event("when it is encoded, its noise mask with it", ActsOn.CROP, Chained(("samples",)))
    def post_encode(self, samples: Latent) -> Latent: ...

    @_event("before the first cycle; None: the node's sampler", ActsOn.CROP, First())
    def get_custom_sampler(self) -> Sampler | None: ...

    @_event("at the start of each cycle: which, from 0, and how many", ActsOn.NOTHING, Told())
    def set_steps(self, info: tuple[int, int]) -> None: ...

    @_event("in each cycle, first of all: what the one before left", ActsOn.CROP, Chained(("latent",)))
    def cycle_latent(self, latent: Latent) -> Latent: ...

    @_event("in each cycle: how it is sampled, but for the latent", ActsOn.CROP, Chained(KSampleCall._fields))
    def pre_ksample(
        self,
        model: object,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Conditioning,
        negative: Conditioning,
        latent: Latent,
        denoise: float,
        /,
    ) -> tuple[object, ...]:
        """``latent``: the encoded crop in every cycle. Changes never add up: each cycle starts from the node's."""
        ...

    @_event("in each cycle: the noise it starts from", ActsOn.CROP, Chained(("noise", "is_touched")), "is_touched")
    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        """``is_touched``: whether the noise is anyone's own; where none is, it is the seed's."""
        ...

    @_event("after the last cycle", ActsOn.CROP, Chained(("samples",)))
    def pre_decode(self, samples: Latent) -> Latent: ...

    @_event("when it is decoded, before it is shrunk", ActsOn.CROP, Chained(("pixels",)))
    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor: ...

    @_event("by the auto retry node, when it is shrunk; yes: all again with the next seed", ActsOn.VERDICT, EITHER)
    def should_retry_patch(self, patch: torch.Tensor) -> bool: ...

    @_event("of each candidate of a part: what the best is chosen by, beside what is measured", ActsOn.VERDICT, Added())
    def judge_candidate(self, before: torch.Tensor, candidate: torch.Tensor, mask: torch.Tensor) -> float:
        """Points against it: below 0 for what is good, 1 for what is easily seen.

        ``before``, ``candidate``: ``[1,h,w,3]``, the crop as it was and as the picture would have it. ``mask``: the
        part's, ``[1,h,w]`` 0..1.
        """
        ...

    @_event("when it is pasted; the picture goes on as the hook gives it", ActsOn.PICTURE, Chained(("image",)))
    def post_paste(self, image: torch.Tensor) -> torch.Tensor: ...


def as_markdown() -> str:
    """The table for the documentation, a line an event."""
    head = ["method", "when", "gives", "acts on", "several hooks"]
    lines = [
        [_call(event), event.when, event.rule.gives, event.acts_on.value, event.rule.words] for event in EVENTS.values()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines)) + "\n"


def _call(event: Event) -> str:
    arguments = (of.name if of.default is of.empty else f"[{of.name}]" for of in event.parameters)
    return f"`{event.name}({', '.join(arguments)})`"
