"""ControlNets on conditioning: what ComfyUI's nodes are given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mask_detailer.detailer.host import control_net
from mask_detailer.detailer.host.control_net import Steering, with_control_net

HINT = torch.zeros(1, 8, 8, 3)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    arguments: list[Any] = []

    class Applied:
        FUNCTION = "apply"

        def apply(self, positive: Any, negative: Any, *others: Any) -> Any:
            arguments.append((positive, negative, *others))
            return "steered positive", "steered negative"

    monkeypatch.setattr(control_net, "node_class", lambda module, name: Applied)
    return arguments


def test_both_conditionings(given: list[Any]) -> None:
    steering: Any = Steering("net", 0.5, 0.1, 0.9)
    assert with_control_net("p", [], HINT, steering) == ("steered positive", "steered negative")
    assert given == [("p", [], "net", HINT, 0.5, 0.1, 0.9)]  # older releases have no place for a VAE


def test_a_vae(given: list[Any]) -> None:
    with_control_net([], [], HINT, Steering("net", 0.5, vae="vae"))
    assert given == [([], [], "net", HINT, 0.5, 0.0, 1.0, "vae")]


def test_a_placeholder_is_passed_on(given: list[Any]) -> None:
    assert with_control_net([], "placeholder", HINT, Steering("net", 1.0)) == ("steered positive", "placeholder")
    assert given[0][1] == []
