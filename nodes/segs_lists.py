"""Nodes of the segs group: segments counted, joined, picked, filtered and labelled."""

from __future__ import annotations

from typing import Any

from ..core import SEGS, Size
from ..segs import (
    ORDER_TARGETS,
    RANGE_TARGETS,
    assign_labels,
    by_label,
    by_order,
    by_range,
    concat,
    merge,
    parse_picks,
    pick,
    rescale,
    split_text,
)
from . import inputs
from .checks import Door
from .routes import candidates

MAX_INT = 2**63 - 1

# What detectors call things: faces and their parts, clothes, and the eighty classes of COCO.
LABELS = (
    "hand", "face", "mouth", "eyes", "eyebrows", "pupils", "left_eyebrow", "left_eye", "left_pupil", "right_eyebrow",
    "right_eye", "right_pupil", "short_sleeved_shirt", "long_sleeved_shirt", "short_sleeved_outwear",
    "long_sleeved_outwear", "vest", "sling", "shorts", "trousers", "skirt", "short_sleeved_dress",
    "long_sleeved_dress", "vest_dress", "sling_dress", "person", "bicycle", "car", "motorcycle", "airplane", "bus",
    "train", "truck", "boat", "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat",
    "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie",
    "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
    "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def _whole_number(default: int, tooltip: str) -> inputs.Input:
    return "INT", {"default": default, "min": 0, "max": MAX_INT, "step": 1, "tooltip": tooltip}


class ImpactCount_Elts_in_SEGS:
    """How many segments there are."""

    DESCRIPTION = "Counts the segments."
    SEARCH_ALIASES = ("count segments", "number of segments", "how many")
    RETURN_TYPES = ("INT",)
    OUTPUT_TOOLTIPS = ("The number of segments.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs": inputs.link("SEGS", "The segments to count.")}}

    def doit(self, segs: Any) -> tuple[int]:
        return (len(Door("ImpactCount_Elts_in_SEGS").segs(segs)[1]),)


class ImpactIsNotEmptySEGS:
    """Whether there is a segment."""

    DESCRIPTION = "Tells whether there is any segment, to switch between two ways."
    SEARCH_ALIASES = ("segs empty", "has segments", "found anything")
    RETURN_TYPES = ("BOOLEAN",)
    OUTPUT_TOOLTIPS = ("True where there is at least one segment.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Logic"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs": inputs.link("SEGS", "The segments to look for.")}}

    def doit(self, segs: Any) -> tuple[bool]:
        return (bool(Door("ImpactIsNotEmptySEGS").segs(segs)[1]),)


class ImpactSEGSConcat:
    """Several SEGS in one."""

    DESCRIPTION = "Puts the segments of several SEGS into one list, one after the other."
    SEARCH_ALIASES = ("join segments", "append segs", "combine segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments of all inputs that are for the same picture size as the first.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs1": inputs.link("SEGS", "The first segments; segs2, segs3 and so on follow.")}}

    def doit(self, **segs: Any) -> tuple[SEGS]:
        """``segs1``, ``segs2`` and as many more as there are, in their order."""
        door = Door("ImpactSEGSConcat")
        return (concat({name: door.segs(value, name) for name, value in segs.items() if value is not None}),)


class ImpactSEGSMerge:
    """All segments as one."""

    DESCRIPTION = "Makes one segment of all, so that they are detailed together in one crop."
    SEARCH_ALIASES = ("merge segments", "union", "one segment")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("One segment with the label 'merged' and the least confidence of all.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs": inputs.link("SEGS", "The segments to make one of.")}}

    def doit(self, segs: Any) -> tuple[SEGS]:
        return (merge(Door("ImpactSEGSMerge").segs(segs)),)


class ImpactSEGSPicker:
    """Segments by their numbers."""

    DESCRIPTION = "Keeps the segments whose numbers are given; 1 is the first."
    SEARCH_ALIASES = ("pick segments", "choose segs", "select by number")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The picked segments, in ascending order of their numbers.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        picks = "The segments' numbers, separated by commas: 1, 3. Numbers without a segment are left out."
        text = {"multiline": True, "dynamicPrompts": False, "pysssss.autocomplete": False, "tooltip": picks}
        return {
            "required": {
                "picks": ("STRING", text),
                "segs": inputs.link("SEGS", "The segments to pick from."),
            },
            "optional": {
                "fallback_image_opt": inputs.link("IMAGE", "The picture; the segments are moved to its size."),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(self, picks: str, segs: Any, fallback_image_opt: Any = None, unique_id: Any = None) -> tuple[SEGS]:
        door = Door("ImpactSEGSPicker")
        checked, image = door.segs(segs), None
        if fallback_image_opt is not None:
            image = door.image(fallback_image_opt, "fallback_image_opt")
            checked = rescale(checked, Size(*image.shape[1:3]))
        if unique_id is not None:
            candidates.keep(str(unique_id), checked, image)
        return (pick(checked, parse_picks(picks)),)


class ImpactSEGSLabelFilter:
    """Segments by label."""

    DESCRIPTION = "Parts segments by their labels."
    SEARCH_ALIASES = ("filter by label", "filter by class", "only faces")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("Segments with one of the labels.", "All others.")
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = (
            "Labels to keep, separated by commas; upper and lower case count. all keeps everything; eyes, eyebrows and "
            "pupils keep the left and the right one."
        )
        placeholder = "List the types of segments to be allowed, separated by commas"
        preset = "Choosing one adds it to labels. It has no effect when the workflow runs."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments to part."),
                "preset": (["all", *LABELS], {"tooltip": preset}),
                "labels": ("STRING", {"multiline": True, "placeholder": placeholder, "tooltip": names}),
            }
        }

    def doit(self, segs: Any, preset: str, labels: str) -> tuple[SEGS, SEGS]:
        return by_label(Door("ImpactSEGSLabelFilter").segs(segs), split_text(labels))


class ImpactSEGSRangeFilter:
    """Segments by what they measure."""

    DESCRIPTION = "Parts segments by size, place, shape or confidence."
    SEARCH_ALIASES = ("filter by size", "filter by area", "filter by confidence", "small segments")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("Segments within the range (or outside, by mode).", "All others.")
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        target = (
            "What is measured, in pixels of the crop region: its area, sides or corners. length_percent is the longer "
            "side in percent of the shorter (100 is square); confidence goes from 0 to 100."
        )
        mode = "Keep what lies within the range, or what lies outside."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments to part."),
                "target": (list(RANGE_TARGETS), {"tooltip": target}),
                "mode": inputs.switch(True, "inside", "outside", mode),
                "min_value": _whole_number(0, "The least value within the range."),
                "max_value": _whole_number(67108864, "The greatest value within the range."),
            }
        }

    def doit(self, segs: Any, target: str, mode: bool, min_value: int, max_value: int) -> tuple[SEGS, SEGS]:
        return by_range(Door("ImpactSEGSRangeFilter").segs(segs), target, mode, min_value, max_value)


class ImpactSEGSOrderedFilter:
    """Segments by their place in an order."""

    DESCRIPTION = "Sorts segments and takes some of them, such as the three largest."
    SEARCH_ALIASES = ("sort segments", "largest segment", "order segs", "top segments")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("The segments taken, sorted.", "All others, sorted too.")
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        target = "What to sort by: area, sides or corners of the crop region, or the confidence."
        order = "Largest first, or smallest first. Equal ones stay in their order."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments to sort."),
                "target": (list(ORDER_TARGETS), {"tooltip": target}),
                "order": inputs.switch(True, "descending", "ascending", order),
                "take_start": _whole_number(0, "The place of the first one taken; 0 is the first of all."),
                "take_count": _whole_number(1, "How many are taken."),
            }
        }

    def doit(self, segs: Any, target: str, order: bool, take_start: int, take_count: int) -> tuple[SEGS, SEGS]:
        return by_order(Door("ImpactSEGSOrderedFilter").segs(segs), target, order, take_start, take_count)


class ImpactSEGSLabelAssign:
    """Segments with new labels."""

    DESCRIPTION = "Gives segments labels, in their order."
    SEARCH_ALIASES = ("label segments", "rename segs", "set label")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with their new labels.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        placeholder = "List the label to be assigned in order of segs, separated by commas"
        names = (
            "Labels in the order of the segments, separated by commas. Segments without one keep theirs; labels too "
            "many are left out."
        )
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments to label."),
                "labels": ("STRING", {"multiline": True, "placeholder": placeholder, "tooltip": names}),
            }
        }

    def doit(self, segs: Any, labels: str) -> tuple[SEGS]:
        return (assign_labels(Door("ImpactSEGSLabelAssign").segs(segs), split_text(labels)),)


NODE_CLASS_MAPPINGS = {
    "ImpactCount_Elts_in_SEGS": ImpactCount_Elts_in_SEGS,
    "ImpactIsNotEmptySEGS": ImpactIsNotEmptySEGS,
    "ImpactSEGSConcat": ImpactSEGSConcat,
    "ImpactSEGSMerge": ImpactSEGSMerge,
    "ImpactSEGSPicker": ImpactSEGSPicker,
    "ImpactSEGSLabelFilter": ImpactSEGSLabelFilter,
    "ImpactSEGSRangeFilter": ImpactSEGSRangeFilter,
    "ImpactSEGSOrderedFilter": ImpactSEGSOrderedFilter,
    "ImpactSEGSLabelAssign": ImpactSEGSLabelAssign,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ImpactCount_Elts_in_SEGS": "Count Elts in SEGS",
    "ImpactIsNotEmptySEGS": "SEGS isn't Empty",
    "ImpactSEGSConcat": "SEGS Concat",
    "ImpactSEGSMerge": "SEGS Merge",
    "ImpactSEGSPicker": "Picker (SEGS)",
    "ImpactSEGSLabelFilter": "SEGS Filter (label)",
    "ImpactSEGSRangeFilter": "SEGS Filter (range)",
    "ImpactSEGSOrderedFilter": "SEGS Filter (ordered)",
    "ImpactSEGSLabelAssign": "SEGS Assign (label)",
}
