"""What a sampler asks its model, and what else it wants to know of the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from .protocols import Model

Options = dict[str, Any]
PostCfg = Callable[[Options], torch.Tensor]
_POST_CFG = "sampler_post_cfg_function"


class Guider(Protocol):
    """ComfyUI's CFGGuider: asks its model for the clean latent that it sees in a noisy one."""

    model_patcher: Model
    model_options: Options
    inner_model: Any
    loaded_models: list[object]
    conds: Options
    cfg: float

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, *, model_options: Options, seed: int) -> torch.Tensor: ...


# what a guider makes of a noisy latent, and what it would make of it for the negative prompt alone, where that is asked
Answer = tuple[torch.Tensor, torch.Tensor | None]


def split_options(base: Guider, options: Options) -> tuple[Options, list[PostCfg]]:
    """The options without what the sampler itself added to them to look at each prediction, and that."""
    given: list[PostCfg] = options.get(_POST_CFG, [])
    own = len(base.model_options.get(_POST_CFG, []))
    return (options, []) if len(given) <= own else ({**options, _POST_CFG: given[:own]}, given[own:])


def asked(guider: Guider, x: torch.Tensor, sigma: torch.Tensor, options: Options, seed: int, both: bool) -> Answer:
    """A guider's prediction and, where ``both`` are wanted, that for its negative."""
    if not both:
        return guider(x, sigma, model_options=options, seed=seed), None
    seen: list[torch.Tensor] = []

    def look(facts: Options) -> torch.Tensor:
        seen.append(facts["uncond_denoised"])
        return facts["denoised"]

    looking = {**options, _POST_CFG: [*options.get(_POST_CFG, []), look]}
    prediction = guider(x, sigma, model_options=looking, seed=seed)
    return prediction, seen[-1] if seen else prediction


def after(
    added: Sequence[PostCfg], answer: Answer, x: torch.Tensor, sigma: torch.Tensor, base: Guider, options: Options
) -> torch.Tensor:
    """The blended prediction, shown to what the sampler added."""
    prediction, negative = answer
    for look in added:
        facts = {
            "denoised": prediction, "cond_denoised": prediction, "uncond_denoised": negative, "input": x,
            "sigma": sigma, "cond_scale": base.cfg, "model": base.inner_model, "model_options": options,
        }  # fmt: skip
        prediction = look(facts)
    return prediction
