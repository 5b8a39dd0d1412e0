"""What models, conditionings, ControlNets and the like are, as digests: equal ones do the same when they sample.

Models are known by their weights' identity and by all that is patched on them. What a run leaves behind in ComfyUI's
objects is left out. Functions of ComfyUI and of installed libraries are taken to be what they were at their start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import cast

import torch

from .code import attributes_of, is_library
from .identities import Contents, joined
from .looking import Look as PlainLook
from .looking import UnseenError as UnseenError
from .looking import is_large

LARGEST_PATCHES = 2**26  # bytes of a model's weight patches; more are known by ComfyUI's number for them

# Attributes that say where an object's weights are now, or what is left of the last sampling, by its class.
_STATE = {
    "comfy.model_patcher.ModelPatcher": {
        "model", "patches", "patches_uuid", "size", "offload_device", "weight_inplace_update", "parent", "backup",
        "backup_buffers", "object_patches_backup", "pinned", "is_injected", "skip_injection", "hook_patches",
        "hook_patches_backup", "hook_backup", "cached_hook_patches", "current_hooks", "hook_mode",
        "cached_patcher_init", "is_multigpu_base_clone", "clone_base_uuid", "non_dynamic_delegate_model",
        "force_cast_weights", "_free_methods", "_last_prepare_log_key", "_last_free_log_time",
    },
    "comfy.controlnet.ControlBase": {
        "cond_hint", "extra_concat", "timestep_range", "model_sampling_current", "control_input", "control_weights",
    },
    "comfy.hooks.HookKeyframeGroup": {
        "_current_keyframe", "_current_used_steps", "_current_index", "_current_strength", "_curr_t", "curr_t",
    },
    "comfy.hooks.HookKeyframe": {"start_t"},
    "comfy.sd.CLIP": {"tokenizer"},
    "comfy.sd.VAE": {"size"},
    "torch.nn.Module": {
        "comfy_cast_weights", "prev_comfy_cast_weights", "comfy_patched_weights", "comfy_force_cast_weights",
        "weight_function", "bias_function", "weight_lowvram_function", "bias_lowvram_function", "seed_key",
        "_pin_state", "_v", "_is_full_backward_hook",
    },
}  # fmt: skip
_LOADED = "current_weight_patches_uuid"  # a module that ComfyUI loads and patches has it


class Look(PlainLook):
    """One look at what ComfyUI and other packs hand over."""

    def __init__(self, contents: Contents) -> None:
        super().__init__(contents)
        self.left_behind = frozenset(_STATE["torch.nn.Module"])
        self._kinds: dict[type, str | None] = {}
        self._replaced: dict[int, Mapping[str, object]] = {}  # by base model: what stands there when it isn't loaded

    def special(self, value: object) -> bytes | None:
        """The digest of one of ComfyUI's objects; None for all else."""
        if isinstance(value, torch.nn.Module) and (hasattr(value, _LOADED) or is_large(value)):
            return self._weights(value)
        kind = type(value)
        if kind not in self._kinds:
            self._kinds[kind] = next((name for name in _STATE if _is(value, name)), None)
        known = self._kinds[kind]
        if known is None:
            return None
        kept = {name: own for name, own in attributes_of(value).items() if name not in _STATE[known]}
        parts = [self.of(type(value)), self.of(kept)]
        if known == "comfy.model_patcher.ModelPatcher":
            parts += self._patched(value)
        elif known == "comfy.sd.CLIP":
            parts.append(self.identity(getattr(value, "tokenizer", None)))
        elif known == "comfy.controlnet.ControlBase":
            weights = cast("dict[str, object]", getattr(value, "control_weights", {}))
            parts += map(self.identity, weights.values())
        return joined(known, parts)

    def sampler(self, name: str, scheduler: str) -> bytes:
        """The digest of a sampler and a scheduler by their names.

        Raises:
            UnseenError: for a sampler of another pack, whose noise may come from anywhere.
        """
        import comfy.samplers

        sampler = comfy.samplers.sampler_object(name)
        function = getattr(sampler, "sampler_function", None)
        if not hasattr(type(sampler), "fingerprint") and not is_library(getattr(function, "__module__", None)):
            raise UnseenError(f"{name} of another pack")
        return self.all("sampler", (sampler, scheduler, comfy.samplers.SCHEDULER_HANDLERS.get(scheduler)))

    def _patched(self, patcher: object) -> Iterator[bytes]:
        base, backup = getattr(patcher, "model", None), getattr(patcher, "object_patches_backup", {})
        self._replaced[id(base)] = backup
        yield self.of(base)
        patches, number = getattr(patcher, "patches", {}), getattr(patcher, "patches_uuid", None)
        if not patches:
            yield b"unpatched"
        elif number is None:
            yield self.of(patches)
        else:
            yield self.contents.of(number, lambda: self._weight_patches(patches, number))

    def _weight_patches(self, patches: object, number: object) -> bytes:
        return self.of(number if _bytes_of(patches) > LARGEST_PATCHES else patches)

    def _weights(self, module: torch.nn.Module) -> bytes:
        """Which weights, and what of a model can be changed in place beside them."""
        replaced = self._replaced.get(id(module), {})
        own = [replaced.get(name, getattr(module, name, None)) for name in ("model_sampling", "latent_format")]
        parts = [self.contents.of(module, lambda: self.large_module(module, replaced)), *map(self.of, own)]
        return joined("weights", parts)


def _is(value: object, path: str) -> bool:
    """Whether it is of a class that is named by its path; a module that isn't loaded has no objects."""
    module, _, name = path.rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _bytes_of(patches: object) -> int:
    """The bytes of all tensors in nested lists, dictionaries and objects of weights."""
    if isinstance(patches, torch.Tensor):
        return patches.nbytes
    if isinstance(patches, Mapping):
        return sum(map(_bytes_of, patches.values()))
    if isinstance(patches, list | tuple):
        return sum(map(_bytes_of, patches))
    return _bytes_of(getattr(patches, "weights", ()))
