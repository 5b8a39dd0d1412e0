"""Segments told apart by a classifier of pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..core import SEGS
from ..detailer.detection.classifier import Classifier, LocalClassifier, answered, classify, local_classifier
from ..detailer.detection.classifier import register_folders as register_folders
from ..detailer.detection.local_models import LocalModelError
from ..detailer.host.placement import MODES
from ..segs.comparison import Scores, read_comparison
from . import schema
from .registry import HUGGING_FACE, Node
from .schema import InputTypes

MANUAL_ID, MANUAL_EXPRESSION = "Manual repo id", "Manual expr"
REPOSITORIES = (
    "rizvandwiki/gender-classification-2",
    "NTQAI/pedestrian_gender_recognition",
    "Leilab/gender_class",
    "ProjectPersonal/GenderClassifier",
    "crangana/trained-gender",
    "cledoux42/GenderNew_v002",
    "ivensamdh/genderage2",
)
EXPRESSIONS = (
    "#Female > #Male",
    "#Female < #Male",
    "female > 0.5",
    "male > 0.5",
    "Age16to25 > 0.1",
    "Age50to69 > 0.1",
)
NAME_FIX = "Write one such as rizvandwiki/gender-classification-2, or the name of a folder in models/classifiers"
SOURCE = "Connect 'HF Transformers Classifier Provider'"


class ImpactHFTransformersClassifierProvider(Node, name="HF Transformers Classifier Provider", menu=HUGGING_FACE):
    """A classifier of pictures that is on this machine."""

    DESCRIPTION = (
        "Loads a classifier of pictures in the form of the library transformers, from models/classifiers or from what "
        "that library has fetched before. Nothing is fetched by itself, and only .safetensors files are read."
    )
    SEARCH_ALIASES = ("hugging face", "image classification", "gender", "age", "classifier", "transformers")
    RETURN_TYPES = ("TRANSFORMERS_CLASSIFIER",)
    OUTPUT_TOOLTIPS = ("The classifier, for SEGS Classify.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        preset = "Which classifier: one of these that is on this machine, or the one that manual_repo_id names."
        manual = (
            "Only with Manual repo id: a repository such as owner/name that was fetched before, or the name of a "
            "folder in models/classifiers. No paths."
        )
        device = (
            "AUTO: on the GPU when it is asked, until ComfyUI wants the room. Prefer GPU: there from the start. CPU: "
            "never on the GPU."
        )
        return {
            "required": {
                "preset_repo_id": ([*REPOSITORIES, MANUAL_ID], {"tooltip": preset}),
                "manual_repo_id": ("STRING", {"multiline": False, "tooltip": manual}),
                "device_mode": (list(MODES), {"tooltip": device}),
            }
        }

    def doit(self, preset_repo_id: str, manual_repo_id: str, device_mode: str) -> tuple[LocalClassifier]:
        is_manual = preset_repo_id == MANUAL_ID
        widget, name = ("manual_repo_id", manual_repo_id) if is_manual else ("preset_repo_id", preset_repo_id)
        try:
            return (local_classifier(name, device_mode),)
        except LocalModelError as error:
            raise self.door.error(widget, error.found, error.fix) from error
        except ValueError as error:
            raise self.door.error(widget, str(error), NAME_FIX) from error


class ImpactSEGSClassify(Node, name="SEGS Classify", menu=HUGGING_FACE):
    """Segments chosen by what a classifier says of their pictures."""

    DESCRIPTION = "Splits segments by what a classifier says of their pictures, such as women and men."
    SEARCH_ALIASES = ("filter segs", "gender filter", "classify segments", "female male", "age filter")
    RETURN_TYPES = ("SEGS", "SEGS", "STRING")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS", "detected_labels")
    OUTPUT_IS_LIST = (False, False, True)
    OUTPUT_TOOLTIPS = (
        "The segments for which the expression holds.",
        "The others, those without a picture among them.",
        "A list of all labels that the classifier gave, sorted.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        preset = (
            "When a segment is chosen. #Female and #Male stand for what classifiers call them: female, woman, girl and "
            "so on. Capital letters count."
        )
        manual = (
            "Only with Manual expr: a label or number, one of > < >= <= =, and a label or number, such as "
            "Human Female > 0.5. A label that the classifier does not give never fits."
        )
        image = "The picture that segments without a picture of their own are cut from. Without it they remain."
        return {
            "required": {
                "classifier": schema.link("TRANSFORMERS_CLASSIFIER", "The classifier."),
                "segs": schema.link("SEGS", "The segments to tell apart."),
                "preset_expr": ([*EXPRESSIONS, MANUAL_EXPRESSION], {"tooltip": preset}),
                "manual_expr": ("STRING", {"multiline": False, "tooltip": manual}),
            },
            "optional": {"ref_image_opt": schema.link("IMAGE", image)},
        }

    def doit(
        self, classifier: object, segs: object, preset_expr: str, manual_expr: str, ref_image_opt: object = None
    ) -> tuple[SEGS, SEGS, list[str]]:
        door = self.door
        checked = door.segs(segs)
        if not callable(classifier):
            kind = type(classifier).__name__
            found = "it is missing (None)" if classifier is None else f"a {kind} is no TRANSFORMERS_CLASSIFIER"
            raise door.error("classifier", found, SOURCE)
        expression = manual_expr if preset_expr == MANUAL_EXPRESSION else preset_expr
        try:
            wanted = read_comparison(expression)
        except ValueError as error:
            raise door.error("manual_expr", str(error), "Write one such as Female > 0.5") from error
        picture = None if ref_image_opt is None else door.image(ref_image_opt, "ref_image_opt")

        def scores(pixels: np.ndarray) -> Scores:
            try:
                return answered(cast(Classifier, classifier), pixels)
            except ValueError as error:
                raise door.error("classifier", str(error), SOURCE) from error

        return classify(checked, scores, wanted, picture)
