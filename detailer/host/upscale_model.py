"""Upscale models: pictures made larger by a model of its own, tile by tile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch

from .devices import check_interrupted, free_memory, intermediate_device, is_out_of_memory, sampling_device

logger = logging.getLogger("mask_detailer")

TILE, OVERLAP, LEAST_TILE = 512, 32, 128  # pixels


class UpscaleModel(Protocol):
    """An UPSCALE_MODEL: ``[B,3,h,w]`` 0..1 to ``[B,3,h*scale,w*scale]``.

    ComfyUI's loader gives it a ``patcher``, which brings it to its device; others have ``to``.
    """

    scale: float

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor: ...


def enlarged(model: UpscaleModel, pixels: torch.Tensor) -> torch.Tensor:
    """Pictures ``[B,H,W,3]`` float 0..1 at ``scale`` times the size, within 0..1; in small tiles if memory is short.

    Raises:
        InterruptProcessingException: where the user asked for it.
    """
    import comfy.utils

    device = _loaded(model, pixels)

    def one_tile(part: torch.Tensor) -> torch.Tensor:
        check_interrupted()
        return model(part.float())

    scale = cast("Callable[..., torch.Tensor]", comfy.utils.tiled_scale)
    planes = pixels.movedim(-1, -3).to(device, torch.float32)
    tile = TILE
    try:
        while True:
            try:
                made = scale(
                    planes, one_tile, tile_x=tile, tile_y=tile, overlap=OVERLAP, upscale_amount=model.scale,
                    output_device=intermediate_device(),
                )  # fmt: skip
                break
            except Exception as error:
                if not is_out_of_memory(error) or tile // 2 < LEAST_TILE:
                    raise
                tile //= 2
                logger.warning("the upscale model ran out of memory: trying again in tiles of %d pixels", tile)
            free_memory()
    finally:
        if getattr(model, "patcher", None) is None:
            _moved(model, torch.device("cpu"))
    return made.movedim(-3, -1).clamp_(0.0, 1.0)


def _loaded(model: UpscaleModel, pixels: torch.Tensor) -> torch.device:
    """The device of the model, to which it is brought; as much memory is freed as ComfyUI's own node frees."""
    import comfy.model_management as memory

    patcher: Any = getattr(model, "patcher", None)
    wanted = TILE * TILE * 3 * 4 * max(model.scale, 1.0) * 384.0 + pixels.nelement() * 4
    if patcher is not None:
        memory.load_models_gpu([patcher], memory_required=int(wanted))
        return patcher.load_device
    device = sampling_device()
    memory.free_memory(wanted, device)
    _moved(model, device)
    return device


def _moved(model: UpscaleModel, device: torch.device) -> None:
    move = getattr(model, "to", None)
    if move is not None:
        move(device)
