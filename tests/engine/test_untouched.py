"""Masks of every shape, in every place: pixels that the paste mask does not reach stay equal, bit for bit."""

from __future__ import annotations

import pytest
import torch
from engine.running import detail, near, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture
from scipy.ndimage import binary_fill_holes


def filled(mask: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(binary_fill_holes(mask[0].numpy() > 0)).float()[None]


def test_ten_passes_leave_the_rest_as_it_was(unet: Pipe) -> None:
    image = picture(97, 113)
    mask = mask_of(97, 113, (20, 16, 44, 40), (80, 56, 107, 83))
    made = image
    for number in range(10):
        before, made = made, detail(made, mask, unet, seed=number, feather=5, noise_mask_feather=5).image
        assert not torch.equal(made, before)
    assert unchanged_outside(made, image, near(mask, 5))


H, W = 61, 75
BORDERS = {
    "top left": (0, 0, 12, 14),
    "top": (30, 0, 45, 9),
    "top right": (60, 0, W, 11),
    "left": (0, 20, 9, 41),
    "right": (66, 20, W, 41),
    "bottom left": (0, 50, 13, H),
    "bottom": (30, 52, 45, H),
    "bottom right": (63, 47, W, H),
    "a column": (37, 0, 40, H),
    "a row": (0, 30, W, 33),
    "all": (0, 0, W, H),
    "all but a pixel on each side": (1, 1, W - 1, H - 1),
}


@pytest.mark.parametrize("crop_factor", [1.0, 3.0])
@pytest.mark.parametrize("box", BORDERS.values(), ids=BORDERS.keys())
def test_parts_at_the_borders(unet: Pipe, box: tuple[int, int, int, int], crop_factor: float) -> None:
    image, mask = picture(H, W), mask_of(H, W, box)
    made = detail(image, mask, unet, crop_factor=crop_factor, steps=1)
    assert unchanged_outside(made.image, image, near(mask, 4))
    middle = (slice(None), (box[1] + box[3]) // 2, (box[0] + box[2]) // 2)
    assert not torch.equal(made.image[middle], image[middle])
    assert torch.isfinite(made.image).all()


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (16, 8), (33, 250), (250, 31)])
def test_sizes_of_pictures(unet: Pipe, size: tuple[int, int]) -> None:
    height, width = size
    image, mask = picture(*size), mask_of(*size, (2, 2, width - 2, height - 2))
    made = detail(image, mask, unet, steps=1, feather=1)
    assert made.image.shape == image.shape
    assert unchanged_outside(made.image, image, near(mask, 1))
    assert not torch.equal(made.image, image)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (1, 30), (30, 1), (3, 5), (2, 40)])
def test_parts_smaller_than_a_latent_cell(unet: Pipe, width: int, height: int) -> None:
    """Parts a pixel wide are dropped whatever drop_size says; others are enlarged, a cell at the least."""
    image, mask = picture(H, W), mask_of(H, W, (30, 10, 30 + width, 10 + height))
    made = detail(image, mask, unet, drop_size=1, crop_factor=1.0, steps=1, feather=0)
    assert torch.equal(made.image, image) == (min(width, height) == 1)
    assert unchanged_outside(made.image, image, mask > 0)


def test_sliver_whose_crop_is_less_than_a_cell_when_enlarged(unet: Pipe) -> None:
    """At max_size the long side leaves 4 pixels for the short one: the crop is worked on at one cell."""
    image, mask = picture(32, 200), mask_of(32, 200, (10, 10, 190, 13))
    made = detail(image, mask, unet, drop_size=1, crop_factor=1.0, max_size=192.0, steps=1, feather=0)
    assert not torch.equal(made.image, image)
    assert unchanged_outside(made.image, image, mask > 0)


def test_many_holes(unet: Pipe) -> None:
    image, mask = picture(H, W), mask_of(H, W, (20, 16, 52, 48))
    mask[0, 18:46:4, 22:50:4] = 0.0
    open_holes = detail(image, mask, unet, contour_fill=False, feather=0)
    assert unchanged_outside(open_holes.image, image, mask > 0)
    closed = detail(image, mask, unet, contour_fill=True, feather=0)
    assert unchanged_outside(closed.image, image, filled(mask) > 0)
    assert not unchanged_outside(closed.image, image, mask > 0)


def test_rings_within_rings(unet: Pipe) -> None:
    """What lies in a ring's hole belongs to the ring."""
    image, mask = picture(H, W), mask_of(H, W, (10, 8, 60, 52))
    mask[0, 14:46, 16:54] = 0.0
    mask[0, 20:40, 22:48] = 1.0
    made = detail(image, mask, unet, contour_fill=False, feather=0)
    assert len(made.refined) == 1
    assert unchanged_outside(made.image, image, (mask > 0) & (filled(mask) > 0))


def test_many_parts(unet: Pipe) -> None:
    image, mask = picture(H, W), torch.zeros(1, H, W)
    for x in range(3, W - 6, 12):
        mask[0, 5:10, x : x + 5] = 1.0
    made = detail(image, mask, unet, crop_factor=1.0, guide_size=16.0, steps=1, feather=0)
    assert len(made.refined) == len(range(3, W - 6, 12))
    assert unchanged_outside(made.image, image, mask > 0)


def test_overlapping_crops_see_what_was_pasted(unet: Pipe) -> None:
    """The second crop is cut from the picture as the first left it."""
    image = picture(H, W)
    lower, upper = (20, 34, 40, 50), (20, 14, 40, 30)
    one_after_another = detail(
        detail(image, mask_of(H, W, lower), unet, seed=7).image, mask_of(H, W, upper), unet, seed=8
    )  # fmt: skip
    together = detail(image, mask_of(H, W, lower, upper), unet, seed=7)
    assert torch.equal(together.image, one_after_another.image)


@pytest.mark.parametrize("feather", [0, 1, 5, 20, 100])
def test_paste_is_a_blend_of_the_crop_and_the_picture(unet: Pipe, feather: int) -> None:
    """``(1 - a) * image + a * refined`` over the crop region, nothing outside it, however far the blur reaches."""
    image, box = picture(H, W), (28, 20, 44, 36)
    made = detail(image, mask_of(H, W, box), unet, feather=feather)
    region = (slice(None), slice(12, 44), slice(20, 52))  # crop factor 2
    alpha = made.alphas[0][..., None]
    wanted = image.clone()
    wanted[region] = (1 - alpha) * image[region] + alpha * made.refined[0]
    torch.testing.assert_close(made.image, wanted, atol=1e-6, rtol=0)
    assert torch.equal(made.refined_alpha[0][..., :3], made.refined[0])
    untouched = torch.ones(1, H, W, dtype=torch.bool)
    untouched[region] = made.alphas[0] == 0
    assert torch.equal(made.image[untouched], image[untouched])


def test_feathered_alpha_is_the_blurred_mask(unet: Pipe) -> None:
    """Against the slow way: a 2-D Gaussian of sigma 10 cut at the feather, reflected at the crop's edges."""
    made = detail(picture(H, W), mask_of(H, W, (28, 20, 44, 36)), unet, feather=6)
    crop = mask_of(32, 32, (8, 8, 24, 24))[None]
    x = torch.arange(-6, 7, dtype=torch.float64)
    line = torch.exp(-(x**2) / 200)
    kernel = torch.outer(line, line) / line.sum() ** 2
    padded = torch.nn.functional.pad(crop.double(), (6, 6, 6, 6), mode="reflect")
    wanted = torch.nn.functional.conv2d(padded, kernel[None, None])[0].float()
    torch.testing.assert_close(made.alphas[0], wanted, atol=1e-6, rtol=0)


def test_crops_are_sorted_by_shape_largest_first(unet: Pipe) -> None:
    image = picture(90, 140)
    boxes = [(10, 70, 18, 78), (40, 40, 70, 60), (90, 5, 110, 35), (20, 10, 28, 18)]
    made = detail(image, mask_of(90, 140, *boxes), unet, crop_factor=1.0, steps=1, feather=0)
    assert [tuple(crop.shape[1:3]) for crop in made.refined] == [(30, 20), (20, 30), (8, 8), (8, 8)]
    lowest, highest = made.refined[2], made.refined[3]  # of the same shape: in the order of work
    assert torch.equal(made.image[:, 70:78, 10:18], lowest)
    assert torch.equal(made.image[:, 10:18, 20:28], highest)
