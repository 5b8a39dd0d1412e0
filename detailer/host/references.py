"""Reference latents: which show the picture that is detailed, and what of them belongs to a crop."""

from __future__ import annotations

import math
from typing import cast

import torch

from ...core import Region, Size
from ...core.tables import chosen
from . import cuts
from .cuts import View
from .protocols import CondEntry, Conditioning

ONE_MEGAPIXEL = 1024 * 1024  # what ComfyUI's Qwen-Image-Edit and Flux2 encoders bring a picture to


def references(values: list[torch.Tensor], view: View) -> list[torch.Tensor]:
    """The references of a crop, as ``view.references`` says.

    ``auto``: what shows the picture is cut to the crop; another picture, known by its size, stays whole. ``whole``: all
    stay. ``cut``: all are taken for the picture, whatever their size. ``crop``, ``crop_uncorrected``: those that show
    the picture go, since the crop itself comes instead (``pipeline.sample``); others stay whole.
    """
    return chosen(REFERENCES, view.references, "way with references")(values, view)


def _auto(values: list[torch.Tensor], view: View) -> list[torch.Tensor]:
    return [_of_picture(latent, view) if _shows(latent, view) else _left(latent, view) for latent in values]


def _left(latent: torch.Tensor, view: View) -> torch.Tensor:
    height, width = latent.shape[-2:]
    view.once.info(
        f"a reference latent of {width}x{height} cells shows another picture than the {view.picture} one: it stays "
        "whole ('references' of Detailer Options changes that)"
    )
    return latent


def _others(values: list[torch.Tensor], view: View) -> list[torch.Tensor]:
    return [_left(latent, view) for latent in values if not _shows(latent, view)]


OF_CROP = ("crop", "crop_uncorrected")

REFERENCES = {
    "auto": _auto,
    "whole": lambda values, view: values,
    "cut": lambda values, view: [_of_picture(latent, view) for latent in values],
    **dict.fromkeys(OF_CROP, _others),
}


def with_references(conditioning: Conditioning, latents: list[torch.Tensor], first: bool = False) -> Conditioning:
    """A conditioning with more reference latents, after those that it has or before them; a string is passed on."""
    if isinstance(conditioning, str) or not latents:
        return conditioning
    made: list[CondEntry] = []
    for embedding, options in conditioning:
        known = cast("list[torch.Tensor]", options.get("reference_latents") or [])
        both = [*latents, *known] if first else [*known, *latents]
        made.append(cast("CondEntry", [embedding, {**options, "reference_latents": both}]))
    return made


def _of_picture(latent: torch.Tensor, view: View) -> torch.Tensor:
    """The crop's part of a latent of the picture; ComfyUI's Kontext scaling cut margins off the picture first."""
    size = Size(*latent.shape[-2:])
    if _has_shape_of(size, view.picture) or not _is_kontext_scaled(size, view):
        return cuts.spatial(latent, view)
    shown = cuts.middle(view.picture, size)  # of the picture
    part = view.region.intersection(shown)
    if part.is_empty:
        view.once.warning(
            "a part lies outside of what ComfyUI's Kontext scaling left of the picture: its reference stays whole"
        )
        return latent
    inside = part.relative_to(shown).rescaled(shown.size, size)
    x1, y1 = min(inside.x1, size.width - 1), min(inside.y1, size.height - 1)
    return cuts.cut(latent, Region(x1, y1, max(inside.x2, x1 + 1), max(inside.y2, y1 + 1)))


def _shows(latent: torch.Tensor, view: View) -> bool:
    """Whether a reference is taken for the picture, by its size.

    An aspect that is not square is its own sign. Square pictures are many: one counts where it has the picture's size,
    or one that ComfyUI's own nodes bring it to.
    """
    size, picture = Size(*latent.shape[-2:]), view.picture
    if _is_kontext_scaled(size, view):
        return True
    if not _has_shape_of(size, picture):
        return False
    square = abs(picture.width / picture.height - 1) < 0.02
    return not square or any(_is_of(size, one, view) for one in (picture, _megapixel_size(picture)))


def _is_kontext_scaled(size: Size, view: View) -> bool:
    wanted = _kontext_size(view.picture)
    return wanted is not None and _is_of(size, wanted, view)


def _is_of(size: Size, pixels: Size, view: View) -> bool:
    """Whether a latent has the size of that of a picture of ``pixels``, to within a cell."""
    return all(abs(side - length / view.cell) < 1.01 for side, length in zip(size, pixels, strict=True))


def _has_shape_of(size: Size, picture: Size) -> bool:
    """Whether both sides fit one ratio to within a cell."""
    return abs(size.height * picture.width - size.width * picture.height) <= picture.longer


_KONTEXT_SIZES = ("PREFERRED_KONTEXT_RESOLUTIONS", "PREFERED_KONTEXT_RESOLUTIONS")  # newer and older releases


def _megapixel_size(picture: Size) -> Size:
    scale = math.sqrt(ONE_MEGAPIXEL / (picture.width * picture.height))
    return Size(round(picture.height * scale), round(picture.width * scale))


def _kontext_size(picture: Size) -> Size | None:
    """The size to which ComfyUI's FluxKontextImageScale brings a picture; None where ComfyUI has no such node."""
    try:
        import comfy_extras.nodes_flux as flux
    except ImportError:  # tests without ComfyUI
        return None
    sizes = next((getattr(flux, name) for name in _KONTEXT_SIZES if hasattr(flux, name)), None)
    if not sizes:
        return None
    aspect = picture.width / picture.height
    _, width, height = min((abs(aspect - width / height), width, height) for width, height in sizes)
    return Size(height, width)
