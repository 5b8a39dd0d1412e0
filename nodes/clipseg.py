"""CLIPSeg as a detector."""

from __future__ import annotations

from ..detailer.detection.clipseg import ClipSegDetector, Search, finder
from ..detailer.detection.clipseg import register_folders as register_folders
from ..detailer.detection.local_models import LocalModelError
from .core_detectors import DETECTOR_TOOLTIP
from .registry import UTIL, Node
from .schema import InputTypes


class CLIPSegDetectorProvider(Node, menu=UTIL):
    """What a text names, found by CLIPSeg."""

    DESCRIPTION = (
        "Makes a detector of CLIPSeg, which finds what a text names. It uses the files in models/clipseg, or the node "
        "CLIPSeg of another pack."
    )
    SEARCH_ALIASES = ("clipseg detector", "text detector", "find by text", "bbox detector provider", "prompt to mask")
    RETURN_TYPES = ("BBOX_DETECTOR",)
    OUTPUT_TOOLTIPS = (DETECTOR_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        text = "What to look for, as one text, commas too. Empty: what the node that uses the detector asks for."
        blur = (
            "Softens what CLIPSeg sees before it is cut out, in pixels of its own picture of 352x352, and makes each "
            "part larger by about four times that."
        )
        sure = "How sure CLIPSeg must be. It counts instead of the detector node's threshold."
        grown = (
            "Pixels of CLIPSeg's own picture by which each part grows on every side. It counts instead of the detector "
            "node's dilation."
        )
        return {
            "required": {
                "text": ("STRING", {"multiline": False, "tooltip": text}),
                "blur": ("FLOAT", {"min": 0, "max": 15, "step": 0.1, "default": 7, "tooltip": blur}),
                "threshold": ("FLOAT", {"min": 0, "max": 1, "step": 0.05, "default": 0.4, "tooltip": sure}),
                "dilation_factor": ("INT", {"min": 0, "max": 10, "step": 1, "default": 4, "tooltip": grown}),
            }
        }

    def doit(self, text: str, blur: float, threshold: float, dilation_factor: int) -> tuple[ClipSegDetector]:
        try:
            find = finder()
        except LocalModelError as error:
            raise self.door.error("text", error.found, error.fix) from error
        return (ClipSegDetector(find, Search(text, blur, threshold, dilation_factor), self.ID),)
