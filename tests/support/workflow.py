"""The example workflow in API format, as the demo and the server tests queue it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from support.client import Client, Prompt
from support.pictures import Pixels, decode

_WORKFLOW: Prompt = json.loads((Path(__file__).parent / "mask_detail.api.json").read_text())
CHECKPOINT = "tiny.safetensors"
TRAINED = "mask-detailer-tiny.safetensors"
# what suits the trained model, see tests/model/CARD.md
TRAINED_WIDGETS: dict[str, Any] = {
    "guide_size": 448, "max_size": 768, "steps": 8, "scheduler": "simple", "denoise": 0.3, "crop_factor": 1.3,
    "noise_mask_feather": 0,
}  # fmt: skip
DETAILER, RESULT = "detailer", "result"  # node ids


def mask_detail(picture: str, mask: str, checkpoint: str = CHECKPOINT, **detailer: Any) -> Prompt:
    """The workflow for an uploaded picture and mask, with some of MaskDetailerPipe's inputs set."""
    prompt = copy.deepcopy(_WORKFLOW)
    prompt["picture"]["inputs"]["image"] = picture
    prompt["mask"]["inputs"]["image"] = mask
    prompt["checkpoint"]["inputs"]["ckpt_name"] = checkpoint
    prompt[DETAILER]["inputs"].update(detailer)
    return prompt


def trained(picture: str, mask: str) -> Prompt:
    """The same with the trained model, which needs no prompt but the kind of part, and its settings."""
    prompt = mask_detail(picture, mask, TRAINED, **TRAINED_WIDGETS)
    for node in ("positive", "negative"):
        prompt[node] = {"class_type": "MaskDetailerDemoPart", "inputs": {"kind": "generic"}}
    return prompt


def result(client: Client, prompt_id: str) -> Pixels:
    """The saved picture of a finished prompt."""
    (image,) = client.history(prompt_id)["outputs"][RESULT]["images"]
    return decode(client.view(image))
