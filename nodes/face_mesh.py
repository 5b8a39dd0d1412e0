"""A drawn face mesh as segments."""

from __future__ import annotations

from ..core import SEGS
from ..segs.face_mesh import MESH_COLOURS, MOST_TOLERANCE, MeshCrops, mesh_segs
from . import schema
from .detectors import SEGS_TOOLTIP
from .registry import OPERATION, Node
from .schema import Input, InputTypes

LEAST_SIDE = 10  # pixels


def _part(name: str) -> Input:
    words = name.replace("_", " ")
    side = " Left is the person's left." if "_" in name else ""
    return schema.switch(name == "face", "Enabled", "Disabled", f"Whether the {words} becomes a segment.{side}")


class MediaPipeFaceMeshToSEGS(Node, name="MediaPipe FaceMesh to SEGS", menu=OPERATION):
    """A preprocessor's coloured face mesh as segments."""

    DESCRIPTION = (
        "Makes segments of a drawn face mesh, the coloured map that a MediaPipe preprocessor makes of a photo. For "
        "photos themselves there is Detector Provider (Face Landmarks)."
    )
    SEARCH_ALIASES = ("face mesh", "mediapipe", "facemesh map", "face parts", "eyes mouth eyebrows")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        image = "The drawn mesh, not the photo. Of several pictures each gives its own segments, one after another."
        least = "The least side of a crop in pixels, however small the part is."
        grown = (
            "Pixels of the square that grows (above 0) or shrinks (below 0) each part before it becomes a segment; its "
            "rectangle changes along."
        )
        tolerance = (
            "By how many of 255 levels a colour may be off. 0 for maps as they were made; a few for those that were "
            "saved as JPEG."
        )
        return {
            "required": {
                "image": schema.link("IMAGE", image),
                "crop_factor": schema.crop_factor(100),
                "bbox_fill": schema.bbox_fill(),
                "crop_min_size": (
                    "INT",
                    {"min": LEAST_SIDE, "max": schema.MAX_SIZE, "step": 1, "default": 50, "tooltip": least},
                ),
                "drop_size": schema.drop_size(default=1),
                "dilation": schema.dilation(0, grown),
                **{name: _part(name) for name in MESH_COLOURS},
            },
            "optional": {
                "tolerance": ("INT", {"default": 0, "min": 0, "max": MOST_TOLERANCE, "step": 1, "tooltip": tolerance}),
            },
        }

    def doit(
        self,
        image: object,
        crop_factor: float,
        bbox_fill: bool,
        crop_min_size: int,
        drop_size: int,
        dilation: int,
        tolerance: int = 0,
        **parts: bool,
    ) -> tuple[SEGS]:
        wanted = [name for name in MESH_COLOURS if parts.get(name)]
        crops = MeshCrops(crop_factor, crop_min_size, drop_size, dilation, bbox_fill)
        return (mesh_segs(self.door.image(image), wanted, crops, tolerance),)
