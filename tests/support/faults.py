"""What VAEs and models do wrong, planted: functions of decoded pictures ``[B,H,W,3]``, and a VAE that has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

Fault = Callable[[torch.Tensor], torch.Tensor]


def moved(pixels: torch.Tensor, dx: float, dy: float, zoom: float = 1.0) -> torch.Tensor:
    """Pictures shifted to the right and down, and zoomed around their middle; at the sides they go on mirrored."""
    height, width = pixels.shape[1:3]
    x, y = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[zoom, 0, dx + x - zoom * x], [0, zoom, dy + y - zoom * y]])
    frames = [
        cv2.warpAffine(
            frame, matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
        ).clip(0.0, 1.0)
        for frame in pixels.cpu().numpy()
    ]  # fmt: skip
    return torch.from_numpy(np.stack(frames)).to(pixels)


FAULTS: dict[str, Fault] = {
    "tint of +0.05": lambda pixels: (pixels + 0.05).clamp(0.0, 1.0),
    "gain of 1.1": lambda pixels: (pixels * 1.1).clamp(0.0, 1.0),
    "shift of 2 px": lambda pixels: moved(pixels, 2.0, 0.0),
    "zoom of 1 %": lambda pixels: moved(pixels, 0.0, 0.0, 1.01),
}


def no_fault(pixels: torch.Tensor) -> torch.Tensor:
    return pixels


class FaultyVAE:
    """A real VAE that plants a fault in what it decodes, at some calls (from 1) or at all."""

    def __init__(self, vae: Any, fault: Fault, at: tuple[int, ...] = ()) -> None:
        self._vae, self._fault, self._at = vae, fault, at
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._vae, name)
        if name not in ("encode", "decode", "encode_tiled", "decode_tiled"):
            return attribute

        def called(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            made = attribute(*arguments, **options)
            decodes = self.calls.count("decode") + self.calls.count("decode_tiled")
            return self._fault(made) if "decode" in name and (not self._at or decodes in self._at) else made

        return called
