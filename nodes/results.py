"""All that a detailer makes, refined segments as layers over their picture, and the worst parts of many pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, cast

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.pipeline import run
from ..detailer.worst_parts import Shot as Judged
from ..detailer.worst_parts import sheet, table, worst_parts
from ..segs import Placed, black_picture, placed, rescale
from . import schema
from .detailing import MaskCut, Shot, work_on
from .registry import DETAILER, Detailer, Node
from .schema import InputTypes
from .settings import MaskWidgets, mask_cut_of, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger("mask_detailer")

MOST_LAYERS = 50  # that ComfyUI's compositor takes


class _Layer(TypedDict, total=False):
    """An item of ComfyUI's LAYERS: at ``x, y`` of the canvas; where ``mask`` is 1 it is clear."""

    image: torch.Tensor
    type: str
    x: int
    y: int
    z_index: int
    mask: torch.Tensor
    name: str


class Layers(TypedDict):
    """ComfyUI's LAYERS: from the lowest ``z_index`` up; the canvas is its width and height."""

    version: int
    canvas: tuple[int, int]
    layers: list[_Layer]


class MaskDetailerAllOutputs(Detailer, name="Detailer (all outputs)", menu=DETAILER, own=True):
    """Details what a mask or segments mark, and gives all that comes of it."""

    DESCRIPTION = (
        "Details the parts that a mask or SEGS mark, and gives besides the picture what pasting changed as one mask, "
        "the parts at the size that was sampled, as they were and as they are, and the refined segments."
    )
    SEARCH_ALIASES = ("paste mask", "crops at sampled size", "compare parts", "detailer outputs", "full size mask")
    RETURN_TYPES = ("IMAGE", "MASK", "IMAGE", "IMAGE", "SEGS")
    RETURN_NAMES = ("image", "paste_mask", "parts", "parts_before", "segs")
    OUTPUT_IS_LIST = (False, False, True, True, False)
    OUTPUT_TOOLTIPS = (
        "The picture with every part detailed.",
        "What pasting changed, at the picture's size, one mask a picture: 0 where nothing is new, 1 where all is.",
        "The parts as they were decoded, at the size that was sampled, in the order of work.",
        "The same parts as they were, at the same sizes, for 'Compare Images'.",
        "The segments with what was pasted as their images, such as for 'Detailed Parts as Layers'.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "image": schema.link("IMAGE", "The picture, or a batch of them. Alpha is kept."),
                "basic_pipe": schema.basic_pipe(),
                **schema.sizes(),
                **schema.sampling(),
                **schema.denoise_and_masks(),
                "crop_factor": schema.crop_factor(10),
                "drop_size": schema.advanced(schema.drop_size()),
            },
            "optional": {
                "mask": schema.mask_to_detail(),
                "segs": schema.link("SEGS", "The segments to detail, instead of a mask."),
                "detailer_hook": schema.detailer_hook(),
                "wildcard": schema.segment_text(),
                "noise_mask_feather": schema.advanced(schema.noise_mask_feather()),
                "inpaint_model": schema.advanced(schema.inpaint_model()),
                "contour_fill": schema.advanced(schema.contour_fill(True)),
                "cycle": schema.advanced(schema.cycle()),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(
        self,
        image: object,
        basic_pipe: object,
        mask: object = None,
        segs: object = None,
        **widgets: Unpack[MaskWidgets],
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], list[torch.Tensor], SEGS]:
        door, widgets = self.door, self.checked(widgets)
        if mask is not None and segs is not None:
            raise door.error("segs", "there is a mask too", "Connect one of the two")
        frames = door.image(image)
        recipe = replace(recipe_of_pipe(door, basic_pipe, widgets), keeps_sampled=True)
        given = None if segs is None else door.segs_to_detail(segs)
        of_mask = mask_cut_of(widgets).segs_of_frames(door, frames, mask)
        without = "" if given else MaskCut.why_nothing(mask)
        shots = (Shot(frame, given or of_mask(frame, True), widgets["seed"], without) for frame in range(len(frames)))
        work = work_on(door, frames, shots, len(frames), recipe)
        done = work.joined(list(run.detail(work.pictures, work.count, work.recipe)))
        assert done.paste_mask is not None
        return (
            done.image,
            done.paste_mask,
            done.sampled or [black_picture()],
            done.sampled_before or [black_picture()],
            done.segs,
        )


class MaskDetailerLayers(Node, name="Detailed Parts as Layers", menu=DETAILER, own=True, needs=host.nodes.has_layers):
    """Refined segments as layers over the picture, for ComfyUI's compositor."""

    DESCRIPTION = (
        "Makes layers of a picture and its refined segments, each in its place with its soft edge, so that each can "
        "be hidden, weakened or moved in 'Create Layered Image'. With all of them the picture is as pasted."
    )
    SEARCH_ALIASES = ("layers", "compositor", "psd", "parts as layers")
    RETURN_TYPES = ("LAYERS",)
    RETURN_NAMES = ("layers",)
    OUTPUT_TOOLTIPS = ("The picture, and over it a layer for each segment that has an image.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        segs = (
            "Refined segments, such as of 'Detailer (all outputs)' or 'SEGSDetailer'. Those without image are left out."
        )
        return {
            "required": {
                "image": schema.link("IMAGE", "The picture as it was before it was detailed, one."),
                "segs": schema.link("SEGS", segs),
                "feather": schema.feather(),
            }
        }

    def doit(self, image: object, segs: object, feather: int) -> tuple[Layers]:
        picture = self.door.one_image(image)
        size = Size(*picture.shape[1:3])
        layers = [_Layer(image=picture, type="raster", x=0, y=0, z_index=0, name="picture")]
        layers += [_layer(part) for part in placed(self.door.segs(segs), size, feather)]
        if len(layers) > MOST_LAYERS:
            logger.warning("%s: %d layers; ComfyUI's compositor takes %d", self.ID, len(layers), MOST_LAYERS)
        return (Layers(version=1, canvas=(size.width, size.height), layers=layers),)


def _layer(part: Placed) -> _Layer:
    """A segment as a layer over those before it."""
    name = f"{part.number} {part.label}".strip()
    x, y = part.region.x1, part.region.y1
    mask = 1.0 - part.alpha
    return _Layer(image=part.image, type="raster", x=x, y=y, z_index=part.number, mask=mask, name=name)


class MaskDetailerWorstParts(Node, name="Worst Parts", menu=DETAILER, own=True):
    """Which parts of many detailed pictures fit worst."""

    DESCRIPTION = (
        "Looks through all detailed parts of one picture or a thousand and shows those that fit worst: a hard seam, "
        "sharpness or grain unlike their surroundings, burnt or other colours. For who can't look at each."
    )
    SEARCH_ALIASES = ("contact sheet", "quality check", "find bad faces", "review batch")
    INPUT_IS_LIST = True
    checks_itself = True
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("sheet", "table")
    OUTPUT_TOOLTIPS = (
        "The worst parts before and after, the worst first, with what is wrong.",
        "The same as a Markdown table, with every measure.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        count = "So many parts are shown at most."
        segs = "The segments that were detailed: for each item of the list its own, or one for all."
        return {
            "required": {
                "before": schema.link("IMAGE", "The pictures as they were, batches or a list of them."),
                "after": schema.link("IMAGE", "The same pictures detailed, in the same order."),
                "segs": schema.link("SEGS", segs),
                "count": ("INT", {"default": 12, "min": 1, "max": 60, "tooltip": count}),
            }
        }

    def doit(
        self, before: list[object], after: list[object], segs: list[object], count: list[object]
    ) -> tuple[torch.Tensor, str]:
        most = cast(int, self.checked({"count": count[0] if count else 12})["count"])
        if len(before) != len(after):
            found = f"there are {len(after)} items and {len(before)} before"
            raise self.door.error("after", found, "Connect the same pictures, detailed")
        if len(segs) not in (1, len(before)):
            found = f"there are {len(segs)} for {len(before)} items of pictures"
            raise self.door.error("segs", found, "Give one for each item, or one for all")
        rated = worst_parts(self._shots(before, after, segs * len(before) if len(segs) == 1 else segs), most)
        return sheet(rated).to(host.devices.intermediate_device()), table(rated)

    def _shots(self, before: list[object], after: list[object], segs: list[object]) -> Iterator[Judged]:
        for was, now, parts in zip(before, after, segs, strict=True):
            old, new = self.door.image(was, "before")[..., :3], self.door.image(now, "after")[..., :3]
            if old.shape != new.shape:
                found = f"{Size(*new.shape[1:3])} x {len(new)}, and before {Size(*old.shape[1:3])} x {len(old)}"
                raise self.door.error(
                    "after", f"the pictures don't fit: {found}", "Connect the same pictures, detailed"
                )
            fitted = rescale(self.door.segs(parts), Size(*old.shape[1:3]))
            for frame in range(len(old)):
                yield Judged(old[frame : frame + 1], new[frame : frame + 1], fitted)
