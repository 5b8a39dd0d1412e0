"""What the runs are made of: pipes around tiny real models, pictures, masks, segments, hooks and files."""

from __future__ import annotations

import atexit
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine.tiny_models import (
    CONTEXT_WIDTH,
    Conditioning,
    Pipe,
    flow_pipe,
    lossless_vae,
    mask_of,
    picture,
    pipe_with,
    text_encoder,
    tiny_control_net,
    unet_pipe,
)
from mask_detailer.nodes import NODE_CLASS_MAPPINGS

SIZE = (96, 112)
UPPER, LOWER, MIDDLE = (16, 16, 32, 32), (80, 56, 96, 72), (46, 36, 62, 50)
WIDE = (72, 136)
EIGHT = [(x, y, x + 12, y + 12) for y in (12, 48) for x in (12, 44, 76, 108)]
ODD = (131, 149)
PLACEHOLDER = "NegativePlaceholder"

Runs = dict[str, Callable[[], Any]]
"""Each gives any nested values."""

SMALL: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, mask_mode=True, noise_mask=True, force_inpaint=True, seed=7,
    steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=0.5, feather=4, crop_factor=2.0, drop_size=2,
    refiner_ratio=0.2, batch_size=1, cycle=1, noise_mask_feather=0, wildcard="", bbox_dilation=0, bbox_crop_factor=2.0,
    sam_dilation=0,
)  # fmt: skip
"""Widgets for crops of about a hundred pixels, for every node that has them."""


def node(node_id: str, **given: Any) -> Any:
    """What a node gives: with these inputs, else the small widgets, else, for what it can't do without, its defaults.

    What is optional and not given is not sent, as from a workflow that was saved before there was such an input.
    """
    kind = NODE_CLASS_MAPPINGS[node_id]
    types: Mapping[str, Any] = kind.INPUT_TYPES()
    inputs: dict[str, Any] = {}
    for name, (what, *more) in types.get("required", {}).items():
        if name in SMALL:
            inputs[name] = SMALL[name]
        elif more and "default" in more[0]:
            inputs[name] = more[0]["default"]
        elif isinstance(what, list):
            inputs[name] = what[0]
    inputs |= {name: SMALL[name] for name in types.get("optional", {}) if name in SMALL}
    return getattr(kind(), kind.FUNCTION)(**(inputs | given))


def options(**widgets: Any) -> Any:
    """The output of Detailer Options."""
    return node("MaskDetailerOptions", **widgets)[0]


def parts(pipe: Any) -> dict[str, Any]:
    """A BASIC_PIPE as the inputs of a node that has none."""
    return dict(zip(("model", "clip", "vae", "positive", "negative"), pipe, strict=True))


# --- pipes --------------------------------------------------------------------------------------------------------


@functools.cache
def unet(seed: int = 0, in_channels: int = 4) -> Pipe:
    return unet_pipe(seed, in_channels)


@functools.cache
def flow() -> Pipe:
    """Its result depends on the noise alone."""
    return flow_pipe()


@functools.cache
def lossless() -> Pipe:
    """The same on a codec that loses nothing."""
    return flow_pipe(lossless_vae().latent_channels, lossless_vae())


@functools.cache
def encoder() -> Any:
    return text_encoder()


def with_text() -> Any:
    return pipe_with(unet(), clip=encoder())


@contextmanager
def asked(pipe: Any) -> Iterator[list[Any]]:
    """What the pipe's model is asked meanwhile: the time and size of each batch.

    By a hook of PyTorch's on the network itself, since a patch on the model is a reason for other ways of sampling.
    """
    calls: list[Any] = []

    def note(_network: Any, given: Any) -> None:
        calls.append([float(given[1].flatten()[0]), *given[0].shape])

    handle = pipe[0].model.diffusion_model.register_forward_pre_hook(note)
    try:
        yield calls
    finally:
        handle.remove()


def prompt(seed: int, **more: Any) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, 8, CONTEXT_WIDTH, generator=generator), more]]


# --- files --------------------------------------------------------------------------------------------------------


@functools.cache
def folder() -> Path:
    """A folder of our own, that goes with the process: LoRAs and lists of words."""
    made = tempfile.TemporaryDirectory(prefix="recording-")
    atexit.register(made.cleanup)
    path = Path(made.name)
    (path / "loras").mkdir()
    (path / "wildcards").mkdir()
    (path / "wildcards" / "hats.txt").write_text("red hat\nblue cap\n# no hat\ngreen beret\n")
    (path / "wildcards" / "more.yaml").write_text("clothes:\n  hats: [bowler, 3::top hat]\n  shoes: [boot]\n")
    with torch.inference_mode(False):
        _write_lora(path / "loras" / "style.safetensors", 1)
        _write_lora(path / "loras" / "other.safetensors", 2)
    return path


@contextmanager
def files_at_hand() -> Iterator[None]:
    """ComfyUI sees our LoRAs and lists of words meanwhile, and no others."""
    import folder_paths

    places, cache = folder_paths.folder_names_and_paths, folder_paths.filename_list_cache
    kinds = {"loras": ".safetensors", "wildcards": ".txt"}
    before = {kind: places.get(kind) for kind in kinds}
    for kind, extension in kinds.items():
        places[kind] = ([str(folder() / kind)], {extension})
        cache.pop(kind, None)
    try:
        yield
    finally:
        for kind, place in before.items():
            if place is None:
                places.pop(kind)
            else:
                places[kind] = place
            cache.pop(kind, None)


def _write_lora(path: Path, seed: int) -> None:
    """Of rank 2, for one layer of the tiny UNet and one of the tiny text encoder."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for layer, outputs in (
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_v", CONTEXT_WIDTH),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", 2 * CONTEXT_WIDTH),
    ):
        weights[f"{layer}.lora_down.weight"] = torch.randn(2, CONTEXT_WIDTH, generator=generator)
        weights[f"{layer}.lora_up.weight"] = torch.randn(outputs, 2, generator=generator)
        weights[f"{layer}.alpha"] = torch.tensor(2.0)
    save_file(weights, path)


@functools.cache
def control_net(seed: int = 1) -> Any:
    with torch.inference_mode(False):
        return tiny_control_net(folder(), seed)


# --- pictures and masks -------------------------------------------------------------------------------------------


def textured(height: int, width: int) -> torch.Tensor:
    """Waves and grain of a few pixels, that drift and detail can be measured on."""
    noise = torch.randn(1, 3, height + 4, width + 4, generator=torch.Generator().manual_seed(2))
    grain = torch.nn.functional.avg_pool2d(noise, 5, 1).movedim(1, -1)
    return (0.9 * picture(height, width, 4) + 0.15 * grain).clamp(0.05, 0.9)


def frames(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.cat([picture(*size, seed) for seed in range(count)])


def awkward() -> torch.Tensor:
    """Parts at all corners and borders, slivers, one with a hole, one soft all over; of the odd size."""
    height, width = ODD
    mask = mask_of(
        *ODD, (0, 0, 17, 13), (width - 14, 0, width, 19), (0, height - 15, 21, height),
        (width - 13, height - 11, width, height), (60, 0, 85, 9), (0, 50, 7, 75), (width - 3, 40, width, 80),
        (55, height - 3, 96, height), (30, 30, 61, 33), (30, 44, 33, 79), (80, 30, 111, 61),
    )  # fmt: skip
    mask[0, 40:50, 90:100] = 0.0
    return torch.maximum(mask, soft(*ODD, 93, 70, 22))


def soft(height: int, width: int, y: int, x: int, radius: float) -> torch.Tensor:
    """A disc that fades from its middle on."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (1 - ((rows - y).square() + (columns - x).square()).sqrt() / radius).clamp(0, 1)[None]


# --- segments -----------------------------------------------------------------------------------------------------


def segs(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE, labels: str = "", factor: float = 2.0) -> Any:
    """SEGS of boxes, lowest first, with letters as labels."""
    header, made = node(
        "MaskToSEGS", mask=mask_of(*size, *boxes), combined=False, crop_factor=factor, bbox_fill=False, drop_size=2,
        contour_fill=False,
    )[0]  # fmt: skip
    return header, [seg._replace(label=label) for seg, label in zip(made, labels or "A" * len(made), strict=True)]


def changed(given: Any, **fields: Any) -> Any:
    """SEGS whose elements have other fields."""
    return given[0], [seg._replace(**fields) for seg in given[1]]


def with_images(given: Any, image: torch.Tensor, scale: float = 1.0) -> Any:
    """SEGS whose elements carry their part of a picture, nearest-neighbour scaled: hard edges stay hard."""
    elements = []
    for seg in given[1]:
        x1, y1, x2, y2 = seg.crop_region
        own = image[:, y1:y2, x1:x2]
        if scale != 1.0:
            size = int((y2 - y1) * scale), int((x2 - x1) * scale)
            own = torch.nn.functional.interpolate(own.movedim(-1, 1), size).movedim(1, -1)
        elements.append(seg._replace(cropped_image=np.ascontiguousarray(own.numpy())))
    return given[0], elements


def controlled(given: Any, **more: Any) -> Any:
    """SEGS with a ControlNet on each."""
    widgets = dict(control_net=control_net(), strength=0.8, start_percent=0.0, end_percent=1.0)
    return node("ImpactControlNetApplyAdvancedSEGS", segs=given, **(widgets | more))[0]


class Edges:
    """A SEGS_PREPROCESSOR."""

    def apply(self, image: torch.Tensor, mask: Any = None) -> torch.Tensor:
        return (image - image.roll(1, 2)).abs().clamp(0, 1)


# --- hooks --------------------------------------------------------------------------------------------------------


class Watching:
    """A hook with every method; it changes nothing and notes what it saw, tensors by their sum."""

    def __init__(self) -> None:
        self.saw: list[Any] = []

    def _note(self, name: str, *seen: Any) -> None:
        self.saw.append([name, *map(_in_short, seen)])

    def set_steps(self, info: Any) -> None:
        self._note("set_steps", info)

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        self._note("post_crop_region", w, h, [*map(float, item_bbox)], [*map(int, crop_region)])
        return crop_region

    def post_detection(self, segs: Any) -> Any:
        self._note("post_detection", len(segs[1]))
        return segs

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        self._note("touch_scaled_size", w, h)
        return w, h

    def post_upscale(self, pixels: Any, mask: Any = None) -> Any:
        self._note("post_upscale", pixels, mask)
        return pixels

    def post_encode(self, latent: Any) -> Any:
        self._note("post_encode", latent)
        return latent

    def cycle_latent(self, latent: Any) -> Any:
        self._note("cycle_latent", latent)
        return latent

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        self._note("pre_ksample", *call[1:6], call[8], call[9])
        return call

    def get_skip_sampling(self) -> bool:
        self._note("get_skip_sampling")
        return False

    def get_custom_sampler(self) -> Any:
        self._note("get_custom_sampler")

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        self._note("get_custom_noise", seed, noise, is_touched)
        return noise, is_touched

    def pre_decode(self, latent: Any) -> Any:
        self._note("pre_decode", latent)
        return latent

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        self._note("post_decode", pixels)
        return pixels

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        self._note("post_paste", image)
        return image


def _in_short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_short(value[key]) for key in sorted(value)}
    return value.clone() if isinstance(value, torch.Tensor) else value


class Sized:
    """A hook that asks for another size."""

    def touch_scaled_size(self, w: int, h: int) -> tuple[float, int]:
        return w * 0.75 + 3, h


class Picky:
    """A hook that is content with the third attempt, and one that darkens."""

    def __init__(self, good: int) -> None:
        self.good, self.asked = good, 0

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        self.asked += 1
        return self.asked < self.good

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels * 0.9


class Skipping:
    """A hook that has nothing sampled, and turns pictures instead."""

    def get_skip_sampling(self) -> bool:
        return True

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flip(2)


class Ringing:
    """A hook whose pictures go far beyond 0..1."""

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels * 1.6 - 0.3
