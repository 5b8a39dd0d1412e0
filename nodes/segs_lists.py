"""Nodes of the segs group: segments counted, joined, picked, filtered and labelled."""

from __future__ import annotations

from functools import reduce

import torch

from ..core import SEGS, Region, Size, crop_region
from ..core.normal import MOST_PIXELS
from ..detailer import host
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
from . import schema
from .registry import LOGIC, UTIL, Node
from .routes import candidates
from .schema import InputTypes

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


class ImpactCount_Elts_in_SEGS(Node, name="Count Elts in SEGS", menu=UTIL):
    """How many segments there are."""

    DESCRIPTION = "Counts the segments."
    SEARCH_ALIASES = ("count segments", "number of segments", "how many")
    RETURN_TYPES = ("INT",)
    OUTPUT_TOOLTIPS = ("The number of segments.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments to count.")}}

    def doit(self, segs: object) -> tuple[int]:
        return (len(self.door.segs(segs)[1]),)


class ImpactIsNotEmptySEGS(Node, name="SEGS isn't Empty", menu=LOGIC):
    """Whether there is a segment."""

    DESCRIPTION = "Tells whether there is any segment, to switch between two ways."
    SEARCH_ALIASES = ("segs empty", "has segments", "found anything")
    RETURN_TYPES = ("BOOLEAN",)
    OUTPUT_TOOLTIPS = ("True where there is at least one segment.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments to look for.")}}

    def doit(self, segs: object) -> tuple[bool]:
        return (bool(self.door.segs(segs)[1]),)


class ImpactSEGSConcat(Node, name="SEGS Concat", menu=UTIL):
    """Several SEGS in one."""

    DESCRIPTION = "Puts the segments of several SEGS into one list, one after the other."
    SEARCH_ALIASES = ("join segments", "append segs", "combine segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments of all inputs that are for the same picture size as the first.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs1": schema.link("SEGS", "The first segments; segs2, segs3 and so on follow.")}}

    def doit(self, **segs: object) -> tuple[SEGS]:
        """``segs1``, ``segs2`` and as many more as there are, in their order."""
        door = self.door
        return (concat({name: door.segs(value, name) for name, value in segs.items() if value is not None}),)


class ImpactSEGSMerge(Node, name="SEGS Merge", menu=UTIL):
    """All segments as one."""

    DESCRIPTION = "Makes one segment of all, so that they are detailed together in one crop."
    SEARCH_ALIASES = ("merge segments", "union", "one segment")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("One segment with the label 'merged' and the least confidence of all.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments to make one of.")}}

    def doit(self, segs: object) -> tuple[SEGS]:
        door = self.door
        checked = door.segs(segs)
        regions = [crop_region(seg) for seg in checked[1]]
        if regions and (around := reduce(Region.union, regions)).width * around.height > MOST_PIXELS:
            first, last = (
                1 + regions.index(one)
                for one in (
                    min(regions, key=lambda one: one.x1 + one.y1),
                    max(regions, key=lambda one: one.x2 + one.y2),
                )
            )
            found = (
                f"crop_region around segment {first} and segment {last} would be {around.size}, more than pictures have"
            )
            raise door.error("segs", found, "Leave out what lies far outside the picture")
        return (merge(checked),)


class ImpactSEGSPicker(Node, name="Picker (SEGS)", menu=UTIL):
    """Segments by their numbers."""

    DESCRIPTION = "Keeps the segments whose numbers are given; 1 is the first."
    SEARCH_ALIASES = ("pick segments", "choose segs", "select by number")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The picked segments, in ascending order of their numbers.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        picks = "The segments' numbers, separated by commas: 1, 3. Numbers without a segment are left out."
        text = {"multiline": True, "dynamicPrompts": False, "pysssss.autocomplete": False, "tooltip": picks}
        return {
            "required": {
                "picks": ("STRING", text),
                "segs": schema.link("SEGS", "The segments to pick from."),
            },
            "optional": {
                "fallback_image_opt": schema.link("IMAGE", "The picture; the segments are moved to its size."),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(
        self, picks: str, segs: object, fallback_image_opt: object = None, unique_id: object = None
    ) -> tuple[SEGS]:
        door = self.door
        checked, image = door.segs(segs), None
        if fallback_image_opt is not None:
            image = door.image(fallback_image_opt, "fallback_image_opt")
            checked = rescale(checked, Size(*image.shape[1:3]))
        if unique_id is not None:
            self._show(str(unique_id), checked, image)
        return (pick(checked, parse_picks(picks)),)

    def _show(self, node_id: str, segs: SEGS, image: torch.Tensor | None) -> None:
        """For the browser's dialog; where that can't be, the work goes on."""
        with host.devices.only_a_preview(f"{self.door.node}: the segments can't be shown"):
            candidates.keep(node_id, segs, image, host.server.running_workflow())


class ImpactSEGSLabelFilter(Node, name="SEGS Filter (label)", menu=UTIL):
    """Segments by label."""

    DESCRIPTION = "Parts segments by their labels."
    SEARCH_ALIASES = ("filter by label", "filter by class", "only faces")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("Segments with one of the labels.", "All others.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        names = (
            "Labels to keep, separated by commas; upper and lower case count. all keeps everything; eyes, eyebrows and "
            "pupils keep the left and the right one."
        )
        placeholder = "List the types of segments to be allowed, separated by commas"
        preset = "Choosing one adds it to labels. It has no effect when the workflow runs."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to part."),
                "preset": (["all", *LABELS], {"tooltip": preset}),
                "labels": ("STRING", {"multiline": True, "placeholder": placeholder, "tooltip": names}),
            }
        }

    def doit(self, segs: object, preset: str, labels: str) -> tuple[SEGS, SEGS]:
        return by_label(self.door.segs(segs), split_text(labels))


class ImpactSEGSRangeFilter(Node, name="SEGS Filter (range)", menu=UTIL):
    """Segments by what they measure."""

    DESCRIPTION = "Parts segments by size, place, shape or confidence."
    SEARCH_ALIASES = ("filter by size", "filter by area", "filter by confidence", "small segments")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("Segments within the range (or outside, by mode).", "All others.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = (
            "What is measured, in pixels of the crop region: its area, sides or corners. length_percent is the longer "
            "side in percent of the shorter (100 is square); confidence goes from 0 to 100."
        )
        mode = "Keep what lies within the range, or what lies outside."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to part."),
                "target": (list(RANGE_TARGETS), {"tooltip": target}),
                "mode": schema.switch(True, "inside", "outside", mode),
                "min_value": schema.whole_number(0, "The least value within the range."),
                "max_value": schema.whole_number(67108864, "The greatest value within the range."),
            }
        }

    def doit(self, segs: object, target: str, mode: bool, min_value: int, max_value: int) -> tuple[SEGS, SEGS]:
        return by_range(self.door.segs(segs), target, mode, min_value, max_value)


class ImpactSEGSOrderedFilter(Node, name="SEGS Filter (ordered)", menu=UTIL):
    """Segments by their place in an order."""

    DESCRIPTION = "Sorts segments and takes some of them, such as the three largest."
    SEARCH_ALIASES = ("sort segments", "largest segment", "order segs", "top segments")
    RETURN_TYPES = ("SEGS", "SEGS")
    RETURN_NAMES = ("filtered_SEGS", "remained_SEGS")
    OUTPUT_TOOLTIPS = ("The segments taken, sorted.", "All others, sorted too.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "What to sort by: area, sides or corners of the crop region, or the confidence."
        order = "Largest first, or smallest first. Equal ones stay in their order."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to sort."),
                "target": (list(ORDER_TARGETS), {"tooltip": target}),
                "order": schema.switch(True, "descending", "ascending", order),
                "take_start": schema.whole_number(0, "The place of the first one taken; 0 is the first of all."),
                "take_count": schema.whole_number(1, "How many are taken."),
            }
        }

    def doit(self, segs: object, target: str, order: bool, take_start: int, take_count: int) -> tuple[SEGS, SEGS]:
        return by_order(self.door.segs(segs), target, order, take_start, take_count)


class ImpactSEGSLabelAssign(Node, name="SEGS Assign (label)", menu=UTIL):
    """Segments with new labels."""

    DESCRIPTION = "Gives segments labels, in their order."
    SEARCH_ALIASES = ("label segments", "rename segs", "set label")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with their new labels.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        placeholder = "List the label to be assigned in order of segs, separated by commas"
        names = (
            "Labels in the order of the segments, separated by commas. Segments without one keep theirs; labels too "
            "many are left out."
        )
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to label."),
                "labels": ("STRING", {"multiline": True, "placeholder": placeholder, "tooltip": names}),
            }
        }

    def doit(self, segs: object, labels: str) -> tuple[SEGS]:
        return (assign_labels(self.door.segs(segs), split_text(labels)),)
