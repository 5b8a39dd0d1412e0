"""Nodes under ids of years past, for saved workflows: each does what the node that it became does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn, Protocol, cast

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.detection.detect import DetectionSettings, Detector
from ..segs import to_combined_mask
from . import schema
from .detectors import IMAGE_TOOLTIP, SEGS_TOOLTIP
from .finders import BBOX, SEGM
from .registry import LEGACY, NODES, OPERATION, PACK, Node
from .schema import InputTypes
from .segs_edits import ImpactSegsAndMask, ImpactSegsAndMaskForEach

BBOX_MODEL, SEGM_MODEL = "BBOX_MODEL", "SEGM_MODEL"
KINDS = {BBOX_MODEL: BBOX, SEGM_MODEL: SEGM}


class _GivenAs(str):
    """A kind of output that goes where the kind that it became goes too: ComfyUI asks whether two are not equal.

    What is given is what that kind holds; so a link that was made while inputs had the older kind still counts.
    """

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return str.__ne__(self, other) and KINDS[str(self)] != other

    __eq__ = str.__eq__
    __hash__ = str.__hash__


LOADER = "UltralyticsDetectorProvider"
# by how their names begin: the folders of files that can't be read, and those of files that can
OLD_FOLDERS = {"bbox": "mmdets_bbox", "segm": "mmdets_segm"}
FOLDERS = {"bbox": "ultralytics_bbox", "segm": "ultralytics_segm"}


class _Loader(Protocol):
    def doit(self, *, model_name: str) -> tuple[object, object]: ...


def register_folders() -> None:
    """Make the folders of these files known to ComfyUI."""
    for prefix, kind in OLD_FOLDERS.items():
        host.folders.add_model_folder(kind, f"mmdets/{prefix}")


class OldSegsAndMask(ImpactSegsAndMask, node_id="Segs & Mask", name="Bitwise(SEGS & MASK)", menu=OPERATION):
    """The same under an older id."""

    DESCRIPTION = "The same as 'Pixelwise(SEGS & MASK)', for saved workflows."
    DEPRECATED = True


class OldSegsAndMaskForEach(
    ImpactSegsAndMaskForEach, node_id="Segs & Mask ForEach", name="Bitwise(SEGS & MASKS ForEach)", menu=OPERATION
):
    """The same under an older id; its masks had a kind of their own."""

    DESCRIPTION = "The same as 'Pixelwise(SEGS & MASKS ForEach)', for saved workflows."
    DEPRECATED = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        declared = super().INPUT_TYPES()["required"]
        facts = cast("dict[str, object]", declared["masks"][1])
        return {"required": {"segs": declared["segs"], "masks": ("MASK,MASKS", facts)}}


class SegsMaskCombine(Node, name="SegsMaskCombine (Legacy)", menu=LEGACY):
    """All segments' masks in one of a picture's size."""

    DESCRIPTION = "The older form of 'SEGS to MASK (combined)', for saved workflows: the mask has the picture's size."
    SEARCH_ALIASES = ("segs to mask", "combine segs mask")
    DEPRECATED = True
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask with all segments' masks; where they overlap, the largest value.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to put into one mask."),
                "image": schema.link("IMAGE", "The picture whose size the mask gets. Segments stay where they are."),
            }
        }

    def doit(self, segs: object, image: object) -> tuple[torch.Tensor]:
        size = Size(*self.door.image(image).shape[1:3])
        mask = to_combined_mask(((size.height, size.width), self.door.segs(segs)[1]))
        return (mask.to(host.devices.intermediate_device()),)


class _Finds(Node):
    """What the four detectors have in common."""

    KIND: ClassVar[str]
    DILATION: ClassVar[int] = 10
    DEPRECATED = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        grows = "Pixels of the square that grows each mask: 10 moves each edge by about 5. 0 and 1 change nothing."
        return {
            "required": {
                cls.KIND.lower(): schema.link(cls.KIND, "The detector, from 'MMDetLoader (Legacy)'."),
                "image": schema.link("IMAGE", IMAGE_TOOLTIP),
                "threshold": schema.detector_threshold(),
                "dilation": ("INT", {"default": cls.DILATION, "min": 0, "max": 255, "step": 1, "tooltip": grows}),
            }
        }

    def _detector(self, given: Mapping[str, object]) -> Detector:
        name = self.KIND.lower()
        return self.door.detector(given[name], KINDS[self.KIND], name)


class _FindsSegs(_Finds):
    """Those that give segments."""

    DROP_SIZE: ClassVar[int]
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {**super().INPUT_TYPES()["required"], "crop_factor": schema.crop_factor(100)}}

    def doit(self, image: object, threshold: float, dilation: int, crop_factor: float, **model: object) -> tuple[SEGS]:
        settings = DetectionSettings(threshold, dilation, crop_factor, self.DROP_SIZE)
        return (self._detector(model).detect(self.door.one_image(image), settings),)


class BboxDetectorForEach(_FindsSegs, name="BboxDetectorForEach (Legacy)", menu=LEGACY):
    """What a detector of rectangles finds."""

    DESCRIPTION = "The older form of 'BBOX Detector (SEGS)', for saved workflows: without drop_size and labels."
    SEARCH_ALIASES = ("detect faces", "bbox detector old")
    KIND = BBOX_MODEL
    DROP_SIZE = 1


class SegmDetectorForEach(_FindsSegs, name="SegmDetectorForEach (Legacy)", menu=LEGACY):
    """What a detector of outlines finds."""

    DESCRIPTION = "The older form of 'SEGM Detector (SEGS)', for saved workflows: nothing is too small for it."
    SEARCH_ALIASES = ("find outlines", "segm detector old")
    KIND = SEGM_MODEL
    DROP_SIZE = 0


class _FindsMask(_Finds):
    """Those that give one mask."""

    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)

    def doit(self, image: object, threshold: float, dilation: int, **model: object) -> tuple[torch.Tensor]:
        settings = DetectionSettings(threshold, dilation)
        mask = self._detector(model).detect_combined(self.door.one_image(image), settings)
        return (mask.to(host.devices.intermediate_device()),)


class BboxDetectorCombined(_FindsMask, name="BboxDetectorCombined (Legacy)", menu=LEGACY):
    """What a detector of rectangles finds, as one mask."""

    DESCRIPTION = "The older form of 'BBOX Detector (combined)', for saved workflows."
    SEARCH_ALIASES = ("detect mask", "bbox mask old")
    KIND = BBOX_MODEL
    DILATION = 4


class SegmDetectorCombined(_FindsMask, name="SegmDetectorCombined (Legacy)", menu=LEGACY):
    """What a detector of outlines finds, as one mask."""

    DESCRIPTION = "The older form of 'SEGM Detector (combined)', for saved workflows."
    SEARCH_ALIASES = ("detect mask", "segm mask old")
    KIND = SEGM_MODEL
    DILATION = 0


class _MMDet(Node):
    """A loader of files that nothing reads any more; it loads those that took their place."""

    DEPRECATED = True
    OUTPUT_TOOLTIPS = ("Finds rectangles.", "Finds outlines, where the model can.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        which = (
            "A YOLO file from models/ultralytics. Files from models/mmdets can't be loaded: choose a YOLO file that "
            "finds the same."
        )
        return {"required": {"model_name": (_choices(OLD_FOLDERS) + _choices(FOLDERS), {"tooltip": which})}}

    @classmethod
    def VALIDATE_INPUTS(cls, model_name: object) -> bool:
        """Any: the run says what to use instead of a file that isn't there."""
        return True

    def doit(self, model_name: str) -> tuple[object, object]:
        """Raises InputError for an mmdet file."""
        loader = cast("type[_Loader] | None", NODES.get(LOADER))
        if loader is None or model_name not in _choices(FOLDERS):
            self._refuse(model_name)
        return loader().doit(model_name=model_name)

    def _refuse(self, model_name: str) -> NoReturn:
        found = (
            f"{model_name} can't be loaded: weights of mmdet come with a Python file that would have to be run, and "
            "its library is no longer kept up"
        )
        fix = (
            "Use 'UltralyticsDetectorProvider' with a YOLO file in models/ultralytics/bbox or segm: face_yolov8m.pt "
            "for faces, hand_yolov8s.pt for hands, person_yolov8m-seg.pt for people"
        )
        raise self.door.error("model_name", found, fix)


def _choices(folders: dict[str, str]) -> list[str]:
    return [f"{prefix}/{name}" for prefix, kind in folders.items() for name in host.folders.model_files(kind)]


class MMDetLoader(_MMDet, name="MMDetLoader (Legacy)", menu=LEGACY):
    """Detectors under kinds of their own."""

    DESCRIPTION = "Stands in saved workflows for detectors of mmdet, which can't be loaded any more; YOLO files can."
    SEARCH_ALIASES = ("mmdet", "old detector loader")
    RETURN_TYPES = (_GivenAs(BBOX_MODEL), _GivenAs(SEGM_MODEL))


class MMDetDetectorProvider(_MMDet, menu=PACK):
    """The same as detectors of today."""

    DESCRIPTION = "Stands in saved workflows for detectors of mmdet, which can't be loaded any more; YOLO files can."
    SEARCH_ALIASES = ("mmdet", "old detector provider")
    RETURN_TYPES = (BBOX, SEGM)
