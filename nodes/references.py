"""A node of the util group: reference pictures for segments."""

from __future__ import annotations

from ..core import SEGS
from ..detailer.references import with_references
from . import schema
from .pipe_parts import NOT_NEEDED
from .registry import UTIL, Node
from .schema import InputTypes


class MaskDetailerReferencesSEGS(Node, name="References (SEGS)", menu=UTIL, own=True):
    """A reference picture of its own for each segment."""

    DESCRIPTION = (
        "Shows an edit model (Kontext, Qwen Image Edit, Flux.2 and kin) a picture of its own for each segment: the "
        "first picture for the first, and so on, or one for all. Each person gets the right face back."
    )
    SEARCH_ALIASES = ("reference latent segs", "kontext reference", "face reference", "per person reference")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with their pictures; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        images = (
            "One picture for all segments, or one each in the order of the segments; those beyond the last get none."
        )
        size = "What the pictures are brought to before they are encoded, in their own shape."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments that get the pictures, after what they have."),
                "references": schema.link("IMAGE", images),
                "vae": schema.link("VAE", "The edit model's VAE."),
                "megapixels": ("FLOAT", {"default": 1.0, "min": 0.01, "max": 16.0, "step": 0.01, "tooltip": size}),
            }
        }

    def doit(self, segs: object, references: object, vae: object, megapixels: float) -> tuple[SEGS]:
        parts = self.door.five_parts((NOT_NEEDED, None, vae, NOT_NEEDED, NOT_NEEDED))
        self.door.not_missing(parts, None)
        pictures = self.door.image(references, "references")[..., :3]
        return (with_references(self.door.segs(segs), pictures, parts.vae, megapixels),)
