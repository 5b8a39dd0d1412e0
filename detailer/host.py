"""ComfyUI as the engine sees it: all that a new release may change.

Only this file and ``host_detectors``, for ComfyUI's detection models, know its internals. ComfyUI is imported inside
the functions, so that the pack imports quickly and without it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core import Size
from .values import SEED_COUNT, Conditioning, Latent, SchedulerFunc

logger = logging.getLogger("mask_detailer")

DEFAULT_PIXELS_PER_CELL = 8

# Schedules that ComfyUI keeps in nodes of their own: name -> (module, class, arguments before and after the steps).
_NODE_SCHEDULES: dict[str, tuple[str, str, tuple[Any, ...], tuple[Any, ...]]] = {
    "AYS SDXL": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SDXL",), (1.0,)),
    "AYS SD1": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SD1",), (1.0,)),
    "AYS SVD": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SVD",), (1.0,)),
    "GITS[coeff=1.2]": ("comfy_extras.nodes_gits", "GITSScheduler", (1.2,), (1.0,)),
    "LTXV[default]": ("comfy_extras.nodes_lt", "LTXVScheduler", (), (2.05, 0.95, True, 0.1)),
    "OSS FLUX": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("FLUX",), (1.0,)),
    "OSS Wan": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("Wan",), (1.0,)),
    "OSS Chroma": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("Chroma",), (1.0,)),
}

# How back ends without an error type of their own say it; "illegal memory access" is another matter.
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")

# These draw from a Brownian tree over the sigmas they are given; the known way gives them the whole schedule's.
_BROWNIAN_SAMPLERS = {"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"}

# And these from one over the part of the schedule that is run.
_BROWNIAN_OVER_PART = {"dpmpp_2m_sde_heun"}

# One error estimate for the whole batch, or noise drawn for all of it at once.
_COUPLING_SAMPLERS = {"dpm_adaptive", "ar_video"}

# More crops at once win nothing on today's hardware. On a CPU small ones do, as long as all their latent cells stay
# near its caches; larger ones are slower together.
MOST_AT_ONCE = 16
MOST_CELLS_ON_CPU = 2048

# The VAE takes this many pixels at once: it needs some hundred times as many values on its way.
_VAE_PIXELS = 2**20

# How many pixels and frames one cell of an empty latent stands for, where it says so.
_EMPTY_LATENT_RATIOS = ("downscale_ratio_spacial", "downscale_ratio_temporal")


def sampler_names() -> list[str]:
    """The samplers of the running ComfyUI, packs' own ones included."""
    import comfy.samplers

    return list(comfy.samplers.KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """The schedulers of the running ComfyUI, then those it keeps in nodes of their own."""
    return [*core_scheduler_names(), *extra_scheduler_names()]


def core_scheduler_names() -> list[str]:
    """The schedulers of the running ComfyUI's KSampler, packs' own ones included."""
    import comfy.samplers

    return list(comfy.samplers.KSampler.SCHEDULERS)


def extra_scheduler_names() -> list[str]:
    """The schedules that ComfyUI keeps in nodes of their own."""
    return list(_NODE_SCHEDULES)


def lora_names() -> list[str]:
    """The LoRA files that the running ComfyUI sees, by their path under its folders."""
    import folder_paths

    return list(folder_paths.get_filename_list("loras"))


def find_lora(name: str) -> str | None:
    """The entry of ``lora_names`` that a text means, None if there is none.

    Without a model file's ending, ``.safetensors`` is meant. The whole name counts first, then the end of a path from a
    folder on, then any end. Only ComfyUI's own list is looked through: a path elsewhere on the disk is never opened.
    """
    import folder_paths

    wanted = name.replace("\\", "/")
    if not wanted.strip("/"):
        return None
    if not wanted.lower().endswith(tuple(folder_paths.supported_pt_extensions)):
        wanted += ".safetensors"
    listed = {entry.replace("\\", "/"): entry for entry in lora_names()}
    for fits in (wanted.__eq__, lambda entry: entry.endswith(f"/{wanted}"), lambda entry: entry.endswith(wanted)):
        for entry in listed:
            if fits(entry):
                return listed[entry]
    return None


def intermediate_device() -> torch.device:
    """Where ComfyUI wants pictures, masks and latents between nodes."""
    import comfy.model_management

    return comfy.model_management.intermediate_device()


def sampling_device() -> torch.device:
    """Where ComfyUI samples: the GPU, unless there is none."""
    import comfy.model_management

    return comfy.model_management.get_torch_device()


def check_interrupted() -> None:
    """Raise ComfyUI's interrupt if the user asked for one. It must never be caught."""
    import comfy.model_management

    comfy.model_management.throw_exception_if_processing_interrupted()


# --- VAE ----------------------------------------------------------------------------------------------------------


def pixels_per_cell(vae: Any) -> int:
    """How many pixels a side of the VAE's latent cell covers."""
    ratio = getattr(vae, "spacial_compression_encode", None)
    return int(ratio()) if ratio is not None else DEFAULT_PIXELS_PER_CELL


def encode(vae: Any, pixels: torch.Tensor, tiled: bool = False) -> torch.Tensor:
    """``[B,H,W,3]`` -> the latents ``[B,C,h,w]`` or ``[B,C,T,h,w]``; tiled where that is asked or memory runs out."""

    def some(part: torch.Tensor) -> torch.Tensor:
        if tiled:
            return _encode_in_tiles(vae, part)
        return _tiled_on_oom("encode", lambda: vae.encode(part), lambda: _encode_in_tiles(vae, part))

    # a video VAE takes a batch for the frames of one clip
    at_once = 1 if getattr(vae, "latent_dim", 2) == 3 else _vae_items(pixels.shape[1] * pixels.shape[2])
    return _joined([some(part) for part in pixels.split(at_once)])


def decode(vae: Any, samples: torch.Tensor, tiled: bool = False) -> torch.Tensor:
    """Latents -> ``[B,H,W,3]`` float32, the first frames where the VAE gives clips; tiled as in ``encode``."""

    def some(part: torch.Tensor) -> torch.Tensor:
        def in_tiles() -> torch.Tensor:
            return vae.decode_tiled(part, **_tile(vae))

        pixels = in_tiles() if tiled else _tiled_on_oom("decode", lambda: vae.decode(part), in_tiles)
        return pixels[:, 0] if pixels.ndim == 5 else pixels

    at_once = 1 if samples.ndim == 5 else _vae_items(samples.shape[2] * samples.shape[3] * pixels_per_cell(vae) ** 2)
    return _joined([some(part) for part in samples.split(at_once)]).to(intermediate_device(), torch.float32)


def _vae_items(pixels: int) -> int:
    return max(_VAE_PIXELS // pixels, 1)


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def encode_for_inpainting(
    positive: Conditioning,
    negative: Conditioning,
    vae: Any,
    pixels: torch.Tensor,
    noise_mask: torch.Tensor,
    tiled: bool = False,
) -> tuple[Conditioning, Conditioning, Latent]:
    """ComfyUI's InpaintModelConditioning on crops ``[B,H,W,3]``, encoded as in ``encode``.

    Args:
        negative: a placeholder is passed on.
        noise_mask: ``[B,h,w]``.
    """
    node = _node("nodes", "InpaintModelConditioning")()
    has_negative = not isinstance(negative, str)
    positive, other, latent = node.encode(
        positive, negative if has_negative else positive, pixels, _Encoder(vae, tiled), noise_mask, noise_mask=True
    )
    if len(pixels) > 1 and latent["samples"].ndim == 5:
        positive, other = _mask_for_each_clip(positive), _mask_for_each_clip(other)
    return positive, other if has_negative else negative, latent


def _mask_for_each_clip(conditioning: Conditioning) -> Conditioning:
    """Of four axes ComfyUI takes a mask's first for the frames of one clip."""
    if isinstance(conditioning, str):
        return conditioning
    return [
        [embedding, {**options, "concat_mask": options["concat_mask"][:, :, None]}]
        for embedding, options in conditioning
    ]


@dataclass(frozen=True)
class _Encoder:
    """A VAE that encodes as we do."""

    vae: Any
    tiled: bool

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return encode(self.vae, pixels, self.tiled)


def _encode_in_tiles(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Tiles of 512 pixels that share 64: ComfyUI's own sizes, which older releases lack for VAEs with a time axis."""
    return vae.encode_tiled(pixels, tile_x=512, tile_y=512, overlap=64)


def _tile(vae: Any) -> dict[str, int]:
    """Sizes in latent cells for tiles of 512 pixels that share 64."""
    ratio = pixels_per_cell(vae)
    return {"tile_x": max(512 // ratio, 1), "tile_y": max(512 // ratio, 1), "overlap": max(64 // ratio, 1)}


def _tiled_on_oom(what: str, whole: Callable[[], Any], tiled: Callable[[], Any]) -> Any:
    """ComfyUI's VAE retries in tiles by itself; this does it for VAEs of other packs."""
    try:
        return whole()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        logger.warning("VAE %s ran out of memory (%s): trying again in tiles", what, error)
    free_memory()
    return tiled()


def free_memory() -> None:
    """Give back what is held but not used, after memory ran out."""
    import comfy.model_management

    comfy.model_management.soft_empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    import comfy.model_management

    oom = comfy.model_management.OOM_EXCEPTION
    if oom is not Exception and isinstance(error, oom):
        return True
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


# --- model and conditioning ---------------------------------------------------------------------------------------


def with_differential_diffusion(model: Any) -> Any:
    """The model with ComfyUI's Differential Diffusion, or as it is where it has a denoise mask function already."""
    if "denoise_mask_function" in model.model_options:
        return model
    node = _node("comfy_extras.nodes_differential_diffusion", "DifferentialDiffusion")
    return _run(node, model)


def encode_text(clip: Any, text: str) -> Conditioning:
    """A prompt as conditioning."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def join_conditioning(first: Conditioning, second: Conditioning) -> Conditioning:
    """Both prompts' tokens one after another, in every entry of the first (ComfyUI's ConditioningConcat)."""
    return _run(_node("nodes", "ConditioningConcat"), first, second)


def with_guidance(positive: Conditioning, guidance: float) -> Conditioning:
    """The positive with the distilled guidance set."""
    import node_helpers

    return node_helpers.conditioning_set_values(positive, {"guidance": guidance})


def lora_loader() -> Any:
    """One of ComfyUI's LoRA loaders; it remembers the last file that it read."""
    return _node("nodes", "LoraLoader")()


def with_lora(loader: Any, model: Any, clip: Any, name: str, strength: float, clip_strength: float) -> tuple[Any, Any]:
    """Copies of model and CLIP with a LoRA, an entry of ``lora_names``."""
    model, clip = _outputs(loader, model, clip, name, strength, clip_strength)[:2]
    return model, clip


def with_lora_blocks(
    model: Any, clip: Any, name: str, strength: float, clip_strength: float, A: float, B: float, vector: str
) -> tuple[Any, Any] | None:
    """The same with a weight for each block, through the Inspire Pack's loader; None where the pack is absent."""
    import nodes

    node = nodes.NODE_CLASS_MAPPINGS.get("LoraLoaderBlockWeight //Inspire")
    if node is None:
        return None
    inverse, seed, preset = False, 0, ""
    outputs = _outputs(node, model, clip, name, strength, clip_strength, inverse, seed, A, B, preset, vector)
    return outputs[0], outputs[1]


def with_control_net(
    positive: Conditioning,
    negative: Conditioning,
    control_net: Any,
    hint: torch.Tensor,
    strength: float,
    percents: tuple[float, float],
    vae: Any = None,
) -> tuple[Conditioning, Conditioning]:
    """Both conditionings with a ControlNet (ComfyUI's ControlNetApplyAdvanced); a negative placeholder is passed on.

    Args:
        hint: ``[n,h,w,3]`` of any size: ComfyUI brings it to the size that is sampled.
        percents: the part of the schedule where it works, 0..1.
        vae: for ControlNets that work on latents.
    """
    has_negative = not isinstance(negative, str)
    arguments = [positive, negative if has_negative else [], control_net, hint, strength, *percents]
    if vae is not None:
        arguments.append(vae)
    positive, other = _outputs(_node("nodes", "ControlNetApplyAdvanced"), *arguments)
    return positive, other if has_negative else negative


def with_control_net_on_positive(
    positive: Conditioning, control_net: Any, hint: torch.Tensor, strength: float
) -> Conditioning:
    """The positive with a ControlNet, used for the negative too while sampling (ComfyUI's older ControlNetApply)."""
    return _run(_node("nodes", "ControlNetApply"), positive, control_net, hint, strength)


def needs_vae(control_net: Any) -> bool:
    """Whether a ControlNet works on latents, so that its hint must be encoded."""
    return getattr(control_net, "latent_format", None) is not None


def crop_control(control: Any, crop: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A copy of a ControlNet, and of all that it is chained to, with cropped hints.

    One that cannot be cut is left out of the chain with a warning; None where nothing is left.
    """
    if control is None:
        return None
    previous = crop_control(getattr(control, "previous_controlnet", None), crop)
    hint = getattr(control, "cond_hint_original", None)
    if hint is None or not hasattr(control, "copy"):
        logger.warning("a ControlNet of the kind %s can't be cut to a segment: left out", type(control).__name__)
        return previous
    copied = control.copy()
    copied.cond_hint_original = crop(hint)
    copied.extra_concat_orig = [
        crop(extra) if min(extra.shape[-2:]) > 1 else extra for extra in getattr(control, "extra_concat_orig", [])
    ]
    copied.set_previous_controlnet(previous)
    return copied


# --- schedules and sampling ---------------------------------------------------------------------------------------


def sigmas_for(
    model: Any, sampler_name: str, scheduler: str, steps: int, scheduler_func: SchedulerFunc | None = None
) -> torch.Tensor:
    """The noise levels of a whole schedule, descending, on the CPU: normally ``steps + 1`` of them, the last one 0.

    Some samplers get one step more and lose the last level but one, as in ComfyUI's KSampler; a scheduler function's
    result is taken as it is.
    """
    import comfy.samplers

    if scheduler_func is not None:
        return scheduler_func(model, sampler_name, steps).clone().cpu()
    discard = sampler_name in comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
    steps += 1 if discard else 0
    if scheduler in _NODE_SCHEDULES:
        module, name, before, after = _NODE_SCHEDULES[scheduler]
        sigmas = _run(_node(module, name), *before, steps, *after)
    else:
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
    return torch.cat([sigmas[:-2], sigmas[-1:]]).cpu() if discard else sigmas.cpu()


def gits_sigmas(coeff: float, steps: int, denoise: float) -> torch.Tensor:
    """ComfyUI's GITS schedule, for the nearest ``coeff`` that it has a table for: 0.80 to 1.50 in steps of 0.05."""
    coeff = round(min(max(round(coeff * 20) / 20, 0.8), 1.5), 2)
    return _run(_node("comfy_extras.nodes_gits", "GITSScheduler"), coeff, steps, denoise)


def couples_crops(sampler_name: str) -> bool:
    """Whether a sampler lets one item of a batch change another: by a step size of all, or by noise for all."""
    return sampler_name in _COUPLING_SAMPLERS


def sampler_for(name: str, model: Any, noise: torch.Tensor, whole_sigmas: torch.Tensor, seeds: Sequence[int]) -> Any:
    """A SAMPLER by name, which draws for each item of the batch what it would draw for it alone.

    The Brownian kinds draw from one tree over the whole schedule's sigmas, so that a run that starts within the
    schedule and a run in two stages stay on the same path.

    Args:
        noise: ``[n,...]``, what sampling starts from.
        seeds: one for the whole batch, or one an item.
    """
    import comfy.samplers

    if name.removesuffix("_gpu") not in _BROWNIAN_SAMPLERS:
        sampler = comfy.samplers.sampler_object(name)
        return sampler if len(seeds) == 1 else _with_streams(name, sampler, seeds)
    like = noise.to(model.load_device if name.endswith("_gpu") else "cpu", torch.float32)
    items = zip(_items(like, seeds), seeds, strict=True)
    trees = [_brownian(name, item, whole_sigmas, seed) for item, seed in items]
    return comfy.samplers.ksampler(name, {"noise_sampler": _side_by_side(trees)})


NoiseSampler = Callable[[Any, Any], torch.Tensor]


def _brownian(name: str, like: torch.Tensor, sigmas: torch.Tensor, seed: int) -> NoiseSampler:
    """A Brownian tree over ``sigmas``; samplers with plain names draw on the CPU."""
    import comfy.k_diffusion.sampling

    lowest, highest = sigmas[sigmas > 0].min(), sigmas.max()
    on_cpu = not name.endswith("_gpu")
    return comfy.k_diffusion.sampling.BrownianTreeNoiseSampler(like, lowest, highest, seed=seed, cpu=on_cpu)


def _items(batch: torch.Tensor, seeds: Sequence[int]) -> Sequence[torch.Tensor]:
    return [batch] if len(seeds) == 1 else batch.split(1)


def _side_by_side(streams: Sequence[NoiseSampler]) -> NoiseSampler:
    """The noise samplers of single items as that of their batch."""
    return lambda sigma, sigma_next: torch.cat([stream(sigma, sigma_next) for stream in streams])


def _with_streams(name: str, sampler: Any, seeds: Sequence[int]) -> Any:
    """One of ComfyUI's samplers with noise of its own for each item: what it adds on its way, and what DDIM lays
    under the noise mask.
    """
    import comfy.k_diffusion.sampling
    import comfy.samplers

    def stream(item: torch.Tensor, sigmas: torch.Tensor, seed: int) -> NoiseSampler:
        if name.removesuffix("_gpu") in _BROWNIAN_OVER_PART:
            return _brownian(name, item, sigmas, seed)
        return comfy.k_diffusion.sampling.default_noise_sampler(item, seed=seed)

    function = sampler.sampler_function
    draws = "noise_sampler" in inspect.signature(function).parameters
    lays_under = sampler.inpaint_options.get("random", False)

    def sample(model: Any, x: torch.Tensor, sigmas: Any, extra_args: Any, **others: Any) -> torch.Tensor:
        if lays_under:
            generators = [torch.Generator().manual_seed(_sampler_seed(seed) + 1) for seed in seeds]
            noise = [torch.randn(x[:1].shape, generator=generator) for generator in generators]
            model.noise = torch.cat(noise).to(x.device, x.dtype)
        if draws:
            items = zip(x.split(1), seeds, strict=True)
            others["noise_sampler"] = _side_by_side([stream(item, sigmas, _sampler_seed(seed)) for item, seed in items])
        return function(model, x, sigmas, extra_args=extra_args, **others)

    return comfy.samplers.KSAMPLER(sample, sampler.extra_options)


def _sampler_seed(seed: int) -> int:
    return min(seed, SEED_COUNT - 2)  # samplers add one to it


def noise_for(latent: Latent, seeds: Sequence[int]) -> torch.Tensor:
    """The noise that ComfyUI's KSampler makes for a latent.

    Args:
        seeds: one for the whole batch, or one an item: then each has the noise that it would have alone.
    """
    import comfy.sample

    items = zip(_items(latent["samples"], seeds), seeds, strict=True)
    noises: list[Any] = [comfy.sample.prepare_noise(item, seed, latent.get("batch_index")) for item, seed in items]
    return _joined(noises)


def crops_at_once(model: Any, cells: Size) -> int:
    """How many crops with such a latent fit into memory when they are sampled together, by ComfyUI's own estimate; at
    least 1.
    """
    import comfy.model_management as memory

    device = model.load_device
    on_cpu = memory.is_device_cpu(device)
    if on_cpu or memory.is_device_mps(device):
        free: Any = memory.get_free_memory(device)
        room = free / 2  # the system's, which other programs want too
    else:
        total: Any = memory.get_total_memory(device)
        room = total - memory.minimum_inference_memory() - model.model_size()
    most = MOST_CELLS_ON_CPU // (cells.height * cells.width) if on_cpu else MOST_AT_ONCE
    with_and_without_prompt = [2, 4, *cells]  # the channels don't count
    return max(min(int(room / max(model.model.memory_required(with_and_without_prompt), 1)), most), 1)


def fitted_to(model: Any, latent: Latent) -> Latent:
    """The latent with the number of axes the model wants; an empty one with its channels and size too.

    Empty latents say what size they were made for, which holds no longer afterwards.
    """
    import comfy.sample

    kept = {key: value for key, value in latent.items() if key not in _EMPTY_LATENT_RATIOS}
    ratios = {key: latent[key] for key in _EMPTY_LATENT_RATIOS if key in latent}
    return {**kept, "samples": comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)}


def noise_mask_at(mask: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """A noise mask at the latent's resolution, as ComfyUI scales it while sampling."""
    import comfy.utils

    return comfy.utils.reshape_mask(_mask_for(mask, samples), samples.shape)


def noise_masks_at(masks: Sequence[torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
    """Noise masks of any sizes, one an item, at the latent's resolution with one channel: for one batch."""
    items = zip(masks, samples.split(1), strict=True)
    return torch.cat([noise_mask_at(mask, item)[:, :1] for mask, item in items])


def _mask_for(mask: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Of fewer than five axes ComfyUI takes the first for frames, where the latent has frames.

    So it should for one clip; as many masks as clips are one each.
    """
    if samples.ndim != 5 or mask.ndim == 5:
        return mask
    masks = mask.reshape(-1, 1, 1, *mask.shape[-2:])
    return masks if len(masks) == len(samples) else mask


def sample(
    model: Any,
    positive: Conditioning,
    negative: Conditioning,
    cfg: float,
    latent: Latent,
    noise: torch.Tensor,
    sampler: Any,
    sigmas: torch.Tensor,
    seed: int,
    finish: bool,
    progress: Progress,
) -> torch.Tensor:
    """Run a sampler over ``sigmas``.

    Args:
        negative: a string means sampling without CFG, ``cfg`` being the distilled guidance of the positive.
        finish: return the last predicted clean latent, as the known way does; else the sampler's own last state, its
            noise left in.
        progress: is told of each step.

    Returns:
        the latent on the intermediate device.
    """
    import comfy.samplers
    import comfy.utils

    samples: torch.Tensor = latent["samples"]
    mask = latent.get("noise_mask")
    denoised: list[torch.Tensor] = []

    def on_step(step: int, x0: torch.Tensor, x: torch.Tensor, total: int) -> None:
        denoised[:] = [x0]
        check_interrupted()
        progress.step(step + 1, total, model, x0)

    guider = comfy.samplers.CFGGuider(model)
    if isinstance(negative, str):
        guider.inner_set_conds({"positive": with_guidance(positive, cfg)})
    else:
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
    last: Any = guider.sample(
        noise,
        samples,
        sampler,
        sigmas,
        denoise_mask=None if mask is None else _mask_for(mask, samples),
        callback=on_step,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=_sampler_seed(seed),
    )
    if finish and denoised:
        last = model.model.process_latent_out(denoised[0].to(torch.float32))
    return last.to(intermediate_device(), torch.float32)


def latent_colours(model: Any, x0: torch.Tensor, longest: int) -> torch.Tensor | None:
    """Clean latents ``[B,C,h,w]`` or ``[B,C,T,h,w]`` as rough pictures ``[B,h,w,3]`` float32 0..1 on the CPU.

    By the linear map to colours that ComfyUI has for the model's latent format, of every so many cells that no side is
    above ``longest``; None where it has none. Of frames the first is shown.
    """
    form = model.model.latent_format
    factors = getattr(form, "latent_rgb_factors", None)
    if factors is None or getattr(x0, "is_nested", False):
        return None
    reshape = getattr(form, "latent_rgb_factors_reshape", None)
    latents = x0 if reshape is None else reshape(x0)
    latents = latents[:, :, 0] if latents.ndim == 5 else latents
    if latents.ndim != 4 or latents.shape[1] != len(factors):
        return None
    stride = -(-max(latents.shape[-2:]) // longest)
    latents = latents[..., ::stride, ::stride].to(torch.float32)
    colours = torch.einsum("bchw,cr->bhwr", latents, torch.tensor(factors, device=latents.device))
    bias = getattr(form, "latent_rgb_factors_bias", None)
    if bias is not None:
        colours = colours + torch.tensor(bias, device=latents.device)
    return ((colours + 1.0) / 2.0).clamp(0.0, 1.0).cpu()


# told of a step, of how many there are, of the model and the clean latents so far
OnStep = Callable[[int, int, Any, torch.Tensor], None]


class _Bar:
    """A node's progress bar, and the previewers of the models it shows."""

    LENGTH = 1000

    def __init__(self, on_step: OnStep | None = None) -> None:
        import comfy.utils

        self._bar = comfy.utils.ProgressBar(self.LENGTH)
        self._previewers: dict[int, Any] = {}
        self._on_step = on_step

    def update(self, share: float, preview: Any = None) -> None:
        self._bar.update_absolute(round(share * self.LENGTH), preview=preview)

    def preview(self, model: Any, x0: torch.Tensor) -> Any:
        import latent_preview

        key = id(model)
        if key not in self._previewers:
            self._previewers[key] = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        previewer = self._previewers[key]
        return None if previewer is None else previewer.decode_latent_to_preview_image("JPEG", x0)

    def step(self, step: int, steps: int, model: Any, x0: torch.Tensor) -> None:
        if self._on_step is not None:
            self._on_step(step, steps, model, x0)


class _NoBar:
    """Shows nothing."""

    def update(self, share: float, preview: Any = None) -> None:
        pass

    def preview(self, model: Any, x0: torch.Tensor) -> Any:
        return None

    def step(self, step: int, steps: int, model: Any, x0: torch.Tensor) -> None:
        pass


@dataclass(frozen=True)
class Progress:
    """A stretch of the one bar that a node has over all its work: from ``first`` to ``last``, shares of the whole."""

    bar: _Bar | _NoBar
    first: float = 0.0
    last: float = 1.0

    @classmethod
    def of_node(cls, on_step: OnStep | None = None) -> Progress:
        """The whole bar of the node that is running; ``on_step`` hears of each step what ``step`` is told."""
        return cls(_Bar(on_step))

    @classmethod
    def hidden(cls) -> Progress:
        """Work that the bar doesn't count, such as a hook's."""
        return cls(_NoBar())

    def split(self, parts: int) -> list[Progress]:
        """This stretch in equal parts."""
        return [self.between(i / max(parts, 1), (i + 1) / max(parts, 1)) for i in range(parts)]

    def between(self, first: float, last: float) -> Progress:
        """A part of this stretch, by its shares."""
        length = self.last - self.first
        return Progress(self.bar, self.first + first * length, self.first + last * length)

    def step(self, step: int, steps: int, model: Any, x0: torch.Tensor) -> None:
        """``step`` of ``steps`` of this stretch is done; ``x0``, the clean latent so far, is previewed if it may be."""
        share = min(step / max(steps, 1), 1.0)
        self.bar.update(self.first + (self.last - self.first) * share, self.bar.preview(model, x0))
        self.bar.step(step, steps, model, x0)

    def done(self) -> None:
        """This stretch is over."""
        self.bar.update(self.last)


# --- the server and its folders -----------------------------------------------------------------------------------


def temp_folder(name: str) -> Path:
    """A folder for files that are gone after a restart; the browser finds it as ``subfolder``, type ``temp``."""
    import folder_paths

    folder = Path(folder_paths.get_temp_directory()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wildcard_folders() -> list[Path]:
    """The folders that may hold users' wildcard files, the one that counts most first.

    What is registered as ``wildcards`` with ComfyUI, its base folder's and this pack's ``wildcards``, and those of an
    installed Impact Pack, so that lists made for it keep working.
    """
    import folder_paths

    folders = [Path(folder) for folder in folder_paths.folder_names_and_paths.get("wildcards", ([],))[0]]
    folders += [Path(folder_paths.base_path) / "wildcards", Path(__file__).resolve().parents[1] / "wildcards"]
    for packs in folder_paths.get_folder_paths("custom_nodes"):
        for pack in sorted(Path(packs).glob("*")):
            if pack.name.lower() == "comfyui-impact-pack":
                folders += [*_custom_wildcards(pack), pack / "custom_wildcards", pack / "wildcards"]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _custom_wildcards(pack: Path) -> list[Path]:
    """The folder of one's own that the Impact Pack's settings name."""
    import configparser

    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(pack / "impact-pack.ini", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        logger.warning("the settings in %s can't be read: %s", pack, " ".join(str(error).split()))
    named = settings.get("default", "custom_wildcards", fallback="").strip()
    return [Path(named)] if named else []


def send_event(event: str, data: dict[str, Any]) -> None:
    """Tell all browsers, at once and without waiting; nothing where no server runs."""
    running = _running_server()
    if running is not None:
        running.send_sync(event, data)


@dataclass(frozen=True)
class Browser:
    """The browser, or another client, that queued the running prompt; and which node of it runs.

    Attributes:
        node: as the browser knows it: inside a subgraph with its ids before it, ``12:5``.
        workflow: the id of the workflow that was queued, None where it has none.
    """

    client: str
    prompt_id: str
    node: str
    workflow: str | None

    @property
    def is_connected(self) -> bool:
        running = _running_server()
        return running is not None and self.client in running.sockets

    def send(self, event: str, data: dict[str, Any]) -> None:
        """Tell it, at once and without waiting; the data also say which node, prompt and workflow they are about."""
        running = _running_server()
        if running is not None:
            about = {"node": self.node, "prompt_id": self.prompt_id, "workflow": self.workflow}
            running.send_sync(event, {**about, **data}, self.client)


def browser_of_prompt(wanted: Container[str]) -> Browser | None:
    """The client that queued the running prompt; None where it isn't connected or not one of those ``wanted``."""
    running = _running_server()
    client = getattr(running, "client_id", None)
    if running is None or client is None or client not in running.sockets or client not in wanted:
        return None
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    if context is None:
        return None
    return Browser(client, context.prompt_id, _node_shown(context.node_id), _workflow_of(running, context.prompt_id))


def _node_shown(node_id: str) -> str:
    """The node that the browser has for one that runs, which may be one that it was expanded into."""
    from comfy_execution.progress import get_progress_state

    return str(get_progress_state().dynprompt.get_display_node_id(node_id))


def _workflow_of(running: Any, prompt_id: str) -> str | None:
    for _, queued, _, extra, *_ in list(running.prompt_queue.currently_running.values()):
        if queued == prompt_id:
            workflow = (extra.get("extra_pnginfo") or {}).get("workflow") or {}
            return workflow.get("id")
    return None


def when_serving(call: Callable[[], None]) -> None:
    """Call it once, when all packs are loaded and before the server answers; never where no server starts."""
    running = _running_server()
    if running is None or running.app.on_startup.frozen:
        return

    async def started(_: Any) -> None:
        call()

    running.app.on_startup.append(started)


Query = Mapping[str, str]
# Text, a PNG file, something for JSON, or None for a request that can't be answered (status 400).
Answer = str | bytes | dict[str, Any] | None


def serve_get(path: str, answer: Callable[[Query], Answer]) -> None:
    """Answer GET requests for a path, unless another pack does already."""
    from aiohttp import web

    running = _running_server()
    taken = {resource.canonical for resource in running.app.router.resources()} if running else {path}
    if path in taken:
        return

    async def handler(request: Any) -> Any:
        found = answer(request.query)
        if found is None:
            return web.Response(status=400)
        if isinstance(found, bytes):
            return web.Response(body=found, content_type="image/png")
        return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

    for prefix in ("", "/api"):  # the browser asks under /api, scripts often without
        running.app.router.add_get(prefix + path, handler)


def on_prompt(call: Callable[[Iterable[str]], None]) -> None:
    """Call it with the node ids of each prompt that is queued; never where no server runs."""
    running = _running_server()
    if running is None:
        return

    def queued(data: dict[str, Any]) -> dict[str, Any]:
        call(data.get("prompt") or ())
        return data

    running.add_on_prompt_handler(queued)


def _running_server() -> Any:
    # ComfyUI has imported it where it serves; importing it here would start half a server
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def registered_nodes() -> dict[str, Any]:
    """ComfyUI's own table of node classes by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_CLASS_MAPPINGS", {})


def registered_names() -> dict[str, str]:
    """ComfyUI's own table of nodes' names by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_DISPLAY_NAME_MAPPINGS", {})


def pack_of(node: Any) -> str:
    """The folder name of the pack that a registered node class came with."""
    return str(getattr(node, "RELATIVE_PYTHON_MODULE", node.__module__)).removeprefix("custom_nodes.")


def settings_file() -> Path | None:
    """Where the pack's settings may lie; None where ComfyUI does not run."""
    folders = sys.modules.get("folder_paths")
    return None if folders is None else Path(folders.get_user_directory()) / "mask_detailer.json"


# --- files --------------------------------------------------------------------------------------------------------


def save_previews(pictures: Iterable[torch.Tensor], prefix: str) -> list[dict[str, str]]:
    """Write pictures ``[H,W,3 or 4]`` float 0..1 as lossy WebP files to ComfyUI's folder for previews.

    Returns:
        what a node's ``ui`` says of each, in order.
    """
    import folder_paths
    from PIL import Image

    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_temp_directory())
    saved = []
    for number, picture in enumerate(pictures, start=counter):
        file = f"{name}_{number:05}_.webp"
        pixels = (picture.clamp(0.0, 1.0) * 255).to("cpu", torch.uint8).numpy()
        Image.fromarray(pixels).save(Path(folder) / file)
        saved.append({"filename": file, "subfolder": subfolder, "type": "temp"})
    return saved


def new_output(prefix: str, ending: str, size: Size) -> tuple[Path, dict[str, str]]:
    """A file that is not there yet in ComfyUI's output folder, its folder made, and what a node's ``ui`` says of it.

    Args:
        prefix: folders and the beginning of the name; ComfyUI fills in ``%year%`` and the like.
        size: stands for ``%width%`` and ``%height%``.

    Raises:
        ValueError: where that would not lie inside the output folder.
    """
    import folder_paths

    output = Path(folder_paths.get_output_directory())
    prefix = prefix.strip()
    if not prefix.strip("./\\") or not _is_inside(output, output / prefix):
        raise ValueError("it does not name a file inside ComfyUI's output folder")
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, str(output), size.width, size.height
        )
    except OSError as error:
        raise ValueError(f"its folder can't be made or read ({error})") from error
    file = f"{name}_{counter:05}_{ending}"
    return Path(folder) / file, {"filename": file, "subfolder": subfolder, "type": "output"}


def saved_files(ending: str, subfolder: str) -> list[str]:
    """Files to choose from: in the input folder, then those below ``subfolder`` of the output folder, last name first.

    They are named as ``saved_file`` wants them.
    """
    import folder_paths

    given = sorted(path.name for path in Path(folder_paths.get_input_directory()).glob(f"*{ending}") if path.is_file())
    output = Path(folder_paths.get_output_directory())
    made = sorted(
        (path.relative_to(output).as_posix() for path in (output / subfolder).rglob(f"*{ending}") if path.is_file()),
        reverse=True,
    )
    return [*given, *(f"{name} [output]" for name in made)]


def saved_file(name: str) -> Path:
    """The file of a name below ComfyUI's input folder, or the folder in brackets at its end: ``a/b.png [output]``.

    Raises:
        ValueError: where it would lie outside that folder, by its name or through a link.
    """
    import folder_paths

    plain, folder = folder_paths.annotated_filepath(name)
    base = Path(folder or folder_paths.get_input_directory())
    path = base / plain.strip()
    if not _is_inside(base, path):
        raise ValueError("it lies outside ComfyUI's folder")
    return path


def _is_inside(folder: Path, path: Path) -> bool:
    """Links followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links in a circle
        return False


# --- ComfyUI's own nodes ------------------------------------------------------------------------------------------


def _node(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _run(node: Any, *arguments: Any) -> Any:
    """The first output of one of ComfyUI's nodes."""
    return _outputs(node, *arguments)[0]


def _outputs(node: Any, *arguments: Any) -> tuple[Any, ...]:
    """A node's outputs, in its newer form (``execute``) or its older one (``FUNCTION``); a class or an object of it."""
    if hasattr(node, "define_schema"):
        output = node.execute(*arguments)
    else:
        output = getattr(node() if isinstance(node, type) else node, node.FUNCTION)(*arguments)
    return getattr(output, "result", output)
