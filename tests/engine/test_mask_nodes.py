"""The nodes of the masks group: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import comfy.model_management
import comfy.utils
import numpy as np
import pytest
import torch
import torchvision
from engine.tiny_models import mask_of, picture
from mask_detailer.nodes.masks import (
    AddMask,
    BitwiseAndMask,
    ImageListToImageBatch,
    ImpactDilateMask,
    ImpactFlattenMask,
    ImpactGaussianBlurMask,
    ImpactImageBatchToImageList,
    MaskListToMaskBatch,
    MasksToMaskList,
    SubtractMask,
    ToBinaryMask,
)
from mask_detailer.nodes.validate import InputError

SIZE = (24, 30)
PAIRS = {BitwiseAndMask: min, SubtractMask: lambda a, b: max(a - b, 0.0), AddMask: lambda a, b: min(a + b, 1.0)}


def soft(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def reckoned(node: type, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Value by value, in Python's own numbers."""
    values = [PAIRS[node](a, b) for a, b in zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)]
    return torch.tensor(values).reshape(first.shape)


# --- two masks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", PAIRS)
def test_every_pair_of_values(node: type) -> None:
    levels = [0.0, 0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.999, 1.0]
    pairs = torch.tensor(list(itertools.product(levels, levels)))
    first, second = pairs[:, 0].reshape(1, 9, 9), pairs[:, 1].reshape(1, 9, 9)
    (made,) = node().doit(first, second)
    assert torch.allclose(made, reckoned(node, first, second), atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("node", "wanted"), [(BitwiseAndMask, [0, 0, 0, 1]), (SubtractMask, [0, 0, 1, 0]), (AddMask, [0, 1, 1, 1])]
)
def test_hard_masks(node: type, wanted: list[int]) -> None:
    first, second = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), torch.tensor([[[0.0, 1.0, 0.0, 1.0]]])
    assert node().doit(first, second)[0].flatten().tolist() == wanted


@pytest.mark.parametrize("node", PAIRS)
@pytest.mark.parametrize(
    ("one", "other", "frames"),
    [
        (SIZE, SIZE, 1), (SIZE, (1, *SIZE), 1), ((1, *SIZE), SIZE, 1), ((3, *SIZE), SIZE, 3), (SIZE, (3, *SIZE), 3),
        ((3, *SIZE), (1, *SIZE), 3), ((1, *SIZE), (3, *SIZE), 3), ((3, *SIZE), (3, *SIZE), 3),
        ((3, 1, *SIZE), (3, *SIZE), 3), ((1, 1, *SIZE), (1, 3, *SIZE), 3),
    ],
)  # fmt: skip
def test_ranks_and_batches(node: type, one: tuple[int, ...], other: tuple[int, ...], frames: int) -> None:
    first, second = soft(*one), soft(*other, seed=1)
    (made,) = node().doit(first, second)
    whole = [mask.reshape(-1, *SIZE).expand(frames, -1, -1) for mask in (first, second)]
    assert made.shape == (frames, *SIZE)
    assert torch.allclose(made, reckoned(node, *whole), atol=1e-7, rtol=0)


@pytest.mark.parametrize("node", PAIRS)
def test_a_second_mask_of_another_size_is_rescaled(node: type, told: pytest.LogCaptureFixture) -> None:
    first, second = soft(2, *SIZE), soft(1, 12, 10, seed=1)
    moved = torch.nn.functional.interpolate(second[None], size=SIZE, mode="bilinear")[0]
    (made,) = node().doit(first, second)
    assert torch.allclose(made, reckoned(node, first, moved.expand(2, -1, -1)), atol=1e-6, rtol=0)
    assert told.messages == [f"{node.__name__}: the 10x12 mask2 is rescaled to mask1's 30x24"]


@pytest.mark.parametrize("node", PAIRS)
def test_numbers_of_masks_that_do_not_pair(node: type) -> None:
    with pytest.raises(InputError, match=f"^{node.__name__}, input 'mask2': 2 masks for the 3 of mask1. Give as many"):
        node().doit(soft(3, *SIZE), soft(2, *SIZE))


# --- one mask -----------------------------------------------------------------------------------------------------


def test_threshold_is_strict() -> None:
    levels = torch.from_numpy(np.arange(256, dtype=np.uint8).astype(np.float32) / 255.0).reshape(1, 16, 16)
    for threshold in range(1, 256):
        (made,) = ToBinaryMask().doit(levels, threshold)
        assert made.flatten().tolist() == [float(level > threshold) for level in range(256)], threshold


def test_threshold_between_two_levels() -> None:
    values = torch.tensor([[0.0784, 0.0785, 0.5, 0.0]])  # 20/255 is 0.07843
    assert ToBinaryMask().doit(values, 20)[0].tolist() == [[[0.0, 1.0, 1.0, 0.0]]]


@pytest.mark.parametrize(
    ("dilation", "reach"), [(2, (20, 21)), (3, (19, 21)), (10, (16, 25)), (11, (15, 25)), (0, (20, 20)), (-3, None)]
)
def test_dilation_of_each_mask_of_a_batch(dilation: int, reach: tuple[int, int] | None) -> None:
    masks = torch.cat([mask_of(40, 50, (20, 20, 21, 21)), torch.zeros(1, 40, 50)])
    (made,) = ImpactDilateMask().doit(masks, dilation)
    wanted = torch.zeros(2, 40, 50)
    if reach:
        wanted[0, reach[0] : reach[1] + 1, reach[0] : reach[1] + 1] = 1.0
    assert torch.equal(made, wanted)


def test_erosion() -> None:
    (made,) = ImpactDilateMask().doit(mask_of(30, 30, (5, 5, 15, 15)), -4)
    assert torch.equal(made, mask_of(30, 30, (7, 7, 14, 14)))


@pytest.mark.parametrize("sigma", [0.5, 3.0, 10.0])
@pytest.mark.parametrize(
    ("shorter", "reach", "kernel"), [(64, 10, 21), (20, 10, 11), (21, 10, 11), (22, 10, 21), (5, 10, 3), (64, 1, 3)]
)
def test_blur_is_torchvisions(shorter: int, reach: int, kernel: int, sigma: float) -> None:
    masks = soft(2, shorter, shorter + 9)
    (made,) = ImpactGaussianBlurMask().doit(masks, reach, sigma)
    wanted = torchvision.transforms.functional.gaussian_blur(masks.double(), [kernel] * 2, [sigma] * 2)
    assert torch.allclose(made.double(), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("size", "reach"), [((40, 50), 0), ((3, 50), 10), ((50, 1), 10)])
def test_masks_that_are_not_blurred(size: tuple[int, int], reach: int) -> None:
    mask = soft(1, *size)
    assert torch.equal(ImpactGaussianBlurMask().doit(mask, reach, 10.0)[0], mask)


@pytest.mark.parametrize("shape", [SIZE, (1, *SIZE), (4, *SIZE), (1, 4, *SIZE), (4, 1, *SIZE)])
def test_flattening_keeps_the_largest(shape: tuple[int, ...]) -> None:
    masks = soft(*shape)
    (made,) = ImpactFlattenMask().doit(masks)
    assert made.shape == (1, *SIZE) and made.dtype == torch.float32
    assert np.array_equal(made[0].numpy(), np.max(masks.numpy().reshape(-1, *SIZE), axis=0))


MASK_BY_MASK: list[Any] = [
    lambda mask: ToBinaryMask().doit(mask, 20),
    lambda mask: ImpactDilateMask().doit(mask, 4),
    lambda mask: ImpactDilateMask().doit(mask, 0),
    lambda mask: ImpactGaussianBlurMask().doit(mask, 5, 10.0),
    lambda mask: ImpactGaussianBlurMask().doit(mask, 0, 10.0),
    *[lambda mask, node=node: node().doit(mask, mask) for node in PAIRS],
]
ONE_MASK: list[Any] = [*MASK_BY_MASK, lambda mask: ImpactFlattenMask().doit(mask)]


@pytest.mark.parametrize("run", ONE_MASK)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool, torch.uint8])
def test_other_types_become_float32(run: Any, dtype: torch.dtype) -> None:
    mask = (soft(1, *SIZE) * 1.5).clamp(0, 1).to(dtype)
    (made,) = run(mask)
    assert made.dtype == torch.float32 and made.shape == (1, *SIZE)
    assert made.device == comfy.model_management.intermediate_device()
    assert torch.equal(made, run(mask.float())[0])


@pytest.mark.parametrize("run", MASK_BY_MASK)
def test_each_of_a_batch_is_what_it_is_alone(run: Any) -> None:
    masks = soft(3, *SIZE)
    (made,) = run(masks)
    assert torch.equal(made, torch.cat([run(masks[i : i + 1])[0] for i in range(3)]))


@pytest.mark.parametrize("run", ONE_MASK)
@pytest.mark.parametrize("frames", [1, 2])
def test_inputs_are_not_written_to_and_not_shared(run: Any, frames: int) -> None:
    mask = soft(frames, *SIZE)
    kept = mask.clone()
    run(mask)[0].fill_(0.5)
    assert torch.equal(mask, kept)


@pytest.mark.parametrize("run", ONE_MASK)
def test_values_outside_0_to_1_are_clamped(run: Any, told: pytest.LogCaptureFixture) -> None:
    wild = soft(1, *SIZE) * 3 - 1
    (made,) = run(wild)
    assert any("are clamped to 0..1" in line for line in told.messages)
    assert torch.equal(made, run(wild.clamp(0, 1))[0])


@pytest.mark.parametrize("run", ONE_MASK)
@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (None, "a NoneType is no mask"),
        ("a string", "a str is no mask"),
        (torch.zeros(5), r"not \[5\]"),
        (torch.zeros(2, 2, 8, 8), r"not \[2, 2, 8, 8\]"),
        (torch.zeros(0, 8, 8), "it is empty"),
        (torch.full((1, 8, 8), float("nan")), "frame 0 holds NaN"),
    ],
)
def test_no_mask(run: Any, bad: Any, found: str) -> None:
    with pytest.raises(InputError, match=rf"^\w+, input 'masks?1?': .*{found}.*\. \w+"):
        run(bad)


# --- lists and batches --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "frames"), [(SIZE, 1), ((1, *SIZE), 1), ((3, *SIZE), 3), ((3, 1, *SIZE), 3), ((1, 3, *SIZE), 3)]
)
def test_masks_to_list(shape: tuple[int, ...], frames: int) -> None:
    masks = soft(*shape)
    (made,) = MasksToMaskList().doit(masks)
    assert [mask.shape for mask in made] == [(1, *SIZE)] * frames
    assert torch.equal(torch.cat(made), masks.reshape(-1, *SIZE))


def test_no_masks_to_list() -> None:
    assert MasksToMaskList().doit(torch.zeros(0, *SIZE)) == ([],)
    (made,) = MasksToMaskList().doit(None)
    assert torch.equal(torch.stack(made), torch.zeros(1, 1, 64, 64))


def test_masks_to_list_hands_on_any_value() -> None:
    wild = torch.tensor([[[-1.0, float("nan"), 7.0]]])
    assert MasksToMaskList().doit(wild)[0][0].nan_to_num(5.0).tolist() == [[[-1.0, 5.0, 7.0]]]


def test_mask_list_to_batch() -> None:
    masks = [soft(*SIZE), soft(2, *SIZE, seed=1), soft(1, 1, *SIZE, seed=2), soft(2, 1, *SIZE, seed=3)]
    (made,) = MaskListToMaskBatch().doit(masks)
    assert torch.equal(made, torch.cat([mask.reshape(-1, *SIZE) for mask in masks]))
    assert torch.equal(MaskListToMaskBatch().doit(masks[1:2])[0], masks[1])
    assert torch.equal(MaskListToMaskBatch().doit(masks[:1])[0], masks[0][None])


@pytest.mark.parametrize("empty", [[], [torch.zeros(0, *SIZE)]])
def test_empty_mask_list(empty: list[torch.Tensor]) -> None:
    assert torch.equal(MaskListToMaskBatch().doit(empty)[0], torch.zeros(1, 64, 64))


@pytest.mark.parametrize("size", [(48, 60), (50, 40), (10, 90), (12, 15)])
def test_lists_of_several_sizes(size: tuple[int, int]) -> None:
    """ComfyUI's own resize with a centre crop, but for its 8-bit steps."""
    image = picture(*size, seed=3)
    wanted = comfy.utils.common_upscale(image.movedim(-1, 1), SIZE[1], SIZE[0], "lanczos", "center").movedim(1, -1)
    (images,) = ImageListToImageBatch().doit([picture(*SIZE), image])
    assert images.shape == (2, *SIZE, 3) and torch.equal(images[:1], picture(*SIZE))
    assert (images[1:] - wanted).abs().max() < 2.5 / 255
    (masks,) = MaskListToMaskBatch().doit([soft(*SIZE), image[..., 0]])
    assert torch.equal(masks[0], soft(*SIZE)) and torch.allclose(masks[1], images[1, ..., 0], atol=1e-6)


def test_image_list_to_batch() -> None:
    images = [picture(*SIZE), picture(*SIZE, seed=1).repeat(2, 1, 1, 1), picture(*SIZE, seed=2)]
    (made,) = ImageListToImageBatch().doit(images)
    assert torch.equal(made, torch.cat(images))


@pytest.mark.parametrize("shape", [(1, *SIZE, 3), (2, *SIZE, 4), (*SIZE, 3), (1, *SIZE, 1)])
def test_one_image_is_a_tensor(shape: tuple[int, ...]) -> None:
    image = soft(*shape)
    (made,) = ImageListToImageBatch().doit([image])
    assert torch.equal(made, image.reshape(-1, *SIZE, shape[-1]))


@pytest.mark.parametrize("empty", [[], [torch.zeros(0, *SIZE, 3)]])
def test_empty_image_list(empty: list[torch.Tensor]) -> None:
    assert torch.equal(ImageListToImageBatch().doit(empty)[0], torch.zeros(1, 64, 64, 3))


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ([soft(1, *SIZE, 3), soft(1, *SIZE, 4)], "the pictures have 3, 4 channels. Give all of them alpha, or none"),
        ([soft(1, *SIZE, 3), None], "a NoneType is no picture. Connect an IMAGE"),
        ([soft(*SIZE)], r"its shape is \[24, 30\].*Connect an IMAGE"),
    ],
)
def test_no_image_list(images: list[Any], found: str) -> None:
    with pytest.raises(InputError, match=f"^ImageListToImageBatch, input 'images': {found}"):
        ImageListToImageBatch().doit(images)


@pytest.mark.parametrize("bad", [None, "a string", torch.zeros(5)])
def test_no_mask_list(bad: Any) -> None:
    with pytest.raises(InputError, match=r"^MaskListToMaskBatch, input 'mask': .*Connect a MASK"):
        MaskListToMaskBatch().doit([soft(*SIZE), bad])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_image_batch_to_list(channels: int) -> None:
    images = soft(3, *SIZE, channels)
    (made,) = ImpactImageBatchToImageList().doit(images)
    assert [image.shape for image in made] == [(1, *SIZE, channels)] * 3
    assert torch.equal(torch.cat(made), images)
    assert ImpactImageBatchToImageList().doit(images[:0]) == ([],)


def test_there_and_back() -> None:
    images, masks = soft(3, *SIZE, 3), soft(3, *SIZE)
    assert torch.equal(ImageListToImageBatch().doit(ImpactImageBatchToImageList().doit(images)[0])[0], images)
    assert torch.equal(MaskListToMaskBatch().doit(MasksToMaskList().doit(masks)[0])[0], masks)


def test_lists_are_float32() -> None:
    for dtype in (torch.float16, torch.float64):
        made = [
            *MasksToMaskList().doit(soft(2, *SIZE).to(dtype))[0],
            *MaskListToMaskBatch().doit([soft(*SIZE).to(dtype), soft(*SIZE)]),
            *ImageListToImageBatch().doit([soft(*SIZE, 3).to(dtype), soft(*SIZE, 3)]),
            *ImpactImageBatchToImageList().doit(soft(2, *SIZE, 3).to(dtype))[0],
        ]
        assert {tensor.dtype for tensor in made} == {torch.float32}
