"""Hard-edged pictures of full range: resampling rings beyond black and white, and no output may show it.

The codec is one that loses nothing, so that edges come out of it as hard as they went in, or one of blocks of 8x8
pixels, whose edges are its own. A picture without black or white, which all others here are, never gets near.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from engine.recording.parts import node, options, parts
from engine.running import (
    assert_range,
    detail,
    do_detail,
    near,
    pipe_with,
    segs_of,
    unchanged_outside,
)
from engine.tiny_models import Pipe, board, coloured, flow_pipe, lossless_vae, mask_of, strokes, unet_pipe
from mask_detailer.core import SEGS, Size, to_working_size
from PIL import Image
from support.detectors import GivenDetector

SIZE = (96, 112)
UPPER, LARGE = (16, 16, 32, 32), (8, 40, 100, 90)
BOXES = (UPPER, LARGE)
FEATHER = 4


def dots(height: int, width: int) -> torch.Tensor:
    """Single white pixels on black in the left half, black ones on white in the right."""
    made = torch.zeros(1, height, width, 3)
    made[:, 3::7, 2::6] = 1.0
    made[:, :, width // 2 :] = 1.0 - made[:, :, width // 2 :]
    return made


PICTURES: dict[str, Callable[[int, int], torch.Tensor]] = {
    "board of 2 px": lambda height, width: board(height, width, 2),
    "board of 3 px": board,
    "board of 11 px": lambda height, width: board(height, width, 11),
    "dots": dots,
    "strokes": strokes,
    "pure colours": coloured,
}


WAYS: dict[str, dict[str, Any]] = {
    "enlarged": dict(),
    "enlarged by an odd ratio": dict(guide_size=90.0, max_size=152.0),
    "shrunk": dict(max_size=64.0, detail_options=options(never_above_max_size=True)),
    "stretched, mirrored": dict(
        detail_options=options(size_mode="fixed_size", width=136, height=72, min_context=16, border="mirror")
    ),
    "soft": dict(noise_mask_feather=6),
    "multiband": dict(detail_options=options(blend="multiband", blend_width=8, min_context=8)),
    "gradient": dict(detail_options=options(blend="gradient", paste_grow=2, min_context=8)),
    "matched": dict(
        detail_options=options(colour="covariance", drift="correct", detail="match", fill="blurred", min_context=16)
    ),
}


@pytest.fixture(scope="module")
def lossless() -> Pipe:
    """Gives back what it gets, but for a little noise."""
    vae = lossless_vae()
    return flow_pipe(vae.latent_channels, vae)


@pytest.fixture(scope="module")
def blocks() -> Pipe:
    return unet_pipe(3)


GENTLE: dict[str, Any] = dict(denoise=0.01, steps=1, cfg=1.0, feather=FEATHER)
WILD: dict[str, Any] = dict(denoise=1.0, steps=2, feather=FEATHER)


def outside_is_kept(made: torch.Tensor, image: torch.Tensor, *boxes: tuple[int, int, int, int]) -> bool:
    return unchanged_outside(made, image, near(mask_of(*SIZE, *boxes), FEATHER + 2))


@pytest.mark.parametrize("name", PICTURES)
def test_these_pictures_ring(name: str) -> None:
    """Enlarged without a clamp they would be seen beyond 0..1: else all below says nothing."""
    enlarged = to_working_size(PICTURES[name](32, 32), Size(128, 128))
    assert float(enlarged.min()) < -0.01 and float(enlarged.max()) > 1.01


# --- what nodes give ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PICTURES)
def test_mask_detailer(lossless: Pipe, name: str, way: str) -> None:
    image = PICTURES[name](*SIZE)
    made = detail(image, mask_of(*SIZE, *BOXES), lossless, **(GENTLE | WAYS[way]))
    assert_range(made[:3])
    assert outside_is_kept(made.image, image, *BOXES)
    assert not torch.equal(made.image, image)


@pytest.mark.parametrize("way", WAYS)
def test_mask_detailer_of_blocks(blocks: Pipe, way: str) -> None:
    """At full denoise the codec itself gives black and white, edge to edge."""
    image = board(*SIZE)
    made = detail(image, mask_of(*SIZE, *BOXES), blocks, **(WILD | WAYS[way]))
    assert_range(made[:3])
    assert outside_is_kept(made.image, image, *BOXES)
    assert float(made.image.min()) == 0.0 and float(made.image.max()) == 1.0


@pytest.mark.parametrize("name", PICTURES)
def test_detailer_of_segs(lossless: Pipe, name: str) -> None:
    image = PICTURES[name](*SIZE)
    made = do_detail(image, segs_of(*BOXES), lossless, **GENTLE)
    assert_range(made)
    assert outside_is_kept(made[0], image, *BOXES)
    assert not torch.equal(made[0], image)


def test_face_detailer(lossless: Pipe) -> None:
    image = strokes(*SIZE)
    detector = GivenDetector(segs_of(*BOXES))
    made = node("FaceDetailer", image=image, bbox_detector=detector, **(parts(lossless) | GENTLE))
    assert_range(made[:4], made[5])
    assert outside_is_kept(made[0], image, *BOXES)
    assert not torch.equal(made[0], image)


# --- segments with images of their own ----------------------------------------------------------------------------


def apart(pipe: Any, image: torch.Tensor, segs: SEGS, **changes: Any) -> SEGS:
    """What SEGSDetailer makes of them."""
    widgets = {name: value for name, value in GENTLE.items() if name != "feather"}
    return node("SEGSDetailer", image=image, segs=segs, basic_pipe=pipe, **(widgets | changes))[0]


def with_images(segs: SEGS, image: torch.Tensor) -> SEGS:
    """Each segment with this picture as its own, whatever its size."""
    return segs[0], [seg._replace(cropped_image=image.numpy()) for seg in segs[1]]


def resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``[1,H,W,3]`` at another size (height, width), by Pillow's Lanczos on float planes, cut to 0..1."""
    planes = (Image.fromarray(plane.contiguous().numpy()) for plane in image[0].unbind(-1))
    made = [np.asarray(plane.resize(size[::-1], Image.Resampling.LANCZOS)) for plane in planes]
    return torch.from_numpy(np.stack(made, axis=-1)).clamp(0, 1)[None]


OWN_SIZES = [(20, 20), (54, 54), (70, 24)]  # of a crop of 32x32


@pytest.mark.parametrize("own", OWN_SIZES)
@pytest.mark.parametrize("name", PICTURES)
def test_own_image_of_another_size(lossless: Pipe, name: str, own: tuple[int, int]) -> None:
    """It counts as it would be seen at the crop's size, without its ringing; and so does what is made of it."""
    segs, image = segs_of(UPPER), torch.full((1, *SIZE, 3), 0.5)
    made = apart(lossless, image, with_images(segs, PICTURES[name](*own)))
    fitting = with_images(segs, resized(PICTURES[name](*own), (32, 32)))
    wanted = apart(lossless, image, fitting)
    assert_range(made, wanted)
    assert np.abs(made[1][0].cropped_image - wanted[1][0].cropped_image).max() < 1e-4
    for segments in (made, with_images(segs, PICTURES[name](*own))):
        (pasted,) = node("SEGSPaste", image=image, segs=segments)
        assert_range(pasted)
        assert outside_is_kept(pasted, image, UPPER)


@pytest.mark.parametrize("size", [(48, 56), (150, 131)])
@pytest.mark.parametrize("name", PICTURES)
def test_segments_of_another_picture_size(lossless: Pipe, name: str, size: tuple[int, int]) -> None:
    """They are brought to the picture with their images; a detailer gives them back so, those it skips too."""
    height, width = size
    part = (width // 3, height // 3, width // 2, height // 2)
    _, (seg,) = node("MaskToSEGS", mask=mask_of(*size, part), drop_size=1)[0]
    x1, y1, x2, y2 = seg.crop_region
    segs = with_images((size, [seg]), PICTURES[name](y2 - y1, x2 - x1))
    image = PICTURES[name](*SIZE)
    made = apart(lossless, image, segs)
    skipped = apart(lossless, image, segs, force_inpaint=False, guide_size=8.0)
    assert_range(made, skipped)
    assert skipped[1][0].cropped_image.shape == made[1][0].cropped_image.shape
    for pasted in (made, skipped, segs):
        assert_range(node("SEGSPaste", image=image, segs=pasted))
    assert_range(node("SEGSPaste", image=image, segs=segs, ref_image_opt=PICTURES[name](50, 61)))


# --- what others see on the way -----------------------------------------------------------------------------------


class Watching:
    """A hook and a SEGS_PREPROCESSOR that look whether pixels are within 0..1."""

    def __init__(self) -> None:
        self.seen = 0

    def post_upscale(self, pixels: torch.Tensor, mask: Any = None) -> torch.Tensor:
        self.seen += 1
        assert_range(pixels, mask if mask is not None else [])
        return pixels

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels * 1.5 - 0.25

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        assert_range(image)
        return image


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("way", ["enlarged", "shrunk", "matched"])
def test_what_hooks_see_and_do(lossless: Pipe, name: str, way: str) -> None:
    """A hook that goes beyond 0..1 itself is brought back too."""
    hook = Watching()
    image = PICTURES[name](*SIZE)
    made = detail(image, mask_of(*SIZE, *BOXES), lossless, detailer_hook=hook, **(GENTLE | WAYS[way]))
    assert hook.seen == 4
    assert_range(made[:3])
    assert outside_is_kept(made.image, image, *BOXES)


class Faulty:
    """A hook that does to the decoded pixels what a bad VAE or an edit model does."""

    def __init__(self, fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.fault = fault

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.fault(pixels)


FAULTS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], dict[str, str], str]] = {
    "moved by one and a half pixels": (
        lambda pixels: pixels.roll((3, 3), (1, 2)),
        {"drift": "correct"},
        "drift undone",
    ),
    "darker": (lambda pixels: pixels * 0.9, {"colour": "covariance"}, "colour matched"),
    "paler": (lambda pixels: pixels * 0.8 + 0.1, {"colour": "mean_and_spread"}, "colour matched"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_undone(lossless: Pipe, fault: str, told: pytest.LogCaptureFixture) -> None:
    """What undoes it goes too far beside edges, or where a value was changed by other means than the rest."""
    does, wanted, said = FAULTS[fault]
    image, part = scattered(*SIZE), (40, 30, 72, 66)
    widgets = GENTLE | dict(guide_size=64.0, max_size=256.0, crop_factor=2.5)
    made = detail(
        image, mask_of(*SIZE, part), lossless, detailer_hook=Faulty(does), detail_options=options(**wanted), **widgets
    )
    assert said in told.text
    assert_range(made[:3])
    assert outside_is_kept(made.image, image, part)


def scattered(height: int, width: int) -> torch.Tensor:
    """Black, white and coloured rectangles of all sizes, so that places can be told apart, and some grey."""
    generator = torch.Generator().manual_seed(3)
    made = torch.full((1, height, width, 3), 0.4)
    for _ in range(160):
        x, y, across, down = (torch.rand(4, generator=generator) * torch.tensor([width, height, 14, 14])).int().tolist()
        made[:, y : y + down + 2, x : x + across + 2] = (torch.rand(3, generator=generator) > 0.5).float()
    return made


def test_a_masked_prompt_and_a_refiner(lossless: Pipe) -> None:
    """Cycles, a part of the steps on another model, and a prompt for a part of the picture change nothing about it."""
    embedding, given = lossless[3][0]
    positive = [[embedding, {**given, "mask": mask_of(*SIZE, UPPER), "mask_strength": 1.0}]]
    image = board(*SIZE)
    made = detail(
        image, mask_of(*SIZE, *BOXES), pipe_with(lossless, positive=positive), refiner_basic_pipe_opt=lossless,
        **(GENTLE | {"steps": 2, "refiner_ratio": 0.5, "cycle": 2}),
    )  # fmt: skip
    assert_range(made[:3])
    assert outside_is_kept(made.image, image, *BOXES)
