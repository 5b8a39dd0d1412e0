"""SAM from a file, as a SAM_MODEL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..detailer import host
from ..detailer.detection.sam.esam import ESAM, EsamModel, is_there, load_esam
from ..detailer.host.placement import AUTO, MODES, Placement
from .registry import PACK, Node
from .schema import InputTypes

if TYPE_CHECKING:  # what reads files is imported where one is read
    from ..detailer.detection.sam.wrapper import SamModel

FOLDER = "sams"  # below ComfyUI's folder of models, and its name in extra_model_paths.yaml
HIDDEN = "hq"  # in the names of files for SAM-HQ, which is another network
OTHER_FILE = "Choose a file of SAM 1, SAM 2 or SAM 2.1, such as sam_vit_b_01ec64.pth or sam2.1_hiera_small.pt"
UNSAFE_FILE = "Nothing of it was run. Take the file from SAM's authors, or one that ends in .safetensors"


def register_folders() -> None:
    """Make the folder of SAM files known to ComfyUI."""
    host.folders.add_model_folder(FOLDER, FOLDER)


class SAMLoader(Node, name="SAMLoader (Impact)", menu=PACK):
    """SAM's weights from the folder sams."""

    DESCRIPTION = (
        "Loads SAM from models/sams, which finds the outline of what is at a point or in a rectangle. Files of SAM 1 "
        "(sam_vit_b, sam_vit_l, sam_vit_h), SAM 2 and SAM 2.1 work; nothing in a file can run."
    )
    SEARCH_ALIASES = ("segment anything", "sam model", "load sam", "sam2", "sam 2.1", "outline", "vit_b", "hiera")
    RETURN_TYPES = ("SAM_MODEL",)
    OUTPUT_TOOLTIPS = ("The SAM model, for the SAM detectors, Simple Detector and FaceDetailer.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        names = [name for name in host.folders.model_files(FOLDER) if HIDDEN not in name]
        file = (
            "A file in models/sams. What it holds is seen from its contents, whatever its name: SAM 1 base, large or "
            "huge, SAM 2 or 2.1 tiny to large. ESAM needs the pack ComfyUI-YoloWorld-EfficientSAM."
        )
        device = (
            "AUTO: on the GPU while it works, then its memory is free again. Prefer GPU: it stays there until the room "
            "is wanted. CPU: never on the GPU; slow."
        )
        return {
            "required": {"model_name": ([*names, ESAM], {"tooltip": file})},
            "optional": {"device_mode": (list(MODES), {"default": AUTO, "tooltip": device})},
        }

    def doit(self, model_name: str, device_mode: str = AUTO) -> tuple[SamModel | EsamModel]:
        if model_name == ESAM:
            return (self._esam(device_mode),)
        from ..detailer.detection.sam.files import SamFileError, read_tensors
        from ..detailer.detection.sam.models import build
        from ..detailer.detection.sam.wrapper import SamFileWrapper, SamModel

        path = host.folders.model_file(FOLDER, model_name)
        if path is None:
            raise self.door.error("model_name", f"'{model_name}' is not there any more", OTHER_FILE)
        try:
            sam = build(read_tensors(path))
        except SamFileError as error:
            fix = UNSAFE_FILE if error.is_unsafe else OTHER_FILE
            raise self.door.error("model_name", f"'{model_name}' {error}", fix) from error
        except OSError as error:
            raise self.door.error("model_name", f"'{model_name}' can't be read ({error})", OTHER_FILE) from error
        placement = Placement(sam.network, device_mode, sam.network.room)
        return (SamModel(sam.name, SamFileWrapper(sam.network, placement)),)

    def _esam(self, device_mode: str) -> EsamModel:
        if not is_there():
            found = f"'{ESAM}' is loaded by the pack ComfyUI-YoloWorld-EfficientSAM, which is not installed"
            raise self.door.error("model_name", found, "Install that pack, or choose a file")
        return load_esam(device_mode)
