"""What the tests of SAM files share: pictures, questions, and what transformers' own processors and models answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from mask_detailer.nodes.sam_loader import SAMLoader
from numpy.typing import NDArray
from support import sam_files
from support.sam_files import HieraSize, Vit, Weights


class Asked(NamedTuple):
    """A question to SAM, in pixels of the picture."""

    points: list[tuple[float, float]]
    labels: list[int]
    box: list[float] | None


SIZES = {"landscape": (123, 201), "portrait": (231, 97), "tiny": (17, 31), "square": (160, 160), "larger": (300, 517)}


def photo(height: int, width: int, seed: int = 5) -> NDArray[np.uint8]:
    """Soft blobs with grain, ``[H,W,3]``."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    grain = 0.05 * torch.randn(1, 3, height, width, generator=generator)
    return (smooth + grain).clamp(0, 1).mul(255).round().byte()[0].movedim(0, -1).numpy()


def questions(height: int, width: int) -> dict[str, Asked]:
    x, y = width * 0.43, height * 0.57
    box = [width * 0.2, height * 0.11, width * 0.81, height * 0.93]
    return {
        "point": Asked([(x, y)], [1], None),
        "points": Asked([(x, y), (1.0, 2.0), (width - 1.0, height - 1.0)], [1, 0, 1], None),
        "negative": Asked([(x, y)], [0], None),
        "box": Asked([], [], box),
        "both": Asked([(x, y)], [1], box),
        "both with negative": Asked([(x, y), (0.0, 0.0)], [1, 0], box),
    }


class Answer(NamedTuple):
    """All three masks ``[3,H,W]``, and logits of the same shape, and scores."""

    masks: NDArray[np.bool_]
    logits: torch.Tensor
    scores: list[float]


class Theirs:
    """SAM as transformers has it: loaded from its own kind of folder, pictures and answers by its own processor."""

    def __init__(self, folder: Path, side: int, is_sam2: bool) -> None:
        import transformers

        if is_sam2:
            self.model: Any = transformers.Sam2Model.from_pretrained(folder)
            self.processor: Any = transformers.Sam2Processor(transformers.Sam2ImageProcessor())
        else:
            self.model = transformers.SamModel.from_pretrained(folder)
            square = {"height": side, "width": side}
            images = transformers.SamImageProcessor(size={"longest_edge": side}, pad_size=square)
            self.processor = transformers.SamProcessor(images)
        self.is_sam2 = is_sam2
        self.model.eval()
        self.encoded: tuple[bytes, Any] = (b"", None)

    def __call__(self, image: NDArray[np.uint8], asked: Asked) -> Answer:
        given: dict[str, Any] = {}
        if asked.points:
            given |= {"input_points": [[[list(point) for point in asked.points]]], "input_labels": [[asked.labels]]}
        if asked.box is not None:
            given["input_boxes"] = [[asked.box]]
        inputs = self.processor(images=image, **given, return_tensors="pt")
        if not self.is_sam2 and asked.points and inputs["input_labels"].ndim == 2:
            inputs["input_labels"] = inputs["input_labels"][None]
        sizes = inputs.pop("original_sizes")
        reshaped = inputs.pop("reshaped_input_sizes", None)
        with torch.no_grad():
            made = self.model(**self._encoded_once(image, dict(inputs)))
        after = (sizes,) if self.is_sam2 else (sizes, reshaped)
        (logits,) = self.processor.image_processor.post_process_masks(made.pred_masks, *after, binarize=False)
        return Answer((logits[0] > 0).numpy(), logits[0], made.iou_scores.flatten().tolist())

    def _encoded_once(self, image: NDArray[np.uint8], inputs: dict[str, Any]) -> dict[str, Any]:
        """The first question about a picture is asked in one run, further ones with what encoding it gave."""
        if self.encoded[0] != image.tobytes():
            self.encoded = image.tobytes(), self.model.get_image_embeddings(inputs["pixel_values"])
            return inputs
        del inputs["pixel_values"]
        return inputs | {"image_embeddings": self.encoded[1]}


NAMES = {"sam1": "sam_vit_b_01ec64.pth", "sam2": "sam2_hiera_tiny.pt", "sam2.1": "sam2.1_hiera_tiny.pt"}


def has_sam2() -> bool:
    import transformers

    return hasattr(transformers, "Sam2Model")


needs_sam2 = pytest.mark.skipif(not has_sam2(), reason="this transformers has no SAM 2")
KINDS = ["sam1", pytest.param("sam2", marks=needs_sam2), pytest.param("sam2.1", marks=needs_sam2)]


def load(name: str, **widgets: Any) -> Any:
    return SAMLoader().doit(model_name=name, **widgets)[0]


def write(folder: Path, kind: str, size: Vit | HieraSize, weights: Weights) -> str:
    """A file as SAM's authors publish it."""
    if isinstance(size, Vit):
        torch.save(weights.own, folder / NAMES[kind])
    else:
        torch.save({"model": weights.own | sam_files.for_videos(kind == "sam2.1")}, folder / NAMES[kind])
    return NAMES[kind]


def weights_of(size: Vit | HieraSize) -> Weights:
    tensors = sam_files.sam1_tensors(size) if isinstance(size, Vit) else sam_files.sam2_tensors(size)
    return sam_files.random_weights(tensors)


def folder_of(folder: Path, size: Any, weights: Weights) -> Path:
    is_sam2 = isinstance(size, HieraSize)
    config = sam_files.sam2_in_transformers(size) if is_sam2 else sam_files.sam1_in_transformers(size)
    return sam_files.transformers_folder(folder, config, weights)
