"""EfficientSAM, which another pack's node loads, as a SAM_MODEL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch

from ... import host
from ...host.placement import CPU

ESAM = "ESAM"
LOADER = "ESAM_ModelLoader_Zho"
BOX_CORNERS = (2, 3)  # the labels of a box's first and second corner


class _Network(Protocol):
    """Of pictures ``[1,3,H,W]`` 0..1, points ``[1,1,n,2]`` and labels ``[1,1,n]``: logits ``[1,1,m,H,W]``, scores."""

    def __call__(
        self, picture: torch.Tensor, points: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


def is_there() -> bool:
    """Whether the node that loads it is installed."""
    return LOADER in host.nodes.registered_nodes()


def load_esam(device_mode: str) -> EsamModel:
    """EfficientSAM as the other pack loads it, on the CPU or, in any other mode and where there is one, on the GPU."""
    device = host.devices.sampling_device()
    on_cpu = device_mode == CPU or device.type == "cpu"
    node = host.nodes.registered_nodes()[LOADER]
    network = cast("_Network", host.nodes.first_output(node, "CPU" if on_cpu else "CUDA"))
    return EsamModel(EsamWrapper(network, torch.device("cpu") if on_cpu else device))


@dataclass(frozen=True)
class EsamWrapper:
    """EfficientSAM in the form of a SAM wrapper. It is asked by the box alone and gives its best mask."""

    network: _Network
    device: torch.device

    def prepare_device(self) -> None:
        """Nothing to do: it is where its pack put it."""

    def release_device(self) -> None:
        """As ``prepare_device``."""

    def predict(
        self,
        image: np.ndarray,
        points: Sequence[tuple[float, float]],
        labels: Sequence[int],
        box: Sequence[float] | None,
        threshold: float,
    ) -> list[np.ndarray]:
        """The mask ``[H,W]`` of booleans with the best score for what is in a box; nothing where there is none.

        Args:
            image: ``[H,W,3]`` uint8.
            points: not looked at, nor are ``labels`` and ``threshold``.
        """
        if box is None or not len(box):
            return []
        picture = torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, 0)[None].float() / 255.0
        corners = torch.tensor([float(value) for value in box]).reshape(1, 1, 2, 2)
        kinds = torch.tensor([[BOX_CORNERS]])
        with torch.inference_mode():
            logits, scores = self.network(*(each.to(self.device) for each in (picture, corners, kinds)))
        best = int(scores.flatten().argmax())
        return [(logits.flatten(0, -3)[best] >= 0).cpu().numpy()]


@dataclass(frozen=True)
class EsamModel:
    """A SAM_MODEL: something that carries a wrapper."""

    sam_wrapper: EsamWrapper
