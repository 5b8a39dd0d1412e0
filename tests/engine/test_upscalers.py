"""The upscale group: golden sizes, the order of a step, and what each node leaves as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine.any_sampler import Doubling
from engine.running import Recorder, decibels, near, same, segs_of, unchanged_outside
from engine.tiny_models import (
    FLOW_SCALE,
    Pipe,
    box_vae,
    conditioning,
    lossless_vae,
    mask_of,
    picture,
    pipe_with,
    still_clip_model,
    tiny_control_net,
)
from mask_detailer.core import Size, resample
from mask_detailer.nodes import upscaler_providers as providers
from mask_detailer.nodes import upscalers as nodes
from mask_detailer.nodes.samplers import KSamplerProvider
from mask_detailer.nodes.validate import InputError

import nodes as comfy_nodes

WIDGETS: dict[str, Any] = dict(seed=7, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=0.5)


def latent_of(*shape: int, **more: Any) -> dict[str, Any]:
    samples = torch.randn(*(shape or (1, 4, 8, 16)), generator=torch.Generator().manual_seed(1))
    return {"samples": samples, **more}


def provided(pipe: Pipe, **changes: Any) -> Any:
    widgets = WIDGETS | dict(scale_method="bilinear", use_tiled_vae=False, tile_size=512) | changes
    return providers.PixelKSampleUpscalerProviderPipe().doit(basic_pipe=pipe, **widgets)[0]


def upscaled(upscaler: Any, latent: Any, factor: float = 2.0, steps: int = 2, mode: str = "simple") -> dict[str, Any]:
    given, vae = nodes.IterativeLatentUpscale().doit(
        samples=latent, upscale_factor=factor, steps=steps, temp_prefix="", upscaler=upscaler, step_mode=mode,
        unique_id="7",
    )  # fmt: skip
    assert vae is upscaler.vae
    return given


class Noting:
    """An UPSCALER of another pack that remembers what it is asked."""

    def __init__(self, vae: Any) -> None:
        self.vae, self.sizes, self.infos, self.masks = vae, [], [], []

    def upscale_shape(self, info: Any, latent: Any, w: float, h: float, prefix: Any) -> Any:
        self.infos.append(info)
        self.sizes.append((round(w, 1), round(h, 1)))
        self.masks.append(latent.get("noise_mask"))
        return {"samples": torch.zeros(1, 4, int(h) // 8, int(w) // 8)}


# --- sizes --------------------------------------------------------------------------------------------------------

GOLDEN = [
    (2, 4, "simple", [(160, 80), (192, 96), (224, 112), (256, 128)]),
    (2, 4, "geometric", [(152.2, 76.1), (181.0, 90.5), (215.3, 107.6), (256, 128)]),
    (1.5, 3, "geometric", [(146.5, 73.3), (167.7, 83.9), (192, 96)]),
    (2, 1, "simple", [(256, 128)]),
    (1, 3, "simple", [(128, 64)] * 3),
    (1, 1, "geometric", [(128, 64)]),
]


@pytest.mark.parametrize(("factor", "steps", "mode", "sizes"), GOLDEN)
def test_sizes(unet: Pipe, factor: float, steps: int, mode: str, sizes: list[tuple[float, float]]) -> None:
    upscaler, mask = Noting(unet[2]), torch.ones(1, 64, 128)
    latent = latent_of(noise_mask=mask)
    upscaled(upscaler, latent, factor, steps, mode)
    assert upscaler.sizes == sizes
    assert upscaler.infos == [(index, steps) for index in range(steps)]
    assert all(one is mask for one in upscaler.masks)


def test_clips_grow_by_their_last_two_axes() -> None:
    """Latents with a time axis, of one picture and of several frames: each frame is scaled."""
    prompt = conditioning(torch.Generator().manual_seed(1))
    vae = box_vae(16, FLOW_SCALE, frames=True)
    pipe = (still_clip_model(), None, vae, prompt, prompt)
    for frames in (1, 3):
        clip = torch.cat([picture(64, 128, seed=seed) for seed in range(frames)])
        latent = {"samples": vae.encode(clip)}
        assert latent["samples"].shape == (1, 16, frames, 8, 16)
        given = upscaled(provided(pipe, denoise=0.0), latent, 2.0)["samples"]
        assert given.shape == (1, 16, frames, 16, 32)
        made = vae.decode(given).reshape(frames, 128, 256, 3)
        wanted = resample(clip, Size(128, 256))
        for frame in range(frames):
            likeness = [decibels(made[frame], other) for other in wanted]
            assert max(likeness) == likeness[frame] > 19
        sampled = upscaled(provided(pipe), latent, 2.0)["samples"]
        assert sampled.shape == given.shape and torch.isfinite(sampled).all()


def test_denoise_0_only_scales(unet: Pipe) -> None:
    latent = latent_of()
    before = latent["samples"].clone()
    given = upscaled(provided(unet, denoise=0.0), latent, 1.0, 2)
    torch.testing.assert_close(given["samples"], unet[2].encode(unet[2].decode(before)), atol=0.05, rtol=0)
    assert torch.equal(latent["samples"], before)


# --- one step -----------------------------------------------------------------------------------------------------


def test_a_step_is_scaled_encoded_and_sampled_as_comfyui_does(unet: Pipe) -> None:
    model, _, vae, positive, negative = unet
    latent = {"samples": vae.encode(picture(64, 64))}
    given = upscaled(provided(unet), latent, 1.5, 1)
    [scaled] = comfy_nodes.ImageScale().upscale(vae.decode(latent["samples"]), "bilinear", 96, 96, "disabled")
    [wanted] = comfy_nodes.KSampler().sample(
        model, positive=positive, negative=negative, latent_image={"samples": vae.encode(scaled)}, **WIDGETS
    )
    torch.testing.assert_close(given["samples"], wanted["samples"], atol=1e-3, rtol=0)


def test_the_order_of_a_step(unet: Pipe) -> None:
    hook, mask = Recorder(), torch.ones(1, 64, 128)
    given = upscaled(provided(unet, pk_hook_opt=hook), latent_of(noise_mask=mask), 1.5, 2)
    one = ["set_steps", "post_decode", "post_upscale", "post_encode", "pre_ksample"]
    assert hook.names == one * 2
    assert hook.all("set_steps") == [(0, 2), (1, 2)]
    assert [tuple(pixels.shape) for pixels in hook.all("post_upscale")] == [(1, 80, 160, 3), (1, 96, 192, 3)]
    assert [call[1] for call in hook.seen["pre_ksample"]] == [7, 7]  # the same seed in every step
    assert given["noise_mask"] is mask


def test_a_hook_s_ten_answers_count(unet: Pipe) -> None:
    class Hook(Recorder):
        def pre_ksample(self, *call: Any) -> Any:
            return (*call[:8], latent_of(1, 4, 5, 6), 0.0)

    given = upscaled(provided(unet, pk_hook_opt=Hook()), latent_of(), 1.5, 1)
    assert same(given["samples"], latent_of(1, 4, 5, 6)["samples"])


def test_an_upscale_model_is_asked_until_it_is_large_enough(unet: Pipe) -> None:
    model = Doubling()
    sizes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape[-2:])))
    given = upscaled(provided(unet, upscale_model_opt=model, denoise=0.0), latent_of(1, 4, 4, 4), 3.0, 1)
    assert sizes == [(32, 32), (64, 64)]
    assert given["samples"].shape == (1, 4, 12, 12)


def test_a_tile_control_net(unet: Pipe, tmp_path: Path) -> None:
    latent = {"samples": unet[2].encode(picture(64, 64))}
    net = tiny_control_net(tmp_path)
    plain, none, made = (
        upscaled(provided(unet, **more), latent, 1.5, 1)["samples"]
        for more in ({}, {"tile_cnet_opt": net, "tile_cnet_strength": 0.0}, {"tile_cnet_opt": net})
    )
    assert same(plain, none)
    assert float((made - plain).abs().mean()) > 1e-3


def test_previews_are_kept_in_the_temp_folder(unet: Pipe, tmp_path: Path) -> None:
    import folder_paths

    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    try:
        for prefix in ("steps", "../../outside"):
            nodes.IterativeLatentUpscale().doit(
                samples=latent_of(), upscale_factor=1.5, steps=2, temp_prefix=prefix, upscaler=provided(unet),
                step_mode="simple", unique_id="7",
            )  # fmt: skip
    finally:
        folder_paths.set_temp_directory(before)
    assert len([*tmp_path.rglob("steps_*.webp")]) == 2
    assert not [*tmp_path.parent.glob("outside*")] and not [*tmp_path.rglob("outside*")]


def test_tiles(unet: Pipe) -> None:
    """Latents of one tile are sampled whole, with the same hooks and mask; the VAE goes in tiles."""
    hook, mask = Recorder(), torch.ones(1, 64, 128)
    tiling = dict(tile_width=512, tile_height=320, tiling_strategy="random")
    model, _, vae, positive, negative = unet
    upscaler = providers.PixelTiledKSampleUpscalerProvider().doit(
        model=model, vae=vae, positive=positive, negative=negative, scale_method="bilinear", pk_hook_opt=hook,
        **WIDGETS, **tiling,
    )[0]  # fmt: skip
    assert upscaler.is_tiled and upscaler.tile_size == 512
    given = upscaled(upscaler, latent_of(noise_mask=mask), 1.5, 2)
    assert hook.names[:5] == ["set_steps", "post_decode", "post_upscale", "post_encode", "pre_ksample"]
    wanted = upscaled(provided(unet), latent_of(noise_mask=mask), 1.5, 2)
    torch.testing.assert_close(given["samples"], wanted["samples"], atol=0.05, rtol=0)


def test_an_interrupt_ends_it(unet: Pipe) -> None:
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        upscaled(provided(unet), latent_of())


def test_a_size_beyond_all_use_is_refused(unet: Pipe) -> None:
    with pytest.raises(
        InputError, match=r"^IterativeLatentUpscale, input 'upscale_factor': the picture would be 1280000x"
    ):
        upscaled(provided(unet), latent_of(), 10000.0)


# --- two samplers -------------------------------------------------------------------------------------------------

FULL = {
    "none": "000000", "interleave1": "010101", "interleave2": "001001", "interleave3": "000100", "last1": "000001",
    "last2": "000011", "interleave1+last1": "010101", "interleave2+last1": "001001", "interleave3+last1": "000101",
}  # fmt: skip


class Sampler:
    """A KSAMPLER that writes down its name and under which mask it samples."""

    def __init__(self, name: str, log: list[tuple[str, Any]]) -> None:
        self.name, self.log = name, log

    def sample(self, latent: Any, hook: Any = None) -> Any:
        self.log.append((self.name, latent.get("noise_mask")))
        return dict(latent)


def two_samplers(pipe: Pipe, schedule: str, base: Any, masked: Any, full: Any = None, **more: Any) -> Any:
    return providers.TwoSamplersForMaskUpscalerProviderPipe().doit(
        scale_method="bilinear", full_sample_schedule=schedule, use_tiled_vae=False, base_sampler=base,
        mask_sampler=masked, mask=mask_of(64, 128, (64, 16, 112, 48)), basic_pipe=pipe, tile_size=512,
        full_sampler_opt=full, **more,
    )[0]  # fmt: skip


@pytest.mark.parametrize("schedule", FULL)
def test_when_all_of_the_picture_is_sampled(unet: Pipe, schedule: str) -> None:
    log: list[tuple[str, Any]] = []
    upscaler = two_samplers(unet, schedule, *(Sampler(name, log) for name in ("base", "mask", "full")))
    upscaled(upscaler, latent_of(noise_mask=torch.ones(1, 64, 128)), 1.5, 6)
    pairs = [(log[i][0], log[i + 1][0]) for i in range(0, 12, 2)]
    assert pairs == [("base", "full") if full == "1" else ("base", "mask") for full in FULL[schedule]]
    for name, mask in log:
        if name == "full" or (name, mask) == ("base", None):
            assert mask is None
        else:
            assert mask.shape == (1, 1, 64, 128)


def test_the_mask_is_where_it_is(unet: Pipe) -> None:
    """Under it the mask sampler has changed the latent, elsewhere nothing has."""
    still = KSamplerProvider().doit(basic_pipe=unet, **(WIDGETS | {"denoise": 0.0}))[0]
    acting = KSamplerProvider().doit(basic_pipe=unet, **WIDGETS)[0]
    latent = {"samples": unet[2].encode(picture(64, 128))}
    given, plain = (
        upscaled(two_samplers(unet, "none", still, one), latent, 1.0, 1)["samples"] for one in (acting, still)
    )
    changed = (given - plain).abs().amax(dim=(0, 1))
    inside = mask_of(8, 16, (8, 2, 14, 6))[0].bool()
    assert float(changed[inside].min()) > 0.01
    assert float(changed[~inside].max()) < 1e-4
    assert "noise_mask" not in latent


# --- LatentPixelScale, ReencodeLatent -----------------------------------------------------------------------------


def test_a_latent_scaled_by_its_picture(unet: Pipe) -> None:
    mask = torch.ones(1, 64, 72)
    latent = latent_of(1, 4, 8, 9, noise_mask=mask, batch_index=[3])
    given, pixels = nodes.LatentPixelScale().doit(
        samples=latent, scale_method="lanczos", scale_factor=1.3, vae=unet[2], use_tiled_vae=False
    )
    assert pixels.shape == (1, 83, 93, 3)
    assert given["samples"].shape == (1, 4, 10, 11)
    assert given["noise_mask"] is mask and given["batch_index"] == [3]
    _, larger = nodes.LatentPixelScale().doit(
        samples=latent, scale_method="area", scale_factor=1.5, vae=unet[2], use_tiled_vae=True,
        upscale_model_opt=Doubling(),
    )  # fmt: skip
    assert larger.shape == (1, 96, 108, 3)


@pytest.mark.parametrize("mode", ["None", "Both", "Decode(input) only", "Encode(output) only"])
def test_a_latent_of_another_vae(unet: Pipe, flow: Pipe, mode: str) -> None:
    image = picture(64, 72)
    latent = {"samples": unet[2].encode(image), "noise_mask": torch.ones(1, 64, 72)}
    [given] = nodes.ReencodeLatentPipe().doit(
        samples=latent, tile_mode=mode, input_basic_pipe=unet, output_basic_pipe=flow
    )
    wanted = flow[2].encode(unet[2].decode(latent["samples"]))
    torch.testing.assert_close(given["samples"], wanted, atol=1e-3, rtol=0)
    assert given["noise_mask"] is latent["noise_mask"]
    [again] = nodes.ReencodeLatent().doit(
        samples=latent, tile_mode=mode, input_vae=unet[2], output_vae=flow[2], tile_size=512
    )
    assert same(again["samples"], given["samples"])


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_to_the_pixel(unet: Pipe, channels: int) -> None:
    """64x72 by 1.5 is 108 wide, whatever the cells; and what is no whole cell is not cut off."""
    vae = lossless_vae()
    pipe = pipe_with(unet, vae=vae)
    for size in ((72, 64), (61, 83)):
        image = torch.cat([picture(*size), picture(*size, seed=1)])
        given = image if channels == 3 else torch.cat([image, image[..., :1]], dim=-1)
        [made] = nodes.IterativeImageUpscale().doit(
            pixels=given, upscale_factor=1.5, steps=2, temp_prefix="", upscaler=provided(pipe, denoise=0.0),
            vae=vae, step_mode="simple", unique_id="7",
        )  # fmt: skip
        wanted = resample(given, Size(int(size[0] * 1.5), int(size[1] * 1.5)))
        assert made.shape == wanted.shape
        assert decibels(made[..., :3], wanted[..., :3]) > 30
        if channels == 4:
            torch.testing.assert_close(made[..., 3], wanted[..., 3].clamp(0, 1))


# --- SEGSUpscaler -------------------------------------------------------------------------------------------------

SEGS_WIDGETS: dict[str, Any] = dict(
    resampling_method="lanczos", supersample="true", rounding_modulus=8, feather=4, inpaint_model=False,
    noise_mask_feather=0,
)  # fmt: skip


def segs_upscaled(pipe: Pipe, image: torch.Tensor, segs: Any, factor: float = 1.5, **changes: Any) -> torch.Tensor:
    widgets = WIDGETS | SEGS_WIDGETS | changes
    return nodes.SEGSUpscalerPipe().doit(image=image, segs=segs, basic_pipe=pipe, rescale_factor=factor, **widgets)[0]


@pytest.mark.parametrize("method", ["lanczos", "nearest", "bilinear", "bicubic"])
def test_nothing_but_the_segments_is_sampled(unet: Pipe, method: str) -> None:
    image, segs = picture(96, 112), segs_of((40, 30, 60, 60))
    plain = segs_upscaled(unet, image, (segs[0], []), resampling_method=method)
    assert plain.shape == (1, 144, 168, 3)
    made = segs_upscaled(unet, image, segs, resampling_method=method)
    assert unchanged_outside(made, plain, near(mask_of(144, 168, (60, 45, 90, 90)), 6))
    assert float((made - plain)[:, 50:85, 65:85].abs().mean()) > 0.005


def test_factor_1_leaves_the_picture_bit_for_bit(unet: Pipe) -> None:
    image = picture(96, 112)
    for supersample in ("true", "false"):
        assert torch.equal(segs_upscaled(unet, image, ((96, 112), []), 1.0, supersample=supersample), image)


def test_batches_and_alpha(unet: Pipe) -> None:
    frames, segs = torch.cat([picture(96, 112), picture(96, 112, seed=1)]), segs_of((40, 30, 60, 60))
    both = segs_upscaled(unet, frames, segs)
    for index in (0, 1):
        alone = segs_upscaled(unet, frames[index : index + 1], segs)
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-4, rtol=0)  # two crops at once
    alpha = torch.rand(2, 96, 112, 1, generator=torch.Generator().manual_seed(1))
    made = segs_upscaled(unet, torch.cat([frames, alpha], dim=-1), segs)
    assert torch.equal(made[..., :3], both)
    torch.testing.assert_close(made[..., 3:], resample(alpha, Size(144, 168)).clamp(0, 1))


def test_sides_are_multiples(unet: Pipe) -> None:
    made = segs_upscaled(unet, picture(61, 83), ((61, 83), []), 1.0, rounding_modulus=32)
    assert made.shape == (1, 64, 96, 3)


def test_both_forms_are_the_same_and_a_hook_sees_the_picture(unet: Pipe) -> None:
    model, clip, vae, positive, negative = unet
    image, segs, hook = picture(96, 112), segs_of((40, 30, 60, 60)), Recorder()
    given = nodes.SEGSUpscaler().doit(
        image=image, segs=segs, model=model, clip=clip, vae=vae, positive=positive, negative=negative,
        rescale_factor=1.5, upscale_model_opt=Doubling(), upscaler_hook_opt=hook, **WIDGETS, **SEGS_WIDGETS,
    )[0]  # fmt: skip
    assert torch.equal(given, segs_upscaled(unet, image, segs, upscale_model_opt=Doubling()))
    assert [tuple(seen.shape) for seen in hook.all("post_paste")] == [(1, 144, 168, 3)]
