"""Detail Plan: its table says what the detailer then does."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import comfy.sample
import pytest
import torch
from engine.running import SMALL, pipe_with
from engine.tiny_models import Pipe, called_through, mask_of, picture, text_encoder
from mask_detailer.core import mask_to_segs
from mask_detailer.nodes.detailers import DetailerForEachDebug, MaskDetailerPipe
from mask_detailer.nodes.plan import MaskDetailerPlan

pytestmark = pytest.mark.filterwarnings("ignore:To copy construct")  # ComfyUI's own dpm_adaptive

SIZE = (96, 128)
PLANNED: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, sampler_name="euler", feather=4, force_inpaint=True,
    crop_factor=2.0, drop_size=2, batch_size=1,
)  # fmt: skip


def plan(image: torch.Tensor, pipe: Any, **changes: Any) -> tuple[list[dict[str, Any]], str, torch.Tensor]:
    """(rows of the JSON, text, picture)."""
    made = MaskDetailerPlan().doit(image, pipe, **(PLANNED | changes))
    shown, text, rows = made["result"]
    assert made["ui"]["text"] == [text]
    assert json.loads(json.dumps(made["ui"]["rows"])) == json.loads(rows)
    assert len(made["ui"]["images"]) == len(shown)
    return json.loads(rows), text, shown


class Watched:
    """A pipe that notes what is sampled: each crop's seed and latent size, batch by batch."""

    def __init__(self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[tuple[int, int, int]]] = []
        self._drawn: list[tuple[int, int, int]] = []
        own = comfy.sample.prepare_noise

        def prepare_noise(latent: torch.Tensor, seed: int, *others: Any) -> torch.Tensor:
            self._drawn.append((seed, 8 * latent.shape[-1], 8 * latent.shape[-2]))
            return own(latent, seed, *others)

        def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
            if self._drawn:
                self.batches.append(self._drawn)
                self._drawn = []
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])

        monkeypatch.setattr(comfy.sample, "prepare_noise", prepare_noise)
        model = called_through(pipe[0], predict)
        self.pipe = pipe_with(pipe, model=model)


def foretold(rows: list[dict[str, Any]]) -> list[list[tuple[int, int, int]]]:
    batches: dict[int, list[tuple[int, int, int]]] = {}
    for row in rows:
        if row["batch"] is not None:
            batches.setdefault(row["batch"], []).append((row["seed"], *row["working"]))
    return [batches[number] for number in sorted(batches)]


@pytest.fixture(scope="module")
def encoder() -> Any:
    return text_encoder()


@pytest.mark.parametrize("number", range(50))
@pytest.mark.by_turns(3)
def test_table_is_what_happens(unet: Pipe, encoder: Any, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Random parts, sizes, frames and texts: batches, seeds, sizes, crops and what is skipped."""
    draw = random.Random(number)
    frames = draw.choice([1, 1, 2, 3])
    image = picture(*SIZE, number).repeat(frames, 1, 1, 1)
    boxes = []
    for _ in range(draw.randint(1, 6)):
        x, y, side = draw.randint(0, 110), draw.randint(0, 80), draw.choice([3, 8, 8, 8, 14])
        boxes.append((x, y, x + side, y + side))
    mask = mask_of(*SIZE, *boxes)
    widgets = dict(
        guide_size=draw.choice([32.0, 64.0]),
        guide_size_for=draw.random() < 0.7,
        max_size=draw.choice([64.0, 128.0]),
        seed=draw.choice([0, 5, 2**64 - 3]),
        sampler_name=draw.choice(["euler", "euler", "dpm_adaptive"]),
        feather=draw.choice([0, 4, 12]),
        crop_batch=draw.choice([0, 0, 1, 2]),
    )
    watched = Watched(unet, monkeypatch)
    if draw.random() < 0.5:
        shared = dict(crop_factor=draw.choice([1.0, 2.0, 3.0]), drop_size=2, batch_size=draw.choice([1, 2]))
        rows, _, _ = plan(image, unet, mask=mask, **widgets, **shared)
        crops = MaskDetailerPipe().doit(image, mask, watched.pipe, **(SMALL | widgets | shared | {"steps": 2}))[1]
    else:
        segs = mask_to_segs(mask, False, 2.0, False, 2)
        texts = ["", "[DSC-SIZE]a", "[ASC]a[SEP:9]b[SEP]c", "[ASC]a[SEP][SKIP]"]
        shared = dict(force_inpaint=draw.random() < 0.5, wildcard=draw.choice(texts))
        rows, _, _ = plan(image, pipe_with(unet, clip=encoder), segs=segs, **widgets, **shared)
        model, _, vae, positive, negative = watched.pipe
        parts = dict(model=model, clip=encoder, vae=vae, positive=positive, negative=negative)
        rest = dict(steps=2, cfg=3.0, scheduler="normal", denoise=0.5, noise_mask=True)
        crops = DetailerForEachDebug().doit(image, segs, **parts, **rest, **widgets, **shared)[2]
    sampled = [row for row in rows if row["skipped"] is None]
    assert watched.batches == foretold(rows)
    if sampled:
        sides = sorted((row["crop"][3] - row["crop"][1], row["crop"][2] - row["crop"][0]) for row in sampled)
        assert sorted(tuple(crop.shape[1:3]) for crop in crops) == sides
        assert sum(row["share"] for row in rows) == pytest.approx(1.0)


def cells(text: str) -> list[list[str]]:
    """The lines of a Markdown table without the rule under its head."""
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()]
    assert all(set(cell) == {"-"} for cell in lines.pop(1))
    return lines


def test_text_is_a_table(unet: Pipe) -> None:
    mask = mask_of(*SIZE, (10, 10, 30, 30), (80, 60, 90, 70))
    _, text, _ = plan(picture(*SIZE), unet, mask=mask)
    head, first, second = cells(text)
    assert head == ["segment", "label", "size", "scale", "crop", "bbox", "seed", "batch", "share"]
    assert first == ["1", "A", "128x128", "6.40", "20x20 at 75,55", "10x10 at 80,60", "7", "1", "50.0%"]
    assert second[2] == "128x128" and second[-3:] == ["8", "1", "50.0%"]
    assert len({len(line) for line in text.splitlines()}) == 1


def test_labels_stay_in_their_cells(unet: Pipe) -> None:
    (height, width), [seg] = mask_to_segs(mask_of(*SIZE, (10, 10, 30, 30)), False, 2.0, False, 2)
    segs = (height, width), [seg._replace(label="a|b\n| c")]
    _, text, _ = plan(picture(*SIZE), unet, segs=segs)
    head, row = cells(text)
    assert len(row) == len(head) and row[1] == "a\\|b \\| c"


def test_says_why_a_segment_is_skipped(unet: Pipe) -> None:
    segs = mask_to_segs(mask_of(*SIZE, (10, 10, 90, 90)), False, 1.0, False, 2)
    (row,), text, _ = plan(picture(*SIZE), unet, segs=segs, force_inpaint=False)
    assert row["batch"] is None and row["share"] == 0.0
    assert row["skipped"] == "its box 80x80 already reaches guide_size 64 (force_inpaint is off)"
    head, line = cells(text)
    assert (head[-1], line[-1]) == ("skipped", row["skipped"])


def test_picture_shows_the_regions(unet: Pipe) -> None:
    """Outside the crop regions nothing is drawn; inside, the mask is tinted and the regions have their lines."""
    image, box = picture(*SIZE), (40, 40, 60, 60)
    _, _, shown = plan(image, unet, mask=mask_of(*SIZE, box))
    changed = (shown != image).any(dim=-1)[0]
    assert changed[40:60, 40:60].all()
    assert changed[30, 30:70].all() and changed[30:70, 69].all()
    changed[30:70, 30:70] = False
    changed[30:46, 30:] = False  # its label may be wider than the crop
    assert not changed.any()


def test_empty(unet: Pipe) -> None:
    rows, text, shown = plan(picture(*SIZE), unet, mask=torch.zeros(1, *SIZE))
    assert rows == []
    assert len(cells(text)) == 1
    assert torch.equal(shown, picture(*SIZE))


def test_segs_count_before_a_mask(unet: Pipe) -> None:
    segs = mask_to_segs(mask_of(*SIZE, (10, 10, 30, 30)), False, 2.0, False, 2)
    (row,), _, _ = plan(picture(*SIZE), unet, segs=segs, mask=mask_of(*SIZE, (80, 60, 90, 70)))
    assert row["bbox"] == [10, 10, 30, 30]
    assert plan(picture(*SIZE), unet)[0] == []


def test_a_hook_changes_sizes(unet: Pipe) -> None:
    class Twice:
        def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
            return 2 * w, 2 * h

    mask = mask_of(*SIZE, (10, 10, 30, 30), (80, 60, 90, 70))
    rows, _, _ = plan(picture(*SIZE), unet, mask=mask, detailer_hook=Twice())
    assert [(row["working"], row["batch"]) for row in rows] == [([256, 256], 1), ([256, 256], 2)]
