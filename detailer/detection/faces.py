"""Looking for faces as photographs show them: lying, upside down, small.

MediaPipe's detector sees faces that lean by less than some 45 degrees and fill a good part of what it looks at. It
takes a face that stands on its head for an upright one, surely enough at times, and its landmarks are then upside down;
but the view in which a face stands upright scores higher. So the picture is looked at in several views, and each place
where one of them shows a face is looked at once more: alone, enlarged and turned upright. What is seen there counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .. import host
from ..host.detection import Face
from ..host.protocols import FaceModel

FACE_VARIANTS = ("short", "full")
# fast: one look at the whole. normal: in four quarter turns, then closer. thorough: in overlapping tiles too.
FACE_DETAILS = ("fast", "normal", "thorough")
FAST, NORMAL, THOROUGH = FACE_DETAILS

QUARTERS = range(4)
SEEN_SIDE = 512  # pixels: what is larger is shrunk first, as the detector sees 192 at most
TILE = 3 / 8  # of the longer side: ``full`` sees faces of a sixteenth of a tile
TILE_OVERLAP = 1 / 3  # of a tile: what is larger is seen in the whole picture
CLOSE_SIDE, CLOSE_MARGIN = 384, 2.2  # pixels; the side of a closer look, in a face's longer sides
LEAST_FIRST, FIRST_SHARE = 0.15, 0.5  # of the least score: the closer look decides
MOST_LOOKS = 2
AGREE = 0.15  # of a face's longer side, by which its landmarks move at most
SAME_LEAN = math.pi / 4
OVERLAP, CONTAINED = 0.3, 0.6  # from there on two boxes are one face: of both together, and of the smaller
BEYOND_OVAL = ("nose", "lips", "left_eye", "right_eye")  # of a face that looks aside
HIDDEN = 0.5  # of the other eye's width
IN_ONE_GO = 16  # views that are looked at together


@dataclass(frozen=True)
class View:
    """A part of a picture as it is shown to the detector.

    Attributes:
        pixels: ``[h,w,3]`` uint8.
        back: ``[2,3]``, where a point ``x, y, 1`` of it lies in the picture.
    """

    pixels: np.ndarray
    back: np.ndarray

    def turned(self, quarters: int) -> View:
        """The same part in so many quarter turns anticlockwise."""
        height, width = self.pixels.shape[:2]
        turns = (
            ((1, 0, 0), (0, 1, 0)),
            ((0, -1, width), (1, 0, 0)),
            ((-1, 0, width), (0, -1, height)),
            ((0, 1, 0), (-1, 0, height)),
        )
        return View(np.ascontiguousarray(np.rot90(self.pixels, quarters)), _after(turns[quarters % 4], self.back))


def look_for_faces(model: FaceModel, pixels: np.ndarray, threshold: float, variant: str, detail: str) -> list[Face]:
    """The faces in a picture, each once, the surest first.

    Args:
        pixels: ``[H,W,3]`` uint8.
        threshold: 0..1, the least score.
        variant: one of ``FACE_VARIANTS``.
        detail: one of ``FACE_DETAILS``.
    """
    if detail == FAST:
        (found,) = host.detection.faces_in(model, [pixels], threshold, variant)
        return each_once(found)
    whole = _shown(pixels, 0, 0, *pixels.shape[1::-1])
    search = _Search(model, pixels, threshold)
    found = search.closer(search.places([whole], variant), ("short",))
    if detail == THOROUGH:
        places = search.places(list(_tiles(pixels)), "full")
        new = [place for place in places if not any(_one_face(place, face) for face in found)]
        # small things look like faces easily: both detectors must see one
        found = [*found, *search.closer(new, FACE_VARIANTS)]
    return each_once(found)


@dataclass(frozen=True)
class _Search:
    """For faces of at least a score in one picture."""

    model: FaceModel
    pixels: np.ndarray
    threshold: float

    @property
    def least(self) -> float:
        """The least score of a first look, which may be half as sure as asked for."""
        return max(self.threshold * FIRST_SHARE, LEAST_FIRST)

    def places(self, views: Sequence[View], variant: str) -> list[Face]:
        """What may be a face, once for each place and lean; each view is looked at in four quarter turns."""
        turns = [view.turned(quarters) for view in views for quarters in QUARTERS]
        seen = _seen(self.model, turns, self.least, variant)
        return _each_hypothesis(self.model, [face for faces in seen for face in faces])

    def closer(self, places: Sequence[Face], variants: Sequence[str]) -> list[Face]:
        """The places that a closer look bears out: the landmarks of the first variant, the least score of all.

        Where a face was seen slantwise the landmarks move; a face then keeps them at one look more, and nothing else
        does. Both looks together must be as sure as is asked for.
        """
        found = []
        looked = [(place, place.score) for place in places]
        for _ in range(MOST_LOOKS):
            moved = []
            for (place, first), face in zip(looked, self._look([place for place, _ in looked], variants), strict=True):
                if face is None:
                    continue
                if not _agree(place, face):
                    moved.append((face, first))
                elif (first + face.score) / 2 >= self.threshold:
                    found.append(face)
            looked = moved
        return found

    def _look(self, places: Sequence[Face], variants: Sequence[str]) -> list[Face | None]:
        found: list[Face | None] = list(places)
        views = [_close_up(self.model, self.pixels, place) for place in places]
        for number, variant in enumerate(variants):
            left = [index for index, face in enumerate(found) if face is not None]
            seen = _seen(self.model, [views[index] for index in left], self.threshold, variant)
            for index, faces in zip(left, seen, strict=True):
                face, before = _same_face(self.model, places[index], faces), found[index]
                if face is not None and before is not None and number:
                    face = Face(before.landmarks, min(before.score, face.score))
                found[index] = face
        return found


def part_of(face: Face, model: FaceModel, landmarks: str) -> np.ndarray:
    """The landmarks of a part of a face, ``[n,2]`` ``x, y``; of a whole face also what stands out of it in profile."""
    sets = [landmarks, *(BEYOND_OVAL if landmarks == "face_oval" else ())]
    edges = [edge for one in sets for edge in host.detection.face_edges(model, one)]
    return face.landmarks[sorted({point for edge in edges for point in edge})]


def eyes_of(face: Face, model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """The middles of both eyes, ``x, y``; first the one on the left of an upright face, which is the person's right."""
    right, left = (part_of(face, model, eye).mean(axis=0) for eye in ("right_eye", "left_eye"))
    return right, left


def sees(face: Face, model: FaceModel, landmarks: str) -> bool:
    """Whether a part is in sight: of a face in profile one eye and its brow are not.

    The landmarks go on there, squeezed together: the eye that is turned away has a fraction of the other one's width.
    """
    side, _, part = landmarks.partition("_")
    if side not in ("left", "right") or part not in ("eye", "eyebrow"):
        return True
    lean = _lean(face, model)
    across = np.array([math.cos(lean), math.sin(lean)])
    mine, other = (
        float(np.ptp(part_of(face, model, f"{one}_eye") @ across))
        for one in (side, "left" if side == "right" else "right")
    )
    return mine >= HIDDEN * other


def each_once(faces: Sequence[Face]) -> list[Face]:
    """Of faces whose boxes lie on each other only the surest; the surest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_one_face(face, other) for other in kept):
            kept.append(face)
    return kept


def _one_face(one: Face, other: Face) -> bool:
    return _overlap(one, other) > OVERLAP or _contained(one, other) > CONTAINED


# --- views --------------------------------------------------------------------------------------------------------


def _shown(pixels: np.ndarray, x: int, y: int, width: int, height: int) -> View:
    """A rectangle of the picture, shrunk to what the detector needs."""
    import cv2

    part = pixels[y : y + height, x : x + width]
    scale = max(*part.shape[:2], SEEN_SIDE) / SEEN_SIDE
    size = [max(round(side / scale), 1) for side in (width, height)]
    back = np.array([[width / size[0], 0, x], [0, height / size[1], y]])
    return View(cv2.resize(part, size, interpolation=cv2.INTER_AREA) if scale > 1 else part, back)


def _tiles(pixels: np.ndarray) -> Iterator[View]:
    height, width = pixels.shape[:2]
    side = max(math.ceil(max(height, width) * TILE), 1)
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield _shown(pixels, x, y, min(side, width), min(side, height))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin that cover a length evenly and overlap."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - TILE_OVERLAP)))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def _close_up(model: FaceModel, pixels: np.ndarray, face: Face) -> View:
    """The face alone, turned upright and in the middle."""
    import cv2

    lean = _lean(face, model)
    cos, sin = math.cos(lean), math.sin(lean)
    upright = face.landmarks @ np.array([[cos, -sin], [sin, cos]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    side = max(float((high - low).max()) * CLOSE_MARGIN, 8.0)
    middle = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
    # what the turned square covers of the picture, shrunk first: a warp alone would skip pixels
    reach = side * (abs(cos) + abs(sin)) / 2 + 2
    x1, y1 = (max(math.floor(value - reach), 0) for value in middle)
    x2, y2 = (min(math.ceil(value + reach), most) for value, most in zip(middle, pixels.shape[1::-1], strict=True))
    around, corner = pixels[y1:y2, x1:x2], np.array([x1, y1])
    if not around.size:
        around, corner = pixels[:1, :1], np.zeros(2)
    scale = min(CLOSE_SIDE / side, 1.0)
    size = [max(round(length * scale), 1) for length in around.shape[1::-1]]
    shrunk = cv2.resize(around, size, interpolation=cv2.INTER_AREA) if scale < 1 else around
    ratio = np.array([shrunk.shape[1] / around.shape[1], shrunk.shape[0] / around.shape[0]])
    length = max(round(side * scale), 8)
    linear = np.array([[cos, -sin], [sin, cos]]) * (side / length)
    back = np.column_stack([linear, middle - linear @ np.full(2, length / 2)])
    # OpenCV's whole numbers are the pixels' centres
    to_shrunk = ratio[:, None] * np.column_stack([linear, back[:, 2] - corner + linear @ np.full(2, 0.5)])
    to_shrunk[:, 2] -= 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return View(cv2.warpAffine(shrunk, to_shrunk, (length, length), flags=flags), back)


def _after(first: object, then: np.ndarray) -> np.ndarray:
    """One affine map after another, both ``[2,3]``."""
    return then @ np.vstack([np.asarray(first, np.float64), [0.0, 0.0, 1.0]])


def _seen(model: FaceModel, views: Sequence[View], least: float, variant: str) -> list[list[Face]]:
    """The faces in each view, as they lie in the picture."""
    found: list[list[Face]] = []
    for start in range(0, len(views), IN_ONE_GO):
        host.devices.check_interrupted()
        some = views[start : start + IN_ONE_GO]
        for view, faces in zip(
            some, host.detection.faces_in(model, [view.pixels for view in some], least, variant), strict=True
        ):
            linear, offset = view.back[:, :2], view.back[:, 2]
            found.append([Face((face.landmarks @ linear.T + offset).astype(np.float32), face.score) for face in faces])
    return found


# --- which of them are one face -----------------------------------------------------------------------------------


def _each_hypothesis(model: FaceModel, faces: Sequence[Face]) -> list[Face]:
    """Of faces at one place that lean alike the surest: upright and upside down are two guesses."""
    kept: list[tuple[Face, float]] = []
    for face in sorted(faces, key=lambda face: -face.score):
        lean = _lean(face, model)
        if not any(_overlap(face, other) > 0.5 and _apart(lean, its) < SAME_LEAN for other, its in kept):
            kept.append((face, lean))
    return [face for face, _ in kept]


def _same_face(model: FaceModel, place: Face, seen: Sequence[Face]) -> Face | None:
    """What a closer look shows of the face that it was meant for."""
    lean = _lean(place, model)
    same = [face for face in seen if _apart(_lean(face, model), lean) < SAME_LEAN and _overlap(face, place) > OVERLAP]
    return max(same, key=lambda face: face.score, default=None)


def _agree(one: Face, other: Face) -> bool:
    """Whether both have their landmarks at the same places."""
    apart = float(np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean())
    return apart < AGREE * float(np.ptp(one.landmarks, axis=0).max())


def _lean(face: Face, model: FaceModel) -> float:
    """By how far it is turned, in radians clockwise from upright."""
    left, right = eyes_of(face, model)
    return math.atan2(right[1] - left[1], right[0] - left[0])


def _apart(one: float, other: float) -> float:
    return abs(math.remainder(one - other, 2 * math.pi))


def _corners(face: Face) -> np.ndarray:
    return np.concatenate([face.landmarks.min(axis=0), face.landmarks.max(axis=0)])


def _shared(one: Face, other: Face) -> tuple[float, float, float]:
    """The areas of two boxes' intersection and of each."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = _corners(one), _corners(other)
    both = max(min(ax2, bx2) - max(ax1, bx1), 0.0) * max(min(ay2, by2) - max(ay1, by1), 0.0)
    return float(both), float((ax2 - ax1) * (ay2 - ay1)), float((bx2 - bx1) * (by2 - by1))


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union of their boxes."""
    both, first, second = _shared(one, other)
    return both / max(first + second - both, 1e-9)


def _contained(one: Face, other: Face) -> float:
    """The share of the smaller box that lies in the larger one."""
    both, first, second = _shared(one, other)
    return both / max(min(first, second), 1e-9)
