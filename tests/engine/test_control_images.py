"""The hints of ControlNets on segments: which one is used, how a control image is cut, and their preview."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.controlled import ADVANCED, LOWER, OLDER, UPPER, Adapter, OnlyApply, Preprocessor, hints_of, run, wrappers
from engine.running import SEGS_SIZE as SIZE
from engine.running import do_detail as detail_segs
from engine.running import same, segs_of
from engine.tiny_models import Pipe, mask_of, picture, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import Size, crop_region, resample, to_working_size
from mask_detailer.segs import rescale
from PIL import Image


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("controlnet"), 1)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def hint() -> torch.Tensor:
    return picture(*SIZE, seed=5)


# ------------------------------------------------------------------------------------------------ which hint


@pytest.mark.parametrize("noise_mask", [True, False])
def test_preprocessor(unet: Pipe, image: torch.Tensor, net: Any, noise_mask: bool) -> None:
    """It gets the crop at the size that is sampled, and the mask at its size in the picture, if there is one."""
    segs, preprocessor = segs_of(UPPER), Preprocessor()
    wrapped = run(ADVANCED, segs, control_net=net, segs_preprocessor=preprocessor)
    assert preprocessor.calls == []
    with hints_of(net) as seen:
        made = detail_segs(image, wrapped, unet, noise_mask=noise_mask)
    [(crop, mask)] = preprocessor.calls
    rows, columns = crop_region(segs[1][0]).slices
    assert torch.equal(crop, to_working_size(image[:, rows, columns], Size(128, 128)).clamp(0, 1))
    if noise_mask:
        assert torch.equal(mask, torch.from_numpy(segs[1][0].cropped_mask)[None])
    else:
        assert mask is None
    assert same(made[4], [1 - crop])
    assert len(seen) == 2 and all(torch.equal(one[:1], (1 - crop).movedim(-1, 1)) for one in seen)


def test_a_preprocessor_that_writes_into_what_it_sees(unet: Pipe, image: torch.Tensor, net: Any) -> None:
    """It is the crop that is sampled: nothing but the hint may change."""

    class Writer:
        def apply(self, picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            mask.fill_(0.0)
            return picture.sub_(1).neg_()

    segs = segs_of(UPPER)
    made, wanted = (
        detail_segs(image, run(ADVANCED, segs, control_net=net, segs_preprocessor=maker), unet)
        for maker in (Writer(), Preprocessor())
    )
    assert torch.equal(made[0], wanted[0]) and not torch.equal(made[0], image)


def test_stored_image_wins_over_the_preprocessor(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any) -> None:
    preprocessor = Preprocessor()
    segs = segs_of(UPPER)
    both = run(ADVANCED, segs, control_net=net, segs_preprocessor=preprocessor, control_image=hint)
    made = detail_segs(image, both, unet)
    assert preprocessor.calls == []
    rows, columns = crop_region(segs[1][0]).slices
    assert same(made[4], [hint[:, rows, columns]])
    wanted = detail_segs(image, run(ADVANCED, segs, control_net=net, control_image=hint), unet)
    assert torch.equal(made[0], wanted[0])


def test_without_either_the_crop_is_the_hint(unet: Pipe, image: torch.Tensor, net: Any) -> None:
    segs = segs_of(UPPER)
    with hints_of(net) as seen:
        made = detail_segs(image, run(ADVANCED, segs, control_net=net), unet)
    rows, columns = crop_region(segs[1][0]).slices
    crop = to_working_size(image[:, rows, columns], Size(128, 128)).clamp(0, 1)
    assert same(made[4], [crop])
    assert torch.equal(seen[0][:1], crop.movedim(-1, 1))


# ------------------------------------------------------------------------------------------------ the control image


def test_control_image_in_the_pictures_size_is_cut_bit_for_bit(hint: torch.Tensor, net: Any) -> None:
    """No eight bits in between; values beyond 0..1, as hints for inpainting have, stay; alpha goes."""
    marked = hint.clone()
    marked[:, 20:30, 20:30] = -1.0
    marked[:, 30, 30] = 0.5 + 1e-5
    segs = segs_of(UPPER, LOWER)
    made = run(ADVANCED, segs, control_net=net, control_image=torch.cat([marked, hint[..., :1]], dim=-1))
    for seg, wrapper in zip(segs[1], wrappers(made), strict=True):
        rows, columns = crop_region(seg).slices
        assert torch.equal(wrapper.control_image, marked[:, rows, columns])


def test_control_image_of_another_size_and_several_frames(net: Any) -> None:
    """As eight-bit Lanczos, the Impact Pack, but for the eight bits; all frames are kept."""
    segs = segs_of(UPPER, LOWER)
    frames = torch.cat([picture(150, 131, seed=seed) for seed in range(3)])
    made = run(ADVANCED, segs, control_net=net, control_image=frames)
    for index, frame in enumerate(frames):
        pixels = Image.fromarray((frame * 255).round().byte().numpy())
        wanted = torch.from_numpy(np.asarray(pixels.resize((SIZE[1], SIZE[0]), Image.Resampling.LANCZOS)) / 255.0)
        for seg, wrapper in zip(segs[1], wrappers(made), strict=True):
            assert wrapper.control_image.shape == (3, *crop_region(seg).size, 3)
            rows, columns = crop_region(seg).slices
            assert (wrapper.control_image[index] - wanted[rows, columns]).abs().amax() < 1.5 / 255


def test_of_several_frames_the_first_is_used(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any) -> None:
    """ComfyUI by itself would give the second to the negative, which is sampled along."""
    frames = torch.cat([hint, 1 - hint])
    made = detail_segs(image, run(ADVANCED, segs_of(UPPER), control_net=net, control_image=frames), unet)
    wanted = detail_segs(image, run(ADVANCED, segs_of(UPPER), control_net=net, control_image=hint), unet)
    assert torch.equal(made[0], wanted[0]) and same(made[4], wanted[4])


def test_edges_do_not_ring_beyond_the_hints_range(net: Any) -> None:
    lines = mask_of(40, 40, (10, 0, 20, 40))[..., None].expand(1, 40, 40, 3)
    for wrapper in wrappers(run(ADVANCED, segs_of(UPPER, LOWER), control_net=net, control_image=lines)):
        assert wrapper.control_image.min() >= 0.0 and wrapper.control_image.max() <= 1.0


def test_segs_moved_to_another_size_keep_their_part(
    unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any
) -> None:
    segs = run(ADVANCED, segs_of(UPPER), control_net=net, control_image=hint)
    larger = rescale(segs, Size(192, 224))
    assert wrappers(larger) == wrappers(segs)
    made = detail_segs(resample(image, Size(192, 224)), segs, unet)
    assert made[4][0].shape == (1, 32, 32, 3)
    with hints_of(net) as seen:
        detail_segs(resample(image, Size(192, 224)), segs, unet)
    assert seen[0].shape[-2:] == (128, 128)


@pytest.mark.parametrize("header", [(0, 0), SIZE])
@pytest.mark.parametrize("node_id", [ADVANCED, OLDER])
def test_no_segments(hint: torch.Tensor, net: Any, node_id: str, header: Any) -> None:
    assert run(node_id, (header, []), control_net=net, control_image=hint) == (header, [])


def test_segs_of_no_known_size_take_the_image_at_its_own(hint: torch.Tensor, net: Any) -> None:
    segs = segs_of(UPPER)
    (wrapper,) = wrappers(run(ADVANCED, ((0, 0), segs[1]), control_net=net, control_image=hint))
    rows, columns = crop_region(segs[1][0]).slices
    assert torch.equal(wrapper.control_image, hint[:, rows, columns])


def test_regions_that_reach_outside(hint: torch.Tensor, net: Any) -> None:
    """As much as a detailer cuts out; nothing where it cuts out nothing."""
    seg = segs_of(UPPER)[1][0]
    elements = [
        seg._replace(crop_region=region) for region in ([-8, -8, 24, 24], [90, 70, 122, 102], [200, 0, 232, 32])
    ]
    first, second, third = wrappers(run(ADVANCED, (SIZE, elements), control_net=net, control_image=hint))
    assert torch.equal(first.control_image, hint[:, :24, :24])
    assert torch.equal(second.control_image, hint[:, 70:, 90:])
    assert third.control_image is None


# ------------------------------------------------------------------------------------------------ preview


@pytest.fixture
def temp_folder(tmp_path: Path) -> Iterator[Path]:
    import folder_paths

    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path))
    yield tmp_path
    folder_paths.set_temp_directory(before)


def preview(segs: Any, folder: Path) -> tuple[list[np.ndarray], list[torch.Tensor]]:
    """The pictures shown and those given out."""
    made = NODE_CLASS_MAPPINGS["SEGSPreviewCNet"]().doit(segs)
    shown = []
    for entry in made["ui"]["images"]:
        assert (entry["type"], entry["subfolder"]) == ("temp", "")
        with Image.open(folder / entry["filename"]) as file:
            assert file.format == "WEBP"
            shown.append(np.asarray(file.convert("RGB")))
    return shown, made["result"][0]


def test_preview(temp_folder: Path, hint: torch.Tensor, net: Any) -> None:
    """The last control image along the chain; black where there is none, which the output leaves out."""
    size, (first, second) = segs_of(UPPER, LOWER)
    ((_, (stored,)), (_, (unstored,))) = (
        run(ADVANCED, (size, [seg]), control_net=net, control_image=given)
        for seg, given in ((first, torch.full_like(hint, 0.5)), (second, None))
    )
    chained = run(OLDER, (size, [stored]), control_net=net, segs_preprocessor=Preprocessor())[1][0]
    adapted = stored._replace(control_net_wrapper=Adapter(None, stored.control_net_wrapper))
    elements = [chained, unstored, adapted, second._replace(control_net_wrapper=OnlyApply(None)), second]
    shown, given_out = preview((size, elements), temp_folder)
    assert [one.shape for one in shown] == [(32, 32, 3), (64, 64, 3), (32, 32, 3), (64, 64, 3), (64, 64, 3)]
    assert [int(one.max()) for one in shown] == pytest.approx([127, 0, 127, 0, 0], abs=1)
    assert same(given_out, [torch.full((1, 32, 32, 3), 0.5)] * 2)
    given_out[0].fill_(0.0)
    assert stored.control_net_wrapper.control_image.min() == 0.5


def test_preview_shows_the_last_one_set(temp_folder: Path, hint: torch.Tensor, net: Any) -> None:
    once = run(ADVANCED, segs_of(UPPER), control_net=net, control_image=torch.zeros_like(hint))
    twice = run(ADVANCED, once, control_net=net, control_image=torch.ones(2, *SIZE, 3))
    shown, given_out = preview(twice, temp_folder)
    assert [int(one.min()) for one in shown] == [255]
    assert same(given_out, [torch.ones(2, 32, 32, 3)])


def test_preview_of_nothing(temp_folder: Path) -> None:
    assert preview(((0, 0), []), temp_folder) == ([], [])
