"""Crops sampled at once against one after another: how often the model is called, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from engine.running import SMALL, pipe_with
from engine.tiny_models import called_through, mask_of, picture, unet_pipe
from mask_detailer.nodes.detailers import MaskDetailerPipe
from tables import Row

SIZE = (160, 256)
BOXES = [(x, y, x + 24, y + 24) for y in (20, 100) for x in (16, 80, 144, 208)]
SAMPLERS = ("euler", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde")


def rows() -> Iterator[Row]:
    image, mask = picture(*SIZE), mask_of(*SIZE, *BOXES)
    calls: list[int] = []

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        calls.append(len(arguments["input"]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    pipe = unet_pipe()
    model = called_through(pipe[0], predict)
    pipe = pipe_with(pipe, model=model)
    with torch.inference_mode():
        MaskDetailerPipe().doit(image, mask, pipe, **SMALL)  # the first run of all is slower
    for sampler in SAMPLERS:
        arguments = SMALL | {"sampler_name": sampler, "scheduler": "karras", "steps": 8}
        found, seconds, pictures = [], [], []
        with torch.inference_mode():
            for at_once in ({"crop_batch": 0}, {"crop_batch": 1}):
                calls.clear()
                started = time.perf_counter()
                pictures.append(MaskDetailerPipe().doit(image, mask, pipe, **(arguments | at_once))[0])
                seconds.append(time.perf_counter() - started)
                found.append(len(calls))
        off = float((pictures[0] - pictures[1]).abs().max())
        ratio = f"1/{found[1] / found[0]:.0f} of the calls, {seconds[0] / seconds[1]:.2f} of the time, {off:.0e} off"
        yield Row(f"8 equal crops at once, {sampler}", "8 steps", f"{found[0]} calls", f"one by one {found[1]}", ratio)
