"""The example workflow in API format, as the demo and the server tests queue it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from support import pictures
from support.client import Client, Prompt
from support.detectors import Disc, drawn
from support.pictures import Pixels, decode

_WORKFLOW: Prompt = json.loads((Path(__file__).parent / "mask_detail.api.json").read_text())
_SAVED = Path(__file__).parents[1] / "data" / "workflows"
CHECKPOINT = "tiny.safetensors"
TRAINED = "mask-detailer-tiny.safetensors"
# what suits the trained model, see tools/tiny_model/CARD.md
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


# how the demo's clip is worked on: no larger than the model needs
CLIP_WIDGETS: dict[str, Any] = {
    "guide_size": 352, "max_size": 512, "smoothing": 1.0, "gap": 4, "cut_threshold": 0.18, "fade": 3, "span": 81,
    "overlap": 16,
}  # fmt: skip


def trained_clip(clip: str, masks: str) -> Prompt:
    """A clip and the clip of its masks, detailed by MaskDetailerClip with the trained model."""
    prompt = trained("", "")
    for name, file in (("picture", clip), ("mask", masks)):
        prompt[f"{name} file"] = {"class_type": "LoadVideo", "inputs": {"file": file}}
        prompt[name] = {"class_type": "GetVideoComponents", "inputs": {"video": [f"{name} file", 0]}}
    inputs = prompt[DETAILER]["inputs"] | CLIP_WIDGETS
    prompt["masks"] = {"class_type": "ImageToMask", "inputs": {"image": ["mask", 0], "channel": "red"}}
    inputs["mask"] = ["masks", 0]
    for name in ("batch_size", "inpaint_model", "bbox_fill"):  # it has none of these
        inputs.pop(name)
    prompt[DETAILER] = {"class_type": "MaskDetailerClip", "inputs": inputs}
    return prompt


def saved_workflows() -> list[str]:
    """Names of the workflows in tests/data: saved by a browser, and what each must become when it is queued."""
    return sorted(file.name.removesuffix(".api.json") for file in _SAVED.glob("*.api.json"))


def saved(name: str) -> tuple[dict[str, Any], Prompt]:
    """(workflow as a browser saved it, prompt that it must become)."""
    return json.loads((_SAVED / f"{name}.json").read_text()), json.loads((_SAVED / f"{name}.api.json").read_text())


def write_inputs(folder: Path) -> None:
    """The pictures and the mask that the saved workflows load, for ComfyUI's input folder."""
    pictures.write(folder / "picture.png", pictures.demo_picture(*pictures.SMALL))
    pictures.write(folder / "mask.png", pictures.box_mask(*pictures.SMALL, pictures.SMALL_BOXES))
    discs, _ = drawn(96, 128, [Disc(30, 28, 11, "red"), Disc(92, 64, 14, "blue"), Disc(100, 20, 9, "green")])
    pictures.write(folder / "discs.png", (discs[0].numpy() * 255).round().astype("uint8"))


def result(client: Client, prompt_id: str) -> Pixels:
    """The saved picture of a finished prompt."""
    (picture,) = results(client, prompt_id)
    return picture


def results(client: Client, prompt_id: str) -> list[Pixels]:
    """The saved pictures of a finished prompt."""
    return [decode(client.view(image)) for image in client.history(prompt_id)["outputs"][RESULT]["images"]]
