"""Masks: one form for all that occur, resizing, the blur of every feather, growing and shrinking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from .banded import Band, along_height, along_width
from .kept import Kept
from .region import Region, Size
from .tables import chosen

BLUR_SIGMA = 10.0
MOST_KEPT = 2**22  # bytes of blurs that are kept: a dozen with a feather of 100


def as_mask_batch(mask: torch.Tensor | np.ndarray, size: Size | None = None) -> torch.Tensor:
    """A mask in any rank that occurs, as ``[B,H,W]`` float32 (memory shared where possible).

    ``[H,W]`` is one mask; ``[1,n,H,W]`` and ``[n,1,H,W]`` are n masks. The channel may come last: ``[H,W,1]`` is one
    mask, ``[n,H,W,1]`` are n. Where that could be masks one pixel wide too, it is those if ``size`` says so, and if
    they would be one pixel high otherwise.

    Args:
        size: of the picture that the mask is for, where it is known.

    Raises:
        ValueError: for any other rank and for pictures, naming the shape.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(mask)) if isinstance(mask, np.ndarray) else mask
    shape = tensor.shape
    if tensor.ndim in (3, 4) and _ends_in_channel(shape, size):
        tensor = tensor[..., 0]
    if tensor.ndim == 2:
        tensor = tensor[None]
    elif tensor.ndim == 4 and 1 in tensor.shape[:2] and not _is_picture(tensor.shape):
        tensor = tensor.reshape(-1, *tensor.shape[-2:])
    if tensor.ndim != 3:
        raise ValueError(f"a mask is [H,W], [B,H,W], [B,1,H,W] or [B,H,W,1], not {list(shape)}")
    return tensor.to(torch.float32)


def _ends_in_channel(shape: Sequence[int], size: Size | None) -> bool:
    """Whether a mask's last axis, of three or four, is its one channel."""
    if shape[-1] != 1 or tuple(shape[-2:]) == size:
        return False
    return min(shape[-3:-1]) > 1 or tuple(shape[-3:-1]) == size


def _is_picture(shape: Sequence[int]) -> bool:
    """Whether ``[1,H,W,C]`` has colours, rather than ``[1,n,H,W]`` masks that are two to four pixels wide."""
    return shape[-1] in (2, 3, 4) and min(shape[1:3]) > shape[-1]


def resize_mask(mask: torch.Tensor, size: Size) -> torch.Tensor:
    """``[B,H,W]`` -> ``[B,size.height,size.width]``, bilinear with half-pixel centres; the same tensor if it fits.

    No value is beyond those of the mask.
    """
    if tuple(mask.shape[-2:]) == size:
        return mask
    if 0 in mask.shape:  # detectors give such masks with empty regions
        return mask.new_zeros(mask.shape[0], *size)
    resized = torch.nn.functional.interpolate(mask[:, None], size=tuple(size), mode="bilinear", align_corners=False)
    low, high = mask.aminmax()
    # weights that sum to 1 but for rounding make 1.0000001 of ones; NaN has no range to keep to
    return resized[:, 0].clamp_(low, high) if bool(low <= high) else resized[:, 0]


def blur_kernel_size(size: Size, feather: int) -> int:
    """The blur's kernel length in pixels for a mask of ``size``: ``2 * feather + 1``, or 0 for no blur.

    A mask whose shorter side is not larger than the kernel gets half that side, made odd upward; a kernel under 3
    means no blur.
    """
    if feather <= 0:
        return 0
    kernel = 2 * feather + 1
    if size.shorter <= kernel:
        kernel = size.shorter // 2
        kernel += 1 - kernel % 2
    return kernel if kernel >= 3 else 0


def gaussian(kernel: int, sigma: float) -> np.ndarray:
    """``kernel`` (odd) samples of a Gaussian around its middle, summing to 1."""
    x = np.arange(kernel) - kernel // 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


def _line(kernel: int, sigma: float) -> np.ndarray:
    weights = np.ones(kernel)
    return weights / weights.sum()


def _raised_cosine(kernel: int, sigma: float) -> np.ndarray:
    reach = kernel // 2
    weights = np.ones(kernel)
    weights += np.cos(np.pi * np.arange(-reach, reach + 1) / (reach + 1))
    return weights / weights.sum()


# What a straight edge becomes, by the blur that does it: what the ramp rises by from pixel to pixel.
_RAMPS: dict[str, Callable[[int, float], np.ndarray]] = {
    "gaussian": gaussian,
    "linear": _line,
    "smooth": _raised_cosine,
}
RAMPS = tuple(_RAMPS)


def _blur_rows(kernel: int, sigma: float, ramp: str) -> np.ndarray:
    """The weights of ``kernel`` samples by the place among them of the one that is blurred, ``[kernel,kernel]``.

    In the middle it is the blur; the others are those near a line's ends, where what the blur reaches past the end is
    reflected (without repeating the end). They are the same however long the line is.
    """
    weights, reach, places = chosen(_RAMPS, ramp, "ramp")(kernel, sigma), kernel // 2, np.arange(kernel)
    rows = np.zeros((kernel, kernel))
    for offset, weight in zip(range(-reach, reach + 1), weights, strict=True):
        source = np.abs(places + offset)
        source = np.where(source >= kernel, 2 * (kernel - 1) - source, source)
        np.add.at(rows, (places, source), weight)
    return rows


blur_rows = Kept(_blur_rows, size=lambda rows: rows.nbytes, most=MOST_KEPT)


def _blur_band(length: int, kernel: int, sigma: float, ramp: str) -> Band:
    """The blur as a matrix on a line of ``length`` samples, at least ``kernel``."""
    starts = np.clip(np.arange(length) - kernel // 2, 0, length - kernel)
    return Band(blur_rows(kernel, sigma, ramp)[np.arange(length) - starts], starts, length)


def blur_mask(mask: torch.Tensor, feather: int, sigma: float = BLUR_SIGMA, ramp: str = "gaussian") -> torch.Tensor:
    """The blur of every feather: a Gaussian of ``sigma`` pixels cut off at ``feather`` pixels, reflect padding.

    Args:
        mask: ``[B,H,W]`` float.
        feather: pixels a value can spread; 0 or less leaves the mask untouched.
        sigma: the Gaussian's width in pixels.
        ramp: what a straight edge becomes: ``gaussian``, that of the Gaussian; ``linear``, a straight line over
            ``2 * feather + 1`` pixels; ``smooth``, level at both ends (a raised cosine's integral). The last two
            reach as far as ``feather``, however large.

    Returns:
        ``[B,H,W]``, within the range of the input; the input itself where there is nothing to blur.

    Raises:
        ValueError: for another ramp.
    """
    chosen(_RAMPS, ramp, "ramp")
    size = Size(*mask.shape[-2:])
    kernel = blur_kernel_size(size, feather)
    if not kernel:
        return mask
    blurred = along_width(mask, _blur_band(size.width, kernel, sigma, ramp))
    return along_height(blurred, _blur_band(size.height, kernel, sigma, ramp)).clamp_(0.0, 1.0)


def dilate_mask(mask: torch.Tensor, dilation: int) -> torch.Tensor:
    """Grow a mask by the largest value, or shrink it by the smallest, in a square of ``abs(dilation)`` pixels.

    A growing pixel spreads ``(dilation - 1) // 2`` pixels to the left and top and ``dilation // 2`` to the right and
    bottom. What lies outside the picture neither adds to the mask nor takes from it.

    Args:
        mask: ``[B,H,W]`` float32.
        dilation: the square's side in pixels; negative shrinks; -1, 0 and 1 change nothing.

    Returns:
        ``[B,H,W]`` on the CPU, a new tensor.
    """
    frames = mask.detach().cpu()
    if abs(dilation) < 2:
        return frames.clone()
    import cv2  # here, since it would double the time it takes to import the pack

    change = cv2.dilate if dilation > 0 else cv2.erode
    square = np.ones((abs(dilation), abs(dilation)), np.uint8)
    changed = torch.empty(frames.shape)
    for before, after in zip(frames.numpy(), changed, strict=True):
        after.copy_(torch.from_numpy(change(np.ascontiguousarray(before), square)))
    return changed


def covered_region(mask: torch.Tensor) -> Region:
    """The smallest region that holds all of a mask above 0; an empty one where nothing is.

    Args:
        mask: ``[h,w]``, or ``[N,h,w]`` for what holds all frames.
    """
    covered = (mask > 0).reshape(-1, *mask.shape[-2:]).any(dim=0)
    rows, columns = covered.any(dim=1).nonzero(), covered.any(dim=0).nonzero()
    if not len(rows):
        return Region(0, 0, 0, 0)
    return Region(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
