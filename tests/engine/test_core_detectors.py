"""ComfyUI's own detection models as detectors, its boxes as segments, and faces sampled upright."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine import tiny_detectors
from engine.running import Recorder, decibels, detail, do_detail, same
from engine.tiny_models import Pipe, SpaceToDepth, flow_pipe, lossless_vae, mask_of, picture
from engine.tiny_models import unet_model as wrong_model
from mask_detailer import NODE_CLASS_MAPPINGS as OFFERED
from mask_detailer.core import Region, Size, seg_mask
from mask_detailer.detailer import host
from mask_detailer.detailer.detection.core_models import FACE_PARTS, hull
from mask_detailer.detailer.hooks.upright_faces import FaceFinder, UprightFaceHook, quarter_turned_back
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes import core_detectors as nodes
from mask_detailer.nodes.detectors import BboxDetectorSEGS, SAMDetectorCombined, SegmDetectorSEGS
from mask_detailer.nodes.faces import FaceDetailer
from mask_detailer.nodes.validate import InputError
from support.detectors import Disc, drawn

SIZE = Size(96, 128)
WIDGETS: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=1, labels="all")
FACE_WIDGETS: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, bbox_crop_factor=1.5, sam_detection_hint="center-1", sam_dilation=0,
    sam_threshold=0.93, sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
    drop_size=4, guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, cycle=1, wildcard="",
)  # fmt: skip

needs_models = pytest.mark.skipif(not host.detection.has_rtdetr(), reason="this ComfyUI has no detection models")


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Whole steps of 1/255: a SAM model is shown bytes."""
    return picture(*SIZE, seed=3).mul(255).round().div(255)


# --- what is offered ----------------------------------------------------------------------------------------------


def test_offered_where_comfyui_has_the_models() -> None:
    import comfyui_version

    has_them = tuple(map(int, comfyui_version.__version__.split(".")[:2])) >= (0, 24)
    assert set(NODE_CLASS_MAPPINGS) - set(OFFERED) == (set() if has_them else set(MODELS))


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


def boxed(corners: list[float]) -> tuple[int, ...]:
    x1, y1, x2, y2 = corners
    box = Region(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    return box.within(SIZE).as_tuple()


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


# --- faces --------------------------------------------------------------------------------------------------------


def face_detectors(part: str = "face", variant: str = "short", roll: float = 0.0) -> tuple[Any, Any]:
    return nodes.MaskDetailerFaceLandmarkProvider().doit(tiny_detectors.face_model(roll), part, variant)


@needs_models
@pytest.mark.parametrize("variant", ["short", "full"])
@pytest.mark.parametrize("part", FACE_PARTS)
def test_face_landmarks_as_detectors(image: torch.Tensor, part: str, variant: str) -> None:
    """Where the landmarks are is known in closed form."""
    boxes, outlines = face_detectors(part, variant, roll=0.4)
    for detector in (boxes, outlines):
        segs = (BboxDetectorSEGS if detector is boxes else SegmDetectorSEGS)().doit(detector, image, **WIDGETS)[0]
        assert [seg.label for seg in segs[1]] == [label for label, _ in FACE_PARTS[part]]
        for seg, (_, landmarks) in zip(segs[1], FACE_PARTS[part], strict=True):
            points = tiny_detectors.face_points(landmarks, SIZE.width, SIZE.height, 0.4)
            low, high = points.amin(dim=0) + 1e-3, points.amax(dim=0) - 1e-3  # not beside a whole pixel by rounding
            assert np.abs(np.subtract(seg.bbox, boxed([*low.tolist(), *high.tolist()]))).max() <= 1
            assert seg.confidence == pytest.approx(tiny_detectors.FACE_SCORE, abs=1e-4)
            whole = torch.zeros(SIZE)
            whole[Region.of(seg.crop_region).slices] = seg_mask(seg)[0]
            x1, y1, x2, y2 = seg.bbox
            if detector is boxes:
                assert bool(whole[y1:y2, x1:x2].all()) and whole.sum() == (x2 - x1) * (y2 - y1)
            else:
                area = abs(cv2.contourArea(points.numpy()))
                rim = cv2.arcLength(points.numpy(), True)  # OpenCV's polygons hold every pixel that they touch
                assert area - rim < float(whole.sum()) < area + rim
    assert boxes.detect(image, 0.95, 0, 2.0) == (SIZE, [])
    assert boxes.detect_combined(image, 0.95, 0) is None


def test_hull() -> None:
    made = hull(np.array([[10.0, 5.0], [20.0, 5.0], [20.0, 15.0], [10.0, 15.0], [13.0, 9.0]]), Size(20, 30))
    inside = torch.zeros(20, 30)
    inside[5:15, 10:20] = 1.0
    assert bool((made >= inside).all()) and float(made.sum()) <= 11 * 11


@needs_models
def test_face_detailer_with_landmarks(image: torch.Tensor, unet: Pipe) -> None:
    """Both detectors in FaceDetailer: nothing but the face's outline changes."""
    boxes, outlines = face_detectors()
    parts = dict(zip(("model", "clip", "vae", "positive", "negative"), unet, strict=True))
    made, refined, _, mask, *_ = FaceDetailer().doit(
        image, **parts, **FACE_WIDGETS, bbox_detector=boxes, segm_detector_opt=outlines
    )
    wanted = hull(tiny_detectors.face_points("face_oval", SIZE.width, SIZE.height).numpy(), SIZE)
    assert len(refined) == 1 and float((mask[0] - wanted).abs().sum()) <= 30  # rounding, on the rim
    reach = torch.nn.functional.max_pool2d(mask[None], 9, stride=1, padding=4)[0, 0] > 0
    assert torch.equal(made[0][~reach], image[0][~reach])
    assert not torch.equal(made, image)


# --- upright faces ------------------------------------------------------------------------------------------------


class MarkedFaces:
    """A face model of the documented form: a red blob is the person's right eye, a blue one the left.

    As real models do, it sees a face only where it leans by less than 60 degrees.
    """

    connection_sets = {
        "right_eye": frozenset({(0, 1), (1, 0)}),
        "left_eye": frozenset({(2, 3), (3, 2)}),
    }

    def __init__(self) -> None:
        self.asked = 0

    def detect_batch(self, images: list[Any], num_faces: int, score_thresh: float, variant: str) -> list[list[Any]]:
        self.asked += 1
        assert len(images) == 1 and images[0].dtype == np.uint8
        eyes = []
        for channel in (0, 2):
            pixels = images[0].astype(np.float32) / 255
            weight = np.clip(pixels[..., channel] - np.delete(pixels, channel, axis=-1).max(axis=-1) - 0.2, 0, None)
            if weight.sum() < 3:
                return [[]]
            rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
            eyes.append(((columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()))
        right, left = np.array(eyes)
        if abs(math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))) > 60:
            return [[]]
        landmarks = np.stack([right - 1, right + 1, left - 1, left + 1]).astype(np.float32)
        return [[{"landmarks_xy": landmarks, "score": 0.9}]]


def leaning(degrees: float, apart: float = 20.0) -> tuple[torch.Tensor, tuple[float, float], tuple[float, float]]:
    """A picture of two eyes that lean by that much about its middle, and where they are."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = SIZE.width / 2, SIZE.height / 2
    right, left = (x - apart / 2 * cos, y - apart / 2 * sin), (x + apart / 2 * cos, y + apart / 2 * sin)
    discs = drawn(*SIZE, [Disc(*right, 5, "red"), Disc(*left, 5, "blue")])[0]
    smooth = torch.nn.functional.avg_pool2d(discs.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    return (0.1 + 0.8 * smooth).clamp(0, 1), right, left


LEANS = (-175.0, -120.0, -90.0, -40.0, 20.0, 75.0, 110.0, 180.0)


@pytest.mark.parametrize("degrees", LEANS)
def test_faces_are_found_at_every_angle(degrees: float) -> None:
    image, right, left = leaning(degrees)
    turn = FaceFinder(MarkedFaces(), "short", 0.5).turn(image, (0.0, 0.0))
    assert turn is not None
    assert abs(math.remainder(turn.degrees - degrees, 360)) < 1.0
    assert math.dist(turn.centre, (SIZE.width / 2, SIZE.height / 2)) < 0.3
    assert turn.upright_point(left)[0] - turn.upright_point(right)[0] == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_of_a_picture(quarters: int) -> None:
    image = torch.zeros(1, 7, 11, 1)
    image[0, 2, 8] = 1.0
    turned = torch.rot90(image, quarters, dims=(1, 2))[0, ..., 0]
    row, column = divmod(int(turned.flatten().argmax()), turned.shape[1])
    assert quarter_turned_back((column + 0.5, row + 0.5), quarters, Size(7, 11)) == (8.5, 2.5)


class Watch(Recorder):
    """Remembers, and leaves nothing to sample."""

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        super().pre_ksample(*call)
        return (*call[:-1], 0.0)


@pytest.fixture(scope="module")
def lossless() -> Pipe:
    return flow_pipe(SpaceToDepth.CHANNELS, lossless_vae())


def upright_hook(min_angle: float = 15.0) -> Any:
    return nodes.MaskDetailerUprightFaceHook().doit(MarkedFaces(), min_angle, "short", 0.5)[0]


def combined(*hooks: Any) -> Any:
    return OFFERED["DetailerHookCombine"]().doit(*hooks)[0]


@pytest.mark.parametrize("degrees", LEANS)
def test_a_face_is_sampled_upright_and_comes_back(lossless: Pipe, degrees: float, record_property: Any) -> None:
    """With a codec that loses nothing and nothing sampled, the picture comes back as it was."""
    image, *_ = leaning(degrees)
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    mask[0, 26:48, 40:64] = 0.0
    watch = Watch()
    hook = combined(upright_hook(), watch)
    made = detail(image, mask, lossless, detailer_hook=hook, crop_factor=1.8, noise_mask_feather=0)

    sampled = watch.all("post_upscale")[0]
    lean = FaceFinder(MarkedFaces(), "short", 0.5).turn(sampled, (0.0, 0.0))
    assert lean is not None and abs(lean.degrees) < 1.0  # upright while it is sampled
    noise_mask = watch.all("post_encode")[0]["noise_mask"].reshape(sampled.shape[1:3])
    enlarged = sampled.numel() / made.refined[0].numel()
    assert float(noise_mask.sum()) == pytest.approx(float(mask.sum()) * enlarged, rel=0.02)  # all of it is inside

    psnr = decibels(made.image, image)
    record_property("decibels", round(psnr, 1))
    assert psnr > 45
    assert torch.equal(made.image[:, :20], image[:, :20]) and torch.equal(made.image[:, -20:], image[:, -20:])


def test_the_noise_mask_stays_on_its_part(lossless: Pipe) -> None:
    """A mask over one eye covers that eye in the upright crop too."""
    image, _, left = leaning(90.0)
    x, y = (round(value) for value in left)
    watch = Watch()
    mask = mask_of(*SIZE, (x - 8, y - 8, x + 8, y + 8))
    detail(image, mask, lossless, detailer_hook=combined(upright_hook(), watch), crop_factor=5.0)
    pixels = watch.all("post_upscale")[0]
    noise_mask = watch.all("post_encode")[0]["noise_mask"].reshape(pixels.shape[1:3])
    blue, red = (pixels[0, ..., channel] > 0.5 for channel in (2, 0))
    assert blue.any() and bool((noise_mask[blue] > 0.9).all())
    assert red.any() and not bool((noise_mask[red] > 0.1).any())


@pytest.mark.parametrize(("degrees", "min_angle"), [(10.0, 15.0), (170.0, 180.0)])
def test_faces_that_hardly_lean_stay(lossless: Pipe, degrees: float, min_angle: float) -> None:
    image, *_ = leaning(degrees)
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    wanted = detail(image, mask, lossless, detailer_hook=Watch()).image
    made = detail(image, mask, lossless, detailer_hook=combined(upright_hook(min_angle), Watch())).image
    assert torch.equal(made, wanted)


def test_no_face_no_turn(lossless: Pipe, image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    wanted = detail(image * 0.1, mask, lossless, detailer_hook=Watch()).image
    made = detail(image * 0.1, mask, lossless, detailer_hook=combined(upright_hook(), Watch())).image
    assert torch.equal(made, wanted)
    assert any(re.search("no face is found in this crop", record.message) for record in told.records)


def test_the_face_under_the_mask_counts() -> None:
    """Of several faces the one at the mask's middle is turned; without a mask the one in the crop's middle."""
    hook = UprightFaceHook(FaceFinder(TwoFaces(), "short", 0.5), 0.0)
    pixels = torch.rand(1, 64, 128, 3)
    for mask, centre in ((None, (70.0, 32.0)), (mask_of(32, 64, (8, 10, 16, 20)), (20.0, 30.0))):
        assert not torch.equal(hook.post_upscale(pixels, mask), pixels)
        assert hook._turned is not None and hook._turned[0].centre == pytest.approx(centre)


class TwoFaces(MarkedFaces):
    """Recorded: a face at (20, 30) and one at (70, 32)."""

    def detect_batch(self, images: list[Any], num_faces: int, score_thresh: float, variant: str) -> list[list[Any]]:
        eyes = np.array([[-5, -5], [-5, -5], [5, 5], [5, 5]], np.float32)
        return [[{"landmarks_xy": eyes + centre, "score": 0.9} for centre in ([20, 30], [70, 32])]]


@needs_models
def test_upright_with_comfyuis_face_model(unet: Pipe, image: torch.Tensor) -> None:
    """Its own model, which sees the face at a known angle in every crop."""
    (hook,) = nodes.MaskDetailerUprightFaceHook().doit(tiny_detectors.face_model(0.6), 15.0, "short", 0.5)
    watch = Watch()
    made = detail(image, mask_of(*SIZE, (40, 26, 88, 70)), unet, detailer_hook=combined(hook, watch))
    plain = Watch()
    detail(image, mask_of(*SIZE, (40, 26, 88, 70)), unet, detailer_hook=plain)
    before, turned = plain.all("post_upscale")[0], watch.all("post_upscale")[0]
    eyes = [
        tiny_detectors.face_points(eye, before.shape[2], before.shape[1], 0.6).mean(dim=0).tolist()
        for eye in ("right_eye", "left_eye")
    ]
    from mask_detailer.core import Turn

    wanted = Turn.of_eyes(eyes[0], eyes[1]).upright(before).clamp(0, 1)
    assert Turn.of_eyes(eyes[0], eyes[1]).roll == pytest.approx(0.6, abs=1e-3)
    assert torch.allclose(turned, wanted, atol=1e-3)
    assert made.image.shape == image.shape
