"""Ground floor: pictures, masks, regions and segments. Knows torch, numpy and OpenCV, and nothing of ComfyUI."""

from .batch import joined, with_channels
from .blend import paste_
from .logs import in_short, make_printable, printable
from .mask_to_segs import mask_to_segs
from .masks import as_mask_batch, blur_mask, covered_region, dilate_mask, resize_mask
from .pixels import encoded, to_bytes
from .region import Region, Size
from .resample import from_working_size, resample, to_working_size
from .rotate import Turn
from .seg import SEG, SEGS, bbox, crop_region, header_size, own_image, seg_image, seg_mask

__all__ = [
    "SEG",
    "SEGS",
    "Region",
    "Size",
    "Turn",
    "as_mask_batch",
    "bbox",
    "blur_mask",
    "covered_region",
    "crop_region",
    "dilate_mask",
    "encoded",
    "from_working_size",
    "header_size",
    "in_short",
    "joined",
    "mask_to_segs",
    "own_image",
    "paste_",
    "printable",
    "resample",
    "resize_mask",
    "seg_image",
    "seg_mask",
    "to_bytes",
    "to_working_size",
    "with_channels",
]

make_printable()
