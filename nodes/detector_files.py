"""Nodes that work on the files of detectors."""

from __future__ import annotations

from .file_detectors import WHERE, choices, file_needed, file_of, readable, state_of
from .registry import DETECTOR, Node
from .schema import InputTypes, Shown

CONVERTIBLE = (".pt", ".pth", ".pt2", ".bin", ".ckpt", ".pkl")


class MaskDetailerConvertDetector(Node, name="Convert Detector File", menu=DETECTOR, own=True):
    """A YOLO file written anew as one that no program can be led to run."""

    DESCRIPTION = (
        "Writes a YOLO file (.pt) anew as .safetensors, beside it and under the same name. Such a file can't hold a "
        "program, so it is safe to hand on. No file is changed or overwritten."
    )
    SEARCH_ALIASES = ("pt to safetensors", "convert yolo", "safe detector", "pickle to safetensors")
    RETURN_TYPES = ()
    OUTPUT_TOOLTIPS = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        which = f"A YOLO file in {WHERE}."
        files = [choice for choice in choices() if choice.lower().endswith(CONVERTIBLE)]
        return {"required": {"model_name": (files, {"tooltip": which})}}

    @classmethod
    def IS_CHANGED(cls, model_name: str | None = None) -> tuple[int, int] | str:
        """A file that was replaced is converted anew."""
        return state_of(None if model_name is None else file_of(model_name))

    def doit(self, model_name: str) -> Shown:
        from ..detailer.detection.yolo.checkpoint import CONVERTED, convert

        path = file_needed(self.door, file_of(model_name), model_name)
        with readable(self.door):
            made = convert(path, path.with_suffix(CONVERTED))
        return {"ui": {"text": [made.name]}, "result": ()}
