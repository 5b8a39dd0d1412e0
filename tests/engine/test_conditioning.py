"""Conditioning made for the whole picture, the negative placeholder, and Differential Diffusion."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import Recorder, detail, pipe_with
from engine.tiny_models import Conditioning, Pipe, conditioning, mask_of, picture, unet_pipe

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
CROPS = {"lower": (slice(48, 80), slice(72, 104)), "upper": (slice(8, 40), slice(8, 40))}


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, UPPER)


def prompt(seed: int, **options: Any) -> Conditioning:
    return conditioning(torch.Generator().manual_seed(seed), **options)


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    left = torch.zeros(1, *SIZE)
    left[..., :56] = 1.0
    return left, 1 - left


def test_masks_are_cut_to_each_crop(unet: Pipe, image: torch.Tensor) -> None:
    soft = torch.rand(1, *SIZE)
    hook = Recorder()
    pipe = pipe_with(unet, positive=prompt(1, mask=soft, strength=0.5), negative=prompt(2, mask=soft))
    detail(image, mask_of(*SIZE, LOWER, UPPER), pipe, detailer_hook=hook)
    for call, (rows, columns) in zip(hook.seen["pre_ksample"], CROPS.values(), strict=True):
        for entries in call[6:8]:
            assert torch.equal(entries[0][1]["mask"], soft[:, rows, columns])
        assert call[6][0][1]["strength"] == 0.5


def test_prompt_masked_to_the_other_side_does_not_matter(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    left, right = halves()
    one, other = (
        detail(image, mask, pipe_with(unet, positive=prompt(1, mask=left) + prompt(seed, mask=right))).image
        for seed in (2, 3)
    )
    assert torch.equal(one, other)
    here = detail(image, mask, pipe_with(unet, positive=prompt(4, mask=left) + prompt(2, mask=right))).image
    assert not torch.equal(one, here)
    torch.testing.assert_close(one, detail(image, mask, pipe_with(unet, positive=prompt(1))).image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 48, 56), (48, 56), (1, 1, 48, 56)])
def test_mask_of_another_size(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, shape: tuple[int, ...]) -> None:
    hook = Recorder()
    small = torch.zeros(48, 56)
    small[:, :28] = 1.0
    detail(image, mask, pipe_with(unet, positive=prompt(1, mask=small.reshape(shape))), detailer_hook=hook)
    assert torch.equal(hook.seen["pre_ksample"][0][6][0][1]["mask"], torch.ones(1, 32, 32))


@pytest.mark.parametrize(
    ("area", "wanted"),
    [
        ((5, 5, 1, 1), ("percentage", 1.0, 1.0, 0.0, 0.0)),  # cells of 8 pixels: 8..48 covers the crop 8..40
        ((2, 4, 2, 0), ("percentage", 0.5, 0.75, 0.25, 0.0)),  # rows 16..32, columns 0..32
        (("percentage", 0.25, 1.0, 0.0, 0.0), ("percentage", 0.5, 1.0, 0.0, 0.0)),  # rows 0..24
    ],
)
def test_areas_are_cut(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, area: Any, wanted: Any) -> None:
    hook = Recorder()
    made = detail(image, mask, pipe_with(unet, positive=prompt(1, area=area)), detailer_hook=hook)
    assert hook.seen["pre_ksample"][0][6][0][1]["area"] == pytest.approx(wanted)
    assert torch.isfinite(made.image).all()


def test_areas_elsewhere_are_left_out(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    elsewhere = prompt(2, area=(4, 4, 8, 8))
    made = detail(image, mask, pipe_with(unet, positive=prompt(1) + elsewhere)).image
    assert torch.equal(made, detail(image, mask, pipe_with(unet, positive=prompt(1))).image)
    alone = detail(image, mask, pipe_with(unet, positive=elsewhere)).image
    assert torch.equal(alone, detail(image, mask, pipe_with(unet, positive=prompt(2))).image)


def test_concatenated_latents_are_cut() -> None:
    """An inpainting model's own latent and mask of the whole picture, as InpaintModelConditioning makes them."""
    pipe, image, mask = unet_pipe(0, in_channels=9), picture(*SIZE), mask_of(*SIZE, UPPER)
    latent, hidden = pipe[2].encode(image), torch.nn.functional.max_pool2d(mask[None], 8)
    hook = Recorder()
    options = {"concat_latent_image": latent, "concat_mask": hidden}
    pipe = pipe_with(pipe, positive=prompt(1, **options), negative=prompt(2, **options))
    detail(image, mask, pipe, detailer_hook=hook)
    entry = hook.seen["pre_ksample"][0][6][0][1]
    assert torch.equal(entry["concat_latent_image"], latent[..., 1:5, 1:5])
    assert torch.equal(entry["concat_mask"], hidden[..., 1:5, 1:5])


def test_reference_latents_of_the_picture_are_cut(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = Recorder()
    whole, other = torch.randn(1, 4, 12, 14), torch.randn(1, 4, 20, 9)
    detail(image, mask, pipe_with(unet, positive=prompt(1, reference_latents=[whole, other])), detailer_hook=hook)
    cut, kept = hook.seen["pre_ksample"][0][6][0][1]["reference_latents"]
    assert torch.equal(cut, whole[..., 1:5, 1:5])
    assert torch.equal(kept, other)


# --- the negative placeholder -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_mode", [True, False])
def test_placeholder_means_no_cfg(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, mask_mode: bool) -> None:
    pipe = pipe_with(unet, negative="NegativePlaceholder")
    made = detail(image, mask, pipe, cfg=3.5, mask_mode=mask_mode)
    assert torch.equal(made.image, detail(image, mask, unet, cfg=1.0, mask_mode=mask_mode).image)


@pytest.mark.parametrize("inpaint_model", [True, False])
def test_placeholder_with_an_inpaint_model(image: torch.Tensor, mask: torch.Tensor, inpaint_model: bool) -> None:
    pipe, hook = unet_pipe(0, in_channels=9), Recorder()
    made = detail(
        image, mask, pipe_with(pipe, negative="NegativePlaceholder"), inpaint_model=inpaint_model, detailer_hook=hook
    )  # fmt: skip
    assert hook.seen["pre_ksample"][0][7] == "NegativePlaceholder"
    assert torch.equal(made.image, detail(image, mask, pipe, cfg=1.0, inpaint_model=inpaint_model).image)


def test_placeholder_in_a_refiner_pipe(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    placeholder = pipe_with(unet, negative="NegativePlaceholder")
    made = detail(image, mask, placeholder, refiner_basic_pipe_opt=placeholder, refiner_ratio=0.5)
    wanted = detail(image, mask, unet, refiner_basic_pipe_opt=unet, refiner_ratio=0.5, cfg=1.0)
    assert torch.equal(made.image, wanted.image)


def test_placeholder_sets_the_distilled_guidance(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    seen = []
    model = unet[0].clone()
    original = model.model.extra_conds

    def extra_conds(**options: Any) -> Any:
        seen.append(options.get("guidance"))
        return original(**options)

    model.add_object_patch("extra_conds", extra_conds)
    detail(image, mask, pipe_with(unet, model=model, negative="NegativePlaceholder"), cfg=3.5)
    assert seen == [3.5]


# --- Differential Diffusion ---------------------------------------------------------------------------------------


def denoise_mask_functions(pipe: Any, **changes: Any) -> list[Any]:
    hook = Recorder()
    detail(picture(*SIZE), mask_of(*SIZE, LOWER, UPPER), pipe, detailer_hook=hook, **changes)
    return [call[0].model_options.get("denoise_mask_function") for call in hook.seen["pre_ksample"]]


def test_differential_diffusion_is_applied_once(unet: Pipe) -> None:
    first, second = denoise_mask_functions(unet, noise_mask_feather=5)
    assert first is second
    assert first is not None
    assert "denoise_mask_function" not in unet[0].model_options


@pytest.mark.parametrize("changes", [{"noise_mask_feather": 0}, {"noise_mask_feather": 5, "mask_mode": False}])
def test_differential_diffusion_is_not_applied(unet: Pipe, changes: dict[str, Any]) -> None:
    assert denoise_mask_functions(unet, **changes) == [None, None]


def test_model_keeps_its_own_denoise_mask_function(unet: Pipe) -> None:
    calls = []

    def own(sigma: torch.Tensor, denoise_mask: torch.Tensor, extra_options: dict[str, Any]) -> torch.Tensor:
        calls.append(float(sigma[0]))
        return denoise_mask

    model = unet[0].clone()
    model.set_model_denoise_mask_function(own)
    assert denoise_mask_functions(pipe_with(unet, model=model), noise_mask_feather=5) == [own, own]
    assert len(calls) == 4  # two crops of two steps


def test_soft_noise_mask_frees_its_edge_later(unet: Pipe) -> None:
    """Thresholds fall from step to step: at the first only what is near 1 is sampled."""
    import comfy_extras.nodes_differential_diffusion as core

    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER)
    model = core.DifferentialDiffusion.execute(unet[0]).result[0]
    by_hand = detail(image, mask, pipe_with(unet, model=model), noise_mask_feather=5, steps=4).image
    assert torch.equal(detail(image, mask, unet, noise_mask_feather=5, steps=4).image, by_hand)
