"""Hard cuts of a clip: where a frame's structure goes on from nothing before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

LONGER_SIDE = 96  # pixels at which frames are compared
FINE, COARSE = 1.2, 6.0  # pixels there: the blurs between which structure lies
NEAR = 4  # frames on either side that say what is usual here
ALIKE_AGAIN = 0.25  # a flash: of the jump's size, what the frames around it may differ by
FLASH = 2  # frames that it lasts at most
MOST_SHIFT = 0.3  # of a side that a picture may move by from frame to frame
THRESHOLD = 0.18
NEVER = 1.0


def glance(frame: torch.Tensor) -> np.ndarray:
    """A frame ``[H,W,3]`` float 0..1 as it is compared: its structure at a small size, ``[h,w]`` float32.

    A flash or a fade takes nothing away from it but contrast.
    """
    import cv2

    values = frame.detach().to("cpu", torch.float32).numpy()
    scale = LONGER_SIDE / max(values.shape[:2])
    width, height = (max(round(side * scale), 8) for side in values.shape[1::-1])
    grey = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA).mean(axis=-1)
    return cv2.GaussianBlur(grey, (0, 0), FINE) - cv2.GaussianBlur(grey, (0, 0), COARSE)


def change(first: np.ndarray, second: np.ndarray) -> float:
    """How far a frame's structure is from that of another: 0 for the same, about 1 for unrelated ones, 2 at most.

    One less the correlation, where the pictures lie as they are or after the shift that fits best, whichever is larger.
    Source: C. Kuglin and D. Hines, "The Phase Correlation Image Alignment Method", IEEE Cybernetics and Society 1975.
    """
    import cv2

    height, width = first.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(first.astype(np.float64), second.astype(np.float64), window)
    best = _correlation(first, second)
    x, y = round(dx), round(dy)
    if abs(x) <= MOST_SHIFT * width and abs(y) <= MOST_SHIFT * height:
        was = first[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        now = second[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)]
        best = max(best, _correlation(was, now))
    return 1.0 - best


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    power = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    if power < 1e-4:  # nothing to be seen in one of them: they are alike if in both
        return float(np.square(a - b).sum() < 1e-4)
    return float((a * b).sum() / power)


def cuts(glances: Iterable[np.ndarray], threshold: float = THRESHOLD) -> tuple[int, ...]:
    """The frames that begin a new shot; the first one is none of them.

    A cut is where a frame's ``change`` to the one before stands out by ``threshold`` from the changes nearby, and the
    frames after it don't come back to what was before (a flash, or a thing that passes close by).

    Args:
        threshold: 0..1; at 1 nothing is a cut.
    """
    if threshold >= NEVER:
        return ()
    seen: dict[int, np.ndarray] = {}  # those that are still to be compared with
    changes: list[float] = []
    found: list[int] = []

    def look(index: int) -> None:
        others = range(max(index - NEAR, 1), min(index + NEAR + 1, len(changes)))
        near = [changes[other] for other in others if other != index and other not in found]
        usual = float(np.median(near)) if near else 0.0
        if changes[index] - usual > threshold and not any(_comes_back(seen, changes, index)):
            found.append(index)

    for index, one in enumerate(glances):
        changes.append(change(seen[index - 1], one) if index else 0.0)
        seen[index] = one
        seen.pop(index - NEAR - FLASH - 2, None)
        if index > NEAR:
            look(index - NEAR)
    for index in range(max(len(changes) - NEAR, 1), len(changes)):
        look(index)
    return tuple(found)


def _comes_back(seen: Mapping[int, np.ndarray], changes: Sequence[float], index: int) -> Iterator[bool]:
    """Whether what comes within a few frames is what was before, or this is the return to it."""
    for length in range(1, FLASH + 1):
        if index + length in seen:  # a flash begins here
            yield change(seen[index - 1], seen[index + length]) < ALIKE_AGAIN * changes[index]
        if index - 1 - length in seen:  # and here it ends
            yield change(seen[index - 1 - length], seen[index]) < ALIKE_AGAIN * changes[index]
