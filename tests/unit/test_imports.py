"""The pure floors know nothing of ComfyUI, and the pack imports quickly."""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mask_detailer.core
import pytest

logger = logging.getLogger(__name__)

FOLDER = Path(mask_detailer.core.__file__).parents[2]  # holds the pack under its import name
MOST_OF_TORCH = 0.15  # of the processor time that importing torch and numpy takes; it is 0.10 to 0.12

REFUSE_COMFYUI = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"comfy", "comfy_extras", "nodes", "folder_paths", "server", "execution"}:
            raise ImportError(f"{name} is refused here")

sys.meta_path.insert(0, Refuse())
"""

PURE_FLOORS = """
import numpy as np
from mask_detailer.core import Region, Size, blur_mask, mask_to_segs, resample
from mask_detailer.segs import rescale, to_combined_mask, to_image_list
import torch

mask = np.zeros((60, 80), np.float32)
mask[10:30, 20:50] = 1.0
segs = mask_to_segs(mask, False, 2.0, False)
larger = rescale(segs, Size(120, 160))
combined = blur_mask(to_combined_mask(larger), 5)
crops = to_image_list(larger, torch.rand(1, 120, 160, 3))
picture = resample(crops[0], Size(64, 64))
assert combined.shape == (1, 120, 160) and picture.shape == (1, 64, 64, 3)
assert Region.of(larger[1][0].bbox) == Region(40, 20, 100, 60)
"""

WHOLE_PACK = """
import gc, json, time
start = time.process_time()
import torch, numpy
bare = time.process_time() - start
before = set(sys.modules)
gc.freeze()  # else the collector may walk over all that torch made, once, in our time
start = time.process_time()
import mask_detailer
share = (time.process_time() - start) / bare
added = set(sys.modules) - before
nodes = sorted(mask_detailer.NODE_CLASS_MAPPINGS)
print(json.dumps({"share": share, "added": sorted(added), "nodes": nodes}))
"""


def run(script: str) -> str:
    """The output of a script in a fresh Python where ComfyUI can't be imported."""
    environment = {name: said for name, said in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(FOLDER)
    done = subprocess.run(
        [sys.executable, "-c", REFUSE_COMFYUI + script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pure_floors_work_without_comfyui() -> None:
    run(PURE_FLOORS)


def test_the_pack_imports_quickly_and_without_comfyui() -> None:
    """On top of torch and numpy, which ComfyUI has imported by then."""
    shares: list[float] = []
    report: dict[str, Any] = {}
    for _ in range(3):
        report = json.loads(run(WHOLE_PACK))
        shares.append(report["share"])
        if shares[-1] < MOST_OF_TORCH:
            break
    logger.info("importing the pack over importing torch and numpy: %s", shares)
    assert {name.split(".")[0] for name in report["added"]}.isdisjoint({"cv2", "scipy", "PIL", "comfy"})
    assert "MaskDetailerPipe" in report["nodes"]
    assert min(shares) < MOST_OF_TORCH


NODE_FILES = sorted((FOLDER / "mask_detailer" / "nodes").glob("*.py"))
NOT_IN_NODES = {"cv2", "scipy", "PIL", "comfy", "comfy_extras", "nodes", "folder_paths", "server", "execution"}
DONE_BELOW = {  # attributes, of torch for the most part
    "nn", "functional", "interpolate", "grid_sample", "conv2d", "randn", "matmul", "einsum", "lerp", "where", "encode",
    "decode", "sample", "common_ksampler",
}  # fmt: skip


@pytest.mark.parametrize("file", NODE_FILES, ids=lambda file: file.name)
def test_nodes_sample_resize_and_blend_nothing_themselves(file: Path) -> None:
    for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(part, ast.Import):
            assert {name.name.split(".")[0] for name in part.names}.isdisjoint(NOT_IN_NODES)
        elif isinstance(part, ast.ImportFrom):
            assert part.level or str(part.module).split(".")[0] not in NOT_IN_NODES
            assert {name.name for name in part.names}.isdisjoint({"resample", "paste_", "functional"})
        elif isinstance(part, ast.Attribute):
            assert part.attr not in DONE_BELOW, f"line {part.lineno}"
