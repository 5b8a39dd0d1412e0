"""The ring: the surroundings of a part that a crop shows and nothing should have changed.

What the VAE and the model did there can be measured against the crop as it was, and undone in the part too.
"""

from __future__ import annotations

import numpy as np
import torch

from ..frames import alone
from ..masks import dilate_mask

MARGIN = 4  # pixels beside the mask that share latent cells with it
LEAST = 256  # pixels; from fewer, nothing is concluded
LEAST_WEIGHT = np.float32(1e-3)  # of a pixel that a blur of the ring reaches


def ring_of(*masks: torch.Tensor | None) -> torch.Tensor:
    """Where no mask is, at least ``MARGIN`` pixels from all of them; each frame on its own.

    Args:
        masks: ``[N or 1,h,w]`` of one size: the segment's mask and the noise mask, None for those that aren't used.

    Returns:
        ``[N,h,w]`` bool on the CPU. Where the margin leaves fewer than ``LEAST`` pixels, all that no mask covers.
    """
    given = [mask.detach().cpu() > 0 for mask in masks if mask is not None]
    return torch.cat([_apart(torch.cat(frame).any(dim=0, keepdim=True)) for frame in alone(*given)])


def _apart(covered: torch.Tensor) -> torch.Tensor:
    apart = dilate_mask(covered.to(torch.float32), 2 * MARGIN + 1) == 0
    return apart if int(apart.sum()) >= LEAST else ~covered


def too_small(ring: torch.Tensor) -> str | None:
    """Why nothing is concluded from this ring of one frame, or None if something can be."""
    pixels = int(ring.sum())
    return f"its surroundings are too small ({pixels} of at least {LEAST} unmasked pixels)" if pixels < LEAST else None


def blurred_within(values: np.ndarray, inside: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian blur that only sees the pixels inside: normalised convolution.

    Source: H. Knutsson and C.-F. Westin, "Normalized and Differential Convolution", CVPR 1993.

    Args:
        values: ``[h,w,C]`` float32.
        inside: ``[h,w]`` float32 weights 0..1.
        sigma: in pixels.

    Returns:
        ``[h,w,C]`` float32, and where a pixel inside counts, ``[h,w]`` bool; elsewhere it says nothing.
    """
    import cv2

    weights = cv2.GaussianBlur(inside, (0, 0), sigma)
    blurred = cv2.GaussianBlur(values * inside[..., None], (0, 0), sigma).reshape(values.shape)
    blurred /= np.maximum(weights, LEAST_WEIGHT)[..., None]
    return blurred, weights > LEAST_WEIGHT
