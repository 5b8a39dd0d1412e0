"""Networks of our own on the device that they run on, through ComfyUI's management of memory."""

from __future__ import annotations

import torch

AUTO, PREFER_GPU, CPU = "AUTO", "Prefer GPU", "CPU"
MODES = (AUTO, PREFER_GPU, CPU)


class Placement:
    """Where a network is while it works and between.

    Attributes:
        stays: the network is left on the GPU until ComfyUI wants the room.
    """

    def __init__(self, network: torch.nn.Module, mode: str, room: int) -> None:
        """
        Args:
            network: on the CPU. It is no model of ComfyUI's classes: it is loaded as a whole or not at all.
            mode: one of ``MODES``.
            room: bytes that it takes beside its weights when it runs.
        """
        import comfy.model_management as management
        from comfy.model_patcher import ModelPatcher

        device, at_rest = management.get_torch_device(), torch.device("cpu")
        self.room = room
        self.stays = mode == PREFER_GPU
        self._patcher = None
        if mode != CPU and not management.is_device_cpu(device):
            self._patcher = ModelPatcher(network, load_device=device, offload_device=at_rest)
        if self.stays:
            self.load()

    def load(self) -> None:
        """Bring it to the device that it runs on; ComfyUI makes room."""
        import comfy.model_management as management

        if self._patcher is not None:
            management.load_models_gpu([self._patcher], memory_required=self.room, force_full_load=True)

    def release(self) -> None:
        """Give the device's memory back, unless the network stays."""
        import comfy.model_management as management

        if self._patcher is None or self.stays:
            return
        others = [each for each in management.current_loaded_models if each.model is not self._patcher]
        everything = 1e30  # bytes: more than there can be, so that all but the others goes
        management.free_memory(everything, self._patcher.load_device, keep_loaded=others)
