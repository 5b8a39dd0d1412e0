"""The form of a node's inputs, and the inputs that several nodes share, with their tooltips."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..detailer import host
from ..detailer.detection.detect import HINTS, NEGATIVES
from ..detailer.prompts.wildcard_files import Wildcards, wildcard_folders
from ..segs import ORDERS

MAX_SIZE = 16384
MAX_SEED = 2**64 - 1
MAX_STEPS = 10000
LEAST_DENOISE = 0.0001
MAX_INT = 2**63 - 1

ANY = "*"
"""The kind of a connection that takes and gives whatever there is."""

# An input's kind, or the list of its choices, and what else ComfyUI and the browser are told of it.
Input = tuple[str | list[str], dict[str, object]]
Inputs = dict[str, Input]
InputTypes = Mapping[str, Mapping[str, Input | str]]
"""What INPUT_TYPES gives: inputs by group and name; those of the group ``hidden`` are what ComfyUI fills in."""

Shown = dict[str, dict[str, object] | tuple[object, ...]]
"""What an output node gives back: under ``ui`` what the browser is shown, under ``result`` its outputs."""


class Unread(list[str]):
    """Choices that are there for the browser alone: what is chosen has no effect when the workflow runs."""


def link(kind: str, tooltip: str) -> Input:
    """An input that takes a connection."""
    return kind, {"tooltip": tooltip}


def switch(default: bool, on: str, off: str, tooltip: str, **more: object) -> Input:
    """A BOOLEAN widget with its two labels."""
    return "BOOLEAN", {"default": default, "label_on": on, "label_off": off, "tooltip": tooltip, **more}


def advanced(given: Input) -> Input:
    """The same, for those few who turn it: Nodes 2.0 show it only after *Show advanced inputs*; its value counts."""
    kind, facts = given
    return kind, {**facts, "advanced": True}


def idle_with(given: Input, other: str, values: Collection[object]) -> Input:
    """The same, which does nothing while the widget ``other`` holds one of ``values``: the page greys it then."""
    kind, facts = given
    return kind, {**facts, "idle_with": [other, list(values)]}


def guide_size(default: int) -> Input:
    tooltip = (
        "Each part is enlarged until its shorter side has this many pixels, as far as max_size allows. The "
        "crop around it grows along: with crop_factor 3, 384 makes a crop of about 1150. Larger shows more "
        "detail and takes longer."
    )
    return "FLOAT", {"default": default, "min": 64, "max": MAX_SIZE, "step": 8, "tooltip": tooltip}


def guide_size_for(on: str, off: str) -> Input:
    tooltip = (
        "What guide_size measures: the part's own rectangle, or the crop with its surroundings. For the crop, set "
        "guide_size near the size your model was trained at (512 for SD1.5, 1024 for SDXL and later)."
    )
    return switch(True, on, off, tooltip, advanced=True)


def max_size(default: int = 1024) -> Input:
    tooltip = (
        "The longer side of an enlarged crop stops here, even if guide_size asks for more. A crop that is "
        "larger already is worked on at its own size."
    )
    return "FLOAT", {"default": default, "min": 64, "max": MAX_SIZE, "step": 8, "tooltip": tooltip}


def seed(
    tooltip: str = "The noise seed. Each further part uses the next number, so parts differ and a run can be repeated.",
) -> Input:
    return "INT", {"default": 0, "min": 0, "max": MAX_SEED, "tooltip": tooltip}


def steps(tooltip: str = "Sampling steps run for each part in each cycle, whatever the denoise.") -> Input:
    return "INT", {"default": 20, "min": 1, "max": MAX_STEPS, "tooltip": tooltip}


def step(default: int, tooltip: str) -> Input:
    """A step of a schedule."""
    return "INT", {"default": default, "min": 0, "max": MAX_STEPS, "tooltip": tooltip}


def cfg() -> Input:
    tooltip = "How strongly the prompt is followed. Use what suits your model: 5 to 8 for SD1.5 and SDXL, 1 for Flux."
    return "FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "tooltip": tooltip}


def sampler_name() -> Input:
    return host.schedules.sampler_names(), {"tooltip": "The sampling algorithm, as in KSampler."}


def scheduler() -> Input:
    tooltip = "How noise falls from step to step, as in KSampler; after ComfyUI's own come AYS, GITS, LTXV and OSS."
    return host.schedules.scheduler_names(), {"tooltip": tooltip}


def denoise() -> Input:
    tooltip = "How much of a part is made anew: 0.3 keeps it much as it is, 0.5 redraws detail, 1.0 starts from noise."
    return "FLOAT", {"default": 0.5, "min": LEAST_DENOISE, "max": 1.0, "step": 0.01, "tooltip": tooltip}


def feather() -> Input:
    tooltip = (
        "How far, in pixels of the picture, the finished part fades into its surroundings when it is put "
        "back. Above 30 nothing more happens."
    )
    return "INT", {"default": 5, "min": 0, "max": 100, "step": 1, "tooltip": tooltip}


def noise_mask_feather() -> Input:
    tooltip = (
        "Softens the mask under which is sampled, in pixels of the picture. Above 0 it switches on "
        "Differential Diffusion: the rim of a part changes less than its middle. Use 0 for small parts. No "
        "effect where the whole crop is sampled; feather, which only blends, is another thing."
    )
    return "INT", {"default": 20, "min": 0, "max": 100, "step": 1, "tooltip": tooltip, "advanced": True}


def crop_factor(maximum: int) -> Input:
    tooltip = (
        "How much of the surroundings the model sees: the crop's sides over the part's. 1 is the part alone, 3 (a good "
        "start) gives context for light and style; more context leaves fewer pixels for the part."
    )
    return "FLOAT", {"default": 3.0, "min": 1.0, "max": maximum, "step": 0.1, "tooltip": tooltip}


def drop_size(default: int = 10) -> Input:
    tooltip = "Parts whose width or height is this many pixels or less are left out: specks in the mask."
    return "INT", {"min": 1, "max": MAX_SIZE, "step": 1, "default": default, "tooltip": tooltip}


def cycle() -> Input:
    tooltip = "How many times each part is sampled, each time on the result before and with the next seed."
    return "INT", {"default": 1, "min": 1, "max": 10, "step": 1, "tooltip": tooltip, "advanced": True}


def bbox_fill() -> Input:
    return switch(False, "enabled", "disabled", "Take the whole rectangle around each part as its mask.")


def contour_fill(default: bool) -> Input:
    tooltip = (
        "Fill each part's outline: holes close and soft edges become solid. Turn off for soft masks and for "
        "holes that must stay."
    )
    return switch(default, "enabled", "disabled", tooltip)


def inpaint_model() -> Input:
    tooltip = (
        "On for checkpoints made for inpainting: they are told what the picture shows and where the mask is. "
        "Needs sampling under the mask (mask_mode or noise_mask on)."
    )
    return switch(False, "enabled", "disabled", tooltip, advanced=True)


def detailer_hook() -> Input:
    return link(
        "DETAILER_HOOK",
        "A hook that may look at and change each part on its way. Made by hook nodes, which other packs have too.",
    )


def dilation(default: int = 10, tooltip: str | None = None) -> Input:
    tooltip = tooltip or (
        "Pixels of the square that grows (above 0) or shrinks (below 0) the mask: 10 moves each edge by about 5. "
        "-1, 0 and 1 change nothing."
    )
    return "INT", {"default": default, "min": -512, "max": 512, "step": 1, "tooltip": tooltip}


def whole_number(default: int, tooltip: str) -> Input:
    return "INT", {"default": default, "min": 0, "max": MAX_INT, "step": 1, "tooltip": tooltip}


def threshold(tooltip: str, default: float = 0.5) -> Input:
    return "FLOAT", {"default": default, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": tooltip}


def detector_threshold() -> Input:
    return threshold("How sure the detector must be: lower finds more, and more that is wrong.")


def detection_hint() -> Input:
    tooltip = (
        "What SAM is shown of each segment: points and, but for mask-points, its box. center-1: the middle. "
        "horizontal-2, vertical-2: two points by thirds. rect-4: both of these. diamond-4: four by thirds. mask-area: "
        "a grid on its mask. mask-points: all middles at once, without boxes. none: the box alone."
    )
    return list(HINTS), {"tooltip": tooltip}


def sam_threshold() -> Input:
    return threshold("The least score of a mask that SAM gives; where none reaches it, the best is taken.", 0.93)


def bbox_expansion() -> Input:
    tooltip = "Pixels by which the box that SAM is shown is larger than the segment's, on every side."
    return "INT", {"default": 0, "min": 0, "max": 1000, "step": 1, "tooltip": tooltip}


def mask_hint_threshold() -> Input:
    return threshold("Only for the hint mask-area: points are set where the segment's mask is above this.", 0.7)


def mask_hint_use_negative() -> Input:
    tooltip = (
        "Points that tell SAM what is not meant. Small: with mask-area where the segment's mask is 0, with mask-points "
        "the middles of boxes under 10 pixels wide. Outter: a grid around the segment's crop, but not with mask-points."
    )
    return list(NEGATIVES), {"tooltip": tooltip}


def mask_to_detail() -> Input:
    mask = (
        "White marks the parts to detail; parts that touch are one. As many masks as images pair up; one mask serves "
        "all images; one image takes all masks."
    )
    return link("MASK", mask)


def scheduler_func() -> Input:
    return link("SCHEDULER_FUNC", "Replaces the scheduler. Comes from a scheduler provider node.")


def sizes(guide: int = 512, longest: int = 1024) -> Inputs:
    """How large parts are worked on: the three widgets every detailer has."""
    return {
        "guide_size": guide_size(guide),
        "guide_size_for": guide_size_for("bbox", "crop_region"),
        "max_size": max_size(longest),
    }


def sampling() -> Inputs:
    """The KSampler's widgets up to the denoise."""
    return {
        "seed": seed(),
        "steps": steps(),
        "cfg": cfg(),
        "sampler_name": sampler_name(),
        "scheduler": scheduler(),
    }


def denoise_and_masks() -> Inputs:
    """The denoise and what the segments' masks do."""
    return {
        "denoise": denoise(),
        "feather": feather(),
        "noise_mask": noise_mask(),
        "force_inpaint": force_inpaint(),
    }


def noise_mask() -> Input:
    masked = "Sample only under the mask; off: the whole crop. Either way only what is under the mask is put back."
    return switch(True, "enabled", "disabled", masked, advanced=True)


def force_inpaint() -> Input:
    forced = (
        "Detail every segment. Off: skip those that reach guide_size already or would not be enlarged; the log names "
        "them."
    )
    return switch(True, "enabled", "disabled", forced, advanced=True)


def segment_text() -> Input:
    text = (
        "A prompt for the segments instead of positive. To give each its own, let the text begin (first character) "
        "with [ASC], [DSC], [ASC-SIZE], [DSC-SIZE] or [RND] and put [SEP] between prompts; or begin with [LAB] and "
        "write [label] prompt. Choices in braces, lists __name__ and <lora:name:weight> work."
    )
    return "STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": text}


def refiner_ratio() -> Input:
    ratio = "The share of the steps, at the end, that a connected refiner pipe runs: 0 none, 1 all."
    return "FLOAT", {"default": 0.2, "min": 0.0, "max": 1.0, "tooltip": ratio, "advanced": True}


def basic_pipe() -> Input:
    return link("BASIC_PIPE", "Model, clip, vae and prompts ('ToBasicPipe').")


def refiner_pipe() -> Input:
    refiner = "A second model with its own prompts for the last part of the steps. Its vae and clip are not used."
    return link("BASIC_PIPE", refiner)


def batch_size(tooltip: str) -> Input:
    return "INT", {"default": 1, "min": 1, "max": 100, "tooltip": tooltip, "advanced": True}


def vae_tiles() -> Inputs:
    """The two switches for the VAE's tiles."""
    encode = "Encode crops in tiles: less memory, a little slower. Where memory runs out this happens by itself."
    decode = "Decode crops in tiles: less memory, a little slower. Where memory runs out this happens by itself."
    return {
        "tiled_encode": switch(False, "enabled", "disabled", encode, advanced=True),
        "tiled_decode": switch(False, "enabled", "disabled", decode, advanced=True),
    }


def beyond() -> Inputs:
    """What our detailers have beyond the Impact Pack's, after all else: saved workflows count on the places before."""
    options = "How parts are worked and put back: colour match, blending, working size and more ('Detailer Options')."
    return {"crop_batch": crop_batch(), "detail_options": link("DETAIL_OPTIONS", options)}


def choices() -> Inputs:
    """What is chosen for single segments. The last widget of all: saved workflows count on the places before."""
    tooltip = (
        'Choices for single parts, as JSON by the numbers in the strip: "3", or "2.3" for the third part of the second '
        "picture. Each takes seed, denoise, text, keep (the picture stays as it is there), skip, candidates (2 to 8 "
        "seeds to choose from) and box (where the part was). The strip's buttons write it, the help page shows how it "
        "looks. Parts for which nothing changed are not sampled again."
    )
    return {"choices": ("STRING", {"default": "", "multiline": False, "tooltip": tooltip, "advanced": True})}


def crop_batch() -> Input:
    tooltip = (
        "How many parts of the same working size are sampled at once, over all pictures and variants: 0 as many as fit "
        "into a GPU's memory, on a CPU only small ones together; 1 one after another. Each comes out as it would "
        "alone; more at once is faster on a GPU."
    )
    return "INT", {"default": 0, "min": 0, "max": 64, "step": 1, "tooltip": tooltip, "advanced": True}


def parts_labels() -> Inputs:
    """Where a detector node has no ``labels``."""
    tooltip = (
        "The classes that are taken, such as 'face, person', separated by commas; case counts. A '-' before one leaves "
        "it out: '-hand' takes all but hands. No text takes everything."
    )
    return {"parts_labels": ("STRING", {"default": "", "tooltip": tooltip, "advanced": True})}


def parts() -> Inputs:
    """Which of the parts that are found are meant; where the node details them, in that order. After all else."""
    order = (
        "The order of the parts, by their bounding boxes or by how sure the detector is; parts_most and parts_only "
        "count in it. Parts are detailed in this order, each with the next seed."
    )
    most = "Takes only so many parts of a picture, the first in the order; 0 takes all."
    only = (
        "Takes only the parts of these numbers, such as '1, 3-5': those that SEGSPreview shows while this is empty. "
        "They count in each picture anew, after labels, parts_order and parts_most. No text takes all."
    )
    return {
        "parts_order": (list(ORDERS), {"tooltip": order, "advanced": True}),
        "parts_most": ("INT", {"default": 0, "min": 0, "max": 1000, "step": 1, "tooltip": most, "advanced": True}),
        "parts_only": ("STRING", {"default": "", "tooltip": only, "advanced": True}),
    }


def pipe_parts() -> Inputs:
    """The five parts of a BASIC_PIPE as inputs."""
    return {
        "model": link("MODEL", "The diffusion model."),
        "clip": link(
            "CLIP", "The text encoder. Only needed where prompts are encoded later, such as per-segment text."
        ),
        "vae": link("VAE", "Turns pixels into latents and back."),
        "positive": link("CONDITIONING", "What should be seen."),
        "negative": link("CONDITIONING", "What should not be seen."),
    }


def detailer_pipe_text(tooltip: str) -> Inputs:
    """The text of a DETAILER_PIPE and the two lists to choose from while writing it.

    The lists mean nothing at run time: the browser adds what is chosen to the text. Saved workflows have a place for
    each.
    """
    writing_help = "Choosing one adds it to the text. Has no effect when the workflow runs."
    loras = Unread(["Select the LoRA to add to the text", *host.models.lora_names()])
    names = Wildcards(wildcard_folders())
    wildcards = Unread(["Select the Wildcard to add to the text", *(f"__{name}__" for name in names)])
    return {
        "wildcard": ("STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": tooltip}),
        "Select to add LoRA": (loras, {"tooltip": writing_help}),
        "Select to add Wildcard": (wildcards, {"tooltip": writing_help}),
    }
