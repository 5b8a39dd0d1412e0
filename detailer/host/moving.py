"""Conditioning of a clip as a part's: what goes with a frame and shows it, cut to where the part's window lies there.

ComfyUI's nodes for video models put latents into the conditioning: what a control or a start picture was encoded to.
They are decoded, cut as the frames themselves are, and encoded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch

from . import cuts
from .conditioning import crop_conditioning, entry
from .protocols import Conditioning, CondOptions
from .shown import Cutter

# what speaks of frames or of latents beside the sampled ones, and has no form in which a window shows it
_UNCUTTABLE = {
    "camera_conditions", "driving_mask_28ch", "face_video_pixels", "guide_attention_entries", "guiding_frame_index",
    "keyframe_idxs", "pose_video_latent", "ref_latent", "ref_mask_28ch", "reference_motion", "time_dim_replace",
}  # fmt: skip

_OF_ANIMATE = {"face_video_pixels", "pose_video_latent"}
_BEGINNING = {"concat_latent_image", "concat_mask"}


def crop_clip(conditioning: Conditioning, cutter: Cutter) -> Conditioning:
    """The conditioning of a clip with all that speaks of its frames cut to a part's window in each.

    Control frames and masks (VACE), start pictures and control latents (``concat_latent_image``) are; pictures that
    belong to no frame (references) are brought to the window's size whole. Where a part has frames that they don't
    have, these are grey, as ComfyUI's nodes make them. The rest goes as for a still (``crop_conditioning``), to what
    the window shows of its first frame. What can't be cut is left out with a warning.
    """
    if isinstance(conditioning, str):
        return conditioning
    made = [entry(embedding, _options(options, cutter)) for embedding, options in conditioning]
    return crop_conditioning(made, cutter.view, kept=_ALONG)


def references_before(conditioning: Conditioning, cells: int, channels: int) -> torch.Tensor | None:
    """The latents ``[1,C,n,h,w]`` of the reference pictures that VACE's control begins with, before its ``cells``."""
    for _, options in [] if isinstance(conditioning, str) else conditioning:
        for latent in cast("list[torch.Tensor]", options.get("vace_frames") or []):
            if latent.shape[2] > cells:
                return latent[:, :channels, : latent.shape[2] - cells]
    return None


def of_span(conditioning: Conditioning, cells: int, cut: Callable[[torch.Tensor], torch.Tensor]) -> Conditioning:
    """What a stretch of a clip's latent frames has of a conditioning that is cut to a window.

    Args:
        cells: how many latent frames are sampled in all.
        cut: the stretch of ``[B,C,cells,h,w]``.
    """
    if isinstance(conditioning, str):
        return conditioning

    def some(value: object) -> object:
        if isinstance(value, list):
            return [some(one) for one in value]
        along = isinstance(value, torch.Tensor) and value.ndim == 5 and value.shape[2] == cells
        return cut(cast(torch.Tensor, value)) if along else value

    return [
        entry(embedding, {name: some(value) if name in _IN_TIME else value for name, value in options.items()})
        for embedding, options in conditioning
    ]


def _options(options: CondOptions, cutter: Cutter) -> CondOptions:
    # Wan Animate has a reference picture before its frames: told apart by what else its node gives
    uncuttable = _UNCUTTABLE | (_BEGINNING if options.keys() & _OF_ANIMATE else set())
    made: CondOptions = {}
    for name, value in options.items():
        if name in uncuttable:
            cutter.view.once.warning(f"the conditioning's {name} can't be cut to a part of a clip: left out")
        elif name not in _ALONG or value is None:
            made[name] = value
        elif name in _LATENTS and any(one.shape[1] % cutter.codec.channels for one in _listed(value)):
            cutter.view.once.warning(f"the conditioning's {name} is another model's: left out")
        else:
            made[name] = _ALONG[name](value, options, cutter)
    return made


def _listed(value: object) -> list[torch.Tensor]:
    return cast("list[torch.Tensor]", value if isinstance(value, list) else [value])


def _before(options: CondOptions, cutter: Cutter) -> int:
    """How many latent frames of VACE's control are reference pictures: nothing of them is to be made anew."""
    control = cast("list[torch.Tensor]", options.get("vace_frames") or [])
    if not control:
        return 0
    blank = cutter.codec.is_blank(control[0][:, cutter.codec.channels :])
    return blank.index(False) if False in blank else 0


def _vace_frames(values: list[torch.Tensor], options: CondOptions, cutter: Cutter) -> list[torch.Tensor]:
    before = _before(options, cutter)

    def made(latent: torch.Tensor) -> torch.Tensor:
        control = cutter.video(latent[:, :, before:])
        return torch.cat([cutter.whole(latent[:, :, :before]).to(control), control], dim=2) if before else control

    return [cutter.once("vace_frames", latent, made) for latent in values]


def _vace_mask(values: list[torch.Tensor], options: CondOptions, cutter: Cutter) -> list[torch.Tensor]:
    before = _before(options, cutter)

    def made(mask: torch.Tensor) -> torch.Tensor:
        folded = cutter.folded(mask[:, :, before:])
        return torch.cat([folded.new_zeros(1, folded.shape[1], before, *folded.shape[-2:]), folded], dim=2)

    return [cutter.once("vace_mask", mask, made) for mask in values]


def _still_or(make: Callable[[Cutter, torch.Tensor], torch.Tensor], what: str) -> Callable[..., object]:
    """For a tensor with a time axis; one without is a still's, and the same for all frames."""

    def made(value: Any, options: CondOptions, cutter: Cutter) -> object:
        if isinstance(value, list):
            return [made(one, options, cutter) for one in value]
        if value.ndim != 5:
            return cuts.spatial(value, cutter.view) if what.startswith("concat") else value
        return cutter.once(what, value, lambda tensor: make(cutter, tensor))

    return made


_ALONG: dict[str, Callable[..., object]] = {
    "vace_frames": _vace_frames,
    "vace_mask": _vace_mask,
    "concat_latent_image": _still_or(Cutter.video, "concat_latent_image"),
    "control_video": _still_or(Cutter.video, "control_video"),
    "concat_mask": _still_or(Cutter.unknown, "concat_mask"),
    "reference_latents": _still_or(Cutter.whole, "reference_latents"),
    "time_dim_concat": _still_or(Cutter.whole, "time_dim_concat"),
}
_LATENTS = _ALONG.keys() - {"vace_mask", "concat_mask"}
_IN_TIME: Sequence[str] = ("vace_frames", "vace_mask", "concat_latent_image", "control_video", "concat_mask")
