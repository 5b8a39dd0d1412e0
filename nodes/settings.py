"""What a detailer's widgets and pipes say, brought into the engine's form: the settings, and the recipe of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from ..detailer.choices import Choices, ChoicesError
from ..detailer.hooks.protocol import Hook
from ..detailer.host.protocols import SchedulerFunc
from ..detailer.ksampler import MOST_LEVELS, whole_schedule
from ..detailer.pipeline.recipe import Recipe
from ..detailer.values import (
    BasicPipe,
    DetailerPipe,
    DetailSettings,
    MaskSettings,
    Refiner,
    SamplingSettings,
    SizeOptions,
    VaeTiles,
)
from .detailing import MaskCut
from .door import Door


class _Always(TypedDict):
    guide_size: float
    guide_size_for: bool
    max_size: float
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float


class DetailerWidgets(_Always, total=False):
    """The inputs from which a detailer's settings are made, whichever detailer has them."""

    feather: int
    noise_mask: bool
    mask_mode: bool
    force_inpaint: bool
    wildcard: str
    cycle: int
    inpaint_model: bool
    noise_mask_feather: int
    scheduler_func_opt: SchedulerFunc | None
    tiled_encode: bool
    tiled_decode: bool
    max_retries: int
    crop_batch: int
    detail_options: object
    choices: str
    detailer_hook: object
    refiner_ratio: float
    refiner_basic_pipe_opt: object


class _Parts(TypedDict):
    crop_factor: float
    drop_size: int


class _MaskCutWidgets(_Parts, total=False):
    bbox_fill: bool
    contour_fill: bool


class VariantWidgets(DetailerWidgets):
    """The same of one that makes variants."""

    batch_size: int


class MaskWidgets(VariantWidgets, _MaskCutWidgets):
    """The same of one that makes its segments of a mask."""


def settings_of(door: Door, values: Mapping[str, object]) -> DetailSettings:
    """The settings that a detailer's inputs say, by the names that the family's nodes give them.

    What is optional and wasn't sent has the value that a saved prompt relies on, which the widget may not show.
    ``mask_mode`` is how MaskDetailerPipe calls ``noise_mask``; it has no ``force_inpaint``, and forces it.
    """
    widgets = cast(DetailerWidgets, values)
    return DetailSettings(
        seed=widgets["seed"],
        size=SizeOptions(
            guide_size=widgets["guide_size"],
            guide_for_bbox=widgets["guide_size_for"],
            max_size=widgets["max_size"],
            force_inpaint=widgets.get("force_inpaint", True),
        ),
        sampling=SamplingSettings(
            steps=widgets["steps"],
            cfg=widgets["cfg"],
            sampler_name=widgets["sampler_name"],
            scheduler=widgets["scheduler"],
            denoise=widgets["denoise"],
            cycle=widgets.get("cycle", 1),
            scheduler_func=widgets.get("scheduler_func_opt"),
        ),
        mask=MaskSettings(
            feather=widgets.get("feather", 0),
            noise_mask=widgets.get("mask_mode", widgets.get("noise_mask", True)),
            noise_mask_feather=widgets.get("noise_mask_feather", 0),
            inpaint_model=widgets.get("inpaint_model", False),
        ),
        text=widgets.get("wildcard"),
        vae_tiles=VaeTiles(encode=widgets.get("tiled_encode", False), decode=widgets.get("tiled_decode", False)),
        attempts=widgets.get("max_retries", 0),
        crop_batch=widgets.get("crop_batch", 0),
        options=door.detail_options(widgets.get("detail_options")),
        choices=_choices_of(door, widgets),
    )


def _choices_of(door: Door, widgets: DetailerWidgets) -> Choices:
    """What is chosen for single segments; a denoise that makes too long a schedule is refused as the widget's is."""
    try:
        choices = Choices.parse(widgets.get("choices", ""))
    except ChoicesError as error:
        raise door.error("choices", error.found, error.fix) from error
    for denoise in choices.denoises:
        total = whole_schedule(widgets["steps"], denoise) if denoise > 0 else 0
        if total > MOST_LEVELS:
            found = f"{widgets['steps']} steps at denoise {denoise} are a schedule of {total} noise levels"
            raise door.error("choices", found, f"Give a higher denoise: {MOST_LEVELS} levels are the most")
    return choices


def recipe_of(
    door: Door, pipe: BasicPipe, pipe_name: str | None, values: Mapping[str, object], refiner: Refiner | None = None
) -> Recipe:
    """The recipe of a run.

    Args:
        pipe_name: the input that holds the pipe; None where its parts are inputs of their own.
        values: the widgets and the ``detailer_hook``, by name.

    Raises:
        InputError: where a part of the pipe is missing that is needed.
    """
    settings = settings_of(door, values)
    door.not_missing(pipe, pipe_name)
    if _has_text(settings) and not hasattr(pipe.clip, "tokenize"):
        missing = "missing (None)" if pipe.clip is None else f"a {type(pipe.clip).__name__} and no CLIP"
        found = f"{'it' if pipe_name is None else 'its clip'} is {missing}, but there is per-segment text"
        raise door.error(pipe_name or "clip", found, "Connect a CLIP")
    return Recipe(pipe, settings, refiner, Hook(values.get("detailer_hook")), door.node, pipe_name)


def _has_text(settings: DetailSettings) -> bool:
    return any(text.strip() for text in (settings.text or "", *settings.choices.texts))


def recipe_of_pipe(door: Door, basic_pipe: object, values: Mapping[str, object]) -> Recipe:
    """The recipe of a node that has a ``basic_pipe`` and may have a ``refiner_basic_pipe_opt``."""
    pipe = door.basic_pipe(basic_pipe)
    refiner = door.refiner(values.get("refiner_basic_pipe_opt"), cast(float, values.get("refiner_ratio", 0.0)))
    return recipe_of(door, pipe, "basic_pipe", values, refiner)


def recipe_of_parts(door: Door, values: Mapping[str, object]) -> Recipe:
    """The recipe of a node that has the parts of a pipe as inputs of their own."""
    return recipe_of(door, door.parts(values), None, values)


def refiner_of(pipe: DetailerPipe, ratio: float | None) -> Refiner | None:
    """The refiner of a DETAILER_PIPE, where it holds one and there is a ratio."""
    model, positive, negative = pipe.refiner_model, pipe.refiner_positive, pipe.refiner_negative
    if model is None or positive is None or negative is None or ratio is None:
        return None
    return Refiner(model, positive, negative, float(ratio))


def mask_cut_of(values: Mapping[str, object]) -> MaskCut:
    """How the inputs say that a mask is made into segments."""
    widgets = cast(_MaskCutWidgets, values)
    return MaskCut(
        crop_factor=widgets["crop_factor"],
        drop_size=widgets["drop_size"],
        bbox_fill=widgets.get("bbox_fill", False),
        contour_fill=widgets.get("contour_fill", True),
    )
