"""Clips: what is finished is made once, parts are chosen by number, corrections hold over all frames, all is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import comfy.model_management
import numpy as np
import pytest
import torch
from engine.families import FAMILIES
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.running import SMALL, same
from engine.test_live import Server, server  # noqa: F401 - a fixture
from engine.test_moving_clips import WIDGETS, node
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer.options import ColourOptions, DetailOptions
from mask_detailer.detailer.pipeline.remembered import memory
from mask_detailer.nodes.detailers import MaskDetailerPipe
from support.calls import counted

SIZE, FRAMES = (64, 136), 5
BOXES = (12, 24, 36, 48), (92, 20, 112, 40)  # the parts in the order of work
PLAIN = {name: value for name, value in WIDGETS.items() if name != "feather"} | {"feather": 3}


class Made(NamedTuple):
    outputs: Any
    calls: int

    @property
    def image(self) -> torch.Tensor:
        return self.outputs[0]


@pytest.fixture(scope="module")
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    """A picture that moves by half a pixel a frame, with two parts."""
    large = picture(2 * SIZE[0], 2 * SIZE[1], 1)
    mask = mask_of(2 * SIZE[0], 2 * SIZE[1], *((2 * x1, 2 * y1, 2 * x2, 2 * y2) for x1, y1, x2, y2 in BOXES))
    frames = [
        torch.roll(large, i, 2).unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean(dim=(2, 4)) for i in range(FRAMES)
    ]
    masks = [torch.roll(mask, i, 2).unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).amax(dim=(2, 4)) for i in range(FRAMES)]
    return torch.cat(frames), torch.cat(masks)


def run(clip: Any, pipe: Any, **changes: Any) -> Made:
    image, masks = clip
    with counted() as calls:
        outputs = node("MaskDetailerClip").doit(image=image, basic_pipe=pipe, **({"mask": masks} | PLAIN | changes))
    return Made(outputs, calls.items)


def afresh(*given: Any, **changes: Any) -> Made:
    bound, memory.bound = memory.bound, 0
    try:
        return run(*given, **changes)
    finally:
        memory.bound = bound


def chosen(**choices: Any) -> str:
    return json.dumps({name.strip("_"): choice for name, choice in choices.items()})


@pytest.fixture(scope="module")
def wan() -> Any:
    return next(family for family in FAMILIES if family.name == "wan").pipe


@pytest.fixture(params=["image", "video"])
def pipe(request: pytest.FixtureRequest, unet: Pipe, wan: Any) -> Any:
    return unet if request.param == "image" else wan


COLOUR = DetailOptions(colour=ColourOptions("covariance"))


@pytest.mark.usefixtures("remembers")
@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("image", DetailOptions()),
        ("video", COLOUR),
        pytest.param("image", COLOUR, marks=pytest.mark.slow),
        pytest.param("video", DetailOptions(), marks=pytest.mark.slow),
    ],
    ids=["image", "video, colour", "image, colour", "video"],
)
def test_a_part_that_is_the_same_is_made_once(
    unet: Pipe, wan: Any, clip: Any, family: str, options: DetailOptions
) -> None:
    pipe = unet if family == "image" else wan
    first = run(clip, pipe, detail_options=options)
    again = run(clip, pipe, detail_options=options)
    assert again.calls == 0 and same(again.outputs, first.outputs)
    changed = run(clip, pipe, detail_options=options, choices=chosen(_2={"seed": 4711}))
    assert changed.calls * 2 == first.calls  # the other part's
    assert torch.equal(changed.outputs[2][0], first.outputs[2][0])
    assert not torch.equal(changed.outputs[2][1], first.outputs[2][1])
    assert same(changed.outputs, afresh(clip, pipe, detail_options=options, choices=chosen(_2={"seed": 4711})).outputs)


@pytest.mark.slow
@pytest.mark.usefixtures("remembers")
def test_other_spans_are_other_results(wan: Any, clip: Any) -> None:
    first = run(clip, wan, span=5, overlap=1)
    assert run(clip, wan, span=5, overlap=4).calls > 0 and run(clip, wan, span=5, overlap=1).calls == 0 < first.calls


@pytest.mark.usefixtures("remembers")
def test_what_an_interrupted_run_has_finished_is_kept(unet: Pipe, clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from comfy.model_base import BaseModel

    whole, real = afresh(clip, unet), BaseModel._apply_model
    done = [0]

    def stopping(self: Any, *given: Any, **named: Any) -> torch.Tensor:
        done[0] += 1
        if done[0] == 2 * (FRAMES + 2) + 1:  # two steps a frame: in the third frame of the second part
            comfy.model_management.interrupt_current_processing()
        return real(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(BaseModel, "_apply_model", stopping)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            run(clip, unet)
    rest = run(clip, unet)
    assert rest.calls == whole.calls * (FRAMES - 2) // (2 * FRAMES) and same(rest.outputs, whole.outputs)


def test_parts_are_chosen_by_number_and_place(unet: Pipe, clip: Any, told: pytest.LogCaptureFixture) -> None:
    plain = run(clip, unet)
    image, _ = clip
    first, second = (slice(None), slice(None), slice(0, 70)), (slice(None), slice(None), slice(70, None))
    kept = run(clip, unet, choices=chosen(_1={"keep": True}, _2={"denoise": 0.9}, _7={"seed": 1}))
    assert torch.equal(kept.image[first], image[first]) and len(kept.outputs[1]) == 1
    assert not torch.equal(kept.image[second], plain.image[second])
    assert "part 1: frames 1-5, its window" in kept.outputs[4] and "the picture is to stay" in kept.outputs[4]
    assert "no segment is found for the choices 7: they change nothing" in told.messages
    x1, y1, x2, y2 = BOXES[1]
    moved = run(clip, unet, choices=chosen(_1={"skip": True, "box": [x1 - 2, y1 + 1, x2, y2]}))
    assert torch.equal(moved.image[second], image[second]) and torch.equal(moved.image[first], plain.image[first])
    told.clear()
    several = run(clip, unet, choices=chosen(_2={"seed": 8, "candidates": 3}))  # the seed that it has anyway
    assert same(several.outputs, plain.outputs)
    assert [line for line in told.messages if "do nothing" in line] == [
        "MaskDetailerClip: in a clip these do nothing: the candidates of choices"
    ]


class Tints:
    """Puts out what it is given, tinted, as some models and VAEs do; no sampling."""

    def __init__(self, by: float = 0.12) -> None:
        self.by, self.black, self.pasted = by, 0, 0

    def get_skip_sampling(self) -> bool:
        return True

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.black:
            self.black -= 1
            return torch.zeros_like(pixels)
        return (pixels * 0.9 + self.by).clamp(0, 1)


@pytest.mark.parametrize("moves", [False, True])
def test_a_correction_does_not_flicker(unet: Pipe, clip: Any, moves: bool, told: pytest.LogCaptureFixture) -> None:
    """In a clip with grain every frame asks for a little another correction; a part of the same look gets one."""
    image, masks = clip
    if not moves:
        image, masks = image[:1].repeat(FRAMES, 1, 1, 1), masks[:1]
    grain = 0.03 * torch.randn(image.shape, generator=torch.Generator().manual_seed(3))
    noisy = (image + grain).clamp(0, 1), masks
    tinted, ours = (run(noisy, unet, detailer_hook=Tints(), detail_options=one) for one in (DetailOptions(), COLOUR))
    assert len([line for line in told.messages if f"(over {FRAMES} frames)" in line]) == 2
    before, off, made = (one[0] for one in (ours.outputs[1], tinted.outputs[2], ours.outputs[2]))
    assert (off - before).abs().mean() > 0.03 > 6 * (made - before).abs().mean()
    # the correction of one colour, from frame to frame, in levels
    fits = [np.polyfit(a.flatten(), b.flatten(), 1) for a, b in zip(off[..., 0], made[..., 0], strict=True)]
    middle = [255 * np.polyval(fit, 0.5) for fit in fits]
    widgets: dict[str, Any] = SMALL | {"feather": 3, "detail_options": COLOUR, "detailer_hook": Tints()}
    alone = MaskDetailerPipe().doit(*noisy, unet, **widgets)[0]
    widgets["detail_options"] = DetailOptions()
    plain = MaskDetailerPipe().doit(*noisy, unet, **widgets)[0]
    x1, y1, x2, y2 = (side + (4, 4, -4, -4)[i] for i, side in enumerate(BOXES[0]))
    pairs = [(a[y1:y2, x1:x2, 0].flatten(), b[y1:y2, x1:x2, 0].flatten()) for a, b in zip(plain, alone, strict=True)]
    each = [255 * np.polyval(np.polyfit(a, b, 1), 0.5) for a, b in pairs]
    print(f"from frame to frame the correction is off by {np.std(middle):.4f} levels, alone by {np.std(each):.4f}")
    assert np.std(middle) < 0.02 and np.std(middle) < 0.25 * np.std(each)


def test_black_frames_are_tried_again_and_the_rest_is_corrected(pipe: Any, clip: Any) -> None:
    options = DetailOptions(colour=ColourOptions("covariance"), retries=1)
    once, always = Tints(), Tints()
    once.black, always.black = 1, 2
    made = run(clip, pipe, detailer_hook=once, detail_options=options)
    assert same(made.outputs, run(clip, pipe, detailer_hook=Tints(), detail_options=options).outputs)
    left = run(clip, pipe, detailer_hook=always, detail_options=options)
    assert torch.equal(left.outputs[2][0][0], left.outputs[1][0][0])  # black both times: as it was
    assert torch.equal(left.outputs[2][1], made.outputs[2][1])


def test_the_hook_sees_each_frame_when_it_is_pasted(pipe: Any, clip: Any) -> None:
    class Marks(Tints):
        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape == (1, *SIZE, 3)
            self.pasted += 1
            image[0, 0, 0] = self.pasted / 100
            return image

    for options in (DetailOptions(), COLOUR):
        hook = Marks()
        made = run(clip, pipe, detailer_hook=hook, detail_options=options)
        assert hook.pasted == 2 * FRAMES
        assert torch.allclose(made.image[:, 0, 0, 0], torch.arange(FRAMES + 1, 2 * FRAMES + 1) / 100)


@pytest.fixture
def shown(server: Server) -> Iterator[Server]:  # noqa: F811
    yield server


def test_the_browser_is_told_by_track_and_span(unet: Pipe, wan: Any, clip: Any, shown: Server) -> None:
    run(clip, unet, crop_batch=4, choices=chosen(_9={"keep": True}))
    a_step = ["step"] * SMALL["steps"]
    a_part = ["begun", *a_step, "begun", *a_step, "done"]
    assert [data["what"] for data in shown.sent] == ["started", "planned", "lost", *a_part * 2, "ended"]
    (planned,) = shown.told("planned")
    facts = [(one["number"], one["frames"], one["seed"], one["skipped"]) for one in planned["segments"]]
    assert facts == [(1, [1, 5], "7", None), (2, [1, 5], "8", None)]
    assert all(len(one["before"]) > 100 for one in planned["segments"])
    assert [tuple(one["box"]) for one in planned["segments"]] == list(BOXES)
    begun = [one for data in shown.told("begun") for one in data["segments"]]
    assert [(one["number"], one["span"], one["spans"]) for one in begun] == [
        (1, "1", 2),
        (1, "2", 2),
        (2, "1", 2),
        (2, "2", 2),
    ]
    shown.sent.clear()
    run(clip, wan, choices=chosen(_1={"keep": True}))
    assert [data["what"] for data in shown.sent] == ["started", "planned", "kept", "begun", *a_step, "done", "ended"]
