"""What the model is shown where it is to work: the picture itself, or something that hides what was there."""

from __future__ import annotations

import numpy as np
import torch

from .masks import resize_mask
from .region import Size
from .resample import resample
from .ring import blurred_within

FILLS = ("original", "neutral", "blurred", "diffused", "noise")

LARGEST_SIDE = 256  # what fills from outside is smooth and is worked out at no larger size


def filled(image: torch.Tensor, mask: torch.Tensor, how: str, seed: int = 0) -> torch.Tensor:
    """A crop with something else under the mask.

    Args:
        image: ``[1,h,w,3]`` float 0..1.
        mask: ``[1,h',w'] `` float 0..1, the noise mask; fitted to the image's size. Where it is soft, both are mixed.
        how: ``original``: nothing is filled. ``neutral``: middle grey. ``blurred``: the blurred surroundings.
            ``diffused``: the surroundings' edges drawn in (OpenCV's inpainting).
            Source: A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method", J. Graphics Tools 9
            (2004). ``noise``: Gaussian noise around the surroundings' mean colour, with their spread.
        seed: of the noise.

    Returns:
        ``[1,h,w,3]``; where the mask is 0, the image bit for bit. The image itself where nothing is filled.
    """
    if how == "original":
        return image
    size = Size(*image.shape[1:3])
    mask = resize_mask(mask, size).to(image)[..., None]
    if not bool((mask > 0).any()):
        return image
    if how == "neutral":
        filling = torch.full_like(image, 0.5)
    elif how == "noise":
        filling = _noise(image, mask[..., 0] == 0, seed)
    else:
        filling = _from_outside(image, mask[..., 0], how)
    return torch.where(mask > 0, (1.0 - mask) * image + mask * filling, image)


def _noise(image: torch.Tensor, outside: torch.Tensor, seed: int) -> torch.Tensor:
    seen = image[outside] if int(outside.sum()) > 1 else image.reshape(-1, 3)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).to(image)
    return (seen.mean(dim=0) + noise * seen.std(dim=0)).clamp(0.0, 1.0)


def _from_outside(image: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """A filling made of the pixels that no mask covers, at ``LARGEST_SIDE`` at most; grey where there are none."""
    size = Size(*image.shape[1:3])
    ratio = min(1.0, LARGEST_SIDE / size.longer)
    small = Size(max(round(size.height * ratio), 1), max(round(size.width * ratio), 1))
    weights = (mask == 0).to(torch.float32)
    seen = resample(torch.cat([image * weights[..., None], weights[..., None]], dim=-1), small)[0].cpu().numpy()
    outside = (seen[..., 3] > 0.999).astype(np.float32)
    if not outside.any():
        return torch.full_like(image, 0.5)
    colours = np.clip(seen[..., :3], 0.0, 1.0).astype(np.float32)
    spread = _pushed_and_pulled(colours, outside) if how == "blurred" else _inpainted(colours, outside == 0)
    return resample(torch.from_numpy(spread)[None].to(image), size).clamp_(0.0, 1.0)


def _pushed_and_pulled(colours: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """``[h,w,3]`` with each pixel inside blurred from outside, as little as reaches it."""
    filling = np.zeros_like(colours)
    open_ = outside == 0
    sigma = 4.0
    left = np.ones_like(open_)
    while left.any():
        blurred = blurred_within(colours, outside, sigma)
        reached = left & (blurred.max(axis=-1) > 0) if sigma < max(colours.shape) else left
        filling[reached] = blurred[reached]
        left &= ~reached
        sigma *= 2
    return filling


def _inpainted(colours: np.ndarray, hole: np.ndarray) -> np.ndarray:
    import cv2

    planes = [
        cv2.inpaint(np.ascontiguousarray(colours[..., channel]), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        for channel in range(3)
    ]
    return np.stack(planes, axis=-1)
