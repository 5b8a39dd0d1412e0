"""ComfyUI's own detection models: whether the running ComfyUI has them, and how each is asked.

What it has is found out without importing it: its own code is imported only where a model is asked.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch

from ...core import Size
from .nodes import outputs_of
from .protocols import CondEntry, Conditioning, FaceModel, Model

SAM3_SIDE = 1008  # pixels: SAM3 sees every picture at this size
FACE_MODEL = "FACE_DETECTION_MODEL"  # the kind of its loader's output


@dataclass(frozen=True)
class Face:
    """A face as MediaPipe's landmarks describe it, in pixels of the picture.

    Attributes:
        landmarks: ``[478,2]`` float, ``x, y``.
        score: 0..1.
    """

    landmarks: np.ndarray
    score: float


# --- what the running ComfyUI has ---------------------------------------------------------------------------------


def has_rtdetr() -> bool:
    return _has_nodes("rtdetr")


def has_sam3() -> bool:
    return _has_nodes("sam3")


def has_face_landmarks() -> bool:
    return _has_nodes("mediapipe")


def _has_nodes(name: str) -> bool:
    try:
        found = importlib.util.find_spec("folder_paths")  # lies in ComfyUI's own folder
    except (ImportError, ValueError):
        return False
    if found is None or found.origin is None:
        return False
    return (Path(found.origin).parent / "comfy_extras" / f"nodes_{name}.py").is_file()


# --- RT-DETR ------------------------------------------------------------------------------------------------------


def is_rtdetr(model: object) -> bool:
    from comfy.ldm.rt_detr.rtdetr_v4 import RTv4

    return isinstance(_network(model), RTv4)


def rtdetr_labels() -> list[str]:
    """What RT-DETR can find."""
    from comfy.ldm.rt_detr.rtdetr_v4 import COCO_CLASSES

    return list(COCO_CLASSES)


def rtdetr_boxes(model: Model, image: torch.Tensor, threshold: float) -> list[dict[str, object]]:
    """What ComfyUI's RTDETR_detect finds in one picture ``[1,H,W,3]``, the surest first."""
    from comfy_extras.nodes_rtdetr import RTDETR_detect

    (frames,) = outputs_of(
        RTDETR_detect, model=model, image=image, threshold=threshold, class_name="all", max_detections=1000
    )
    return frames[0]


# --- SAM3 ---------------------------------------------------------------------------------------------------------


def is_sam3(model: object) -> bool:
    from comfy.ldm.sam3.detector import SAM3Model

    return isinstance(_network(model), SAM3Model)


def sam3_by_text(
    model: Model, image: torch.Tensor, prompt: Conditioning, threshold: float, most: int, refinements: int
) -> tuple[list[dict[str, object]], torch.Tensor]:
    """What ComfyUI's SAM3_Detect finds for one text in one picture ``[1,H,W,3]``.

    Args:
        prompt: the text encoded by SAM3's own CLIP.
        most: no more than that.

    Returns:
        boxes, the surest first, and their masks ``[n,H,W]``.
    """
    from comfy_extras.nodes_sam3 import SAM3_Detect

    tokens, options = cast("CondEntry", prompt[0])
    # its node takes one find for a text, unless told otherwise in this form
    one = {"cond": tokens, "attention_mask": options.get("attention_mask"), "max_detections": most}
    masks, frames = outputs_of(
        SAM3_Detect,
        model=model,
        image=image,
        conditioning=[[tokens, {**options, "sam3_multi_cond": [one]}]],
        threshold=threshold,
        refine_iterations=refinements,
        individual_masks=True,
    )
    return frames[0], masks


class _Sam3(Protocol):
    """SAM3's network, which takes points, a box or masks, and gives masks ``[1,n,h,w]`` of logits."""

    def forward_segment(self, image: torch.Tensor, **hints: object) -> torch.Tensor: ...


def load_sam3(model: Model) -> None:
    """Bring the model to the device that it runs on."""
    import comfy.model_management

    comfy.model_management.load_model_gpu(model)


def sam3_by_hint(
    model: Model,
    image: torch.Tensor,
    points: list[tuple[float, float]],
    labels: list[int],
    box: list[float] | None,
    refinements: int,
) -> torch.Tensor:
    """What SAM3 takes for the thing at points and in a box of one picture: a mask ``[1,H,W]`` of 0 and 1.

    As SAM3_Detect does, which takes points or a box; this takes both at once.

    Args:
        image: ``[1,H,W,3]`` float32 0..1.
        points: ``x, y`` in pixels; ``labels`` says of each 1 (this) or 0 (not this).
        box: ``x1, y1, x2, y2`` in pixels.
    """
    import comfy.model_management
    import comfy.utils

    load_sam3(model)
    network = cast("_Sam3", _network(model))
    device, dtype = comfy.model_management.get_torch_device(), model.model.get_dtype()
    size = Size(*image.shape[1:3])
    scale = torch.tensor([SAM3_SIDE / size.width, SAM3_SIDE / size.height])
    channels = image.movedim(-1, 1)
    seen = comfy.utils.common_upscale(channels, SAM3_SIDE, SAM3_SIDE, "bilinear", crop="disabled").to(device, dtype)
    hints: dict[str, object] = {}
    if points:
        hints["point_inputs"] = {
            "point_coords": (torch.tensor(points) * scale)[None].to(device, dtype),
            "point_labels": torch.tensor([labels], dtype=torch.int32, device=device),
        }
    if box is not None:
        hints["box_inputs"] = (torch.tensor(box).reshape(2, 2) * scale)[None].to(device, dtype)
    logits = network.forward_segment(seen, **hints)
    for _ in range(max(refinements - 1, 0)):
        logits = network.forward_segment(seen, mask_inputs=logits)
    logits = torch.nn.functional.interpolate(logits.float(), size=tuple(size), mode="bilinear", align_corners=False)
    return (logits[:, 0].amax(dim=0, keepdim=True) > 0).float().cpu()


# --- MediaPipe's face landmarks -----------------------------------------------------------------------------------


def is_face_model(model: object) -> bool:
    """Whether it is what ComfyUI's LoadMediaPipeFaceLandmarker gives."""
    return hasattr(model, "detect_batch") and hasattr(model, "connection_sets")


def faces_in(model: FaceModel, pictures: Sequence[np.ndarray], threshold: float, variant: str) -> list[list[Face]]:
    """The faces in each of some pictures ``[H,W,3]`` uint8, the surest first.

    Args:
        variant: ``short`` for faces near the camera, ``full`` for small ones too.
    """
    if not pictures:
        return []
    found = model.detect_batch(list(pictures), num_faces=0, score_thresh=threshold, variant=variant)
    return [
        [Face(np.asarray(face["landmarks_xy"], np.float32), float(np.asarray(face["score"]))) for face in faces]
        for faces in found
    ]


def face_edges(model: FaceModel, part: str) -> frozenset[tuple[int, int]]:
    """Which landmarks a part's outline joins: ``face_oval``, ``left_eye``, ``lips`` and so on; left is the person's."""
    return model.connection_sets[part]


def _network(model: object) -> torch.nn.Module | None:
    return getattr(getattr(model, "model", None), "diffusion_model", None)
