"""Memory that runs out where nothing is sampled: once more with what is free then, else the segment is named."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from engine.running import Recorder, detail
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer import host
from mask_detailer.detailer.pipeline import paste as pasting
from mask_detailer.detailer.pipeline import plan as planning
from mask_detailer.detailer.pipeline import run as running

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
]  # fmt: skip
PLACES: dict[str, tuple[Any, str, str]] = {
    "planning": (planning, "_crop", "segment 2: planning"),
    "cutting": (running, "cut", "segment 2: cutting"),
    "the paste mask": (pasting, "paste_mask", "segment 2: pasting"),
    "blending": (pasting, "seamless", "segment 2: pasting"),
    "pasting": (pasting, "paste_", "segment 2: pasting"),
    "collecting": (pasting.Canvas, "detailed", "collecting"),
}


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    freed: list[int] = []
    monkeypatch.setattr(host.devices, "free_memory", lambda: freed.append(1))
    return freed


def failing(monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException, times: int) -> list[int]:
    """The place fails from its second call on (of which it has but one: the first), so many times."""
    where, name, _ = PLACES[place]
    own, calls = getattr(where, name), [0]
    first = 1 if name == "detailed" else 2

    def called(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if name == "paste_" and first <= calls[0] < first + times:
            own(*arguments, **named)  # the picture is half done when it fails
        if first <= calls[0] < first + times:
            raise error
        return own(*arguments, **named)

    monkeypatch.setattr(where, name, called)
    return calls


def warned(told: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in told.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", PLACES)
def test_it_is_tried_once_more(
    unet: Pipe, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture, freed: list[int], place: str,
    error: BaseException,
) -> None:  # fmt: skip
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)
    wanted = detail(image, mask, unet)
    told.clear()
    failing(monkeypatch, place, error, 1)
    made = detail(image, mask, unet)
    assert torch.equal(made.image, wanted.image)
    assert len(made.refined) == len(wanted.refined) == 2
    assert freed == [1]
    (line,) = warned(told)
    assert line.startswith(PLACES[place][2]) and "trying once more" in line


@pytest.mark.parametrize("place", PLACES)
def test_the_second_time_the_segment_is_named(
    unet: Pipe, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture, freed: list[int], place: str
) -> None:
    image = picture(*SIZE)
    given = image.clone()
    failing(monkeypatch, place, ERRORS[0], 2)
    with pytest.raises(torch.OutOfMemoryError) as raised:
        detail(image, mask_of(*SIZE, UPPER, LOWER), unet)
    assert raised.value is ERRORS[0]
    assert torch.equal(image, given)
    _, second = warned(told)
    assert second.startswith(PLACES[place][2]) and "more memory than there is" in second


@pytest.mark.parametrize("place", PLACES)
def test_other_errors_are_raised_at_once(
    unet: Pipe, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture, freed: list[int], place: str
) -> None:
    error = ValueError("another matter")
    failing(monkeypatch, place, error, 1)
    with pytest.raises(ValueError, match="another matter") as raised:
        detail(picture(*SIZE), mask_of(*SIZE, UPPER, LOWER), unet)
    assert raised.value is error and not freed and not warned(told)


def test_a_hook_that_runs_out_sees_the_picture_pasted_once(unet: Pipe, freed: list[int]) -> None:
    class Greedy(Recorder):
        calls = 0

        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 2:
                raise MemoryError
            return super().post_paste(image)

    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)
    hook = Greedy()
    assert torch.equal(detail(image, mask, unet, detailer_hook=hook).image, detail(image, mask, unet).image)
    assert (hook.calls, freed) == (3, [1])


def test_the_interrupt_of_older_releases_is_not_taken_for_a_failed_batch(
    unet: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it is an ordinary error, and several crops at once would be tried again one by one."""
    import comfy.model_management

    class OlderInterruptError(Exception):
        pass

    calls: list[int] = []

    def stopped(*_: Any) -> None:
        calls.append(1)
        raise OlderInterruptError

    monkeypatch.setattr(comfy.model_management, "InterruptProcessingException", OlderInterruptError)
    monkeypatch.setattr(running, "sample", stopped)
    with pytest.raises(OlderInterruptError):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER, LOWER), unet)
    assert calls == [1]
