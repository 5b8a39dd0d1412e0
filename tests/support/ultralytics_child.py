"""Run by ``ultralytics_files`` in a Python of its own: the library patches torch, OpenCV and Pillow when imported.

Its one argument is a JSON file: a list of jobs, each ``{"do": NAME of a function below, ...its arguments}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from ultralytics import YOLO

LOGITS = -4.0, 0.5  # mean and deviation of the class scores that a lively net gives before the sigmoid


def make(name: str, into: str, seed: int = 0, lively: bool = True) -> None:
    """A checkpoint ``into``, half precision, of one of the library's configurations, with random weights."""
    torch.manual_seed(seed)
    yolo = YOLO(f"{name}.yaml")
    if lively:
        _enliven(yolo.model)
    yolo.save(into)


def export(weights: str, imgsz: int | list[int] = 640, **options: Any) -> None:
    """``weights`` with the ending .onnx beside it."""
    YOLO(weights).export(format="onnx", imgsz=imgsz, simplify=False, **options)


def state(weights: str, into: str) -> None:
    """The state dict of a checkpoint, as safetensors."""
    held = torch.load(weights, weights_only=False)
    model = held["ema"] or held["model"]
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, into)


def predict(weights: str, pictures: list[str], into: str, **options: Any) -> None:
    """What the library finds in pictures (files of uint8 RGB ``[H,W,3]``, .npy), to an .npz.

    Of picture i: ``i.boxes`` [n,6] x1, y1, x2, y2, score, class; ``i.masks`` [n,h,w] where there are outlines.
    """
    yolo = YOLO(weights)
    found = {}
    for number, file in enumerate(pictures):
        picture = np.ascontiguousarray(np.load(file)[..., ::-1])  # it takes BGR
        result = yolo.predict(picture, verbose=False, **options)[0]
        found[f"{number}.boxes"] = result.boxes.data.numpy()
        if result.masks is not None:
            found[f"{number}.masks"] = result.masks.data.numpy()
    np.savez(into, **found)


def _enliven(model: Any) -> None:
    """Make a net with random weights answer with many scores, sizes and outlines instead of one."""
    pictures = _pictures()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it sees
    with torch.no_grad():
        model(pictures)
    model.eval()
    head = model.model[-1]
    for branch in ("cv2", "cv3", "cv4"):
        for level in getattr(head, branch, []):
            mean, deviation = LOGITS if branch == "cv3" else (0.0, 2.0 if branch == "cv2" else 1.0)
            _spread(model, level[-1], pictures, mean, deviation)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.03


def _pictures() -> torch.Tensor:
    """Blots of several sizes, some above and below a letterbox's grey, ``[10,3,192,192]``."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for cells in (3, 6, 12, 24, 48):
        blots = torch.rand(2, 3, cells, cells, generator=generator)
        made.append(torch.nn.functional.interpolate(blots, size=192, mode="bicubic").clamp(0, 1))
    made[0][..., :32, :] = made[-1][..., -32:, :] = 114 / 255
    return torch.cat(made)


def _spread(model: Any, layer: Any, pictures: torch.Tensor, mean: float, deviation: float) -> None:
    """Scale a last layer so that its answers have this mean and deviation."""
    seen = []
    handle = layer.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        layer.bias.zero_()
        model(pictures)
        handle.remove()
        layer.weight.mul_(deviation / seen[0].std())
        layer.bias.sub_(seen[0].mean(dim=(0, 2, 3)) * deviation / seen[0].std()).add_(mean)


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        globals()[job.pop("do")](**job)
