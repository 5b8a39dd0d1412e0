"""Conditioning that speaks of the whole picture follows the crop, or the log says that it can't."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from engine.families import FAMILIES, Family, _pipe, with_reference
from engine.family_models import wan_vae
from engine.running import Recorder, detail, do_detail
from engine.tiny_models import Pipe, mask_of, picture, tiny_control_net, unet_pipe
from engine.video_models import vace_model
from mask_detailer.core import Region, Size, mask_to_segs
from mask_detailer.detailer.host.conditioning import crop_conditioning
from mask_detailer.detailer.host.cuts import View
from mask_detailer.detailer.options import DetailOptions

KONTEXT: Family = next(family for family in FAMILIES if family.name == "flux kontext")


def core(file: str, name: str, **arguments: Any) -> Any:
    """A node of ComfyUI's extra ones."""
    import importlib

    kind = getattr(importlib.import_module(f"comfy_extras.{file}"), name)
    made = kind.execute(**arguments) if hasattr(kind, "define_schema") else getattr(kind(), kind.FUNCTION)(**arguments)
    return getattr(made, "result", made)


# --- VACE ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vace() -> Pipe:
    return _pipe(vace_model(), wan_vae())


def vaced(pipe: Pipe, hint: torch.Tensor, mask: torch.Tensor, length: int = 1) -> Any:
    height, width = hint.shape[1:3]
    positive, negative, *_ = core(
        "nodes_wan", "WanVaceToVideo", positive=pipe[3], negative=pipe[4], vae=pipe[2], width=width, height=height,
        length=length, batch_size=1, strength=1.0, control_video=hint, control_masks=mask,
    )  # fmt: skip
    return (*pipe[:3], positive, negative)


def test_vace_frames_and_masks_follow_the_crop(vace: Pipe) -> None:
    """What the model sees of the hint is the crop's part: content elsewhere changes little, content there does."""
    image, mask = picture(96, 176), mask_of(96, 176, (112, 16, 144, 48))
    hint = ((picture(96, 176, 9) - 0.5) * 4 + 0.5).clamp(0, 1)
    far, near = hint.clone(), hint.clone()
    far[:, :, :72] = 0.0  # the crop begins at x = 96, the VAE sees some cells further
    near[:, 16:48, 112:144] = 0.0
    widgets = dict(steps=2, denoise=0.8)
    made = detail(image, mask, vaced(vace, hint, mask), **widgets).image
    assert float((made - detail(image, mask, vace, **widgets).image).abs().max()) > 1e-3
    # the tiny VAE's attention in the middle carries a little from far away
    spill = float((made - detail(image, mask, vaced(vace, far, mask), **widgets).image).abs().max())
    change = float((made - detail(image, mask, vaced(vace, near, mask), **widgets).image).abs().max())
    assert change > 3 * spill


def test_vace_masks_are_cut_and_resized_as_the_masks_they_are() -> None:
    mask = torch.zeros(1, 1, 96, 176)
    mask[..., 16:48, 112:144] = 1.0
    folded = torch.nn.functional.pixel_unshuffle(mask, 8)[:, :, None]
    view = View(Size(96, 176), Region(96, 0, 160, 64), Size(128, 128), Size(16, 16))
    ((_, options),) = crop_conditioning([[torch.zeros(1, 1, 8), {"vace_mask": [folded]}]], view)
    (made,) = options["vace_mask"]
    assert made.shape == (1, 64, 1, 16, 16)
    shown = torch.nn.functional.pixel_shuffle(made[:, :, 0], 8)[0, 0]
    wanted = torch.zeros(128, 128)
    wanted[32:96, 32:96] = 1.0
    assert torch.equal(shown > 0.5, wanted > 0.5)


def test_a_clip_s_vace_frames_are_left_out_of_a_still_with_a_warning(
    vace: Pipe, told: pytest.LogCaptureFixture
) -> None:
    image, mask = picture(96, 176), mask_of(96, 176, (112, 16, 144, 48), (20, 20, 40, 40))
    pipe = vaced(vace, picture(96, 176, 9).repeat(5, 1, 1, 1), mask.repeat(5, 1, 1), length=5)
    detail(image, mask, pipe, steps=1)
    lines = [record.getMessage() for record in told.records if record.levelname == "WARNING"]
    assert sorted(lines) == [
        "the conditioning's vace_frames is a clip's and can't be cut to a still: left out",
        "the conditioning's vace_mask is a clip's and can't be cut to a still: left out",
    ]


def test_a_key_that_nobody_knows_is_left_out_with_one_warning(told: pytest.LogCaptureFixture) -> None:
    pipe = unet_pipe()
    latent = torch.zeros(1, 4, 12, 22)
    positive = [[pipe[3][0][0], {**pipe[3][0][1], "depth_latent": latent, "style": torch.zeros(1, 4, 3, 3)}]]
    recorder = Recorder()
    mask = mask_of(96, 176, (112, 16, 144, 48), (20, 20, 40, 40))
    detail(picture(96, 176), mask, (*pipe[:3], positive, pipe[4]), detailer_hook=recorder)
    seen = recorder.all("pre_ksample", 6)[0][0][1]
    assert "depth_latent" not in seen and "style" in seen
    assert [record.getMessage() for record in told.records if "depth_latent" in record.getMessage()] == [
        "the conditioning's depth_latent speaks of the whole picture and can't be cut: left out"
    ]


# --- references ---------------------------------------------------------------------------------------------------


def kontext_scaled(image: torch.Tensor) -> torch.Tensor:
    return core("nodes_flux", "FluxKontextImageScale", image=image)[0]


def seen_of(latent: torch.Tensor, picture_size: Size, region: Region, references: str = "auto") -> torch.Tensor:
    view = View(picture_size, region, Size(128, 128), Size(16, 16), references)
    options = {"reference_latents": [latent]}
    return crop_conditioning([[torch.zeros(1, 1, 8), options]], view)[0][1]["reference_latents"][0]


@pytest.mark.parametrize(
    ("width", "height"),
    [(1024, 1024), (1216, 832), (832, 1216), (1920, 1080), (1152, 896), (1500, 1000), (1344, 768), (1280, 960)],
)
def test_a_picture_that_went_through_kontext_s_scaling_is_cut(width: int, height: int) -> None:
    """Coordinates as pictures: where the crop's middle lies in the scaled picture, the cut reference has its middle."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    scaled = kontext_scaled(torch.stack([x, y, 0 * x], dim=-1)[None])
    latent = scaled[:, 4::8, 4::8].movedim(-1, 1)  # an 8x8 cell's middle
    region = Region(width - 260, 40, width - 20, 280)
    got = seen_of(latent, Size(height, width), region)
    assert got.shape[-2:] != latent.shape[-2:]
    middle = got[0, :2].mean(dim=(1, 2))
    wanted = torch.tensor([(region.x1 + region.x2) / 2 / width, (region.y1 + region.y2) / 2 / height])
    cell = torch.tensor([8 / scaled.shape[2], 8 / scaled.shape[1]])
    assert bool(((middle - wanted).abs() < 1.6 * cell).all())


def references_seen(image: torch.Tensor, *references: torch.Tensor, **options: Any) -> list[tuple[int, ...]]:
    pipe, recorder = KONTEXT.pipe, Recorder()
    ((tokens, own),) = pipe[3]
    positive = [[tokens, {**own, "reference_latents": [pipe[2].encode(one) for one in references]}]]
    size = image.shape[1:3]
    segs = mask_to_segs(mask_of(*size, (80, 16, 112, 48)), False, 2.0, False, 2)
    do_detail(image, segs, (*pipe[:3], positive, pipe[4]), cfg=1.0, steps=1, detailer_hook=recorder, **options)
    return [tuple(latent.shape[-2:]) for latent in recorder.all("pre_ksample", 6)[0][0][1]["reference_latents"]]


def test_a_square_portrait_beside_a_square_picture_stays_whole(told: pytest.LogCaptureFixture) -> None:
    seen = references_seen(picture(128, 128), picture(128, 128), picture(512, 512, 77))
    assert seen == [(8, 8), (64, 64)]
    lines = [record.getMessage() for record in told.records if "reference" in record.getMessage()]
    assert len(lines) == 1 and "64x64 cells shows another picture" in lines[0]


@pytest.mark.parametrize(
    ("references", "seen"),
    [("auto", [(8, 8), (12, 16)]), ("whole", [(16, 16), (12, 16)]), ("cut", [(8, 8), (6, 8)])],
)
def test_the_choice_of_detailer_options(references: str, seen: list[tuple[int, int]]) -> None:
    options = DetailOptions(references=references)
    assert references_seen(picture(128, 128), picture(128, 128), picture(96, 128), detail_options=options) == seen


def test_edit_families_still_follow_their_reference() -> None:
    pipe = KONTEXT.pipe
    mask = mask_of(96, 176, (112, 16, 144, 48))
    made = [
        detail(picture(96, 176), mask, with_reference(pipe, reference), **KONTEXT.widgets).image
        for reference in (picture(96, 176, 3), picture(96, 176, 4))
    ]
    assert float((made[0] - made[1]).abs().max()) > 1e-3


# --- ControlNet hints of another aspect ---------------------------------------------------------------------------


def test_a_hint_of_another_aspect_lies_as_ComfyUI_s_centre_crop_places_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A square hint on a wide picture counts as its middle, as where ComfyUI samples the whole picture."""
    import nodes

    pipe, net = unet_pipe(), tiny_control_net(tmp_path_factory.mktemp("net"))
    image, mask = picture(96, 192), mask_of(96, 192, (120, 30, 150, 60))
    square = ((picture(192, 192, 9) - 0.5) * 4 + 0.5).clamp(0, 1)
    apply = nodes.ControlNetApplyAdvanced().apply_controlnet

    def with_hint(hint: torch.Tensor) -> torch.Tensor:
        conditioned = apply(pipe[3], pipe[4], net, hint, 1.0, 0.0, 1.0)
        return detail(image, mask, (*pipe[:3], *conditioned)).image

    made = with_hint(square)
    assert torch.allclose(made, with_hint(square[:, 48:144]), atol=1e-5)
    assert not torch.allclose(made, with_hint(square[:, :96]), atol=1e-3)


# --- hints in patches on the model --------------------------------------------------------------------------------


def diffsynth(pipe: Pipe, hint: torch.Tensor) -> Any:
    """ComfyUI's Qwen DiffSynth patch, with a ControlNet of one block."""
    import comfy.ops
    from comfy.model_patcher import ModelPatcher
    from comfy_extras.nodes_model_patch import QwenImageBlockWiseControlNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = QwenImageBlockWiseControlNet(
            num_layers=1, in_dim=64, dim=64, device="cpu", dtype=torch.float32, operations=comfy.ops.disable_weight_init
        )
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    cpu = torch.device("cpu")
    patch = ModelPatcher(net, cpu, cpu)
    model = core("nodes_model_patch", "QwenImageDiffsynthControlnet", model=pipe[0], model_patch=patch, vae=pipe[2],
                 image=hint, strength=1.0)[0]  # fmt: skip
    return (model, *pipe[1:])


def test_the_hint_of_a_model_patch_follows_the_crop(told: pytest.LogCaptureFixture) -> None:
    """As if the patch had been made with the crop's part of the hint, at the crop's place in an empty one."""
    pipe = next(family for family in FAMILIES if family.name == "qwen image").pipe
    image, mask = picture(96, 176), mask_of(96, 176, (112, 16, 144, 48))
    hint = ((picture(96, 176, 9) - 0.5) * 4 + 0.5).clamp(0, 1)
    far, near = hint.clone(), hint.clone()
    far[:, :, :96] = 0.0  # the crop begins there
    near[:, 16:48, 112:144] = 0.0
    made = detail(image, mask, diffsynth(pipe, hint), steps=2).image
    assert torch.equal(made, detail(image, mask, diffsynth(pipe, far), steps=2).image)
    assert float((made - detail(image, mask, diffsynth(pipe, near), steps=2).image).abs().max()) > 1e-3
    assert float((made - detail(image, mask, pipe, steps=2).image).abs().max()) > 1e-3
    assert "can't be cut" not in told.text


def test_the_hints_of_a_model_patch_go_with_their_frames() -> None:
    pipe = next(family for family in FAMILIES if family.name == "qwen image").pipe
    clip = torch.cat([picture(96, 176, seed) for seed in range(2)])
    mask = mask_of(96, 176, (112, 16, 144, 48))
    hints = torch.cat([((picture(96, 176, 9 + seed) - 0.5) * 4 + 0.5).clamp(0, 1) for seed in range(2)])
    together = detail(clip, mask, diffsynth(pipe, hints), steps=2).image
    alone = [detail(clip[i : i + 1], mask, diffsynth(pipe, hints[i : i + 1]), steps=2).image for i in range(2)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)


def test_a_patch_that_carries_a_picture_and_can_not_be_cut_is_told_once(
    unet: Pipe, told: pytest.LogCaptureFixture
) -> None:
    class Guide:
        def __init__(self, video: torch.Tensor) -> None:
            self.video = video

        def __call__(self, h: torch.Tensor, *others: Any) -> Any:
            return (h, *others) if others else h

    model = unet[0].clone()
    model.set_model_input_block_patch(Guide(picture(96, 176)))
    with contextlib.suppress(TypeError, AttributeError):  # what it does to the block is beside the point
        detail(picture(96, 176), mask_of(96, 176, (112, 16, 144, 48), (20, 20, 40, 40)), (model, *unet[1:]), steps=1)
    assert [r.getMessage() for r in told.records if "can't be cut" in r.getMessage()] == [
        "the patch Guide on the model carries a hint of the whole picture that can't be cut"
    ]


# --- a part's own text --------------------------------------------------------------------------------------------


class AnyClip:
    """Text to conditioning, without a model."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> Any:
        generator = torch.Generator().manual_seed(len(text))
        pooled = torch.randn(1, 16, generator=generator)
        return [[torch.randn(1, 8, 64, generator=generator), {"pooled_output": pooled}]]


@pytest.mark.parametrize(("family", "key"), [
    ("flux fill", "guidance"), ("flux kontext", "guidance"), ("flux kontext", "reference_latents"),
])  # fmt: skip
def test_a_text_of_its_own_keeps_the_rest(family: str, key: str) -> None:
    pipe = next(one for one in FAMILIES if one.name == family).pipe
    recorder = Recorder()
    segs = mask_to_segs(mask_of(96, 112, (10, 10, 40, 40)), False, 2.0, False, 2)
    do_detail(
        picture(96, 112), segs, (pipe[0], AnyClip(), *pipe[2:]), wildcard_opt="a smiling face", detailer_hook=recorder,
        cfg=1.0, steps=1, inpaint_model=family == "flux fill",
    )  # fmt: skip
    ((tokens, options), *_) = recorder.all("pre_ksample", 6)[0]
    assert key in options
    own = AnyClip().encode_from_tokens_scheduled("a smiling face")[0]
    assert torch.equal(tokens, own[0]) and torch.equal(options["pooled_output"], own[1]["pooled_output"])


def test_a_text_of_its_own_holds_in_all_of_the_crop() -> None:
    """A region or a part of the schedule was the other prompt's."""
    pipe, recorder = unet_pipe(), Recorder()
    ((tokens, options),) = pipe[3]
    positive = [[tokens, {**options, "area": (4, 4, 0, 0), "strength": 0.5, "start_percent": 0.5, "end_percent": 0.6}]]
    segs = mask_to_segs(mask_of(96, 112, (10, 10, 40, 40)), False, 2.0, False, 2)
    do_detail(picture(96, 112), segs, (pipe[0], AnyClip(), pipe[2], positive, pipe[4]), wildcard_opt="a face",
              detailer_hook=recorder, steps=1)  # fmt: skip
    seen = recorder.all("pre_ksample", 6)[0][0][1]
    assert {"area", "strength", "start_percent", "end_percent"}.isdisjoint(seen)
