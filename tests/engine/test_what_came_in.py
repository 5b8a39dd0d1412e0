"""What comes in that isn't quite what is asked for: masks in other forms, and parts of pipes that don't go together.

Where the meaning is clear it counts; else an error names the input, what came and what is wanted, before anything else
is done or with what ComfyUI said as its cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine import families
from engine.running import detail, do_detail, segs_of
from engine.tiny_models import (
    CONTEXT_WIDTH,
    FLOW_SCALE,
    POOLED_WIDTH,
    Pipe,
    box_vae,
    conditioning,
    mask_of,
    picture,
    pipe_with,
    tiny_control_net,
    unet_pipe,
)
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG
from mask_detailer.detailer import host
from mask_detailer.detailer.prompts.wildcard_files import Wildcards
from mask_detailer.detailer.prompts.wildcards import expand
from mask_detailer.nodes.segs import MaskToSEGS
from mask_detailer.nodes.validate import InputError

SIZE = (96, 112)
BOX = (20, 20, 50, 50)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, BOX)


# --- masks --------------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "[1,H,W,1]": lambda mask: mask[..., None],
    "[H,W,1]": lambda mask: mask[0, ..., None],
    "[1,1,H,W]": lambda mask: mask[None],
    "[H,W]": lambda mask: mask[0],
    "bytes": lambda mask: (mask * 255).to(torch.uint8),
    "bytes with the channel last": lambda mask: (mask[..., None] * 255).to(torch.uint8),
    "booleans": lambda mask: mask > 0,
    "halves": lambda mask: mask.half(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_in_any_form(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, form: str) -> None:
    other = FORMS[form](mask)
    assert torch.equal(detail(image, other, unet).image, detail(image, mask, unet).image)
    (size, (seg,)), (_, (plain,)) = (MaskToSEGS().doit(one, False, 2.0, False, 2)[0] for one in (other, mask))
    assert size == SIZE and tuple(seg.bbox) == tuple(plain.bbox) == BOX


def test_soft_bytes_stay_soft(image: torch.Tensor, mask: torch.Tensor) -> None:
    (_, (seg,)) = MaskToSEGS().doit((mask * 128).to(torch.uint8), False, 2.0, False, 2, False)[0]
    assert seg.cropped_mask.max() == pytest.approx(128 / 255)


def test_masks_of_a_clip_with_the_channel_last(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    clip, masks = image.repeat(3, 1, 1, 1), torch.cat([mask, mask.flip(1), mask.flip(2)])
    assert torch.equal(detail(clip, masks[..., None], unet).image, detail(clip, masks, unet).image)


def test_a_picture_is_no_mask(unet: Pipe, image: torch.Tensor) -> None:
    for picture_ in (image, image.repeat(2, 1, 1, 1), torch.cat([image, image[..., :1]], -1)):
        found = re.escape(f"not {list(picture_.shape)}")
        with pytest.raises(InputError, match=f"^MaskDetailerPipe, input 'mask': .*{found}.* 'Convert Image to Mask'"):
            detail(image, picture_, unet)
        with pytest.raises(InputError, match=f"^MaskToSEGS, input 'mask': .*{found}"):
            MaskToSEGS().doit(picture_, False, 2.0, False, 2)


@pytest.mark.parametrize("with_channel", [False, True])
def test_a_segment_one_pixel_wide(with_channel: bool) -> None:
    """Its frames' masks ``[2,30,1]`` are not one of 2x30 with a channel."""
    masks = torch.ones(2, 30, 1)
    seg = SEG(None, masks[..., None] if with_channel else masks, 1.0, (5, 3, 6, 33), (5, 3, 6, 33), "A")
    combined = NODE_CLASS_MAPPINGS["SegsToCombinedMask"]().doit((SIZE, [seg]))[0]  # type: ignore[attr-defined]
    assert torch.equal(combined[0].nonzero(), mask_of(*SIZE, (5, 3, 6, 33))[0].nonzero())


# --- texts --------------------------------------------------------------------------------------------------------


def test_names_of_files_that_hold_a_wildcards_name(tmp_path: Path) -> None:
    (tmp_path / "style.txt").write_text("oil\nink\n")
    lists = Wildcards([tmp_path])

    def made(text: str) -> set[str]:
        return {expand(text, seed, lists) for seed in range(20)}

    tag = "<lora:My__style__v2:0.7>"
    assert made(f"{tag} a __style__ hat") == {f"{tag} a oil hat", f"{tag} a ink hat"}
    assert made(f"{{{tag}|<lora:b__style__:1>}} hat") == {f"{tag} hat", "<lora:b__style__:1> hat"}
    assert made("embedding:My__style__v2, (embedding:x__style__:1.2)") == {
        "embedding:My__style__v2, (embedding:x__style__:1.2)"
    }
    assert made("<lora:__style__:0.7>") == {"<lora:oil:0.7>", "<lora:ink:0.7>"}


# --- parts of another family --------------------------------------------------------------------------------------


def prompt(width: int, **options: Any) -> Any:
    return conditioning(torch.Generator().manual_seed(1), width, **options)


def pooled(width: int) -> dict[str, torch.Tensor]:
    return {"pooled_output": torch.ones(1, width)}


def patched(kind: str) -> Callable[[Pipe], Pipe]:
    """With a patch whose tensors are those of another size."""

    def made(pipe: Pipe) -> Pipe:
        model = pipe[0].clone()
        if kind == "after cfg":
            model.set_model_sampler_post_cfg_function(lambda given: given["denoised"] + torch.zeros(1, 4, 8, 8))
        elif kind == "around the model":
            model.set_model_unet_function_wrapper(
                lambda call, given: call(given["input"] + torch.zeros(1, 4, 8, 8), given["timestep"], **given["c"])
            )
        elif kind == "result of another size":
            model.set_model_sampler_post_cfg_function(lambda given: given["denoised"][..., :8, :8])
        else:
            model.set_model_attn2_patch(lambda q, k, v, extra_options: (q @ torch.zeros(320, 64), k, v))
        return pipe_with(pipe, model=model)

    return made


def with_vae(*codec: Any, **more: Any) -> Callable[[Pipe], Pipe]:
    return lambda pipe: pipe_with(pipe, vae=box_vae(*codec, **more))


def with_prompts(**prompts: Any) -> Callable[[Pipe], Pipe]:
    return lambda pipe: pipe_with(pipe, **prompts)


PIPE, REFINER = "basic_pipe", "refiner_basic_pipe_opt"
VAE_FIX, PROMPT_FIX = "Use the VAE that goes with the model", "Encode the prompt with the CLIP that goes with the model"
PATCH_FIX = "Take the patch off, or make it anew for this model and size"
WIDE = f"the prompt is 2048 wide, the model takes {CONTEXT_WIDTH}"
PATCH = "a patch on the model .* than these latents of 16x16: "

PROMPT_THAT_POOLS_NOTHING = with_prompts(positive=prompt(2048, pooled_output=None))
PROMPT_OF_FLUX = with_prompts(positive=prompt(2048, **pooled(POOLED_WIDTH)))

MISFITS: dict[str, tuple[str, Callable[[Pipe], Pipe], str, str]] = {
    "vae of 16 channels": ("sd1 eps", with_vae(16, FLOW_SCALE), "vae: latents of 16 channels .* takes 4 ", VAE_FIX),
    "vae of 4 channels": ("sd3 flow", with_vae(4), "vae: latents of 4 channels .* takes 16 ", VAE_FIX),
    "vae of 4 channels, flux": ("flux guided", with_vae(4), "vae: latents of 4 channels .* takes 16 ", VAE_FIX),
    "vae of 4 channels, fill": ("flux fill", with_vae(4), "vae: latents of 4 channels .* takes 16 ", VAE_FIX),
    "vae of 16 channels, inpaint": ("sd1 inpaint", with_vae(16, 0.2), "vae: latents of 16 .* takes 4 ", VAE_FIX),
    "vae of 4 channels, video": ("wan", with_vae(4), "vae: latents of 4 channels .* takes 16 ", VAE_FIX),
    "vae of 16 channels, pixels": ("pixel space", with_vae(16, 0.2), "vae: latents of 16 .* takes 3 ", VAE_FIX),
    "vae with a time axis": ("sd3 flow", with_vae(16, FLOW_SCALE, frames=True), "vae: latents of 3 axes ", VAE_FIX),
    "positive": ("sd1 eps", with_prompts(positive=prompt(2048)), f"positive: {WIDE}", PROMPT_FIX),
    "negative": ("sd1 eps", with_prompts(negative=prompt(2048)), f"negative: {WIDE}", PROMPT_FIX),
    "positive, video": ("wan", with_prompts(positive=prompt(2048)), f"positive: {WIDE}", PROMPT_FIX),
    "positive, normed": ("qwen image", with_prompts(positive=prompt(2048)), f"positive: {WIDE}", PROMPT_FIX),
    "positive, pixels": ("pixel space", PROMPT_THAT_POOLS_NOTHING, f"positive: {WIDE}", PROMPT_FIX),
    "positive, flux": ("flux guided", PROMPT_OF_FLUX, f"positive: {WIDE}", PROMPT_FIX),
    "no pooled output": ("sd3 flow", with_prompts(positive=prompt(64)), "positive: .* no pooled output", PROMPT_FIX),
    "pooled output": (
        "sd3 flow", with_prompts(positive=prompt(64, **pooled(2816))),
        f"positive: its pooled output is 2816 wide, the model takes {POOLED_WIDTH}", PROMPT_FIX,
    ),
    "patch after cfg": ("sd1 eps", patched("after cfg"), f"model: {PATCH}16 came, 8 is wanted", PATCH_FIX),
    "patch around": ("sd1 eps", patched("around the model"), f"model: {PATCH}16 came, 8 is wanted", PATCH_FIX),
    "patch within": ("sd1 eps", patched("within"), f"model: {PATCH}64 came, 320 is wanted", PATCH_FIX),
    "patch's result": ("sd1 eps", patched("result of another size"), "model: a patch .* may be made", PATCH_FIX),
}  # fmt: skip


def family_named(name: str) -> families.Family:
    found = next(family for family in families.FAMILIES if family.name == name)
    if found.absent:
        pytest.skip(found.absent)
    return found


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_the_model(image: torch.Tensor, mask: torch.Tensor, name: str) -> None:
    family, change, found, fix = MISFITS[name]
    chosen = family_named(family)
    with pytest.raises(InputError, match=rf"^MaskDetailerPipe, input 'basic_pipe': its {found}.*\. {fix}$") as raised:
        detail(image, mask, change(chosen.pipe), **chosen.widgets)
    assert isinstance(raised.value.__cause__, RuntimeError | KeyError | IndexError)  # as ComfyUI raised it


def test_inputs_of_their_own(unet: Pipe, image: torch.Tensor) -> None:
    segs = segs_of(BOX)
    with pytest.raises(InputError, match=r"^DetailerForEach, input 'vae': latents of 16 channels .* takes 4 "):
        do_detail(image, segs, pipe_with(unet, vae=box_vae(16, FLOW_SCALE)))
    with pytest.raises(InputError, match=f"^DetailerForEach, input 'negative': {WIDE} "):
        do_detail(image, segs, pipe_with(unet, negative=prompt(2048)))


def test_refiner_of_another_family(unet: Pipe, flow: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    shares: dict[str, Any] = dict(refiner_ratio=0.5, steps=4)
    with pytest.raises(InputError, match=f"input '{REFINER}': its model: latents of 4 .* takes 16 .* a refiner of the"):
        detail(image, mask, unet, refiner_basic_pipe_opt=flow, **shares)
    with pytest.raises(InputError, match=f"input '{REFINER}': its positive: {WIDE}"):
        detail(image, mask, unet, refiner_basic_pipe_opt=pipe_with(unet, positive=prompt(2048)), **shares)


def test_control_net_of_another_family(flow: Pipe, image: torch.Tensor, mask: torch.Tensor, tmp_path: Path) -> None:
    net, hint = tiny_control_net(tmp_path), torch.rand(1, *SIZE, 3)
    positive, negative = host.control_net.with_control_net(flow[3], flow[4], hint, host.control_net.Steering(net, 1.0))
    wanted = r"made for another model: 16 came, 4 is wanted .* Use a ControlNet that is made for the model$"
    with pytest.raises(InputError, match=f"^MaskDetailerPipe, input 'basic_pipe': its positive: .* {wanted}"):
        detail(image, mask, pipe_with(flow, positive=positive, negative=negative))
    node: Any = NODE_CLASS_MAPPINGS["ImpactControlNetApplySEGS"]()
    (segs,) = node.doit(segs_of(BOX), net, 1.0)
    with pytest.raises(InputError, match=f"^DetailerForEach, input 'segs': .* {wanted}"):
        do_detail(image, segs, flow)


def test_several_crops_at_once(unet: Pipe, image: torch.Tensor) -> None:
    """They are tried one by one, as after any other error, and the reason is told then."""
    two = mask_of(*SIZE, (10, 10, 30, 30), (70, 60, 90, 80))
    with pytest.raises(InputError, match="input 'basic_pipe': its vae: latents of 16 channels"):
        detail(image, two, pipe_with(unet, vae=box_vae(16, FLOW_SCALE)), crop_batch=0)


def test_ksampler_names_its_own_inputs(unet: Pipe) -> None:
    node: Any = NODE_CLASS_MAPPINGS["ImpactKSamplerBasicPipe"]()
    widgets: dict[str, Any] = dict(seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=1.0)
    fitting, other = ({"samples": torch.ones(1, channels, 8, 8)} for channels in (4, 16))
    with pytest.raises(InputError, match=r"^ImpactKSamplerBasicPipe, input 'latent_image': latents of 16 .* takes 4 "):
        node.doit(basic_pipe=unet, latent_image=other, **widgets)
    with pytest.raises(InputError, match=f"^ImpactKSamplerBasicPipe, input 'basic_pipe': its positive: {WIDE} "):
        node.doit(basic_pipe=pipe_with(unet, positive=prompt(2048)), latent_image=fitting, **widgets)


def test_other_errors_stay_as_they_are(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    def broken(given: Any) -> torch.Tensor:
        raise RuntimeError("out of order")

    model = unet[0].clone()
    model.set_model_sampler_post_cfg_function(broken)
    with pytest.raises(RuntimeError, match=r"^out of order$"):
        detail(image, mask, pipe_with(unet, model=model))


# --- parts that are something else --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "value", "found"),
    [
        ("model", "model.safetensors", "a str is no MODEL. Connect the MODEL output"),
        ("model", box_vae(), "a VAE is no MODEL"),
        ("vae", object(), "a object is no VAE. Connect the VAE output"),
        ("positive", "NegativePlaceholder", "a str is no CONDITIONING"),
        ("positive", torch.zeros(1, 8, 64), "a Tensor is no CONDITIONING"),
        ("positive", [torch.zeros(1, 8, 64)], "a list is no CONDITIONING"),
        ("negative", {"samples": torch.zeros(1)}, "a dict is no CONDITIONING"),
        ("negative", [[None, {}]], "a list is no CONDITIONING"),
    ],
)
def test_another_thing(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, part: str, value: Any, found: str) -> None:
    with pytest.raises(InputError, match=f"^MaskDetailerPipe, input 'basic_pipe': its {part}: {found}"):
        detail(image, mask, pipe_with(unet, **{part: value}))
    with pytest.raises(InputError, match=f"^DetailerForEach, input '{part}': {found}"):
        do_detail(image, segs_of(BOX), pipe_with(unet, **{part: value}))


def test_inpaint_pipes_and_empty_prompts_still_pass(image: torch.Tensor, mask: torch.Tensor) -> None:
    pipe = unet_pipe(in_channels=9)
    for widgets in ({}, {"inpaint_model": True}):
        assert torch.isfinite(detail(image, mask, pipe_with(pipe, negative=[]), **widgets).image).all()


def test_pictures_of_bytes(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    bytes_ = (image * 255).round().to(torch.uint8)
    wanted = detail(bytes_.float() / 255, mask, unet).image
    for kind in (torch.uint8, torch.int64):
        assert torch.equal(detail(bytes_.to(kind), mask, unet).image, wanted)


@pytest.mark.parametrize("form", ["complex64", "sparse", "meta"])
def test_tensors_that_are_no_picture(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, form: str) -> None:
    ways = {"complex64": lambda one: one.to(torch.complex64), "sparse": torch.Tensor.to_sparse, "meta": torch.Tensor.to}
    other = [one.to("meta") if form == "meta" else ways[form](one) for one in (image, mask)]
    with pytest.raises(InputError, match=f"^MaskDetailerPipe, input 'image': a tensor of .*{form}.* is no picture"):
        detail(other[0], mask, unet)
    with pytest.raises(InputError, match=f"^MaskDetailerPipe, input 'mask': a tensor of .*{form}.* is no mask"):
        detail(image, other[1], unet)


def test_links_that_are_something_else(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="scheduler_func_opt is a str, not a function"):
        detail(image, mask, unet, scheduler_func_opt="karras")
    with pytest.raises(ValueError, match="the SCHEDULER_FUNC gives a list that is no line of noise levels"):
        detail(image, mask, unet, scheduler_func_opt=lambda model, sampler_name, steps: [1.0, 0.0])
    with pytest.raises(
        InputError, match=r"^DetailerForEach, input 'clip': it is a str and no CLIP, but there is per-se"
    ):
        do_detail(image, segs_of(BOX), pipe_with(unet, clip="clip.safetensors"), wildcard_opt="a face")
    with pytest.raises(
        InputError, match=r"^FaceDetailerPipe, input 'detailer_pipe': its wildcard is a int and no text"
    ):
        NODE_CLASS_MAPPINGS["FaceDetailerPipe"].door.detailer_pipe((*unet, 5, *[None] * 8))
    with pytest.raises(InputError, match="input 'latent_image': it holds samples but no latent as its samples"):
        NODE_CLASS_MAPPINGS["ImpactKSamplerBasicPipe"].door.latent({"samples": "a file"})
