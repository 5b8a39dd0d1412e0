"""Pictures through a VAE: how many at once, in which tiles, and what happens where memory runs out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mask_detailer.detailer.host import vae as host_vae


class Vae:
    """Cells of ``cell`` pixels, of which each is the mean of its pixels; writes down what it was given."""

    def __init__(self, cell: int = 8, clips: bool = False, fails: bool = False) -> None:
        self.cell, self.fails = cell, fails
        self.spacial_compression_encode = lambda: cell
        self.latent_dim = 3 if clips else 2
        self.calls: list[tuple[str, int, dict[str, int]]] = []

    def _latents(self, pixels: torch.Tensor) -> torch.Tensor:
        latents = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), self.cell)
        return latents[:, :, None] if self.latent_dim == 3 else latents

    def _pixels(self, samples: torch.Tensor) -> torch.Tensor:
        if samples.ndim == 5:
            frames = torch.stack([samples[:, :, 0], samples[:, :, 0] + 1], dim=1)  # two frames
            return torch.nn.functional.interpolate(frames, scale_factor=(1, self.cell, self.cell)).movedim(2, -1)
        return torch.nn.functional.interpolate(samples, scale_factor=self.cell).movedim(1, -1)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls.append(("encode", len(pixels), {}))
        if self.fails:
            raise MemoryError("all gone")
        return self._latents(pixels)

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        self.calls.append(("decode", len(samples), {}))
        if self.fails:
            raise MemoryError("all gone")
        return self._pixels(samples)

    def encode_tiled(self, pixels: torch.Tensor, **tile: int) -> torch.Tensor:
        self.calls.append(("encode_tiled", len(pixels), tile))
        return self._latents(pixels)

    def decode_tiled(self, samples: torch.Tensor, **tile: int) -> torch.Tensor:
        self.calls.append(("decode_tiled", len(samples), tile))
        return self._pixels(samples)


@pytest.fixture(autouse=True)
def memory(comfy: Any) -> list[str]:
    freed: list[str] = []
    comfy(
        "model_management",
        OOM_EXCEPTION=Exception,
        intermediate_device=lambda: torch.device("cpu"),
        soft_empty_cache=lambda: freed.append("freed"),
    )
    return freed


@pytest.mark.parametrize(
    ("side", "count", "parts"),
    [(512, 5, [4, 1]), (1024, 3, [1, 1, 1]), (1032, 2, [1, 1]), (64, 9, [9])],
)
def test_a_million_pixels_go_at_once(side: int, count: int, parts: list[int]) -> None:
    vae: Any = Vae()
    pixels = torch.rand(count, side, side, 3)
    latents = host_vae.encode(vae, pixels)
    assert [(name, size) for name, size, _ in vae.calls] == [("encode", size) for size in parts]
    assert torch.allclose(latents, Vae()._latents(pixels))
    vae.calls.clear()
    decoded = host_vae.decode(vae, latents)
    assert [(name, size) for name, size, _ in vae.calls] == [("decode", size) for size in parts]
    assert decoded.shape == pixels.shape and decoded.dtype == torch.float32


def test_clips_go_one_at_a_time_and_their_first_frames_count() -> None:
    vae: Any = Vae(clips=True)
    pixels = torch.rand(3, 64, 64, 3)
    latents = host_vae.encode(vae, pixels)
    decoded = host_vae.decode(vae, latents)
    assert [(name, size) for name, size, _ in vae.calls] == [("encode", 1)] * 3 + [("decode", 1)] * 3
    assert torch.equal(decoded, Vae()._pixels(latents[:, :, 0]))


@pytest.mark.parametrize(
    ("cell", "tile"),
    [
        (8, {"tile_x": 64, "tile_y": 64, "overlap": 8}),
        (16, {"tile_x": 32, "tile_y": 32, "overlap": 4}),
        (1024, {"tile_x": 1, "tile_y": 1, "overlap": 1}),
    ],
)
def test_tiles_are_512_pixels_that_share_64(cell: int, tile: dict[str, int]) -> None:
    vae: Any = Vae(cell)
    latents = host_vae.encode(vae, torch.rand(1, cell, cell, 3), tiled=True)
    host_vae.decode(vae, latents, tiled=True)
    assert vae.calls == [
        ("encode_tiled", 1, {"tile_x": 512, "tile_y": 512, "overlap": 64}),  # pixels
        ("decode_tiled", 1, tile),  # cells
    ]


def test_where_memory_runs_out_it_goes_in_tiles(memory: list[str], caplog: pytest.LogCaptureFixture) -> None:
    vae: Any = Vae(fails=True)
    pixels = torch.rand(1, 64, 64, 3)
    latents = host_vae.encode(vae, pixels)
    host_vae.decode(vae, latents)
    assert [name for name, *_ in vae.calls] == ["encode", "encode_tiled", "decode", "decode_tiled"]
    assert memory == ["freed", "freed"]
    assert "VAE encode ran out of memory (all gone)" in caplog.text and "VAE decode ran out" in caplog.text


def test_another_error_is_raised() -> None:
    class Broken(Vae):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        host_vae.encode(Broken(), torch.rand(1, 8, 8, 3))


def test_a_vae_that_says_nothing_has_cells_of_8_pixels() -> None:
    assert host_vae.pixels_per_cell(object()) == 8


# --- inpaint models -----------------------------------------------------------------------------------------------


class Conditioned:
    """ComfyUI's InpaintModelConditioning, as far as it matters here."""

    clips = False

    def encode(
        self, positive: Any, negative: Any, pixels: torch.Tensor, vae: Any, mask: torch.Tensor, noise_mask: bool
    ) -> Any:
        assert noise_mask
        samples = vae.encode(pixels)
        shown = {"concat_latent_image": samples, "concat_mask": mask[:, None, ::8, ::8]}
        made = [[[tokens, {**options, **shown}] for tokens, options in one] for one in (positive, negative)]
        return *made, {"samples": samples, "noise_mask": mask}


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("placeholder", [False, True])
def test_inpaint_models(monkeypatch: pytest.MonkeyPatch, tiled: bool, placeholder: bool) -> None:
    monkeypatch.setattr(host_vae, "node_class", lambda module, name: Conditioned)
    vae: Any = Vae()
    positive: Any = [[torch.zeros(1, 4, 8), {"side": "positive"}]]
    negative: Any = "placeholder" if placeholder else [[torch.zeros(1, 4, 8), {"side": "negative"}]]
    pixels, mask = torch.rand(2, 64, 64, 3), torch.rand(2, 64, 64)
    first, second, latent = host_vae.encode_for_inpainting((positive, negative), vae, pixels, mask, tiled)
    assert [name for name, *_ in vae.calls] == ["encode_tiled" if tiled else "encode"]
    assert torch.equal(latent["samples"], Vae()._latents(pixels)) and latent.get("noise_mask") is mask
    assert first[0][1]["side"] == "positive" and first[0][1]["concat_mask"].shape == (2, 1, 8, 8)
    assert second == "placeholder" if placeholder else second[0][1]["side"] == "negative"


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1, 8, 8)), (2, (2, 1, 1, 8, 8))])
def test_of_several_clips_each_has_its_mask(
    monkeypatch: pytest.MonkeyPatch, count: int, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(host_vae, "node_class", lambda module, name: Conditioned)
    vae: Any = Vae(clips=True)
    entries: Any = [[torch.zeros(1, 4, 8), {}]]
    made = host_vae.encode_for_inpainting(
        (entries, entries), vae, torch.rand(count, 64, 64, 3), torch.rand(count, 64, 64)
    )
    for conditioning in made[:2]:
        assert conditioning[0][1]["concat_mask"].shape == shape
