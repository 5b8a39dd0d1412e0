"""What is told of segments, from plain values: live pictures and hooks know nothing of the pipeline."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.core import Region, Size
from mask_detailer.detailer import live

DETAILER = Path(live.__file__).parent
BELOW = [*sorted((DETAILER / "hooks").glob("*.py")), DETAILER / "live.py", DETAILER / "picker.py"]


@pytest.mark.parametrize("file", BELOW, ids=lambda file: file.name)
def test_nothing_here_climbs_to_the_pipeline(file: Path) -> None:
    for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(part, ast.ImportFrom):
            assert "pipeline" not in str(part.module).split(".")
            assert "pipeline" not in {name.name for name in part.names}


class Browser:
    is_connected = True
    client, workflow, node, prompt_id = "page", "workflow", "5", "prompt"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, event: str, data: dict[str, Any]) -> None:
        assert event == "mask_detailer.live"
        self.sent.append(data)


class Planned(SimpleNamespace):
    """A plan as far as it is shown."""

    def own_image(self) -> torch.Tensor | None:
        return self.own


def crop(number: int, **changes: Any) -> Planned:
    facts: dict[str, Any] = dict(
        number=number, seg=SimpleNamespace(label="x" * 99, bbox=(3, 2, 5, 8)), region=Region(2, 1, 6, 9),
        working=Size(64, 128), seed=2**64 - number, skipped=None, kept=False, own=None, frames=None,
    )  # fmt: skip
    return Planned(**(facts | changes))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[live.Live, list[dict[str, Any]]]:
    """With the sizes of pictures for thumbnails."""
    monkeypatch.setattr(live, "thumbnail", lambda picture: tuple(picture.shape[1:3]))
    browser = Browser()
    return live.Live(browser, 2), browser.sent  # type: ignore[arg-type]


def test_what_is_planned(watched: tuple[live.Live, list[dict[str, Any]]]) -> None:
    told, sent = watched
    outside, skipped = crop(2, region=Region(0, 0, 0, 0), skipped="outside"), crop(3, skipped="too large")
    own = crop(4, own=torch.zeros(1, 5, 7, 3), region=Region(-2, -2, 3, 50))
    plan = SimpleNamespace(crops=(crop(1), outside, skipped, own))
    for own_images in (False, True):
        told.planned(1, plan, torch.zeros(1, 20, 30, 3), own_images=own_images)
    seen = {"label": "x" * 60, "box": [3, 2, 5, 8]}
    facts = {**seen, "size": "128x64"}
    first, second = sent
    assert first == {
        "what": "planned",
        "picture": 1,
        "segments": [
            {**facts, "number": 1, "skipped": None, "seed": str(2**64 - 1), "before": (8, 4)},
            {**seen, "number": 2, "skipped": "outside"},
            {**facts, "number": 3, "skipped": "too large", "seed": str(2**64 - 3), "before": (8, 4)},
            {**facts, "number": 4, "skipped": None, "seed": str(2**64 - 4), "before": (20, 3)},
        ],
    }
    assert [segment.get("before") for segment in second["segments"]] == [(8, 4), None, (8, 4), (5, 7)]


def test_which_segments_are_worked_on(
    watched: tuple[live.Live, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, sent = watched
    monkeypatch.setattr(live.host.latents, "latent_colours", lambda model, x0, longest: x0)
    places: Any = [SimpleNamespace(picture=picture, crop=crop(number)) for picture, number in ((0, 3), (1, 1))]
    told.begun(places)
    told.step(2, 5, object(), torch.zeros(2, 4, 6, 3))  # type: ignore[arg-type]
    told.step(3, 5, object(), torch.zeros(2, 4, 6, 3))  # type: ignore[arg-type]  too soon after the one before
    told.done(places[1], lambda: torch.zeros(1, 8, 4, 3))
    told.done(SimpleNamespace(picture=1, crop=crop(2, skipped="too large")), lambda: torch.zeros(1, 8, 4, 3))
    told.ended()
    named = [{"picture": 0, "number": 3}, {"picture": 1, "number": 1}]
    seeds = [{"size": "128x64", "seed": str(2**64 - 3)}, {"size": "128x64", "seed": str(2**64 - 1)}]
    assert sent == [
        {"what": "begun", "segments": [named[0] | seeds[0], named[1] | seeds[1]]},
        {"what": "step", "step": 2, "steps": 5, "segments": [one | {"preview": (4, 6)} for one in named]},
        {"what": "done", "segments": [named[1] | seeds[1] | {"after": (8, 4)}]},
        {"what": "ended"},
    ]


def test_each_segment_has_the_preview_of_its_own_latent(
    watched: tuple[live.Live, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, sent = watched
    monkeypatch.setattr(live, "thumbnail", lambda picture: picture.tolist())
    monkeypatch.setattr(live.host.latents, "latent_colours", lambda model, x0, longest: x0)
    told.begun([SimpleNamespace(picture=0, crop=crop(number)) for number in (1, 2, 3)])
    told.step(1, 2, object(), torch.tensor([5, 6, 7]))  # type: ignore[arg-type]
    assert [(one["number"], one["preview"]) for one in sent[-1]["segments"]] == [(1, [5]), (2, [6]), (3, [7])]


def test_nothing_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "thumbnail", lambda picture: pytest.fail("made for nobody"))
    gone = Browser()
    gone.is_connected = False
    for browser in (None, gone):
        told = live.Live(browser)  # type: ignore[arg-type]
        told.planned(0, SimpleNamespace(crops=(crop(1),)), torch.zeros(1, 20, 30, 3))
        told.begun([])
        told.done(SimpleNamespace(picture=0, crop=crop(1)), lambda: torch.zeros(1, 8, 4, 3))
        told.ended()
    assert gone.sent == []
