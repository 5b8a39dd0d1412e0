"""The other forms of the detailer: the same engine behind other inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import SEGS_SIZE as SIZE
from engine.running import Recorder, do_detail, near, same, segs_of, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe
from mask_detailer.nodes.detailers import DetailerForEach, DetailerForEachAutoRetry, DetailerForEachDebug
from mask_detailer.nodes.pipe_detailers import DetailerForEachDebugPipe, DetailerForEachPipe
from mask_detailer.nodes.segs_detailers import SEGSDetailer, SEGSPaste
from mask_detailer.nodes.validate import InputError
from mask_detailer.segs import with_fields

UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
WIDGETS: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, wildcard="", cycle=1,
    crop_batch=1,
)  # fmt: skip
BLACK = torch.zeros(1, 64, 64, 3)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture(scope="module")
def refiner() -> Pipe:
    return unet_pipe(seed=5)


def parts(pipe: Pipe) -> dict[str, Any]:
    return dict(zip(("model", "clip", "vae", "positive", "negative"), pipe, strict=True))


def without_paste(**changes: Any) -> dict[str, Any]:
    """The widgets of SEGSDetailer."""
    widgets = {name: value for name, value in WIDGETS.items() if name not in ("feather", "wildcard")}
    return widgets | {"refiner_ratio": 0.2, "batch_size": 1} | changes


# --- the forms of Detailer (SEGS) ---------------------------------------------------------------------------------


def test_debug_shows_the_crops(unet: Pipe, image: torch.Tensor) -> None:
    segs = segs_of(UPPER, LOWER)
    wanted = do_detail(image, segs, unet)
    made, crops, refined, refined_alpha, hints = DetailerForEachDebug().doit(image, segs, **parts(unet), **WIDGETS)
    assert torch.equal(made, wanted[0])
    assert same((crops, refined, refined_alpha), wanted[1:4])
    assert same(hints, [BLACK])


def test_pipe_forms(unet: Pipe, refiner: Pipe, image: torch.Tensor) -> None:
    segs = segs_of(UPPER, LOWER)
    model, clip, _, positive, negative = refiner
    wanted = do_detail(
        image, segs, unet, steps=4, refiner_ratio=0.5, refiner_model=model, refiner_clip=clip,
        refiner_positive=positive, refiner_negative=negative,
    )  # fmt: skip
    widgets = WIDGETS | dict(steps=4, basic_pipe=unet, refiner_ratio=0.5, refiner_basic_pipe_opt=refiner)
    made, new_segs, pipe, hints = DetailerForEachPipe().doit(image, segs, **widgets)
    assert torch.equal(made, wanted[0])
    assert same(new_segs, wanted[5])
    assert pipe is unet
    assert same(hints, [BLACK])
    debug = DetailerForEachDebugPipe().doit(image, segs, **widgets)
    assert same(debug[:2], (made, new_segs))
    assert same(debug[3:], (*wanted[1:4], [BLACK]))
    alone = DetailerForEachPipe().doit(image, segs, **(widgets | {"refiner_basic_pipe_opt": None}))
    assert not torch.equal(alone[0], made)


def test_no_segments(unet: Pipe, image: torch.Tensor) -> None:
    for segs in (((0, 0), []), (SIZE, [])):
        made = DetailerForEachDebugPipe().doit(image, segs, basic_pipe=unet, refiner_ratio=0.2, **WIDGETS)
        assert torch.equal(made[0], image)
        assert made[1] == (SIZE, [])
        assert same(made[3:], ([BLACK],) * 4)


def test_skipped_for_its_size(unet: Pipe, image: torch.Tensor) -> None:
    """It stays among the segments, without an image; the next one keeps its seed."""
    segs = (SIZE, [*segs_of((0, 0, 80, 80))[1], *segs_of(LOWER)[1]])
    widgets = WIDGETS | {"force_inpaint": False, "basic_pipe": unet, "refiner_ratio": 0.2}
    made, new_segs, _, crops, refined, _, _ = DetailerForEachDebugPipe().doit(image, segs, **widgets)
    assert [seg.cropped_image is None for seg in new_segs[1]] == [True, False]
    assert len(crops) == 2 and len(refined) == 1
    alone = do_detail(image, segs_of(LOWER), unet, seed=8)
    assert torch.equal(made, alone[0])


def test_names_the_pipe(unet: Pipe, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"DetailerForEachPipe, input 'basic_pipe': its model is missing"):
        pipe = (None, *unet[1:])
        DetailerForEachPipe().doit(image, segs_of(UPPER), basic_pipe=pipe, refiner_ratio=0.2, **WIDGETS)
    with pytest.raises(InputError, match=r"DetailerForEachDebug, input 'vae': it is missing"):
        DetailerForEachDebug().doit(image, segs_of(UPPER), **(parts(unet) | {"vae": None}), **WIDGETS)


# --- tiles of the VAE ---------------------------------------------------------------------------------------------


@contextmanager
def counted(vae: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    calls: list[str] = []

    def spy(name: str) -> Any:
        function = getattr(vae, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(vae, name, spy(name))
        yield calls


@pytest.mark.parametrize("inpaint_model", [False, True])
def test_tiles_on_request(unet: Pipe, image: torch.Tensor, monkeypatch: Any, inpaint_model: bool) -> None:
    """A crop that fits one tile comes out the same; the way is another."""
    pipe = unet_pipe(in_channels=9) if inpaint_model else unet
    widgets = parts(pipe) | WIDGETS | {"inpaint_model": inpaint_model}
    ways = ("encode", "encode_tiled", "decode", "decode_tiled")
    segs = segs_of(UPPER)
    with counted(pipe[2], ways, monkeypatch) as plain_calls:
        (plain,) = DetailerForEach().doit(image, segs, **widgets)
    with counted(pipe[2], ways, monkeypatch) as tiled_calls:
        (tiled,) = DetailerForEach().doit(image, segs, **widgets, tiled_encode=True, tiled_decode=True)
    assert set(plain_calls) == {"encode", "decode"}
    assert set(tiled_calls) == {"encode_tiled", "decode_tiled"}
    assert torch.allclose(plain, tiled, atol=1e-4)


# --- again ----------------------------------------------------------------------------------------------------------


class Judge(Recorder):
    """Content with attempt number ``good``, from 1."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good
        self.judged: list[torch.Tensor] = []

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        self.judged.append(patch.clone())
        return len(self.judged) < self.good


def test_again_until_the_hook_is_content(unet: Pipe, image: torch.Tensor) -> None:
    judge = Judge(3)
    segs = segs_of(UPPER)
    (made,) = DetailerForEachAutoRetry().doit(image, segs, **parts(unet), **WIDGETS, max_retries=5, detailer_hook=judge)
    assert judge.all("pre_ksample", 1) == [7, 8, 9]
    assert torch.equal(made, do_detail(image, segs, unet, seed=9)[0])
    x1, y1, x2, y2 = segs[1][0].crop_region
    assert [list(patch.shape) for patch in judge.judged] == [[1, y2 - y1, x2 - x1, 3]] * 3


def test_never_content(unet: Pipe, image: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"segment 1: .* all 2 attempts.*max_retries"):
        DetailerForEachAutoRetry().doit(
            image, segs_of(UPPER), **parts(unet), **WIDGETS, max_retries=2, detailer_hook=Judge(9)
        )


def test_only_the_retry_node_asks(unet: Pipe, image: torch.Tensor) -> None:
    judge = Judge(9)
    segs = segs_of(UPPER)
    (made,) = DetailerForEach().doit(image, segs, **parts(unet), **WIDGETS, detailer_hook=judge)
    assert judge.judged == []
    (retried,) = DetailerForEachAutoRetry().doit(image, segs, **parts(unet), **WIDGETS, max_retries=3)
    assert torch.equal(made, retried)


# --- SEGSDetailer and SEGSPaste -----------------------------------------------------------------------------------


def test_refine_and_paste_is_the_detailer(unet: Pipe, image: torch.Tensor) -> None:
    segs = segs_of(UPPER)
    refined, hints = SEGSDetailer().doit(image, segs, unet, **without_paste())
    assert same(hints, [BLACK])
    (pasted,) = SEGSPaste().doit(image, refined, feather=4)
    assert torch.equal(pasted, do_detail(image, segs, unet, seed=8)[0])


def test_variants(unet: Pipe, image: torch.Tensor) -> None:
    """All segments of a variant share its seed, and come before those of the next."""
    segs = segs_of(UPPER, LOWER)
    (_, both), _ = SEGSDetailer().doit(image, segs, unet, **without_paste(batch_size=2))
    solo = [do_detail(image, (SIZE, [seg]), unet, seed=seed)[5][1][0] for seed in (8, 9) for seg in segs[1]]
    assert [seg.bbox for seg in both] == [seg.bbox for seg in segs[1] * 2]
    assert same([seg.cropped_image for seg in both], [seg.cropped_image for seg in solo])


def test_own_image_comes_first(unet: Pipe, image: torch.Tensor) -> None:
    other = picture(*SIZE, seed=3)
    header, elements = segs_of(UPPER)
    x1, y1, x2, y2 = elements[0].crop_region
    own = with_fields(elements[0], cropped_image=other[:, y1:y2, x1:x2].numpy())
    (_, (made,)), _ = SEGSDetailer().doit(image, (header, [own]), unet, **without_paste())
    (_, (wanted,)), _ = SEGSDetailer().doit(other, (header, elements), unet, **without_paste())
    assert np.array_equal(made.cropped_image, wanted.cropped_image)


def test_skipped_comes_back_as_it_was(unet: Pipe, image: torch.Tensor) -> None:
    header, (seg,) = segs_of(UPPER)
    empty = with_fields(seg, cropped_mask=np.zeros_like(seg.cropped_mask), control_net_wrapper="kept")
    (_, (made,)), _ = SEGSDetailer().doit(image, (header, [empty]), unet, **without_paste())
    assert made.control_net_wrapper == "kept" and made.cropped_image is None


def test_placeholder_for_the_negative(unet: Pipe, image: torch.Tensor) -> None:
    """Known to fail in the Impact Pack."""
    pipe = (*unet[:4], "NegativePlaceholder")
    (_, (made,)), _ = SEGSDetailer().doit(image, segs_of(UPPER), pipe, **without_paste())
    assert made.cropped_image is not None


def test_several_pictures(unet: Pipe, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"SEGSDetailer, input 'image': it holds 2 pictures"):
        SEGSDetailer().doit(torch.cat([image, image]), segs_of(UPPER), unet, **without_paste())


def white_segs() -> Any:
    header, elements = segs_of(UPPER, LOWER)
    return header, [
        with_fields(seg, cropped_image=np.ones((1, *seg.cropped_mask.shape, 3), np.float32)) for seg in elements
    ]


def test_alpha(image: torch.Tensor) -> None:
    inside = mask_of(*SIZE, UPPER, LOWER)[..., None]
    for alpha in (0, 51, 255):
        (made,) = SEGSPaste().doit(image, white_segs(), feather=0, alpha=alpha)
        share = inside * alpha / 255
        assert torch.allclose(made, image * (1 - share) + share, atol=1e-6)
    (nothing,) = SEGSPaste().doit(image, white_segs(), feather=5, alpha=0)
    assert torch.equal(nothing, image)


def test_untouched_outside(image: torch.Tensor) -> None:
    before = image.clone()
    (made,) = SEGSPaste().doit(image, white_segs(), feather=5)
    assert unchanged_outside(made, image, near(mask_of(*SIZE, UPPER, LOWER), 5))
    assert torch.equal(image, before)
    assert not torch.equal(made, image)


def test_reference_picture(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    other = picture(*SIZE, seed=4)
    (made,) = SEGSPaste().doit(image, segs_of(UPPER, LOWER), feather=0, ref_image_opt=other)
    inside = mask_of(*SIZE, UPPER, LOWER)[..., None].bool()
    assert torch.allclose(made, torch.where(inside, other, image), atol=1e-6)
    flat = torch.full((1, 20, 30, 3), 0.25)
    (made,) = SEGSPaste().doit(image, segs_of(UPPER), feather=0, ref_image_opt=flat)
    assert torch.allclose(made[:, 16:32, 16:32], torch.tensor(0.25), atol=1e-5)
    assert "resized" in told.text


def test_frames(image: torch.Tensor) -> None:
    """Frame i takes frame i of image and mask; a mask batch of another length is merged."""
    frames = torch.cat([image, picture(*SIZE, seed=1), picture(*SIZE, seed=2)])
    header, (seg,) = segs_of(UPPER)
    height, width = seg.cropped_mask.shape
    own = np.stack([np.full((height, width, 3), value, np.float32) for value in (0.1, 0.5, 0.9)])
    masks = np.stack([seg.cropped_mask, np.zeros_like(seg.cropped_mask), seg.cropped_mask])
    (made,) = SEGSPaste().doit(frames, (header, [with_fields(seg, cropped_image=own, cropped_mask=masks)]), 0)
    for index, value in enumerate((0.1, None, 0.9)):
        part = made[index, 16:32, 16:32]
        assert (
            torch.equal(part, frames[index, 16:32, 16:32]) if value is None else bool((part - value).abs().max() < 1e-6)
        )
    (merged,) = SEGSPaste().doit(frames, (header, [with_fields(seg, cropped_image=own, cropped_mask=masks[:2])]), 0)
    assert torch.allclose(merged[1, 16:32, 16:32], torch.tensor(0.5))


def test_no_image_to_paste(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    (made,) = SEGSPaste().doit(image, segs_of(UPPER), feather=5)
    assert torch.equal(made, image)
    assert "segment 1: not pasted" in told.text


def test_image_of_another_size_and_alpha_channel(image: torch.Tensor) -> None:
    header, (seg,) = segs_of(UPPER)
    large = with_fields(seg, cropped_image=np.full((1, 99, 77, 3), 0.5, np.float32))
    picture_with_alpha = torch.cat([image, torch.rand(1, *SIZE, 1)], dim=-1)
    (made,) = SEGSPaste().doit(picture_with_alpha, (header, [large]), feather=0)
    assert torch.equal(made[..., 3], picture_with_alpha[..., 3])
    assert torch.allclose(made[:, 16:32, 16:32, :3], torch.tensor(0.5), atol=1e-5)
