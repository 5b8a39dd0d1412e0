"""How many crops fit into memory, by ComfyUI's figures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.host import devices

GB = 2**30
CELLS = Size(64, 96)


class Model:
    """A model of 6 GB whose batch needs a quarter of a GB for each crop of 64 x 96 cells."""

    def __init__(self, device: str) -> None:
        self.load_device = torch.device(device)
        self.asked: list[list[int]] = []
        self.model = SimpleNamespace(memory_required=self._required)

    def model_size(self) -> int:
        return 6 * GB

    def _required(self, shape: list[int]) -> float:
        self.asked.append(shape)
        return shape[0] * shape[2] * shape[3] / (2 * 64 * 96) * GB / 4


@pytest.fixture
def memory(comfy: Any) -> dict[str, Any]:
    """A card of 24 GB of which ComfyUI keeps 1 GB back, or 10 GB of the system's memory."""
    figures: dict[str, Any] = {"total": 24 * GB, "kept": GB, "free": 10 * GB}
    comfy(
        "model_management",
        is_device_cpu=lambda device: device.type == "cpu",
        is_device_mps=lambda device: device.type == "mps",
        get_total_memory=lambda device: figures["total"],
        minimum_inference_memory=lambda: figures["kept"],
        get_free_memory=lambda device: figures["free"],
    )
    return figures


def test_a_card_has_room_beside_the_model_and_what_is_kept_back(memory: dict[str, Any]) -> None:
    model: Any = Model("cuda")
    assert devices.room_for(model, CELLS) == (24 - 1 - 6) * 4
    assert model.asked == [[2, 4, 64, 96]]  # with and without the prompt
    assert devices.room_for(model, Size(128, 96)) == (24 - 1 - 6) * 2
    memory["kept"] = 3 * GB
    assert devices.room_for(model, CELLS) == (24 - 3 - 6) * 4


def test_a_card_that_the_model_fills_has_no_room(memory: dict[str, Any]) -> None:
    memory["total"] = 5 * GB
    assert devices.room_for(Model("cuda"), CELLS) == 0


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_half_of_the_systems_memory_counts(memory: dict[str, Any], device: str) -> None:
    assert devices.room_for(Model(device), CELLS) == 10 // 2 * 4


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_where_it_is_sampled(memory: dict[str, Any], device: str) -> None:
    assert devices.samples_on_cpu(Model(device)) is (device == "cpu")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("could not allocate memory"), True),
        (RuntimeError("CUDA error: an illegal memory access"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(comfy: Any, error: Exception, wanted: bool) -> None:
    comfy("model_management", OOM_EXCEPTION=Exception)  # as on a back end without an error type of its own
    assert devices.is_out_of_memory(error) is wanted


def test_the_back_ends_own_error(comfy: Any) -> None:
    class OwnError(Exception):
        pass

    comfy("model_management", OOM_EXCEPTION=OwnError)
    assert devices.is_out_of_memory(OwnError())
