"""UPSCALERs: one step of an iterative upscaling, from a latent to a larger one that is sampled."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...core import Size
from ...core.tables import chosen
from .. import host
from ..hooks.protocol import Hook
from ..host.progress import Progress
from ..host.protocols import ControlNet, Latent, Vae
from ..samplers.plain import KSampler, sample_two, sample_with, sampled
from .scaling import scaled
from .space import PixelSpace, clips_in, with_samples

logger = logging.getLogger("mask_detailer")

HINT_SHRINKS = 8  # a tile ControlNet is shown the picture without its finest detail


@dataclass(frozen=True)
class Step:
    """Which step it is, from 0, of how many; the picture's size then; and under which name the one before is kept.

    Attributes:
        prefix: "": it isn't kept.
    """

    index: int
    count: int
    size: Size
    prefix: str = ""


class Upscaler(ABC):
    """An UPSCALER, in the form that other packs' nodes run too.

    Attributes:
        space: how a latent is enlarged.
        is_tiled: the VAE goes in tiles where a node encodes or decodes for it.
    """

    is_tiled = False

    def __init__(self, space: PixelSpace) -> None:
        self.space = space

    @property
    def vae(self) -> Vae:
        return self.space.vae

    @property
    def tile_size(self) -> int:
        return self.space.tile or host.vae.TILE

    def upscale_shape(
        self, step_info: tuple[int, int], samples: Latent, w: float, h: float, save_temp_prefix: str | None = None
    ) -> Latent:
        """One step to a picture of ``w`` x ``h`` pixels."""
        step = Step(*step_info, Size(int(h), int(w)), save_temp_prefix or "")
        return self.upscale_along(step, samples, Progress.of_node())

    def upscale(
        self, step_info: tuple[int, int], samples: Latent, upscale_factor: float, save_temp_prefix: str | None = None
    ) -> Latent:
        """One step to ``upscale_factor`` times the size."""
        height, width = self.space.size_of(samples["samples"])
        return self.upscale_shape(step_info, samples, width * upscale_factor, height * upscale_factor, save_temp_prefix)

    @abstractmethod
    def upscale_along(self, step: Step, latent: Latent, progress: Progress) -> Latent:
        """One step as a stretch of a node's bar."""

    def _enlarged(self, step: Step, latent: Latent, hook: Hook) -> tuple[Latent, torch.Tensor]:
        """The latent at the step's size, its noise mask kept, and its picture as it was enlarged."""
        samples = latent["samples"]
        pixels = hook.post_decode(self.space.decoded(samples))
        if step.prefix:
            host.folders.save_previews(pixels, step.prefix)
        pictures = len(pixels)
        whole = step.size.rounded_down(self.space.cell)
        pixels = self.space.enlarged(pixels, whole)
        seen = hook.post_upscale(pixels, None)
        if len(seen) != pictures:
            raise hook.miscounted(len(seen), pictures)
        encoded = self.space.encoded(seen, clips_in(samples))
        return hook.post_encode(with_samples(latent, encoded)), pixels


@dataclass(frozen=True)
class TileControl:
    """A tile ControlNet, which keeps to the picture that is enlarged.

    Attributes:
        strength: 0 and up; 0 does nothing.
    """

    control_net: ControlNet
    strength: float


class KSampleUpscaler(Upscaler):
    """Samples the enlarged latent with a KSampler, whole or in tiles; the seed is the same in every step."""

    def __init__(self, space: PixelSpace, sampler: KSampler, hook: object, control: TileControl | None = None) -> None:
        super().__init__(space)
        self.sampler, self.hook, self.control = sampler, Hook(hook), control
        self.is_tiled = sampler.tiles is not None

    def upscale_along(self, step: Step, latent: Latent, progress: Progress) -> Latent:
        """The hook may change all that is sampled with, the latent too."""
        hook = self.hook
        hook.set_steps(step.index, step.count)
        enlarged, pixels = self._enlarged(step, latent, hook)
        call = hook.pre_ksample(self.sampler.call._replace(latent=enlarged))
        if "noise_mask" in latent:
            call = call._replace(latent={**call.latent, "noise_mask": latent["noise_mask"]})
        if self.control is not None and self.control.strength > 0.0:
            control, hint = self.control, _without_fine_detail(pixels)
            positive = host.control_net.with_control_net_on_positive(
                call.positive, control.control_net, hint, control.strength
            )
            call = call._replace(positive=positive)
        made = sampled(call, self.sampler, progress)
        progress.done()
        return made


def _without_fine_detail(pixels: torch.Tensor) -> torch.Tensor:
    """A picture as a tile ControlNet wants it: shrunk to an eighth and smoothly enlarged again."""
    size = Size(*pixels.shape[1:3])
    small = scaled(pixels, Size(*(max(side // HINT_SHRINKS, 1) for side in size)), "area")
    return scaled(small, size, "resampling bicubic")


# --- two samplers -------------------------------------------------------------------------------------------------


def _every(turns: int) -> Callable[[int, int], bool]:
    """Each so-manieth step, the first of them not at once."""
    return lambda index, count: (index + 1) % turns == 0


def _last(steps: int) -> Callable[[int, int], bool]:
    return lambda index, count: index >= count - steps


def _either(*rules: Callable[[int, int], bool]) -> Callable[[int, int], bool]:
    return lambda index, count: any(rule(index, count) for rule in rules)


# whether step ``index``, from 0, of ``count`` samples the whole latent
FULL_SCHEDULES: dict[str, Callable[[int, int], bool]] = {
    "none": lambda index, count: False,
    "interleave1": _every(2),
    "interleave2": _every(3),
    "interleave3": _every(4),
    "last1": _last(1),
    "last2": _last(2),
    "interleave1+last1": _either(_every(2), _last(1)),
    "interleave2+last1": _either(_every(3), _last(1)),
    "interleave3+last1": _either(_every(4), _last(1)),
}


@dataclass(frozen=True)
class Samplers:
    """KSAMPLERs of any pack, and the hooks that each is given.

    Attributes:
        full: samples the whole latent after the base, in the steps that are for that; None: the base again.
    """

    base: object
    masked: object
    full: object = None
    base_hook: object = None
    masked_hook: object = None
    full_hook: object = None


class TwoSamplersUpscaler(Upscaler):
    """Samples the enlarged latent with one sampler around a mask and with another under it, or all of it."""

    def __init__(self, space: PixelSpace, samplers: Samplers, mask: torch.Tensor, schedule: str) -> None:
        """
        Args:
            mask: ``[B,H,W]`` 0..1 of any size.
            schedule: one of ``FULL_SCHEDULES``.
        """
        super().__init__(space)
        self.samplers, self.mask = samplers, mask
        self.is_full = chosen(FULL_SCHEDULES, schedule, "full sample schedule")

    def upscale_along(self, step: Step, latent: Latent, progress: Progress) -> Latent:
        one = self.samplers
        for hook in (one.base_hook, one.masked_hook, one.full_hook):
            Hook(hook).set_steps(step.index, step.count)
        way = one.base_hook if self.space.model is None else one.masked_hook
        whole: Latent = {**latent}
        whole.pop("noise_mask", None)
        latent = self._enlarged(step, whole, Hook(way))[0]
        if not self.is_full(step.index, step.count):
            return sample_two(one.base, one.masked, latent, self.mask, (one.base_hook, one.masked_hook), progress)
        early, late = progress.split(2)
        latent = sample_with(one.base, latent, one.base_hook, early)
        return sample_with(one.base if one.full is None else one.full, latent, one.full_hook, late)
