"""The detailer hook protocol: every method is called where a hook has it, and passes things through where it hasn't."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from ...core import SEGS, Size
from ..values import KSampleCall, Latent

# What a hook may do to one crop on its way: with any of these it wants to see one crop at a time.
CROP_METHODS = (
    "touch_scaled_size", "post_upscale", "post_encode", "cycle_latent", "pre_ksample", "get_custom_noise",
    "get_custom_sampler", "get_skip_sampling", "pre_decode", "post_decode", "post_paste",
)  # fmt: skip


@dataclass(frozen=True)
class Hook:
    """Any object (or None) that speaks the protocol, or part of it.

    Objects of other packs come as they are: a method that is missing means "no change", and nothing is ever tested for
    its type.
    """

    hook: Any = None

    @property
    def crop_methods(self) -> tuple[str, ...]:
        """The methods for which crops must go one after another. Other packs' hooks may do anything in theirs."""
        asked = getattr(self.hook, "crop_methods", None)
        if asked is not None:
            return asked()
        return tuple(method for method in CROP_METHODS if hasattr(self.hook, method))

    @property
    def judges(self) -> bool:
        """Whether it says of finished crops that they are to be made again."""
        return hasattr(self.hook, "should_retry_patch")

    def passed(self, method: str, value: Any, *others: Any) -> Any:
        """What the method makes of ``value``."""
        function = getattr(self.hook, method, None)
        return value if function is None else function(value, *others)

    def set_steps(self, cycle: int, cycles: int) -> None:
        function = getattr(self.hook, "set_steps", None)
        if function is not None:
            function((cycle, cycles))

    def touch_scaled_size(self, size: Size) -> Size:
        function = getattr(self.hook, "touch_scaled_size", None)
        if function is None:
            return size
        width, height = function(size.width, size.height)
        return Size(int(height), int(width))

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """``mask``: the noise mask at crop resolution. Hooks of older packs take the picture alone."""
        function = getattr(self.hook, "post_upscale", None)
        if function is None:
            return pixels
        return function(pixels, mask) if _takes_two(function) else function(pixels)

    def post_encode(self, latent: Latent) -> Latent:
        return self.passed("post_encode", latent)

    def cycle_latent(self, latent: Latent) -> Latent:
        return self.passed("cycle_latent", latent)

    def pre_decode(self, latent: Latent) -> Latent:
        return self.passed("pre_decode", latent)

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.passed("post_decode", pixels)

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        """The hook may keep the picture it sees or gives: it never sees ``image`` itself, which is worked on."""
        function = getattr(self.hook, "post_paste", None)
        return image if function is None else function(image.clone())

    def pre_ksample(self, call: KSampleCall) -> KSampleCall:
        function = getattr(self.hook, "pre_ksample", None)
        return call if function is None else KSampleCall(*function(*call))

    def custom_noise(self, seed: int, like: torch.Tensor) -> torch.Tensor | None:
        """The hook's own noise of ``like``'s shape, None where it makes none."""
        if getattr(self.hook, "get_custom_noise", None) is None:
            return None
        noise, touched = self.noise_over(seed, torch.zeros_like(like, device="cpu"), False)
        return noise if touched else None

    def noise_over(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        """The hook's noise, or the one that came in, and whether it is anyone's own."""
        function = getattr(self.hook, "get_custom_noise", None)
        return (noise, is_touched) if function is None else function(seed, noise, is_touched=is_touched)

    def post_crop_region(self, size: Size, bbox: Any, crop_region: Any) -> Any:
        """``size``: the whole picture's."""
        function = getattr(self.hook, "post_crop_region", None)
        return crop_region if function is None else function(size.width, size.height, bbox, crop_region)

    def post_detection(self, segs: SEGS) -> SEGS:
        return self.passed("post_detection", segs)

    def asks(self, question: str, image: torch.Tensor) -> bool:
        """The answer to ``should_retry_patch`` or ``should_skip_by_cnet_image``; no where the hook hasn't got it."""
        function = getattr(self.hook, question, None)
        return False if function is None else bool(function(image))

    def custom_sampler(self) -> Any:
        function = getattr(self.hook, "get_custom_sampler", None)
        return None if function is None else function()

    def skips_sampling(self) -> bool:
        function = getattr(self.hook, "get_skip_sampling", None)
        return False if function is None else bool(function())


def _takes_two(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):  # it takes one, or doesn't say
        return False
    return True
