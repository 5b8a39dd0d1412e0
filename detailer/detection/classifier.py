"""Classifiers of pictures, as ``transformers`` has them, and segments told apart by what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ...core import SEG, SEGS, Size, crop_region, own_image, to_bytes
from ...core.reflect import cut_inside
from ...segs import rescale
from ...segs.comparison import Comparison, Scores
from .. import host
from .local_models import ONLY_DATA, ONLY_WEIGHTS, LocalModelError, check_weights, named_folder, placed

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel

KIND = "classifiers"  # of folders, and their name below ComfyUI's folder of models
MOST = 5  # labels in an answer, as pipelines of transformers have it

Answer = Sequence[Mapping[str, object]]
"""``{"label": text, "score": 0..1}``, the surest first."""

Classifier = Callable[["Image"], Answer]
"""A TRANSFORMERS_CLASSIFIER: a pipeline of transformers, or ours."""


def register_folders() -> None:
    """Make the folder of classifiers known to ComfyUI."""
    host.folders.add_model_folder(KIND, KIND, {".safetensors"})


class LocalClassifier:
    """A classifier from a folder in the form of ``transformers``; it answers as that library's pipeline does.

    Raises:
        LocalModelError: where the folder can't be loaded.
    """

    def __init__(self, folder: Path, device_mode: str) -> None:
        import transformers

        check_weights(folder)
        try:
            self.pictures = transformers.AutoImageProcessor.from_pretrained(str(folder), **ONLY_DATA)
            network = transformers.AutoModelForImageClassification.from_pretrained(str(folder), **ONLY_WEIGHTS)
        except Exception as error:  # of as many kinds as there are libraries behind it
            found = f"{folder} can't be loaded ({type(error).__name__}: {error})"
            raise LocalModelError(found, "Fetch all its files again, or take another classifier") from error
        self.network: PreTrainedModel = network.float().eval()
        self.placement = placed(self.network, device_mode)

    def __call__(self, picture: Image) -> Answer:
        """The five surest labels of a picture."""
        self.placement.load()
        pixels = self.pictures(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits = self.network(pixel_values=pixels.to(self.network.device, torch.float32)).logits[0].float().cpu()
        config = self.network.config
        labels = cast("Mapping[int, str]", config.id2label)
        alone = config.problem_type == "multi_label_classification" or len(logits) == 1
        scores = (logits.sigmoid() if alone else logits.softmax(dim=0)).tolist()
        surest = sorted(range(len(scores)), key=lambda place: -scores[place])[:MOST]
        return [{"label": str(labels[place]), "score": scores[place]} for place in surest]


def local_classifier(name: str, device_mode: str) -> LocalClassifier:
    """The classifier of a repository's id or a folder's name.

    Raises:
        ValueError: for what can't be such a name.
        LocalModelError: where it is not on this machine, or can't be loaded.
    """
    folder = named_folder(KIND, name)
    if folder is None:
        raise LocalModelError(
            f"'{name}' is not on this machine, and nothing is fetched by itself",
            f"Put its config.json, preprocessor_config.json and model.safetensors into models/{KIND}/{name}",
        )
    return LocalClassifier(folder, device_mode)


def classify(
    segs: SEGS, classifier: Callable[[np.ndarray], Scores], wanted: Comparison, picture: torch.Tensor | None
) -> tuple[SEGS, SEGS, list[str]]:
    """The segments for which a comparison holds, the others, both in their order, and all labels there are, sorted.

    A segment without a picture is among the others.

    Args:
        classifier: from ``[h,w,3]`` uint8 to scores by label, the surest first.
        picture: ``[n,H,W,3 or 4]`` float 0..1 of any size, for segments that have no picture of their own.
    """
    fitted = segs if picture is None else rescale(segs, Size(*picture.shape[1:3]))
    filtered: list[SEG] = []
    remained: list[SEG] = []
    labels: set[str] = set()
    for seg, moved in zip(segs[1], fitted[1], strict=True):
        host.devices.check_interrupted()
        pixels = _pixels(seg, moved, picture)
        scores = None if pixels is None else classifier(pixels)
        labels.update(scores or ())
        (filtered if scores is not None and wanted.holds(scores) else remained).append(seg)
    return (segs[0], filtered), (segs[0], remained), sorted(labels)


def _pixels(seg: SEG, moved: SEG, picture: torch.Tensor | None) -> np.ndarray | None:
    own = own_image(seg, most=1)
    if own is None and picture is not None:
        own = cut_inside(picture[:1, ..., :3], crop_region(moved))
    return None if own is None else to_bytes(own[0])


def answered(classifier: Classifier, pixels: np.ndarray) -> Scores:
    """What a classifier of any pack says of a picture ``[h,w,3]`` uint8.

    Raises:
        ValueError: for an answer of another form.
    """
    from PIL import Image

    answer = classifier(Image.fromarray(np.ascontiguousarray(pixels)))
    try:
        return {str(one["label"]): float(one["score"]) for one in answer}  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"its answer is a {type(answer).__name__} without labels and scores") from error
