"""All that goes into a run, and changes of single things of it: which the segment memory must see, and which not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from engine.remembering import (
    PARTS,
    SIZE,
    detail,
    parts_of,
)
from engine.tiny_models import (
    box_vae,
    conditioning,
    picture,
    text_encoder,
    tiny_control_net,
    unet_model,
    unet_pipe,
)
from mask_detailer.detailer.control import ControlNetWrapper, with_control_net
from mask_detailer.detailer.hooks.builtin import VariationNoiseHook
from mask_detailer.detailer.options import BlendOptions, ColourOptions, DetailOptions
from safetensors.torch import save_file

NAME = "DetailerForEachDebugPipe"
BOXES = PARTS["equal"][:2]
WHOLE = 8  # crop-evaluations of both parts
TARGET = "diffusion_model.out.2.weight"


class Setting:
    """All that goes into a run, so that one thing of it can be changed, in place or by another."""

    def __init__(self, folder: Path, clip: Any) -> None:
        self.folder = folder
        model, _, vae, positive, negative = unet_pipe()
        self.model, self.vae, self.positive, self.negative = self.parts = model, vae, positive, negative
        self.clip = clip.clone()
        self.image, self.segs = picture(*SIZE), parts_of(BOXES)
        self.changes: dict[str, Any] = dict(crop_batch=0, wildcard="a <lora:tiny:0.5> hat, embedding:thing")
        self.hold: list[float] = [1.0]
        self.lora: dict[str, torch.Tensor] = {}

    def run(self) -> int:
        pipe = self.model, self.clip, self.vae, self.positive, self.negative
        return detail(NAME, self.segs, pipe, self.image, **self.changes).items

    def patched(self, function: Any, where: str = "sampler_post_cfg_function") -> None:
        self.model = self.model.clone()
        options = self.model.model_options
        options[where] = [*options.get(where, []), function] if where.endswith("post_cfg_function") else function

    def with_lora(self, strength: float = 1.0) -> None:
        self.lora = {TARGET: torch.full((4, 32, 3, 3), 0.02)}
        self.model = unpatched(self.model).clone()
        self.model.add_patches({key: (value,) for key, value in self.lora.items()}, strength)


def unpatched(model: Any) -> Any:
    made = model.clone()
    made.patches = {}
    return made


def scaled(by: list[float]) -> Callable[[dict[str, Any]], torch.Tensor]:
    def post(given: dict[str, Any]) -> torch.Tensor:
        return given["denoised"] * by[0]

    return post


class Scaler:
    """A patch that is an object."""

    def __init__(self, by: float) -> None:
        self.by = by
        self.deep = {"more": [torch.tensor([by])]}

    def __call__(self, given: dict[str, Any]) -> torch.Tensor:
        return given["denoised"] * self.by * self.deep["more"][0]


STRENGTH = [1.0]


def by_module(given: dict[str, Any]) -> torch.Tensor:
    return given["denoised"] * STRENGTH[0]


def write_lora(folder: Path, value: float) -> None:
    up, down = "diffusion_model.out.2.lora_up.weight", "diffusion_model.out.2.lora_down.weight"
    weights = {up: torch.full((4, 2, 1, 1), value), down: torch.full((2, 32, 3, 3), 0.1)}
    save_file(weights, folder / "loras" / "tiny.safetensors")


Change = Callable[[Setting], Any]


def options(**changes: Any) -> Change:
    return lambda s: s.changes.update(detail_options=DetailOptions(**changes))


def widget(**changes: Any) -> Change:
    return lambda s: s.changes.update(changes)


def attribute(name: str, value: Callable[[Setting], Any]) -> Change:
    return lambda s: setattr(s, name, value(s))


def control(strength: float) -> Change:
    def put(s: Setting) -> None:
        net = s.__dict__.setdefault("net", tiny_control_net(s.folder))
        s.segs = with_control_net(parts_of(BOXES), ControlNetWrapper(net, strength), None)

    return put


def moved(s: Setting) -> None:
    """The parts and all around them stand a pixel further right."""
    s.image = s.image.roll(1, dims=2)
    s.segs = parts_of([(x1 + 1, y1, x2 + 1, y2) for x1, y1, x2, y2 in BOXES])


def lower(s: Setting) -> None:
    """There is more of the picture below; the parts stand where they stood."""
    s.image = torch.cat([s.image, s.image[:, -8:]], dim=1)
    s.segs = (SIZE[0] + 8, SIZE[1]), s.segs[1]


def nothing(s: Setting) -> None:
    pass


# first, then what is changed; all of it must be seen
SEEN: dict[str, tuple[Change, Change]] = {
    "the picture": (nothing, attribute("image", lambda s: s.image * 0.999)),
    "a pixel in place": (nothing, lambda s: s.image[:, 7, :].add_(1e-4)),
    "the mask": (nothing, lambda s: [seg.cropped_mask.__imul__(0.99) for seg in s.segs[1]]),
    "the place": (nothing, moved),
    "the picture's size": (nothing, lower),
    "the crop's size": (nothing, attribute("segs", lambda s: parts_of(BOXES, 2.5))),
    "seed": (nothing, widget(seed=8)),
    "steps": (nothing, widget(steps=3)),
    "cfg": (nothing, widget(cfg=3.5)),
    "sampler": (nothing, widget(sampler_name="heun")),
    "scheduler": (nothing, widget(scheduler="karras")),
    "scheduler function": (nothing, widget(scheduler_func_opt=lambda m, n, k: torch.linspace(8.0, 0.0, k + 1))),
    "denoise": (nothing, widget(denoise=0.6)),
    "working size": (nothing, widget(guide_size=48.0)),
    "noise mask": (nothing, widget(noise_mask=False)),
    "noise mask feather": (nothing, widget(noise_mask_feather=3)),
    "cycles": (nothing, widget(cycle=2)),
    "text": (nothing, widget(wildcard="a <lora:tiny:0.5> scarf, embedding:thing")),
    "added text": (nothing, widget(wildcard="[CONCAT]a <lora:tiny:0.5> hat, embedding:thing")),
    "a LoRA's weight in the text": (nothing, widget(wildcard="a <lora:tiny:0.6> hat, embedding:thing")),
    "a LoRA's file": (nothing, lambda s: write_lora(s.folder, 0.5)),
    "an embedding's file": (
        nothing,
        lambda s: save_file({"emb_params": torch.ones(2, 64)}, s.folder / "embeddings" / "thing.safetensors"),
    ),
    "colour match": (nothing, options(colour=ColourOptions("mean_and_spread"))),
    "fill": (nothing, options(fill="noise")),
    "tiling": (nothing, options(tiling="always")),
    "retries": (nothing, options(retries=1)),
    "drift": (nothing, options(drift="correct")),
    "grain": (nothing, options(detail="match")),
    "references": (nothing, options(references="cut")),
    "the model": (nothing, attribute("model", lambda s: unet_model(9))),
    "the same model read again": (nothing, attribute("model", lambda s: unet_model(0))),
    "the VAE": (nothing, attribute("vae", lambda s: box_vae())),
    "the CLIP": (nothing, attribute("clip", lambda s: text_encoder(5))),
    "the CLIP's layer": (nothing, lambda s: s.clip.clip_layer(-2)),
    "positive": (nothing, attribute("positive", lambda s: conditioning(torch.Generator().manual_seed(3)))),
    "negative in place": (nothing, lambda s: s.negative[0][0].mul_(0.999)),
    "an option of the conditioning": (nothing, lambda s: s.negative[0][1].update(strength=0.9)),
    "a ControlNet": (nothing, control(0.5)),
    "a ControlNet's strength": (control(0.5), control(0.6)),
    "a ControlNet's other file": (
        control(0.5), lambda s: (setattr(s, "net", tiny_control_net(s.folder, 2)), control(0.5)(s)),
    ),
    "a weight patch": (nothing, lambda s: s.with_lora()),
    "a weight patch's strength": (lambda s: s.with_lora(), lambda s: s.with_lora(0.9)),
    "a weight patch in place": (lambda s: s.with_lora(), lambda s: s.lora[TARGET][0, 0, 0].fill_(0.03)),
    "a closure": (nothing, lambda s: s.patched(scaled([1.1]))),
    "a closure's value in place": (lambda s: s.patched(scaled(s.hold)), lambda s: s.hold.__setitem__(0, 1.1)),
    "an object's attribute": (
        lambda s: s.patched(s.__dict__.setdefault("patch", Scaler(1.0))), lambda s: setattr(s.patch, "by", 1.1),
    ),
    "a tensor deep in an object": (
        lambda s: s.patched(s.__dict__.setdefault("patch", Scaler(1.0))),
        lambda s: s.patch.deep["more"][0].fill_(1.1),
    ),
    "a module's value": (
        lambda s: (STRENGTH.__setitem__(0, 1.0), s.patched(by_module)), lambda s: STRENGTH.__setitem__(0, 1.1),
    ),
    "the model's schedule": (nothing, lambda s: (setattr(s, "model", s.model.clone()), shifted(s.model))),
    "the model's schedule in place": (
        nothing, lambda s: s.model.model.model_sampling.set_sigmas(s.model.model.model_sampling.sigmas * 1.01),
    ),
    "a method of the model in place": (nothing, lambda s: forward_halved(s.model.model.diffusion_model)),
    "a hook on a block": (
        nothing, lambda s: s.model.model.diffusion_model.out.register_forward_hook(lambda m, i, o: o * 0.9),
    ),
    "a transformer option": (nothing, lambda s: s.model.model_options["transformer_options"].update(strength=2)),
    "a block's patch": (
        nothing, lambda s: (setattr(s, "model", s.model.clone()), s.model.set_model_output_block_patch(smoothed(0.9))),
    ),
}  # fmt: skip


def shifted(model: Any) -> None:
    sampling = copy.deepcopy(model.get_model_object("model_sampling"))
    sampling.set_sigmas(sampling.sigmas * 1.01)
    model.add_object_patch("model_sampling", sampling)


def forward_halved(module: Any) -> None:
    real = module.forward
    module.forward = lambda *given, **named: real(*given, **named) * 0.9


def smoothed(by: float) -> Callable[..., Any]:
    return lambda h, skip, options: (h * by, skip)


def refined_by(seed: int) -> Change:
    return lambda s: s.changes.update(refiner_basic_pipe_opt=unet_pipe(seed))


# what of a key sees which of these changes, or of those below, and nothing else does
SEES: dict[str, tuple[Change, Change]] = {
    "pixels": SEEN["the picture"],
    "mask": SEEN["the mask"],
    "picture": SEEN["the picture's size"],
    "frame": (
        attribute("image", lambda s: torch.cat([s.image, 1 - s.image])), attribute("image", lambda s: s.image.flip(0)),
    ),
    "region": SEEN["the place"],
    "size": SEEN["working size"],
    "seed": SEEN["seed"],
    "denoise": SEEN["denoise"],
    "text": SEEN["a LoRA's file"],
    "sampling": SEEN["cfg"],
    "masks": SEEN["noise mask"],
    "tiles": (nothing, widget(tiled_decode=True)),
    "options": SEEN["grain"],
    "model": SEEN["a closure"],
    "vae": SEEN["the VAE"],
    "positive": SEEN["positive"],
    "negative": SEEN["negative in place"],
    "clip": SEEN["the CLIP's layer"],
    "refiner": (refined_by(4), refined_by(5)),
    "scheduler": SEEN["scheduler function"],
    "detailer hook": (
        widget(detailer_hook=VariationNoiseHook(1, 0.2)), widget(detailer_hook=VariationNoiseHook(1, 0.3)),
    ),
    "ControlNet of a segment": SEEN["a ControlNet's strength"],
}  # fmt: skip


def rebuilt_differential(s: Setting) -> None:
    s.changes.update(noise_mask_feather=3)


# what is made anew, or is another thing that makes no difference
TAKEN: dict[str, tuple[Change, Change]] = {
    "a copy of the picture": (nothing, attribute("image", lambda s: s.image.clone())),
    "segments found anew": (nothing, attribute("segs", lambda s: parts_of(BOXES))),
    "a clone of the model": (nothing, attribute("model", lambda s: s.model.clone())),
    "a prompt encoded anew": (nothing, attribute("positive", lambda s: [[s.positive[0][0].clone(), {}]])),
    "the same LoRA anew": (lambda s: s.with_lora(0.7), lambda s: s.with_lora(0.7)),
    "the same patch anew": (
        lambda s: (setattr(s, "plain", s.model), s.patched(scaled([1.1]))),
        lambda s: (setattr(s, "model", s.plain), s.patched(scaled([1.1]))),
    ),
    "the same object anew": (
        lambda s: (setattr(s, "plain", s.model), s.patched(Scaler(1.1))),
        lambda s: (setattr(s, "model", s.plain), s.patched(Scaler(1.1))),
    ),
    "the same schedule anew": (
        lambda s: (setattr(s, "plain", s.model), setattr(s, "model", s.model.clone()), shifted(s.model)),
        lambda s: (setattr(s, "model", s.plain.clone()), shifted(s.model)),
    ),
    "a ControlNet's wrapper anew": (control(0.5), control(0.5)),
    "Differential Diffusion anew": (rebuilt_differential, rebuilt_differential),
    "feather": (nothing, widget(feather=9)),
    "blending": (nothing, options(blend=BlendOptions("multiband"))),
    "crops at once": (nothing, widget(crop_batch=1)),
    "a size that comes to the same": (nothing, widget(max_size=256.0)),
}  # fmt: skip
