"""Patches on a model: which of them may let one crop of a batch change another, and which show the whole picture."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import cast

import torch

from .conditioning import speaks_of
from .cuts import View, centred
from .frames import Chooser
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


# --- patches that carry a hint of the whole picture ---------------------------------------------------------------

# Where ComfyUI's Qwen DiffSynth and Z-Image Fun patches, and those made after them, keep their pictures ``[B,H,W,C]``.
_PICTURES = ("image", "inpaint_image")
_MASK = "mask"  # ``[B,...,H,W]``


def model_for_crop(model: Model, view: View, chooser: Chooser) -> Model:
    """The model with the hints in its patches cut to the crop, as conditioning's are; itself where it carries none.

    A patch that encodes its picture anew for another size is known by what it holds: a picture and what it was encoded
    to. One with a picture's shape in it that can't be cut is told once.
    """
    patches = _transformer_options(model).get("patches", {})
    cut: dict[int, object] = {}
    for patch in (patch for listed in patches.values() for patch in listed):
        if hasattr(patch, "encoded_image"):
            cut[id(patch)] = _cut(patch, view, chooser)
        elif any(speaks_of(value, view.picture) for value in getattr(patch, "__dict__", {}).values()):
            view.once.warning(
                f"the patch {type(patch).__name__} on the model carries a hint of the whole picture that can't be cut"
            )
    if not cut:
        return model
    made = model.clone()
    _transformer_options(made)["patches"] = {
        name: [cut.get(id(patch), patch) for patch in listed] for name, listed in patches.items()
    }
    return made


def _transformer_options(model: Model) -> dict[str, dict[str, list[object]]]:
    return cast("dict[str, dict[str, list[object]]]", model.model_options.get("transformer_options", {}))


def _cut(patch: object, view: View, chooser: Chooser) -> object:
    """A copy of a patch with its frame's picture and mask cut to the crop, to be encoded when it is first used."""
    copied = copy.copy(patch)
    for name in _PICTURES:
        picture = getattr(patch, name, None)
        if isinstance(picture, torch.Tensor):
            planes = centred(chooser.item(picture, "model patch's picture").movedim(-1, 1), view)
            setattr(copied, name, planes.movedim(1, -1).contiguous())
    mask = getattr(patch, _MASK, None)
    if isinstance(mask, torch.Tensor):
        setattr(copied, _MASK, centred(chooser.item(mask, "model patch's mask"), view))
    setattr(copied, "encoded_image_size", None)  # noqa: B010 - whatever it was made for: not this
    if hasattr(patch, "temp_data"):
        setattr(copied, "temp_data", None)  # noqa: B010
    return copied
