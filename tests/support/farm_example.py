"""`dev.py farm`: the example of docs/farm.md, twenty drawn pictures and their masks for the demo's small model.

python dev.py farm            writes demo_output/farm: pictures, masks, a workflow, values and the job
python farm run demo_output/farm/job.toml
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
from tiny_model import WEIGHTS, scenes

from support import pictures, workflow
from support.server import CHECKOUT, DEMO_NODES, PACK, comfyui_folder

FOLDER = CHECKOUT / "demo_output" / "farm"
COUNT, SIZE = 20, (256, 192)
SEED = 900_100
# one small part a picture: half a second or so on a CPU
WIDGETS = {"guide_size": 128, "max_size": 192, "steps": 4}

JOB = """\
# An example of a job; docs/farm.md explains every entry.
output = "done"
naming = "{{stem}}_detailed"

[pictures]
files = "pictures/*.png"

[masks]
source = "files"
pattern = "masks/{{stem}}.png"

[workflow]
file = "workflow.json"  # exported from ComfyUI with Workflow > Export (API)
picture = "picture"     # nodes by id or by title
mask = "mask"
output = "result"

[values]
"detailer.denoise" = 0.3

[items]
csv = "values.csv"      # a line a picture
match = "picture"
columns = {{ kind = "positive.kind" }}

[seed]
input = "detailer.seed"
base = 7

[comfyui]
path = {path}
python = {python}
base = "comfyui"
custom_nodes = {nodes}
devices = "cpu"
environment = {{ PYTHONPATH = {packages} }}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py farm", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    job = write(options.folder)
    print(f"{COUNT} pictures, their masks and {job}\nnow: python farm run {job}")
    return 0


def write(folder: Path, count: int = COUNT) -> Path:
    """Write the example below ``folder``; its job file."""
    rows = [("picture", "kind")]
    for number in range(count):
        kind = scenes.PART_KINDS[number % len(scenes.PART_KINDS)]
        name = f"{number + 1:02d}_{kind}"
        picture, mask = spoiled_part(SEED + number // len(scenes.PART_KINDS), kind)
        pictures.write(folder / "pictures" / f"{name}.png", picture)
        pictures.write(folder / "masks" / f"{name}.png", mask)
        rows.append((name, kind))
    with (folder / "values.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    prompt = workflow.trained("", "")
    prompt[workflow.DETAILER]["inputs"].update(WIDGETS)
    (folder / "workflow.json").write_text(json.dumps(prompt, indent=1) + "\n")
    checkpoints = folder / "comfyui" / "models" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    (folder / "comfyui" / "custom_nodes").mkdir(exist_ok=True)
    shutil.copy(WEIGHTS, checkpoints)
    said = {
        "path": str(comfyui_folder()), "python": sys.executable, "nodes": [str(PACK), str(DEMO_NODES)],
        "packages": ":".join(str(CHECKOUT / name) for name in ("tests", "tools")),
    }  # fmt: skip
    job = folder / "job.toml"
    # JSON's strings and lists are TOML's too
    job.write_text(JOB.format(**{name: json.dumps(value) for name, value in said.items()}), encoding="utf-8")
    return job


@cache
def _scene(seed: int) -> tuple[scenes.Scene, np.ndarray]:
    scene = scenes.scene(seed)
    return scene, scene.render()


def spoiled_part(seed: int, kind: str) -> tuple[pictures.Pixels, pictures.Pixels]:
    """(picture, mask): a part of this kind in a scene, blurred or made coarse, with what is around it."""
    scene, rendered = _scene(seed)
    index, part = next((at, one) for at, one in enumerate(scene.parts) if one.kind == kind)
    spoiled = scenes.degrade(rendered, part, *scenes.degradation(seed, index))
    mask = part.mask(grow=5, soft=0)
    y, x = (round(float(at.mean())) for at in np.nonzero(mask))
    left = min(max(0, x - SIZE[0] // 2), scenes.WIDTH - SIZE[0])
    top = min(max(0, y - SIZE[1] // 2), scenes.HEIGHT - SIZE[1])
    window = np.s_[top : top + SIZE[1], left : left + SIZE[0]]
    picture, mask = (np.round(255 * one[window]).astype(np.uint8) for one in (spoiled, mask))
    return picture, mask


if __name__ == "__main__":
    sys.exit(main())
