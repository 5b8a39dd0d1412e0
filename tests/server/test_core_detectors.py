"""ComfyUI's own face model, from a file, through its loader and our provider into FaceDetailer, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine import tiny_detectors
from mask_detailer.detailer import host
from safetensors.torch import save_file
from support.checkpoint import make_checkpoint
from support.client import Client, Prompt, PromptError, RefusedError
from support.pictures import decode
from support.server import Server
from support.workflow import CHECKPOINT, mask_detail

pytestmark = pytest.mark.skipif(not host.detection.has_rtdetr(), reason="this ComfyUI has no detection models")

FACE_FILE = "face.safetensors"
WIDGETS: dict[str, Any] = dict(
    guide_size=64, guide_size_for=True, max_size=128, seed=7, steps=2, cfg=1.0, sampler_name="euler",
    scheduler="normal", denoise=0.9, feather=4, noise_mask=True, force_inpaint=True, bbox_threshold=0.5,
    bbox_dilation=0, bbox_crop_factor=2.0, sam_detection_hint="center-1", sam_dilation=0, sam_threshold=0.9,
    sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False", drop_size=4, wildcard="",
    cycle=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    base = tmp_path_factory.mktemp("with_faces")
    make_checkpoint(base / "models" / "checkpoints" / CHECKPOINT, zero_last_layer=True)
    (base / "models" / "detection").mkdir(parents=True)
    save_file(tiny_detectors.face_weights(0.6), base / "models" / "detection" / FACE_FILE)
    with Server(base, log=base / "server.log") as running, Client(running.url) as connected:
        yield connected


def face_detail(picture: str) -> Prompt:
    """The mask detailer's workflow with FaceDetailer, both detectors of the provider, and the upright hook."""
    prompt = mask_detail(picture, "unused")
    pipe = prompt.pop("pipe")["inputs"]
    del prompt["mask"]
    prompt["faces"] = {"class_type": "LoadMediaPipeFaceLandmarker", "inputs": {"model_name": FACE_FILE}}
    prompt["provider"] = {
        "class_type": "MaskDetailerFaceLandmarkProvider",
        "inputs": {
            "face_detection_model": ["faces", 0], "part": "face", "detector_variant": "short", "detail": "fast",
        },
    }  # fmt: skip
    prompt["hook"] = {
        "class_type": "MaskDetailerUprightFaceHook",
        "inputs": {
            "face_detection_model": ["faces", 0], "min_angle": 15.0, "detector_variant": "short",
            "min_confidence": 0.5,
        },
    }  # fmt: skip
    links = {
        "image": ["picture", 0],
        "bbox_detector": ["provider", 0],
        "segm_detector_opt": ["provider", 1],
        "detailer_hook": ["hook", 0],
    }
    prompt["detailer"] = {"class_type": "FaceDetailer", "inputs": {**pipe, **links, **WIDGETS}}
    return prompt


def test_face_detailer_with_comfyuis_face_model(client: Client, picture_file: Path) -> None:
    """The face's outline is made anew, and nothing beyond the feather around it."""
    name = client.upload_image(picture_file)
    prompt_id = client.queue(face_detail(name))
    client.finish(prompt_id)
    (saved,) = client.history(prompt_id)["outputs"]["result"]["images"]
    before, after = decode(picture_file.read_bytes()), decode(client.view(saved))
    changed = np.argwhere((before != after).any(axis=-1))
    height, width = before.shape[:2]
    outline = tiny_detectors.face_points("face_oval", width, height, 0.6).numpy()
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    assert len(changed) > 0.5 * (right - left) * (bottom - top)
    assert changed[:, 0].min() >= top - 6 and changed[:, 0].max() <= bottom + 6
    assert changed[:, 1].min() >= left - 6 and changed[:, 1].max() <= right + 6


@pytest.mark.parametrize(
    ("provider", "widgets", "said"),
    [
        ("MaskDetailerRTDETRProvider", {"labels": "all"}, "no RT-DETR model. Load an RT-DETR file"),
        (
            "MaskDetailerSAM3Provider",
            {"text": "face", "max_detections": 1, "refine_iterations": 0},
            "no SAM3 model. Load a SAM3 file",
        ),
    ],
)
def test_the_wrong_model_is_named(client: Client, provider: str, widgets: Any, said: str, picture_file: Path) -> None:
    prompt = face_detail(client.upload_image(picture_file))
    del prompt["faces"], prompt["hook"], prompt["detailer"]["inputs"]["detailer_hook"]
    del prompt["detailer"]["inputs"]["segm_detector_opt"]
    prompt["provider"] = {"class_type": provider, "inputs": {"model": ["checkpoint", 0], **widgets}}
    with pytest.raises(PromptError, match=f"{provider}, input 'model': a SD3 is {said}"):
        client.finish(client.queue(prompt))


def test_a_missing_file_is_named(client: Client, picture_file: Path) -> None:
    """ComfyUI itself says so, before anything runs."""
    prompt = face_detail(client.upload_image(picture_file))
    prompt["faces"]["inputs"]["model_name"] = "other.safetensors"
    with pytest.raises(RefusedError, match=r"other\.safetensors"):
        client.queue(prompt)
