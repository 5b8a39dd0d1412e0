"""Known defects of the Impact Pack that no other file's tests show mended."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mask_detailer.core import SEG
from mask_detailer.detailer.picker import Candidates
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from support.detectors import FoundSEG

HEADER = (60, 80)
REGION = [10, 20, 40, 40]  # 30 wide, 20 high


def seg_of(**fields: Any) -> SEG:
    mask = np.zeros((20, 30), np.float32)
    mask[8:12, 10:20] = 1.0
    return SEG(None, mask, 0.5, REGION, (20, 28, 30, 32), "A", "wrapper")._replace(**fields)


def run(node: str, **inputs: Any) -> Any:
    return NODE_CLASS_MAPPINGS[node]().doit(**inputs)


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy, lambda mask: torch.from_numpy(mask)[None]])
def test_a_segments_mask_is_dilated(form: Any) -> None:
    """ImpactDilate_Mask_SEG_ELT always failed. By 4, one more is reached at the right and the bottom."""
    one = seg_of()
    (made,) = run("ImpactDilate_Mask_SEG_ELT", seg_elt=one._replace(cropped_mask=form(one.cropped_mask)), dilation=4)
    wanted = np.zeros((20, 30), np.float32)
    wanted[7:14, 9:22] = 1.0
    assert np.array_equal(made.cropped_mask, wanted)
    assert made[2:] == one[2:]


def test_concat_knows_a_header_that_is_a_list() -> None:
    """Two SEGS of one size, one with its header as a list: they were taken for different sizes."""
    a, b = seg_of(label="a"), seg_of(label="b")
    ((_, made),) = run("ImpactSEGSConcat", segs1=(HEADER, [a]), segs2=([*HEADER], [b]))
    assert [one.label for one in made] == ["a", "b"]


@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1)])
def test_default_images_have_all_frames(old: int, new: int) -> None:
    """One old frame hid the further new ones; more old ones than new failed."""
    image = torch.rand(new, *HEADER, 3)
    segs = (HEADER, [seg_of(cropped_image=np.zeros((old, 20, 30, 3), np.float32))])
    ((_, (made,)),) = run("SetDefaultImageForSEGS", segs=segs, image=image, override=True)
    assert torch.equal(made.cropped_image, image[:, 20:40, 10:40])


def thumbnail(seg: Any, image: torch.Tensor | None = None) -> np.ndarray:
    candidates = Candidates()
    candidates.keep("7", (HEADER, [seg]), image)
    png = candidates.png("7", 0)
    assert png is not None
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_picker_without_any_picture() -> None:
    """It failed for crops that are not 64x64."""
    shown = thumbnail(seg_of())
    assert shown.shape == (20, 30, 3) and not shown.any()


@pytest.mark.parametrize("form", [lambda mask: torch.from_numpy(mask)[None], lambda mask: mask[None].repeat(3, 0)])
def test_picker_with_masks_of_other_forms_and_frames(form: Any) -> None:
    """Torch masks failed, and of several frames nothing could be shown: the first is."""
    one = seg_of()
    frames = torch.cat([torch.ones(1, *HEADER, 3), torch.zeros(2, *HEADER, 3)])
    shown = thumbnail(FoundSEG(*one._replace(cropped_mask=form(one.cropped_mask))), frames)
    assert shown.shape == (20, 30, 3)
    assert shown[10, 15].tolist() == [255] * 3 and shown[0, 0].tolist() == [round(0.3 * 255)] * 3
