"""What a net says of a picture as boxes in that picture: how it is shown, what counts as found, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ....core import Size
from .heads import Seen

GREY = 114  # 0..255: what lies beside the picture where its shape is another than the net's
MOST = 300  # finds in a picture
MOST_LOOKED_AT = 30000  # places that are compared with one another
OVERLAP = 0.7  # intersection over union from which two boxes of a class are one thing
APART = 7680.0  # pixels: how far the boxes of each class are moved away from those of the one before it


@dataclass(frozen=True)
class Frame:
    """How a picture lies in what the net is shown.

    Attributes:
        picture: its size.
        shown: the size of what the net is shown.
        left, top: of the picture in what is shown, in pixels.
        inner: the size of the picture in what is shown.
    """

    picture: Size
    shown: Size
    left: int
    top: int
    inner: Size

    def boxes_in_picture(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes ``[n,4]`` in pixels of what is shown, in pixels of the picture and cut off at its edges."""
        across, down = self.inner.width / self.picture.width, self.inner.height / self.picture.height
        moved = boxes - torch.tensor([self.left, self.top, self.left, self.top]).to(boxes)
        scaled = moved / torch.tensor([across, down, across, down]).to(boxes)
        edges = torch.tensor([self.picture.width, self.picture.height] * 2).to(boxes)
        return torch.minimum(scaled.clamp(min=0), edges)


def frame_for(picture: Size, longest: int, stride: int) -> Frame:
    """A picture enlarged or shrunk so that it just fits a square of ``longest`` pixels; beside it no more than brings
    each side to a whole number of cells.
    """
    side = math.ceil(longest / stride) * stride
    scale = min(side / picture.height, side / picture.width)
    inner = Size(*(max(round(length * scale), 1) for length in picture))
    top, left = (round((side - length) % stride / 2 - 0.1) for length in inner)
    shown = Size(*(length + (side - length) % stride for length in inner))
    return Frame(picture, shown, left, top, inner)


def frame_in(picture: Size, shown: Size) -> Frame:
    """A picture enlarged or shrunk so that it just fits what a net of one size is shown, in the middle of it."""
    scale = min(shown.height / picture.height, shown.width / picture.width)
    inner = Size(*(max(round(length * scale), 1) for length in picture))
    top, left = (round((side - length) / 2 - 0.1) for side, length in zip(shown, inner, strict=True))
    return Frame(picture, shown, left, top, inner)


def shown_to_net(pixels: np.ndarray, frame: Frame) -> torch.Tensor:
    """A picture ``[H,W,3]`` uint8 as a net is shown it: ``[1,3,h,w]`` float32 0..1."""
    import cv2

    if Size(*pixels.shape[:2]) != frame.inner:
        pixels = cv2.resize(pixels, (frame.inner.width, frame.inner.height), interpolation=cv2.INTER_LINEAR)
    shown = np.full((*frame.shown, 3), GREY, np.uint8)
    shown[frame.top : frame.top + frame.inner.height, frame.left : frame.left + frame.inner.width] = pixels
    return torch.from_numpy(shown).permute(2, 0, 1)[None].float().div(255.0)


def cut_off_bytes(image: torch.Tensor) -> np.ndarray:
    """Float 0..1 as uint8 0..255 on the CPU, cut off and not rounded: detectors are known to be shown pictures so."""
    levels = image.detach().to("cpu", torch.float32).nan_to_num(0.0).mul(255.0).clamp(0.0, 255.0)
    return levels.to(torch.uint8).numpy()


@dataclass(frozen=True)
class Kept:
    """What counts as found, the surest first.

    Attributes:
        boxes: ``[n,4]`` float32 in pixels of what the net was shown.
        scores: ``[n]`` float32 0..1.
        classes: ``[n]`` whole numbers.
        places: ``[n]`` which of what the net said each is.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor
    places: torch.Tensor

    def at(self, index: torch.Tensor) -> Kept:
        return Kept(self.boxes[index], self.scores[index], self.classes[index], self.places[index])


def kept_of(seen: Seen, threshold: float, once: bool) -> Kept:
    """What of all that a net says counts as found: its score is above the threshold, and no other of its class that is
    surer lies over it.

    Args:
        threshold: 0..1.
        once: the net gives each thing once already.
    """
    if once:
        return _surest(seen, threshold)
    import torchvision

    best, classes = seen.scores.max(dim=1)
    places = torch.nonzero(best > threshold)[:, 0]
    places = places[best[places].argsort(descending=True)[:MOST_LOOKED_AT]]
    kept = Kept(seen.boxes[places], best[places], classes[places], places)
    apart = kept.boxes + kept.classes[:, None] * APART
    return kept.at(torchvision.ops.nms(apart, kept.scores, OVERLAP)[:MOST])


def _surest(seen: Seen, threshold: float) -> Kept:
    """Of the places with the best scores, those classes that score best; a place may count for several."""
    most = min(MOST, len(seen.scores))
    places = seen.scores.amax(dim=1).topk(most).indices
    scores, index = seen.scores[places].flatten().topk(most)
    count = seen.scores.shape[1]
    places, classes = places[index // count], index % count
    kept = Kept(seen.boxes[places], scores, classes, places)
    return kept.at(torch.nonzero(scores > threshold)[:, 0])
