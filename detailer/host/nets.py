"""Nets of our own that ComfyUI keeps in memory along with its models: on the GPU while used, as it sees fit."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import torch
from torch import nn

from .protocols import Model

Net = TypeVar("Net", bound=nn.Module)


class Managed(Generic[Net]):
    """A net and ComfyUI's handle on it.

    Args:
        net: in float32, on the CPU.
        half: half precision is enough for it: used where ComfyUI finds that the device does better with it.

    Attributes:
        device: where it works.
        dtype: of its weights, and of what it is given.
    """

    def __init__(self, net: Net, half: bool = False) -> None:
        import comfy.model_management as memory
        import comfy.model_patcher

        self.net = net
        self.device = cast(torch.device, memory.get_torch_device())
        self.dtype = torch.float16 if half and memory.should_use_fp16(self.device) else torch.float32
        net.to(self.dtype)
        self._patcher = cast(
            Model, comfy.model_patcher.ModelPatcher(net, self.device, offload_device=memory.unet_offload_device())
        )

    def ready(self) -> Net:
        """The net, brought to its device."""
        import comfy.model_management

        comfy.model_management.load_model_gpu(self._patcher)
        return self.net
