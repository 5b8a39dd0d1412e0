"""Nodes of the detailer group: how a part is worked and put back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from ..core.blend import BLENDS
from ..core.fill import FILLS
from ..core.masks import RAMPS
from ..core.surroundings.colour import COLOUR_MATCHES
from ..detailer.choices import MOST_CANDIDATES
from ..detailer.host.references import REFERENCES
from ..detailer.options import (
    BORDERS,
    DENOISES,
    MULTIPLES,
    UNTURNED,
    BlendOptions,
    ColourOptions,
    DenoiseOptions,
    DetailOptions,
    WorkingSizeOptions,
)
from ..detailer.pipeline.recipe import TILINGS
from ..detailer.pipeline.restore import DETAILS, DRIFTS, PASTES
from ..detailer.pipeline.sample import DENOISE_SCALES
from ..detailer.pipeline.together import OVERLAPS
from ..detailer.pipeline.working_size import SIZE_MODES
from . import schema
from .registry import DETAILER, Node
from .schema import Input, Inputs, InputTypes

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack


# What does nothing while another widget holds one of these values: the page greys it, and its value stays.
IDLE: dict[str, tuple[str, tuple[object, ...]]] = {
    "colour_limit": ("colour", ("off",)),
    "blend_width": ("blend", ("feather",)),
    "short_side": ("size_mode", tuple(mode for mode in SIZE_MODES if mode != "short_side")),
    "megapixels": ("size_mode", tuple(mode for mode in SIZE_MODES if mode != "pixel_budget")),
    "width": ("size_mode", tuple(mode for mode in SIZE_MODES if mode != "fixed_size")),
    "height": ("size_mode", tuple(mode for mode in SIZE_MODES if mode != "fixed_size")),
    "border": ("min_context", (0,)),
    "full_denoise_up_to": ("denoise_by_size", ("off",)),
}


def _choice(choices: Iterable[str], tooltip: str, **more: object) -> Input:
    names = list(choices)
    return names, {"default": names[0], "tooltip": tooltip, **more}


def _pixels(default: int, least: int, most: int, tooltip: str, step: int = 1, **more: object) -> Input:
    return "INT", {"default": default, "min": least, "max": most, "step": step, "tooltip": tooltip, **more}


def _colour() -> Inputs:
    colour = (
        "When the finished part has another tint than its surroundings. covariance: the best for a tint, a colour "
        "cast or contrast. mean_and_spread: gentler, brightness and two colour axes apart (Lab). Measured on what the "
        "crop shows around the part; with little of it (under 256 px) nothing changes."
    )
    limit = "No colour value (0 to 1) changes by more than this, for parts whose surroundings mislead."
    return {
        "colour": _choice(COLOUR_MATCHES, colour),
        "colour_limit": (
            "FLOAT", {"default": 0.2, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": limit, "advanced": True},
        ),
    }  # fmt: skip


def _blend() -> Inputs:
    blend = (
        "When an edge shows. feather: the soft edge alone. multiband: fine detail comes in at once, brightness and "
        "colour over blend_width. gradient: the part takes the picture's brightness and colour at its edge."
    )
    width = (
        "How far, in pixels of the picture, multiband and gradient reach into the part. Larger is smoother and keeps "
        "less of the part's own light; for gradient 0 means all of it."
    )
    grow = (
        "Pixels by which what is put back is larger (above 0) or smaller than the mask, without sampling more or less. "
        "Grow it when the rim of the old content still shows."
    )
    ramp = (
        "The form of the soft edge that feather makes. gaussian: stops at about 30 pixels. linear and smooth reach as "
        "far as feather says; smooth has no visible beginning or end."
    )
    return {
        "blend": _choice(BLENDS, blend),
        "blend_width": _pixels(32, 0, 512, width),
        "paste_grow": _pixels(0, -128, 128, grow),
        "ramp": _choice(RAMPS, ramp, advanced=True),
    }


def _size() -> Inputs:
    mode = (
        "How large a crop is worked on. guide_size: as the detailer says; rounding may stretch a crop by some percent. "
        "The others never stretch, the crop grows a little instead. guide_size_exact: the same size. short_side: the "
        "crop's shorter side. pixel_budget: so many megapixels. fixed_size: width and height. model: as many pixels as "
        "the connected model was trained at, and its multiples."
    )
    short = "For short_side: what the crop's shorter side becomes. 512 for SD1.5, 1024 for SDXL and later."
    budget = "For pixel_budget: millions of pixels, in the crop's own shape. 0.26 for SD1.5, 1.05 for SDXL and later."
    width = "For fixed_size: the width. The crop takes in more surroundings until it has this shape."
    height = "For fixed_size: the height. The crop takes in more surroundings until it has this shape."
    never = (
        "Shrink crops that are larger than max_size, in every mode; off: they are worked on at their own size. Turn on "
        "when large parts run out of memory or come out doubled."
    )
    multiple = "Both sides become multiples of it. auto: what the VAE needs. Raise it for models that ask for more."
    context = (
        "Least pixels of surroundings that the model sees on every side of a part, whatever crop_factor gives. Use "
        "some when small parts come out of place; colour, drift and detail need surroundings too."
    )
    border = (
        "For parts at the picture's border. stop: min_context ends there. mirror: it goes on, the picture mirrored, "
        "so that the part is not at the edge of what the model sees. Needs min_context."
    )
    return {
        "size_mode": _choice(SIZE_MODES, mode),
        "short_side": _pixels(1024, 64, schema.MAX_SIZE, short, 8),
        "megapixels": ("FLOAT", {"default": 1.0, "min": 0.05, "max": 64.0, "step": 0.01, "tooltip": budget}),
        "width": _pixels(1024, 64, schema.MAX_SIZE, width, 8),
        "height": _pixels(1024, 64, schema.MAX_SIZE, height, 8),
        "never_above_max_size": schema.switch(False, "enabled", "disabled", never),
        "multiple": _choice(MULTIPLES, multiple, advanced=True),
        "min_context": _pixels(0, 0, 2048, context),
        "border": _choice(BORDERS, border, advanced=True),
    }


def _rest() -> Inputs:
    fill = (
        "What the model is shown under the mask. original: the picture; right unless denoise is near 1. At denoise 0.8 "
        "and more: neutral (grey), blurred or diffused (from outside) to remove what is there; noise to invent freely."
    )
    drift = (
        "correct: when parts come back shifted or zoomed by some pixels (edit models do this), measure it on the "
        "surroundings and move them back. Does nothing where it is not sure."
    )
    detail = (
        "match: when parts come back softer, sharper or with less grain than the picture. Measured on the surroundings."
    )
    by_size = (
        "less_for_larger: parts larger than full_denoise_up_to get less denoise: times the root of full_denoise_up_to "
        "over the part's side, at least half. For pictures with near and far faces."
    )
    full = "For denoise_by_size: parts up to this many pixels (root of their box's area) get the detailer's denoise."
    retries = (
        "When parts come out black: sample them again, up to this many times, with the next seed. Where none is good, "
        "the picture stays as it is there. 0: no second try."
    )
    tiling = (
        "auto: the VAE works in tiles where the detailer's switches say so or memory runs out. always: in any case. "
        "never: the switches count for nothing; ComfyUI still tiles by itself where memory runs out."
    )
    return {
        "fill": _choice(FILLS, fill),
        "drift": _choice(DRIFTS, drift),
        "detail": _choice(DETAILS, detail),
        "denoise_by_size": _choice(DENOISES, by_size),
        "full_denoise_up_to": _pixels(256, 16, schema.MAX_SIZE, full, 8, advanced=True),
        "retries": ("INT", {"default": 0, "min": 0, "max": 10, "step": 1, "tooltip": retries}),
        "tiling": _choice(TILINGS, tiling, advanced=True),
    }


def _later() -> Inputs:
    """What came after workflows with this node had been saved: optional, and last."""
    references = (
        "For edit models (Kontext, Qwen Image Edit and kin), the reference latents of the conditioning. auto: one that "
        "shows the picture, by its size, is cut to the part; another picture stays whole. whole: all stay whole. cut: "
        "all are cut. crop: the part itself at the size that is sampled, without any wiring; drift and colour are then "
        "corrected where they are off. crop_uncorrected: the same without that."
    )
    scale = (
        "What denoise means. schedule: the share of the schedule's steps, as KSampler has it; how much that changes "
        "differs from model to model. noise_level: the share of noise in what the model starts from, so that one value "
        "changes a part about as much with every model."
    )
    paste = (
        "What goes back into the picture. direct: the part as it came out of the VAE. residual: the picture and what "
        "sampling has changed in it, so that what the VAE and resizing lose stays. For parts that are good already and "
        "low denoise; of blurred parts some of the blur comes back."
    )
    best = (
        "Candidates of each part, with seed after seed, in one batch. The one whose seam shows least, and that is no "
        "worse in tint, drift, sharpness, grain and burnt colours, is put back; the log and the strip say why. Takes "
        "as much longer."
    )
    overlaps = (
        "Parts whose crops share pixels. one_by_one: one after another, each on the result before. together: as one "
        "crop, each predicted with its own prompt and joined at every step, so that none is worked on twice."
    )
    return {
        "references": _choice(REFERENCES, references, advanced=True),
        "denoise_scale": _choice(DENOISE_SCALES, scale),
        "paste": _choice(PASTES, paste),
        "best_of": ("INT", {"default": 1, "min": 1, "max": MOST_CANDIDATES, "step": 1, "tooltip": best}),
        "overlaps": _choice(OVERLAPS, overlaps),
    }


class _Widgets(TypedDict):
    colour: str
    colour_limit: float
    blend: str
    blend_width: int
    paste_grow: int
    ramp: str
    fill: str
    size_mode: str
    short_side: int
    megapixels: float
    width: int
    height: int
    never_above_max_size: bool
    multiple: str
    min_context: int
    border: str
    drift: str
    detail: str
    denoise_by_size: str
    full_denoise_up_to: int
    retries: int
    tiling: str
    references: NotRequired[str]
    denoise_scale: NotRequired[str]
    paste: NotRequired[str]
    best_of: NotRequired[int]
    overlaps: NotRequired[str]


class MaskDetailerOptions(Node, name="Detailer Options", menu=DETAILER, own=True):
    """How a part is worked and put back, for all who want a say in it."""

    DESCRIPTION = (
        "Options for every detailer: colour match, blending, working size, drift, grain, fills, retries. As it stands "
        "on a new node, it changes nothing."
    )
    SEARCH_ALIASES = ("detailer options", "colour match", "color match", "seam", "blend", "inpaint fill", "drift")
    RETURN_TYPES = ("DETAIL_OPTIONS",)
    RETURN_NAMES = ("detail_options",)
    OUTPUT_TOOLTIPS = ("Connect it to detail_options of a detailer.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        required = {**_colour(), **_blend(), **_size(), **_rest()}
        for name, (other, values) in IDLE.items():
            required[name] = schema.idle_with(required[name], other, values)
        return {"required": required, "optional": _later()}

    def doit(self, **widgets: Unpack[_Widgets]) -> tuple[DetailOptions]:
        multiple = widgets["multiple"]
        options = DetailOptions(
            colour=ColourOptions(match=widgets["colour"], limit=widgets["colour_limit"]),
            blend=BlendOptions(
                method=widgets["blend"], width=widgets["blend_width"], grow=widgets["paste_grow"], ramp=widgets["ramp"]
            ),
            fill=widgets["fill"],
            size=WorkingSizeOptions(
                mode=widgets["size_mode"],
                short_side=widgets["short_side"],
                megapixels=widgets["megapixels"],
                width=widgets["width"],
                height=widgets["height"],
                never_above_max_size=widgets["never_above_max_size"],
                multiple=0 if multiple == "auto" else int(multiple),
                context=widgets["min_context"],
                border=widgets["border"],
            ),
            drift=widgets["drift"],
            detail=widgets["detail"],
            denoise=DenoiseOptions(
                by_size=widgets["denoise_by_size"],
                full_up_to=widgets["full_denoise_up_to"],
                scale=widgets.get("denoise_scale", UNTURNED.denoise.scale),
            ),
            retries=widgets["retries"],
            tiling=widgets["tiling"],
            references=widgets.get("references", UNTURNED.references),
            paste=widgets.get("paste", UNTURNED.paste),
            best_of=widgets.get("best_of", UNTURNED.best_of),
            overlaps=widgets.get("overlaps", UNTURNED.overlaps),
        )
        return (options,)
