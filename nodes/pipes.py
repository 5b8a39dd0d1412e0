"""Nodes of the pipes group: a model with all that sampling or detailing needs, on one wire."""

from __future__ import annotations

from typing import Any

from ..detailer.values import BasicPipe, DetailerPipe
from . import inputs
from .checks import Door

PART_TYPES = ("MODEL", "CLIP", "VAE", "CONDITIONING", "CONDITIONING")
PART_TOOLTIPS = (
    "The diffusion model.",
    "The text encoder.",
    "The VAE.",
    "The positive conditioning.",
    "The negative conditioning.",
)
PIPE_TOOLTIP = "Model, clip, vae, positive and negative on one wire."
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
CATEGORY = "ImpactPack/Pipe"


class ToBasicPipe:
    """Bundles five connections into one."""

    DESCRIPTION = "Puts a model, clip, vae, positive and negative conditioning on one wire, a BASIC_PIPE."
    SEARCH_ALIASES = ("basic pipe", "bundle model clip vae", "pipe in")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": inputs.pipe_parts()}

    def doit(self, model: Any, clip: Any, vae: Any, positive: Any, negative: Any) -> tuple[tuple[Any, ...]]:
        return ((model, clip, vae, positive, negative),)


class FromBasicPipe:
    """Splits a BASIC_PIPE."""

    DESCRIPTION = "Splits a BASIC_PIPE into its model, clip, vae, positive and negative conditioning."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = PART_TYPES
    RETURN_NAMES = BasicPipe._fields
    OUTPUT_TOOLTIPS = PART_TOOLTIPS
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: Any) -> tuple[Any, ...]:
        return tuple(Door("FromBasicPipe").five_parts(basic_pipe))


class FromBasicPipe_v2:
    """Splits a BASIC_PIPE and hands it on."""

    DESCRIPTION = "Splits a BASIC_PIPE into its five parts, and gives the pipe itself first so that wires can go on."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = ("BASIC_PIPE", *PART_TYPES)
    RETURN_NAMES = ("basic_pipe", *BasicPipe._fields)
    OUTPUT_TOOLTIPS = ("The pipe that came in.", *PART_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: Any) -> tuple[Any, ...]:
        return (basic_pipe, *Door("FromBasicPipe_v2").five_parts(basic_pipe))


class EditBasicPipe:
    """Replaces parts of a BASIC_PIPE."""

    DESCRIPTION = "Gives a new BASIC_PIPE in which each connected input replaces that part; the others stay."
    SEARCH_ALIASES = ("basic pipe", "change pipe", "replace model in pipe")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"basic_pipe": inputs.link("BASIC_PIPE", "The pipe to change; it is left as it is.")},
            "optional": {
                name: inputs.link(kind, f"Replaces the pipe's {name}; not connected, it stays.")
                for name, (kind, _) in inputs.pipe_parts().items()
            },
        }

    def doit(self, basic_pipe: Any, **parts: Any) -> tuple[tuple[Any, ...]]:
        changed = {name: part for name, part in parts.items() if part is not None}
        return (tuple(Door("EditBasicPipe").five_parts(basic_pipe)._replace(**changed)),)


def _text() -> dict[str, inputs.Input]:
    tooltip = "The text for the segments, carried in the pipe. Empty: the positive conditioning is used."
    return inputs.detailer_pipe_text(tooltip)


def _bbox_detector() -> inputs.Input:
    return inputs.link("BBOX_DETECTOR", "Finds the parts to detail as rectangles.")


def _refiner_parts() -> dict[str, inputs.Input]:
    tooltips = (
        "A second diffusion model for the last part of the steps.",
        "The refiner's text encoder.",
        "What should be seen, encoded for the refiner.",
        "What should not be seen, encoded for the refiner.",
    )
    return dict(zip(REFINER_NAMES, map(inputs.link, REFINER_TYPES, tooltips), strict=True))


def _helpers() -> dict[str, inputs.Input]:
    """What a DETAILER_PIPE may do without."""
    return {
        "sam_model_opt": inputs.link("SAM_MODEL", "Draws outlines within the rectangles that bbox_detector found."),
        "segm_detector_opt": inputs.link("SEGM_DETECTOR", "Finds the parts to detail with their outlines."),
        "detailer_hook": inputs.detailer_hook(),
    }


def _replacements(*names: str) -> dict[str, inputs.Input]:
    kinds = dict(zip(BasicPipe._fields, PART_TYPES, strict=True))
    kinds |= dict(zip(REFINER_NAMES, REFINER_TYPES, strict=True))
    kinds |= dict(zip(EDITABLE_HELPERS, HELPER_TYPES, strict=True))
    return {name: inputs.link(kinds[name], f"Replaces the pipe's {name}; not connected, it stays.") for name in names}


class ToDetailerPipe:
    """Bundles a model and detectors into one connection."""

    DESCRIPTION = "Puts a model, its prompts, a text for the segments and detectors on one wire, a DETAILER_PIPE."
    SEARCH_ALIASES = ("detailer pipe", "bundle model and detector", "pipe in")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {**inputs.pipe_parts(), "bbox_detector": _bbox_detector(), **_text()},
            "optional": _helpers(),
        }

    def doit(
        self,
        model: Any,
        clip: Any,
        vae: Any,
        positive: Any,
        negative: Any,
        bbox_detector: Any,
        wildcard: str,
        sam_model_opt: Any = None,
        segm_detector_opt: Any = None,
        detailer_hook: Any = None,
        **choices: str,
    ) -> tuple[tuple[Any, ...]]:
        base = BasicPipe(model, clip, vae, positive, negative)
        pipe = DetailerPipe(*base, wildcard, bbox_detector, segm_detector_opt, sam_model_opt, detailer_hook)
        return (tuple(pipe),)


class ToDetailerPipeSDXL:
    """Bundles a model, its refiner and detectors into one connection."""

    DESCRIPTION = (
        "Puts a model and a refiner with their prompts, a text for the segments and detectors on one wire, a "
        "DETAILER_PIPE."
    )
    SEARCH_ALIASES = ("detailer pipe", "refiner pipe", "sdxl pipe", "pipe in")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                **inputs.pipe_parts(),
                **_refiner_parts(),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(
        self,
        model: Any,
        clip: Any,
        vae: Any,
        positive: Any,
        negative: Any,
        refiner_model: Any,
        refiner_clip: Any,
        refiner_positive: Any,
        refiner_negative: Any,
        bbox_detector: Any,
        wildcard: str,
        sam_model_opt: Any = None,
        segm_detector_opt: Any = None,
        detailer_hook: Any = None,
        **choices: str,
    ) -> tuple[tuple[Any, ...]]:
        base = BasicPipe(model, clip, vae, positive, negative)
        refiner = refiner_model, refiner_clip, refiner_positive, refiner_negative
        pipe = DetailerPipe(*base, wildcard, bbox_detector, segm_detector_opt, sam_model_opt, detailer_hook, *refiner)
        return (tuple(pipe),)


class FromDetailerPipe:
    """Splits a DETAILER_PIPE."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its model, clip, vae, prompts, detectors and hook."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = (*PART_TYPES, *HELPER_TYPES)
    RETURN_NAMES = (*BasicPipe._fields, *HELPER_NAMES)
    OUTPUT_TOOLTIPS = (*PART_TOOLTIPS, *HELPER_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"detailer_pipe": inputs.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: Any) -> tuple[Any, ...]:
        return _base_and_helpers(Door("FromDetailerPipe").detailer_pipe(detailer_pipe))


class FromDetailerPipe_v2:
    """Splits a DETAILER_PIPE and hands it on."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its parts, and gives the pipe itself first so that wires can go on."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = ("DETAILER_PIPE", *FromDetailerPipe.RETURN_TYPES)
    RETURN_NAMES = ("detailer_pipe", *FromDetailerPipe.RETURN_NAMES)
    OUTPUT_TOOLTIPS = ("The pipe that came in.", *FromDetailerPipe.OUTPUT_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"detailer_pipe": inputs.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: Any) -> tuple[Any, ...]:
        pipe = Door("FromDetailerPipe_v2").detailer_pipe(detailer_pipe)
        return (detailer_pipe, *_base_and_helpers(pipe))


class FromDetailerPipeSDXL:
    """Splits a DETAILER_PIPE with its refiner and hands it on."""

    DESCRIPTION = "Splits a DETAILER_PIPE into its parts, the refiner's too, and gives the pipe itself first."
    SEARCH_ALIASES = ("detailer pipe", "unpack pipe", "refiner pipe", "sdxl pipe", "pipe out")
    RETURN_TYPES = (*FromDetailerPipe_v2.RETURN_TYPES, *REFINER_TYPES)
    RETURN_NAMES = (*FromDetailerPipe_v2.RETURN_NAMES, *REFINER_NAMES)
    OUTPUT_TOOLTIPS = (*FromDetailerPipe_v2.OUTPUT_TOOLTIPS, *REFINER_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"detailer_pipe": inputs.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: Any) -> tuple[Any, ...]:
        pipe = Door("FromDetailerPipeSDXL").detailer_pipe(detailer_pipe)
        return (detailer_pipe, *_base_and_helpers(pipe), *(getattr(pipe, name) for name in REFINER_NAMES))


class BasicPipeToDetailerPipe:
    """Adds detectors to a BASIC_PIPE."""

    DESCRIPTION = "Makes a DETAILER_PIPE of a BASIC_PIPE, detectors and a text for the segments."
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "basic pipe to detailer pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(
        self,
        basic_pipe: Any,
        bbox_detector: Any,
        wildcard: str,
        sam_model_opt: Any = None,
        segm_detector_opt: Any = None,
        detailer_hook: Any = None,
        **choices: str,
    ) -> tuple[tuple[Any, ...]]:
        base = Door("BasicPipeToDetailerPipe").five_parts(basic_pipe)
        pipe = DetailerPipe(*base, wildcard, bbox_detector, segm_detector_opt, sam_model_opt, detailer_hook)
        return (tuple(pipe),)


class BasicPipeToDetailerPipeSDXL:
    """Makes one DETAILER_PIPE of two BASIC_PIPEs and detectors."""

    DESCRIPTION = (
        "Makes a DETAILER_PIPE of a model's and a refiner's BASIC_PIPE, detectors and a text for the segments."
    )
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "refiner pipe", "sdxl pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        refiner = "Model, clip and prompts of the refiner. Its vae is not used."
        return {
            "required": {
                "base_basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP),
                "refiner_basic_pipe": inputs.link("BASIC_PIPE", refiner),
                "bbox_detector": _bbox_detector(),
                **_text(),
            },
            "optional": _helpers(),
        }

    def doit(
        self,
        base_basic_pipe: Any,
        refiner_basic_pipe: Any,
        bbox_detector: Any,
        wildcard: str,
        sam_model_opt: Any = None,
        segm_detector_opt: Any = None,
        detailer_hook: Any = None,
        **choices: str,
    ) -> tuple[tuple[Any, ...]]:
        door = Door("BasicPipeToDetailerPipeSDXL")
        base = door.five_parts(base_basic_pipe, "base_basic_pipe")
        other = door.five_parts(refiner_basic_pipe, "refiner_basic_pipe")
        refiner = other.model, other.clip, other.positive, other.negative
        pipe = DetailerPipe(*base, wildcard, bbox_detector, segm_detector_opt, sam_model_opt, detailer_hook, *refiner)
        return (tuple(pipe),)


class DetailerPipeToBasicPipe:
    """The model and the refiner of a DETAILER_PIPE as two BASIC_PIPEs."""

    DESCRIPTION = "Takes the model and the refiner out of a DETAILER_PIPE, each as a BASIC_PIPE."
    SEARCH_ALIASES = ("detailer pipe", "convert pipe", "detailer pipe to basic pipe")
    RETURN_TYPES = ("BASIC_PIPE", "BASIC_PIPE")
    RETURN_NAMES = ("base_basic_pipe", "refiner_basic_pipe")
    OUTPUT_TOOLTIPS = (
        PIPE_TOOLTIP,
        "The refiner's parts with the model's vae. Without a refiner in the pipe all but the vae are None.",
    )
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"detailer_pipe": inputs.link("DETAILER_PIPE", DETAILER_PIPE_TOOLTIP)}}

    def doit(self, detailer_pipe: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        pipe = Door("DetailerPipeToBasicPipe").detailer_pipe(detailer_pipe)
        return tuple(pipe.base), pipe.refiner


class EditDetailerPipe:
    """Replaces parts of a DETAILER_PIPE."""

    DESCRIPTION = "Gives a new DETAILER_PIPE in which each connected input replaces that part; the others stay."
    SEARCH_ALIASES = ("detailer pipe", "change pipe", "replace model in pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": _pipe_to_edit(),
            "optional": _replacements(*BasicPipe._fields, *EDITABLE_HELPERS),
        }

    def doit(self, detailer_pipe: Any, wildcard: str, **parts: Any) -> tuple[tuple[Any, ...]]:
        return (_edited(Door("EditDetailerPipe").detailer_pipe(detailer_pipe), wildcard, parts),)


class EditDetailerPipeSDXL:
    """Replaces parts of a DETAILER_PIPE, the refiner's too."""

    DESCRIPTION = "Gives a new DETAILER_PIPE in which each connected input replaces that part; the refiner's parts too."
    SEARCH_ALIASES = ("detailer pipe", "change pipe", "refiner pipe", "sdxl pipe")
    RETURN_TYPES = ("DETAILER_PIPE",)
    RETURN_NAMES = ("detailer_pipe",)
    OUTPUT_TOOLTIPS = (DETAILER_PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": _pipe_to_edit(),
            "optional": _replacements(*BasicPipe._fields, *REFINER_NAMES, *EDITABLE_HELPERS),
        }

    def doit(self, detailer_pipe: Any, wildcard: str, **parts: Any) -> tuple[tuple[Any, ...]]:
        return (_edited(Door("EditDetailerPipeSDXL").detailer_pipe(detailer_pipe), wildcard, parts),)


def _pipe_to_edit() -> dict[str, inputs.Input]:
    tooltip = "Replaces the pipe's text for the segments; empty, it stays."
    return {
        "detailer_pipe": inputs.link("DETAILER_PIPE", "The pipe to change; it is left as it is."),
        **inputs.detailer_pipe_text(tooltip),
    }


def _edited(pipe: DetailerPipe, wildcard: str, parts: dict[str, Any]) -> tuple[Any, ...]:
    """The pipe with what is connected; the choices among the parts mean nothing."""
    changed = {name: part for name, part in parts.items() if part is not None and name in DetailerPipe._fields}
    if wildcard != "":
        changed["wildcard"] = wildcard
    return tuple(pipe._replace(**changed))


def _base_and_helpers(pipe: DetailerPipe) -> tuple[Any, ...]:
    return (*pipe.base, pipe.bbox_detector, pipe.sam_model, pipe.segm_detector, pipe.detailer_hook)


NODE_CLASS_MAPPINGS = {
    "ToBasicPipe": ToBasicPipe,
    "FromBasicPipe": FromBasicPipe,
    "FromBasicPipe_v2": FromBasicPipe_v2,
    "EditBasicPipe": EditBasicPipe,
    "ToDetailerPipe": ToDetailerPipe,
    "ToDetailerPipeSDXL": ToDetailerPipeSDXL,
    "FromDetailerPipe": FromDetailerPipe,
    "FromDetailerPipe_v2": FromDetailerPipe_v2,
    "FromDetailerPipeSDXL": FromDetailerPipeSDXL,
    "BasicPipeToDetailerPipe": BasicPipeToDetailerPipe,
    "BasicPipeToDetailerPipeSDXL": BasicPipeToDetailerPipeSDXL,
    "DetailerPipeToBasicPipe": DetailerPipeToBasicPipe,
    "EditDetailerPipe": EditDetailerPipe,
    "EditDetailerPipeSDXL": EditDetailerPipeSDXL,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ToBasicPipe": "ToBasicPipe",
    "FromBasicPipe": "FromBasicPipe",
    "FromBasicPipe_v2": "FromBasicPipe_v2",
    "EditBasicPipe": "Edit BasicPipe",
    "ToDetailerPipe": "ToDetailerPipe",
    "ToDetailerPipeSDXL": "ToDetailerPipeSDXL",
    "FromDetailerPipe": "FromDetailerPipe",
    "FromDetailerPipe_v2": "FromDetailerPipe_v2",
    "FromDetailerPipeSDXL": "FromDetailer (SDXL/pipe)",
    "BasicPipeToDetailerPipe": "BasicPipe -> DetailerPipe",
    "BasicPipeToDetailerPipeSDXL": "BasicPipe -> DetailerPipe (SDXL)",
    "DetailerPipeToBasicPipe": "DetailerPipe -> BasicPipe",
    "EditDetailerPipe": "Edit DetailerPipe",
    "EditDetailerPipeSDXL": "Edit DetailerPipe (SDXL)",
}
