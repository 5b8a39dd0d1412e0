"""The subgraphs: a job in one node. Those of BLUEPRINTS are offered in ComfyUI's node library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from templates.graph import Ends, Graph, Node, Saved, Subgraph

SAMPLING: dict[str, Any] = {"steps": 20, "cfg": 7.0, "sampler_name": "dpmpp_2m", "scheduler": "karras"}
CATEGORY = "Mask Detailer"
COLUMN = 400
WORK = "Each is enlarged, sampled anew, and put back without a seam. Another seed is another try."
TEXTS = {
    "Fix faces": f"Details the faces that ComfyUI's own face model finds. {WORK}",
    "Fix hands": f"Details the hands that a YOLO file finds. {WORK}",
    "Detail a mask": f"Details the parts that a mask marks. {WORK}",
}
ALIASES = {
    "Fix faces": ["face detailer", "adetailer", "face restore", "eyes"],
    "Fix hands": ["hand detailer", "adetailer", "fingers"],
    "Detail a mask": ["mask detailer", "inpaint", "inpainting", "crop and stitch"],
}


def face_landmarks(graph: Graph, model: str, part: str = "face") -> Node:
    """A detector with ComfyUI's own face model."""
    loader = graph.add("LoadMediaPipeFaceLandmarker", 320, model_name=model)
    wire = loader.out("FACE_DETECTION_MODEL")
    return graph.add(
        "MaskDetailerFaceLandmarkProvider", 320, face_detection_model=wire, part=part, detector_variant="full"
    )


def yolo(graph: Graph, model: str) -> Node:
    """A detector with a YOLO file."""
    return graph.add("UltralyticsDetectorProvider", 320, model_name=model)


def fixer(graph: Graph, name: str, detector: Node, text: str, **given: Any) -> Subgraph:
    """What a detector finds, detailed."""
    positive = graph.add("CLIPTextEncode", (320, 110), "Prompt", "green", text=text)
    negative = graph.add("CLIPTextEncode", (320, 110), "Negative", "red", text="blurry, low quality")
    detailer = graph.add(
        "FaceDetailer", 340, bbox_detector=detector.out("BBOX_DETECTOR"), positive=positive.out("CONDITIONING"),
        negative=negative.out("CONDITIONING"), **(SAMPLING | {"guide_size": 512, "bbox_crop_factor": 2.0} | given),
    )  # fmt: skip
    stack([*(node for node in graph if node is not detailer)], 0)
    stack([detailer], COLUMN)
    loader = graph.nodes[0]
    inputs = {
        "image": [(detailer, "image")],
        "model": [(detailer, "model")],
        "clip": [(detailer, "clip"), (positive, "clip"), (negative, "clip")],
        "vae": [(detailer, "vae")],
        "prompt": [(positive, "text")],
        "negative": [(negative, "text")],
        "detector": [(loader, "model_name")],
        "bbox_threshold": [(detailer, "bbox_threshold")],
        "guide_size": [(detailer, "guide_size")],
        "denoise": [(detailer, "denoise")],
        "seed": [(detailer, "seed")],
    }
    outputs = {"image": detailer.out("image"), "parts": detailer.out("cropped_refined"), "mask": detailer.out("mask")}
    return graph.as_subgraph(name, about(name), Ends(inputs, outputs, (-240, 0), (2 * COLUMN + 20, 0)))


def fix_faces(graph: Graph) -> Subgraph:
    detector = face_landmarks(graph, "mediapipe_face_fp32.safetensors")
    model = graph.nodes[0].out("FACE_DETECTION_MODEL")
    upright = graph.add("MaskDetailerUprightFaceHook", 320, face_detection_model=model).out("DETAILER_HOOK")
    text = "portrait of a person, detailed eyes, sharp photo"
    return fixer(graph, "Fix faces", detector, text, denoise=0.45, detailer_hook=upright)


def fix_hands(graph: Graph) -> Subgraph:
    text = "a hand with five fingers, detailed skin, sharp photo"
    detector = yolo(graph, "bbox/hand_yolov8s.pt")
    return fixer(graph, "Fix hands", detector, text, denoise=0.4, bbox_crop_factor=3.0)


def detail_a_mask(graph: Graph) -> Subgraph:
    positive = graph.add("CLIPTextEncode", (320, 110), "Prompt", "green", text="a detailed, sharp photo")
    negative = graph.add("CLIPTextEncode", (320, 110), "Negative", "red", text="blurry, low quality")
    wires: dict[str, Any] = {"positive": positive.out("CONDITIONING"), "negative": negative.out("CONDITIONING")}
    pipe = graph.add("ToBasicPipe", 230, **wires)
    usual: dict[str, Any] = {"guide_size": 512, "crop_factor": 2.0, "denoise": 0.5}
    detailer = graph.add("MaskDetailerPipe", 340, basic_pipe=pipe.out("basic_pipe"), **(SAMPLING | usual))
    stack([positive, negative], 0)
    stack([pipe], COLUMN)
    stack([detailer], COLUMN + 310)
    inputs = {
        "image": [(detailer, "image")],
        "mask": [(detailer, "mask")],
        "model": [(pipe, "model")],
        "clip": [(pipe, "clip"), (positive, "clip"), (negative, "clip")],
        "vae": [(pipe, "vae")],
        "prompt": [(positive, "text")],
        "negative": [(negative, "text")],
        "guide_size": [(detailer, "guide_size")],
        "crop_factor": [(detailer, "crop_factor")],
        "feather": [(detailer, "feather")],
        "denoise": [(detailer, "denoise")],
        "seed": [(detailer, "seed")],
    }
    outputs = {"image": detailer.out("image"), "parts": detailer.out("cropped_refined")}
    ends = Ends(inputs, outputs, (-240, 0), (2 * COLUMN + 330, 0))
    return graph.as_subgraph("Detail a mask", about("Detail a mask"), ends)


BLUEPRINTS: dict[str, Callable[[Graph], Subgraph]] = {
    "Fix faces": fix_faces,
    "Fix hands": fix_hands,
    "Detail a mask": detail_a_mask,
}


def alone(make: Callable[[Graph], Subgraph], graph: Graph) -> Saved:
    """A blueprint's file: a workflow with that one node."""
    made = make(graph.inside())
    graph.put(made, 340)
    stack(graph.nodes, 0)
    name = made.saved["name"]
    extra = {"BlueprintDescription": TEXTS[name], "BlueprintSearchAliases": ALIASES[name]}
    return graph.saved() | {"extra": extra}


def about(name: str) -> dict[str, str]:
    return {"description": TEXTS[name], "category": CATEGORY} if name in TEXTS else {}


def stack(nodes: list[Node], x: int) -> None:
    """Put the nodes below one another, as far apart as they may grow in either renderer."""
    y = 0
    for node in nodes:
        node.position = (x, y)
        node.size = (node.size[0], max(node.size[1], 40 + 30 * (len(node.sockets) + len(node.widgets))))
        y += node.size[1] + 60
