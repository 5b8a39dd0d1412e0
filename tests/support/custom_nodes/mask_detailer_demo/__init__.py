"""A node pack for the demo and the tests only: conditioning, what stands in for a text encoder, detectors
and a tracker."""

import zlib
from typing import Any

import numpy as np
import torch
from support.detectors import BoxDetector, FloodSam, OutlineDetector, SamModel
from support.pictures import SMALL_BOXES
from tiny_model import conditioning

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


class MaskDetailerDemoClip:
    """Stands in for a text encoder: of a text the trained tiny model is told the first kind of part named in it."""

    CATEGORY = "MaskDetailer/demo"
    RETURN_TYPES = ("CLIP",)
    FUNCTION = "doit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def doit(self) -> tuple[Any]:
        return (self,)

    def tokenize(self, text: str, **_: object) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list[list[Any]]:
        named = [kind for kind in conditioning.KINDS if kind in text]
        return conditioning.conditioning(min(named, key=text.index, default="generic"))


class MaskDetailerDemoAnyClip(MaskDetailerDemoClip):
    """Stands in for a text encoder of the model with random weights: each text has eight tokens of its own."""

    def encode_from_tokens_scheduled(self, text: str) -> list[list[Any]]:
        return MaskDetailerDemoConditioning().doit(zlib.crc32(text.encode()))[0]


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


class MaskDetailerDemoTracks:
    """What ComfyUI's SAM 3 would say of the first two boxes of the tests' picture, which move by 2 pixels a frame."""

    CATEGORY = "MaskDetailer/demo"
    RETURN_TYPES = ("SAM3_TRACK_DATA",)
    FUNCTION = "doit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}}

    def doit(self, images: torch.Tensor) -> tuple[dict[str, Any]]:
        count, height, width = images.shape[:3]
        masks = np.zeros((count, 2, height, width), np.uint8)
        for frame in range(count):
            for number, (x1, y1, x2, y2) in enumerate(SMALL_BOXES[:2]):
                masks[frame, number, y1:y2, x1 + 2 * frame : x2 + 2 * frame] = 1
        packed = torch.from_numpy(np.packbits(masks, axis=-1, bitorder="little"))
        return ({"packed_masks": packed, "orig_size": (height, width), "n_frames": count, "scores": []},)


NODE_CLASS_MAPPINGS = {
    "MaskDetailerDemoConditioning": MaskDetailerDemoConditioning,
    "MaskDetailerDemoPart": MaskDetailerDemoPart,
    "MaskDetailerDemoClip": MaskDetailerDemoClip,
    "MaskDetailerDemoAnyClip": MaskDetailerDemoAnyClip,
    "MaskDetailerDemoDetector": MaskDetailerDemoDetector,
    "MaskDetailerDemoTracks": MaskDetailerDemoTracks,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MaskDetailerDemoConditioning": "Mask Detailer demo conditioning",
    "MaskDetailerDemoPart": "Mask Detailer demo part",
    "MaskDetailerDemoClip": "Mask Detailer demo text encoder",
    "MaskDetailerDemoAnyClip": "Mask Detailer demo text encoder, any text",
    "MaskDetailerDemoDetector": "Mask Detailer demo detectors",
    "MaskDetailerDemoTracks": "Mask Detailer demo tracks",
}
