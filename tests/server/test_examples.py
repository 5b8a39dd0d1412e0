"""Every example workflow runs over HTTP, with the small trained model in place of a user's."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
from mask_detailer.detailer import host
from safetensors.torch import save_file
from support import examples, pictures
from support.client import Client, Prompt
from support.pictures import decode
from support.server import Server
from tiny_model import WEIGHTS

BY_DETECTOR = {"Faces", "Faces Hands and Eyes"}  # which find for themselves where to work
FINISHED = {"SaveImage", "PreviewImage", "SaveVideo", "ImageCompare", "PreviewAny", "SEGSPreview", "MaskDetailerPlan"}


@pytest.fixture(scope="module")
def prepared(server: Server) -> Server:
    """The server with what the examples load."""
    examples.write_inputs(server.base / "input")
    shutil.copy(WEIGHTS, server.base / "models" / "checkpoints")
    if host.detection.has_rtdetr():
        from engine import tiny_detectors

        (server.base / "models" / "detection").mkdir(parents=True, exist_ok=True)
        save_file(tiny_detectors.face_weights(0.6), server.base / "models" / "detection" / examples.FACE_MODEL)
    return server


@pytest.fixture(scope="module")
def object_info(prepared: Server) -> dict[str, Any]:
    return Client(prepared.url).object_info()


def ran(client: Client, prompt: Prompt) -> dict[str, Any]:
    """What the nodes of a prompt showed and saved, by the node's type; of several of one type, the last one's."""
    prompt_id = client.queue(prompt)
    client.finish(prompt_id)
    outputs = client.history(prompt_id)["outputs"]
    return {prompt[node]["class_type"]: shown for node, shown in outputs.items()}


@pytest.mark.parametrize("name", examples.NAMES)
def test_runs(prepared: Server, client: Client, object_info: dict[str, Any], name: str) -> None:
    """Every node that shows or saves does; the finished picture differs from what came in, but only where painted."""
    workflow = examples.load(name)
    if missing := set(examples.unknown(workflow, object_info)):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    prompt = examples.with_stand_ins(examples.as_prompt(workflow, object_info, muted=True))
    outputs = ran(client, prompt)
    assert outputs.keys() == FINISHED & {step["class_type"] for step in prompt.values()}
    if "SaveVideo" in outputs:
        assert frames_of(prepared, outputs) == examples.FRAMES
    if "SaveImage" not in outputs:
        return
    (saved,) = outputs["SaveImage"]["images"]
    before, after = pictures.demo_picture(*pictures.SMALL), decode(client.view(saved))
    changed = (before != after).any(axis=-1)
    assert changed.any()
    if name not in BY_DETECTOR:
        reach = 1 + max(step["inputs"].get("feather", 0) for step in prompt.values())
        assert not changed[~_grown(name, reach)].any()


def frames_of(prepared: Server, outputs: dict[str, Any]) -> int:
    """How many frames the saved clip has."""
    import av

    (saved,) = outputs["SaveVideo"]["images"]
    with av.open(str(prepared.base / "output" / saved["subfolder"] / saved["filename"])) as container:
        return len(list(container.decode(video=0)))


def _grown(name: str, reach: int) -> Any:
    """Where the example's picture may change."""
    import cv2

    masks = list(examples.masks().values()) if name == "Several Masks" else [examples.masks()["painted"]]
    return cv2.dilate(np.max(masks, axis=0), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0


def test_plan_alone_samples_nothing(prepared: Server, client: Client, object_info: dict[str, Any]) -> None:
    """As it is saved, the plan's example leaves the detailer out."""
    prompt = examples.with_stand_ins(examples.as_prompt(examples.load("Plan First"), object_info))
    assert "MaskDetailerPipe" not in {step["class_type"] for step in prompt.values()}
    (table,) = ran(client, prompt)["PreviewAny"]["text"]
    assert len(table.splitlines()) >= 3


def test_each_segment_has_its_text(prepared: Server, client: Client, object_info: dict[str, Any]) -> None:
    """Other text for one label changes the segments of that label, and no others."""
    prompt = examples.with_stand_ins(examples.as_prompt(examples.load("Several Masks"), object_info))
    seen = []
    for text in ("[LAB]\n[face] face\n[hand] emblem", "[LAB]\n[face] face\n[hand] weave"):
        changed = examples.with_stand_ins(prompt, wildcard=text, seed=3)
        (saved,) = ran(client, changed)["SaveImage"]["images"]
        seen.append(decode(client.view(saved)))
    differs = (seen[0] != seen[1]).any(axis=-1)
    assert differs.any()
    assert not differs[examples.masks()["painted"] > 0].any()


def test_the_face_detector_s_file_is_enough(prepared: Server, client: Client, object_info: dict[str, Any]) -> None:
    """As it is saved, the groups whose files may be missing are left out, and the picture goes past them."""
    workflow = examples.load("Faces Hands and Eyes")
    if missing := set(examples.unknown(workflow, object_info)):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    prompt = examples.as_prompt(workflow, object_info)
    kinds = [step["class_type"] for step in prompt.values()]
    assert kinds.count("FaceDetailer") == 1 and "LoadMediaPipeFaceLandmarker" not in kinds
    (detector,) = (step["inputs"] for step in prompt.values() if step["class_type"] == "UltralyticsDetectorProvider")
    assert detector == {"model_name": "bbox/face_yolov8m.pt"}
    (save,) = (step["inputs"] for step in prompt.values() if step["class_type"] == "SaveImage")
    assert prompt[save["images"][0]]["class_type"] == "FaceDetailer"
    assert ran(client, examples.with_stand_ins(prompt))["SaveImage"]["images"]


@pytest.mark.parametrize("own", [False, True], ids=["as it is", "own clip"])
def test_frames(prepared: Server, client: Client, object_info: dict[str, Any], own: bool) -> None:
    """The clip that is saved has a frame for each that came: as it is saved, and with a clip as its note tells."""
    prompt = examples.with_stand_ins(examples.as_prompt(examples.load("Frames of a Clip"), object_info, muted=own))
    if own:
        step = {step["class_type"]: node for node, step in prompt.items()}
        prompt[step["MaskDetailerPipe"]]["inputs"]["image"] = [step["GetVideoComponents"], 0]
        prompt[step["CreateVideo"]]["inputs"]["fps"] = [step["GetVideoComponents"], 2]
    assert frames_of(prepared, ran(client, prompt)) == examples.FRAMES


@pytest.mark.parametrize("name", ["Fix faces", "Fix hands", "Detail a mask"])
def test_blueprints_are_offered_and_run(
    prepared: Server, client: Client, object_info: dict[str, Any], name: str
) -> None:
    """With a picture and a checkpoint connected, which is all that they need."""
    offered = client.get("/global_subgraphs")
    (key,) = (key for key, entry in offered.items() if entry["name"] == name)
    assert offered[key]["info"] == {"node_pack": "custom_nodes.mask_detailer"}
    workflow = json.loads(client.get(f"/global_subgraphs/{key}")["data"])
    assert workflow == examples.blueprint(name)
    if missing := set(examples.unknown(workflow, object_info)):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    outputs = ran(client, examples.with_stand_ins(examples.connected(workflow, object_info)))
    (saved,) = outputs["SaveImage"]["images"]
    assert (pictures.demo_picture(*pictures.SMALL) != decode(client.view(saved))).any()
