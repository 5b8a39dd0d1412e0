"""Interrupts, memory that runs out, and models that give no picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import pytest
import torch
from engine.running import Recorder, detail, near, pipe_with, unchanged_outside
from engine.tiny_models import Pipe, called_through, mask_of, picture, unet_pipe

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
CROP_OF_UPPER = (slice(0, 1), slice(8, 40), slice(8, 40))


class FailingVAE:
    """A real VAE of which one method goes wrong at some calls (from 1)."""

    def __init__(self, vae: Any, method: str, at: set[int], fault: Callable[[Any], Any]) -> None:
        self._vae, self._method, self._at, self._fault = vae, method, at, fault
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._vae, name)
        if name not in ("encode", "decode", "encode_tiled", "decode_tiled"):
            return attribute

        def called(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            failing = name == self._method and self.calls.count(name) in self._at
            return self._fault(arguments[0]) if failing else attribute(*arguments, **options)

        return called


def raising(error: BaseException) -> Callable[[Any], Any]:
    def fault(_: Any) -> Any:
        raise error

    return fault


def interrupting(model: Any, at: int) -> tuple[Any, list[int]]:
    """The model as a user sees it who presses stop while it predicts for the ``at``-th time; and its count of calls."""
    calls = [0]

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == at:
            comfy.model_management.interrupt_current_processing()
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model = called_through(model, predict)
    return model, calls


@pytest.mark.parametrize("at", [1, 3, 5])
def test_interrupt_stops_between_steps_and_the_next_run_is_clean(unet: Pipe, at: int) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)
    given = image.clone()
    wanted = detail(image, mask, unet, steps=3).image
    model, calls = interrupting(unet[0], at)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        detail(image, mask, pipe_with(unet, model=model), steps=3)
    assert calls == [at]
    assert torch.equal(image, given)
    assert torch.equal(detail(image, mask, unet, steps=3).image, wanted)


def test_interrupt_between_crops(unet: Pipe) -> None:
    class Stopping(Recorder):
        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            comfy.model_management.interrupt_current_processing()
            return super().post_paste(image)

    hook = Stopping()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER, LOWER), unet, detailer_hook=hook)
    assert hook.names.count("post_paste") == 1


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    MemoryError(),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.93 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["encode", "decode"])
def test_out_of_memory_is_tried_again_in_tiles(
    unet: Pipe, method: str, error: BaseException, told: pytest.LogCaptureFixture
) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER)
    vae = FailingVAE(unet[2], method, {1}, raising(error))
    made = detail(image, mask, pipe_with(unet, vae=vae))
    assert vae.calls == [*(["encode", "encode_tiled"] if method == "encode" else ["encode"]), "decode",
                         *(["decode_tiled"] if method == "decode" else [])]  # fmt: skip
    lines = [line for line in told.messages if "memory" in line]
    assert len(lines) == 1
    assert method in lines[0]
    assert "tiles" in lines[0]
    torch.testing.assert_close(made.image, detail(image, mask, unet).image, atol=1e-5, rtol=0)


def test_out_of_memory_while_encoding_for_an_inpaint_model() -> None:
    pipe = unet_pipe(0, in_channels=9)
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER)
    vae = FailingVAE(pipe[2], "encode", {2}, raising(MEMORY_ERRORS[0]))
    made = detail(image, mask, pipe_with(pipe, vae=vae), inpaint_model=True)
    assert "encode_tiled" in vae.calls
    wanted = detail(image, mask, pipe, inpaint_model=True)
    torch.testing.assert_close(made.image, wanted.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["encode", "decode"])
def test_tiles_are_tried_once(unet: Pipe, method: str) -> None:
    vae = FailingVAE(unet[2], method, {1}, raising(MEMORY_ERRORS[0]))
    tiled = FailingVAE(vae, f"{method}_tiled", {1}, raising(MEMORY_ERRORS[0]))
    with pytest.raises(torch.OutOfMemoryError):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER), pipe_with(unet, vae=tiled))


@pytest.mark.parametrize("method", ["encode", "decode"])
@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError("an illegal memory access")]
)
def test_other_errors_are_not_hidden(unet: Pipe, method: str, error: RuntimeError) -> None:
    vae = FailingVAE(unet[2], method, {1}, raising(error))
    with pytest.raises(RuntimeError) as raised:
        detail(picture(*SIZE), mask_of(*SIZE, UPPER), pipe_with(unet, vae=vae))
    assert raised.value is error
    assert vae.calls[-1] == method


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_picture_that_is_not_finite_keeps_its_crop(unet: Pipe, value: float, told: pytest.LogCaptureFixture) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)  # the lower one is worked on first
    vae = FailingVAE(
        unet[2], "decode", {2}, lambda latent: torch.full((1, latent.shape[-2] * 8, latent.shape[-1] * 8, 3), value)
    )
    made = detail(image, mask, pipe_with(unet, vae=vae))
    assert torch.equal(made.image[CROP_OF_UPPER], image[CROP_OF_UPPER])
    assert unchanged_outside(made.image, image, near(mask_of(*SIZE, LOWER), 4))
    assert not torch.equal(made.image, image)
    assert len(made.refined) == 1
    warnings = [record.message for record in told.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("segment 2: ")
    assert "kept" in warnings[0]
