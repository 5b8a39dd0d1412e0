"""The nodes of the segs group as ComfyUI runs them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import same
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG
from mask_detailer.nodes.validate import InputError
from PIL import Image

HEADER = (60, 80)
NODES = list(json.loads((Path(__file__).parents[1] / "data" / "interface.json").read_text())["segs"])


@pytest.fixture(autouse=True)
def temp_folder(tmp_path: Path) -> Iterator[Path]:
    import folder_paths

    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path))
    yield tmp_path
    folder_paths.set_temp_directory(before)


def run(node_id: str, **given: Any) -> Any:
    """A node with its defaults, by keyword as ComfyUI calls it."""
    node = NODE_CLASS_MAPPINGS[node_id]
    declared = node.INPUT_TYPES()
    inputs: dict[str, Any] = {}
    for name, (kind, *options) in declared.get("required", {}).items():
        if isinstance(kind, list):
            inputs[name] = kind[0]
        elif options and "default" in options[0]:
            inputs[name] = options[0]["default"]
        elif kind == "STRING":
            inputs[name] = ""
    return getattr(node(), node.FUNCTION)(**inputs | given)


def box_seg(box: tuple[int, int, int, int] = (10, 20, 30, 40), value: float = 1.0, label: str = "A") -> SEG:
    mask = np.full((box[3] - box[1], box[2] - box[0]), value, np.float32)
    return SEG(None, mask, 1.0, list(box), box, label)


def things() -> dict[str, Any]:
    """Something for every kind of link."""
    one = box_seg()._replace(cropped_image=torch.rand(1, 20, 20, 3), control_net_wrapper=None)
    foreign = one._replace(cropped_mask=torch.ones(2, 20, 20), label="b", cropped_image=None)
    return {
        "SEGS": (HEADER, [one, foreign]),
        "SEG_ELT": one,
        "SEGS_HEADER": HEADER,
        "SEG_ELT_bbox": (1, 2, 30, 40),
        "SEG_ELT_crop_region": [1, 2, 30, 40],
        "SEG_ELT_control_net_wrapper": object(),
        "MASK": torch.rand(2, 60, 80),
        "IMAGE": torch.rand(2, 60, 80, 3),
        "FLOAT": 0.5,
        "STRING": "face",
    }


def links(node_id: str, made: dict[str, Any]) -> dict[str, Any]:
    """All links of a node, the optional ones too."""
    node = NODE_CLASS_MAPPINGS[node_id]
    declared = node.INPUT_TYPES()
    found = {
        name: made[kind]
        for group in ("required", "optional")
        for name, (kind, *options) in declared.get(group, {}).items()
        if isinstance(kind, str) and kind in made and not (options and "default" in options[0])
    }
    return {name: [value] for name, value in found.items()} if getattr(node, "INPUT_IS_LIST", False) else found


def outputs_of(node_id: str, result: Any) -> tuple[Any, ...]:
    """The outputs, lists flattened to their items."""
    outputs = result["result"] if isinstance(result, dict) else result
    are_lists = getattr(NODE_CLASS_MAPPINGS[node_id], "OUTPUT_IS_LIST", (False,) * len(outputs))
    return tuple(item for out, is_list in zip(outputs, are_lists, strict=True) for item in (out if is_list else [out]))


def as_tensors(value: Any) -> Any:
    """Nested values with tensors for arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return [as_tensors(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("node_id", NODES)
def test_inputs_are_not_written_to_and_outputs_share_no_memory(node_id: str) -> None:
    made = things()
    wrapper = made["SEG_ELT_control_net_wrapper"]
    names = [name for name, value in made.items() if value is not wrapper]
    kept = copy.deepcopy([as_tensors(made[name]) for name in names])
    outputs = outputs_of(node_id, run(node_id, **links(node_id, made)))
    for output in outputs:
        if isinstance(output, torch.Tensor):
            assert output.dtype == torch.float32
            output.fill_(0.25)
    assert same([as_tensors(made[name]) for name in names], kept)


@pytest.mark.parametrize("empty", [((0, 0), []), (HEADER, [])], ids=["no size", "known size"])
@pytest.mark.parametrize("node_id", [node for node in NODES if node != "ImpactAssembleSEGS"])
def test_empty_segs_pass_every_node(node_id: str, empty: Any) -> None:
    """No segments give no segments, or a mask or picture with something in it."""
    result = run(node_id, **links(node_id, things() | {"SEGS": empty}))
    for kind, output in zip(NODE_CLASS_MAPPINGS[node_id].RETURN_TYPES, outputs_of(node_id, result), strict=False):
        if kind == "SEGS" and node_id != "MaskToSEGS":
            assert output[1] == [] or (node_id == "ImpactMakeTileSEGS" and 0 in empty[0])
        if kind in ("MASK", "IMAGE") and isinstance(output, torch.Tensor):
            assert 0 not in output.shape


def test_from_and_edit_are_each_others_inverse() -> None:
    one = things()["SEG_ELT"]._replace(confidence=np.array([0.25]), label=None)
    same_one, image, mask, region, box, wrapper, confidence, label = run("ImpactFrom_SEG_ELT", seg_elt=one)
    assert same_one is one and torch.equal(image, one.cropped_image) and mask.shape == (1, 20, 20)
    assert (region, box, wrapper, confidence, label) == ([10, 20, 30, 40], (10, 20, 30, 40), None, 0.25, "")
    (edited,) = run(
        "ImpactEdit_SEG_ELT", seg_elt=one, cropped_image_opt=image, cropped_mask_opt=mask, crop_region_opt=region,
        bbox_opt=box, control_net_wrapper_opt=wrapper, confidence_opt=confidence, label_opt=label,
    )  # fmt: skip
    assert np.array_equal(edited.cropped_image, one.cropped_image.numpy())
    assert np.array_equal(edited.cropped_mask, one.cropped_mask)
    assert edited[2:] == (0.25, [10, 20, 30, 40], (10, 20, 30, 40), "", None)
    assert run("ImpactFrom_SEG_ELT", seg_elt=one._replace(cropped_image=None))[1] is None


def test_edit_keeps_what_is_not_connected() -> None:
    one = box_seg()._replace(cropped_image=np.zeros((1, 20, 20, 3), np.float32), control_net_wrapper="wrapper")
    assert run("ImpactEdit_SEG_ELT", seg_elt=one)[0] == one
    (edited,) = run("ImpactEdit_SEG_ELT", seg_elt=one, confidence_opt=0.0, label_opt="")
    assert (edited.confidence, edited.label, edited.control_net_wrapper) == (0.0, "", "wrapper")
    (edited,) = run("ImpactEdit_SEG_ELT", seg_elt=one, cropped_mask_opt=torch.rand(3, 20, 20))
    assert type(edited.cropped_mask) is np.ndarray and edited.cropped_mask.shape == (3, 20, 20)


def test_decompose_and_assemble() -> None:
    segs = things()["SEGS"]
    header, elements = run("ImpactDecomposeSEGS", segs=segs)
    ((header_again, elements_again),) = run("ImpactAssembleSEGS", seg_header=[header], seg_elt=elements)
    assert header_again == HEADER and all(a is b for a, b in zip(elements, elements_again, strict=True))
    assert run("ImpactAssembleSEGS", seg_header=[HEADER], seg_elt=[]) == ((HEADER, []),)


def test_numbers_of_a_region() -> None:
    for kind in ("bbox", "crop_region"):
        sides = run(f"ImpactFrom_SEG_ELT_{kind}", **{kind: np.array([1.7, 2, 30, 40], np.float32)})
        assert sides == (1, 2, 30, 40) and all(type(side) is int for side in sides)


def test_count_and_empty() -> None:
    assert run("ImpactCount_Elts_in_SEGS", segs=things()["SEGS"]) == (2,)
    assert run("ImpactIsNotEmptySEGS", segs=things()["SEGS"]) == (True,)
    assert run("ImpactIsNotEmptySEGS", segs=(HEADER, [])) == (False,)
    assert run("EmptySegs") == (((0, 0), []),)


def test_concat_takes_any_number() -> None:
    inputs = {f"segs{number}": (HEADER, [box_seg(label=str(number))]) for number in (1, 2, 12, 3)}
    ((header, elements),) = run("ImpactSEGSConcat", **inputs, segs4=None)
    assert header == HEADER and [one.label for one in elements] == ["1", "2", "12", "3"]


def test_picker_moves_to_the_fallback() -> None:
    ((header, (one,)),) = run("ImpactSEGSPicker", picks="2, 7", segs=things()["SEGS"],
                              fallback_image_opt=torch.rand(1, 120, 160, 3), unique_id="5")  # fmt: skip
    assert header == (120, 160) and one.label == "b" and tuple(one.crop_region) == (20, 40, 60, 80)


def test_mask_batch_is_the_list() -> None:
    segs = things()["SEGS"]
    (masks,) = run("ImpactSEGSToMaskList", segs=segs)
    (batch,) = run("ImpactSEGSToMaskBatch", segs=segs)
    assert len(masks) == 3 and torch.equal(batch, torch.cat(masks)) and batch.shape == (3, 60, 80)


# ------------------------------------------------------------------------------------------------ preview


def test_preview(temp_folder: Path) -> None:
    mask = np.concatenate([np.full((20, 7), value, np.float32) for value in (0.0, 0.5, 1.0)], axis=1)
    one = SEG(np.ones((1, 20, 21, 3), np.float32), mask, 1.0, [10, 20, 31, 40], (10, 20, 31, 40), "A")
    made = run("SEGSPreview", segs=(HEADER, [one, one]))
    files = [image["filename"] for image in made["ui"]["images"]]
    assert files == ["impact_seg_preview_00001_.webp", "impact_seg_preview_00002_.webp"]
    assert all((image["type"], image["subfolder"]) == ("temp", "") for image in made["ui"]["images"])
    with Image.open(temp_folder / files[0]) as picture:
        assert (picture.format, picture.mode) == ("WEBP", "RGBA")
        alpha = np.asarray(picture)[..., 3]
    assert np.array_equal(np.unique(alpha), [51, 128, 255])
    assert (alpha[0, 0], alpha[0, 10], alpha[0, 20]) == (51, 128, 255)
    (pictures,) = made["result"]
    assert len(pictures) == 2 and torch.equal(pictures[0], torch.from_numpy(mask)[None, ..., None].expand(1, 20, 21, 3))
    third = run("SEGSPreview", segs=(HEADER, [one]), alpha_mode=False)
    assert third["ui"]["images"][0]["filename"] == "impact_seg_preview_00003_.webp"
    with Image.open(temp_folder / "impact_seg_preview_00003_.webp") as picture:
        assert picture.mode == "RGB"
    assert torch.equal(third["result"][0][0], torch.ones(1, 20, 21, 3))


def test_preview_of_nothing_and_of_frames() -> None:
    for segs in (((0, 0), []), (HEADER, [box_seg()])):
        made = run("SEGSPreview", segs=segs)
        assert made["ui"]["images"] == [] and torch.equal(made["result"][0][0], torch.zeros(1, 64, 64, 3))
    made = run("SEGSPreview", segs=things()["SEGS"], fallback_image_opt=torch.rand(3, 60, 80, 4))
    assert len(made["ui"]["images"]) == 2 and [len(one) for one in made["result"][0]] == [1, 1]
    made = run("SEGSPreview", segs=(HEADER, [box_seg()]), fallback_image_opt=torch.rand(3, 60, 80, 3))
    assert len(made["ui"]["images"]) == 3 and made["result"][0][0].shape == (3, 20, 20, 3)


def test_preview_numbers_what_it_shows() -> None:
    """As the picker and parts_only count: those without a picture too. One entry a frame, as there are pictures."""
    pictured = box_seg()._replace(cropped_image=np.ones((2, 20, 20, 3), np.float32), label="face", confidence=0.934)
    bare, third = box_seg(), pictured._replace(label=7, confidence=np.array([np.nan]))
    made = run("SEGSPreview", segs=(HEADER, [bare, pictured, third]))["ui"]
    two, three = ({"number": 2, "label": "face", "confidence": 0.93}, {"number": 3, "label": "7", "confidence": 0.0})
    assert len(made["images"]) == 4 and made["parts"] == [two, two, three, three]
    assert run("SEGSPreview", segs=(HEADER, []))["ui"]["parts"] == []


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("node_id", "bad", "says"),
    [
        ("ImpactFrom_SEG_ELT", {"seg_elt": "text"}, "input 'seg_elt': a str lacks cropped_image.*Connect a SEG_ELT"),
        ("ImpactScaleBy_BBOX_SEG_ELT", {"seg": None}, "input 'seg': a NoneType lacks"),
        ("ImpactScaleBy_BBOX_SEG_ELT", {"seg": box_seg()._replace(bbox=None)}, "input 'seg': None is not four numbers"),
        ("ImpactAssembleSEGS", {"seg_header": [7], "seg_elt": []}, "input 'seg_header': 7 is not"),
        ("ImpactAssembleSEGS", {"seg_header": [], "seg_elt": []}, "input 'seg_header': the list is empty"),
        ("ImpactAssembleSEGS", {"seg_header": [HEADER], "seg_elt": [None]}, "input 'seg_elt': a NoneType lacks"),
        ("ImpactFrom_SEG_ELT_bbox", {"bbox": (1, 2, 3)}, "input 'bbox': .* is not four numbers: left, top"),
        ("ImpactEdit_SEG_ELT", {"seg_elt": box_seg(), "cropped_mask_opt": "text"}, "input 'cropped_mask_opt': a str"),
        ("ImpactSEGSConcat", {"segs1": (HEADER, []), "segs2": 5}, "input 'segs2': a int is no SEGS"),
        ("SubtractMaskForEach", {"base_segs": (HEADER, []), "mask_segs": None}, "input 'mask_segs': a NoneType"),
        ("ImpactSegsAndMask", {"segs": (HEADER, []), "mask": None}, "input 'mask': a NoneType is no mask"),
        ("ImpactMakeTileSEGS", {"images": "text"}, "input 'images': a str is no picture"),
    ],
)
def test_bad_input(node_id: str, bad: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=f"(?s)^{node_id}, {says}"):
        run(node_id, **bad)


def test_masks_for_each_may_be_missing() -> None:
    assert run("ImpactSegsAndMaskForEach", segs=things()["SEGS"], masks=None) == ((HEADER, []),)
    (one,) = run("ImpactSegsAndMaskForEach", segs=(HEADER, [box_seg()]), masks=torch.zeros(60, 80))[0][1]
    assert not one.cropped_mask.any()
