"""The last part of a net: what it says of each place of the picture, as boxes, scores and masks.

Sources: the paper of generalized focal loss (a box's sides as distributions), YOLACT (masks as sums of prototypes),
YOLOv10 (a head that gives each thing once), and the nets' published configurations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .tensors import Tensors, conv, conv_or_chain

SIDES = 4


class Seen(NamedTuple):
    """What a net says of one picture; ``n`` places.

    Attributes:
        boxes: ``[n,4]`` float32 ``x1, y1, x2, y2`` in pixels of the picture as the net was shown it.
        scores: ``[n,classes]`` float32 0..1.
        coefficients: ``[n,k]`` float32, how much of each prototype is in a mask; None of a net without masks.
        prototypes: ``[k,h,w]`` float32, at a fraction of the picture's size.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    coefficients: torch.Tensor | None = None
    prototypes: torch.Tensor | None = None


class Prototypes(nn.Module):
    """Masks that all masks are sums of, at twice the size of the finest level."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.cv1, self.cv2, self.cv3 = (conv(tensors.at(name)) for name in ("cv1", "cv2", "cv3"))
        enlarge = tensors.at("upsample")
        self.weight = nn.Parameter(enlarge.get("weight"), requires_grad=False)
        self.bias = nn.Parameter(enlarge.get("bias"), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.conv_transpose2d(self.cv1(x), self.weight, self.bias, stride=2)
        return self.cv3(self.cv2(x))


class Head(nn.Module):
    """Boxes and scores of several levels, and masks where the file has them.

    A head that learnt to give each thing once has tensors of its own for that; the others are what is left of its
    training.

    Attributes:
        once: it gives each thing once.
        classes: how many there are.
    """

    def __init__(self, tensors: Tensors, masks: bool) -> None:
        super().__init__()
        self.once = once = tensors.has("one2one_cv2")
        boxes, scores = ("one2one_cv2", "one2one_cv3") if once else ("cv2", "cv3")
        self.boxes = _each_level(tensors.at(boxes))
        self.scores = _each_level(tensors.at(scores))
        self.coefficients = _each_level(tensors.at("cv4")) if masks else None
        self.prototypes = Prototypes(tensors.at("proto")) if masks else None
        self.classes = _channels(self.scores[0])
        self.register_buffer("bins", _bins(tensors, _channels(self.boxes[0]) // SIDES))
        if once:
            for name in ("cv2", "cv3"):
                tensors.at(name).skip()

    bins: torch.Tensor

    def forward(self, levels: Sequence[torch.Tensor], height: int) -> Seen:
        """What it says of one picture.

        Args:
            levels: ``[1,C,h,w]`` of each level, the finest first.
            height: of the picture as the net was shown it, in pixels.
        """
        boxes, scores = [], []
        for level, to_boxes, to_scores in zip(levels, self.boxes, self.scores, strict=True):
            stride = height / level.shape[2]
            boxes.append(self._boxes(to_boxes(level)[0].float(), stride))
            scores.append(to_scores(level)[0].float().flatten(1).sigmoid().T)
        if self.coefficients is None or self.prototypes is None:
            return Seen(torch.cat(boxes), torch.cat(scores))
        pairs = zip(levels, self.coefficients, strict=True)
        weights = [to_weights(level)[0].float().flatten(1).T for level, to_weights in pairs]
        return Seen(torch.cat(boxes), torch.cat(scores), torch.cat(weights), self.prototypes(levels[0])[0].float())

    def _boxes(self, sides: torch.Tensor, stride: float) -> torch.Tensor:
        """Distances from each place's middle to left, top, right and bottom; each is the mean of a distribution, or is
        given as it is.
        """
        _, height, width = sides.shape
        distances = sides.reshape(SIDES, -1, height * width)
        if len(self.bins) > 1:
            distances = torch.einsum("sbn,b->sn", distances.softmax(dim=1), self.bins.float())[:, None]
        left, top, right, bottom = distances[:, 0]
        y, x = torch.meshgrid(
            torch.arange(height, device=sides.device) + 0.5,
            torch.arange(width, device=sides.device) + 0.5,
            indexing="ij",
        )
        x, y = x.flatten(), y.flatten()
        return torch.stack((x - left, y - top, x + right, y + bottom), dim=1) * stride


def _each_level(tensors: Tensors) -> nn.ModuleList:
    return nn.ModuleList(conv_or_chain(tensors.at(number)) for number in range(max(tensors.count(), 1)))


def _channels(chain: nn.Module) -> int:
    *_, weight = (parameter for parameter in chain.parameters() if parameter.ndim > 1)
    return len(weight)


def _bins(tensors: Tensors, count: int) -> torch.Tensor:
    """How far each bin of a distribution is, in cells."""
    if tensors.has("dfl"):
        return tensors.at("dfl").get("conv.weight").flatten()
    return torch.arange(float(count))
