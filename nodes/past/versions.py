"""The one table of versions: what each node was like before, for prompts and for files alike.

Files hold values of widgets by their place, so a past order of widgets tells what each value meant. Orders that are
the beginning of today's are not written down here: they fit as they are. Prompts hold values by name, so what counts
there is which inputs came later, and what a version did without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import schema

CONTROL = ":control"
"""Ends the name of the widget that the page puts behind a seed: what becomes of the seed after each run."""

LATER = "|"
"""Stands in an order before the widgets that came while it was in use."""

GONE = "-"
"""Begins the kind of a widget that there is no longer, such as ``-INT``."""


@dataclass(frozen=True)
class Outputs:
    """The outputs, by today's names, that a node had when it had none of some inputs."""

    lacking: frozenset[str]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Versions:
    """What a node was like before.

    Attributes:
        orders: past orders of its widgets, newest first, by today's names; those after ``|`` came while it was in use.
            An empty one: it had no widgets.
        without: what a version did that had no such input, as today's value. None for a link: it was not there.
        outputs: past outputs, oldest first.
        renamed: today's names of inputs by their old ones.
        gone: inputs that there are no longer; nothing that they said is lost where they are not connected.
        choices: what values of choices are called today.
    """

    orders: tuple[str, ...] = ()
    without: Mapping[str, object] = field(default_factory=dict)
    outputs: tuple[Outputs, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    choices: Mapping[str, Mapping[object, str]] = field(default_factory=dict)


UNLIMITED = schema.MAX_SIZE
_LORA, _WILDCARD = "Select the LoRA to add to the text", "Select the Wildcard to add to the text"

_SAMPLING = "seed seed:control steps cfg sampler_name scheduler denoise"
_BEFORE_MAX_SIZE = f"guide_size guide_size_for {_SAMPLING} feather noise_mask | force_inpaint"  # until July 2023
_FIRST = f"guide_size {_SAMPLING} feather | noise_mask"  # until April 2023
_FINDING = (
    "bbox_threshold bbox_dilation bbox_crop_factor sam_detection_hint sam_dilation sam_threshold | sam_bbox_expansion "
    "sam_mask_hint_threshold sam_mask_hint_use_negative drop_size"
)
_FACES_BEFORE = (
    f"guide_size guide_size_for {_SAMPLING} feather noise_mask force_inpaint {_FINDING}",  # until July 2023
    f"guide_size guide_size_for {_SAMPLING} feather noise_mask {_FINDING}",  # until April 2023
)

_TILES = {"tiled_encode": False, "tiled_decode": False}
_CYCLE = {"cycle": 1, "inpaint_model": False, "noise_mask_feather": 0}
_DETAILER = {
    "guide_size_for": True, "max_size": UNLIMITED, "noise_mask": False, "force_inpaint": False, "wildcard": "",
    "refiner_ratio": 0.2, **_CYCLE, **_TILES,
}  # fmt: skip
_CLIP = {"clip": None}
_FACES = {
    **_DETAILER, "drop_size": 1, "sam_bbox_expansion": 0, "sam_mask_hint_threshold": 0.7,
    "sam_mask_hint_use_negative": "False",
}  # fmt: skip
_DETAILER_PIPE = {"Select to add LoRA": _LORA, "Select to add Wildcard": _WILDCARD}
_SAM = {
    "detection_hint": "center-1", "bbox_expansion": 0, "mask_hint_threshold": 0.7, "mask_hint_use_negative": "False",
}  # fmt: skip
_NEGATIVE: dict[str, dict[object, str]] = {"mask_hint_use_negative": {"True": "Small"}}
_FACE_NEGATIVE: dict[str, dict[object, str]] = {"sam_mask_hint_use_negative": {"True": "Small"}}
_FACE_OUTPUTS = (
    Outputs(frozenset({"drop_size", "max_size", "cycle"}), ("image", "mask", "detailer_pipe")),
    Outputs(frozenset({"max_size", "cycle"}), ("image", "cropped_refined", "mask", "detailer_pipe")),
)
_CROPS = Outputs(
    frozenset({"refiner_ratio", "cycle"}), ("image", "cropped", "cropped_refined", "cropped_refined_alpha")
)
_UPSCALER = {"use_tiled_vae": False, "tile_size": 512, "tile_cnet_strength": 1.0}
_TILED_UPSCALER = f"scale_method {_SAMPLING} tile_width tile_height"
_STEPS = {"temp_prefix": "", "step_mode": "simple"}
_ADDITIONAL = {"additional_mode": "ratio between", "additional_sampler": "AUTO", "additional_sigma_ratio": 0.3}
_BRIDGE = {"block": False, "restore_mask": "never"}
_POPULATED: dict[str, dict[object, str]] = {"mode": {False: "fixed", True: "populate"}}

VERSIONS: Mapping[str, Versions] = {
    # detailers
    "DetailerForEach": Versions((_BEFORE_MAX_SIZE, _FIRST), _DETAILER | _CLIP, gone=frozenset({"external_seed"})),
    "DetailerForEachDebug": Versions((_BEFORE_MAX_SIZE, _FIRST), _DETAILER | _CLIP, gone=frozenset({"external_seed"})),
    "DetailerForEachPipe": Versions((_BEFORE_MAX_SIZE,), _DETAILER),
    "DetailerForEachDebugPipe": Versions((_BEFORE_MAX_SIZE,), _DETAILER, (_CROPS,)),
    "FaceDetailer": Versions(
        _FACES_BEFORE, _FACES | _CLIP, _FACE_OUTPUTS, {"bbox_model": "bbox_detector"}, choices=_FACE_NEGATIVE
    ),
    "FaceDetailerPipe": Versions(_FACES_BEFORE, _FACES, _FACE_OUTPUTS, choices=_FACE_NEGATIVE),
    "SEGSDetailer": Versions(without={"batch_size": 1, **_CYCLE}),
    "MaskDetailerPipe": Versions(without={**_CYCLE, "bbox_fill": False, "contour_fill": True}),
    "SEGSDetailerForAnimateDiff": Versions(without={"noise_mask_feather": 0}),
    "DetailerForEachPipeForAnimateDiff": Versions(without={"noise_mask_feather": 0}),
    # detectors and masks
    "BboxDetectorSEGS": Versions(without={"drop_size": 1, "labels": "all"}),
    "SegmDetectorSEGS": Versions(without={"drop_size": 1, "labels": "all"}),
    "ONNXDetectorSEGS": Versions(without={"labels": "all"}, renamed={"onnx_detector": "bbox_detector"}),
    "SAMDetectorCombined": Versions(("dilation threshold",), _SAM, choices=_NEGATIVE),
    "SAMDetectorSegmented": Versions(("dilation threshold",), _SAM, choices=_NEGATIVE),
    "ImpactSimpleDetectorSEGS": Versions(without={"post_dilation": 0}),
    "ImpactSimpleDetectorSEGSPipe": Versions(without={"post_dilation": 0}),
    "MaskToSEGS": Versions(without={"bbox_fill": False, "drop_size": 1, "contour_fill": False}),
    "ToBinaryMask": Versions(("",), {"threshold": 1}),
    "SAMLoader": Versions(without={"device_mode": "AUTO"}),
    # SEGS
    "SEGSPreview": Versions(("",), {"alpha_mode": False, "min_alpha": 0.0}),
    "SEGSPaste": Versions(without={"alpha": 255}),
    # pipes
    "ToDetailerPipe": Versions(without=_DETAILER_PIPE),
    "ToDetailerPipeSDXL": Versions(without=_DETAILER_PIPE),
    "BasicPipeToDetailerPipe": Versions(without=_DETAILER_PIPE),
    "BasicPipeToDetailerPipeSDXL": Versions(without=_DETAILER_PIPE),
    "EditDetailerPipe": Versions(without=_DETAILER_PIPE, renamed={"segm_detector_opt": "segm_detector"}),
    "EditDetailerPipeSDXL": Versions(without=_DETAILER_PIPE, renamed={"segm_detector_opt": "segm_detector"}),
    # upscaling
    "PixelKSampleUpscalerProvider": Versions(without=_UPSCALER),
    "PixelKSampleUpscalerProviderPipe": Versions(without=_UPSCALER),
    "PixelTiledKSampleUpscalerProvider": Versions(
        (f"{_TILED_UPSCALER} -INT",), {"tiling_strategy": "random", "tile_cnet_strength": 1.0}
    ),
    "PixelTiledKSampleUpscalerProviderPipe": Versions(
        (f"{_TILED_UPSCALER} -INT",), {"tiling_strategy": "random", "tile_cnet_strength": 1.0}
    ),
    "TwoSamplersForMaskUpscalerProvider": Versions(without=_UPSCALER),
    "TwoSamplersForMaskUpscalerProviderPipe": Versions(without=_UPSCALER),
    "IterativeLatentUpscale": Versions(without=_STEPS, renamed={"step": "steps"}),
    "IterativeImageUpscale": Versions(without=_STEPS, renamed={"step": "steps"}),
    "LatentPixelScale": Versions(without={"use_tiled_vae": False}),
    # sampling
    "KSamplerAdvancedProvider": Versions(
        # while it had a seed, the page lost the widget behind it when it was taken away
        ("-INT -CONTROL cfg sampler_name scheduler", "cfg -CONTROL scheduler"),
        {"sigma_factor": 1.0},
        gone=frozenset({"seed"}),
    ),
    "TwoAdvancedSamplersForMask": Versions(
        ("steps denoise",),
        {"seed": 0, "seed:control": "fixed", "overlap_factor": 0},
        renamed={"latent_image": "samples"},
    ),
    "RegionalSampler": Versions(without=_ADDITIONAL),
    "RegionalSamplerAdvanced": Versions(without=_ADDITIONAL),
    "RegionalPrompt": Versions(
        ("",), {"variation_seed": 0, "variation_strength": 0.0, "variation_method": "linear"}
    ),
    # pictures, texts and switches
    "PreviewBridge": Versions(without=_BRIDGE),
    "PreviewBridgeLatent": Versions(without=_BRIDGE),
    "MaskPainter": Versions(("-ANY image",), gone=frozenset({"mask_image"})),
    "ImageReceiver": Versions(without={"save_to_workflow": False, "image_data": "", "trigger_always": False}),
    "ImpactSwitch": Versions(without={"sel_mode": False}),
    "LatentSwitch": Versions(without={"sel_mode": False}, renamed={f"latent{n}": f"input{n}" for n in range(1, 11)}),
    "SEGSSwitch": Versions(without={"sel_mode": False}, renamed={f"segs{n}": f"input{n}" for n in range(1, 11)}),
    "ImpactInversedSwitch": Versions(without={"sel_mode": False}),
    "ImpactWildcardEncode": Versions(
        without={"Select to add Wildcard": _WILDCARD, "seed": 0, "seed:control": "randomize"}, choices=_POPULATED
    ),
    "ImpactWildcardProcessor": Versions(without={"Select to add Wildcard": _WILDCARD}, choices=_POPULATED),
}  # fmt: skip

NOTHING = Versions()
"""For nodes that are not in the table."""

SUCCESSORS: Mapping[str, tuple[str, ...]] = {
    "BboxDetector": ("BboxDetectorCombined_v2",),
    "BboxDetectorCombined": ("BboxDetectorCombined_v2",),
    "BboxDetectorForEach": ("BboxDetectorSEGS",),
    "LatentSwitch": ("ImpactSwitch",),
    "MMDetDetectorProvider": ("UltralyticsDetectorProvider",),
    "MMDetLoader": ("UltralyticsDetectorProvider",),
    "MaskPainter": ("PreviewBridge",),
    "ONNXDetectorSEGS": ("BboxDetectorSEGS",),
    "SEGSSwitch": ("ImpactSwitch",),
    "SegmDetector": ("SegmDetectorCombined_v2",),
    "SegmDetectorCombined": ("SegmDetectorCombined_v2",),
    "SegmDetectorForEach": ("SegmDetectorSEGS",),
    "Segs & Mask": ("ImpactSegsAndMask",),
    "Segs & Mask ForEach": ("ImpactSegsAndMaskForEach",),
    "SegsMaskCombine": ("SegsToCombinedMask",),
    # other packs' that ComfyUI has itself by now
    "CR Text Concatenate": ("StringConcatenate",),
    "ColorToMask": ("ImageColorToMask",),
    "Display Any (rgthree)": ("PreviewAny",),
    "Display Int (rgthree)": ("PreviewAny",),
    "GetImageSizeAndCount": ("GetImageSize",),
    "Image Comparer (rgthree)": ("ImageCompare",),
    "ImageConcanate": ("ImageStitch",),
    "Integer": ("PrimitiveInt",),
    "MaskPreview+": ("MaskPreview",),
    "ShowText|pysssss": ("PreviewAny",),
    "String Literal": ("PrimitiveStringMultiline",),
    "Text Concatenate": ("StringConcatenate",),
    "Text Multiline": ("PrimitiveStringMultiline",),
    "easy float": ("PrimitiveFloat",),
    "easy int": ("PrimitiveInt",),
    "easy showAnything": ("PreviewAny",),
}
"""What became of nodes that a page may lack: the first of these that it has."""
