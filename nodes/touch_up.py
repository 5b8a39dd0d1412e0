"""Paint and go on: what is painted on a node's picture is detailed, and the result is the picture to paint on next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, cast

import torch

from ..core import SEGS, Size
from ..detailer import bridge, host, touch_up
from ..detailer.host.families import Family, family_of, is_for_inpainting
from ..detailer.options import UNTURNED, DetailOptions, WorkingSizeOptions
from ..detailer.pipeline import run
from ..detailer.touch_up import History, Made, Step
from ..detailer.values import BasicPipe
from ..segs import black_picture
from . import schema, validate
from .detailing import MaskCut, Shot, work_on
from .door import Door
from .registry import DETAILER, Detailer
from .schema import Input, Inputs, InputTypes, Shown
from .settings import recipe_of
from .validate import InputError

if TYPE_CHECKING:
    from typing_extensions import Unpack

AUTO = "auto"
LONGEST = 1.5  # sides: how much longer than the family's a crop's longer side may become
SPECK = 2  # pixels: what is painted no larger is none
NOISE_MASK_FEATHER = 10  # pixels
STEP_BACK = "Step back until it is gone, or empty the history"


def _automatic(names: list[str], tooltip: str) -> Input:
    return [AUTO, *names], {"default": AUTO, "tooltip": tooltip, "advanced": True}


def _visible() -> Inputs:
    text = (
        "What the painted part should show, in place of the pipe's positive prompt; empty: the pipe's own. Needs a "
        "CLIP in the pipe. Choices in braces, lists __name__ and <lora:name:weight> work."
    )
    strength = (
        "How much of the painted part is made anew: 0.3 touches it up, 0.5 redraws detail, 1.0 starts from noise."
    )
    steps = "Sampling steps. 0: as many as models of this kind take; the node says how many."
    cfg = (
        "How strongly the text is followed. 0: what models of this kind want; the node says how much. A model that is "
        "made fast by a LoRA (LCM, Lightning, Turbo) doesn't show it: give 1 to 2 then, and its steps."
    )
    return {
        "text": ("STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": text}),
        "strength": (
            "FLOAT", {"default": 0.5, "min": schema.LEAST_DENOISE, "max": 1.0, "step": 0.01, "tooltip": strength},
        ),
        "seed": schema.seed("The noise seed of the next step. Each further part that is painted uses the next number."),
        "steps": ("INT", {"default": 0, "min": 0, "max": schema.MAX_STEPS, "tooltip": steps}),
        "cfg": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 100.0, "step": 0.1, "tooltip": cfg}),
    }  # fmt: skip


def _advanced() -> Inputs:
    size = (
        "Pixels that a crop's shorter side is enlarged to; a larger crop keeps its size. 0: what models of this kind "
        "were trained at; the node says how many."
    )
    factor = "How much of the surroundings the model sees: the crop's sides over the painted part's."
    feather = "How far, in pixels of the picture, the finished part fades into its surroundings."
    return {
        "sampler_name": _automatic(
            host.schedules.sampler_names(), "The sampling algorithm. auto: by the model's kind."
        ),
        "scheduler": _automatic(host.schedules.scheduler_names(), "How noise falls. auto: by the model's kind."),
        "size": ("INT", _number(0, 0, schema.MAX_SIZE, 8, size)),
        "crop_factor": ("FLOAT", _number(2.0, 1.0, 10.0, 0.1, factor)),
        "feather": ("INT", _number(8, 0, 100, 1, feather)),
    }


def _number(default: float, least: float, most: float, step: float, tooltip: str) -> dict[str, object]:
    return {"default": default, "min": least, "max": most, "step": step, "tooltip": tooltip, "advanced": True}


def _state() -> Inputs:
    image = "The file with the painted mask. The mask editor writes it here; once it is detailed the page empties it."
    history = "What was painted and detailed so far, which the page writes here. Empty: the picture as it comes."
    return {
        "image": ("STRING", {"default": "", "tooltip": image, "advanced": True, "hidden": True}),
        "history": ("STRING", {"default": "", "tooltip": history, "advanced": True, "hidden": True}),
    }


class _Widgets(TypedDict):
    text: str
    strength: float
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    size: int
    crop_factor: float
    feather: int
    image: str
    history: str
    detail_options: object
    detailer_hook: object


class MaskDetailerTouchUp(Detailer, name="Touch Up (inpaint and go on)", menu=DETAILER, own=True):
    """Paint on the picture, run, and go on with the result."""

    DESCRIPTION = (
        "Paint on its picture in the mask editor and run: what is painted is detailed, and the result is the picture "
        "to paint on next. Step back, or undo, takes the last step away. Size and sampling follow from the model. "
        "Unlike detailers it takes no choices: for another try undo the step, and run with another seed."
    )
    SEARCH_ALIASES = ("touch up", "paint mask", "inpaint", "retouch", "mask editor", "step by step", "brush")
    OUTPUT_NODE = True
    RETURN_TYPES = ("IMAGE", "IMAGE", "MASK", "IMAGE")
    RETURN_NAMES = ("image", "before", "paste_mask", "crops")
    OUTPUT_IS_LIST = (False, False, False, True)
    OUTPUT_TOOLTIPS = (
        "The picture with all steps.",
        "The picture before the last step, for 'Compare Images'.",
        "What the last step pasted: 0 where nothing changed, 1 where all is new.",
        "The parts of the last step as they were decoded, at the size that was sampled.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        options = "How parts are put back: colour match, blending and more ('Detailer Options')."
        return {
            "required": {
                "picture": schema.link("IMAGE", "The picture to begin with, one. Another one starts anew."),
                "basic_pipe": schema.basic_pipe(),
                **_visible(),
            },
            "optional": {
                **_advanced(),
                **_state(),
                "detail_options": schema.link("DETAIL_OPTIONS", options),
                "detailer_hook": schema.detailer_hook(),
            },
        }

    @classmethod
    def IS_CHANGED(cls, image: object = None, **_: object) -> str:
        """What differs once the painted file is another."""
        try:
            name = bridge.name_of(image)
            return "" if name is None else bridge.state_of(name)
        except (OSError, TypeError, ValueError):
            return ""

    def doit(self, picture: object, basic_pipe: object, **given: Unpack[_Widgets]) -> Shown:
        door, widgets = self.door, self.checked(cast(_Widgets, {**_DEFAULTS, **given}))
        frames, pipe = door.one_image(picture, "picture"), door.basic_pipe(basic_pipe)
        options = door.detail_options(widgets["detail_options"])
        touching = _Touching(door, pipe, family_of(pipe.model), options, widgets["detailer_hook"])
        history, image = _history(door, widgets["history"]), _painted_file(door, widgets["image"])
        of, state = touch_up.id_of(frames), "same"
        if history.of not in ("", of):
            history, image, state = History(), None, "other picture"
        before, made, steps = touching.again(frames, history.steps)
        history = History(of, steps)
        if image is not None:
            step = touching.step(image, widgets)
            state, next_made = "nothing painted", touching.next(made.picture, step)
            if next_made is not None:
                before, made, state = made.picture, next_made, "step"
                history = replace(history, steps=(*history.steps, replace(step, picture=touch_up.keep(made))))
        told = {
            "state": state, "before": widgets["history"], "after": history.as_text(), "image": widgets["image"],
            "family": touching.family.name,
        }  # fmt: skip
        images: list[dict[str, str]] = []
        with host.devices.only_a_preview(f"{self.ID}: its picture can't be shown"):
            touch_up.shown(of, frames)
            images.append(touch_up.shown(history.shown, made.picture))
        result = (made.picture, before, made.paste_mask, list(made.crops) or [black_picture()])
        return {"ui": {"images": images, "touch_up": [told]}, "result": result}


_DEFAULTS: dict[str, object] = {
    "sampler_name": AUTO, "scheduler": AUTO, "size": 0, "crop_factor": 2.0, "feather": 8, "image": "", "history": "",
    "detail_options": None, "detailer_hook": None,
}  # fmt: skip


def _history(door: Door, text: str) -> History:
    """The history that a widget says; InputError for what can't be read, or can't be done by this ComfyUI."""
    try:
        history = History.read(text)
    except touch_up.HistoryError as error:
        raise door.error("history", str(error), "Empty it to begin anew") from error
    for number, step in enumerate(history.steps, start=1):
        try:
            _checked(door, step)
        except InputError as error:
            raise door.error("history", f"step {number}: {error}", STEP_BACK) from error
    return history


def _checked(door: Door, step: Step) -> Step:
    """The step as it is, where all of it can be done; InputError where not."""
    types = {**schema.sampling(), "denoise": schema.denoise(), **_advanced()}
    types = {name: declared for name, declared in types.items() if name not in ("sampler_name", "scheduler")}
    types |= {"sampler_name": schema.sampler_name(), "scheduler": schema.scheduler()}
    values = {name: getattr(step, name) for name in types if name not in ("seed", "denoise")}
    validate.checked(door.node, {"required": types}, {**values, "denoise": step.strength})
    return step


def _painted_file(door: Door, image: object) -> str | None:
    """The painted file's name, None for none; InputError where there is no such file."""
    name = bridge.name_of(image)
    if name is None:
        return None
    fix = "Paint the mask anew, or empty the text"
    try:
        bridge.state_of(name)
    except ValueError as error:
        raise door.error("image", f"'{name}': {error}", fix) from error
    except OSError as error:
        raise door.error("image", f"there is no file '{name}'", fix) from error
    return name


@dataclass(frozen=True)
class _Touching:
    """With what steps are made."""

    door: Door
    pipe: BasicPipe
    family: Family
    options: DetailOptions
    hook: object

    def step(self, mask: str, widgets: _Widgets) -> Step:
        """What the widgets ask for; what they leave open as models of this kind are sampled.

        Raises:
            InputError: where that can't be sampled.
        """
        family = self.family
        step = Step(
            mask=mask,
            text=widgets["text"],
            strength=widgets["strength"],
            seed=str(widgets["seed"]),
            steps=widgets["steps"] or family.steps,
            cfg=widgets["cfg"] or family.cfg,
            sampler_name=family.sampler_name if widgets["sampler_name"] == AUTO else widgets["sampler_name"],
            scheduler=family.scheduler if widgets["scheduler"] == AUTO else widgets["scheduler"],
            size=widgets["size"] or family.side,
            crop_factor=widgets["crop_factor"],
            feather=widgets["feather"],
        )
        return _checked(self.door, step)

    def again(self, frames: torch.Tensor, steps: Sequence[Step]) -> tuple[torch.Tensor, Made, tuple[Step, ...]]:
        """The picture before the last step, and what came of that, as it was kept, else made again; and the steps, each
        with the id of what it made.

        Raises:
            InputError: where a step has to be made again whose mask is gone.
        """
        nothing = Made(frames, torch.zeros(frames.shape[:3], device=frames.device))
        if not steps:
            return frames, nothing, ()
        *earlier, last = steps
        before = touch_up.kept(earlier[-1].picture) if earlier else nothing
        if before is None:
            _, before, earlier = self.again(frames, earlier)
        made = touch_up.kept(last.picture)
        if made is None:
            if not _is_there(last.mask):
                found = f"the picture of step {len(steps)} is gone, and so is its mask '{last.mask}'"
                raise self.door.error("history", found, f"Put the file back into ComfyUI's input folder. {STEP_BACK}")
            made = self.next(before.picture, last) or replace(nothing, picture=before.picture)
            last = replace(last, picture=touch_up.keep(made))
        return before.picture, made, (*earlier, last)

    def next(self, picture: torch.Tensor, step: Step) -> Made | None:
        """What comes of a step on a picture; None where nothing is painted."""
        segs = self._segs(picture, step)
        if not segs[1]:
            return None
        values = {
            "guide_size": step.size, "guide_size_for": False, "max_size": LONGEST * step.size, "seed": int(step.seed),
            "steps": step.steps, "cfg": step.cfg, "sampler_name": step.sampler_name, "scheduler": step.scheduler,
            "denoise": step.strength, "feather": step.feather, "noise_mask_feather": NOISE_MASK_FEATHER,
            "inpaint_model": is_for_inpainting(self.pipe.model), "wildcard": step.text, "detailer_hook": self.hook,
            "detail_options": self._options(),
        }  # fmt: skip
        recipe = replace(recipe_of(self.door, self.pipe, "basic_pipe", values), keeps_sampled=True)
        work = work_on(self.door, picture, _one_shot(segs, int(step.seed)), 1, recipe)
        (done,) = run.detail(work.pictures, 1, recipe)
        assert done.paste_mask is not None
        return Made(work.images, done.paste_mask, done.sampled)

    def _segs(self, picture: torch.Tensor, step: Step) -> SEGS:
        """Each separate part of what is painted."""
        size = Size(*picture.shape[1:3])
        mask = bridge.painted(step.mask)
        if mask is None or not bool(mask.any()):
            return (size.height, size.width), []
        cut = MaskCut(step.crop_factor, SPECK)
        return cut.segs_of_frames(self.door, picture, mask)(0, True)

    def _options(self) -> DetailOptions:
        """Crops are never stretched, and never shrunk, unless the options have a say in their size."""
        if self.options.size != UNTURNED.size:
            return self.options
        return replace(self.options, size=WorkingSizeOptions(mode="guide_size_exact"))


def _one_shot(segs: SEGS, seed: int) -> Iterator[Shot]:
    yield Shot(0, segs, seed)


def _is_there(name: str) -> bool:
    try:
        bridge.state_of(name)
    except (OSError, ValueError):
        return False
    return True
