"""Saved prompts made ready to run here: what stands in for models, files and the nodes of other packs, and small sizes.

Of a prompt stay all of this pack's nodes, with every value that they have, and all of ComfyUI's own that are there. A
node of another pack hands on what comes in of the kind that is asked of it; where nothing does, a small real value of
that kind stands in. What nothing hangs on still has what leads to it run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import cv2
import folder_paths
import numpy as np
import server
import torch
from comfy.model_patcher import ModelPatcher
from comfy.samplers import CFGGuider
from engine import onnx_cases
from engine.any_node import values_of
from engine.any_sampler import Doubling
from engine.executing import Server
from engine.sam_models import weights_of
from engine.tiny_models import pipe_with, text_encoder, tiny_control_net, unet_pipe
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from support.detectors import Disc, drawn
from support.sam_files import Vit

import nodes as comfyui

Prompt = dict[str, dict[str, Any]]

SIZE = (96, 128)
DISCS = [Disc(40, 36, 15, "red"), Disc(92, 62, 17, "green")]
BOXES = [(25, 21, 55, 51), (75, 45, 109, 79)]
VALUE, END = "StandInValue", "StandInEnd"
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")

# No more of these than so much: what a run costs is not what is looked at. Enough steps to see that it was sampled.
MOST: dict[str, float] = {
    "steps": 2, "width": 128, "height": 128, "batch_size": 2, "guide_size": 128, "max_size": 128, "cycle": 2,
    "upscale_factor": 1.5, "rescale_factor": 1.5, "upscale_by": 1.5, "scale_by": 1.5, "start_at_step": 1,
    "base_only_steps": 1, "length": 4, "video_frames": 4, "amount": 2, "megapixels": 0.02, "left": 32, "top": 32,
    "right": 32, "bottom": 32, "seconds": 1.0, "drop_size": 10,
}  # fmt: skip

LOADERS: dict[str, tuple[str, ...]] = {
    "CheckpointLoader": ("MODEL", "CLIP", "VAE"),
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "unCLIPCheckpointLoader": ("MODEL", "CLIP", "VAE", "CLIP_VISION"),
    "ImageOnlyCheckpointLoader": ("MODEL", "CLIP_VISION", "VAE"),
    "CLIPLoader": ("CLIP",),
    "DualCLIPLoader": ("CLIP",),
    "TripleCLIPLoader": ("CLIP",),
    "UNETLoader": ("MODEL",),
    "VAELoader": ("VAE",),
    "ControlNetLoader": ("CONTROL_NET",),
    "DiffControlNetLoader": ("CONTROL_NET",),
    "UpscaleModelLoader": ("UPSCALE_MODEL",),
    "CLIPVisionLoader": ("CLIP_VISION",),
    "CLIPVisionEncode": ("CLIP_VISION_OUTPUT",),
    "StyleModelLoader": ("STYLE_MODEL",),
    "StyleModelApply": ("CONDITIONING",),
    "unCLIPConditioning": ("CONDITIONING",),
    "SVD_img2vid_Conditioning": ("CONDITIONING", "CONDITIONING", "LATENT"),
    "SV3D_Conditioning": ("CONDITIONING", "CONDITIONING", "LATENT"),
    "CLIPTextEncodeSDXL": ("CONDITIONING",),
    "CLIPTextEncodeSDXLRefiner": ("CONDITIONING",),
}
"""ComfyUI's nodes that need a model's file, or a model of one kind, and what they give."""


class Value:
    """A small real value of a kind."""

    of_kind: ClassVar[dict[str, Any]] = {}
    RETURN_TYPES = ("*",)
    FUNCTION, CATEGORY = "doit", "test"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"kind": ("STRING", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: Any) -> bool:
        return True

    def doit(self, kind: str) -> tuple[Any]:
        return (Value.of_kind[kind],)


class End:
    """Has whatever leads to it run."""

    RETURN_TYPES = ()
    FUNCTION, CATEGORY, OUTPUT_NODE = "doit", "test", True

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {}, "optional": {f"value{number}": ("*", {}) for number in range(64)}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: Any) -> bool:
        return True

    def doit(self, **values: Any) -> tuple[()]:
        return ()


class Listening(Server):
    """What nodes ask of ComfyUI's server."""

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        pass


class Enlarging(Doubling):
    """An UPSCALE_MODEL as ComfyUI's own nodes take it too."""

    def __init__(self) -> None:
        super().__init__()
        self.patcher = ModelPatcher(torch.nn.Identity(), torch.device("cpu"), torch.device("cpu"))


def _loader(kinds: tuple[str, ...]) -> type:
    class Loader:
        RETURN_TYPES = kinds
        FUNCTION, CATEGORY = "doit", "test"

        @classmethod
        def INPUT_TYPES(cls) -> Any:
            return {"required": {}}

        def doit(self, **given: Any) -> tuple[Any, ...]:
            return tuple(Value.of_kind[kind] for kind in kinds)

    return Loader


class Lora:
    """Gives back what came in."""

    RETURN_TYPES = ("MODEL", "CLIP")
    FUNCTION, CATEGORY = "doit", "test"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"model": ("MODEL", {})}, "optional": {"clip": ("CLIP", {})}}

    def doit(self, model: Any, clip: Any = None, **given: Any) -> tuple[Any, Any]:
        return model, clip


@contextmanager
def installed(folder: Path, frames: int = 1) -> Iterator[None]:
    """ComfyUI with this pack, small models and files under ``folder``, and the stand-ins; afterwards as it was.

    Args:
        frames: of all pictures that come from elsewhere. What is on them moves.
    """
    Value.of_kind = _values(folder, frames)
    served: dict[str, Any] = comfyui.NODE_CLASS_MAPPINGS
    folders = folder_paths.folder_names_and_paths
    before = dict(served), dict(folders), folder_paths.models_dir, _user_folders()
    served |= NODE_CLASS_MAPPINGS
    served |= {name: _loader(kinds) for name, kinds in LOADERS.items() if name in served}
    batch = MOST["batch_size"]
    if frames > 1:
        served["LoadImage"] = _loader(("IMAGE", "MASK"))
        MOST["batch_size"] = frames
    served |= {VALUE: Value, END: End, "LoraLoader": Lora, "LoraLoaderModelOnly": Lora}
    files = _write_files(folder)
    for kind, path in files.items():
        folders[kind] = ([str(path)], {".onnx", ".pth"})
    folder_paths.filename_list_cache.clear()
    for name in ("input", "output", "temp"):
        (folder / name).mkdir(exist_ok=True)
    _set_user_folders([str(folder / name) for name in ("input", "output", "temp")])
    server.PromptServer.instance = Listening()  # type: ignore[assignment]
    try:
        yield
    finally:
        MOST["batch_size"] = batch
        del server.PromptServer.instance
        for table, was in zip((served, folders), before[:2], strict=True):
            table.clear()
            table.update(was)
        _set_user_folders(before[3])
        folder_paths.filename_list_cache.clear()


def _user_folders() -> list[str]:
    return [folder_paths.input_directory, folder_paths.output_directory, folder_paths.temp_directory]


def _set_user_folders(paths: list[str]) -> None:
    folder_paths.input_directory, folder_paths.output_directory, folder_paths.temp_directory = paths


def _values(folder: Path, frames: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    clip, control_net = text_encoder(), tiny_control_net(folder)
    pipe = pipe_with(unet_pipe(), clip=clip)
    height, width = SIZE
    moved = [[disc._replace(x=disc.x + frame) for disc in DISCS] for frame in range(frames)]
    pictures, covers = zip(*(drawn(height, width, discs) for discs in moved), strict=True)
    picture = torch.cat(pictures)
    segs = [seg._replace(cropped_image=None) for seg in values_of(pipe, control_net)["SEGS"][1]]
    mask = (torch.stack(covers).amax(dim=1) > 0.5).float()
    return values_of(pipe, control_net) | {
        "IMAGE": picture, "MASK": mask, "MASK,MASKS": mask, "SEGS": (SIZE, segs), "CLIP": clip,
        "CLIP_VISION": None, "CLIP_VISION_OUTPUT": None, "STYLE_MODEL": None, "GUIDER": _guider(pipe),
        "LATENT": {"samples": torch.zeros(frames, 4, height // 8, width // 8)}, "UPSCALE_MODEL": Enlarging(),
    }  # fmt: skip


def _guider(pipe: Any) -> Any:
    model, _, _, positive, negative = pipe
    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    return guider


def _write_files(folder: Path) -> dict[str, Path]:
    """Detectors that find ``BOXES`` in any picture of that shape, a small SAM, a picture that is see-through there."""
    rows = np.zeros((1, 10, 7), np.float32)
    for place, box in enumerate(BOXES):
        rows[0, place] = [*(side / 2 for side in box), 0.97, 0, 1]
    rows[..., 1:4:2] += (SIZE[1] - SIZE[0]) / 4 * (rows[..., 4:5] > 0)
    made = {name: folder / name for name in ("bbox", "segm", "onnx", "sams", "clipseg", "classifiers", "input")}
    for path in made.values():
        path.mkdir(exist_ok=True)
    said = {"task": "segment", "names": "{0: 'face'}"}
    for name in ("bbox", "segm", "onnx"):
        data = onnx_cases.yolo(rows, prototypes=np.ones((1, 1, 16, 16)), **said)
        (made[name] / "face.onnx").write_bytes(data)
    torch.save(weights_of(Vit()).own, made["sams"] / "small.pth")
    picture, covers = drawn(*SIZE, DISCS)
    layers = np.concatenate([picture[0].numpy()[..., ::-1], 1 - covers.amax(dim=0)[..., None].numpy()], axis=-1)
    cv2.imwrite(str(made["input"] / "picture.png"), (layers * 255).round().astype(np.uint8))
    return {
        "ultralytics_bbox": made["bbox"], "ultralytics_segm": made["segm"], "onnx": made["onnx"], "sams": made["sams"],
        "clipseg": made["clipseg"], "classifiers": made["classifiers"],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ making ready


@dataclass
class Ready:
    """A prompt that can be run, and what was done to it.

    Attributes:
        foreign: types of other packs' nodes, which something stands in for.
        lacking: what of a node the file itself leaves unconnected.
    """

    prompt: Prompt
    foreign: set[str] = field(default_factory=set)
    lacking: list[str] = field(default_factory=list)


def ready(saved: Prompt) -> Ready:
    """Make a prompt ready; what the page knows of outputs stands under ``outputs`` of its nodes."""
    made = Ready(copy.deepcopy(saved))
    names = comfyui.NODE_CLASS_MAPPINGS
    made.foreign = {step["class_type"] for step in saved.values() if step["class_type"] not in names}
    linked = {str(link[0]) for step in saved.values() for link in step["inputs"].values() if _is_link(link)}
    for number, step in saved.items():
        if step["class_type"] in names:
            made.prompt[number]["inputs"] = _inputs(saved, number, made)
        elif number in linked:
            del made.prompt[number]
        else:
            sources = [_followed(saved, link, None) for link in step["inputs"].values() if _is_link(link)]
            found = {f"value{place}": link for place, link in enumerate(filter(None, sources))}
            made.prompt[number] = {"class_type": END, "inputs": found}
    return made


def declared(kind: str) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """A node's inputs by name: kind and facts."""
    types = comfyui.NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()
    found = {}
    for group in ("required", "optional"):
        for name, said in types.get(group, {}).items():
            found[name] = (said[0], said[1] if len(said) > 1 else {})
    return found


def _inputs(saved: Prompt, number: str, made: Ready) -> dict[str, Any]:
    kind, given = saved[number]["class_type"], saved[number]["inputs"]
    known, inputs = declared(kind), {}
    needed = comfyui.NODE_CLASS_MAPPINGS[kind].INPUT_TYPES().get("required", {})
    for name, value in given.items():
        wanted, facts = known.get(name, ("*", {}))
        if _is_link(value):
            inputs[name] = _source(saved, value, name, (wanted, facts), made)
        else:
            inputs[name] = _small(name, _usable(kind, wanted, facts, value))
    for name in needed:
        if name not in inputs and _is_widget(known[name]):
            if kind not in NODE_CLASS_MAPPINGS:  # what came later into ComfyUI's own is its affair
                inputs[name] = _small(name, _default(*known[name]))
        elif name not in inputs:
            made.lacking.append(f"{kind}.{name}")
    return inputs


def _source(saved: Prompt, link: list[Any], name: str, said: tuple[Any, Mapping[str, Any]], made: Ready) -> Any:
    """Where an input's value comes from; what stands in for it where it comes from a node that isn't there."""
    wanted, facts = said
    origin = saved.get(str(link[0]))
    if origin is not None and origin["class_type"] in comfyui.NODE_CLASS_MAPPINGS:
        return link
    told = None if origin is None else next(iter(origin.get("outputs", [])[link[1] : link[1] + 1]), None)
    kind = told if wanted == "*" and isinstance(told, str) else wanted
    found = _followed(saved, link, kind) if origin else None
    if found is not None:
        return found
    if _is_widget((kind, facts)):
        return _small(name, _default(kind, facts))
    kind = "IMAGE" if kind not in Value.of_kind else kind
    made.prompt[f"{VALUE} {kind}"] = {"class_type": VALUE, "inputs": {"kind": kind}}
    return [f"{VALUE} {kind}", 0]


def _followed(saved: Prompt, link: list[Any], kind: Any, been: set[str] | None = None) -> list[Any] | None:
    """The first value of a kind, or of any where it is None, that leads to a node that isn't there."""
    been = set() if been is None else been
    step = saved.get(str(link[0]))
    if step is None or str(link[0]) in been:
        return None
    node = comfyui.NODE_CLASS_MAPPINGS.get(step["class_type"])
    if node is not None:
        kinds = list(node.RETURN_TYPES)
        fits = kind is None or (link[1] < len(kinds) and str(kinds[link[1]]) in (*str(kind).split(","), "*"))
        return link if fits else None
    been.add(str(link[0]))
    inner = (_followed(saved, one, kind, been) for one in step["inputs"].values() if _is_link(one))
    return next(filter(None, inner), None)


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and not isinstance(value[0], list)


def _is_widget(said: tuple[Any, Mapping[str, Any]]) -> bool:
    return isinstance(said[0], list) or said[0] in WIDGETS


def _default(kind: Any, facts: Mapping[str, Any]) -> Any:
    choices = kind if isinstance(kind, list) else facts.get("options")
    if isinstance(choices, list):
        return facts.get("default", choices[0] if choices else "")
    return facts.get("default", {"STRING": "", "BOOLEAN": False}.get(kind, facts.get("min", 0)))


def _usable(node: str, kind: Any, facts: Mapping[str, Any], value: Any) -> Any:
    """A choice that is not there becomes one that is: files, and what only others have. Of ComfyUI's own nodes any
    value that can't be one becomes the usual one.
    """
    choices = kind if isinstance(kind, list) else facts.get("options") if kind == "COMBO" else None
    if isinstance(choices, list):
        return value if value in choices or not isinstance(value, str) else _default(kind, facts)
    if node in NODE_CLASS_MAPPINGS or kind not in ("INT", "FLOAT"):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return _default(kind, facts)
    return value if facts.get("min", number) <= number <= facts.get("max", number) else _default(kind, facts)


def _small(name: str, value: Any) -> Any:
    if name in MOST and isinstance(value, int | float) and not isinstance(value, bool):
        return min(value, MOST[name])
    return value
