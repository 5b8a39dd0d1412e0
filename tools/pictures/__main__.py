"""`dev.py pictures [NAMES]`: makes the pictures of help pages and templates that show what detailing does.

All are drawn scenes through the real nodes, with the small model. What shows a plan, a mask or tiles alone, and
*Inpainting Model*'s and *Plan First*'s, were made by hand.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from support import comfy_on_cpu, fair_clip

comfy_on_cpu.use_cpu()

from asked_names import asked  # noqa: E402
from support.clip_files import write_moving  # noqa: E402

from pictures.drawing import AMBER, CYAN, Box, beside, labelled, on_dark, ringed, seen, split  # noqa: E402
from pictures.runs import HANGING, Run, Runs  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
HELP, TEMPLATES = ROOT / "js" / "docs" / "pictures", ROOT / "example_workflows"
THUMB = (500, 500)
FRAME: Box = (0, 18, 480, 334)  # of the clip
STALL: Box = (402, 103, 970, 746)  # of the demo's scene
QUALITY = 88


def before_after(runs: Runs) -> Image.Image:
    return beside([seen(picture, STALL, (417, 472)) for picture in (runs.demo.before, runs.demo.after)])


def segs_preview(runs: Runs) -> Image.Image:
    chosen = sorted(runs.demo.parts, key=lambda part: part.shape[0] / part.shape[1])[-4:]
    return on_dark(chosen, (1040, 260), 250)


def options(runs: Runs) -> Image.Image:
    panels = [seen(run.after, around_hanging(397 / 450), (397, 450)) for run in runs.tinted]
    names = ("without", "with options")
    return beside([labelled(panel, name, (12, 12)) for panel, name in zip(panels, names, strict=True)])


def upright_face(runs: Runs) -> Image.Image:
    box = 392.0, 254.0, 632.0, 526.0
    return beside([seen(picture, box, (357, 405)) for picture in (runs.leaning.before, runs.leaning.after)])


def clip(runs: Runs) -> list[np.ndarray]:
    """The help page's moving picture."""
    before, after = runs.clip
    size = (384, 282)
    gap = np.full((size[1], 8, 3), 255, np.uint8)
    return [np.hstack([shrunk(one, size), gap, shrunk(other, size)]) for one, other in zip(before, after, strict=True)]


def shrunk(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(seen(frame, (0, 0, frame.shape[1], frame.shape[0]), size))


# ------------------------------------------------------------------------------------------------ templates


def halves(run: Run, box: Box) -> Image.Image:
    """Before left and after right of a line down the middle."""
    return split(seen(run.before, box, THUMB), seen(run.after, box, THUMB), (250, 0), (250, 500))


def detail_a_mask(runs: Runs) -> Image.Image:
    box = 402, 110, 970, 678
    before, after = (seen(picture, box, THUMB) for picture in (runs.demo.before, runs.demo.after))
    return split(before, after, (0, 0), (500, 500))


def several_masks(runs: Runs) -> Image.Image:
    box = 190, 230, 690, 730
    before, after = (seen(picture, box, THUMB) for picture in (runs.demo.before, runs.demo.after))
    labelled(ringed(before, (22, 252, 178, 412), True, AMBER), "face", (30, 228), AMBER)
    labelled(ringed(before, (242, 50, 488, 156), False, CYAN), "sign", (262, 24), CYAN)
    return split(before, after, (472, 0), (0, 444))


def faces(runs: Runs) -> Image.Image:
    return halves(runs.leaning, (392, 262, 640, 510))


def found_face(runs: Runs) -> Image.Image:
    box = 190, 440, 400, 650
    return labelled(ringed(halves(runs.demo, box), (60, 60, 430, 470), False, AMBER), "1 face", (72, 34), AMBER)


def refiner(runs: Runs) -> Image.Image:
    return halves(runs.demo, (745, 115, 985, 355))


def options_compared(runs: Runs) -> Image.Image:
    without, with_them = (seen(run.after, around_hanging(1.0), THUMB) for run in runs.tinted)
    return split(without, with_them, (250, 0), (250, 500))


def weave(runs: Runs) -> Image.Image:
    """Two frames of a clip, before above and after below."""
    boxes = [(745, 470, 965, 690), (738, 464, 958, 684)]
    rows = [
        beside([seen(picture, box, (247, 247)) for box in boxes]) for picture in (runs.demo.before, runs.demo.after)
    ]
    return beside(rows, down=True)


def moving(runs: Runs) -> Image.Image:
    """Three moments of the clip, before on the left and after on the right."""
    rows = [beside([seen(one[frame], FRAME, (247, 163)) for one in runs.clip]) for frame in (0, 4, 8)]
    return beside(rows, gap=5, down=True).resize(THUMB)


def film(runs: Runs) -> Image.Image:
    """The clip as a strip of film: two frames before, two after."""
    before, after = runs.clip
    sheet = Image.new("RGB", THUMB, (26, 24, 36))
    pen = ImageDraw.Draw(sheet)
    for place, frame in enumerate((before[3], before[10], after[3], after[10])):
        x, y = 38 + (place // 2) * 216, 30 + (place % 2) * 224
        sheet.paste(seen(frame, (66, 4, 408, 352), (208, 212)), (x, y))
    for y in range(12, 500, 34):
        for x in (10, 472):
            pen.rounded_rectangle((x, y, x + 18, y + 20), 5, fill=(244, 240, 230))
    return sheet


def kontext(runs: Runs) -> Image.Image:
    return halves(runs.demo, (190, 440, 400, 650))


def qwen(runs: Runs) -> Image.Image:
    return halves(runs.demo, (405, 250, 685, 530))


def around_hanging(aspect: float) -> Box:
    """A box of that width over height around the options' part."""
    from tiny_model import scenes

    _, _, mask, _ = scenes.held_out_case(HANGING)
    rows, columns = np.nonzero(mask > 0.5)
    half = 0.72 * max(np.ptp(rows), np.ptp(columns))
    x, y = columns.mean(), max(rows.mean(), half)
    return x - half * aspect, y - half, x + half * aspect, y + half


PICTURES: dict[str, tuple[Path, Callable[[Runs], Image.Image]]] = {
    name: (folder / f"{name}.jpg", make)
    for folder, made in (
        (HELP, {
            "before_after": before_after, "segs_preview": segs_preview, "options": options,
            "upright_face": upright_face,
        }),
        (TEMPLATES, {
            "Detail a Mask": detail_a_mask, "Edit Model Flux Kontext": kontext, "Edit Model Qwen": qwen,
            "Faces": faces, "Faces Hands and Eyes": found_face, "Frames of a Clip": weave, "Moving Parts": moving,
            "Moving Parts Video Model": film, "Options Compared": options_compared, "Refiner": refiner,
            "Several Masks": several_masks,
        }),
    )
    for name, make in made.items()
}  # fmt: skip


def main() -> int:
    names, runs = asked("dev.py pictures", [*PICTURES, "clip"], __doc__), Runs()
    logging.disable(logging.INFO)
    with torch.inference_mode():
        for name in names:
            if name == "clip":
                path = write_moving(HELP / "clip.webp", clip(runs), fair_clip.RATE, 70)
            else:
                path, make = PICTURES[name]
                make(runs).save(path, quality=QUALITY, optimize=True)
            print(f"pictures: {path.relative_to(ROOT)}, {path.stat().st_size // 1000} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
