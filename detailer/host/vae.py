"""Pictures to latents and back: how much a VAE takes at once, tiles, and the conditioning of inpaint models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .answers import NonsenseError, fault_of_pictures, fault_of_tensor, is_number, told
from .conditioning import entry
from .devices import free_memory, intermediate_device, is_out_of_memory
from .nodes import node_class
from .protocols import CondEntry, Conditioning, CondOptions, Latent, Vae

logger = logging.getLogger("mask_detailer")

DEFAULT_PIXELS_PER_CELL = 8
MOST_PIXELS_PER_CELL = 1024
TILE, SHARED = 512, 64  # pixels: a tile's side, and how much of it the next one has too

# The VAE takes this many pixels at once: it needs some hundred times as many values on its way.
_VAE_PIXELS = 2**20


def pixels_per_cell(vae: Vae) -> int:
    """How many pixels a side of the VAE's latent cell covers."""
    ratio = getattr(vae, "spacial_compression_encode", None)
    if ratio is None:
        return DEFAULT_PIXELS_PER_CELL
    pixels = ratio()
    if not is_number(pixels, 1, MOST_PIXELS_PER_CELL):
        raise _nonsense(vae, "spacial_compression_encode", told(pixels), "a whole number of pixels")
    return int(pixels)


def is_of_clips(vae: Vae) -> bool:
    """Whether its latents have a time axis."""
    return getattr(vae, "latent_dim", 2) == 3


def cells_of_clip(vae: Vae, frames: int) -> int:
    """Latent frames of a clip of so many frames; at least 1. A VAE that doesn't say takes the first, then four each."""
    made = _along_time(vae, "downscale_ratio", frames)
    return max((frames + 3) // 4 if made is None else made, 1)


def frames_of_clip(vae: Vae, cells: int) -> int:
    """Frames that so many latent frames are decoded to."""
    made = _along_time(vae, "upscale_ratio", cells)
    return max(4 * cells - 3 if made is None else made, 1)


def clip_length(vae: Vae, frames: int) -> int:
    """The least number of frames, not below this, that a VAE encodes without leaving one out."""
    cells = cells_of_clip(vae, frames)
    while frames_of_clip(vae, cells) < frames:
        cells += 1
    return frames_of_clip(vae, cells)


def frames_of_cells(vae: Vae, cells: int, frames: int) -> list[tuple[int, int]]:
    """For each latent frame the frames that it stands for: the first, and the one after the last."""
    ends = [min(frames_of_clip(vae, count), frames) for count in range(1, cells + 1)]
    return [(min(before, end - 1), end) for before, end in zip([0, *ends[:-1]], ends, strict=True)]


def _along_time(vae: Vae, name: str, count: int) -> int | None:
    """What ComfyUI's VAE says of its time axis: a function of a number of frames, first of three ratios."""
    ratios = getattr(vae, name, None)
    reckon = ratios[0] if isinstance(ratios, tuple | list) and ratios else None
    made = reckon(count) if callable(reckon) else None
    return int(made) if isinstance(made, int | float) else None


def encode(vae: Vae, pixels: torch.Tensor, tiled: bool = False, tile: int = TILE, frames: int = 1) -> torch.Tensor:
    """``[B,H,W,3]`` -> the latents ``[B,C,h,w]`` or ``[B,C,T,h,w]``; tiled where that is asked or memory runs out.

    Args:
        tile: a tile's side in pixels.
        frames: so many pictures are a clip each time, for a VAE with a time axis; others take each by itself.
    """
    # a video VAE takes a batch for the frames of one clip
    takes_clips = is_of_clips(vae)
    pictures = frames if takes_clips else 1

    def some(part: torch.Tensor) -> torch.Tensor:
        if tiled:
            latents = _encode_in_tiles(vae, part, tile)
        else:
            latents = _tiled_on_oom("encode", lambda: vae.encode(part), lambda: _encode_in_tiles(vae, part, tile))
        return _sound_latents(vae, latents, len(part) // pictures)

    at_once = frames if takes_clips else _vae_items(pixels.shape[1] * pixels.shape[2])
    return _joined([some(part) for part in pixels.split(at_once)])


def decode(vae: Vae, samples: torch.Tensor, tiled: bool = False) -> torch.Tensor:
    """Latents -> ``[B,H,W,3]`` float32, the first frames where the VAE gives clips; tiled as in ``encode``."""
    parts = _decoded(vae, samples, tiled, TILE)
    return _joined([part[:, 0] if part.ndim == 5 else part for part in parts]).to(intermediate_device(), torch.float32)


def decode_frames(vae: Vae, samples: torch.Tensor, tiled: bool = False, tile: int = TILE) -> torch.Tensor:
    """Latents -> ``[B,H,W,3]`` float32, all frames of one clip after the other; tiled as in ``encode``."""
    parts = _decoded(vae, samples, tiled, tile)
    return _joined([part.reshape(-1, *part.shape[-3:]) for part in parts]).to(intermediate_device(), torch.float32)


def _decoded(vae: Vae, samples: torch.Tensor, tiled: bool, tile: int) -> list[torch.Tensor]:
    """As the VAE gave them, as many at once as it bears."""

    def some(part: torch.Tensor) -> torch.Tensor:
        def in_tiles() -> torch.Tensor:
            return vae.decode_tiled(part, **_tile(vae, tile))

        pixels = in_tiles() if tiled else _tiled_on_oom("decode", lambda: vae.decode(part), in_tiles)
        return _pictures(vae, pixels, len(part))

    at_once = 1 if samples.ndim == 5 else _vae_items(samples.shape[2] * samples.shape[3] * pixels_per_cell(vae) ** 2)
    return [some(part) for part in samples.split(at_once)]


def _nonsense(vae: Vae, method: str, found: str, wanted: str) -> NonsenseError:
    return NonsenseError(
        f"the VAE's {method} ({type(vae).__name__}) gives {found}, where {wanted} is wanted. Connect another VAE: one "
        "that goes with the model, in fp32 or bf16"
    )


def _sound_latents(vae: Vae, latents: object, items: int) -> torch.Tensor:
    """Latents as they came. Raises NonsenseError where they can't be sampled."""
    fault = fault_of_tensor(latents, (3, 4, 5), items)
    if fault is not None or not isinstance(latents, torch.Tensor):
        raise _nonsense(vae, "encode", fault or told(latents), f"latents of {items} picture(s)")
    return latents


def _pictures(vae: Vae, pixels: object, items: int) -> torch.Tensor:
    """Pictures as they came, of any size; what is no number in them is ``restore``'s to judge."""
    fault = fault_of_pictures(pixels, items)
    if fault is not None or not isinstance(pixels, torch.Tensor):
        raise _nonsense(vae, "decode", fault or told(pixels), f"{items} picture(s) [height, width, 3]")
    return pixels


def _vae_items(pixels: int) -> int:
    return max(_VAE_PIXELS // pixels, 1)


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def encode_for_inpainting(
    conditionings: tuple[Conditioning, Conditioning],
    vae: Vae,
    pixels: torch.Tensor,
    noise_mask: torch.Tensor,
    tiled: bool = False,
) -> tuple[Conditioning, Conditioning, Latent]:
    """ComfyUI's InpaintModelConditioning on crops ``[B,H,W,3]`` float 0..1, encoded as in ``encode``.

    Args:
        conditionings: positive and negative; a placeholder is passed on.
        noise_mask: ``[B,h,w]`` of any size, 0..1.

    Returns:
        both conditionings with what the model is shown of the crops, and the crops' latent with its noise mask.
    """
    positive, negative = conditionings
    node = node_class("nodes", "InpaintModelConditioning")()
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
    return [_with_clip_axis(embedding, options) for embedding, options in conditioning]


def _with_clip_axis(embedding: torch.Tensor, options: CondOptions) -> CondEntry:
    mask = options["concat_mask"]
    assert isinstance(mask, torch.Tensor)  # as InpaintModelConditioning made it
    return entry(embedding, {**options, "concat_mask": mask[:, :, None]})


@dataclass(frozen=True)
class _Encoder:
    """A VAE that encodes as we do."""

    vae: Vae
    tiled: bool

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return encode(self.vae, pixels, self.tiled)


def _encode_in_tiles(vae: Vae, pixels: torch.Tensor, tile: int) -> torch.Tensor:
    """Tiles that share 64 pixels: ComfyUI's own size, which older releases lack for VAEs with a time axis."""
    return vae.encode_tiled(pixels, tile_x=tile, tile_y=tile, overlap=SHARED)


def _tile(vae: Vae, tile: int) -> dict[str, int]:
    """Sizes in latent cells for tiles of so many pixels that share 64."""
    ratio = pixels_per_cell(vae)
    return {"tile_x": max(tile // ratio, 1), "tile_y": max(tile // ratio, 1), "overlap": max(SHARED // ratio, 1)}


def _tiled_on_oom(what: str, whole: Callable[[], torch.Tensor], tiled: Callable[[], torch.Tensor]) -> torch.Tensor:
    """ComfyUI's VAE retries in tiles by itself; this does it for VAEs of other packs."""
    try:
        return whole()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        logger.warning("VAE %s ran out of memory (%s): trying again in tiles", what, error)
    free_memory()
    return tiled()
