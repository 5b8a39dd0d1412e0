"""Bad input gives an error that names node, input, what was found and the fix, or has a documented meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.running import detail, pipe_with
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core import SEG
from mask_detailer.nodes.detailers import DetailerForEach, MaskDetailerPipe
from mask_detailer.nodes.segs import MaskToSEGS, SegsToCombinedMask, SEGSToImageList
from mask_detailer.nodes.validate import InputError

SIZE = (64, 72)
BOX = (20, 16, 44, 40)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, BOX)


def with_value(tensor: torch.Tensor, frame: int, value: float, frames: int = 3) -> torch.Tensor:
    batch = tensor.repeat(frames, *[1] * (tensor.ndim - 1))
    batch[frame, 5, 6] = value
    return batch


def says(*parts: str) -> Any:
    """An InputError of MaskDetailerPipe whose message has all the parts in this order."""
    return pytest.raises(InputError, match="(?s)^MaskDetailerPipe, " + ".*".join(parts))


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("a string", "a str is no picture"),
        (None, "a NoneType is no picture"),
        (torch.zeros(1, 64, 72, 1), r"shape is \[1, 64, 72, 1\]"),
        (torch.zeros(64, 72), r"shape is \[64, 72\]"),
        (torch.zeros(1, 2, 64, 72, 3), r"shape is \[1, 2, 64, 72, 3\]"),
        (torch.zeros(0, 64, 72, 3), r"it is empty \(shape \[0, 64, 72, 3\]\)"),
    ],
)
def test_no_picture(flow: Pipe, mask: torch.Tensor, bad: Any, found: str) -> None:
    with says("input 'image'", found, "Connect a"):
        detail(bad, mask, flow)


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("a string", "a str is no mask"),
        (torch.zeros(5), r"not \[5\]"),
        (torch.zeros(2, 2, 64, 72), r"not \[2, 2, 64, 72\]"),
        (torch.zeros(1, 0, 72), "it is empty"),
    ],
)
def test_no_mask(flow: Pipe, image: torch.Tensor, bad: Any, found: str) -> None:
    with says("input 'mask'", found, "Connect a"):
        detail(image, bad, flow)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("frame", [0, 2])
def test_values_that_are_not_finite(
    flow: Pipe, image: torch.Tensor, mask: torch.Tensor, frame: int, value: float
) -> None:
    with says("input 'image'", f"frame {frame} holds NaN or infinite values", "Find the node"):
        detail(with_value(image, frame, value), mask, flow)
    with says("input 'mask'", f"frame {frame} holds NaN or infinite values", "Find the node"):
        detail(image, with_value(mask, frame, value), flow)


def test_infinities_that_cancel(flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    bad = with_value(with_value(image, 1, float("inf")), 2, float("-inf"), frames=1)
    with says("input 'image'", "frame 1 holds"):
        detail(bad, mask, flow)


def test_large_finite_values_are_no_error(flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    image[0, :8, :8] = 3e38  # their sum is not finite
    made = detail(image, mask, flow)
    assert torch.equal(made.image[0, :8, :8], image[0, :8, :8])


@pytest.mark.parametrize(
    ("pipe", "found"),
    [
        ("a string", "a str is no BASIC_PIPE.*Connect the output of 'ToBasicPipe'"),
        (None, "a NoneType is no BASIC_PIPE"),
        ((1, 2, 3, 4), "holds 5 things, this holds 4.*Connect the output of 'ToBasicPipe'"),
        ((None,) * 14, "this holds 14.*DETAILER_PIPE.*BASIC_PIPE"),
    ],
)
def test_no_pipe(image: torch.Tensor, mask: torch.Tensor, pipe: Any, found: str) -> None:
    with says("input 'basic_pipe'", found):
        detail(image, mask, pipe)


@pytest.mark.parametrize("part", ["model", "vae", "positive", "negative"])
def test_pipe_with_a_missing_part(flow: Pipe, image: torch.Tensor, mask: torch.Tensor, part: str) -> None:
    with says("input 'basic_pipe'", rf"its {part} is missing \(None\)", "Connect .*(loader|CLIP Text Encode)"):
        detail(image, mask, pipe_with(flow, **{part: None}))


@pytest.mark.parametrize("part", ["model", "positive", "negative"])
def test_refiner_pipe_with_a_missing_part(flow: Pipe, image: torch.Tensor, mask: torch.Tensor, part: str) -> None:
    with says("input 'refiner_basic_pipe_opt'", rf"its {part} is missing \(None\)", "Connect "):
        detail(image, mask, flow, refiner_basic_pipe_opt=pipe_with(flow, **{part: None}))


def test_refiner_pipe_needs_no_vae_and_no_clip(flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    refiner = pipe_with(flow, vae=None, clip=None)
    with_both = detail(image, mask, flow, refiner_basic_pipe_opt=flow)
    assert torch.equal(detail(image, mask, flow, refiner_basic_pipe_opt=refiner).image, with_both.image)


def test_picture_smaller_than_a_latent_cell(flow: Pipe) -> None:
    with says("input 'image'", "the picture is 9x7", r"one latent cell of this VAE \(8x8\)", "Enlarge"):
        detail(picture(7, 9), mask_of(7, 9, (1, 1, 8, 6)), flow)


def test_numbers_of_images_and_masks_that_do_not_pair(flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    with says("input 'mask'", "2 masks for 3 images", "Give as many masks as images, or one mask, or one image"):
        detail(image.repeat(3, 1, 1, 1), mask.repeat(2, 1, 1), flow)


def test_mask_of_another_size_is_rescaled(flow: Pipe, image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    half = mask_of(32, 36, (10, 8, 22, 20))
    whole = torch.nn.functional.interpolate(half[None], size=SIZE, mode="bilinear")[0]
    made = detail(image, half, flow)
    lines = [line for line in told.messages if "rescaled" in line]
    assert lines == ["MaskDetailerPipe: the 36x32 mask is rescaled to the 72x64 picture"]
    assert torch.equal(made.image, detail(image, whole, flow).image)
    assert not torch.equal(made.image, image)


def test_mask_of_another_aspect_takes_the_pictures(flow: Pipe, image: torch.Tensor) -> None:
    made = detail(image, mask_of(64, 36, (10, 16, 22, 40)), flow, feather=0)
    changed = (made.image != image).any(-1)[0]
    assert changed[16:40, 20:44].float().mean() > 0.9
    changed[15:41, 19:45] = False
    assert not changed.any()


def test_mask_values_outside_0_to_1_are_clamped(
    flow: Pipe, image: torch.Tensor, mask: torch.Tensor, told: pytest.LogCaptureFixture
) -> None:
    wild = 3.5 * mask - 0.5
    made = detail(image, wild, flow, contour_fill=False)
    assert [line for line in told.messages if "clamped" in line] == [
        "MaskDetailerPipe: mask values from -0.5 to 3 are clamped to 0..1"
    ]
    assert torch.equal(made.image, detail(image, mask, flow, contour_fill=False).image)


@pytest.mark.parametrize("mask", [None, torch.zeros(1, *SIZE), torch.full((1, *SIZE), 0.003)])
def test_nothing_to_detail(flow: Pipe, image: torch.Tensor, mask: Any) -> None:
    made = detail(image, mask, flow, batch_size=2)
    assert torch.equal(made.image, image.repeat(2, 1, 1, 1))
    assert [crop.shape for crop in made.refined + made.refined_alpha] == [(1, 64, 64, 3)] * 2
    assert not any(crop.any() for crop in made.refined + made.refined_alpha)


def test_errors_come_before_any_sampling(flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    """The last of many frames may be the bad one: a run must not fail after minutes of work."""

    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was used")

    with says("input 'image'", "frame 2"):
        detail(with_value(image, 2, float("nan")), mask, pipe_with(flow, model=Untouchable(), vae=Untouchable()))


# --- DetailerForEach and the SEGS nodes ---------------------------------------------------------------------------

HEADER = (64, 72)
FIX = "Connect SEGS, such as the output of 'MASK to SEGS' or of a detector"


@pytest.mark.parametrize(
    ("segs", "found"),
    [
        (None, "a NoneType is no SEGS"),
        ("ab", "a str is no SEGS"),
        ((HEADER,), "a tuple is no SEGS"),
        ((HEADER, "ab"), "a tuple is no SEGS"),
        (((64,), []), r"its header \(64,\) is not \(height, width\)"),
        ((HEADER, [object()]), "segment 1 lacks cropped_image, cropped_mask"),
    ],
)
def test_no_segs(flow: Pipe, image: torch.Tensor, segs: Any, found: str) -> None:
    with pytest.raises(InputError, match=f"^DetailerForEach, input 'segs': .*{found}.*{FIX}"):
        for_each(image, segs, flow)
    with pytest.raises(InputError, match=f"^SegsToCombinedMask, input 'segs': .*{found}"):
        SegsToCombinedMask().doit(segs)
    with pytest.raises(InputError, match=f"^SEGSToImageList, input 'segs': .*{found}"):
        SEGSToImageList().doit(segs)


def test_for_each_names_its_own_inputs(flow: Pipe, image: torch.Tensor) -> None:
    segs = HEADER, [SEG(None, np.ones((24, 24), np.float32), 1.0, [20, 16, 44, 40], BOX, "A")]
    for part in ("model", "vae", "positive", "negative"):
        with pytest.raises(InputError, match=rf"^DetailerForEach, input '{part}': it is missing \(None\). Connect "):
            for_each(image, segs, pipe_with(flow, **{part: None}))
    with pytest.raises(InputError, match=r"^DetailerForEach, input 'clip': .*per-segment text. Connect a CLIP"):
        for_each(image, segs, pipe_with(flow, clip=None), text="a prompt")
    for_each(image, segs, pipe_with(flow, clip=None), text=" ")


def test_mask_to_segs_names_its_input() -> None:
    with pytest.raises(InputError, match=r"^MaskToSEGS, input 'mask': frame 1 holds NaN"):
        MaskToSEGS().doit(with_value(torch.zeros(1, 64, 72), 1, float("nan")), False, 3.0, False, 10)


def for_each(image: Any, segs: Any, pipe: Any, text: str = "") -> torch.Tensor:
    model, clip, vae, positive, negative = pipe
    return DetailerForEach().doit(
        image, segs, model=model, clip=clip, vae=vae, guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7,
        steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", positive=positive, negative=negative, denoise=0.5,
        feather=4, noise_mask=True, force_inpaint=True, wildcard=text,
    )[0]  # fmt: skip


@pytest.mark.parametrize("number", [-1, 65])
def test_a_linked_crop_batch_out_of_range(flow: Pipe, image: torch.Tensor, mask: torch.Tensor, number: int) -> None:
    with pytest.raises(ValueError, match=f"MaskDetailerPipe, input 'crop_batch': {number} is out of range. Give 0 to"):
        detail(image, mask, flow, crop_batch=number)


def test_widget_ranges_stand_in_the_inputs() -> None:
    """ComfyUI's own validation refuses what is out of range, before anything is queued."""
    required = MaskDetailerPipe.INPUT_TYPES()["required"]
    for name in ("guide_size", "max_size", "seed", "steps", "cfg", "denoise", "feather", "crop_factor", "drop_size"):
        options = required[name][1]
        assert options["min"] <= options["default"] <= options["max"], name
