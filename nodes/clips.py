"""Nodes for clips: parts that move, each followed and worked on in one window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from ..core import Size
from ..detailer import host
from ..detailer.pipeline.chosen import Chosen
from ..detailer.pipeline.recipe import Recipe
from ..segs import black_picture
from . import schema
from .door import Door
from .marked import Marks, seen_in
from .registry import DETAILER, Detailer, Node
from .schema import Input, Inputs, InputTypes, Shown
from .settings import DetailerWidgets, recipe_of_pipe

if TYPE_CHECKING:  # what follows parts is imported where it is needed: ComfyUI starts with all packs
    from typing_extensions import Unpack

    from ..detailer.clips.plan import ClipPlan, ClipSettings


Doit = TypeVar("Doit", bound=Callable[..., object])


class ClipWidgets(DetailerWidgets, Marks, total=False):
    """The inputs of a node that follows parts through a clip."""

    crop_factor: float
    smoothing: float
    gap: int
    fade: int
    cut_threshold: float
    span: int
    overlap: int
    steady: str


def _whole(default: int, most: int, tooltip: str) -> Input:
    return "INT", {"default": default, "min": 0, "max": most, "step": 1, "tooltip": tooltip}


def _following() -> Inputs:
    smoothing = (
        "How much a window's path is smoothed. It follows what the picture shows under the mask, so that 1 is enough. "
        "0 leaves it as it was measured; more makes it straighter where the part can hardly be made out."
    )
    gap = (
        "For so many frames on end a part may have no mask and still be the same. Where the picture shows it all the "
        "same it is detailed, with the mask of the nearest frame; where it is gone the frame stays as it is."
    )
    cut = (
        "How much a frame must differ from the one before to begin a new shot. No part goes on over a cut. 1 finds "
        "none."
    )
    return {
        "smoothing": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 100.0, "step": 0.1, "tooltip": smoothing}),
        "gap": _whole(4, 1000, gap),
        "cut_threshold": ("FLOAT", {"default": 0.18, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": cut}),
    }


def _marked() -> Inputs:
    mask = "White marks the parts: a mask for each frame, or one for all. Parts that touch are one."
    segs = (
        "The parts as SEGS, instead of a mask: each with a mask for each frame, or with one for all. Or a list of "
        "SEGS, one for each frame, as a detector makes of a list of pictures."
    )
    tracks = "The parts as ComfyUI's 'Run SAM3 Video Track' follows them, instead of a mask."
    return {
        "mask": schema.link("MASK", mask),
        "segs": schema.link("SEGS", segs),
        "track_data": schema.link("SAM3_TRACK_DATA", tracks),
    }


def _clip_and_sizes() -> Inputs:
    return {
        "image": schema.link("IMAGE", "The clip's frames. Alpha is kept."),
        "basic_pipe": schema.basic_pipe(),
        "guide_size": schema.guide_size(384),
        "guide_size_for": schema.guide_size_for("mask bbox", "crop region"),
        "max_size": schema.max_size(),
    }


def _windows() -> Inputs:
    return {
        "feather": schema.feather(),
        "crop_factor": schema.crop_factor(10),
        "drop_size": schema.drop_size(),
    }


def _choices() -> Input:
    kind, facts = schema.choices()["choices"]
    tooltip = (
        "Choices for single parts of the clip, as JSON by the numbers in the plan and the strip. Each takes seed, "
        "denoise, text, keep (the clip stays as it is there), skip and box (where the part is first seen). The strip's "
        "buttons write it, the help page shows how it looks. Parts for which nothing changed are not sampled again."
    )
    return kind, {**facts, "tooltip": tooltip}


PLAN = "The plan: each shot's middle frame with the windows, and a line of time for each part; gaps hollow, cuts red."
WORDS = "The same in words: frames, window and working size of each part."


class _Following(Node):
    """What the two nodes that follow parts have in common: SEGS may come as a list, one for each frame."""

    INPUT_IS_LIST = True
    checks_itself = True


def _one_by_one(doit: Doit) -> Doit:
    """The same for lists, as ComfyUI gives them: once for each clip, as nodes that take no lists are called."""

    @wraps(doit)
    def each(self: _Following, *args: Any, **given: Any) -> Any:
        if not isinstance(given.get("image"), list):
            return doit(self, *args, **given)
        made = [doit(self, *args, **values) for values in _calls(given)]
        results = zip(*(one["result"] if isinstance(one, dict) else one for one in made), strict=True)
        joined = tuple(list(chain(*(one if isinstance(one, list) else [one] for one in place))) for place in results)
        shown = [one["ui"] for one in made if isinstance(one, dict)]
        if not shown:
            return joined
        return {"ui": {name: list(chain(*(ui[name] for ui in shown))) for name in shown[0]}, "result": joined}

    return cast(Doit, each)


def _calls(lists: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    """The values of each call; a list that is shorter than others goes on with its last one. A clip's SEGS are one."""
    segs = lists.get("segs", ())
    others = {name: values for name, values in lists.items() if name != "segs" and len(values)}
    calls = max(map(len, others.values()))
    for call in range(calls):
        values = {name: given[min(call, len(given) - 1)] for name, given in others.items()}
        if calls == 1 and len(segs) > 1:
            values["segs"] = list(segs)
        elif segs:
            values["segs"] = segs[min(call, len(segs) - 1)]
        yield values


class MaskDetailerClip(_Following, Detailer, name="MaskDetailer (clip)", menu=DETAILER, own=True):
    """Details the parts of a clip that masks mark, each in a window that follows it."""

    DESCRIPTION = (
        "Follows each part that the masks mark through the clip, works on it in one window that moves, zooms and turns "
        "with it, and puts it back frame by frame. An image model gets the same noise in each frame, a video model all "
        "frames as one clip. Outside each frame's own feathered mask everything stays as it is, bit for bit."
    )
    SEARCH_ALIASES = ("video detailer", "clip detailer", "face detailer video", "mask detailer video", "track faces")
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "IMAGE", "STRING")
    RETURN_NAMES = ("image", "windows_before", "windows_after", "plan", "plan_text")
    OUTPUT_IS_LIST = (True, True, True, True, True)
    OUTPUT_TOOLTIPS = (
        "The finished clip.",
        "For each part its window's frames as they were.",
        "The same as they came out, before they are put back.",
        PLAN,
        WORDS,
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        masked = "Sample only under the mask, or the whole window. Either way only what is under the mask is put back."
        fade = (
            "Over so many frames a part comes in and goes out where it is first and last seen within a shot: 0 at once."
        )
        span = (
            "Frames that a video model is given at once. A longer clip is sampled in spans whose predictions are "
            "blended where they overlap. Image models take each frame by itself."
        )
        steady = (
            "An image model adds slightly different detail to each frame. Each is averaged with that of the two frames "
            "before and after, where these show the same. moving: in windows that move; all: also in those that stand "
            "still, as with a camera that stands; off: each frame by itself. Video models don't need it."
        )
        return {
            "required": {
                **_clip_and_sizes(),
                "mask_mode": schema.switch(True, "masked only", "whole", masked),
                **schema.sampling(),
                "denoise": schema.denoise(),
                **_windows(),
                "refiner_ratio": schema.refiner_ratio(),
                "cycle": schema.cycle(),
                **_following(),
                "fade": _whole(3, 100, fade),
                "span": ("INT", {"default": 81, "min": 1, "max": 10000, "step": 1, "tooltip": span}),
                "overlap": _whole(16, 1000, "Frames that two spans share."),
            },
            "optional": {
                **_marked(),
                "refiner_basic_pipe_opt": schema.refiner_pipe(),
                "detailer_hook": schema.detailer_hook(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "contour_fill": schema.contour_fill(True),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.beyond(),
                "choices": _choices(),
                "steady": (["moving", "all", "off"], {"default": "moving", "tooltip": steady, "advanced": True}),
            },
        }

    @_one_by_one
    def doit(self, image: object, basic_pipe: object, **widgets: Unpack[ClipWidgets]) -> tuple[object, ...]:
        door, widgets = self.door, self.checked(widgets)
        frames = door.image(image)
        recipe, settings = recipe_of_pipe(door, basic_pipe, widgets), _settings(widgets)
        door.fits_latent(Size(*frames.shape[1:3]), recipe.pipe.vae)
        from ..detailer.clips.chosen import with_choices
        from ..detailer.clips.run import detail_clip

        chosen = Chosen(recipe.settings.choices)
        plan = with_choices(_plan(door, frames, widgets, settings, recipe), chosen)
        made = frames.to(host.devices.intermediate_device(), copy=True)
        parts = list(detail_clip(made[..., :3], plan, settings, recipe, chosen))
        return (
            made,
            [part.before for part in parts] or [black_picture()],
            [part.after for part in parts] or [black_picture()],
            _drawn(frames, plan),
            str(plan),
        )


class MaskDetailerClipPlan(_Following, name="Detail Plan (clip)", menu=DETAILER, own=True):
    """What MaskDetailer (clip) would do, before it does it."""

    DESCRIPTION = (
        "Follows the parts of a clip as 'MaskDetailer (clip)' would, and shows their paths and windows, the frames in "
        "which they are out of sight, and the cuts. Samples nothing."
    )
    SEARCH_ALIASES = ("clip plan", "preview tracks", "video plan", "track parts")
    RETURN_TYPES = ("STRING", "IMAGE")
    RETURN_NAMES = ("plan_text", "plan")
    OUTPUT_IS_LIST = (True, True)
    OUTPUT_TOOLTIPS = ("The plan in words: frames, window and working size of each part.", PLAN)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                **_clip_and_sizes(),
                "seed": schema.seed(),
                **_windows(),
                **_following(),
            },
            "optional": {**_marked(), "contour_fill": schema.contour_fill(True), **schema.beyond()},
        }

    @_one_by_one
    def doit(self, image: object, basic_pipe: object, **widgets: Unpack[ClipWidgets]) -> Shown:
        door, widgets = self.door, self.checked(widgets)
        frames = door.image(image)
        recipe = recipe_of_pipe(door, basic_pipe, _NOT_PLANNED | widgets)
        plan = _plan(door, frames, widgets, _settings(widgets), recipe)
        picture, text = _drawn(frames, plan), str(plan)
        return {
            "ui": {"images": host.folders.save_previews([picture[0]], "mask_detailer_clip_plan"), "text": [text]},
            "result": (text, picture),
        }


# what a plan does not depend on
_NOT_PLANNED: dict[str, object] = {
    "steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
}  # fmt: skip


def _settings(widgets: ClipWidgets) -> ClipSettings:
    from ..detailer.clips.plan import ClipSettings

    return ClipSettings(
        crop_factor=widgets.get("crop_factor", 3.0),
        smoothing=widgets.get("smoothing", 1.0),
        gap=widgets.get("gap", 4),
        fade=widgets.get("fade", 0),
        cut_threshold=widgets.get("cut_threshold", 0.18),
        span=widgets.get("span", 81),
        overlap=widgets.get("overlap", 16),
        steady=widgets.get("steady", "moving"),
    )


def _plan(door: Door, frames: torch.Tensor, widgets: ClipWidgets, settings: ClipSettings, recipe: Recipe) -> ClipPlan:
    from ..detailer.clips.plan import make_clip_plan

    return make_clip_plan(frames[..., :3], seen_in(door, frames, widgets), settings, recipe)


def _drawn(frames: torch.Tensor, plan: ClipPlan) -> torch.Tensor:
    from ..core.clips.drawing import drawn

    picture = drawn(
        lambda index: frames[index, ..., :3],
        plan.count,
        plan.picture,
        plan.cuts,
        [part.window for part in plan.parts],
    )
    return picture.to(host.devices.intermediate_device(), torch.float32)
