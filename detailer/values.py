"""The facts that travel together through the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ..core import SEGS
from .choices import NOTHING_CHOSEN, Choices
from .host.protocols import (
    Clip,
    Conditioning,
    DetailerHook,
    Detector,
    Latent,
    Model,
    SamModel,
    SchedulerFunc,
    Vae,
)
from .options import UNTURNED, DetailOptions

SEED_COUNT = 2**64


def wrapped_seed(seed: int) -> int:
    """A seed within 0..2**64-1, counting on from 0 past the end."""
    return seed % SEED_COUNT


class BasicPipe(NamedTuple):
    """What a BASIC_PIPE holds. The CLIP is only needed where a segment has a text of its own."""

    model: Model
    clip: Clip | None
    vae: Vae
    positive: Conditioning
    negative: Conditioning


class DetailerPipe(NamedTuple):
    """What a DETAILER_PIPE holds; what is absent is None. There is no refiner VAE."""

    model: Model
    clip: Clip | None
    vae: Vae
    positive: Conditioning
    negative: Conditioning
    wildcard: str
    bbox_detector: Detector
    segm_detector: Detector | None = None
    sam_model: SamModel | None = None
    detailer_hook: DetailerHook | None = None
    refiner_model: Model | None = None
    refiner_clip: Clip | None = None
    refiner_positive: Conditioning | None = None
    refiner_negative: Conditioning | None = None

    @property
    def base(self) -> BasicPipe:
        return BasicPipe(self.model, self.clip, self.vae, self.positive, self.negative)

    @property
    def refiner(self) -> tuple[object, ...]:
        """The refiner's parts with the base's VAE, as a BASIC_PIPE; without a refiner only the VAE is there."""
        return self.refiner_model, self.refiner_clip, self.vae, self.refiner_positive, self.refiner_negative


@dataclass(frozen=True)
class Frame:
    """Which picture of a batch one is: ``index`` from 0, of ``count``."""

    index: int = 0
    count: int = 1


ONLY = Frame()


@dataclass(frozen=True)
class Refiner:
    """A second model for the last part of the steps. A refiner pipe's VAE is never used."""

    model: Model
    positive: Conditioning
    negative: Conditioning
    ratio: float


@dataclass(frozen=True)
class SizeOptions:
    """How large a crop is worked on.

    Attributes:
        guide_size: wished length in pixels of the shorter side.
        guide_for_bbox: the side is the bounding box's, else the crop region's.
        max_size: no side of the enlarged crop is longer (pixels), unless the crop itself is.
        force_inpaint: work on parts that are large enough already too.
    """

    guide_size: float
    guide_for_bbox: bool
    max_size: float
    force_inpaint: bool


@dataclass(frozen=True)
class SamplingSettings:
    """The KSampler's settings, for one segment.

    Attributes:
        steps: steps really run; the schedule is made for ``floor(steps / denoise)``.
        cycle: how often the segment is sampled, each time on the result before, with the seed one higher.
        scheduler_func: replaces the scheduler where given: ``(model, sampler name, steps) -> sigmas``.
    """

    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    cycle: int = 1
    scheduler_func: SchedulerFunc | None = None


@dataclass(frozen=True)
class MaskSettings:
    """What a segment's mask does.

    Attributes:
        feather: reach in pixels of the blur through which the refined crop is pasted.
        noise_mask: only what is under the mask is sampled, else the whole crop.
        noise_mask_feather: reach in pixels of the noise mask's blur; above 0 it means Differential Diffusion.
        inpaint_model: encode through InpaintModelConditioning, for models made for inpainting.
    """

    feather: int
    noise_mask: bool
    noise_mask_feather: int
    inpaint_model: bool


@dataclass(frozen=True)
class VaeTiles:
    """Which way through the VAE goes in tiles, to save memory; where it runs out anyway, both do."""

    encode: bool = False
    decode: bool = False


@dataclass(frozen=True)
class DetailSettings:
    """All that a detailer node's widgets say.

    Attributes:
        attempts: how often a segment is sampled at most, each time with the seed one higher, until the hook's
            ``should_retry_patch`` is content; 0 means it isn't asked.
        crop_batch: how many crops are sampled at once at most; 0: as many as fit into memory; 1: one after another.
        options: those of the Detailer Options node.
        choices: what is chosen for single segments.
    """

    seed: int
    size: SizeOptions
    sampling: SamplingSettings
    mask: MaskSettings
    text: str | None = None
    vae_tiles: VaeTiles = VaeTiles()
    attempts: int = 0
    crop_batch: int = 0
    options: DetailOptions = UNTURNED
    choices: Choices = NOTHING_CHOSEN


@dataclass(frozen=True)
class Detailed:
    """What a detailer gives back for one picture.

    Attributes:
        image: the finished picture(s) ``[B,H,W,C]``.
        crops, refined, refined_alpha: each segment's crop before, refined, and refined as RGBA with the paste mask as
            alpha, ``[1,h,w,C]``, sorted by shape, largest first.
        control_images: the ControlNet hints of all segments.
        segs: the segments with their refined crop as ``cropped_image``, None where one was skipped for its size or
            could not be decoded. Those that nothing was tried with are left out.
        paste_mask: ``[B,H,W]`` 0..1, of the pictures' size: where it is 0 pasting changed nothing. None unless the
            recipe ``keeps_sampled``.
        sampled, sampled_before: likewise the crops that were sampled, in the order of work, as they were decoded and
            as they had been, both at the size that was sampled, ``[1,h,w,3]`` 0..1.
    """

    image: torch.Tensor
    crops: list[torch.Tensor]
    refined: list[torch.Tensor]
    refined_alpha: list[torch.Tensor]
    control_images: list[torch.Tensor]
    segs: SEGS
    paste_mask: torch.Tensor | None = None
    sampled: list[torch.Tensor] = field(default_factory=list)
    sampled_before: list[torch.Tensor] = field(default_factory=list)


class KSampleCall(NamedTuple):
    """The arguments of one sampling, as hooks see and may change them (``pre_ksample``, in this order)."""

    model: Model
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    positive: Conditioning
    negative: Conditioning
    latent: Latent
    denoise: float
