"""The door: what comes into a node is checked and brought to one form here, once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from ..core import SEGS, Size, as_mask_batch, resize_mask
from ..detailer import host
from ..detailer.values import BasicPipe

logger = logging.getLogger("mask_detailer")

PIPE_SOURCES = {
    "model": "the MODEL output of a checkpoint loader",
    "clip": "the CLIP output of a checkpoint loader",
    "vae": "the VAE output of a checkpoint loader or 'Load VAE'",
    "positive": "a CONDITIONING such as the output of 'CLIP Text Encode'",
    "negative": "a CONDITIONING such as the output of 'CLIP Text Encode'",
}
SEG_FIELDS = ("cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label", "control_net_wrapper")


class InputError(ValueError):
    """What came into a node cannot be worked with. The message names node, input, what was found and the fix."""


@dataclass(frozen=True)
class Door:
    """The checks of one node."""

    node: str

    def error(self, name: str, found: str, fix: str) -> InputError:
        return InputError(f"{self.node}, input '{name}': {found}. {fix}")

    def image(self, image: Any, name: str = "image") -> torch.Tensor:
        """An IMAGE as ``[B,H,W,3 or 4]`` float32 on its device.

        Raises:
            InputError: for another type, rank or channel count, for no pictures, and for values that are not finite.
        """
        if not isinstance(image, torch.Tensor):
            raise self.error(name, f"a {type(image).__name__} is no picture", "Connect an IMAGE")
        if image.ndim == 3:
            image = image[None]
        if image.ndim != 4 or image.shape[-1] not in (3, 4):
            raise self.error(
                name,
                f"its shape is {list(image.shape)}, not [batch, height, width, 3 or 4 channels]",
                "Connect an IMAGE with colour",
            )
        if 0 in image.shape:
            raise self.error(name, f"it is empty (shape {list(image.shape)})", "Connect a picture with pixels")
        image = image.to(torch.float32)
        self._finite(image, name)
        return image

    def mask(self, mask: Any, size: Size, name: str = "mask") -> torch.Tensor:
        """A MASK of any rank as ``[B,H,W]`` float32 0..1 of the picture's size: clamped and rescaled where it must be.

        Raises:
            InputError: for another type or rank, for no masks, and for values that are not finite.
        """
        masks = self.mask_of_any_size(mask, name)
        if tuple(masks.shape[-2:]) != size:
            found = Size(*masks.shape[-2:])
            logger.info("%s: the %s mask is rescaled to the %s picture", self.node, found, size)
        return resize_mask(masks, size)

    def mask_of_any_size(self, mask: Any, name: str = "mask") -> torch.Tensor:
        """A MASK of any rank and size as ``[B,H,W]`` float32, clamped to 0..1."""
        if not isinstance(mask, torch.Tensor):
            raise self.error(name, f"a {type(mask).__name__} is no mask", "Connect a MASK")
        try:
            masks = as_mask_batch(mask)
        except ValueError as error:
            raise self.error(name, str(error), "Connect a MASK") from error
        if 0 in masks.shape:
            raise self.error(name, f"it is empty (shape {list(mask.shape)})", "Connect a mask with pixels")
        self._finite(masks, name)
        low, high = float(masks.min()), float(masks.max())
        if low < 0.0 or high > 1.0:
            logger.info("%s: mask values from %g to %g are clamped to 0..1", self.node, low, high)
            masks = masks.clamp(0.0, 1.0)
        return masks

    def _finite(self, frames: torch.Tensor, name: str) -> None:
        # one sum is a fraction of the cost of asking every value, and is finite only if all of them are
        if bool(torch.isfinite(frames.sum())):
            return
        for index, frame in enumerate(frames):
            if not bool(torch.isfinite(frame).all()):
                raise self.error(
                    name,
                    f"frame {index} holds NaN or infinite values",
                    "Find the node before it that makes them (a VAE in fp16 often does)",
                )

    def basic_pipe(self, pipe: Any, name: str = "basic_pipe") -> BasicPipe:
        """A BASIC_PIPE with all that sampling needs. The clip may be missing: only per-segment text needs one.

        Raises:
            InputError: if it is not five things, or one that is needed is None.
        """
        parts = self.five_parts(pipe, name)
        self.not_missing(parts, name)
        return parts

    def five_parts(self, pipe: Any, name: str = "basic_pipe") -> BasicPipe:
        """A BASIC_PIPE of which any part may be None."""
        if not isinstance(pipe, tuple | list):
            raise self.error(name, f"a {type(pipe).__name__} is no BASIC_PIPE", "Connect the output of 'ToBasicPipe'")
        if len(pipe) != len(BasicPipe._fields):
            fix = "Connect the output of 'ToBasicPipe'"
            if len(pipe) == 14:
                fix = "It looks like a DETAILER_PIPE: turn it into a BASIC_PIPE first"
            raise self.error(name, f"a BASIC_PIPE holds 5 things, this holds {len(pipe)}", fix)
        return BasicPipe(*pipe)

    def not_missing(self, parts: BasicPipe, name: str | None) -> None:
        """Raises InputError where model, vae or a conditioning is None; ``name`` None: each is an input of its own."""
        for part in ("model", "vae", "positive", "negative"):
            if getattr(parts, part) is None:
                found = "it is missing (None)" if name is None else f"its {part} is missing (None)"
                raise self.error(name or part, found, f"Connect {PIPE_SOURCES[part]}")

    def refiner_parts(self, pipe: Any, name: str = "refiner_basic_pipe_opt") -> tuple[Any, Any, Any, Any]:
        """Model, clip, positive and negative of an optional BASIC_PIPE, all None where none is connected.

        Raises:
            InputError: if it is connected but not five things, or its model or a conditioning is None.
        """
        if pipe is None:
            return None, None, None, None
        parts = self.five_parts(pipe, name)
        self.not_missing(parts._replace(vae="not needed"), name)
        return parts.model, parts.clip, parts.positive, parts.negative

    def segs(self, segs: Any, name: str = "segs") -> SEGS:
        """SEGS of any pack: ``((height, width), [SEG, ...])``.

        Raises:
            InputError: for another layout.
        """
        fix = "Connect SEGS, such as the output of 'MASK to SEGS' or of a detector"
        if not isinstance(segs, tuple | list) or len(segs) != 2 or not isinstance(segs[1], tuple | list):
            raise self.error(name, f"a {type(segs).__name__} is no SEGS", fix)
        if len(segs[0]) != 2:
            raise self.error(name, f"its header {segs[0]!r} is not (height, width)", fix)
        for index, seg in enumerate(segs[1]):
            missing = [field for field in SEG_FIELDS[:-1] if not hasattr(seg, field)]
            if missing:
                raise self.error(name, f"segment {index + 1} lacks {', '.join(missing)}", fix)
        return (int(segs[0][0]), int(segs[0][1])), list(segs[1])

    def fits_latent(self, size: Size, vae: Any, name: str = "image") -> None:
        """Raises InputError where the picture is smaller than one latent cell."""
        cell = host.pixels_per_cell(vae)
        if size.shorter < cell:
            raise self.error(
                name,
                f"the picture is {size}, smaller than one latent cell of this VAE ({cell}x{cell})",
                "Enlarge the picture first",
            )
