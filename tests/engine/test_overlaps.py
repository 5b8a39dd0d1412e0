"""``overlaps`` *together*: parts whose crops share pixels are sampled as one, each with its own prompt."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.families import FAMILIES
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.running import SEGS_SIZE, Recorder, do_detail, near, pipe_with, unchanged_outside
from engine.tiny_models import Pipe, called_through, mask_of, picture, text_encoder
from mask_detailer.core import SEG, Region, Size, mask_to_segs
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.detailer.pipeline.remembered import memory
from mask_detailer.detailer.pipeline.together import weights

TOGETHER, APART = DetailOptions(overlaps="together"), DetailOptions()
NEAR: dict[str, Any] = dict(atol=2e-3, rtol=0)
LEFT, RIGHT, FAR = (24, 24, 40, 40), (44, 24, 60, 40), (88, 72, 104, 88)


def segs_of(*boxes: tuple[int, int, int, int], region: tuple[int, int, int, int] | None = None) -> Any:
    """A segment a box; all in one crop region, or each in twice its box."""
    size, segs = mask_to_segs(mask_of(*SEGS_SIZE, *boxes), False, 2.0, False, 2)
    if region is None:
        return size, segs
    x1, y1, x2, y2 = region
    made = []
    for box in boxes:
        mask = mask_of(*SEGS_SIZE, box)[0, y1:y2, x1:x2].numpy()
        made.append(SEG(None, mask, 1.0, list(region), box, "A"))
    return size, made


def run(pipe: Pipe, segs: Any, options: DetailOptions, **changes: Any) -> Any:
    return do_detail(picture(*SEGS_SIZE), segs, pipe, detail_options=options, **changes)


@pytest.mark.parametrize("batch", [1, 0])
def test_no_overlap_is_as_apart(unet: Pipe, batch: int) -> None:
    segs = segs_of(LEFT, FAR)
    assert torch.equal(run(unet, segs, TOGETHER, crop_batch=batch)[0], run(unet, segs, APART, crop_batch=batch)[0])


def test_two_crops_in_one_place_are_one_crop(unet: Pipe) -> None:
    """Twice the same prediction, half of each: as one segment with both masks."""
    region = (16, 16, 80, 48)
    both = segs_of(LEFT, RIGHT, region=region)
    mask = mask_of(*SEGS_SIZE, LEFT, RIGHT)[0, 16:48, 16:80].numpy()
    one = both[0], [SEG(None, mask, 1.0, list(region), (24, 24, 60, 40), "A")]
    sizes = {"guide_size_for_bbox": False}
    made, wanted = run(unet, both, TOGETHER, **sizes)[0], run(unet, one, APART, **sizes)[0]
    torch.testing.assert_close(made, wanted, **NEAR)
    assert (run(unet, both, APART, **sizes)[0] - wanted).abs().max() > 0.01


def test_predictions_are_joined_at_each_step(unet: Pipe) -> None:
    """Two asked for at each step, of the crops' sizes; and outside of both masks nothing changes."""
    sizes: list[tuple[int, ...]] = []

    def predict(apply: Any, given: dict[str, Any]) -> torch.Tensor:
        sizes.append(tuple(given["input"].shape[-2:]))
        return apply(given["input"], given["timestep"], **given["c"])

    pipe = pipe_with(unet, model=called_through(unet[0], predict))
    hook = Recorder()
    made = run(pipe, segs_of(LEFT, RIGHT), TOGETHER, cfg=1.0, detailer_hook=hook)[0]
    assert len(sizes) == 4 and set(sizes) == {(16, 16)}  # 2 steps; 128 pixels of each 32 x 32 crop
    assert hook.names.count("post_paste") == 1 and hook.all("post_encode")[0]["samples"].shape[-2:] == (16, 26)
    reach = near(mask_of(*SEGS_SIZE, LEFT, RIGHT), 4)
    assert unchanged_outside(made, picture(*SEGS_SIZE), reach)
    for x1, y1, x2, y2 in (LEFT, RIGHT):
        assert not torch.equal(made[:, y1:y2, x1:x2], picture(*SEGS_SIZE)[:, y1:y2, x1:x2])


def test_each_part_has_its_own_text(unet: Pipe) -> None:
    """Another text for the right part changes that, and the left one only where its crop reaches."""
    pipe = pipe_with(unet, clip=text_encoder())
    left, right = (20, 24, 36, 40), (48, 24, 64, 40)
    first, second = (
        run(pipe, segs_of(left, right), TOGETHER, wildcard_opt=f"[ASC] a cat [SEP] {text}")[0]
        for text in ("a dog", "stone")
    )
    change = (first - second).abs().amax(dim=(0, 3))
    assert change[24:40, 48:64].max() > 10 * change[24:40, 20:28].max()


def test_corners_that_no_part_covers(unet: Pipe) -> None:
    """Sampled whole, without noise mask: what lies in no crop goes by the pipe's own prompt."""
    diagonal = segs_of((24, 24, 40, 40), (48, 44, 64, 60))
    made = run(unet, diagonal, TOGETHER, noise_mask=False)[0]
    assert torch.isfinite(made).all() and not torch.equal(made, picture(*SEGS_SIZE))


def test_with_inpaint_model_it_says_that_they_go_one_by_one(told: pytest.LogCaptureFixture) -> None:
    pipe = next(one for one in FAMILIES if one.name == "flux fill").pipe
    made = [run(pipe, segs_of(LEFT, RIGHT), options, inpaint_model=True, cfg=1.0)[0] for options in (TOGETHER, APART)]
    assert torch.equal(*made)
    assert len([line for line in told.messages if "that overlap are sampled one by one" in line]) == 1


def test_weights_are_one_together() -> None:
    cells = Size(20, 30)
    regions = [Region(0, 0, 18, 20), Region(10, 0, 30, 12), Region(10, 8, 30, 20)]
    total = torch.zeros(*cells)
    for region, weight in zip(regions, weights(regions, cells), strict=True):
        assert weight.shape == tuple(region.size) and weight.min() > 0
        total[region.slices] += weight
    torch.testing.assert_close(total, torch.ones(*cells))


@pytest.mark.usefixtures("remembers")
def test_the_memory_knows_the_parts(unet: Pipe) -> None:
    """What is the same comes from it; another text of the second part does not."""
    pipe, segs = pipe_with(unet, clip=text_encoder()), segs_of(LEFT, RIGHT)
    text = "[ASC] a cat [SEP] {}"
    first = run(pipe, segs, TOGETHER, wildcard_opt=text.format("a dog"))[0]
    assert len(memory) == 1
    assert torch.equal(run(pipe, segs, TOGETHER, wildcard_opt=text.format("a dog"))[0], first) and len(memory) == 1
    assert not torch.equal(run(pipe, segs, TOGETHER, wildcard_opt=text.format("stone"))[0], first)
    assert len(memory) == 2
