"""Ground floor: pictures, masks, regions and segments. Knows torch, numpy and OpenCV, and nothing of ComfyUI."""

from .batch import joined
from .mask_to_segs import mask_to_segs
from .masks import as_mask_batch, blur_mask, dilate_mask, paste_, resize_mask
from .region import Region, Size
from .resample import resample
from .rotate import Turn
from .seg import SEG, SEGS, bbox, crop_region, header_size, seg_image, seg_mask

__all__ = [
    "SEG",
    "SEGS",
    "Region",
    "Size",
    "Turn",
    "as_mask_batch",
    "bbox",
    "blur_mask",
    "crop_region",
    "dilate_mask",
    "header_size",
    "joined",
    "mask_to_segs",
    "paste_",
    "resample",
    "resize_mask",
    "seg_image",
    "seg_mask",
]
