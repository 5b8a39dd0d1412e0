"""One denoising loop whose predictions are made tile by tile and blended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from ...core import Region
from .devices import check_interrupted
from .predictions import Answer, Guider, Options, after, asked, split_options
from .protocols import Conditioning, Sampler
from .sampling import Guidance, guider_for


@dataclass(frozen=True)
class Stretch:
    """Frames ``first`` to before ``last`` of a latent ``[B,C,T,h,w]``, after so many at its head that all have."""

    first: int
    last: int
    head: int = 0


@dataclass(frozen=True)
class Tile:
    """A part of a latent that is predicted by itself.

    Attributes:
        region: in cells of the latent, or some of its frames.
        weight: ``[h,w]`` of the region's size, ``[n,1,1]`` of the frames, those at the head first; those of all tiles
            sum to 1 in each cell.
        positive, negative: cut to the region.
    """

    region: Region | Stretch
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

    def cut(self, region: Region | Stretch) -> dict[str, Any]:
        return {
            "noise": part_of(self.noise, region),
            "device": self.device,
            "latent_image": part_of(self.latent, region),
            "denoise_mask": None if self.mask is None else part_of(self.mask, region),
            "seed": self.seed,
        }


def part_of(tensor: torch.Tensor, region: Region | Stretch) -> torch.Tensor:
    """What a tile has of a latent; a view of it, but for frames with others at the head."""
    if isinstance(region, Stretch):
        part = tensor[:, :, region.head + region.first : region.head + region.last]
        return torch.cat([tensor[:, :, : region.head], part], dim=2) if region.head else part
    rows, columns = region.slices
    return tensor[..., rows, columns]


def _add_to(sum_: torch.Tensor, region: Region | Stretch, part: torch.Tensor) -> None:
    head = region.head if isinstance(region, Stretch) else 0
    if isinstance(region, Stretch) and head:
        sum_[:, :, :head] += part[:, :, :head]
        region, part = Stretch(head + region.first, head + region.last), part[:, :, head:]
    part_of(sum_, region).add_(part)


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
        own, added = split_options(self._base, model_options)
        done = int((self._sigmas > sigma.max().to(self._sigmas)).sum())
        blended: list[torch.Tensor | None] = [torch.zeros_like(x), torch.zeros_like(x) if added else None]
        for one in self._grids[done % len(self._grids)]:
            check_interrupted()
            answer = asked(one.guider, part_of(x, one.tile.region), sigma, own, seed, bool(added))
            weight = one.tile.weight.to(x)
            for sum_, part in zip(blended, answer, strict=True):
                if sum_ is not None and part is not None:
                    _add_to(sum_, one.tile.region, weight * part)
        return after(added, cast(Answer, tuple(blended)), x, sigma, self._base, model_options)

    def clean_up(self) -> None:
        import comfy.sampler_helpers

        for grid in self._grids:
            for one in grid:
                comfy.sampler_helpers.cleanup_models(one.guider.conds, [])
