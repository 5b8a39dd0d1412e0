"""One denoising loop with several predictions: at each step the model is asked more than once, and the answers are
blended. The sampler, its noise and what it remembers stay one, whatever is blended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch

from ...core import Region
from .devices import check_interrupted
from .protocols import Conditioning, Model, Sampler
from .sampling import Guidance, guider_for

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
        own, added = _split_options(self._base, model_options)
        self._load(self._base)
        answer = first = _asked(self._base, x, sigma, own, seed, bool(added))
        for other in self._others:
            self._load(other.guider)
            options = other.options | {"disable_cfg1_optimization": True} if added else other.options
            weight, asked = other.weight.to(x), _asked(other.guider, x, sigma, options, seed, bool(added))
            answer = cast(Answer, tuple(_moved(*three, weight) for three in zip(answer, first, asked, strict=True)))
        return _after(added, answer, x, sigma, self._base, model_options)

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


# --- tiles --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """A part of a latent that is predicted by itself.

    Attributes:
        region: in cells of the latent.
        weight: ``[h,w]`` of the region's size; those of all tiles sum to 1 in each cell.
        positive, negative: cut to the region.
    """

    region: Region
    weight: torch.Tensor
    positive: Conditioning
    negative: Conditioning


class Tiling:
    """A SAMPLER for a latent whose predictions are made tile by tile and blended.

    ComfyUI prepares the model for what it is given, so that is one tile; the whole latent is given here.
    """

    def __init__(self, sampler: Sampler, grids: Sequence[Sequence[Tile]], noise: torch.Tensor) -> None:
        """
        Args:
            grids: the tiles of a step; the next step takes those of the next grid, and after the last the first's.
            noise: ``[B,C,h,w]`` or ``[B,C,T,h,w]``, the whole latent's.
        """
        self.inner, self.grids, self.noise = sampler, grids, noise
        self.latent, self.mask = torch.zeros_like(noise), cast("torch.Tensor | None", None)

    def of(self, latent: torch.Tensor, mask: torch.Tensor | None) -> Tiling:
        """The same for a latent, with its noise mask of the same size."""
        self.latent, self.mask = latent, mask
        return self

    def sample(self, base: Guider, sigmas: torch.Tensor, extra: Options, callback: object, *given: Any) -> torch.Tensor:
        """As ComfyUI calls it, with a tile's noise and latent."""
        device = given[0].device
        noise, latent = self.noise.to(given[0]), self.latent.to(given[0])
        mask = None if self.mask is None else self.mask.to(given[0])
        if bool(torch.count_nonzero(latent)):  # as ComfyUI does it: what is empty is not shifted
            latent = base.inner_model.process_latent_in(latent)
        whole = _Whole(noise, latent, mask, device, extra.get("seed"))
        tiles = _Tiles(base, [[_guider_of(tile, base, whole) for tile in grid] for grid in self.grids], sigmas)
        try:
            return self.inner.sample(tiles, sigmas, extra, callback, noise, latent, mask, *given[3:])
        finally:
            tiles.clean_up()


@dataclass(frozen=True)
class _Whole:
    """What tiles are cut from."""

    noise: torch.Tensor
    latent: torch.Tensor
    mask: torch.Tensor | None
    device: torch.device
    seed: object

    def cut(self, region: Region) -> dict[str, Any]:
        return {
            "noise": _part(self.noise, region),
            "device": self.device,
            "latent_image": _part(self.latent, region),
            "denoise_mask": None if self.mask is None else _part(self.mask, region),
            "seed": self.seed,
        }


def _part(tensor: torch.Tensor, region: Region) -> torch.Tensor:
    rows, columns = region.slices
    return tensor[..., rows, columns]


@dataclass(frozen=True)
class _TileGuider:
    tile: Tile
    guider: Guider


def _guider_of(tile: Tile, base: Guider, whole: _Whole) -> _TileGuider:
    """A guider for one tile, with the base's model as that is loaded now."""
    import comfy.samplers

    guider: Any = guider_for(Guidance(base.model_patcher, tile.positive, tile.negative, base.cfg))
    guider.model_options, guider.inner_model = base.model_options, base.inner_model
    conds = {name: [dict(one) for one in entries] for name, entries in guider.original_conds.items()}
    guider.conds = comfy.samplers.process_conds(base.inner_model, conds=conds, **whole.cut(tile.region))
    return _TileGuider(tile, guider)


class _Tiles:
    """Stands for the guider within a sampler, as ``_Blend`` does."""

    def __init__(self, base: Guider, grids: Sequence[Sequence[_TileGuider]], sigmas: torch.Tensor) -> None:
        self._base, self._grids, self._sigmas = base, grids, sigmas

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, *, model_options: Options, seed: int) -> torch.Tensor:
        own, added = _split_options(self._base, model_options)
        done = int((self._sigmas > sigma.max().to(self._sigmas)).sum())
        blended: list[torch.Tensor | None] = [torch.zeros_like(x), torch.zeros_like(x) if added else None]
        for one in self._grids[done % len(self._grids)]:
            check_interrupted()
            answer = _asked(one.guider, _part(x, one.tile.region), sigma, own, seed, bool(added))
            weight = one.tile.weight.to(x)
            for sum_, part in zip(blended, answer, strict=True):
                if sum_ is not None and part is not None:
                    _part(sum_, one.tile.region).add_(weight * part)
        return _after(added, cast(Answer, tuple(blended)), x, sigma, self._base, model_options)

    def clean_up(self) -> None:
        import comfy.sampler_helpers

        for grid in self._grids:
            for one in grid:
                comfy.sampler_helpers.cleanup_models(one.guider.conds, [])


# --- what samplers want to know beside the prediction ----------------------------------------------------------------


def _split_options(base: Guider, options: Options) -> tuple[Options, list[PostCfg]]:
    """The options without what the sampler itself added to them to look at each prediction, and that."""
    given: list[PostCfg] = options.get(_POST_CFG, [])
    own = len(base.model_options.get(_POST_CFG, []))
    return (options, []) if len(given) <= own else ({**options, _POST_CFG: given[:own]}, given[own:])


def _asked(guider: Guider, x: torch.Tensor, sigma: torch.Tensor, options: Options, seed: int, both: bool) -> Answer:
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


def _after(
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
