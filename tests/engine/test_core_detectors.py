"""ComfyUI's RT-DETR and SAM3 models as detectors, its boxes as segments, and models that are wrong or missing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from engine import tiny_detectors
from engine.core_detection import FACE_WIDGETS, SIZE, WIDGETS, boxed, needs_models, shown
from engine.running import Recorder, do_detail, same
from engine.tiny_models import Pipe
from engine.tiny_models import unet_model as wrong_model
from mask_detailer import NODE_CLASS_MAPPINGS as OFFERED
from mask_detailer.core import Region, seg_mask
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes import core_detectors as nodes
from mask_detailer.nodes.detectors import BboxDetectorSEGS, SAMDetectorCombined, SegmDetectorSEGS
from mask_detailer.nodes.faces import FaceDetailer
from mask_detailer.nodes.validate import InputError


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shown()


# --- what is offered ----------------------------------------------------------------------------------------------


def test_offered_where_comfyui_has_the_models() -> None:
    import comfyui_version

    has_them = tuple(map(int, comfyui_version.__version__.split(".")[:2])) >= (0, 24)
    absent = set(NODE_CLASS_MAPPINGS) - set(OFFERED) - {"MaskDetailerLayers"}  # which waits for ComfyUI's layers
    assert absent == (set() if has_them else set(MODELS))


# --- boxes --------------------------------------------------------------------------------------------------------


def to_segs(boxes: Any, image: torch.Tensor, **changes: Any) -> Any:
    widgets = dict(dilation=0, crop_factor=2.0, drop_size=1, label="object")
    return nodes.MaskDetailerBoxesToSEGS().doit(boxes, image, **(widgets | changes))[0]


def test_comfyuis_own_box(image: torch.Tensor) -> None:
    """From ComfyUI's own node to segments, and back into its crop node."""
    images = pytest.importorskip("comfy_extras.nodes_images", exc_type=ImportError)  # older ones want half a server
    (box,) = images.BoundingBox.execute(20, 10, 40, 30).result
    segs = to_segs(box, image, label="hat")
    assert segs[0] == SIZE and segs[1][0].bbox == (20, 10, 60, 40) and segs[1][0].label == "hat"
    all_boxes, each = nodes.MaskDetailerSEGSToBoxes().doit(segs, nodes.BBOX)
    assert all_boxes == [each] == [[box | {"label": "hat", "score": 1.0}]]
    crop = nodes.MaskDetailerSEGSToBoxes().doit(segs, nodes.CROP)[1][0]
    x1, y1, x2, y2 = segs[1][0].crop_region
    assert torch.equal(images.ImageCropV2.execute(image, crop).result[0], image[:, y1:y2, x1:x2])


def test_boxes_that_dont_fit(image: torch.Tensor) -> None:
    one = {"x": 0, "y": 0, "width": 9, "height": 9}
    with pytest.raises(InputError, match=r"'bounding_boxes': it holds the boxes of 2 pictures.*Image Batch to Image"):
        to_segs([[one], [one]], image)
    with pytest.raises(InputError, match=r"'bounding_boxes': a NoneType is no BOUNDING_BOX. Connect a BOUNDING_BOX"):
        to_segs(None, image)
    with pytest.raises(InputError, match=r"'image': it holds 2 pictures"):
        to_segs(one, image.repeat(2, 1, 1, 1))


# --- wrong and missing models -------------------------------------------------------------------------------------

MODELS = {
    "MaskDetailerRTDETRProvider": ("model", "no RT-DETR model. Load an RT-DETR file", {"labels": "all"}),
    "MaskDetailerSAM3Provider": (
        "model",
        "no SAM3 model. Load a SAM3 file",
        {"text": "face", "max_detections": 1, "refine_iterations": 0},
    ),
    "MaskDetailerFaceLandmarkProvider": (
        "face_detection_model",
        "no face detection model. Load the face model",
        {"part": "face", "detector_variant": "short"},
    ),
    "MaskDetailerUprightFaceHook": (
        "face_detection_model",
        "no face detection model. Load the face model",
        {"min_angle": 15.0, "detector_variant": "short", "min_confidence": 0.5},
    ),
}


@needs_models
@pytest.mark.parametrize("node_id", MODELS)
def test_another_model_is_refused(node_id: str) -> None:
    name, said, widgets = MODELS[node_id]
    node = NODE_CLASS_MAPPINGS[node_id]()
    with pytest.raises(InputError, match=f"^{node_id}, input '{name}': a BaseModel is {said}"):
        node.doit(**{name: wrong_model()}, **widgets)
    with pytest.raises(InputError, match=f"^{node_id}, input '{name}': it is missing"):
        node.doit(**{name: None}, **widgets)


# --- RT-DETR ------------------------------------------------------------------------------------------------------


class RTDETRRun:
    """What the network itself gave in its last run: label, score and corners, the surest first.

    A network of random weights has near ties, which fall one way or another from run to run.
    """

    def __init__(self) -> None:
        self.network = tiny_detectors.rtdetr().model.diffusion_model
        self.made: Any = None
        self.network.decoder.register_forward_hook(self._seen)

    def _seen(self, module: Any, inputs: Any, output: Any) -> None:
        self.made = output

    def found(self) -> list[tuple[str, float, list[float]]]:
        import torchvision
        from comfy.ldm.rt_detr.rtdetr_v4 import COCO_CLASSES

        scores, order = self.made["pred_logits"].sigmoid().flatten().sort(descending=True)
        boxes = torchvision.ops.box_convert(self.made["pred_boxes"][0], "cxcywh", "xyxy")
        scaled = boxes * torch.tensor([SIZE.width, SIZE.height] * 2)
        return [
            (COCO_CLASSES[place % 80], score, scaled[place // 80].tolist())
            for score, place in zip(scores[:20].tolist(), order[:20].tolist(), strict=True)
        ]


@pytest.fixture(scope="module")
def rtdetr_run() -> RTDETRRun:
    return RTDETRRun()


class Kept:
    """A detector that keeps what it found."""

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.segs: Any = None

    def detect(self, *given: Any, **named: Any) -> Any:
        self.segs = self.detector.detect(*given, **named)
        return self.segs


@needs_models
def test_rtdetr_as_a_detector(image: torch.Tensor, rtdetr_run: RTDETRRun, unet: Pipe) -> None:
    """Its labels, scores and boxes; and FaceDetailer details exactly those."""
    (detector,) = nodes.MaskDetailerRTDETRProvider().doit(tiny_detectors.rtdetr(), "all")
    hook = Recorder()
    segs = BboxDetectorSEGS().doit(detector, image, **(WIDGETS | {"threshold": 0.0}), detailer_hook=hook)[0]
    found = [(label, score, boxed(corners)) for label, score, corners in rtdetr_run.found()]
    inside = [each for each in found if all(Region.of(each[2]).size[axis] > 1 for axis in (0, 1))]
    assert sorted((seg.label, seg.bbox) for seg in segs[1]) == sorted((label, box) for label, _, box in inside)
    assert [seg.confidence for seg in segs[1]] == pytest.approx([score for _, score, _ in inside], abs=1e-5)
    assert all(bool(seg_mask(seg).any()) for seg in segs[1])
    assert len(hook.all("post_crop_region")) == len(inside) and len(hook.all("post_detection")) == 1

    threshold = (found[1][1] + found[2][1]) / 2
    parts = dict(zip(("model", "clip", "vae", "positive", "negative"), unet, strict=True))
    widgets = FACE_WIDGETS | {"bbox_threshold": threshold, "bbox_crop_factor": 2.0, "drop_size": 1}
    kept = Kept(detector)
    made, refined, *_ = FaceDetailer().doit(image, **parts, **widgets, bbox_detector=kept)
    assert 0 < len(kept.segs[1]) < 20
    expected = do_detail(image, kept.segs, unet)
    assert torch.equal(made, expected[0]) and same(refined, expected[2])
    assert not torch.equal(made, image)


@needs_models
def test_rtdetr_labels(image: torch.Tensor, rtdetr_run: RTDETRRun) -> None:
    everything = nodes.MaskDetailerRTDETRProvider().doit(tiny_detectors.rtdetr(), "")[0].detect(image, 0.0, 0, 1.0)
    label = everything[1][0].label
    (detector,) = nodes.MaskDetailerRTDETRProvider().doit(tiny_detectors.rtdetr(), f" {label}, cat,")
    mask = detector.detect_combined(image, 0.0, 0)
    wanted = torch.zeros(SIZE)
    for name, _, corners in rtdetr_run.found():
        if name in (label, "cat"):
            x1, y1, x2, y2 = boxed(corners)
            wanted[y1:y2, x1:x2] = 1.0
    assert torch.equal(mask, wanted)
    with pytest.raises(InputError, match=r"input 'labels': RT-DETR knows no face, Cat. Write some of: person, bicycle"):
        nodes.MaskDetailerRTDETRProvider().doit(tiny_detectors.rtdetr(), "face, person, Cat")


# --- SAM3 ---------------------------------------------------------------------------------------------------------


def sam3_provider(kind: str = "SAM3", clip: Any = None, **changes: Any) -> tuple[Any, Any, Any]:
    widgets: dict[str, Any] = dict(text="face", max_detections=20, refine_iterations=1)
    return nodes.MaskDetailerSAM3Provider().doit(tiny_detectors.sam3(kind), **(widgets | changes), clip=clip)


def sam3_detect(image: torch.Tensor, kind: str = "SAM3", **given: Any) -> Any:
    from comfy_extras.nodes_sam3 import SAM3_Detect

    return SAM3_Detect.execute(tiny_detectors.sam3(kind), image, **({"refine_iterations": 1} | given)).result


def as_bytes(image: torch.Tensor) -> Any:
    return image[0].mul(255).round().byte().numpy()


@needs_models
@pytest.mark.parametrize("kind", ["SAM3", "SAM31"])
def test_sam3_takes_a_box(image: torch.Tensor, kind: str) -> None:
    """As ComfyUI's own node does."""
    wrapper = sam3_provider(kind)[2].sam_wrapper
    wrapper.prepare_device()
    (made,) = wrapper.predict(as_bytes(image), [], [], [10, 20, 60, 70], 0.9)
    wrapper.release_device()
    wanted, _ = sam3_detect(image, kind, bboxes={"x": 10, "y": 20, "width": 50, "height": 50})
    assert made.dtype == bool and made.shape == SIZE
    assert np.array_equal(made, wanted[0].numpy() > 0)


@needs_models
def test_sam3_takes_points(image: torch.Tensor) -> None:
    wrapper = sam3_provider(refine_iterations=2)[2].sam_wrapper
    (made,) = wrapper.predict(as_bytes(image), [(30.0, 40.0), (100.0, 20.0)], [1, 0], None, 0.9)
    coordinates = {name: json.dumps([{"x": x, "y": y}]) for name, x, y in (
        ("positive_coords", 30.0, 40.0), ("negative_coords", 100.0, 20.0)
    )}  # fmt: skip
    wanted, _ = sam3_detect(image, **coordinates, refine_iterations=2)
    assert np.array_equal(made, wanted[0].numpy() > 0)


@needs_models
def test_sam3_in_a_sam_node(image: torch.Tensor) -> None:
    """Box and point together; the node's mask is SAM3's own."""
    _, _, sam = sam3_provider()
    segs = to_segs({"x": 10, "y": 20, "width": 50, "height": 40}, image)
    settings = dict(
        detection_hint="center-1", dilation=0, threshold=0.9, bbox_expansion=0, mask_hint_threshold=0.7,
        mask_hint_use_negative="False",
    )  # fmt: skip
    made = SAMDetectorCombined().doit(sam, segs, image, **settings)[0]  # type: ignore[arg-type]
    (wanted,) = sam.sam_wrapper.predict(as_bytes(image), [(35, 40)], [1], [10, 20, 60, 60], 0.9)
    assert made.shape == (1, *SIZE) and np.array_equal(made[0].numpy() > 0, wanted)


@needs_models
def test_sam3_led_by_text(image: torch.Tensor) -> None:
    """Each text is a label; what is found is what ComfyUI's own node finds for it."""
    clip = tiny_detectors.TinyClip()
    boxes, outlines, _ = sam3_provider(clip=clip, text="face, red hat,", max_detections=2, refine_iterations=0)
    made = SegmDetectorSEGS().doit(outlines, image, **(WIDGETS | {"threshold": 0.2, "crop_factor": 100.0}))[0]
    wanted = []
    for text in ("face", "red hat"):
        prompt = clip.encode_from_tokens_scheduled(text)
        prompt[0][1]["sam3_multi_cond"] = [{**prompt[0][1], "cond": prompt[0][0], "max_detections": 2}]
        masks, (found,) = sam3_detect(
            image, conditioning=prompt, threshold=0.2, refine_iterations=0, individual_masks=True
        )
        for mask, one in zip(masks, found, strict=True):
            corners = [one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]]
            wanted.append((text, one["score"], boxed(corners), mask))
    assert {label for label, *_ in wanted} == {"face", "red hat"}
    assert [(seg.label, seg.confidence, seg.bbox) for seg in made[1]] == [each[:3] for each in wanted]
    assert all(torch.equal(seg_mask(seg)[0], mask) for seg, (*_, mask) in zip(made[1], wanted, strict=True))
    assert outlines.bbox_detector is boxes


@needs_models
def test_sam3_boxes_and_aux(image: torch.Tensor) -> None:
    """With no text of its own it looks for what the detailer names; its box masks are the boxes."""
    boxes, _, _ = sam3_provider(clip=tiny_detectors.TinyClip(), text=" ", max_detections=1)
    boxes.setAux("face")
    (seg,) = boxes.detect(image, 0.2, 0, 1.0)[1]
    assert seg.label == "face" and seg.cropped_mask.all() and tuple(seg.crop_region) == seg.bbox
    boxes.setAux(None)
    with pytest.raises(ValueError, match=r"^MaskDetailerSAM3Provider, input 'text': it is empty. Write"):
        boxes.detect(image, 0.2, 0, 1.0)


@needs_models
def test_sam3_without_its_clip(image: torch.Tensor) -> None:
    for detector in sam3_provider()[:2]:
        with pytest.raises(ValueError, match=r"^MaskDetailerSAM3Provider, input 'clip': nothing is connected.*Connect"):
            detector.detect(image, 0.5, 0, 2.0)
