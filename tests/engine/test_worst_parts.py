"""Worst Parts: planted faults come first, in the order of how bad they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.tiny_models import mask_of, picture
from mask_detailer.core import SEGS, Region, mask_to_segs
from mask_detailer.nodes import NODE_CLASS_MAPPINGS

SIZE = (160, 240)
BOXES = [(20, 20, 60, 60), (100, 20, 140, 60), (180, 20, 220, 60), (60, 100, 100, 140)]


def parts() -> SEGS:
    return mask_to_segs(mask_of(*SIZE, *BOXES), False, 1.5, False, 2)


def judged(before: Any, after: Any, segs: Any, count: int = 12) -> tuple[torch.Tensor, list[list[str]]]:
    """The sheet and the table's rows."""
    sheet, table = NODE_CLASS_MAPPINGS["MaskDetailerWorstParts"]().doit(before, after, segs, [count])
    return sheet, [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def smooth(seed: int = 0) -> torch.Tensor:
    """A picture whose neighbours differ little, so that a seam stands out."""
    rows, columns = torch.linspace(0.2, 0.7, SIZE[0]), torch.linspace(0.0, 0.2, SIZE[1])
    return (rows[:, None] + columns[None] + 0.01 * seed)[None, ..., None].repeat(1, 1, 1, 3)


def brighter(image: torch.Tensor, box: tuple[int, int, int, int], by: float) -> torch.Tensor:
    x1, y1, x2, y2 = box
    made = image.clone()
    made[:, y1:y2, x1:x2] += by
    return made


def test_the_harder_the_seam_the_further_ahead() -> None:
    before = smooth()
    after = before
    for box, by in zip(BOXES, (0.02, 0.08, 0.0, 0.04), strict=True):
        after = brighter(after, box, by)
    sheet, rows = judged([before], [after], [parts()])
    assert [row[4] for row in rows] == [str(Region(*BOXES[index])) for index in (1, 3, 0, 2)]
    assert float(rows[-1][5]) < 0.1 < float(rows[-2][5])  # next to nothing is wrong with what is as it was
    assert sheet.shape[0] == 1
    assert 0 <= sheet.min() <= sheet.max() <= 1


def test_noise_burnt_and_grey_are_found() -> None:
    before = picture(*SIZE) * 0.3 + smooth() * 0.7
    x1, y1, x2, y2 = BOXES[2]
    for fault in (
        lambda part: part + 0.1 * torch.randn(part.shape, generator=torch.Generator().manual_seed(1)),
        lambda part: torch.ones_like(part),
        lambda part: part.mean(dim=(1, 2), keepdim=True).expand_as(part),
    ):
        after = before.clone()
        after[:, y1:y2, x1:x2] = fault(before[:, y1:y2, x1:x2]).clamp(0, 1)
        _, rows = judged([before], [after], [parts()])
        assert rows[0][4] == str(Region(*BOXES[2]))
        assert float(rows[0][5]) > 2 * float(rows[1][5])


def test_of_many_pictures_the_worst_few() -> None:
    """A list of batches: pictures are counted on, and the table names the planted one."""
    before = [torch.cat([smooth(1), smooth(2)]), smooth(3), torch.cat([smooth(4)] * 3)]
    after = [one.clone() for one in before]
    after[2][1:2] = brighter(after[2][1:2], BOXES[3], 0.1)
    after[0][:1] = brighter(after[0][:1], BOXES[0], 0.05)
    kept = [one.clone() for one in after]
    sheet, rows = judged(before, after, [parts()], 2)
    wanted = [["5", str(Region(*BOXES[3]))], ["1", str(Region(*BOXES[0]))]]
    assert [[row[1], row[4]] for row in rows] == wanted
    assert [[row[1], row[4]] for row in judged(before, after, [parts()] * 3, 1)[1]] == wanted[:1]
    assert sheet.shape[1:3] == (316, 1064)
    assert all(torch.equal(one, other) for one, other in zip(after, kept, strict=True))


def test_nothing_to_judge() -> None:
    sheet, rows = judged([smooth()], [smooth()], [(SIZE, [])])
    assert rows == []
    assert sheet.max() > 0.8  # something is written on the dark paper


def test_segments_of_another_size_and_at_the_border() -> None:
    before = smooth()
    box = (0, 0, 40, 40)
    segs = mask_to_segs(mask_of(SIZE[0] // 2, SIZE[1] // 2, (0, 0, 20, 20), (110, 70, 120, 80)), False, 1.0, False, 2)
    _, rows = judged([before], [brighter(before, box, 0.1)], [segs])
    assert [row[2] for row in rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("after", "segs", "named"),
    [
        ([smooth()] * 2, [((0, 0), [])], "after"),
        ([torch.zeros(1, 8, 8, 3)], [((0, 0), [])], "after"),
        ([smooth()], [((0, 0), [])] * 3, "segs"),
        ([smooth()], [None], "segs"),
        (["no picture"], [((0, 0), [])], "after"),
    ],
)
def test_what_does_not_fit_is_named(after: Any, segs: Any, named: str) -> None:
    with pytest.raises(ValueError, match=f"MaskDetailerWorstParts.*'{named}'"):
        judged([smooth()], after, segs)
