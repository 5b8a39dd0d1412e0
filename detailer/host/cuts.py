"""How what speaks of the whole picture is cut to a crop: masks, areas, boxes, hints, latents, references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch

from ...core import Region, Size, resize_mask
from ...core.reflect import cut_mirrored
from ..once import Once
from .control_net import crop_control
from .protocols import ControlNet

if TYPE_CHECKING:
    from ...core.clips.path import Path

LATENT_CELL = 8  # areas and GLIGEN boxes count in cells of eight pixels, whatever the model


@dataclass(frozen=True)
class View:
    """A crop as a window on the whole picture: ``region`` of ``picture``, worked on at ``working``.

    Attributes:
        cells: the size of its latent; what the model takes at no other size is brought to it.
        references: one of ``REFERENCES``.
        path: a clip's window; where it is no region of its frame, ``region`` is what it covers.
        once: what is left out or left whole is said here.
    """

    picture: Size
    region: Region
    working: Size
    cells: Size | None = None
    references: str = "auto"
    path: Path | None = None
    once: Once = field(default_factory=Once, compare=False)

    @property
    def cell(self) -> float:
        """The pixels of a latent cell's side."""
        return LATENT_CELL if self.cells is None else self.working.width / self.cells.width


def mask(value: torch.Tensor, view: View) -> torch.Tensor:
    """``[H,W]`` or ``[B,H,W]`` -> ``[B,h,w]``."""
    frames = resize_mask(value if value.ndim == 3 else value.reshape(-1, *value.shape[-2:]), view.picture)
    if view.path is None or view.path.is_region:
        return cut(frames, view.region)
    return view.path.seen_planes(frames, Region.whole(view.picture)).clamp(0.0, 1.0)


def area(value: Sequence[float | str], view: View) -> tuple[float | str, ...] | None:
    """``(h, w, y, x)`` in cells, or ``("percentage", h, w, y, x)``, as percentages of the crop; None where it lies
    elsewhere.

    Percentages may begin each half with a share of the frames (``t, h, w, t, y, x``), which stays.
    """
    is_share = value[0] == "percentage"
    numbers = cast("Sequence[float]", value[1:] if is_share else value)
    unit_y, unit_x = view.picture if is_share else (LATENT_CELL, LATENT_CELL)
    middle = len(numbers) // 2
    *frames, height, width = numbers[:middle]
    *first_frame, y, x = numbers[middle:]
    region = view.region
    top, bottom = max(y * unit_y, region.y1), min((y + height) * unit_y, region.y2)
    left, right = max(x * unit_x, region.x1), min((x + width) * unit_x, region.x2)
    if top >= bottom or left >= right:
        return None
    return (
        "percentage",
        *frames,
        (bottom - top) / region.height,
        (right - left) / region.width,
        *first_frame,
        (top - region.y1) / region.height,
        (left - region.x1) / region.width,
    )


Gligen = tuple[str, object, list[tuple[Any, ...]]]


def gligen(value: Gligen, view: View) -> Gligen | None:
    """``("position", model, [(embedding, h, w, y, x) in cells])``, boxes moved to the crop's latent."""
    kind, model, boxes = value
    if kind != "position":
        view.once.warning(f"GLIGEN of the kind {kind!r} can't be cut to a segment: left out")
        return None
    rows, columns = view.working.height / LATENT_CELL, view.working.width / LATENT_CELL
    moved = []
    for embedding, *cells in boxes:
        inside = area(cells, view)
        if inside is not None:
            height, width, y, x = cast("Sequence[float]", inside[1:])
            size = (max(1, round(height * rows)), max(1, round(width * columns)))
            moved.append((embedding, *size, round(y * rows), round(x * columns)))
    return (kind, model, moved) if moved else None


def spatial(tensor: torch.Tensor, view: View) -> torch.Tensor:
    """``[..., h, w]`` over the whole picture, at any resolution -> the crop's part, at least one cell."""
    return _part(tensor, Region.whole(Size(*tensor.shape[-2:])), view)


def centred(tensor: torch.Tensor, view: View) -> torch.Tensor:
    """The same for what ComfyUI fits to the picture by cutting off equal margins where its aspect is another
    (``comfy.utils.common_upscale`` with ``crop`` ``center``).
    """
    size = Size(*tensor.shape[-2:])
    return _part(tensor, middle(size, view.picture), view)


def middle(size: Size, shape: Size) -> Region:
    """What ComfyUI's centre crop leaves of a picture of ``size`` that goes to another of the aspect of ``shape``."""
    aspect, wanted = size.width / size.height, shape.width / shape.height
    x = round((size.width - size.width * (wanted / aspect)) / 2) if aspect > wanted else 0
    y = round((size.height - size.height * (aspect / wanted)) / 2) if aspect < wanted else 0
    return Region(x, y, size.width - x, size.height - y)


def _part(tensor: torch.Tensor, shown: Region, view: View) -> torch.Tensor:
    """The crop's part, at least one cell, of a tensor whose region ``shown`` covers the picture."""
    if view.path is not None and not view.path.is_region:
        rows, columns = shown.slices
        return view.path.seen_planes(tensor[..., rows, columns], Region.whole(view.picture))
    part = view.region.rescaled(view.picture, shown.size).shifted(shown.x1, shown.y1)
    x1, y1 = min(part.x1, shown.x2 - 1), min(part.y1, shown.y2 - 1)
    return cut(tensor, Region(x1, y1, max(part.x2, x1 + 1), max(part.y2, y1 + 1)))


def cut(tensor: torch.Tensor, region: Region) -> torch.Tensor:
    """A region of the last two axes, mirrored past their ends as the crop is."""
    if region.inside(Size(*tensor.shape[-2:])):
        rows, columns = region.slices
        return tensor[..., rows, columns]
    planes = tensor.reshape(-1, *tensor.shape[-2:], 1)
    return cut_mirrored(planes, region).reshape(*tensor.shape[:-2], *region.size)


def control(value: ControlNet, view: View) -> ControlNet | None:
    return crop_control(value, lambda hint: centred(hint, view), view.once)


# --- latents that a model takes at the size of what it samples and no other -----------------------------------------


def latents(values: list[torch.Tensor], view: View) -> list[torch.Tensor] | None:
    """Latents ``[B,C,T,h,w]`` of the whole picture -> the crop's part at its latent's size.

    Returns:
        None where they have more than one frame in time: they are a clip's, and the crop is a still.
    """
    if any(latent.ndim == 5 and latent.shape[2] > 1 for latent in values):
        return None
    return [_at(spatial(latent, view), view.cells) for latent in values]


def folded_masks(values: list[torch.Tensor], view: View) -> list[torch.Tensor] | None:
    """Masks ``[B,64,T,h,w]`` with a cell's 8x8 pixels as channels (VACE): cut and resized as the masks they are."""
    if any(value.shape[2] > 1 for value in values):
        return None
    made = []
    for value in values:
        pixels = torch.nn.functional.pixel_shuffle(value[:, :, 0], LATENT_CELL)
        part = spatial(pixels, view)[:, 0]
        if view.cells is not None:
            part = resize_mask(part, Size(*(side * LATENT_CELL for side in view.cells)))
        made.append(torch.nn.functional.pixel_unshuffle(part[:, None], LATENT_CELL)[:, :, None])
    return made


def _at(latent: torch.Tensor, cells: Size | None) -> torch.Tensor:
    """A latent's last two axes at another size, bilinear."""
    if cells is None or Size(*latent.shape[-2:]) == cells:
        return latent
    planes = latent.reshape(1, -1, *latent.shape[-2:]).float()
    made = torch.nn.functional.interpolate(planes, size=tuple(cells), mode="bilinear", align_corners=False)
    return made.reshape(*latent.shape[:-2], *cells).to(latent)
