"""Which files make a net and which are refused, by what their description and tensors say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from mask_detailer.detailer.detection.yolo.build import BLOCKS, build
from mask_detailer.detailer.detection.yolo.values import Checkpoint, YoloError

HEAD: list[Any] = [[2], 1, "Detect", ["nc"]]
ROWS: list[Any] = [
    [-1, 1, "Conv", [8, 3, 2]],
    [-1, 1, "ultralytics.nn.modules.conv.Conv", [8, 3, 2]],
    [-1, 1, "C2f", [8, True]],
]


def _conv(name: str, channels: int, given: int, side: int = 3) -> dict[str, torch.Tensor]:
    norm = {key: torch.ones(channels) for key in ("weight", "bias", "running_mean", "running_var")}
    weight = torch.randn(channels, given, side, side) * 0.1
    return {f"{name}.conv.weight": weight, **{f"{name}.bn.{key}": value for key, value in norm.items()}}


def _tensors() -> dict[str, torch.Tensor]:
    """Of a net of one level and three classes."""
    torch.manual_seed(0)
    tensors = {**_conv("model.0", 8, 3), **_conv("model.1", 8, 8)}
    tensors |= {**_conv("model.2.cv1", 8, 8, 1), **_conv("model.2.cv2", 8, 12, 1)}
    tensors |= {**_conv("model.2.m.0.cv1", 4, 4), **_conv("model.2.m.0.cv2", 4, 4)}
    for branch, channels in (("cv2", 64), ("cv3", 3)):
        tensors |= _conv(f"model.3.{branch}.0.0", 8, 8)
        tensors |= {f"model.3.{branch}.0.1.weight": torch.randn(channels, 8, 1, 1)}
        tensors |= {f"model.3.{branch}.0.1.bias": torch.zeros(channels)}
    return tensors


def _checkpoint(
    rows: list[Any] = ROWS,
    head: list[Any] = HEAD,
    tensors: Mapping[str, torch.Tensor] | None = None,
    task: str = "",
    **description: Any,
) -> Checkpoint:
    given = _tensors() if tensors is None else tensors
    return Checkpoint(given, {0: "face"}, task, {"backbone": rows, "head": [head], **description}, source="face.pt")


def test_net_of_its_tensors() -> None:
    net = build(_checkpoint())
    assert (net.classes, net.stride, net.masks, net.once) == (3, 4, False, False)
    with torch.inference_mode():
        seen = net(torch.rand(1, 3, 32, 48))
    assert seen.boxes.shape == (8 * 12, 4) and seen.scores.shape == (8 * 12, 3)
    assert seen.prototypes is None


def test_normalization_is_part_of_the_weights() -> None:
    tensors = _tensors()
    net = build(_checkpoint(tensors=tensors))
    picture = torch.rand(1, 3, 8, 8)
    convolved = torch.nn.functional.conv2d(picture, tensors["model.0.conv.weight"], stride=2, padding=1)
    mean, var, weight, bias = (
        tensors[f"model.0.bn.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
    )
    wanted = torch.nn.functional.silu(torch.nn.functional.batch_norm(convolved, mean, var, weight, bias, eps=1e-3))
    assert torch.allclose(net.blocks[0](picture), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        ("Pose", "is a net for poses"),
        ("OBB", "is a net for turned boxes"),
        ("Classify", "is a classifier"),
        ("WorldDetect", "is a YOLO-World net"),
        ("RTDETRDecoder", "is an RT-DETR net"),
        ("Oracle", "is a net that ends with Oracle"),
    ],
)
def test_other_tasks_are_refused_by_name(head: str, what: str) -> None:
    with pytest.raises(YoloError, match=rf"^face\.pt {what}.*\. Use a detector or segmenter of YOLOv8"):
        build(_checkpoint(head=[[2], 1, head, ["nc"]]))


REFUSED: dict[str, tuple[Checkpoint, str]] = {
    "anchors": (_checkpoint(head=[[2], 1, "Detect", ["nc", "anchors"]]), "is a YOLO net with anchors, such as YOLOv5"),
    "anchors beside": (_checkpoint(anchors=3), "is a YOLO net with anchors"),
    "block": (_checkpoint([*ROWS[:2], [-1, 1, "GhostConv", [8]]]), "has parts that are not known here: GhostConv"),
    "task": (_checkpoint(task="pose"), "is a net for the task pose"),
    "other task": (_checkpoint(task="segment"), "is a net for the task segment"),
    "activation": (_checkpoint(activation="nn.ReLU()"), "is a YOLO net with nn.ReLU() instead of SiLU"),
    "no description": (Checkpoint({}, {}, "", {}, source="face.pt"), "does not say what its net looks like"),
    "row": (_checkpoint([[-1, 1, "Conv"]]), "can't be used as a detector: its description can't be read"),
    "sources": (_checkpoint([["x", 1, "Conv", []]]), "can't be used as a detector: its description can't be read"),
    "later part": (_checkpoint([[7, 1, "Conv", [8, 3, 2]], *ROWS[1:]]), "can't be used as a detector"),
    "stride": (_checkpoint([[-1, 1, "Conv", [8, 3, "two"]], *ROWS[1:]]), "its description can't be followed"),
    "missing": (
        _checkpoint(tensors={name: value for name, value in _tensors().items() if name != "model.1.conv.weight"}),
        "the tensor model.1.conv.weight is missing",
    ),
    "left over": (
        _checkpoint(tensors=_tensors() | {"model.1.gate": torch.ones(2)}),
        "its description says nothing of 1 tensors, the first model.1.gate",
    ),
    "shapes": (
        _checkpoint(tensors=_tensors() | {"model.2.cv1.conv.weight": torch.ones(8, 5, 1, 1)}),
        "its tensors don't fit one another",
    ),
    "doubles": (
        _checkpoint(
            [*ROWS[:2], *[[[-1, -1], 1, "Concat", [1]]] * 60],
            tensors={
                name.replace("model.3", "model.62"): value
                for name, value in _tensors().items()
                if not name.startswith("model.2")
            },
        ),
        "values of a small picture",
    ),
    "enlarges": (
        _checkpoint([*ROWS[:2], [-1, 1, "nn.Upsample", [None, 100000, "nearest"]]]),
        "100000 is no kernel, stride or factor",
    ),
    "rows": (_checkpoint(ROWS * 400), "its description has 1201 rows"),
    "many sources": (_checkpoint([*ROWS[:2], [[-1] * 1000, 1, "Concat", [1]]]), "takes 1000 others"),
    "norm": (
        _checkpoint(tensors=_tensors() | {"model.1.bn.running_var": torch.ones(3)}),
        "its description can't be followed",
    ),
    "few axes": (_checkpoint(tensors=_tensors() | {"model.1.conv.weight": torch.ones(8)}), "can't be used"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_sentence(case: str) -> None:
    checkpoint, what = REFUSED[case]
    with pytest.raises(YoloError, match=rf"^face\.pt .*{re.escape(what)}|^face\.pt {re.escape(what)}"):
        build(checkpoint)


def test_names_of_blocks_are_all_that_are_built() -> None:
    assert {"Conv", "C2f", "C3k2", "SPPF", "A2C2f", "RepNCSPELAN4", "SCDown"} <= set(BLOCKS)
