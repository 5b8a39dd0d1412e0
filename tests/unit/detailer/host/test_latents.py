"""Noise masks of latents with and without frames, empty latents, and rough colours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.detailer.host import latents

PICTURE, CLIP, CLIPS = torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 3, 8, 8), torch.zeros(2, 4, 3, 8, 8)


@pytest.mark.parametrize(
    ("mask", "samples", "shape"),
    [
        ((1, 64, 64), PICTURE, (1, 64, 64)),
        ((2, 1, 64, 64), PICTURE, (2, 1, 64, 64)),
        ((1, 64, 64), CLIP, (1, 1, 1, 64, 64)),
        ((3, 64, 64), CLIP, (3, 64, 64)),  # one a frame
        ((2, 64, 64), CLIPS, (2, 1, 1, 64, 64)),  # one a clip
        ((2, 1, 64, 64), CLIPS, (2, 1, 1, 64, 64)),
        ((2, 1, 3, 8, 8), CLIPS, (2, 1, 3, 8, 8)),
    ],
)
def test_what_a_masks_axes_mean(mask: tuple[int, ...], samples: torch.Tensor, shape: tuple[int, ...]) -> None:
    assert latents.mask_for(torch.zeros(mask), samples).shape == shape


@pytest.fixture
def scaled(comfy: Any) -> None:
    def reshape_mask(mask: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        return mask.reshape(-1, 1, *mask.shape[-2:])[..., :: mask.shape[-1] // shape[-1]].expand(shape)

    comfy("utils", reshape_mask=reshape_mask)


def test_noise_inside_the_mask_and_clean_outside(scaled: None) -> None:
    mask = torch.tensor([[[0.0, 0.25], [1.0, 0.5]]])
    noised, clean = torch.full((1, 4, 2, 2), 8.0), torch.full((1, 4, 2, 2), 4.0)
    assert latents.under_mask(noised, clean, mask)[0, 3].tolist() == [[4, 5], [8, 6]]
    assert latents.under_mask(noised, clean, None) is noised


def test_the_masks_of_a_batch_have_one_channel_each(scaled: None) -> None:
    masks = [torch.zeros(1, 8, 8), torch.ones(1, 8, 16)]
    made = latents.noise_masks_at(masks, torch.zeros(2, 4, 8, 8))
    assert made.shape == (2, 1, 8, 8)
    assert made.amax(dim=(1, 2, 3)).tolist() == [0, 1]


def test_empty_latents_lose_the_size_that_they_were_made_for(comfy: Any) -> None:
    asked: list[Any] = []

    def fix(model: Any, samples: torch.Tensor, **ratios: int) -> torch.Tensor:
        asked.append(ratios)
        return samples + 1

    comfy("sample", fix_empty_latent_channels=fix)
    given: Any = {
        "samples": PICTURE, "downscale_ratio_spacial": 16, "batch_index": [3], "downscale_ratio_temporal": 4, "own": 1,
    }  # fmt: skip
    kept = dict(given)
    made = latents.fitted_to("model", given)
    assert asked == [{"downscale_ratio_spacial": 16, "downscale_ratio_temporal": 4}]
    assert made.keys() == {"samples", "batch_index", "own"} and torch.equal(made["samples"], PICTURE + 1)
    assert given == kept
    latents.fitted_to("model", {"samples": PICTURE})
    assert asked[1] == {}  # older releases take none


def model(**form: Any) -> Any:
    return SimpleNamespace(model=SimpleNamespace(latent_format=SimpleNamespace(**form)))


def test_rough_colours() -> None:
    factors = [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    x0 = torch.tensor([0.5, 0.25]).reshape(1, 2, 1, 1).expand(1, 2, 6, 10)
    made = latents.latent_colours(model(latent_rgb_factors=factors, latent_rgb_factors_bias=[0.0, 0.0, 1.5]), x0, 5)
    assert made is not None and made.shape == (1, 3, 5, 3)  # every second cell
    assert made[0, 0, 0].tolist() == pytest.approx([0.75, 0.75, 1.0])  # kept within 0..1
    clip = x0[:, :, None].repeat(1, 1, 2, 1, 1)
    clip[:, :, 1] = 9
    first = latents.latent_colours(model(latent_rgb_factors=factors), clip, 10)
    assert first is not None and first.shape == (1, 6, 10, 3)
    assert first[0, 0, 0].tolist() == pytest.approx([0.75, 0.75, 0.5])


@pytest.mark.parametrize(
    "form", [{}, {"latent_rgb_factors": None}, {"latent_rgb_factors": [[1.0, 1.0, 1.0]]}], ids=["no", "none", "other"]
)
def test_latents_without_colours(form: dict[str, Any]) -> None:
    assert latents.latent_colours(model(**form), torch.zeros(1, 4, 8, 8), 8) is None
