"""Run by ``ultralytics_files`` in a Python of its own: the library patches torch, OpenCV and Pillow when imported.

Its one argument is a JSON file: a list of jobs, each ``{"do": NAME of a function below, ...its arguments}``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from ultralytics import YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.utils.ops import scale_masks

LOGITS = -4.0, 0.5  # mean and deviation of the class scores that a lively net gives before the sigmoid
# The same for the pictures that a net was adapted to: the largest, too. Where all scores are 1, their order is chance;
# and what shouts makes much of the last digits, in which two ways to reckon the same differ.
LARGEST, LARGEST_SIDE = 1.5, 4.0


def make(name: str, into: str, seed: int = 0, lively: bool = True, pictures: list[str] | None = None) -> None:
    """A checkpoint ``into``, half precision, of one of the library's configurations, with random weights.

    Args:
        pictures: files as ``predict`` takes them; a lively net then answers to them without shouting.
    """
    torch.manual_seed(seed)
    yolo: Any = YOLO(f"{name}.yaml")
    if lively:
        if pictures is None:
            _enliven(yolo.model, _pictures())
        else:
            _enliven(yolo.model, _shown(pictures), adapted=True)
    yolo.save(into)


def export(weights: str, imgsz: int | list[int] = 640, **options: Any) -> None:
    """``weights`` with the ending .onnx beside it."""
    YOLO(weights).export(format="onnx", imgsz=imgsz, simplify=False, **options)


def state(weights: str, into: str) -> None:
    """The state dict of a checkpoint, as safetensors."""
    held = torch.load(weights, weights_only=False)
    model = held["ema"] or held["model"]
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, into)


def time_forward(weights: str, side: int, times: int, into: str) -> None:
    """Seconds that the library's net takes for a square picture, each of several times, to an .npy."""
    model = cast("Any", YOLO(weights).model).float().fuse(verbose=False).eval()
    picture = torch.rand(1, 3, side, side)
    took = []
    with torch.inference_mode():
        for _ in range(times + 1):
            start = time.perf_counter()
            model(picture)
            took.append(time.perf_counter() - start)
    np.save(into, took[1:])


def predict(weights: str, pictures: list[str], into: str, whole: bool = False, **options: Any) -> None:
    """What the library finds in pictures (files of uint8 RGB ``[H,W,3]``, .npy), to an .npz.

    Of picture i: ``i.boxes`` [n,6] x1, y1, x2, y2, score, class; ``i.masks`` [n,h,w] where there are outlines, and
    where ``whole`` is asked for, ``i.whole`` [n,H,W], the same as the library brings them to the picture's size.
    """
    yolo: Any = YOLO(weights)
    found = {}
    for number, file in enumerate(pictures):
        picture = np.ascontiguousarray(np.load(file)[..., ::-1])  # it takes BGR
        result = yolo.predict(picture, verbose=False, **options)[0]
        found[f"{number}.boxes"] = result.boxes.data.numpy()
        if result.masks is not None:
            masks = result.masks.data
            found[f"{number}.masks"] = masks.numpy()
            if whole:
                found[f"{number}.whole"] = scale_masks(masks[None].float(), picture.shape[:2])[0].numpy()
    np.savez(into, **found)


def _enliven(model: Any, pictures: torch.Tensor, adapted: bool = False) -> None:
    """Make a net with random weights answer with many scores, sizes and outlines instead of one."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it sees
    with torch.no_grad():
        model(pictures)
    model.eval()
    head = model.model[-1]
    for branch in ("cv2", "cv3", "cv4", "one2one_cv2", "one2one_cv3"):
        wanted, largest = (0.0, 1.0), None
        if branch.endswith("cv3"):
            wanted, largest = LOGITS, LARGEST
        elif branch.endswith("cv2"):
            wanted, largest = (0.0, 1.0 if adapted else 2.0), LARGEST_SIDE
        for level in getattr(head, branch, []):
            _spread(model, level[-1], pictures, wanted, largest if adapted else None)
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


def _shown(files: list[str]) -> torch.Tensor:
    """Pictures in squares of grey, as a net is shown them, ``[n,3,640,640]``."""
    boxed = LetterBox((640, 640), auto=False)
    squares = [torch.from_numpy(boxed(image=np.load(file))).permute(2, 0, 1) for file in files]
    return torch.stack(squares).float() / 255


def _spread(model: Any, layer: Any, pictures: torch.Tensor, wanted: tuple[float, float], largest: float | None) -> None:
    """Scale a last layer so that its answers have this mean and deviation, or less where one would be too large."""
    mean, deviation = wanted
    seen = []
    handle = layer.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        layer.bias.zero_()
        model(pictures)
        handle.remove()
        middle = seen[0].mean(dim=(0, 2, 3))
        factor = deviation / seen[0].std()
        if largest is not None:
            factor = min(factor, (largest - mean) / (seen[0] - middle[:, None, None]).max())
        layer.weight.mul_(factor)
        layer.bias.sub_(middle * factor).add_(mean)


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        globals()[job.pop("do")](**job)
