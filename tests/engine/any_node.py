"""Any node of the pack, by what it declares: values for its inputs, a run as ComfyUI's, checks of what comes out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from engine import tiny_detectors
from engine.any_sampler import samplers_of
from engine.running import Recorder, same
from engine.tiny_models import Pipe, mask_of
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG, SEGS
from mask_detailer.detailer import host
from mask_detailer.detailer.hooks.builtin import DetailerHook
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.nodes.validate import InputError
from support import ip_adapter
from support.detectors import BoxDetector, Disc, FloodSam, FoundSEG, OutlineDetector, SamModel, drawn

SIZE = (64, 80)
DISCS = [Disc(24, 24, 9, "red"), Disc(60, 40, 10, "green")]
BOXES = [(15, 15, 33, 33), (50, 30, 70, 50)]
DEAD = {"MMDetLoader", "MMDetDetectorProvider"}  # they only say what to use instead
NODES = sorted(set(NODE_CLASS_MAPPINGS) - DEAD)

# Sampling enough to see that it was done; all other widgets have their defaults.
QUICK: dict[str, Any] = dict(
    guide_size=64.0, max_size=64.0, steps=2, feather=2, noise_mask_feather=2, bbox_size=64, seconds=0.0
) | dict(rescale_factor=1.0)

# Outputs of another form than their kind's, by node and place.
MASKS_ONE_BY_ONE = {("SAMDetectorSegmented", 1)}  # [n,1,H,W], which the pack's own nodes and others take apart
MAY_BE_NONE = {("ImpactFrom_SEG_ELT", "IMAGE"), ("ImageMaskSwitch", "MASK")}  # a segment without a picture, no mask

INSTEAD = {("MaskDetailerAllOutputs", "mask")}  # links that stand for others
INSTEAD |= {(node, name) for node in ("FaceDetailer", "FaceDetailerPipe") for name in ("mask", "segs")}

Values = dict[str, Any]


class Declared(NamedTuple):
    """One input as a node declares it."""

    name: str
    kind: Any
    options: dict[str, Any]
    required: bool


class Preprocessor:
    """A SEGS_PREPROCESSOR that hands its picture on."""

    def apply(self, image: torch.Tensor, mask: Any = None) -> torch.Tensor:
        return image


def evenly_falling(model: Any, sampler_name: str, steps: int) -> torch.Tensor:
    """A SCHEDULER_FUNC."""
    return torch.linspace(10.0, 0.0, steps + 1)


def by_brightness(picture: Any) -> list[dict[str, Any]]:
    """A TRANSFORMERS_CLASSIFIER: sure of one label for bright pictures and of the other for dark ones."""
    bright = float(np.asarray(picture).mean()) / 255
    return sorted(({"label": "Female", "score": bright}, {"label": "Male", "score": 1 - bright}), key=_falling)


def _falling(one: dict[str, Any]) -> float:
    return -one["score"]


# ------------------------------------------------------------------------------------------------ what goes in


def segs_in(size: tuple[int, int]) -> SEGS:
    """Two segments of that picture size: one of ours with a picture of its own, one as another pack makes it."""
    height, width = size
    one = [BOXES[0][i] * (width, height)[i % 2] // (SIZE[1], SIZE[0])[i % 2] for i in range(4)]
    two = [BOXES[1][i] * (width, height)[i % 2] // (SIZE[1], SIZE[0])[i % 2] for i in range(4)]
    shapes = [(box[3] - box[1], box[2] - box[0]) for box in (one, two)]
    picture = torch.rand(1, *shapes[0], 3, generator=torch.Generator().manual_seed(3))
    ours = SEG(picture, np.full(shapes[0], 0.75, np.float32), 0.9, one, tuple(one), "A")
    theirs = FoundSEG(None, torch.ones(1, *shapes[1]), np.array([0.5]), two, np.array(two, np.float32), "b", None)
    return size, [ours, theirs]


def values_of(unet: Pipe, control_net: Any) -> Values:
    """A small real value for each kind of link."""
    segs = segs_in(SIZE)
    detectors = BoxDetector(), OutlineDetector(), SamModel(FloodSam())
    model, clip, vae, positive, negative = unet
    generator = torch.Generator().manual_seed(1)
    sampling = samplers_of(unet, mask_of(*SIZE, BOXES[0]))
    return (
        core_models()
        | sampling
        | {
            "IMAGE": drawn(*SIZE, DISCS)[0],
            "MASK": mask_of(*SIZE, *BOXES) * 0.8,
            "MASK,MASKS": mask_of(*SIZE, *BOXES) * 0.8,
            "SEGS": segs,
            "SEG_ELT": segs[1][0],
            "SEGS_HEADER": segs[0],
            "SEG_ELT_bbox": BOXES[0],
            "SEG_ELT_crop_region": list(BOXES[0]),
            "SEG_ELT_control_net_wrapper": object(),
            "MODEL": model,
            "CLIP": clip,
            "VAE": vae,
            "CONDITIONING": positive,
            "BASIC_PIPE": unet,
            "DETAILER_PIPE": (*unet, "", *detectors, Recorder(), model, clip, positive, negative),
            "BBOX_DETECTOR": detectors[0],
            "SEGM_DETECTOR": detectors[1],
            "BBOX_MODEL": detectors[0],
            "SEGM_MODEL": detectors[1],
            "SAM_MODEL": detectors[2],
            "DETAILER_HOOK": Recorder(),
            "DETAIL_OPTIONS": DetailOptions(),
            "SCHEDULER_FUNC": evenly_falling,
            "LATENT": {
                "samples": torch.randn(1, 4, 8, 10, generator=generator),
                "noise_mask": torch.rand(1, *SIZE, generator=generator),
            },
            "BOUNDING_BOX": [
                [{"x": 15, "y": 15, "width": 18, "height": 18}, {"x": 50, "y": 30, "width": 20, "height": 20}]
            ],
            "CONTROL_NET": control_net,
            "SEGS_PREPROCESSOR": Preprocessor(),
            "TRANSFORMERS_CLASSIFIER": by_brightness,
            "IPADAPTER_PIPE": ip_adapter.pipe(model),
            "SAM3_TRACK_DATA": {
                "packed_masks": torch.full((1, 2, 8, 2), 24, dtype=torch.uint8),
                "orig_size": SIZE,
                "n_frames": 1,
            },
            "FLOAT": 0.5,
            "INT": 3,
            "STRING": "A",
            "BOOLEAN": True,
            "*": 3,
            "AnyPipeToBasic.any_pipe": (*unet, ""),
            "ImpactWildcardEncode.clip": tiny_detectors.TinyClip(),
        }
    )


def core_models() -> Values:
    """ComfyUI's own detection models, where it has them; those of the kind MODEL for the one input that takes them."""
    if not host.detection.has_rtdetr():
        return {}
    return {
        "MaskDetailerRTDETRProvider.model": tiny_detectors.rtdetr(),
        "MaskDetailerSAM3Provider.model": tiny_detectors.sam3(),
        "FACE_DETECTION_MODEL": tiny_detectors.face_model(),
    }


WIDGETS = ("INT", "FLOAT", "BOOLEAN", "STRING")


def declared(node_id: str) -> list[Declared]:
    types = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    return [
        Declared(name, kind, dict(*options), group == "required")
        for group in ("required", "optional")
        for name, (kind, *options) in types.get(group, {}).items()
    ]


def is_link(one: Declared) -> bool:
    return not isinstance(one.kind, list) and (one.kind not in WIDGETS or one.options.get("forceInput", False))


def widget(one: Declared) -> Any:
    """A widget as it stands on a new node."""
    if isinstance(one.kind, list):
        return one.options.get("default", one.kind[0] if one.kind else "")
    return one.options.get("default", "" if one.kind == "STRING" else None)


def arguments(node_id: str, values: Values, optional: bool) -> Values:
    """What goes into a node: its links, its widgets, and what is hidden."""
    takes_lists = getattr(NODE_CLASS_MAPPINGS[node_id], "INPUT_IS_LIST", False)
    made: Values = {}
    for one in declared(node_id):
        if not (one.required or optional) or (node_id, one.name) in INSTEAD:
            continue
        if is_link(one):
            value = values.get(f"{node_id}.{one.name}", values.get(one.kind))
            assert value is not None, f"no value for {one.kind}"
            made[one.name] = [value] if takes_lists else value
        elif (value := QUICK[one.name] if one.name in QUICK else widget(one)) is not None:
            made[one.name] = value
    hidden = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES().get("hidden", {})
    return made | {name: "7" for name in hidden}


def with_link(node_id: str, kind: str) -> bool:
    return any(one.kind == kind for one in declared(node_id))


def replaced(node_id: str, given: Values, name: str, value: Any) -> Values:
    """The arguments with another value for one of them; what it stands for is left out."""
    given = {key: kept for key, kept in given.items() if (node_id, name) not in INSTEAD or key != "segs"}
    return given | {name: [value] if getattr(NODE_CLASS_MAPPINGS[node_id], "INPUT_IS_LIST", False) else value}


# ------------------------------------------------------------------------------------------------ running


def run(node_id: str, given: Values) -> list[list[Any]]:
    """A node through ComfyUI's own call: for each output the values that go on, one where it is no list."""
    import execution

    node = NODE_CLASS_MAPPINGS[node_id]()
    takes_lists = getattr(node, "INPUT_IS_LIST", False)
    lists = {name: value if takes_lists and isinstance(value, list) else [value] for name, value in given.items()}
    outputs, _, has_subgraph, pending = asyncio.run(execution.get_output_data("prompt", "7", node, lists))
    assert not has_subgraph and not pending
    return outputs


def copied(value: Any) -> Any:
    """Nested values with copies of all tensors and arrays."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: copied(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        entries = [copied(entry) for entry in value]
        return entries if isinstance(value, list) else tuple(entries)
    return value


def comparable(value: Any) -> Any:
    """Nested values in which what is not a number equals itself."""
    if isinstance(value, torch.Tensor) and (value.is_meta or value.is_sparse):
        return None  # torch can't compare them
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.nan_to_num(-12345.0)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.nan_to_num(value, nan=-12345.0)
    if isinstance(value, float) and value != value:
        return -12345.0
    if isinstance(value, dict):
        return {key: comparable(entry) for key, entry in value.items()}
    return [comparable(entry) for entry in value] if isinstance(value, tuple | list) else value


def run_checked(node_id: str, given: Values) -> list[list[Any]]:
    """``run``, and the outputs' kinds and the inputs' values looked at."""
    before = copied(given)
    outputs = run(node_id, given)
    assert same(comparable(given), comparable(before)), "an input was written to"
    kinds = NODE_CLASS_MAPPINGS[node_id]().RETURN_TYPES
    are_lists = getattr(NODE_CLASS_MAPPINGS[node_id], "OUTPUT_IS_LIST", (False,) * len(kinds))
    names = getattr(NODE_CLASS_MAPPINGS[node_id], "RETURN_NAMES", kinds)
    assert len(outputs) == len(kinds) == len(are_lists) == len(names)
    handed_on = {one.name for one in declared(node_id) if given.get(one.name) is None}
    for place, (kind, is_list, name, made) in enumerate(zip(kinds, are_lists, names, outputs, strict=True)):
        assert isinstance(made, list) and (is_list or len(made) == 1)
        for value in made:
            if value is None and ((node_id, kind) in MAY_BE_NONE or name in handed_on):
                continue
            if (node_id, place) in MASKS_ONE_BY_ONE:
                assert value.ndim == 4 and value.shape[1] == 1
                value = value[:, 0]
            if node_id != "ImpactEdit_SEG_ELT":  # it puts together what it is given, fitting or not
                check(kind, value)
    return outputs


def run_or_refused(node_id: str, given: Values) -> list[list[Any]] | None:
    """``run_checked``, or None where the node refuses an input by name."""
    before = copied(given)
    try:
        return run_checked(node_id, given)
    except InputError as error:
        assert same(comparable(given), comparable(before)), "an input was written to"
        found = re.match(r"([\w &]+), input '(.+?)': (?s:.+)\. ?[A-Z]", str(error))
        assert found, error
        assert found[1] == node_id and found[2] in given, error
        return None


# ------------------------------------------------------------------------------------------------ what comes out


def check_image(value: Any) -> None:
    assert isinstance(value, torch.Tensor) and value.dtype == torch.float32
    assert value.ndim == 4 and value.shape[-1] in (1, 3, 4)


def check_mask(value: Any) -> None:
    assert isinstance(value, torch.Tensor) and value.dtype == torch.float32
    assert value.ndim == 3


def check_seg(seg: Any) -> None:
    x1, y1, x2, y2 = (int(side) for side in seg.crop_region)
    assert [x1, y1, x2, y2] == list(seg.crop_region)
    assert len(seg.bbox) == 4
    mask = seg.cropped_mask
    assert isinstance(mask, np.ndarray | torch.Tensor) and mask.ndim in (2, 3)
    assert tuple(mask.shape[-2:]) == (y2 - y1, x2 - x1)
    assert seg.cropped_image is None or seg.cropped_image.ndim == 4
    assert float(np.asarray(seg.confidence).reshape(-1)[0]) >= 0
    assert seg.label is None or isinstance(seg.label, str)
    assert hasattr(seg, "control_net_wrapper")


def check_segs(value: Any) -> None:
    assert isinstance(value, tuple) and len(value) == 2
    height, width = value[0]
    assert isinstance(height, int) and isinstance(width, int) and isinstance(value[1], list)
    for seg in value[1]:
        check_seg(seg)


def check_pipe(parts: int) -> Callable[[Any], None]:
    def check_parts(value: Any) -> None:
        assert type(value) is tuple and len(value) == parts

    return check_parts


def check_conditioning(value: Any) -> None:
    assert value == "NegativePlaceholder" or all(isinstance(entry[0], torch.Tensor) for entry in value)


def check_latent(value: Any) -> None:
    assert isinstance(value["samples"], torch.Tensor) and value["samples"].ndim == 4


def is_a(*types: type) -> Callable[[Any], None]:
    def check_type(value: Any) -> None:
        assert isinstance(value, types)

    return check_type


def with_method(name: str) -> Callable[[Any], None]:
    def check_method(value: Any) -> None:
        assert callable(getattr(value, name, None))

    return check_method


CHECKS: dict[str, Callable[[Any], None]] = {
    "IMAGE": check_image,
    "MASK": check_mask,
    "SEGS": check_segs,
    "SEG_ELT": check_seg,
    "SEGS_HEADER": check_pipe(2),
    "SEG_ELT_bbox": lambda box: check_pipe(4)(tuple(box)),
    "SEG_ELT_crop_region": lambda box: check_pipe(4)(tuple(box)),
    "SEG_ELT_control_net_wrapper": lambda wrapper: None,
    "BASIC_PIPE": check_pipe(5),
    "DETAILER_PIPE": check_pipe(14),
    "CONDITIONING": check_conditioning,
    "LATENT": check_latent,
    "INT": is_a(int),
    "FLOAT": is_a(float),
    "BOOLEAN": is_a(bool),
    "STRING": is_a(str),
    "MODEL": with_method("get_model_object"),
    "CLIP": lambda clip: None,
    "VAE": with_method("decode"),
    "BBOX_DETECTOR": with_method("detect"),
    "SEGM_DETECTOR": with_method("detect"),
    "SAM_MODEL": lambda model: with_method("predict")(model.sam_wrapper),
    "BOUNDING_BOX": is_a(dict, list),
    "DETAILER_HOOK": is_a(DetailerHook, Recorder),
    "DETAIL_OPTIONS": is_a(DetailOptions),
    "LAYERS": lambda document: [check_image(layer["image"]) for layer in document["layers"]],
    "UPSCALER_HOOK": with_method("post_paste"),
    "SCHEDULER_FUNC": is_a(type(evenly_falling)),
    "TRANSFORMERS_CLASSIFIER": with_method("__call__"),
    "PK_HOOK": is_a(DetailerHook, Recorder),
    "KSAMPLER": with_method("sample"),
    "KSAMPLER_ADVANCED": with_method("sample_advanced"),
    "UPSCALER": with_method("upscale_shape"),
    "REGIONAL_PROMPTS": is_a(list),
    "*": lambda anything: None,
}


def check(kind: Any, value: Any) -> None:
    if isinstance(kind, list):
        assert value in kind
    else:
        CHECKS[kind](value)
