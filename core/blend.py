"""Putting a refined crop back without a seam: the paste mask, the blends that make the crop fit at its edge, the paste.

A blend changes the crop only; it is then pasted through the paste mask. Where that is 0, the picture stays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .frames import by_frame
from .masks import blur_mask, covered_region, dilate_mask
from .region import Region, Sides, Size
from .tables import chosen

COARSEST = 16  # pixels: a side at which the gradient blend's equations are solved outright
FADE = 1.4  # e-foldings a width, so that a fourteenth is left at three widths, even in the middle of a disc
TOLERANCE = 2e-6  # what may be left of a pixel's equation, in 0..1: solutions are then off by less than 0.2 of 255
MOST_STEPS = 400  # of conjugate gradients, at one size


def paste_mask(mask: torch.Tensor, feather: int, ramp: str = "gaussian", grow: int = 0) -> torch.Tensor:
    """The mask through which a crop is pasted.

    Args:
        mask: ``[N,h,w]`` float 0..1, the segment's.
        feather: reach in pixels of its soft edge.
        ramp: the edge's form (``blur_mask``).
        grow: pixels by which the mask is grown (above 0) or shrunk, in a square, before its edge is made soft.

    Returns:
        ``[N,h,w]`` 0..1; the mask itself where nothing changes it.

    Raises:
        ValueError: for another ramp.
    """
    if grow:
        mask = dilate_mask(mask, (2 * abs(grow) + 1) * (1 if grow > 0 else -1)).to(mask)
    return blur_mask(mask, feather, ramp=ramp)


def paste_reach(support: Region, region: Region, feather: int, grow: int = 0) -> Region:
    """What a paste can touch at most, whichever the blend and the ramp.

    Args:
        support: the smallest region that holds all of the segment's mask above 0 (``covered_region``), in the picture.
        region: the crop's.
    """
    reach = max(feather, 0) + max(grow, 0)  # at the crop's sides a mask does not shrink
    return support.padded(reach).intersection(region)


def seamless(
    before: torch.Tensor,
    refined: torch.Tensor,
    alpha: torch.Tensor,
    method: str,
    width: int,
    sides: Sides,
) -> torch.Tensor:
    """The refined crop, made to meet the picture where the paste mask ends; each frame on its own.

    The crop's sides count as the mask's end too, except on the picture's border, where there is nothing to meet.

    Args:
        before: ``[N,h,w,3]`` float 0..1, the picture as it is when the crop is pasted.
        refined: ``[N,h,w,3]`` float 0..1.
        alpha: ``[N or 1,h,w]`` the paste mask; the crop is fitted where it is above 0.
        method: ``feather``: the refined crop as it is.
            ``multiband``: of the difference to the picture, fine bands (a Laplacian pyramid's) come in over few pixels
            and coarse ones over more, up to ``width``, or as far as the mask is deep.
            Source: P. Burt and E. Adelson, "A Multiresolution Spline", ACM TOG 2 (1983).
            ``gradient``: the crop's gradients with the picture's values at the mask's end: the difference there is
            taken off, fading inwards by a factor of e every 0.7 widths, not at all for a width of 0.
            Source: P. Perez et al., "Poisson Image Editing", ACM TOG 22 (2003); screened: P. Bhat et al., "Fourier
            Analysis of the 2D Screened Poisson Equation", ECCV 2008.
        width: in pixels.
        sides: which sides have more of the picture beyond them (``Region.open_sides``).

    Returns:
        ``[N,h,w,3]`` 0..1, to be pasted through ``alpha``; the refined crop itself where nothing is to be fitted.

    Raises:
        ValueError: for another method.
    """
    fit = chosen(_BLENDS, method, "blend")
    if fit is None:
        return refined
    beyond = [(int(first), int(last)) for first, last in sides]

    def fitted(refined: torch.Tensor, before: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        support = (alpha[0] > 0).cpu().numpy()
        if not support.any():
            return refined
        support = np.pad(support, beyond)
        if support.all():
            return refined
        difference = np.pad((refined - before)[0].cpu().numpy().astype(np.float32), [*beyond, (0, 0)], mode="edge")
        change = fit(difference, support, width)
        if change is None:
            return refined
        rows, columns = (
            slice(first, length - last) for (first, last), length in zip(beyond, support.shape, strict=True)
        )
        return (refined + torch.from_numpy(change[rows, columns]).to(refined)[None]).clamp_(0.0, 1.0)

    return by_frame(fitted, refined, before, alpha)


def paste_(image: torch.Tensor, patch: torch.Tensor, alpha: torch.Tensor, region: Region) -> None:
    """Put a patch into a picture, in place: ``(1 - alpha) * image + alpha * patch`` over the region.

    Args:
        image: ``[N,H,W,C]`` float, written to; where ``alpha`` is 0 its values stay bit for bit.
        patch: ``[N or 1,h,w,C]`` of the region's size.
        alpha: ``[N or 1,h,w]`` 0..1.
    """
    rows, columns = region.slices
    alpha = alpha[..., None]
    before = image[:, rows, columns, :]
    image[:, rows, columns, :] = (1.0 - alpha) * before + alpha * patch


def _multiband(difference: np.ndarray, support: np.ndarray, width: int) -> np.ndarray | None:
    return None if width < 1 else _bands_ramped(difference, support, width) - difference


def _gradient(difference: np.ndarray, support: np.ndarray, width: int) -> np.ndarray:
    region = covered_region(torch.from_numpy(support))
    near = region.padded(1).within(Size(*support.shape)).slices  # with the mask's end
    screen = (FADE / width) ** 2 if width > 0 else 0.0
    change = np.zeros_like(difference)
    change[near] = -_screened_membrane(np.ascontiguousarray(difference[near]), support[near], screen)
    return change


# What is added to a crop: of its difference to the picture ``[h,w,3]``, the support of the paste mask ``[h,w]`` and the
# width, ``[h,w,3]``; None where nothing is. ``feather`` has no such function.
_BLENDS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray | None] | None] = {
    "feather": None,
    "multiband": _multiband,
    "gradient": _gradient,
}
BLENDS = tuple(_BLENDS)


def _bands_ramped(difference: np.ndarray, support: np.ndarray, width: int) -> np.ndarray:
    """``[h,w,3]``: each band of the pyramid at full size, times its own ramp from the mask's end inwards."""
    import cv2

    depth = _depth(support)
    width = max(min(width, int(depth.max())), 1)
    levels = max(width.bit_length() - 2, 0)
    gaussian = [difference]
    for _ in range(levels):
        gaussian.append(cv2.pyrDown(gaussian[-1]))
    out = np.zeros_like(difference)
    for level, band in enumerate(gaussian):
        if level < levels:
            band = band - cv2.pyrUp(gaussian[level + 1], dstsize=band.shape[1::-1])
        for finer in reversed(gaussian[:level]):
            band = cv2.pyrUp(band, dstsize=finer.shape[1::-1])
        out += band * _smooth_step(depth / min(2 ** (level + 1), width) if level < levels else depth / width)[..., None]
    return out


def _depth(support: np.ndarray) -> np.ndarray:
    """Each pixel's distance in pixels to the nearest off the support, ``[h,w]`` float32, rounded as IEEE says.

    OpenCV's root is an ulp off now and then, depending on where in memory the array lies; the square is whole.
    """
    import cv2

    near = cv2.distanceTransform(support.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(near, dtype=np.float64))).astype(np.float32)


def _smooth_step(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _screened_membrane(difference: np.ndarray, support: np.ndarray, screen: float) -> np.ndarray:
    """The difference at the mask's end, carried on over the mask: ``laplace(u) = screen * u``, ``[h,w,3]``.

    Conjugate gradients on the five-point equations, begun with the solution at half the size. Off the support the
    values are 0; no equation looks past the array.
    """
    import cv2

    guess = np.zeros_like(difference)
    if min(support.shape) > COARSEST:
        half = (-(-support.shape[1] // 2), -(-support.shape[0] // 2))
        outside = (~support).astype(np.float32)
        known = cv2.resize(outside, half, interpolation=cv2.INTER_AREA)
        values = cv2.resize(difference * outside[..., None], half, interpolation=cv2.INTER_AREA)
        coarse = known < 0.5
        if coarse.any() and not coarse.all():
            values = np.where(known[..., None] > 0, values / np.maximum(known, 1e-6)[..., None], 0.0)
            solved = _screened_membrane(values.astype(np.float32), coarse, 4 * screen)
            solved[~coarse] = values[~coarse]
            guess = cv2.resize(solved, support.shape[::-1], interpolation=cv2.INTER_LINEAR)
    inside = support.astype(np.float32)
    weight = _neighbours(np.ones_like(inside)) + np.float32(screen)
    planes = [
        _conjugate_gradients(
            inside * _neighbours((1 - inside) * difference[..., channel]), inside * guess[..., channel], inside, weight
        )
        for channel in range(difference.shape[-1])
    ]
    return np.stack(planes, axis=-1)


def _neighbours(plane: np.ndarray) -> np.ndarray:
    """The sum of the four neighbours, those outside the array being 0."""
    import cv2

    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
    return cv2.filter2D(plane, cv2.CV_32F, cross, borderType=cv2.BORDER_CONSTANT)


def _conjugate_gradients(wanted: np.ndarray, u: np.ndarray, inside: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Solve ``weight * u - neighbours(u) = wanted`` inside.

    Source: M. Hestenes and E. Stiefel, "Methods of Conjugate Gradients", J. Res. NBS 49 (1952).
    """
    u = u.copy()
    residual = inside * (wanted - weight * u + _neighbours(u))
    direction = residual.copy()
    power = float(np.vdot(residual, residual))
    enough = TOLERANCE**2 * float(inside.sum())
    image, moved = np.empty_like(u), np.empty_like(u)
    for _ in range(MOST_STEPS):
        if power <= enough:
            break
        np.multiply(weight, direction, out=image)
        image -= _neighbours(direction)
        image *= inside
        step = np.float32(power / float(np.vdot(direction, image)))
        u += np.multiply(step, direction, out=moved)
        residual -= np.multiply(step, image, out=moved)
        before, power = power, float(np.vdot(residual, residual))
        direction *= np.float32(power / before)
        direction += residual
    return u
