"""Runs of all nodes that are no detailers, and of inputs that no node takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from engine.recording import faces, segments
from engine.recording.parts import (
    LOWER,
    MIDDLE,
    SIZE,
    UPPER,
    Runs,
    Watching,
    asked,
    folder,
    frames,
    node,
    options,
    parts,
    segs,
    soft,
    unet,
    with_images,
)
from engine.tiny_models import board, mask_of, picture, pipe_with
from support.detectors import BoxDetector, FloodSam, NoDetector, OutlineDetector, SamModel, WorldDetector

DISC, OTHER = soft(*SIZE, 40, 50, 25), soft(*SIZE, 60, 60, 30)
PAIR = torch.cat([DISC, OTHER])


def three() -> Any:
    return segs(UPPER, MIDDLE, LOWER, labels="CBA")


def shown() -> Any:
    return with_images(three(), picture(*SIZE, 3))


MASKS: Runs = {
    "BitwiseAndMask": lambda: node("BitwiseAndMask", mask1=DISC, mask2=OTHER),
    "SubtractMask": lambda: node("SubtractMask", mask1=PAIR, mask2=OTHER),
    "AddMask": lambda: node("AddMask", mask1=DISC, mask2=mask_of(50, 60, (4, 4, 30, 30))),
    "ToBinaryMask": lambda: node("ToBinaryMask", mask=PAIR, threshold=60),
    "ImpactDilateMask": lambda: [node("ImpactDilateMask", mask=PAIR, dilation=by) for by in (-9, 0, 6)],
    "ImpactGaussianBlurMask": lambda: node("ImpactGaussianBlurMask", mask=PAIR, kernel_size=7, sigma=4.0),
    "ImpactFlattenMask": lambda: node("ImpactFlattenMask", masks=PAIR),
    "MasksToMaskList": lambda: node("MasksToMaskList", masks=PAIR),
    "MaskListToMaskBatch": lambda: node("MaskListToMaskBatch", mask=[DISC, PAIR, mask_of(50, 60, (4, 4, 30, 30))]),
    "ImageListToImageBatch": lambda: node("ImageListToImageBatch", images=[frames(2), board(50, 60)]),
    "ImpactImageBatchToImageList": lambda: node("ImpactImageBatchToImageList", image=frames(3)),
}

SEGMENTS: Runs = {
    "MaskToSEGS": lambda: [
        node("MaskToSEGS", mask=PAIR, combined=combined, bbox_fill=fill, contour_fill=contour, crop_factor=1.7)
        for combined, fill, contour in ((False, False, False), (True, False, True), (False, True, False))
    ],
    "EmptySegs": lambda: node("EmptySegs"),
    "ImpactMakeTileSEGS": lambda: [
        node(
            "ImpactMakeTileSEGS", images=picture(160, 200), bbox_size=64, crop_factor=1.5, min_overlap=6,
            filter_segs_dilation=8, mask_irregularity=rough, irregular_mask_mode="Reuse fast",
            filter_in_segs_opt=segs((10, 10, 90, 60), size=(160, 200)),
        )
        for rough in (0.0, 0.6)
    ],
    "SegsToCombinedMask": lambda: node("SegsToCombinedMask", segs=three()),
    "SEGSToImageList": lambda: node("SEGSToImageList", segs=three(), fallback_image_opt=board(*SIZE)),
    "ImpactSEGSToMaskList": lambda: node("ImpactSEGSToMaskList", segs=three()),
    "ImpactSEGSToMaskBatch": lambda: node("ImpactSEGSToMaskBatch", segs=three()),
    "SEGSPreview": lambda: node("SEGSPreview", segs=shown())["result"],
    "SEGSPreviewCNet": lambda: node("SEGSPreviewCNet", segs=segments.controlled(three(), control_image=board(*SIZE)))[
        "result"
    ],
    "ImpactControlNetClearSEGS": lambda: node("ImpactControlNetClearSEGS", segs=segments.controlled(three())),
    "ImpactDilateMaskInSEGS": lambda: [node("ImpactDilateMaskInSEGS", segs=three(), dilation=by) for by in (-5, 8)],
    "ImpactGaussianBlurMaskInSEGS": lambda: node("ImpactGaussianBlurMaskInSEGS", segs=three(), kernel_size=5),
    "SetDefaultImageForSEGS": lambda: node("SetDefaultImageForSEGS", segs=shown(), image=board(*SIZE), override=True),
    "RemoveImageFromSEGS": lambda: node("RemoveImageFromSEGS", segs=shown()),
    "BitwiseAndMaskForEach": lambda: node("BitwiseAndMaskForEach", base_segs=three(), mask_segs=segs((20, 20, 60, 60))),
    "SubtractMaskForEach": lambda: node("SubtractMaskForEach", base_segs=three(), mask_segs=segs((20, 20, 60, 60))),
    "ImpactSegsAndMask": lambda: node("ImpactSegsAndMask", segs=three(), mask=DISC),
    "ImpactSegsAndMaskForEach": lambda: node("ImpactSegsAndMaskForEach", segs=three(), masks=PAIR),
    "apart and together": lambda: node(
        "ImpactAssembleSEGS",
        seg_header=[node("ImpactDecomposeSEGS", segs=three())[0]],
        seg_elt=list(reversed(node("ImpactDecomposeSEGS", segs=three())[1])),
    ),
    "ImpactFrom_SEG_ELT": lambda: node("ImpactFrom_SEG_ELT", seg_elt=shown()[1][0]),
    "ImpactEdit_SEG_ELT": lambda: node(
        "ImpactEdit_SEG_ELT", seg_elt=three()[1][0], cropped_image_opt=board(20, 20), label_opt="hat",
        confidence_opt=0.4, cropped_mask_opt=soft(32, 32, 16, 16, 9), bbox_opt=(70, 50, 99, 80),
    ),
    "ImpactDilate_Mask_SEG_ELT": lambda: node("ImpactDilate_Mask_SEG_ELT", seg_elt=three()[1][0], dilation=6),
    "ImpactScaleBy_BBOX_SEG_ELT": lambda: node("ImpactScaleBy_BBOX_SEG_ELT", seg=three()[1][0], scale_by=1.4),
    "ImpactFrom_SEG_ELT_bbox": lambda: node("ImpactFrom_SEG_ELT_bbox", bbox=three()[1][0].bbox),
    "ImpactFrom_SEG_ELT_crop_region": lambda: node(
        "ImpactFrom_SEG_ELT_crop_region", crop_region=three()[1][0].crop_region
    ),
    "ImpactCount_Elts_in_SEGS": lambda: node("ImpactCount_Elts_in_SEGS", segs=three()),
    "ImpactIsNotEmptySEGS": lambda: node("ImpactIsNotEmptySEGS", segs=(SIZE, [])),
    "ImpactSEGSConcat": lambda: node("ImpactSEGSConcat", segs1=three(), segs2=segs(UPPER)),
    "ImpactSEGSMerge": lambda: node("ImpactSEGSMerge", segs=three()),
    "ImpactSEGSPicker": lambda: node("ImpactSEGSPicker", segs=three(), picks="3, 1"),
    "ImpactSEGSLabelFilter": lambda: node("ImpactSEGSLabelFilter", segs=three(), labels="A,B"),
    "ImpactSEGSRangeFilter": lambda: node("ImpactSEGSRangeFilter", segs=three(), min_value=900, max_value=1000),
    "ImpactSEGSOrderedFilter": lambda: node("ImpactSEGSOrderedFilter", segs=three(), target="y1", take_count=2),
    "ImpactSEGSLabelAssign": lambda: node("ImpactSEGSLabelAssign", segs=three(), labels="one, two"),
}  # fmt: skip

HINTS = ("center-1", "horizontal-2", "vertical-2", "rect-4", "diamond-4", "mask-area", "mask-points", "none")
SEEN = dict(dilation=4, crop_factor=2.0, drop_size=4)


def sam(node_id: str, **widgets: Any) -> Any:
    found = node("BboxDetectorSEGS", bbox_detector=BoxDetector(), image=faces.scene(), **SEEN)[0]
    return node(node_id, sam_model=SamModel(FloodSam()), segs=found, image=faces.scene(), **widgets)


def landmarks(part: str, roll: float = 0.2, variant: str = "short") -> Any:
    boxes, outlines = node(
        "MaskDetailerFaceLandmarkProvider", face_detection_model=faces.face_model(roll), part=part, detail="fast",
        detector_variant=variant,
    )  # fmt: skip
    return [
        node("BboxDetectorSEGS", bbox_detector=boxes, image=faces.scene(), **SEEN),
        node("SegmDetectorSEGS", segm_detector=outlines, image=faces.scene(), **SEEN),
        node("SegmDetectorCombined_v2", segm_detector=outlines, image=faces.scene()),
    ]


def detailer_pipe(**more: Any) -> Any:
    return node("ToDetailerPipe", **(parts(unet()) | {"bbox_detector": BoxDetector(), "wildcard": "text"} | more))[0]


def boxes_and_back() -> Any:
    boxes = [
        {"x": 4, "y": 6, "width": 30, "height": 20, "label": "hat", "score": 0.6},
        dict(x=50, y=50, width=9, height=8),
    ]
    made = node("MaskDetailerBoxesToSEGS", bounding_boxes=boxes, image=picture(*SIZE), crop_factor=2.0, dilation=3)[0]
    return (
        made,
        node("MaskDetailerSEGSToBoxes", segs=made),
        node("MaskDetailerSEGSToBoxes", segs=three(), rectangle="crop region"),
    )


DETECTORS: Runs = {
    "BboxDetectorSEGS": lambda: node("BboxDetectorSEGS", bbox_detector=BoxDetector(), image=faces.scene(), **SEEN),
    "BboxDetectorSEGS, labels": lambda: node(
        "BboxDetectorSEGS", bbox_detector=BoxDetector(), image=faces.scene(), labels="red,green",
        detailer_hook=Watching(), **SEEN,
    ),
    "SegmDetectorSEGS": lambda: node("SegmDetectorSEGS", segm_detector=OutlineDetector(), image=faces.scene(), **SEEN),
    "BboxDetectorCombined_v2": lambda: node(
        "BboxDetectorCombined_v2", bbox_detector=BoxDetector(), image=faces.scene()
    ),
    "SegmDetectorCombined_v2": lambda: node(
        "SegmDetectorCombined_v2", segm_detector=OutlineDetector(), image=faces.scene()
    ),
    "ImpactSimpleDetectorSEGS": lambda: [
        node("ImpactSimpleDetectorSEGS", bbox_detector=WorldDetector(), image=faces.scene(), post_dilation=3, **more)
        for more in ({}, {"segm_detector_opt": OutlineDetector()}, {"sam_model_opt": SamModel(FloodSam())})
    ],
    "ImpactSimpleDetectorSEGSPipe": lambda: node(
        "ImpactSimpleDetectorSEGSPipe", image=faces.scene(),
        detailer_pipe=detailer_pipe(segm_detector_opt=NoDetector(), sam_model_opt=SamModel(FloodSam())),
    ),
    "SAMDetectorCombined": lambda: [
        sam("SAMDetectorCombined", detection_hint=hint, dilation=4, mask_hint_use_negative="Small")
        for hint in HINTS
    ],
    "SAMDetectorSegmented": lambda: sam("SAMDetectorSegmented", mask_hint_use_negative="Outter", bbox_expansion=5),
    "boxes and back": boxes_and_back,
    **{f"landmarks, {part}": lambda part=part: landmarks(part) for part in ("face", "eyes", "eyebrows", "mouth")},
    "landmarks, full": lambda: landmarks("face", -0.4, "full"),
}  # fmt: skip


def latent(**more: Any) -> dict[str, Any]:
    return {"samples": torch.randn(1, 4, 12, 14, generator=torch.Generator().manual_seed(4)), **more}


def kept() -> Any:
    """SEGS saved and loaded again, in a folder of ours."""
    import folder_paths

    before = folder_paths.get_output_directory(), folder_paths.get_input_directory()
    folder_paths.set_output_directory(str(folder()))
    folder_paths.set_input_directory(str(folder()))
    try:
        made = node("SaveSEGS", segs=shown(), filename_prefix="kept")
        written = sorted(path for path in folder().rglob("kept*"))
        return made, [node("LoadSEGS", file=str(path.relative_to(folder()))) for path in written]
    finally:
        folder_paths.set_output_directory(before[0])
        folder_paths.set_input_directory(before[1])


def sampled(node_id: str, **changes: Any) -> Any:
    with asked(unet()) as calls:
        made = node(node_id, basic_pipe=unet(), **({"latent_image": latent()} | changes))
    return made[1], calls


def taken_apart() -> Any:
    other = {"positive": [[torch.ones(1, 2, 3), {}]]}
    detectors = dict(bbox_detector=BoxDetector(), wildcard="text")
    (edited,) = node("EditBasicPipe", basic_pipe=unet(), **other)
    (edited_too,) = node("EditDetailerPipe", detailer_pipe=detailer_pipe(), wildcard="other", **other)
    (both,) = node("BasicPipeToDetailerPipeSDXL", base_basic_pipe=unet(), refiner_basic_pipe=unet(5), **detectors)
    (both_edited,) = node("EditDetailerPipeSDXL", detailer_pipe=both, wildcard="", refiner_positive=other["positive"])
    (one,) = node("BasicPipeToDetailerPipe", basic_pipe=unet(), **detectors)
    return [
        node("FromBasicPipe", basic_pipe=unet()),
        node("FromBasicPipe_v2", basic_pipe=edited),
        node("FromDetailerPipe", detailer_pipe=detailer_pipe()),
        node("FromDetailerPipe_v2", detailer_pipe=edited_too),
        node("FromDetailerPipeSDXL", detailer_pipe=both),
        node("FromDetailerPipeSDXL", detailer_pipe=both_edited),
        node("DetailerPipeToBasicPipe", detailer_pipe=one),
    ]


REST: Runs = {
    "ImpactKSamplerBasicPipe": lambda: sampled("ImpactKSamplerBasicPipe", steps=3, denoise=0.6),
    "ImpactKSamplerBasicPipe, masked": lambda: sampled(
        "ImpactKSamplerBasicPipe", sampler_name="dpmpp_2m_sde", scheduler="karras", steps=3,
        latent_image=latent(noise_mask=soft(*SIZE, 40, 50, 25)),
    ),
    "ImpactKSamplerBasicPipe, AYS": lambda: sampled("ImpactKSamplerBasicPipe", scheduler="AYS SD1", denoise=1.0),
    "ImpactKSamplerAdvancedBasicPipe": lambda: [
        sampled("ImpactKSamplerAdvancedBasicPipe", steps=5, start_at_step=first, end_at_step=last, add_noise=noise,
                return_with_leftover_noise=leftover, sampler_name="euler_ancestral")
        for first, last, noise, leftover in ((0, 3, True, True), (2, 9, False, False), (1, 4, True, False))
    ],
    "RemoveNoiseMask": lambda: node("RemoveNoiseMask", samples=latent(noise_mask=DISC)),
    "GITSSchedulerFuncProvider": lambda: node("GITSSchedulerFuncProvider", coeff=0.9, denoise=0.7)[0](None, "euler", 6),
    "ImpactSchedulerAdapter": lambda: [
        node("ImpactSchedulerAdapter", scheduler="karras", extra_scheduler=extra) for extra in ("None", "AYS SDXL")
    ],
    "ImpactNegativeConditioningPlaceholder": lambda: node("ImpactNegativeConditioningPlaceholder"),
    "pipes taken apart": taken_apart,
    "SEGS kept in a file": kept,
}  # fmt: skip

BAD: Runs = {
    "nothing for a picture": lambda: segments.detailed(image=None),
    "a picture with NaN": lambda: segments.detailed(image=torch.full((1, *SIZE, 3), torch.nan)),
    "a mask of another kind": lambda: faces.hooked(None, mask="mask"),
    "two masks for three pictures": lambda: faces.hooked(None, image=frames(3), mask=PAIR),
    "nothing for SEGS": lambda: segments.detailed((SIZE, [3])),
    "nothing for a pipe": lambda: faces.hooked(None, basic_pipe=None),
    "a pipe without VAE": lambda: segments.detailed(pipe=pipe_with(unet(), vae=None)),
    "a part that is missing": lambda: segments.detailed(node_id="DetailerForEach", pipe=pipe_with(unet(), model=None)),
    "text without CLIP": lambda: segments.detailed(pipe=pipe_with(unet(), clip=None), wildcard="text"),
    "several pictures apart": lambda: segments.apart(image=frames(2)),
    "options of another kind": lambda: faces.hooked(None, detail_options="all"),
    "crop_batch of another kind": lambda: faces.hooked(None, crop_batch=-1),
    "options out of range": lambda: options(megapixels=0.001),
    "another pack's option": lambda: options(blend="poisson"),
    "no detector": lambda: faces.found(bbox_detector=None),
    "no ControlNet": lambda: segments.controlled(three(), control_net=None),
    "never content": lambda: segments.detailed(
        segs(UPPER), "DetailerForEachAutoRetry", detailer_hook=segments.Picky(9), max_retries=2
    ),
    "refiner without model": lambda: faces.hooked(
        None, refiner_basic_pipe_opt=pipe_with(unet(), model=None), refiner_ratio=0.5
    ),
    "masks of another size": lambda: segments.detailed(
        (SIZE, [seg._replace(cropped_mask=np.ones((5, 7), np.float32)) for seg in three()[1]])
    ),
    "a hook that fails": lambda: faces.hooked(Failing()),
}


class Failing:
    """A hook that raises."""

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        raise ValueError("the hook fails")


RUNS: Runs = {
    f"{group}/{name}": run
    for group, runs in (
        ("mask", MASKS), ("segments", SEGMENTS), ("detector", DETECTORS), ("rest", REST), ("bad", BAD),
    )
    for name, run in runs.items()
}  # fmt: skip
