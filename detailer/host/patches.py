"""Patches on a model: which of them may let one crop of a batch change another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .protocols import Model

# ComfyUI's own patches that treat every item of a batch by itself: the node's class by the file it stands in. Each is
# tried against crops one by one (tests/engine/test_patches.py); what isn't here is not trusted with a batch.
_BY_ITEM = {
    "nodes_differential_diffusion": {"DifferentialDiffusion"},
    "nodes_eps": {"EpsilonScaling"},
    "nodes_freelunch": {"FreeU", "FreeU_V2"},
    "nodes_model_advanced": {"RescaleCFG"},
    "nodes_model_downscale": {"PatchModelAddDownscale"},
    "nodes_pag": {"PerturbedAttentionGuidance"},
    "nodes_sag": {"SelfAttentionGuidance"},
}

# Of these ComfyUI asks item by item, or they are another way to compute the same.
_HARMLESS = {"denoise_mask_function", "optimized_attention_override"}

_CORE = re.compile(r"comfy_extras[./\\](\w+?)(?:_x_py)?$")  # as a module, or as ComfyUI loads it from its path


def mixing_patch(model: Model) -> str | None:
    """What on the model may make crops of one batch come out other than alone; None where nothing may.

    Known by what the patcher carries: functions around the guidance, the model's call or its blocks, and wrappers.
    Weights (LoRAs, merges) and another ``model_sampling`` are no such thing.

    Returns:
        the patch's name, as its code is called.
    """
    return next((name_of(function) for function in carried_functions(model) if not _by_item(function)), None)


def carried_functions(model: Model) -> Iterator[object]:
    """All of a model's patches that are called while it is sampled."""
    carried: list[object] = [model.model_options, getattr(model, "wrappers", None), getattr(model, "injections", None)]
    for part in carried:
        yield from _functions(part)


def _functions(part: object) -> Iterator[object]:
    """All that can be called in nested dictionaries and lists."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key not in _HARMLESS:
                yield from _functions(value)
    elif isinstance(part, list | tuple | set):
        for value in part:
            yield from _functions(value)
    elif (callable(part) and not isinstance(part, type)) or hasattr(part, "inject"):
        yield part


def _by_item(function: object) -> bool:
    found = _CORE.search(_module(function))
    return found is not None and name_of(function) in _BY_ITEM.get(found[1], ())


def _module(function: object) -> str:
    return str(getattr(function, "__module__", type(function).__module__))


def name_of(function: object) -> str:
    """The class or outermost function in which it was written."""
    return str(getattr(function, "__qualname__", type(function).__qualname__)).partition(".")[0]
