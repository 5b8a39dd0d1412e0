"""A KSAMPLER: all that sampling needs but the latent."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import host
from ..hooks.protocol import Hook
from ..host.progress import Progress
from ..host.protocols import Conditioning, Latent, Model, SchedulerFunc
from ..ksampler import sample_latent
from ..values import KSampleCall
from .grid import TileGrid
from .origin import Origin
from .tiled import sample_tiled

NO_LATENT: Latent = {"samples": torch.empty(0)}
"""Stands in a call for the latent that is sampled later."""


@dataclass(frozen=True, eq=False)
class KSampler:
    """A KSAMPLER, in the form that other packs' nodes run too.

    Attributes:
        call: how it is sampled; each latent takes the place of its own.
        origin: the node that made it, for log and errors.
        tiles: predict tile by tile.
    """

    call: KSampleCall
    origin: Origin
    scheduler_func: SchedulerFunc | None = None
    tiles: TileGrid | None = None

    @property
    def params(self) -> tuple[Model, int, int, float, str, str, Conditioning, Conditioning, float]:
        """Model, seed, steps, cfg, sampler, scheduler, positive, negative, denoise: other packs read them."""
        one = self.call
        return (*one[:8], one.denoise)

    def sample(self, latent_image: Latent, hook: object = None) -> Latent:
        """A latent sampled, its other entries kept.

        Args:
            hook: any pack's; its ``pre_ksample`` may change all but the latent.
        """
        return self.sample_along(latent_image, hook, Progress.of_node())

    def sample_along(self, latent: Latent, hook: object, progress: Progress) -> Latent:
        """The same as a stretch of a node's bar."""
        call = Hook(hook).pre_ksample(self.call._replace(latent=latent))._replace(latent=latent)
        made = sampled(call, self, progress)
        progress.done()
        return made


def sampled(call: KSampleCall, how: KSampler, progress: host.progress.Progress) -> Latent:
    """A call's latent sampled, plainly or in tiles.

    Args:
        how: its own call doesn't count.

    Raises:
        InputError: where something doesn't fit the model.
    """
    with how.origin.explained():
        if how.tiles is not None:
            return sample_tiled(call, how.tiles, how.origin.node, progress)
        return sample_latent(call, how.scheduler_func, how.origin.node, progress)


def sample_with(sampler: object, latent: Latent, hook: object, progress: Progress) -> Latent:
    """A latent sampled by a KSAMPLER of any pack; ours goes along the bar."""
    along = getattr(sampler, "sample_along", None)
    if along is not None:
        return along(latent, hook, progress)
    made: Latent = getattr(sampler, "sample")(latent, hook)  # noqa: B009 - of any pack
    return made


def sample_two(
    base: object, masked: object, latent: Latent, mask: torch.Tensor, hooks: tuple[object, object], progress: Progress
) -> Latent:
    """One KSAMPLER where a mask is not 1, then, on its result, another under the mask; both where it is soft.

    Args:
        mask: ``[B,H,W]`` 0..1 of any size.
        hooks: the one's and the other's.

    Returns:
        the latent without a noise mask; the one that came in is left as it is.
    """
    early, late = progress.split(2)
    around = (mask != 1.0).to(torch.float32)[:, None]
    first = sample_with(base, {**latent, "noise_mask": around}, hooks[0], early)
    second = sample_with(masked, {**first, "noise_mask": mask[:, None]}, hooks[1], late)
    made: Latent = {**second}
    made.pop("noise_mask", None)
    return made
