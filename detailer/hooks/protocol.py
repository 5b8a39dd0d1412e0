"""A detailer hook of whatever pack, as the engine calls it: what it lacks changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch

from ...core import SEGS, Size
from ..host.answers import NonsenseError
from ..host.custom_sampling import NOTHING_CUSTOM, CustomSampling
from ..host.protocols import Sampler
from ..values import KSampleCall, Latent
from .events import EVENTS, ActsOn

_Region = TypeVar("_Region")


@dataclass(frozen=True)
class Hook:
    """An object (or None) that speaks the protocol, or part of it; ``DetailerHook`` has all of it.

    Objects of other packs come as they are: a method that is missing means "no change", and nothing is ever tested for
    its type.
    """

    hook: object = None

    def answers(self, event: str) -> bool:
        """Whether it may do something there. Ours know; of other packs' whoever has the method is believed to."""
        knows = getattr(self.hook, "answers_event", None)
        return self._has(event) if knows is None else knows(event)

    def _has(self, method: str) -> bool:
        return getattr(self.hook, method, None) is not None

    def miscounted(self, pictures: int, wanted: int) -> NonsenseError:
        """What is raised where as many pictures as it was given don't come out of all its methods."""
        return NonsenseError(
            f"the detailer hook {type(self.hook).__name__} leaves {pictures} picture(s) where {wanted} went in. "
            "Look for a newer version of its pack, or take that hook off"
        )

    @property
    def crop_methods(self) -> tuple[str, ...]:
        """The methods for which crops must go one after another. Other packs' hooks may do anything in theirs."""
        return tuple(name for name, event in EVENTS.items() if event.one_at_a_time and self.answers(name))

    def fingerprint(self) -> object:
        """What the hook promises by: with the same of it, the same crop comes out the same, whatever came before.

        Returns:
            any value of plain data, tensors and what can be looked into; None where it promises nothing. A hook that
            neither acts on crops on their way nor judges them needs no promise: ``()``.
        """
        changing = (name for name, event in EVENTS.items() if event.acts_on in (ActsOn.CROP, ActsOn.SAMPLING))
        if not self.judges and not any(map(self.answers, changing)):
            return ()
        promise = getattr(self.hook, "fingerprint", None)
        said = promise() if callable(promise) else None
        return None if said is None else (self.name, type(self.hook).__module__, said)

    @property
    def name(self) -> str:
        """Its class's."""
        return type(self.hook).__name__

    @property
    def judges(self) -> bool:
        """Whether it says of finished crops that they are to be made again."""
        return self.answers("should_retry_patch")

    def set_steps(self, cycle: int, cycles: int) -> None:
        EVENTS["set_steps"].ask(self.hook, (cycle, cycles))

    def touch_scaled_size(self, size: Size) -> Size:
        width, height = EVENTS["touch_scaled_size"].ask(self.hook, size.width, size.height)
        return Size(int(height), int(width))

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """``mask``: the noise mask at crop resolution. Hooks of older packs take the picture alone."""
        return EVENTS["post_upscale"].ask(self.hook, pixels, mask)

    def post_encode(self, latent: Latent) -> Latent:
        return EVENTS["post_encode"].ask(self.hook, latent)

    def cycle_latent(self, latent: Latent) -> Latent:
        return EVENTS["cycle_latent"].ask(self.hook, latent)

    def pre_decode(self, latent: Latent) -> Latent:
        return EVENTS["pre_decode"].ask(self.hook, latent)

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return EVENTS["post_decode"].ask(self.hook, pixels)

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        """The hook may keep the picture it sees or gives: it never sees ``image`` itself, which is worked on."""
        return EVENTS["post_paste"].ask(self.hook, image.clone()) if self._has("post_paste") else image

    def pre_ksample(self, call: KSampleCall) -> KSampleCall:
        return KSampleCall._make(EVENTS["pre_ksample"].ask(self.hook, *call)) if self._has("pre_ksample") else call

    def custom_noise(self, seed: int, like: torch.Tensor) -> torch.Tensor | None:
        """The hook's own noise of ``like``'s shape, None where it makes none."""
        if not self._has("get_custom_noise"):
            return None
        zeros = torch.zeros_like(like, device="cpu")
        noise, touched = EVENTS["get_custom_noise"].ask(self.hook, seed, zeros, False)
        return noise if touched else None

    def post_crop_region(self, size: Size, bbox: object, crop_region: _Region) -> _Region:
        """``size``: the whole picture's."""
        return EVENTS["post_crop_region"].ask(self.hook, size.width, size.height, bbox, crop_region)

    def post_detection(self, segs: SEGS) -> SEGS:
        return EVENTS["post_detection"].ask(self.hook, segs)

    def asks(self, question: str, image: torch.Tensor) -> bool:
        """The answer to ``should_retry_patch`` or ``should_skip_by_cnet_image``; no where the hook hasn't got it."""
        return EVENTS[question].ask(self.hook, image)

    def points_of(self, before: torch.Tensor, candidate: torch.Tensor, mask: torch.Tensor) -> float:
        """What it has against a candidate."""
        return EVENTS["judge_candidate"].ask(self.hook, before, candidate, mask)

    def custom_sampling(self) -> CustomSampling:
        """What stands for the node's sampler, noise levels and guider."""
        return EVENTS["get_custom_sampling"].ask(self.hook, NOTHING_CUSTOM)

    def custom_sampler(self) -> Sampler | None:
        return EVENTS["get_custom_sampler"].ask(self.hook)

    def skips_sampling(self) -> bool:
        return EVENTS["get_skip_sampling"].ask(self.hook)
