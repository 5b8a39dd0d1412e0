"""How a part moves from frame to frame, by what the picture shows under its mask: shift, zoom and turn."""

from __future__ import annotations

import cmath
from dataclasses import dataclass

import numpy as np
import torch

from ..region import Region, Size
from .pose import Pose
from .sightings import Sighting

SIGMAS = (4.0, 1.5, 0.8)  # pixels of the frame: the blurs under which pictures are compared, coarse first
STEPS = 12  # at most, under each
ENOUGH = 2e-3  # pixels: a step that moves no corner by more is the last
PLACES = 6000  # pixels that the steps look at at most
RIM = 3.0  # pixels inside the mask's edge that say nothing: masks shake
LEAST_LIKE = 0.75  # correlation with the template from which a place is believed
TEMPLATE_LIKE = 0.93  # below it the next frame is compared with this one
LEAST_PLACES = 64
LEAST_SHOWN = 0.05  # of a template: what must be in sight for it to be found
STRAY = 0.02  # what pictures differ by in 0..1 where they are the same, for doubts


@dataclass(frozen=True)
class Found:
    """Where a template was found.

    Attributes:
        pose: its window's place in the frame.
        like: how well it fits there: the correlation, up to 1.
        doubt: standard errors of x and y in pixels, of the zoom's logarithm and of the turn.
    """

    pose: Pose
    like: float
    doubt: tuple[float, float, float, float]


class Template:
    """What a part looked like in a frame.

    Args:
        frame: ``[H,W,3]`` float 0..1.
        mask: ``[h,w]`` float 0..1, the part's in the window.
        pose: the window's place there.
    """

    def __init__(self, frame: torch.Tensor, mask: np.ndarray, pose: Pose) -> None:
        self.window, self.pose = Size(*mask.shape), pose
        weights = _solid(mask).ravel()
        places = np.flatnonzero(weights > 0)
        places = places[:: -(-len(places) // PLACES) or 1]
        self.weights = weights[places]
        rows, columns = np.divmod(places, self.window.width)
        self.offsets = (columns + 0.5 - self.window.width / 2) + 1j * (rows + 0.5 - self.window.height / 2)
        self.levels = [self._level(Seen(frame, self._area(pose), sigma)) for sigma in SIGMAS]

    @property
    def is_blank(self) -> bool:
        return len(self.weights) < LEAST_PLACES

    def _area(self, pose: Pose) -> Region:
        return pose.covered(self.window).padded(max(self.window.longer // 2, 24))

    def _level(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """Values and gradients by the window's x and y at the places, of the template's own frame."""
        pose = self.pose
        factor = cmath.rect(pose.zoom, pose.turn)
        points = complex(pose.x, pose.y) + factor * self.offsets
        across = seen.at(points + factor * 0.5) - seen.at(points - factor * 0.5)
        down = seen.at(points + factor * 0.5j) - seen.at(points - factor * 0.5j)
        x, y = self.offsets.real, self.offsets.imag
        slopes = np.stack([across, down, across * x + down * y, down * x - across * y], axis=1)
        return seen.at(points), slopes

    def find(self, frame: torch.Tensor, guesses: list[Pose], sighting: Sighting | None = None) -> Found:
        """Where it is in a frame ``[H,W,3]`` float 0..1, begun at the best of some guesses.

        Only what is in sight is compared: what lies in the frame, and where the part was seen there, under its mask.
        Weighted least squares on the gradients, gain and offset taken out, what fits badly counting less.
        Source: S. Baker and I. Matthews, "Lucas-Kanade 20 Years On", IJCV 56 (2004): inverse compositional.

        Returns:
            with a likeness of 0 where too little of it is in sight.
        """
        area = self._area(guesses[0])
        for guess in guesses[1:]:
            area = area.union(self._area(guess))
        shown = Shown(Size(*frame.shape[:2]), sighting)
        levels = [Seen(frame, area, sigma, shown) for sigma in SIGMAS]
        pose = max(guesses, key=lambda guess: self._like(levels[0], guess, 0))
        doubt = (np.inf, np.inf, np.inf, np.inf)
        for level, seen in enumerate(levels):
            pose, doubt = self._nearer(seen, pose, level)
        like = self._like(levels[-1], pose, len(levels) - 1) if np.isfinite(doubt).all() else 0.0
        return Found(pose, like, doubt)

    def _points(self, pose: Pose) -> np.ndarray:
        return complex(pose.x, pose.y) + cmath.rect(pose.zoom, pose.turn) * self.offsets

    def _in_sight(self, seen: Seen, points: np.ndarray) -> np.ndarray:
        """The places' weights where they are to be seen."""
        return self.weights * seen.shown.at(points)

    def _like(self, seen: Seen, pose: Pose, level: int) -> float:
        points = self._points(pose)
        weights = self._in_sight(seen, points)
        if weights.sum() < LEAST_SHOWN * self.weights.sum():
            return 0.0
        values, wanted = seen.at(points), self.levels[level][0]
        weights = weights / weights.sum()
        values, wanted = values - weights @ values, wanted - weights @ wanted
        power = float(np.sqrt((weights @ values**2) * (weights @ wanted**2)))
        return float(weights @ (values * wanted)) / power if power > 1e-9 else 0.0

    def _nearer(self, seen: Seen, pose: Pose, level: int) -> tuple[Pose, tuple[float, float, float, float]]:
        wanted, slopes = self.levels[level]
        radius = max(float(np.abs(self.offsets).max()), 1.0)
        scale = np.array([1.0, 1.0, radius, radius])
        slopes = slopes / scale  # of steps in pixels at the rim
        normal = np.eye(4)
        for _ in range(STEPS):
            points = self._points(pose)
            weights = self._in_sight(seen, points)
            if np.count_nonzero(weights) < LEAST_PLACES:
                return pose, (np.inf, np.inf, np.inf, np.inf)
            off = seen.at(points) - wanted
            usual = float(np.median(off[weights > 0]))
            stray = max(1.5 * float(np.median(np.abs(off[weights > 0] - usual))), 1e-4)
            weights = weights / (1.0 + (np.abs(off - usual) / (3 * stray)) ** 2)
            design = np.concatenate([slopes, wanted[:, None], np.ones((len(wanted), 1))], axis=1)
            weighted = design * weights[:, None]
            normal = design.T @ weighted
            normal[np.diag_indices(6)] += 1e-9 * np.trace(normal) + 1e-9
            step = np.linalg.solve(normal, weighted.T @ off)[:4]
            step = np.clip(step, -4.0, 4.0)
            moved, grown = complex(step[0], step[1]), 1.0 + complex(step[2], step[3]) / radius
            factor = cmath.rect(pose.zoom, pose.turn)
            centre = complex(pose.x, pose.y) - factor * moved / grown
            factor /= grown
            pose = Pose(centre.real, centre.imag, abs(factor), cmath.phase(factor))
            if np.abs(step).max() < ENOUGH:
                break
        errors = STRAY * np.sqrt(np.maximum(np.diag(np.linalg.inv(normal)), 0.0)[:4]) * 4.0
        x, y, zoom, turn = (float(one) for one in errors / scale)
        return pose, (x, y, zoom, turn)


def _solid(mask: np.ndarray) -> np.ndarray:
    """How surely the pixels of a mask ``[h,w]`` 0..1 are the part's own, 0..1: not at its edge, as masks shake."""
    import cv2

    solid = (mask > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    depth = depth[1:-1, 1:-1]
    return np.clip((depth - min(RIM, float(depth.max()) / 3)) / 2.0, 0.0, 1.0)


class Shown:
    """Where a part is in sight in a frame: within the frame, and where it was seen, under its mask."""

    def __init__(self, picture: Size, sighting: Sighting | None) -> None:
        self._picture, self._sighting = picture, sighting
        self._solid = None if sighting is None else _solid(sighting.mask)

    def at(self, points: np.ndarray) -> np.ndarray:
        """How surely, 0..1, at points ``x + yi`` of the frame."""
        x, y = np.real(points), np.imag(points)
        from_edge = np.minimum(np.minimum(x, self._picture.width - x), np.minimum(y, self._picture.height - y))
        inside = np.clip(from_edge / RIM, 0.0, 1.0)
        if self._sighting is None or self._solid is None:
            return inside
        region = self._sighting.region
        rows, columns = np.floor(y).astype(np.int64) - region.y1, np.floor(x).astype(np.int64) - region.x1
        there = (rows >= 0) & (rows < region.height) & (columns >= 0) & (columns < region.width)
        solid = self._solid[np.clip(rows, 0, region.height - 1), np.clip(columns, 0, region.width - 1)]
        return np.where(there, np.minimum(solid, inside), 0.0)


class Seen:
    """A part of a frame, blurred, to be looked at between its pixels."""

    def __init__(self, frame: torch.Tensor, area: Region, sigma: float, shown: Shown | None = None) -> None:
        import cv2
        from scipy.ndimage import spline_filter

        height, width = frame.shape[:2]
        self.shown = shown or Shown(Size(height, width), None)
        inside = area.padded(int(4 * sigma) + 2).within(Size(height, width))
        if inside.is_empty:
            inside = Region.whole(Size(height, width))
        grey = frame[inside.slices].detach().to("cpu", torch.float32).mean(dim=-1).numpy()
        self._origin = complex(inside.x1 + 0.5, inside.y1 + 0.5)
        self._spline = spline_filter(cv2.GaussianBlur(grey, (0, 0), sigma), order=3, mode="mirror", output=np.float64)

    def at(self, points: np.ndarray) -> np.ndarray:
        from scipy.ndimage import map_coordinates

        places = points - self._origin
        coordinates = np.stack([places.imag, places.real])
        return map_coordinates(self._spline, coordinates, order=3, mode="mirror", prefilter=False)
