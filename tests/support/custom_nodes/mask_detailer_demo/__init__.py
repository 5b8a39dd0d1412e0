"""A node pack for the demo and the tests only: conditioning for checkpoints without text encoder, and detectors."""

from typing import Any

import torch
from model import conditioning
from support.detectors import BoxDetector, FloodSam, OutlineDetector, SamModel

CONTEXT_WIDTH, POOLED_WIDTH = 64, 16  # those of support.checkpoint


class MaskDetailerDemoConditioning:
    """Eight random tokens, the same for the same seed."""

    CATEGORY = "MaskDetailer/demo"
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "doit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF})}}

    def doit(self, seed: int) -> tuple[list[list[Any]]]:
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randn(1, 8, CONTEXT_WIDTH, generator=generator)
        pooled = torch.randn(1, POOLED_WIDTH, generator=generator)
        return ([[tokens, {"pooled_output": pooled}]],)


class MaskDetailerDemoPart:
    """What a part shows, as the trained tiny model knows it."""

    CATEGORY = "MaskDetailer/demo"
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "doit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"kind": (list(conditioning.KINDS),)}}

    def doit(self, kind: str) -> tuple[list[list[Any]]]:
        return (conditioning.conditioning(kind),)


class MaskDetailerDemoDetector:
    """Detectors of coloured things, and a SAM model that floods."""

    CATEGORY = "MaskDetailer/demo"
    RETURN_TYPES = ("BBOX_DETECTOR", "SEGM_DETECTOR", "SAM_MODEL")
    FUNCTION = "doit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def doit(self) -> tuple[Any, Any, Any]:
        return BoxDetector(), OutlineDetector(), SamModel(FloodSam())


NODE_CLASS_MAPPINGS = {
    "MaskDetailerDemoConditioning": MaskDetailerDemoConditioning,
    "MaskDetailerDemoPart": MaskDetailerDemoPart,
    "MaskDetailerDemoDetector": MaskDetailerDemoDetector,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MaskDetailerDemoConditioning": "Mask Detailer demo conditioning",
    "MaskDetailerDemoPart": "Mask Detailer demo part",
    "MaskDetailerDemoDetector": "Mask Detailer demo detectors",
}
