"""One denoising loop with several predictions: at each step others are asked about the same latent, and the answers are
blended. The sampler, its noise and what it remembers stay one, whatever is blended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from .devices import check_interrupted
from .predictions import Answer, Guider, Options, after, asked, split_options
from .protocols import Sampler
from .sampling import Guidance, guider_for


@dataclass(frozen=True)
class Share:
    """Where another guidance counts.

    Attributes:
        weight: 0..1, of the latent's last two axes, with an axis of one for each before them.
    """

    guidance: Guidance
    weight: torch.Tensor


class Blending:
    """A SAMPLER that goes by a base's predictions and, by their weights, by those of others.

    ``base + sum(weight * (other - base))``: the base has what the weights leave of 1, and others that predict the same
    change nothing, not even by rounding.
    """

    def __init__(self, sampler: Sampler, shares: Sequence[Share], from_level: float = math.inf) -> None:
        """
        Args:
            sampler: walks down the noise levels.
            from_level: above this noise level the base goes alone.
        """
        self.inner, self.shares, self.from_level = sampler, shares, from_level

    def sample(self, base: Guider, sigmas: torch.Tensor, extra: Options, callback: object, *given: Any) -> torch.Tensor:
        """As ComfyUI calls it; ``given``: noise, latent, noise mask and whether a bar is shown."""
        noise, latent, mask, *others = given
        made: list[torch.Tensor] = []

        def prepared(rest: Sequence[Share], ready: list[_Other]) -> None:
            """Each guider sets itself up within the one before, and all are there when the loop runs."""
            if not rest:
                blend = _Blend(base, ready, self.from_level)
                made.append(self.inner.sample(blend, sigmas, extra, callback, noise, latent, mask, *others))
                return
            guider: Any = guider_for(rest[0].guidance)
            held = _Held(lambda other, options: prepared(rest[1:], [*ready, _Other(other, options, rest[0].weight)]))
            clean = base.inner_model.process_latent_out(latent)
            guider.sample(noise, clean, held, sigmas, mask, None, True, extra.get("seed"))

        prepared(self.shares, [])
        return made[0]


class _Held:
    """A SAMPLER that samples nothing: while it is in ``sample``, a guider is set up, and that is used."""

    def __init__(self, use: Callable[[Guider, Options], None]) -> None:
        self._use = use

    def sample(self, guider: Guider, sigmas: torch.Tensor, extra: Options, callback: object, *given: Any) -> object:
        self._use(guider, extra["model_options"])
        return given[0]


@dataclass(frozen=True)
class _Other:
    guider: Guider
    options: Options
    weight: torch.Tensor


class _Blend:
    """Stands for the base's guider within a sampler; what is not asked of the model is the base's."""

    def __init__(self, base: Guider, others: Sequence[_Other], from_level: float) -> None:
        self._base, self._others, self._from_level = base, others, from_level
        self._changes_models = any(other.guider.model_patcher is not base.model_patcher for other in others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, *, model_options: Options, seed: int) -> torch.Tensor:
        check_interrupted()
        if float(sigma.max()) > self._from_level:
            self._load(self._base)
            return self._base(x, sigma, model_options=model_options, seed=seed)
        own, added = split_options(self._base, model_options)
        self._load(self._base)
        answer = first = asked(self._base, x, sigma, own, seed, bool(added))
        for other in self._others:
            self._load(other.guider)
            options = other.options | {"disable_cfg1_optimization": True} if added else other.options
            weight, its = other.weight.to(x), asked(other.guider, x, sigma, options, seed, bool(added))
            answer = cast(Answer, tuple(_moved(*three, weight) for three in zip(answer, first, its, strict=True)))
        return after(added, answer, x, sigma, self._base, model_options)

    def _load(self, guider: Guider) -> None:
        """Where models take turns: on its device, with its own patches."""
        if not self._changes_models:
            return
        import comfy.model_management

        patcher: Any = guider.model_patcher
        comfy.model_management.load_models_gpu([patcher, *cast("list[Any]", guider.loaded_models)])
        if guider.inner_model.current_patcher is not patcher:
            patcher.pre_run()


def _moved(
    blended: torch.Tensor | None, base: torch.Tensor | None, other: torch.Tensor | None, weight: torch.Tensor
) -> torch.Tensor | None:
    return None if blended is None or base is None or other is None else blended + weight * (other - base)
