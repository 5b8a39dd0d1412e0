"""Seeds by segment and variant; batches of images and masks; alpha."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import Recorder, detail, same
from engine.tiny_models import Pipe, mask_of, picture

pytestmark = pytest.mark.filterwarnings("ignore:Should have t")  # a Brownian tree on rounding

SIZE = (80, 96)
HIGH, MIDDLE, LOW = (10, 4, 22, 16), (40, 32, 52, 44), (76, 60, 88, 72)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.cat([picture(*SIZE, seed=seed) for seed in range(3)])


@pytest.fixture
def masks() -> torch.Tensor:
    return torch.cat([mask_of(*SIZE, HIGH, LOW), mask_of(*SIZE, MIDDLE), mask_of(*SIZE, LOW)])


def seeds(hook: Recorder) -> list[int]:
    return hook.all("pre_ksample", 1)


def test_same_seed_same_picture(unet: Pipe, image: torch.Tensor) -> None:
    for sampler_name in ("euler", "euler_ancestral", "dpmpp_sde", "ddim"):
        runs = [detail(image, mask_of(*SIZE, MIDDLE), unet, sampler_name=sampler_name).image for _ in range(2)]
        assert torch.equal(*runs), sampler_name
    other = detail(image, mask_of(*SIZE, MIDDLE), unet, sampler_name="ddim", seed=8).image
    assert not torch.equal(other, runs[0])


def test_global_random_state_does_not_matter(unet: Pipe, image: torch.Tensor) -> None:
    torch.manual_seed(1)
    first = detail(image, mask_of(*SIZE, MIDDLE), unet, sampler_name="euler_ancestral").image
    torch.manual_seed(2)
    assert torch.equal(detail(image, mask_of(*SIZE, MIDDLE), unet, sampler_name="euler_ancestral").image, first)


def test_segments_count_on_from_the_lowest(unet: Pipe, image: torch.Tensor) -> None:
    hook = Recorder()
    detail(image, mask_of(*SIZE, HIGH, MIDDLE, LOW), unet, detailer_hook=hook, seed=40, cycle=2)
    assert seeds(hook) == [40, 41, 41, 42, 42, 43]


@pytest.mark.parametrize("sampler_name", ["euler", "dpmpp_sde", "euler_ancestral", "ddim"])
def test_seeds_wrap(unet: Pipe, image: torch.Tensor, sampler_name: str) -> None:
    hook = Recorder()
    mask = mask_of(*SIZE, HIGH, MIDDLE, LOW)
    detail(image, mask, unet, detailer_hook=hook, seed=2**64 - 2, cycle=2, sampler_name=sampler_name)
    assert seeds(hook) == [2**64 - 2, 2**64 - 1, 2**64 - 1, 0, 0, 1]


def test_images_and_masks_pair_up(unet: Pipe, images: torch.Tensor, masks: torch.Tensor) -> None:
    together = detail(images, masks, unet)
    solo = [detail(images[i : i + 1], masks[i : i + 1], unet) for i in range(3)]
    assert torch.equal(together.image, torch.cat([made.image for made in solo]))
    assert same(together.refined, [crop for made in solo for crop in made.refined])
    assert same(together.refined_alpha, [crop for made in solo for crop in made.refined_alpha])


def test_one_mask_serves_all_images(unet: Pipe, images: torch.Tensor, masks: torch.Tensor) -> None:
    together = detail(images, masks[:1], unet)
    solo = [detail(images[i : i + 1], masks[:1], unet) for i in range(3)]
    assert torch.equal(together.image, torch.cat([made.image for made in solo]))


def test_one_image_takes_all_masks(unet: Pipe, image: torch.Tensor, masks: torch.Tensor) -> None:
    hook = Recorder()
    together = detail(image, masks, unet, detailer_hook=hook)
    assert seeds(hook) == [7, 8, 9, 10]
    one_by_one = detail(image, masks[0], unet).image
    one_by_one = detail(one_by_one, masks[1], unet, seed=9).image
    one_by_one = detail(one_by_one, masks[2], unet, seed=10).image
    assert torch.equal(together.image, one_by_one)


def test_variants_of_batches(unet: Pipe, images: torch.Tensor, masks: torch.Tensor) -> None:
    """Variant after variant, each of all frames."""
    together = detail(images[:2], masks[:2], unet, batch_size=2).image
    solo = [detail(images[:2], masks[:2], unet, seed=seed).image for seed in (7, 8)]
    assert torch.equal(together, torch.cat(solo))


def test_frames_without_a_part_stay(unet: Pipe, images: torch.Tensor, masks: torch.Tensor) -> None:
    masks[1] = 0.0
    made = detail(images, masks, unet)
    assert torch.equal(made.image[1], images[1])
    assert len(made.refined) == 3


def test_alpha_is_kept(unet: Pipe, images: torch.Tensor, masks: torch.Tensor) -> None:
    alpha = torch.rand(3, *SIZE, 1)
    made = detail(torch.cat([images, alpha], dim=-1), masks, unet)
    assert torch.equal(made.image[..., 3:], alpha)
    assert torch.equal(made.image[..., :3], detail(images, masks, unet).image)
    assert {crop.shape[-1] for crop in made.refined} == {3}


def test_runs_do_not_depend_on_runs_before(unet: Pipe, image: torch.Tensor) -> None:
    """Nothing is kept from a run: other sizes, hooks and samplers between two equal ones."""
    wanted: Any = detail(image, mask_of(*SIZE, HIGH, LOW), unet, noise_mask_feather=3)
    detail(image, mask_of(*SIZE, MIDDLE), unet, sampler_name="dpmpp_3m_sde", cycle=2, denoise=1.0)
    again = detail(image, mask_of(*SIZE, HIGH, LOW), unet, noise_mask_feather=3)
    assert same([*again[:3]], [*wanted[:3]])
