"""Small ONNX files of every kind of detector that is known, whose answers are known: made with the ``onnx`` package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
MEAN_OF_BLUE = 103.939

Array = NDArray[Any]


def constant(name: str, values: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def saved(
    nodes: Sequence[onnx.NodeProto], given: Any, outputs: Sequence[Any], held: Sequence[Any], **said: str
) -> bytes:
    """A file of one graph.

    Args:
        said: its metadata.
    """
    graph = helper.make_graph(list(nodes), "net", [given], list(outputs), list(held))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, said)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def info(name: str, kind: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def retinanet(boxes: Array, scores: Array, labels: Array, open_sides: bool = True) -> bytes:
    """Gives these, whatever it is shown; but the first score is how blue the picture is, 0..1, as the net sees it."""
    count = len(scores)
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "first"], ["blue"]),
        helper.make_node("Add", ["blue", "scores_held"], ["scores"]),
        helper.make_node("Identity", ["boxes_held"], ["boxes"]),
        helper.make_node("Identity", ["labels_held"], ["labels"]),
    ]
    first = np.zeros((3, count), np.float32)
    first[0, 0] = 1 / 255
    held_scores = scores[None].astype(np.float32)
    held_scores[0, 0] = MEAN_OF_BLUE / 255
    held = [
        constant("first", first),
        constant("scores_held", held_scores),
        constant("boxes_held", boxes[None].astype(np.float32)),
        constant("labels_held", labels[None].astype(np.int32)),
    ]
    sides = ("height", "width") if open_sides else (32, 48)
    outputs = [
        info("boxes", TensorProto.FLOAT, (1, count, 4)),
        info("scores", TensorProto.FLOAT, (1, count)),
        info("labels", TensorProto.INT32, (1, count)),
    ]
    return saved(nodes, info("picture", TensorProto.FLOAT, (1, *sides, 3)), outputs, held)


def ultraface(boxes: Array, scores: Array) -> bytes:
    """Faces of these boxes (0..1) and scores; the first's score is how red the picture is, 0..1."""
    count = len(scores)
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "first"], ["red"]),
        helper.make_node("Reshape", ["red", "shape"], ["added"]),
        helper.make_node("Add", ["added", "scores_held"], ["scores"]),
        helper.make_node("Identity", ["boxes_held"], ["boxes"]),
    ]
    first = np.zeros((3, 2 * count), np.float32)
    first[0, 1] = 128 / 255
    both = np.stack([1 - scores, scores], axis=1)[None].astype(np.float32)
    both[0, 0, 1] = 127 / 255
    held = [
        constant("first", first),
        constant("shape", np.array([1, count, 2], np.int64)),
        constant("scores_held", both),
        constant("boxes_held", boxes[None].astype(np.float32)),
    ]
    outputs = [info("scores", TensorProto.FLOAT, (1, count, 2)), info("boxes", TensorProto.FLOAT, (1, count, 4))]
    return saved(nodes, info("input", TensorProto.FLOAT, (1, 3, 240, 320)), outputs, held)


def ssd_mobilenet(boxes: Array, scores: Array, classes: Array, count: int, **said: str) -> bytes:
    """Gives these, whatever it is shown."""
    held = {
        "detection_boxes": boxes[None].astype(np.float32),
        "detection_scores": scores[None].astype(np.float32),
        "detection_classes": classes[None].astype(np.float32),
        "num_detections": np.array([count], np.float32),
    }
    nodes = [helper.make_node("Identity", [f"{name}_held"], [f"{name}:0"]) for name in held]
    outputs = [info(f"{name}:0", TensorProto.FLOAT, values.shape) for name, values in held.items()]
    given = info("image_tensor:0", TensorProto.UINT8, (1, "height", "width", 3))
    return saved(nodes, given, outputs, [constant(f"{name}_held", values) for name, values in held.items()], **said)


def yolo(
    found: Array, given: Sequence[int | str] = (1, 3, 64, 64), *, prototypes: Array | None = None, **said: str
) -> bytes:
    """A net of pictures that gives this, whatever it is shown.

    Args:
        prototypes: what masks are sums of; None for a net without masks.
    """
    held = {"output0": found} | ({} if prototypes is None else {"output1": prototypes})
    nodes = [helper.make_node("Identity", [f"{name}_held"], [name]) for name in held]
    outputs = [info(name, TensorProto.FLOAT, values.shape) for name, values in held.items()]
    constants = [constant(f"{name}_held", values.astype(np.float32)) for name, values in held.items()]
    return saved(nodes, info("images", TensorProto.FLOAT, given), outputs, constants, **said)


def with_weights_outside(place: str, path: str) -> bytes:
    """A net whose weights lie in another file: of the graph, of a node, of a graph within, or of a function."""
    held = constant("held", np.zeros((1, 5, 10), np.float32))
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    for key, value in {"location": path, "offset": "0", "length": "200"}.items():
        entry = held.external_data.add()
        entry.key, entry.value = key, value
    output = info("output0", TensorProto.FLOAT, (1, 5, 10))
    inner = helper.make_graph([helper.make_node("Identity", ["held"], ["inner"])], "inner", [], [output], [held])
    nodes = {
        "graph": helper.make_node("Identity", ["held"], ["output0"]),
        "node": helper.make_node("Constant", [], ["output0"], value=held),
        "graph within": helper.make_node("If", ["yes"], ["output0"], then_branch=inner, else_branch=inner),
        "function": helper.make_node("F", [], ["output0"], domain="own"),
    }
    graph = helper.make_graph(
        [nodes[place]], "net", [info("images", TensorProto.FLOAT, (1, 3, 64, 64))], [output],
        [held] if place == "graph" else [],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    if place == "function":
        body = [helper.make_node("Constant", [], ["o"], value=held)]
        model.functions.append(helper.make_function("own", "F", [], ["o"], body, [helper.make_opsetid("", OPSET)]))
    return model.SerializeToString()
