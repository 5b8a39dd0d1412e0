"""What comes in is never written to and may have any form; what goes out has one."""

from __future__ import annotations

import copy
from typing import Any

import comfy.model_management
import pytest
import torch
from engine.running import detail, near, pipe_with, same, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe

SIZE = (96, 112)
BOXES = [(16, 16, 32, 32), (80, 56, 96, 72)]


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, *BOXES)


def test_inputs_are_not_written_to(unet: Pipe) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, BOXES[0])
    latent = torch.randn(1, 4, 12, 14)
    options = {
        "mask": torch.rand(1, *SIZE), "strength": 0.7, "concat_latent_image": latent,
        "concat_mask": torch.ones(1, 1, 12, 14), "reference_latents": [latent.clone()],
        "area": ("percentage", 0.9, 0.9, 0.05, 0.05),
    }  # fmt: skip
    positive = [[unet[3][0][0], options], [unet[3][0][0], {}]]
    pipe = pipe_with(unet, positive=positive)
    before = copy.deepcopy((image, mask, positive, unet[4]))
    for inpaint_model in (False, True):
        detail(
            image, mask, pipe, cycle=2, batch_size=2, noise_mask_feather=5, feather=9, contour_fill=False,
            inpaint_model=inpaint_model, refiner_basic_pipe_opt=pipe,
        )  # fmt: skip
        assert same((image, mask, positive, unet[4]), before)
    assert "denoise_mask_function" not in unet[0].model_options


def test_outputs_do_not_share_memory_with_the_input(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    """ComfyUI keeps inputs in its cache; a later node may write to what it gets from us."""
    for used in (mask, None):
        given = image.clone()
        made = detail(given, used, unet)
        for tensor in (made.image, *made.refined, *made.refined_alpha):
            tensor.fill_(0.5)
        assert torch.equal(given, image)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, dtype: torch.dtype) -> None:
    made = detail(image.to(dtype), mask.to(dtype), unet)
    assert made.image.dtype == torch.float32
    assert torch.equal(made.image, detail(image.to(dtype).float(), mask, unet).image)
    assert unchanged_outside(made.image, image.to(dtype).float(), near(mask, 4))


def test_views_and_expanded_tensors(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    wanted = detail(image, mask, unet).image
    channels_first = image.movedim(-1, 1).contiguous().movedim(1, -1)
    every_second = torch.zeros(1, SIZE[0] * 2, SIZE[1] * 2, 4)[:, ::2, ::2, :3].copy_(image)
    turned = mask.transpose(1, 2).contiguous().transpose(1, 2)
    for view in (channels_first, every_second):
        assert not view.is_contiguous()
        assert torch.equal(detail(view, turned, unet).image, wanted)
    pair = detail(image.expand(2, -1, -1, -1), mask.expand(2, -1, -1), unet)
    assert torch.equal(pair.image, wanted.repeat(2, 1, 1, 1))


def test_inputs_from_outside_of_inference_mode(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    wanted = detail(image, mask, unet).image
    with torch.inference_mode(False):
        ordinary = image.clone().requires_grad_()
        plain_mask = mask.clone()
    assert torch.equal(detail(ordinary, plain_mask, unet).image, wanted)


def test_inference_tensors_outside_of_inference_mode(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    wanted = detail(image, mask, unet).image
    with torch.inference_mode(False), torch.no_grad():
        assert torch.equal(detail(image, mask, unet_pipe()).image, wanted)


@pytest.mark.parametrize("shape", [SIZE, (1, *SIZE), (1, 1, *SIZE)])
def test_ranks_of_masks(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, shape: tuple[int, ...]) -> None:
    assert torch.equal(detail(image, mask.reshape(shape), unet).image, detail(image, mask, unet).image)


def test_outputs_are_float32_on_the_intermediate_device(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    made = detail(image, mask, unet)
    for tensor in (made.image, *made.refined, *made.refined_alpha):
        assert tensor.dtype == torch.float32
        assert tensor.device == comfy.model_management.intermediate_device()
        assert 0.0 <= tensor.min() <= tensor.max() <= 1.0


def test_colours_outside_0_to_1_stay_where_nothing_is_pasted(
    unet: Pipe, image: torch.Tensor, mask: torch.Tensor
) -> None:
    bright: Any = image * 3 - 1
    made = detail(bright, mask, unet)
    assert unchanged_outside(made.image, bright, near(mask, 4))
