"""Devices, memory and the user's interrupt, as ComfyUI has them."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch

from ...core import Size
from .protocols import Model

logger = logging.getLogger("mask_detailer")

# How back ends without an error type of their own say it; "illegal memory access" is another matter.
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")


def intermediate_device() -> torch.device:
    """Where ComfyUI wants pictures, masks and latents between nodes."""
    import comfy.model_management

    return comfy.model_management.intermediate_device()


def sampling_device() -> torch.device:
    """Where ComfyUI samples: the GPU, unless there is none."""
    import comfy.model_management

    return comfy.model_management.get_torch_device()


def check_interrupted() -> None:
    """Raise ComfyUI's interrupt if the user asked for one. It must never be caught."""
    import comfy.model_management

    comfy.model_management.throw_exception_if_processing_interrupted()


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is the user's interrupt, which older releases of ComfyUI have among the ordinary ones."""
    management = sys.modules.get("comfy.model_management")
    kind = getattr(management, "InterruptProcessingException", None)
    return kind is not None and isinstance(error, kind)


@contextmanager
def only_a_preview(failed: str, quiet: bool = False) -> Iterator[None]:
    """What only shows something: where it fails a line in the log says so, and the work goes on.

    Args:
        failed: the line's beginning: what can't be shown, and where.
        quiet: it was said before.
    """
    try:
        yield
    except Exception as error:
        if is_interrupt(error):
            raise
        if not quiet:
            logger.warning("%s (%s: %s); the work goes on", failed, type(error).__name__, error)


def free_memory() -> None:
    """Give back what is held but not used, after memory ran out."""
    import comfy.model_management

    gc.collect()  # what refers to itself, as errors with their frames do
    comfy.model_management.soft_empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    import comfy.model_management

    oom = comfy.model_management.OOM_EXCEPTION
    if oom is not Exception and isinstance(error, oom):
        return True
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def is_out_of_system_memory(error: BaseException) -> bool:
    """Whether an error says that it is the system's memory that ran out, not a device's."""
    return isinstance(error, MemoryError) or "CPUAllocator" in str(error)


def free_system_memory() -> int:
    """Bytes of the system's memory that nobody uses."""
    import comfy.model_management

    return int(cast(int, comfy.model_management.get_free_memory(torch.device("cpu"))))


def samples_on_cpu(model: Model) -> bool:
    """Whether a model is sampled on the CPU."""
    import comfy.model_management

    return bool(comfy.model_management.is_device_cpu(model.load_device))


def room_for(model: Model, cells: Size) -> int:
    """How many latents of so many cells fit into memory when they are sampled at once, by ComfyUI's own estimate: what
    is free beside the model itself and what ComfyUI keeps back.
    """
    import comfy.model_management as memory

    device = model.load_device
    if memory.is_device_cpu(device) or memory.is_device_mps(device):
        room = cast(int, memory.get_free_memory(device)) / 2  # the system's, which other programs want too
    else:
        total = cast(int, memory.get_total_memory(device))
        room = total - memory.minimum_inference_memory() - model.model_size()
    with_and_without_prompt = [2, 4, *cells]  # the channels don't count
    return max(int(room / max(model.model.memory_required(with_and_without_prompt), 1)), 0)
