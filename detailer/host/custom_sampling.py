"""ComfyUI's custom sampling in a detailer: a SAMPLER, SIGMAS and a GUIDER instead of the node's own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from .apart import Apart, Random
from .code import is_library
from .conditioning import entry
from .protocols import Conditioning, Model, Sampler

NO_NEGATIVE = "none"  # a string: without CFG
_CONCATENATED = ("concat_latent_image", "concat_mask")
_EACH_BY_ITSELF = {"CFGGuider", "Guider_Basic", "Guider_DualCFG", "Guider_DualModel"}  # of ComfyUI's; Perp-Neg is not


@dataclass(frozen=True, eq=False)
class CustomSampling:
    """What takes the place of what a detailer's widgets and pipe say; None: nothing does.

    Attributes:
        sigmas: all noise levels that are run, descending, ``[steps + 1]``.
        guider: its model and prompts are those of the whole picture.
    """

    sampler: Sampler | None = None
    sigmas: torch.Tensor | None = None
    guider: object = None

    @property
    def is_known(self) -> bool:
        """Whether it is made of ComfyUI's own code alone, that does the same each time."""
        function = getattr(self.sampler, "sampler_function", None)
        code = [*([] if self.sampler is None else [function]), *([] if self.guider is None else [type(self.guider)])]
        return all(is_library(getattr(one, "__module__", None)) for one in code)


NOTHING_CUSTOM = CustomSampling()


def apart(sampler: Sampler, noise: torch.Tensor, seeds: Sequence[int]) -> Sampler:
    """The sampler for a batch, each item as it would be alone.

    Args:
        noise: ``[n,...]``, what is started from.
        seeds: one for the whole batch, or one an item.
    """
    if len(seeds) == 1:
        return sampler
    before = torch.get_rng_state()
    random = []
    for item, seed in zip(noise.split(1), seeds, strict=True):
        torch.manual_seed(seed)  # as it is when ComfyUI has made the noise of a seed
        torch.randn(item.shape)
        random.append(Random.now(noise.device))
    torch.set_rng_state(before)
    return cast("Sampler", Apart(sampler, seeds, random))


# --- guiders ------------------------------------------------------------------------------------------------------


def is_guider(thing: object) -> bool:
    """Whether it can be given other prompts, as all can that are built on ComfyUI's CFGGuider."""
    parts = ("model_patcher", "original_conds", "inner_set_conds", "sample")
    return all(hasattr(thing, part) for part in parts)


def why_alone(guider: object) -> str | None:
    """Why crops go one after another with a guider; None where they may go together."""
    kind = type(guider)
    of_comfy = kind.__module__.startswith("comfy.") or "comfy_extras" in kind.__module__  # loaded from their paths
    if guider is None or (of_comfy and kind.__name__ in _EACH_BY_ITSELF):
        return None
    return f"the guider {kind.__name__} may let one change another"


def model_of(guider: object) -> Model:
    return cast(Any, guider).model_patcher


def prompts_of(guider: object) -> dict[str, Conditioning]:
    """The guider's conditionings by its names for them, in the form in which nodes hand them on."""
    conds: Mapping[str, list[dict[str, object]]] = cast(Any, guider).original_conds
    return {name: [_entry(one) for one in entries] for name, entries in conds.items()}


def cfg_of(guider: object, otherwise: float) -> float:
    """The guider's own cfg, where it has one."""
    return cast(float, getattr(guider, "cfg", otherwise))


_MADE_BY_GUIDERS = ("cross_attn", "model_conds", "uuid")


def _entry(cond: dict[str, object]) -> Any:
    options = {name: value for name, value in cond.items() if name not in _MADE_BY_GUIDERS}
    if cond.get("model_conds"):
        options["model_conds"] = cond["model_conds"]
    return entry(cast("torch.Tensor", cond.get("cross_attn")), options)


def with_concatenated(prompts: Mapping[str, Conditioning], like: Conditioning) -> dict[str, Conditioning]:
    """Prompts with what an inpaint model is to see of the picture, as ``like`` has it."""
    if isinstance(like, str) or not like:
        return dict(prompts)
    shown = {name: like[0][1][name] for name in _CONCATENATED if name in like[0][1]}
    if not shown:
        return dict(prompts)
    return {
        name: one if isinstance(one, str) else [entry(embedding, options | shown) for embedding, options in one]
        for name, one in prompts.items()
    }


def guider_with(guider: object, model: Model, prompts: Mapping[str, Conditioning]) -> Any:
    """A copy of the guider for a model and prompts of those names that it has."""
    own: Any = copy.copy(guider)
    own.model_patcher, own.model_options, own.original_conds = model, model.model_options, {}
    names = cast(Any, guider).original_conds
    own.inner_set_conds({name: one for name, one in prompts.items() if name in names and not isinstance(one, str)})
    return own
