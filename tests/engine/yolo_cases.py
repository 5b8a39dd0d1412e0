"""What the tests of YOLO files share: pictures of all kinds, files with random weights, and what the library finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torchvision
from mask_detailer.core import Size
from mask_detailer.detailer.detection.yolo.boxes import MOST, OVERLAP, Frame, frame_for, shown_to_net
from mask_detailer.detailer.detection.yolo.checkpoint import read_checkpoint
from mask_detailer.detailer.detection.yolo.detector import Thing, YoloModel
from mask_detailer.detailer.detection.yolo.heads import Seen
from mask_detailer.detailer.detection.yolo.values import Checkpoint
from numpy.typing import NDArray
from support.ultralytics_files import run_jobs

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field")
THRESHOLD = 0.12  # lively random weights score mostly between 0.01 and 0.2
ONCE = ("yolov10", "yolo26")
BOX, SCORE, IOU = 0.5, 1e-3, 0.99  # pixels, and the least that is alike
MOST_ADAPTED_TO = 10  # pictures: what random weights are adapted to, so that they don't shout
EDGE = 1e-3  # of the threshold: what lies so near may be found by one and not by the other

Pixels = NDArray[np.uint8]


def pictures(count: int, seed: int = 0) -> list[Pixels]:
    """Photographs, drawn things and noise in turn, ``[H,W,3]`` uint8 of odd sizes, some very long."""
    dice = np.random.default_rng(seed)
    makers = (_photograph, _drawn, _noise)
    return [makers[number % 3](dice, _size(dice, number)) for number in range(count)]


def _size(dice: np.random.Generator, number: int) -> tuple[int, int]:
    height, width = (int(side) for side in dice.integers(70, 1000, 2))
    return (height, width) if number % 7 else (int(dice.integers(20, 60)), width)


def _photograph(dice: np.random.Generator, size: tuple[int, int]) -> Pixels:
    from skimage import data

    whole = getattr(data, str(dice.choice(PHOTOGRAPHS)))()
    top, left = (int(dice.integers(0, side // 3)) for side in whole.shape[:2])
    part = np.ascontiguousarray(whole[top:, left:])
    return np.asarray(
        cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA) if dice.integers(2) else part, np.uint8
    )


def _drawn(dice: np.random.Generator, size: tuple[int, int]) -> Pixels:
    picture = np.full((*size, 3), dice.integers(0, 256, 3), np.uint8)
    for _ in range(int(dice.integers(3, 30))):
        middle = int(dice.integers(size[1])), int(dice.integers(size[0]))
        axes = int(dice.integers(3, 200)), int(dice.integers(3, 200))
        colour = [int(value) for value in dice.integers(0, 256, 3)]
        cv2.ellipse(picture, middle, axes, float(dice.integers(180)), 0, 360, colour, -1)
    return picture


def _noise(dice: np.random.Generator, size: tuple[int, int]) -> Pixels:
    cells = int(dice.integers(2, 40))
    blots = dice.random((cells, cells, 3), np.float32)
    smooth = cv2.resize(blots, size[::-1], interpolation=cv2.INTER_CUBIC) + dice.normal(0, 0.05, (*size, 3))
    return (smooth.clip(0, 1) * 255).astype(np.uint8)


def as_image(picture: Pixels) -> torch.Tensor:
    return torch.from_numpy(picture)[None].float() / 255.0


@dataclass(frozen=True)
class References:
    """A folder with files of the library's configurations with random weights, and what it finds in pictures.

    Attributes:
        shown: the pictures, by the file's name without ending.
    """

    folder: Path
    shown: dict[str, list[Pixels]]

    def checkpoint(self, name: str) -> Checkpoint:
        return read_checkpoint(self.folder / f"{name}.pt")

    def found(self, name: str) -> list[dict[str, NDArray[np.float32]]]:
        """For each picture ``boxes`` [n,6], and of segmenters ``masks``, ``whole`` where it was asked for."""
        held = np.load(self.folder / f"{name}.npz")
        kinds = ("boxes", "masks", "whole")
        return [
            {kind: held[f"{number}.{kind}"] for kind in kinds if f"{number}.{kind}" in held}
            for number in range(len(self.shown[name]))
        ]


def references(folder: Path, shown: dict[str, list[Pixels]], **options: Any) -> References:
    """Made by one child process."""
    jobs: list[dict[str, Any]] = []
    for name, given in shown.items():
        files = [folder / f"{name}-{number}.npy" for number in range(len(given))]
        for file, picture in zip(files, given, strict=True):
            np.save(file, picture)
        weights = f"{name}.pt"
        once = {"nms": False} if name.startswith(ONCE) else {}  # the library's word for a head that gives things once
        paths = [str(file) for file in files]
        asked = {"pictures": paths, "into": f"{name}.npz", "conf": THRESHOLD, **once, **options}
        jobs.append({"do": "make", "name": name, "into": weights, "pictures": paths[:MOST_ADAPTED_TO]})
        jobs.append({"do": "predict", "weights": weights, **asked})
    run_jobs(jobs, folder)
    return References(folder, shown)


@dataclass
class Compared:
    """How far what is found is from what the library finds, the worst of all pictures.

    Attributes:
        count: how much the library finds.
        alone: what only one of the two finds, and does not lie at an edge: the threshold's, or as ``_at_an_edge`` says.
        box: pixels.
        iou: of outlines, as the net was shown the picture, but for the line of pixels at each side, which a box cuts
            off or not by its last digits; the least of those that differ in more than a pixel.
        outlines: how many of them have been compared.
    """

    count: int = 0
    alone: int = 0
    box: float = 0.0
    score: float = 0.0
    iou: float = 1.0
    outlines: int = 0

    def add(self, things: list[Thing], found: dict[str, Any], names: dict[str, int], frame: Frame, seen: Seen) -> None:
        theirs = found["boxes"].astype(np.float64)
        mine = np.array([[*thing.box, thing.score, names[thing.label]] for thing in things]).reshape(-1, 6)
        self.count += len(theirs)
        pairs = list(_pairs(mine, theirs))
        for rows, taken in ((mine, {i for i, _ in pairs}), (theirs, {j for _, j in pairs})):
            left = [row for number, row in enumerate(rows) if number not in taken]
            self.alone += sum(row[4] > THRESHOLD + EDGE and not _at_an_edge(row, rows, frame, seen) for row in left)
        for i, j in pairs:
            self.box = max(self.box, float(np.abs(mine[i, :4] - theirs[j, :4]).max()))
            self.score = max(self.score, float(abs(mine[i, 4] - theirs[j, 4])))
            outline = things[i].outline
            if "masks" in found and outline is not None:
                shown = found["masks"][j] > 0.5
                top, left = frame.top, frame.left
                inner = shown[top : top + frame.inner.height, left : left + frame.inner.width]
                mask = outline.mask.numpy()
                if int((mask != inner).sum()) > 1:  # a pixel of a very small one says nothing
                    self.iou = min(self.iou, _iou_inside(mask, inner))
                self.outlines += 1

    def check(self) -> None:
        assert self.count > 20, self
        assert self.alone == 0 and self.box < BOX and self.score < SCORE and self.iou > IOU, self


def _pairs(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Each of ours with the nearest of the library's that has its class and is not taken, near ones first."""
    far = np.abs(mine[:, None, :5] - theirs[None, :, :5]).max(axis=2, initial=0.0)
    far[mine[:, None, 5] != theirs[None, :, 5]] = np.inf
    taken: tuple[set[int], set[int]] = (set(), set())
    for flat in far.argsort(axis=None, kind="stable"):
        i, j = (int(value) for value in np.unravel_index(flat, far.shape))
        if far[i, j] > 4 * BOX:
            return
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            yield i, j


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return 1.0 if union == 0 else int((one & other).sum()) / union


def _iou_inside(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """The same without the outermost row or column that the two have, at each side."""
    rows, columns = (np.flatnonzero((one | other).any(axis=axis)) for axis in (1, 0))
    inside = slice(rows[0] + 1, rows[-1]), slice(columns[0] + 1, columns[-1])
    return iou(one[inside], other[inside])


def _at_an_edge(row: NDArray[np.float64], rows: NDArray[np.float64], frame: Frame, seen: Seen) -> bool:
    """Whether the last digits decide that a box is found: it is the last of a full list, its place has two classes of
    one score, or it lies over a surer one by just as much as makes them one thing.
    """
    best, classes = seen.scores.topk(2, dim=1)
    boxes = frame.boxes_in_picture(seen.boxes)
    if row[4] <= np.sort(rows[:, 4])[: 1 + len(rows) // 100].max() and int((best[:, 0] > THRESHOLD).sum()) > MOST:
        return True
    near = (boxes - torch.from_numpy(row[:4]).float()).abs().amax(dim=1) < BOX
    if (best[near, 0] - best[near, 1] < SCORE).any():
        return True
    for place in torch.nonzero(near)[:, 0].tolist():
        surer = (classes[:, 0] == classes[place, 0]) & (best[:, 0] > best[place, 0])
        over = torchvision.ops.box_iou(seen.boxes[place][None], seen.boxes[surer])
        if ((over - OVERLAP).abs() < EDGE).any():
            return True
    return False


def compare(made: References, name: str) -> Compared:
    """What a net finds in pictures, here and by the library itself."""
    held = made.checkpoint(name)
    model = YoloModel(held)
    names = {label: number for number, label in held.names.items()}
    compared = Compared()
    for picture, theirs in zip(made.shown[name], made.found(name), strict=True):
        things = list(model.things_in(as_image(picture), THRESHOLD, outlines=True))
        assert all(first.score >= second.score for first, second in pairwise(things))
        frame = frame_for(Size(*picture.shape[:2]), model.size, model.stride)
        with torch.inference_mode():
            seen = model._managed.ready()(shown_to_net(picture, frame))
        compared.add(things, theirs, names, frame, seen)
    return compared
