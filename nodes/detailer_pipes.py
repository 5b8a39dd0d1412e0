"""Nodes of the pipes group: a model with all that detailing needs, on one wire."""

from __future__ import annotations

from collections.abc import Mapping

from ..detailer.values import BasicPipe, DetailerPipe
from . import schema
from .basic_pipes import PART_TOOLTIPS, PART_TYPES, PIPE_TOOLTIP, Made
from .registry import PIPE, Node
from .schema import Input, Inputs, InputTypes

DETAILER_PIPE_TOOLTIP = "Model, clip, vae, prompts, text, detectors, hook and refiner on one wire."
HELPER_TYPES = ("BBOX_DETECTOR", "SAM_MODEL", "SEGM_DETECTOR", "DETAILER_HOOK")
HELPER_NAMES = ("bbox_detector", "sam_model_opt", "segm_detector_opt", "detailer_hook")
HELPER_TOOLTIPS = (
    "The detector of rectangles.",
    "The SAM model, None if there is none.",
    "The detector of outlines, None if there is none.",
    "The hook, None if there is none.",
)
REFINER_TYPES = ("MODEL", "CLIP", "CONDITIONING", "CONDITIONING")
REFINER_NAMES = ("refiner_model", "refiner_clip", "refiner_positive", "refiner_negative")
EDITABLE_HELPERS = ("bbox_detector", "sam_model", "segm_detector", "detailer_hook")
REFINER_TOOLTIPS = tuple(
    f"The refiner's {part}, None if there is none." for part in ("model", "clip", "positive", "negative")
)


def _text() -> Inputs:
    tooltip = "The text for the segments, carried in the pipe. Empty: the positive conditioning is used."
    return schema.detailer_pipe_text(tooltip)


def _bbox_detector() -> Input:
    return schema.link("BBOX_DETECTOR", "Finds the parts to detail as rectangles.")


def _refiner_parts() -> Inputs:
    tooltips = (
        "A second diffusion model for the last part of the steps.",
        "The refiner's text encoder.",
        "What should be seen, encoded for the refiner.",
        "What should not be seen, encoded for the refiner.",
    )
    return dict(zip(REFINER_NAMES, map(schema.link, REFINER_TYPES, tooltips), strict=True))


def _helpers() -> Inputs:
    """What a DETAILER_PIPE may do without."""
    return {
        "sam_model_opt": schema.link("SAM_MODEL", "Draws outlines within the rectangles that bbox_detector found."),
        "segm_detector_opt": schema.link("SEGM_DETECTOR", "Finds the parts to detail with their outlines."),
        "detailer_hook": schema.detailer_hook(),
    }


def detailer_pipe_of(parts: Mapping[str, object]) -> tuple[object, ...]:
    """A DETAILER_PIPE of its parts, by the names of the inputs; what is absent is None."""
    helpers = {"sam_model": parts.get("sam_model_opt"), "segm_detector": parts.get("segm_detector_opt")}
    return tuple(helpers.get(part, parts.get(part)) for part in DetailerPipe._fields)


def _replacements(*names: str) -> Inputs:
    kinds = dict(zip(BasicPipe._fields, PART_TYPES, strict=True))
    kinds |= dict(zip(REFINER_NAMES, REFINER_TYPES, strict=True))
    kinds |= dict(zip(EDITABLE_HELPERS, HELPER_TYPES, strict=True))
    return {name: schema.link(kinds[name], f"Replaces the pipe's {name}; not connected, it stays.") for name in names}


class ToDetailerPipe(Node, menu=PIPE):
    """Bundles a model and detectors into one connection."""

    DESCRIPTION = "Puts a model, its prompts, a text for the segments and detectors on one wire, a DETAILER_PIPE."
    SEARCH_ALIASES = ("detailer pipe", "bundle model and detector", "pipe in")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {**schema.pipe_parts(), "bbox_detector": _bbox_detector(), **_text()},
            "optional": _helpers(),
        }

    def doit(self, **parts: object) -> Made:
        return (detailer_pipe_of(parts),)


class ToDetailerPipeSDXL(Node, menu=PIPE):
    """Bundles a model, its refiner and detectors into one connection."""

    DESCRIPTION = (
        "Puts a model and a refiner with their prompts, a text for the segments and detectors on one wire, a "
        "DETAILER_PIPE."
    )
    SEARCH_ALIASES = ("detailer pipe", "refiner pipe", "sdxl pipe", "pipe in")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                **schema.pipe_parts(),
                **_refiner_parts(),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(self, **parts: object) -> Made:
        return (detailer_pipe_of(parts),)


class FromDetailerPipe(Node, menu=PIPE):
    """Splits a DETAILER_PIPE."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its model, clip, vae, prompts, detectors and hook."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = (*PART_TYPES, *HELPER_TYPES)
    RETURN_NAMES = (*BasicPipe._fields, *HELPER_NAMES)
    OUTPUT_TOOLTIPS = (*PART_TOOLTIPS, *HELPER_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"detailer_pipe": schema.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: object) -> tuple[object, ...]:
        return _base_and_helpers(self.door.detailer_pipe(detailer_pipe))


class FromDetailerPipe_v2(Node, menu=PIPE):
    """Splits a DETAILER_PIPE and hands it on."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its parts, and gives the pipe itself first so that wires can go on."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = ("DETAILER_PIPE", *FromDetailerPipe.RETURN_TYPES)
    RETURN_NAMES = ("detailer_pipe", *FromDetailerPipe.RETURN_NAMES)
    OUTPUT_TOOLTIPS = ("The pipe that came in.", *FromDetailerPipe.OUTPUT_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"detailer_pipe": schema.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: object) -> tuple[object, ...]:
        pipe = self.door.detailer_pipe(detailer_pipe)
        return (detailer_pipe, *_base_and_helpers(pipe))


class FromDetailerPipeSDXL(Node, name="FromDetailer (SDXL/pipe)", menu=PIPE):
    """Splits a DETAILER_PIPE with its refiner and hands it on."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its parts, the refiner's too, and gives the pipe itself first."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "refiner pipe", "sdxl pipe", "pipe out")
    RETURN_TYPES = (*FromDetailerPipe_v2.RETURN_TYPES, *REFINER_TYPES)
    RETURN_NAMES = (*FromDetailerPipe_v2.RETURN_NAMES, *REFINER_NAMES)
    OUTPUT_TOOLTIPS = (*FromDetailerPipe_v2.OUTPUT_TOOLTIPS, *REFINER_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"detailer_pipe": schema.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: object) -> tuple[object, ...]:
        pipe = self.door.detailer_pipe(detailer_pipe)
        return (detailer_pipe, *_base_and_helpers(pipe), *(getattr(pipe, name) for name in REFINER_NAMES))


class BasicPipeToDetailerPipe(Node, name="BasicPipe -> DetailerPipe", menu=PIPE):
    """Adds detectors to a BASIC_PIPE."""

    DESCRIPTION = "Makes a DETAILER_PIPE of a BASIC_PIPE, detectors and a text for the segments."
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "basic pipe to detailer pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "basic_pipe": schema.link("BASIC_PIPE", PIPE_TOOLTIP),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(self, basic_pipe: object, bbox_detector: object, wildcard: str, **helpers: object) -> Made:
        base = self.door.five_parts(basic_pipe)._asdict()
        return (detailer_pipe_of(base | helpers | {"bbox_detector": bbox_detector, "wildcard": wildcard}),)


class BasicPipeToDetailerPipeSDXL(Node, name="BasicPipe -> DetailerPipe (SDXL)", menu=PIPE):
    """Makes one DETAILER_PIPE of two BASIC_PIPEs and detectors."""

    DESCRIPTION = (
        "Makes a DETAILER_PIPE of a model's and a refiner's BASIC_PIPE, detectors and a text for the segments."
    )
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "refiner pipe", "sdxl pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        refiner = "Model, clip and prompts of the refiner. Its vae is not used."
        return {
            "required": {
                "base_basic_pipe": schema.link("BASIC_PIPE", PIPE_TOOLTIP),
                "refiner_basic_pipe": schema.link("BASIC_PIPE", refiner),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(
        self,
        base_basic_pipe: object,
        refiner_basic_pipe: object,
        bbox_detector: object,
        wildcard: str,
        **helpers: object,
    ) -> Made:
        base = self.door.five_parts(base_basic_pipe, "base_basic_pipe")._asdict()
        other = self.door.five_parts(refiner_basic_pipe, "refiner_basic_pipe")._asdict()
        refiner = {name: other[name.removeprefix("refiner_")] for name in REFINER_NAMES}
        return (detailer_pipe_of(base | refiner | helpers | {"bbox_detector": bbox_detector, "wildcard": wildcard}),)


class DetailerPipeToBasicPipe(Node, name="DetailerPipe -> BasicPipe", menu=PIPE):
    """The model and the refiner of a DETAILER_PIPE as two BASIC_PIPEs."""

    DESCRIPTION = "Takes the model and the refiner out of a DETAILER_PIPE, each as a BASIC_PIPE."
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "detailer pipe to basic pipe")
    RETURN_TYPES = ("BASIC_PIPE", "BASIC_PIPE")
    RETURN_NAMES = ("base_basic_pipe", "refiner_basic_pipe")
    OUTPUT_TOOLTIPS = (
        PIPE_TOOLTIP,
        "The refiner's parts with the model's vae. Without a refiner in the pipe all but the vae are None.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"detailer_pipe": schema.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: object) -> tuple[tuple[object, ...], tuple[object, ...]]:
        pipe = self.door.detailer_pipe(detailer_pipe)
        return tuple(pipe.base), pipe.refiner


class EditDetailerPipe(Node, name="Edit DetailerPipe", menu=PIPE):
    """Replaces parts of a DETAILER_PIPE."""

    DESCRIPTION = "Gives a new DETAILER_PIPE in which each connected input replaces that part; the others stay."
    SEARCH_ALIASES = ("detailer pipe", "change pipe", "replace model in pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": _pipe_to_edit(),
            "optional": _replacements(*BasicPipe._fields, *EDITABLE_HELPERS),
        }

    def doit(self, detailer_pipe: object, wildcard: str, **parts: object) -> Made:
        return _edited(self.door.detailer_pipe(detailer_pipe), wildcard, parts)


class EditDetailerPipeSDXL(Node, name="Edit DetailerPipe (SDXL)", menu=PIPE):
    """Replaces parts of a DETAILER_PIPE, the refiner's too."""

    DESCRIPTION = "Gives a new DETAILER_PIPE in which each connected input replaces that part; the refiner's parts too."
    SEARCH_ALIASES = ("detailer pipe", "change pipe", "refiner pipe", "sdxl pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": _pipe_to_edit(),
            "optional": _replacements(*BasicPipe._fields, *REFINER_NAMES, *EDITABLE_HELPERS),
        }

    def doit(self, detailer_pipe: object, wildcard: str, **parts: object) -> Made:
        return _edited(self.door.detailer_pipe(detailer_pipe), wildcard, parts)


def _pipe_to_edit() -> Inputs:
    tooltip = "Replaces the pipe's text for the segments; empty, it stays."
    return {
        "detailer_pipe": schema.link("DETAILER_PIPE", "The pipe to change; it is left as it is."),
        **schema.detailer_pipe_text(tooltip),
    }


def _edited(pipe: DetailerPipe, wildcard: str, parts: Mapping[str, object]) -> Made:
    """The pipe with what is connected; the choices among the parts mean nothing."""
    changed = {name: part for name, part in parts.items() if part is not None}
    if wildcard != "":
        changed["wildcard"] = wildcard
    return (tuple((pipe._asdict() | changed)[part] for part in DetailerPipe._fields),)


def _base_and_helpers(pipe: DetailerPipe) -> tuple[object, ...]:
    return (*pipe.base, pipe.bbox_detector, pipe.sam_model, pipe.segm_detector, pipe.detailer_hook)
