"""Mask Detailer: real detail in chosen parts of a picture, for ComfyUI."""

from .nodes import register

NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = register()

WEB_DIRECTORY = "./js"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
