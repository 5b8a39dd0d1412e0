"""What a YOLO file holds, and what goes wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from ....core import in_short

DETECT = "detect"
SEGMENT = "segment"


USABLE = (
    "Use a detector or segmenter of YOLOv8, v9, v10, 11 or 12, a detector of YOLO26, or a YOLOv5 one whose name ends "
    "with u"
)


class YoloError(ValueError):
    """A file that can't be used as a detector.

    Attributes:
        found: the file's name and what it is; no full stop at its end.
        fix: what to do.
    """

    def __init__(self, found: str, fix: str = USABLE) -> None:
        self.found, self.fix = in_short(found), fix
        super().__init__(f"{self.found}. {fix}")


@dataclass(frozen=True)
class Checkpoint:
    """A YOLO model as its file has it: data only.

    Attributes:
        tensors: by their names in the model's state dict, such as ``model.0.conv.weight``; any float type, on the CPU.
        names: what each class is called, by its number.
        task: ``detect``, ``segment`` or another; empty where the file does not say.
        description: the model's configuration: ``backbone`` and ``head`` are rows of ``[from, repeats, module, args]``;
            beside them may be ``nc``, ``scale``, ``scales``, ``depth_multiple``, ``width_multiple``, ``yaml_file``.
        strides: pixels of the picture per cell of each level, such as 8, 16, 32; empty where the file does not say.
        source: the file's name, for messages.
        size: the longer side in pixels of the pictures that it was trained with (``imgsz`` of its training's settings);
            it is shown pictures of that size.
    """

    tensors: Mapping[str, torch.Tensor]
    names: Mapping[int, str]
    task: str
    description: Mapping[str, object] = field(default_factory=dict)
    strides: Sequence[float] = ()
    source: str = "the file"
    size: int = 640
