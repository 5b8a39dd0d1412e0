"""What a segment is known by: whatever changes what would be made is seen, what is the same made anew is taken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from engine.remembering import (
    PARTS,
    SIZE,
    detail,
    parts_of,
    remembers,  # noqa: F401 - a fixture
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
from mask_detailer.detailer.pipeline.remembered import Recall, memory
from safetensors.torch import save_file

pytestmark = pytest.mark.usefixtures("remembers")

NAME = "DetailerForEachDebugPipe"
OFF = f"{NAME}: the segment memory is off in this run:"
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


@pytest.fixture(scope="module")
def clip() -> Any:
    return text_encoder()


@pytest.fixture
def setting(clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    for kind in ("loras", "embeddings"):
        (tmp_path / kind).mkdir()
        known = {**folder_paths.folder_names_and_paths, kind: ([str(tmp_path / kind)], {".safetensors"})}
        monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    made = Setting(tmp_path, clip)
    write_lora(tmp_path, 0.01)
    save_file({"emb_params": torch.zeros(1, 64)}, tmp_path / "embeddings" / "thing.safetensors")
    return made


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


def nothing(s: Setting) -> None:
    pass


# first, then what is changed; all of it must be seen
SEEN: dict[str, tuple[Change, Change]] = {
    "the picture": (nothing, attribute("image", lambda s: s.image * 0.999)),
    "a pixel in place": (nothing, lambda s: s.image[:, 7, :].add_(1e-4)),
    "the mask": (nothing, lambda s: [seg.cropped_mask.__imul__(0.99) for seg in s.segs[1]]),
    "the place": (nothing, moved),
    "the picture's size": (nothing, lambda s: setattr(s, "image", torch.cat([s.image, s.image[:, -8:]], dim=1))),
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


@pytest.mark.parametrize("name", SEEN)
def test_a_single_change_is_seen(setting: Setting, name: str) -> None:
    before, change = SEEN[name]
    before(setting)
    first = setting.run()
    assert first == WHOLE and len(memory) == 2
    assert setting.run() == 0
    change(setting)
    with torch.inference_mode():
        assert setting.run() >= WHOLE
    assert setting.run() == 0


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


@pytest.mark.slow
@pytest.mark.parametrize("ingredient", SEES)
def test_nothing_of_a_key_is_there_in_vain(setting: Setting, ingredient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, a change that it sees goes unseen: so that the tests above would tell if it were lost."""
    before, change = SEES[ingredient]
    before(setting)
    setting.run()
    change(setting)
    assert setting.run() >= WHOLE
    memory.clear()
    for name in ("_facts", "_parts"):
        real = getattr(Recall, name)
        monkeypatch.setattr(Recall, name, lambda self, crop, real=real: {**real(self, crop), ingredient: None})
    made = Setting(setting.folder, setting.clip)
    made.model, made.vae, made.positive, made.negative = setting.parts
    write_lora(setting.folder, 0.01)
    before(made)
    made.run()
    change(made)
    assert made.run() == 0


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


@pytest.mark.parametrize("name", TAKEN)
def test_what_makes_no_difference_is_taken(setting: Setting, name: str) -> None:
    before, change = TAKEN[name]
    before(setting)
    assert setting.run() == WHOLE
    change(setting)
    assert setting.run() == 0


def test_a_model_in_anothers_place_is_another(setting: Setting) -> None:
    """Also where it lies at the same place in memory."""
    for seed in range(6):
        setting.model = unet_model(seed)
        assert setting.run() == WHOLE


# --- what switches it off -------------------------------------------------------------------------------------------


class Counts:
    """A patch that counts its calls, and works by them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, given: dict[str, Any]) -> torch.Tensor:
        self.calls += 1
        return given["denoised"] * (1 + 0.01 * self.calls)


class HoldsAFile:
    def __init__(self, file: Any) -> None:
        self.file = file

    def __call__(self, given: dict[str, Any]) -> torch.Tensor:
        return given["denoised"]


def test_what_changes_on_the_way_is_not_kept(setting: Setting, told: pytest.LogCaptureFixture) -> None:
    setting.patched(Counts())
    assert setting.run() == setting.run() == WHOLE
    assert len(memory) == 0
    assert told.messages.count(f"{OFF} what it works with changes on the way") == 2


def test_what_cannot_be_seen_into_is_named(setting: Setting, told: pytest.LogCaptureFixture) -> None:
    with Path(__file__).open("rb") as file:
        setting.patched(HoldsAFile(file))
        assert setting.run() == setting.run() == WHOLE
    line = f"{OFF} the model holds what can't be looked into (_io.BufferedReader)"
    assert told.messages.count(line) == 2 and len(memory) == 0


def test_a_sampler_of_another_pack(setting: Setting, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """Its noise may come from anywhere."""
    import comfy.k_diffusion.sampling as sampling

    def sample_theirs(model: Any, x: torch.Tensor, sigmas: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        return sampling.sample_euler(model, x, sigmas, *given, **named)

    monkeypatch.setattr(sampling, "sample_theirs", sample_theirs, raising=False)
    monkeypatch.setattr("comfy.samplers.KSampler.SAMPLERS", ["theirs", "euler"])
    from mask_detailer.detailer import host

    monkeypatch.setattr(host.schedules, "sampler_names", lambda: ["theirs", "euler"])
    setting.changes.update(sampler_name="theirs")
    assert setting.run() == setting.run() == WHOLE
    assert any("the sampler holds what can't be looked into (theirs of another pack)" in line for line in told.messages)


def test_an_object_that_fails_when_it_is_looked_at_stops_nothing(setting: Setting) -> None:
    class Fails:
        def __call__(self, given: dict[str, Any]) -> torch.Tensor:
            return given["denoised"]

        def fingerprint(self) -> object:
            raise RuntimeError("not today")

    setting.patched(Fails())
    assert setting.run() == setting.run() == WHOLE


def test_denoise_0_is_not_kept(setting: Setting) -> None:
    setting.changes.update(denoise=0.0)
    setting.run()
    assert len(memory) == 0
