"""How many crops go at once where the node leaves it open."""

from __future__ import annotations

from typing import Any

import pytest
from mask_detailer.core import Size
from mask_detailer.detailer import host
from mask_detailer.detailer.pipeline.batching import crops_at_once


@pytest.mark.parametrize(
    ("room", "on_cpu", "side", "wanted"),
    [
        (7, False, 64, 7),
        (100, False, 64, 16),  # more win nothing
        (100, False, 8, 16),
        (0, False, 64, 1),  # one must do
        (100, True, 16, 8),  # 2048 cells are near a CPU's caches
        (100, True, 46, 1),
        (100, True, 32, 2),
        (3, True, 16, 3),
        (1000, True, 4, 128),
    ],
)
def test_as_many_as_fit_and_as_win(
    monkeypatch: pytest.MonkeyPatch, room: int, on_cpu: bool, side: int, wanted: int
) -> None:
    model: Any = object()
    cells = Size(side, side)
    asked: list[Any] = []
    monkeypatch.setattr(host.devices, "samples_on_cpu", lambda asked_model: on_cpu)
    monkeypatch.setattr(host.devices, "room_for", lambda *given: asked.append(given) or room)
    assert crops_at_once(model, cells) == wanted
    assert asked == [(model, cells)]
