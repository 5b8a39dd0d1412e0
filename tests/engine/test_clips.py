"""A clip whose conditioning, hints or masks have an item for each frame: frame i has item i, as when it comes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine.families import FAMILIES, prompt
from engine.running import detail, do_detail
from engine.tiny_models import Pipe, mask_of, picture, pooled_prompt, tiny_control_net
from mask_detailer.core import mask_to_segs
from mask_detailer.nodes import NODE_CLASS_MAPPINGS

SIZE, FRAMES = (96, 112), 3
BATCHES = pytest.mark.parametrize("crop_batch", [1, 0])
NEAR = 1e-3


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    return torch.cat([picture(*SIZE, seed) for seed in range(FRAMES)])


@pytest.fixture(scope="module")
def hints() -> torch.Tensor:
    return torch.cat([((picture(*SIZE, 20 + seed) - 0.5) * 4 + 0.5).clamp(0, 1) for seed in range(FRAMES)])


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("net"))


MASK = mask_of(*SIZE, (20, 20, 50, 50))


def core(name: str, *arguments: Any) -> Any:
    """One of ComfyUI's own nodes."""
    import nodes

    kind = nodes.NODE_CLASS_MAPPINGS[name]
    return getattr(kind(), kind.FUNCTION)(*arguments)


def expect(clip: torch.Tensor, with_items: Callable[[slice], Pipe], crop_batch: int, **widgets: Any) -> None:
    """The clip with all items equals its frames, each with its own item; and no frame equals that with another item."""
    together = detail(clip, MASK, with_items(slice(None)), crop_batch=crop_batch, **widgets).image
    for frame in range(FRAMES):
        part = slice(frame, frame + 1)
        alone = detail(clip[part], MASK, with_items(part), **widgets).image
        assert float((together[part] - alone).abs().max()) < NEAR, frame
        other = (frame + 1) % FRAMES
        swapped = detail(clip[part], MASK, with_items(slice(other, other + 1)), **widgets).image
        assert float((swapped - alone).abs().max()) > 2 * NEAR, frame


@BATCHES
def test_prompts(unet: Pipe, clip: torch.Tensor, crop_batch: int) -> None:
    tokens = torch.cat([prompt(60 + frame)[0][0] for frame in range(FRAMES)])
    expect(clip, lambda part: (*unet[:3], [[tokens[part], {}]], unet[4]), crop_batch)


@BATCHES
def test_negatives_and_pooled_outputs(clip: torch.Tensor, crop_batch: int) -> None:
    pipe = next(family for family in FAMILIES if family.name == "sd3 flow").pipe
    prompts = [pooled_prompt(30 + frame)[0] for frame in range(FRAMES)]
    tokens = torch.cat([embedding for embedding, _ in prompts])
    pooled = torch.cat([options["pooled_output"] for _, options in prompts])

    def with_items(part: slice) -> Any:
        return (*pipe[:4], [[tokens[part], {"pooled_output": pooled[part]}]])

    expect(clip, with_items, crop_batch, cfg=5.0)


@BATCHES
def test_region_masks(unet: Pipe, clip: torch.Tensor, crop_batch: int) -> None:
    boxes = [(0, 0, 112, 96), (0, 0, 35, 96), (35, 0, 112, 96)]
    masks = torch.cat([mask_of(*SIZE, box) for box in boxes])
    first, second = prompt(60), prompt(61)

    def with_items(part: slice) -> Any:
        here = core("ConditioningSetMask", first, masks[part], "default", 1.0)[0]
        there = core("ConditioningSetMask", second, 1 - masks[part], "default", 1.0)[0]
        return (*unet[:3], here + there, unet[4])

    expect(clip, with_items, crop_batch)


@BATCHES
def test_hints_in_the_conditioning(
    unet: Pipe, clip: torch.Tensor, hints: torch.Tensor, net: Any, crop_batch: int
) -> None:
    def with_items(part: slice) -> Any:
        return (*unet[:3], *core("ControlNetApplyAdvanced", unet[3], unet[4], net, hints[part], 1.0, 0.0, 1.0))

    expect(clip, with_items, crop_batch)


@BATCHES
def test_inpaint_content(clip: torch.Tensor, crop_batch: int) -> None:
    """InpaintModelConditioning of the whole frames."""
    pipe = next(family for family in FAMILIES if family.name == "sd1 inpaint").pipe
    contents = torch.cat([picture(*SIZE, 40 + frame) for frame in range(FRAMES)])
    masks = torch.cat([mask_of(*SIZE, (10 + 20 * frame, 10, 60 + 10 * frame, 70)) for frame in range(FRAMES)])

    def with_items(part: slice) -> Any:
        positive, negative, _ = core(
            "InpaintModelConditioning", pipe[3], pipe[4], contents[part], pipe[2], masks[part], True
        )
        return (*pipe[:3], positive, negative)

    expect(clip, with_items, crop_batch)


@BATCHES
def test_references(clip: torch.Tensor, crop_batch: int) -> None:
    pipe = next(family for family in FAMILIES if family.name == "flux kontext").pipe
    ((tokens, options),) = pipe[3]
    encoded = pipe[2].encode(torch.cat([picture(*SIZE, 50 + frame) for frame in range(FRAMES)]))

    def with_items(part: slice) -> Any:
        return (*pipe[:3], [[tokens, {**options, "reference_latents": [encoded[part]]}]], pipe[4])

    expect(clip, with_items, crop_batch, cfg=1.0)


def applied(net: Any, hints: torch.Tensor) -> Any:
    segs = mask_to_segs(MASK, True, 2.0, False, 2)
    return NODE_CLASS_MAPPINGS["ImpactControlNetApplyAdvancedSEGS"]().doit(
        segs=segs, control_net=net, strength=1.0, start_percent=0.0, end_percent=1.0, control_image=hints
    )[0]


@BATCHES
def test_hints_in_segs(unet: Pipe, clip: torch.Tensor, hints: torch.Tensor, net: Any, crop_batch: int) -> None:
    together = do_detail(clip, applied(net, hints), unet, crop_batch=crop_batch)[0]
    for frame in range(FRAMES):
        part = slice(frame, frame + 1)
        alone = do_detail(clip[part], applied(net, hints[part]), unet)[0]
        assert float((together[part] - alone).abs().max()) < NEAR
        first = do_detail(clip[part], applied(net, hints[:1]), unet)[0]
        assert frame == 0 or float((first - alone).abs().max()) > 2 * NEAR


def test_variants_have_the_item_of_their_frame(unet: Pipe, clip: torch.Tensor) -> None:
    tokens = torch.cat([prompt(60 + frame)[0][0] for frame in range(FRAMES)])
    made = detail(clip, MASK, (*unet[:3], [[tokens, {}]], unet[4]), batch_size=2).image
    alone = detail(clip[1:2], MASK, (*unet[:3], [[tokens[1:2], {}]], unet[4]), batch_size=2).image
    assert torch.allclose(made[[1, 4]], alone, atol=NEAR)


@pytest.mark.parametrize("what", ["prompt", "mask", "hint", "segs"])
def test_another_number_of_items_is_an_error_with_both(
    unet: Pipe, clip: torch.Tensor, hints: torch.Tensor, net: Any, what: str
) -> None:
    two = torch.cat([prompt(60)[0][0], prompt(61)[0][0]])
    positive: Any = unet[3]
    if what == "prompt":
        positive = [[two, {}]]
    elif what == "mask":
        positive = core("ConditioningSetMask", unet[3], MASK.repeat(2, 1, 1), "default", 1.0)[0]
    elif what == "hint":
        positive = core("ControlNetApplyAdvanced", unet[3], unet[4], net, hints[:2], 1.0, 0.0, 1.0)[0]
    with pytest.raises(ValueError, match="2 items for 3 pictures"):
        if what == "segs":
            do_detail(clip, applied(net, hints[:2]), unet)
        else:
            detail(clip, MASK, (*unet[:3], positive, unet[4]))


def test_one_picture_takes_the_first_item_as_ComfyUI_does(unet: Pipe, clip: torch.Tensor) -> None:
    two = torch.cat([prompt(60)[0][0], prompt(61)[0][0]])
    made = detail(clip[:1], MASK, (*unet[:3], [[two, {}]], unet[4])).image
    first = detail(clip[:1], MASK, (*unet[:3], [[two[:1], {}]], unet[4])).image
    assert torch.equal(made, first)
