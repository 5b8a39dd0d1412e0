"""Nodes under ids of years past do what those that they became do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from engine.any_node import DISCS, SIZE, segs_in
from engine.executing import execute, keep, refused, registered, step
from engine.running import same
from engine.tiny_models import mask_of
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, legacy
from mask_detailer.nodes.validate import InputError
from support.detectors import BoxDetector, OutlineDetector, drawn

IMAGE = drawn(*SIZE, DISCS)[0]


def run(node: str, **inputs: Any) -> Any:
    return NODE_CLASS_MAPPINGS[node]().doit(**inputs)


def test_segs_and_mask() -> None:
    segs = segs_in(SIZE)
    mask = mask_of(*SIZE, (20, 20, 60, 40))
    assert same(run("Segs & Mask", segs=segs, mask=mask), run("ImpactSegsAndMask", segs=segs, mask=mask))
    masks = torch.cat([mask, torch.ones_like(mask)])
    made = run("Segs & Mask ForEach", segs=segs, masks=masks)
    assert same(made, run("ImpactSegsAndMaskForEach", segs=segs, masks=masks))


class Masks:
    """What gave the MASKS of 2023."""

    RETURN_TYPES = ("MASKS",)
    FUNCTION = "doit"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {}}

    def doit(self) -> tuple[torch.Tensor]:
        return (torch.ones(2, *SIZE),)


@pytest.mark.parametrize("kind", ["MASKS", "MASK", "IMAGE"])
def test_a_link_of_masks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import nodes

    monkeypatch.setattr(Masks, "RETURN_TYPES", (kind,))
    with registered():
        nodes.NODE_CLASS_MAPPINGS["TestMasks"] = Masks
        segs = segs_in(SIZE)
        prompt = {
            "segs": step("TestSource", value="segs"), "masks": step("TestMasks"),
            "and": step("Segs & Mask ForEach", segs=["segs", 0], masks=["masks", 0]), "kept": keep("and"),
        }  # fmt: skip
        if kind == "IMAGE":
            assert "and" in refused(prompt)
        else:
            assert len(execute(prompt, segs=segs).kept["kept"][0][1]) == 2


def test_masks_combined_at_the_picture_s_size() -> None:
    """Segments stay where they are: of a smaller picture what lies within, of a larger one with black around it."""
    segs = segs_in(SIZE)
    (whole,) = run("SegsToCombinedMask", segs=segs)
    for height, width in (SIZE, (40, 50), (100, 90)):
        (made,) = run("SegsMaskCombine", segs=segs, image=torch.zeros(1, height, width, 3))
        wanted = torch.zeros(1, 100, 90)
        wanted[:, : SIZE[0], : SIZE[1]] = whole
        assert torch.equal(made, wanted[:, :height, :width])


@pytest.mark.parametrize("kind", ["Bbox", "Segm"])
def test_detectors(kind: str) -> None:
    detector = BoxDetector() if kind == "Bbox" else OutlineDetector()
    given: dict[str, Any] = dict(image=IMAGE, threshold=0.5, dilation=4)
    model, today = {f"{kind.lower()}_model": detector}, {f"{kind.lower()}_detector": detector}
    made = run(f"{kind}DetectorForEach", **model, **given, crop_factor=2.0)
    wanted = run(f"{kind}DetectorSEGS", **today, **given, crop_factor=2.0, drop_size=1, labels="all")
    assert same(made, wanted) and len(made[0][1]) == 2
    assert same(run(f"{kind}DetectorCombined", **model, **given), run(f"{kind}DetectorCombined_v2", **today, **given))
    with pytest.raises(InputError, match=f"{kind}DetectorForEach, input '{kind.lower()}_model': .* is missing"):
        run(f"{kind}DetectorForEach", **{f"{kind.lower()}_model": None}, **given, crop_factor=2.0)


def test_an_old_detector_goes_where_todays_does() -> None:
    """A FaceDetailer of April 2023 was linked to the loader; its input has the kind of today."""
    with registered():
        prompt = {
            "old": step("MMDetLoader", model_name="bbox/face.pth"),
            "boxes": step(
                "BboxDetectorCombined_v2", bbox_detector=["old", 0], image=["old", 0], threshold=0.5, dilation=0
            ),
            "outlines": step(
                "SegmDetectorCombined_v2", segm_detector=["old", 0], image=["old", 0], threshold=0.5, dilation=0
            ),
            "kept": keep("boxes"), "too": keep("outlines"),
        }  # fmt: skip
        found = refused(prompt)
    assert not any("bbox_detector" in one for one in found["boxes"])
    assert any("segm_detector" in one for one in found["outlines"])
    assert legacy.MMDetLoader.RETURN_TYPES == ("BBOX_MODEL", "SEGM_MODEL")


def test_outlines_are_never_too_small() -> None:
    assert legacy.SegmDetectorForEach.DROP_SIZE == 0 and legacy.BboxDetectorForEach.DROP_SIZE == 1


@pytest.fixture
def old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mmdet's weights, and the Python file beside them that must never run."""
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", dict(folder_paths.folder_names_and_paths))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    for kind in ("mmdets_bbox", "mmdets_segm"):
        folder_paths.add_model_folder_path(kind, str(tmp_path / kind))
        (tmp_path / kind).mkdir()
    (tmp_path / "mmdets_bbox" / "face.pth").write_bytes(b"weights")
    (tmp_path / "mmdets_bbox" / "face.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    legacy.register_folders()
    return tmp_path


@pytest.mark.parametrize("node", ["MMDetLoader", "MMDetDetectorProvider"])
@pytest.mark.parametrize("name", ["bbox/face.pth", "bbox/mmdet_anime-face_yolov3.pth", "../../etc/passwd"])
def test_mmdet_is_refused_when_run(node: str, name: str, old_files: Path) -> None:
    """It stands in the graph, passes validation whatever file was saved, and says then what to use."""
    choices = NODE_CLASS_MAPPINGS[node].INPUT_TYPES()["required"]["model_name"][0]
    assert "bbox/face.pth" in choices and not any(choice.endswith(".py") for choice in choices)
    with registered():
        prompt = {"loader": step(node, model_name=name), "kept": keep("loader")}
        assert refused(prompt) == {}
        error = execute(prompt).error
    assert error and error.startswith(f"{node}, input 'model_name': ") and f"{name} can't be loaded" in error
    assert "Use 'UltralyticsDetectorProvider'" in error and "face_yolov8m.pt" in error
    assert not (old_files / "ran").exists()
