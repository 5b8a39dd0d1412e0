"""First floor: what can be done to SEGS. Pure: no ComfyUI here."""

from .convert import BLACK_PICTURE_SIDE, black_picture, to_combined_mask, to_image_list
from .rescale import rescale

__all__ = ["BLACK_PICTURE_SIDE", "black_picture", "rescale", "to_combined_mask", "to_image_list"]
