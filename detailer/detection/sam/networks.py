"""SAM 1 and SAM 2 as one kind of network: a picture is encoded once, then asked for masks as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F

from ....core import Size

if TYPE_CHECKING:
    from transformers import Sam2Model, SamModel

# ImageNet's, for values 0..255: what the published weights were trained with
MEAN = (123.675, 116.28, 103.53)
SPREAD = (58.395, 57.12, 57.375)

Embedding = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Question:
    """What a mask is asked for, in pixels of the picture.

    Attributes:
        points: ``(x, y)``.
        labels: for each point 1 (this) or 0 (not this).
        box: ``x1, y1, x2, y2``, or None.
    """

    points: Sequence[tuple[float, float]]
    labels: Sequence[int]
    box: Sequence[float] | None


class SamNetwork(torch.nn.Module):
    """What both have in common.

    Attributes:
        side: pixels; the network sees each picture as a square of that size.
        heads: of its attention over the whole picture, on which its memory depends.
    """

    def __init__(self, net: torch.nn.Module, side: int, heads: int) -> None:
        super().__init__()
        self.net = net
        self.side = side
        self.heads = heads

    @property
    def place(self) -> torch.device:
        return next(self.net.parameters()).device

    @property
    def room(self) -> int:
        """Bytes that encoding takes beside the weights, about: scores of all places for all places, three times."""
        return 3 * 4 * self.heads * (self.side // 16) ** 4

    def encode(self, image: np.ndarray) -> Embedding:
        """What the network makes of a picture ``[H,W,3]`` uint8; all questions about it need nothing else."""
        return self._encoded(self._pixels(image).to(self.place))

    def masks(self, embedding: Embedding, question: Question, picture: Size) -> tuple[torch.Tensor, torch.Tensor]:
        """All masks that it offers for a question, three as a rule, and for each how good it takes it to be.

        Args:
            picture: the size of the picture that was encoded.

        Returns:
            logits ``[n,H,W]`` float32 in the picture's size, above 0 where the mask is; scores ``[n]``, about 0..1.
        """
        seen = self._seen_size(picture)
        scale = torch.tensor([seen.width / picture.width, seen.height / picture.height], dtype=torch.float64)
        asked: dict[str, torch.Tensor] = {}
        if question.points:
            points = torch.tensor(question.points, dtype=torch.float64) * scale
            asked["input_points"] = points.float()[None, None].to(self.place)
            asked["input_labels"] = torch.tensor([[question.labels]], dtype=torch.int64, device=self.place)
        if question.box is not None:
            corners = torch.tensor(question.box, dtype=torch.float64).reshape(2, 2) * scale
            asked["input_boxes"] = corners.float().reshape(1, 1, 4).to(self.place)
        logits, scores = self._asked(tuple(each.to(self.place) for each in embedding), asked)
        return self._in_picture(logits[0].float(), picture)[0], scores.flatten().float()

    def _seen_size(self, picture: Size) -> Size:
        """The size that a picture has in the square."""
        raise NotImplementedError

    def _in_picture(self, logits: torch.Tensor, picture: Size) -> torch.Tensor:
        """Logits ``[1,n,h,w]`` of the square, enlarged to the picture."""
        raise NotImplementedError

    def _encoded(self, pixels: torch.Tensor) -> Embedding:
        raise NotImplementedError

    def _asked(self, embedding: Embedding, asked: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[1,1,n,h,w]`` and scores ``[1,1,n]``."""
        raise NotImplementedError

    def _pixels(self, image: np.ndarray) -> torch.Tensor:
        """A picture as the network sees it: ``[1,3,side,side]``, what it doesn't fill is 0."""
        channels = torch.from_numpy(np.ascontiguousarray(image))[None].movedim(-1, 1)
        seen = self._seen_size(Size(*image.shape[:2]))
        # shrunk as bytes, as the pictures were that it was trained with
        shrunk = F.interpolate(channels, size=tuple(seen), mode="bilinear", antialias=True, align_corners=False)
        mean, spread = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, SPREAD))
        pixels = (shrunk.float() - mean) / spread
        return F.pad(pixels, (0, self.side - seen.width, 0, self.side - seen.height))


class Sam1(SamNetwork):
    """SAM 1: the picture's longer side fills the square, the rest of it is empty."""

    @property
    def _net(self) -> SamModel:
        return cast("SamModel", self.net)

    def _seen_size(self, picture: Size) -> Size:
        scale = self.side / max(picture)
        return Size(*(max(int(length * scale + 0.5), 1) for length in picture))

    def _in_picture(self, logits: torch.Tensor, picture: Size) -> torch.Tensor:
        square = F.interpolate(logits, size=(self.side, self.side), mode="bilinear", align_corners=False)
        seen = self._seen_size(picture)
        filled = square[..., : seen.height, : seen.width]
        return F.interpolate(filled, size=tuple(picture), mode="bilinear", align_corners=False)

    def _encoded(self, pixels: torch.Tensor) -> Embedding:
        return (self._net.get_image_embeddings(pixels),)

    def _asked(self, embedding: Embedding, asked: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        made = self._net(image_embeddings=embedding[0], multimask_output=True, **asked)
        return made.pred_masks, made.iou_scores


class Sam2(SamNetwork):
    """SAM 2 and 2.1: the picture is made a square."""

    @property
    def _net(self) -> Sam2Model:
        return cast("Sam2Model", self.net)

    def _seen_size(self, picture: Size) -> Size:
        return Size(self.side, self.side)

    def _in_picture(self, logits: torch.Tensor, picture: Size) -> torch.Tensor:
        return F.interpolate(logits, size=tuple(picture), mode="bilinear", align_corners=False)

    def _encoded(self, pixels: torch.Tensor) -> Embedding:
        return tuple(self._net.get_image_embeddings(pixels))

    def _asked(self, embedding: Embedding, asked: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        made = self._net(image_embeddings=list(embedding), multimask_output=True, **asked)
        return made.pred_masks, made.iou_scores
