"""``best_of``: candidates of a part in one batch, of which the one with the fewest faults is put back."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any

import pytest
import torch
from engine.running import detail, near, pipe_with, unchanged_outside
from engine.tiny_models import Pipe, called_through, mask_of, picture
from mask_detailer.core.surroundings.ring import ring_of
from mask_detailer.core.surroundings.verdict import Measures, measured, totals
from mask_detailer.detailer.options import DetailOptions
from support.faults import FaultyVAE

SIZE = (96, 112)
MASK = mask_of(*SIZE, (16, 16, 40, 40), (72, 56, 96, 80))
BEST = DetailOptions(best_of=4)
LINE = re.compile(r"\| segment (\d) +\| (\d+) +\|.*\| +([\d.-]+) +\| (best)? *\|$", re.MULTILINE)


def table_of(text: str) -> list[tuple[int, int, float, bool]]:
    """(segment, seed, faults, best) of each candidate."""
    rows = LINE.findall(text)
    return [
        (int(number), int(seed), float("inf" if faults == "-" else faults), bool(best))
        for number, seed, faults, best in rows
    ]


def seam(image: torch.Tensor, box: tuple[int, int, int, int]) -> float:
    """Mean jump across a box's edge, by hand."""
    x1, y1, x2, y2 = box
    across = [(image[0, y1:y2, x] - image[0, y1:y2, x - 1]).abs().mean() for x in (x1, x2)]
    down = [(image[0, y, x1:x2] - image[0, y - 1, x1:x2]).abs().mean() for y in (y1, y2)]
    return float(sum(across) + sum(down)) / 4


def test_the_best_is_put_back(unet: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    """It is the one that its seed makes alone; the seams are as reckoned by hand."""
    batches: Counter[int] = Counter()

    def predict(apply: Any, given: dict[str, Any]) -> torch.Tensor:
        batches[len(given["input"])] += 1
        return apply(given["input"], given["timestep"], **given["c"])

    pipe = pipe_with(unet, model=called_through(unet[0], predict))
    box, image = (16, 16, 40, 40), picture(*SIZE)
    mask = mask_of(*SIZE, box)
    with caplog.at_level(logging.INFO):
        made = detail(image, mask, pipe, cfg=1.0, detail_options=BEST, crop_batch=0)
    assert batches == {4: 2}  # both steps, all candidates at once
    rows = table_of(caplog.text)
    assert [seed for _, seed, _, _ in rows] == [7, 8, 9, 10]
    (taken,) = [seed for _, seed, _, best in rows if best]
    assert min(rows, key=lambda row: row[2])[1] == taken
    alone = {seed: detail(image, mask, unet, cfg=1.0, seed=seed).image for seed in (7, 8, 9, 10)}
    torch.testing.assert_close(made.image, alone[taken], atol=2e-3, rtol=0)
    before, ring = image[:, 4:52, 4:52], ring_of(mask[:, 4:52, 4:52])
    faults = {
        seed: measured(before, before, one[:, 4:52, 4:52], mask[:, 4:52, 4:52], ring) for seed, one in alone.items()
    }
    for seed, one in faults.items():
        assert one.seam == pytest.approx(seam(alone[seed], box) / seam(image, box), rel=0.02)


def test_hooks_have_a_say(unet: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[float, torch.Size]] = []

    class Darkest:
        def judge_candidate(self, before: torch.Tensor, candidate: torch.Tensor, mask: torch.Tensor) -> float:
            seen.append((float(candidate.mean()), mask.shape))
            return 1000.0 * float(candidate.mean())

    with caplog.at_level(logging.INFO):
        detail(picture(*SIZE), MASK, unet, detail_options=BEST, detailer_hook=Darkest(), crop_batch=0)
    rows = table_of(caplog.text)
    for number in (1, 2):
        best = [best for segment, _, _, best in rows if segment == number].index(True)
        means = [mean for mean, _ in seen[4 * (number - 1) : 4 * number]]
        assert means[best] == min(means)


def test_what_can_t_be_used_is_never_taken(unet: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    def first_three_broken(pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.clone()
        pixels[:3] = torch.nan
        return pixels

    image = picture(*SIZE)
    pipe = pipe_with(unet, vae=FaultyVAE(unet[2], first_three_broken))
    with caplog.at_level(logging.INFO):
        made = detail(image, MASK, pipe, detail_options=BEST, crop_batch=0).image
    assert [best for *_, best in table_of(caplog.text)] == [False, False, False, True] * 2
    assert torch.isfinite(made).all() and unchanged_outside(made, image, near(MASK, 4)) and not torch.equal(made, image)


def test_a_chosen_seed_is_pasted(unet: Pipe) -> None:
    image = picture(*SIZE)
    chosen = '{"1": {"seed": 90}, "2": {"seed": 91}}'
    made = detail(image, MASK, unet, detail_options=BEST, choices=chosen).image
    assert torch.equal(made, detail(image, MASK, unet, seed=90).image)


def test_one_is_as_without(unet: Pipe) -> None:
    image = picture(*SIZE)
    made = detail(image, MASK, unet, detail_options=DetailOptions(best_of=1)).image
    assert torch.equal(made, detail(image, MASK, unet).image)


def test_only_what_is_clearly_worse_counts_beside_the_seam() -> None:
    sound, seamy = Measures(1.1, 0.5, 0, 0, 0, 0.1), Measures(1.2, 0.3, 0, 0.1, 0, 0)
    drifted, burnt = Measures(1.0, 0.5, 2.0, 0, 0, 0), Measures(1.0, 0.5, 0, 0, 0, 3.0)
    faults = totals([sound, seamy, drifted, burnt])
    assert faults == pytest.approx([1.1, 1.2, 2.75, 3.75])


@pytest.mark.parametrize("name", ["tint", "drift", "saturation", "grain", "sharpness", "seam"])
def test_each_measure_finds_its_fault(name: str) -> None:
    """Planted in the part, or in the surroundings that came back with it."""
    before = picture(96, 96, 3) * 0.5 + 0.25
    mask = mask_of(96, 96, (32, 32, 64, 64))
    ring, inside = ring_of(mask), mask[..., None] > 0.5
    refined = pasted = before
    if name == "tint":
        refined = before + 0.03
    elif name == "drift":
        refined = before.roll(2, dims=2)
    elif name == "saturation":
        pasted = torch.where(inside, ((before - 0.5) * 6 + 0.5).clamp(0, 1), before)
    elif name == "seam":
        pasted = torch.where(inside, before + 0.2, before)
    else:
        noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(0)) * 0.1
        pasted = torch.where(inside, before + noise, before).clamp(0, 1)
    clean, faulty = measured(before, before, before, mask, ring), measured(before, refined, pasted, mask, ring)
    assert getattr(faulty, name) > getattr(clean, name) + 0.5
