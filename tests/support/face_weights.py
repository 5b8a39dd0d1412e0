"""MediaPipe's published face model as the file that ComfyUI's loader takes, made of what the package mediapipe ships.

The detectors are those that the loader's own file holds. The mesh is its first version: the same trunk, but heads that
are 32 channels wide where the newer one has 8, and no irises. ``loaded`` makes room for it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from support.package_files import FOLDER, WHEEL, Package

MEDIAPIPE = Package(
    "mediapipe",
    "0.10.14",
    "9b1e72d754cd9e1b4b88d80ec9ead2f1cbe8424b7f883d3bda53341b982a9f8b",
    (
        "mediapipe/modules/face_detection/*.tflite",
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "mediapipe/python/solutions/face_mesh_connections.py",
    ),
    (*WHEEL, "--platform=manylinux_2_17_x86_64", "--python-version=3.12"),
)
FILE = FOLDER / "face_model-1.safetensors"
MESH_WIDTH, LANDMARKS = 32, 468
CORNERS = (33, 133, 159, 145, 133, 362, 263, 386, 374, 263)  # stand in for the ten points of the irises


def loaded() -> Any:
    """The model as ComfyUI's LoadMediaPipeFaceLandmarker gives it."""
    import comfy.utils
    from comfy_extras.mediapipe import face_landmarker
    from comfy_extras.nodes_mediapipe import FaceLandmarkerModel

    class FirstMesh(face_landmarker.FaceMesh):
        def __init__(self, **where: Any) -> None:
            super().__init__(**where)
            width = MESH_WIDTH
            self.head_reduce = nn.Conv2d(128, width, 1)
            self.prelu_head_reduce = nn.PReLU(width)
            self.head_block = face_landmarker.FaceMeshBlock(width, width, 1)
            self.head_presence = nn.Conv2d(width, 1, 3)
            self.head_landmarks = nn.Conv2d(width, self.NUM_LANDMARKS * 3, 3)

    with patch.object(face_landmarker, "FaceMesh", FirstMesh):
        weights: Any = comfy.utils.load_torch_file(str(file()), safe_load=True)
        return FaceLandmarkerModel(weights)


@functools.cache
def model() -> Any:
    """The same one for all tests."""
    return loaded()


def file() -> Path:
    """The safetensors file, made once."""
    if not FILE.is_file():
        from safetensors.torch import save_file

        made = FILE.with_suffix(f".{id(FILE)}")
        save_file({name: value.contiguous() for name, value in _weights().items()}, str(made))
        made.replace(FILE)
    return FILE


def _weights() -> dict[str, torch.Tensor]:
    folder = MEDIAPIPE.folder()
    weights = {
        **_named("detector_short.", _short(), Constants(folder / "face_detection_short_range.tflite").layers()),
        **_named("detector_full.", _full(), Constants(folder / "face_detection_full_range_sparse.tflite").layers()),
        **_mesh(Constants(folder / "face_landmark.tflite")),
        "canonical_vertices": torch.zeros(LANDMARKS, 3),  # of the head's pose, which no test asks for
        "procrustes_indices": torch.arange(33),
        "procrustes_weights": torch.ones(33),
    }
    for part, edges in _topology(folder / "face_mesh_connections.py").items():
        weights[f"topology.{part}"] = torch.tensor(sorted(edges), dtype=torch.int32)
    return weights


class Constants:
    """The layers' constants of a tflite file, read from an interpreter that ran once: some are packed until then."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.interpreter.invoke()
        self.operations = self.interpreter._get_ops_details()

    def layers(self, output: int | None = None) -> Iterator[list[torch.Tensor]]:
        """Weight and bias, or slopes, of each layer in order, in PyTorch's layout.

        Args:
            output: only layers that this tensor is made of.
        """
        of_it = None if output is None else self._made_of(output)
        for operation in self.operations:
            kind, inputs, outputs = operation["op_name"], operation["inputs"], operation["outputs"]
            if of_it is not None and not of_it.intersection(map(int, outputs)):
                continue
            if kind == "CONV_2D":
                yield [self._tensor(inputs[1]).permute(0, 3, 1, 2), self._tensor(inputs[2])]
            elif kind == "DEPTHWISE_CONV_2D":
                yield [self._tensor(inputs[1]).permute(3, 0, 1, 2), self._tensor(inputs[2])]
            elif kind == "PRELU":
                yield [self._tensor(inputs[1]).flatten()]

    def output_of(self, channels: int) -> int:
        """The tensor that a convolution with so many outputs gives."""
        for operation in self.operations:
            if operation["op_name"] == "CONV_2D" and len(self._tensor(operation["inputs"][2])) == channels:
                return int(operation["outputs"][0])
        raise ValueError(f"no convolution has {channels} outputs")

    def _made_of(self, output: int) -> set[int]:
        makers = {int(made): operation for operation in self.operations for made in operation["outputs"]}
        found, left = set(), [output]
        while left:
            tensor = left.pop()
            if tensor not in found:
                found.add(tensor)
                left += [int(one) for one in makers[tensor]["inputs"]] if tensor in makers else []
        return found

    def _tensor(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.interpreter.get_tensor(int(index)), np.float32))


def _named(prefix: str, names: Sequence[str], layers: Iterator[list[torch.Tensor]]) -> dict[str, torch.Tensor]:
    made = {}
    for name, values in zip(names, layers, strict=True):
        for kind, value in zip(("weight", "bias"), values, strict=False):
            made[f"{prefix}{name}.{kind}"] = value
    return made


def _short() -> list[str]:
    blocks = [f"blocks.{number}.{layer}" for number in range(16) for layer in ("depthwise", "pointwise")]
    return ["stem", *blocks, "cls_16", "cls_8", "reg_16", "reg_8"]


def _full() -> list[str]:
    """In the order of the file: a side branch is computed where its level of the backbone ends."""
    parts = ("dw1", "pw1", "dw2", "pw2")
    names = ["stem"]
    for number in range(15):
        names += [f"backbone.{number}.{part}" for part in parts]
        if number in (4, 7, 10):
            names.append(f"lateral_convs.{(number - 4) // 3}")
    names.append("top_conv")
    for level, blocks in enumerate((2, 2, 1)):
        names += [f"decoder_levels.{level}.{number}.{part}" for number in range(blocks) for part in parts]
        if level < 2:
            names.append(f"decoder_reduce_convs.{level}")
    return [*names, "cls_conv", "cls_dw", "reg_conv", "reg_dw"]


def _mesh(constants: Constants) -> dict[str, torch.Tensor]:
    names = ["stem", "prelu_stem"]
    for block in (*(f"blocks.{number}" for number in range(17)), None):
        if block is None:
            names += ["head_reduce", "prelu_head_reduce"]
        names += [f"{block or 'head_block'}.{part}" for part in ("depthwise", "pointwise", "prelu_out")]
    made = _named("mesh.", [*names, "head_landmarks"], constants.layers(constants.output_of(3 * LANDMARKS)))
    for name in [name for name in made if name.endswith("prelu_out.weight")]:
        # this version has no slope between a block's two convolutions: a slope of 1 changes nothing
        depthwise = made[name.replace("prelu_out.weight", "depthwise.bias")]
        made[name.replace("prelu_out", "prelu_dwise")] = torch.ones_like(depthwise)
    for kind in ("weight", "bias"):
        points = made[f"mesh.head_landmarks.{kind}"].unflatten(0, (LANDMARKS, 3))
        made[f"mesh.head_landmarks.{kind}"] = torch.cat([points, points[list(CORNERS)]]).flatten(0, 1)
    # the presence of a face is told by a branch of its own, for which there is no room; nothing asks for it
    made["mesh.head_presence.weight"], made["mesh.head_presence.bias"] = torch.zeros(1, MESH_WIDTH, 3, 3), torch.ones(1)
    return made


def _topology(path: Path) -> dict[str, set[tuple[int, int]]]:
    """The named sets of edges that a module of frozensets of literals holds."""
    sets: dict[str, set[tuple[int, int]]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if len(node.value.args) == 1 and isinstance(node.value.args[0], ast.List):
            name = ast.unparse(node.targets[0]).removeprefix("FACEMESH_").lower()
            sets[name] = set(ast.literal_eval(node.value.args[0]))
    sets["irises"] = sets.pop("left_iris") | sets.pop("right_iris")
    return {name: edges for name, edges in sets.items() if name != "contours"}
