"""Latents, their noise masks and their rough colours."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .protocols import Latent, Model


def fitted_to(model: Model, latent: Latent) -> Latent:
    """The latent with the number of axes the model wants; an empty one with its channels and size too.

    Empty latents say what size they were made for, which holds no longer afterwards.
    """
    import comfy.sample

    kept, ratios = latent.copy(), {}
    if "downscale_ratio_spacial" in kept:
        ratios["downscale_ratio_spacial"] = kept.pop("downscale_ratio_spacial")
    if "downscale_ratio_temporal" in kept:
        ratios["downscale_ratio_temporal"] = kept.pop("downscale_ratio_temporal")
    return {**kept, "samples": comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)}


def noise_mask_at(mask: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """A noise mask at the latent's resolution, as ComfyUI scales it while sampling."""
    import comfy.utils

    return comfy.utils.reshape_mask(mask_for(mask, samples), samples.shape)


def noise_masks_at(masks: Sequence[torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
    """Noise masks of any sizes, one an item, at the latent's resolution with one channel: for one batch."""
    items = zip(masks, samples.split(1), strict=True)
    return torch.cat([noise_mask_at(mask, item)[:, :1] for mask, item in items])


def under_mask(samples: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Latents with noise inside the noise mask, clean ones outside; all with noise where there is no mask."""
    if mask is None:
        return samples
    mask = noise_mask_at(mask, samples).to(samples.device)
    return mask * samples + (1.0 - mask) * clean.to(samples.device)


def mask_for(mask: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Of fewer than five axes ComfyUI takes the first for frames, where the latent has frames.

    So it should for one clip; as many masks as clips are one each.
    """
    if samples.ndim != 5 or mask.ndim == 5:
        return mask
    masks = mask.reshape(-1, 1, 1, *mask.shape[-2:])
    return masks if len(masks) == len(samples) else mask


def latent_colours(model: Model, x0: torch.Tensor, longest: int) -> torch.Tensor | None:
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
