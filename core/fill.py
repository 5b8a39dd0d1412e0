"""What the model is shown where it is to work: the picture itself, or something that hides what was there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .frames import by_frame
from .masks import resize_mask
from .region import Size
from .resample import resample
from .surroundings.ring import blurred_within
from .tables import chosen

LARGEST_SIDE = 144  # what fills from outside is smooth and is worked out at no larger size
_DOUBLING = (4, 8, 16, 32, 64, 128)  # sigmas of the blurs that go inwards, up to the largest side


def filled(image: torch.Tensor, mask: torch.Tensor, how: str, seed: int = 0) -> torch.Tensor:
    """A crop with something else under the mask; each frame on its own.

    Args:
        image: ``[N,h,w,3]`` float 0..1.
        mask: ``[N or 1,h',w']`` float 0..1, the noise mask; fitted to the image's size. Where it is soft, both are
            mixed.
        how: ``original``: nothing is filled. ``neutral``: middle grey. ``blurred``: the blurred surroundings.
            ``diffused``: the surroundings' edges drawn in (OpenCV's inpainting).
            Source: A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method", J. Graphics Tools 9
            (2004). ``noise``: Gaussian noise around the surroundings' mean colour, with their spread.
        seed: of the noise, which is the same in every frame.

    Returns:
        ``[N,h,w,3]``; where the mask is 0, the image bit for bit. The image itself where nothing is filled.

    Raises:
        ValueError: for another ``how``.
    """
    fill = chosen(_FILLS, how, "fill")
    if fill is None:
        return image
    size = Size(*image.shape[1:3])

    def one(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mask = resize_mask(mask, size).to(image)
        if not mask.any():
            return image
        return torch.lerp(image, fill(image, mask == 0, seed), mask[..., None])

    return by_frame(one, image, mask)


def _neutral(image: torch.Tensor, outside: torch.Tensor, seed: int) -> torch.Tensor:
    return torch.full_like(image, 0.5)


def _noise(image: torch.Tensor, outside: torch.Tensor, seed: int) -> torch.Tensor:
    seen = image[outside] if int(outside.sum()) > 1 else image.reshape(-1, 3)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).to(image)
    return (seen.mean(dim=0) + noise * seen.std(dim=0)).clamp(0.0, 1.0)


def _blurred(image: torch.Tensor, outside: torch.Tensor, seed: int) -> torch.Tensor:
    return _from_outside(image, outside, _blurred_inwards)


def _diffused(image: torch.Tensor, outside: torch.Tensor, seed: int) -> torch.Tensor:
    return _from_outside(image, outside, _inpainted)


# What a crop ``[1,h,w,3]`` is filled with, of the crop and of where no mask is ``[1,h,w]``; None for nothing.
_FILLS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor] | None] = {
    "original": None,
    "neutral": _neutral,
    "blurred": _blurred,
    "diffused": _diffused,
    "noise": _noise,
}
FILLS = tuple(_FILLS)


def _from_outside(
    image: torch.Tensor, outside: torch.Tensor, spread: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> torch.Tensor:
    """A filling made of the pixels that no mask covers, at ``LARGEST_SIDE`` at most; grey where there are none."""
    import cv2

    size = Size(*image.shape[1:3])
    ratio = min(1.0, LARGEST_SIDE / size.longer)
    small = Size(max(round(size.height * ratio), 1), max(round(size.width * ratio), 1))
    seen = outside[0].cpu().numpy().astype(np.float32)
    seen, colours = (
        cv2.resize(plane, small[::-1], interpolation=cv2.INTER_AREA)
        for plane in (seen, image[0].cpu().numpy() * seen[..., None])
    )
    known = seen > 0.5
    if not known.any():
        return torch.full_like(image, 0.5)
    colours = np.where(known[..., None], colours / np.maximum(seen, 0.5)[..., None], 0.0).astype(np.float32)
    return resample(torch.from_numpy(spread(colours, known))[None].to(image), size).clamp_(0.0, 1.0)


def _blurred_inwards(colours: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """``[h,w,3]``: outside as it is; inside the normalised blur, each time twice as wide, that first reaches there.

    So few pixels may be known that no blur of the crop's size sees them: what is left takes their mean.
    """
    weights = outside.astype(np.float32)
    filling = colours.copy()
    left = ~outside
    for sigma in _DOUBLING:
        colour, reached = blurred_within(colours, weights, sigma)
        reached &= left
        filling[reached] = colour[reached]
        left &= ~reached
        if not left.any():
            return filling
    filling[left] = colours[outside].mean(axis=0)
    return filling


def _inpainted(colours: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """In 16 bit: with floats OpenCV's method of Telea runs away."""
    import cv2

    hole = (~outside).astype(np.uint8)
    planes = [
        cv2.inpaint((np.ascontiguousarray(plane) * 65535).astype(np.uint16), hole, 3, cv2.INPAINT_TELEA)
        for plane in np.moveaxis(colours, -1, 0)
    ]
    return np.stack(planes, axis=-1).astype(np.float32) / 65535
