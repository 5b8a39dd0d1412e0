"""What a segment carries as its ControlNet: chains, hints, and what is cut for each segment."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mask_detailer.detailer import host
from mask_detailer.detailer.control import (
    ControlNetWrapper,
    adapted_model,
    stored_hint,
    with_control_net,
    without_control_net,
)
from unit.build import seg

CROP = torch.full((1, 8, 8, 3), 0.5)


@pytest.fixture(autouse=True)
def applied(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """ComfyUI's part writes itself down into the conditionings."""
    calls: list[Any] = []

    def both(positive: Any, negative: Any, hint: torch.Tensor, steering: Any) -> Any:
        calls.append((hint, steering))
        return [*positive, steering.control_net], [*negative, steering.control_net]

    def on_positive(positive: Any, control_net: Any, hint: torch.Tensor, strength: float) -> Any:
        calls.append((hint, strength))
        return [*positive, control_net]

    monkeypatch.setattr(host.control_net, "with_control_net", both)
    monkeypatch.setattr(host.control_net, "with_control_net_on_positive", on_positive)
    return calls


def wrapper(net: Any = "net", strength: float = 0.5, **options: Any) -> ControlNetWrapper:
    return ControlNetWrapper(net, strength, **options)


def test_a_chain_works_from_the_first_one_set(applied: list[Any]) -> None:
    first_hint, second_hint = CROP * 0, CROP * 2
    first = wrapper("first", control_image=first_hint)
    second = wrapper("second", prev_control_net=first, control_image=second_hint, start_percent=0.1, end_percent=0.9)
    positive, negative, hints = second.apply([], [], CROP)
    assert positive == negative == ["first", "second"]
    assert [float(hint.max()) for hint in hints] == [0, 1]
    steering: Any = applied[1][1]
    assert (steering.strength, steering.start_percent, steering.end_percent) == (0.5, 0.1, 0.9)
    assert stored_hint(second) is second_hint and stored_hint(wrapper(prev_control_net=first)) is first_hint
    assert stored_hint(wrapper()) is None and stored_hint(None) is None and stored_hint("of another pack") is None


def test_the_older_way_leaves_the_negative(applied: list[Any]) -> None:
    positive, negative, _ = wrapper(positive_only=True, strength=0.3).apply([], "placeholder", CROP)
    assert (positive, negative) == (["net"], "placeholder") and applied[0][1] == 0.3


class Preprocessor:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def apply(self, image: torch.Tensor, mask: Any = None) -> torch.Tensor:
        self.asked.append((image, mask))
        return image + 1


def test_where_a_hint_comes_from(applied: list[Any]) -> None:
    mask, maker = torch.ones(1, 8, 8), Preprocessor()
    assert wrapper().apply([], [], CROP)[2] == [CROP]  # the crop itself
    (made,) = wrapper(preprocessor=maker).apply([], [], CROP, mask)[2]
    assert torch.equal(made, CROP + 1) and maker.asked == [(CROP, mask)]
    frames = torch.rand(3, 8, 8, 3)
    (given,) = wrapper(preprocessor=maker, control_image=frames).apply([], [], CROP, mask)[2]
    assert torch.equal(given, frames[:1]) and len(maker.asked) == 1  # no more frames than are sampled


def test_adapters_of_other_packs() -> None:
    class Adapter:
        def doit_ipadapter(self, model: Any) -> Any:
            return f"adapted {model}", ["picture"]

    model: Any = "model"
    assert adapted_model(Adapter(), model) == ("adapted model", ["picture"])
    assert adapted_model(wrapper(prev_control_net=wrapper(prev_control_net=Adapter())), model)[0] == "adapted model"
    assert adapted_model(None, model) == adapted_model("of another pack", model) == ("model", [])


def test_each_segment_gets_its_part_of_the_picture() -> None:
    before = wrapper("before")
    segs: Any = ((40, 60), [seg((10, 5, 30, 25)), seg((50, 30, 80, 60)), seg((70, 0, 80, 10))])
    segs[1][1] = segs[1][1]._replace(control_net_wrapper=before)
    picture = torch.rand(2, 40, 60, 4) * 3 - 1  # hints may hold more than 0..1
    size, made = with_control_net(segs, wrapper("net"), picture)
    first, second, outside = (one.control_net_wrapper for one in made)
    assert size == (40, 60)
    assert torch.equal(first.control_image, picture[:, 5:25, 10:30, :3])
    assert torch.equal(second.control_image, picture[:, 30:, 50:, :3]) and second.prev_control_net is before
    assert outside.control_image is None and first.control_net == "net"
    assert first.control_image.untyped_storage().data_ptr() != picture.untyped_storage().data_ptr()
    assert [one.control_net_wrapper for one in without_control_net((size, made))[1]] == [None] * 3


def test_a_hint_is_brought_to_the_size_of_the_segs_within_its_own_range() -> None:
    segs: Any = ((40, 60), [seg((0, 0, 60, 40))])
    board = (torch.arange(20)[:, None] // 5 + torch.arange(30) // 5) % 2 * 3.0 - 1.0
    ((made,),) = (with_control_net(segs, wrapper(), board[None, ..., None].expand(1, 20, 30, 3))[1],)
    hint = made.control_net_wrapper.control_image
    assert hint.shape == (1, 40, 60, 3) and (hint.min(), hint.max()) == (-1, 2)


def test_segs_of_no_known_size_take_it_at_its_own() -> None:
    segs: Any = ((0, 0), [seg((10, 5, 30, 25))])
    picture = torch.rand(1, 20, 30, 3)
    (made,) = with_control_net(segs, wrapper(), picture)[1]
    assert torch.equal(made.control_net_wrapper.control_image, picture[:, 5:20, 10:30])
