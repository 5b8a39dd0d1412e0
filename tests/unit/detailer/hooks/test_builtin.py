"""The hooks we ship, as far as they need no ComfyUI: what each makes of what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mask_detailer.core import SEG
from mask_detailer.detailer import host
from mask_detailer.detailer.hooks import builtin
from mask_detailer.detailer.hooks.builtin import (
    CombinedHook,
    CycleRamp,
    DenoiseScheduleHook,
    LabelFilterHook,
    NoiseInjectionHook,
    OrderedFilterHook,
    PreviewHook,
    RangeFilterHook,
)
from mask_detailer.detailer.values import KSampleCall
from PIL import Image

LATENT: Any = {"samples": torch.zeros(1, 4, 2, 2), "kept": "as it is"}
CALL = KSampleCall(None, 1, 20, 7.0, "euler", "normal", [], [], LATENT, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("skip_start", "cycles", "wanted"),
    [
        (False, 1, [(0, 2.0)]),
        (False, 4, [(0, 2.0), (1, 1.75), (2, 1.5), (3, 1.25)]),
        (True, 1, [None]),
        (True, 2, [None, (0, 2.0)]),
        (True, 3, [None, (0, 2.0), (1, 1.5)]),
    ],
)
def test_ramp(skip_start: bool, cycles: int, wanted: list[tuple[int, float] | None]) -> None:
    ramp = CycleRamp(2.0, 1.0, skip_start)
    assert [ramp.at(cycle, cycles) for cycle in range(cycles)] == wanted


def test_ramp_before_any_cycle() -> None:
    assert CycleRamp(2.0, 1.0, False).at(0, 0) == (0, 2.0)
    assert CycleRamp(2.0, 1.0, True).at(0, 0) is None


@pytest.mark.parametrize(
    ("target", "cycles", "wanted"),
    [(0.3, 3, [0.5, 0.4, 0.3]), (1.0, 2, [0.5, 1.0]), (0.0, 1, [0.5]), (0.25, 5, [0.5, 0.4375, 0.375, 0.3125, 0.25])],
)
def test_denoise_of_each_cycle(target: float, cycles: int, wanted: list[float]) -> None:
    hook = DenoiseScheduleHook(target)
    assert hook.pre_ksample(*CALL)[-1] == 0.5  # before any cycle
    for cycle, denoise in enumerate(wanted):
        hook.set_steps((cycle, cycles))
        *others, made = hook.pre_ksample(*CALL)
        assert made == pytest.approx(denoise)
        assert tuple(others) == CALL[:-1]


def test_injected_noise_is_the_seeds_and_two_higher_each_time() -> None:
    hook = NoiseInjectionHook("CPU", 2**64 - 2, CycleRamp(2.0, 1.0, False))
    for cycle, (seed, strength) in enumerate([(2**64 - 2, 2.0), (0, 1.5)]):
        hook.set_steps((cycle, 2))
        given = hook.cycle_latent(LATENT)
        noise = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(given["samples"], strength * noise)
        assert given["kept"] == "as it is"
    assert torch.equal(LATENT["samples"], torch.zeros(1, 4, 2, 2))


def seg(x1: int, y1: int, x2: int, y2: int, label: str) -> SEG:
    return SEG(None, torch.ones(y2 - y1, x2 - x1).numpy(), 1.0, [x1, y1, x2, y2], [x1, y1, x2, y2], label, None)


SEGS: Any = ((40, 40), [seg(0, 0, 10, 10, "eye"), seg(5, 5, 25, 25, "face"), seg(0, 20, 8, 40, "hand")])


@pytest.mark.parametrize(
    ("hook", "left"),
    [
        (OrderedFilterHook("area(=w*h)", True, 0, 2), ["face", "hand"]),
        (OrderedFilterHook("area(=w*h)", False, 1, 2), ["hand", "face"]),
        (RangeFilterHook("width", True, 9, 10), ["eye"]),
        (RangeFilterHook("width", False, 9, 10), ["face", "hand"]),
        (LabelFilterHook(["hand", "eye"]), ["eye", "hand"]),
        (CombinedHook(OrderedFilterHook("area(=w*h)", True, 0, 2), LabelFilterHook(["hand", "eye"])), ["hand"]),
        (CombinedHook(LabelFilterHook(["hand", "eye"]), OrderedFilterHook("area(=w*h)", True, 0, 2)), ["hand", "eye"]),
    ],
)
def test_filters(hook: Any, left: list[str]) -> None:
    size, kept = hook.post_detection(SEGS)
    assert size == (40, 40)
    assert [one.label for one in kept] == left


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The events, while ``tmp_path`` is the folder of what is shown."""
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(host.server, "send_event", lambda event, data: sent.append((event, data)))
    monkeypatch.setattr(host.folders, "temp_folder", lambda name: tmp_path)
    return sent


def test_the_first_picture_is_shown_and_stays(sent: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    image = torch.zeros(3, 6, 4, 4)
    image[0, ..., 0], image[1:] = 2.0, 0.5  # beyond 0..1 it is cut off
    before = image.clone()
    assert PreviewHook("3:12", 95).post_paste(image) is image
    assert torch.equal(image, before)
    assert sent == [
        (
            "impact-preview",
            {"node_id": "3:12", "item": {"filename": "3_12.webp", "subfolder": "pvhook", "type": "temp"}},
        )
    ]
    with Image.open(tmp_path / "3_12.webp") as shown:
        assert (shown.format, shown.size, getattr(shown, "n_frames", 1)) == ("WEBP", (4, 6), 1)
        red, green, blue = (band[0] for band in shown.convert("RGB").getextrema())
    assert red > 240 and green < 20 and blue < 20


def test_what_no_webp_holds_is_shown_smaller(
    sent: list[tuple[str, dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "LARGEST_WEBP", 20)
    PreviewHook("1", 80).post_paste(torch.rand(1, 10, 50, 3))
    with Image.open(tmp_path / "1.webp") as shown:
        assert shown.size == (20, 4)


def test_names_of_files_hold_nothing_odd(sent: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    PreviewHook("../a b:2", 80).post_paste(torch.rand(1, 8, 8, 3))
    assert [path.name for path in tmp_path.iterdir()] == [".._a_b_2.webp"]


def test_override_is_there_where_one_has_it() -> None:
    class Overriding:
        override_bbox_by_segm = "whatever"

    assert not hasattr(CombinedHook(object(), None), "override_bbox_by_segm")
    assert CombinedHook(object(), Overriding(), None).override_bbox_by_segm == "whatever"  # type: ignore[attr-defined]
