"""Latents in files, as ComfyUI and the Impact Pack write them, and rough pictures of latents by a method's name."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch

from ...core import to_bytes
from . import vae as vaes
from .nodes import node_class
from .protocols import Latent, Vae

logger = logging.getLogger("mask_detailer")

PICTURE = ".latent.png"
PLAIN = ".latent"
MOST_BYTES = 2 * 2**30
EXIF, USER_COMMENT = 0x8769, 0x9286
VERSION = "latent_format_version_0"
OLD_SCALE = 1.0 / 0.18215  # of files without a version
LONGEST_SIDE = 256  # of the picture that stands for a latent
CELL = 8  # pixels of a latent's cell

_COLOURS = {
    "FLUX.1": "Flux", "SDXL": "SDXL", "SD15": "SD15", "SD3": "SD3", "SD-X4": "SD_X4",
    "Playground-2.5": "SDXL_Playground_2_5", "SC-Prior": "SC_Prior", "SC-B": "SC_B", "LTXV": "LTXV",
}  # fmt: skip
_TINY = {"TAEF1": "taef1", "TAESDXL": "taesdxl", "TAESD15": "taesd", "TAESD3": "taesd3"}
_LIKE = {"TAEF1": "FLUX.1", "TAESDXL": "SDXL", "TAESD15": "SD15", "TAESD3": "SD3"}
METHODS = (*(f"Latent2RGB-{name}" for name in _COLOURS), *_TINY)
"""The ways to show a latent, by name."""


class LatentFileError(ValueError):
    """A file that holds no latent."""


# ------------------------------------------------------------------------------------------------ rough pictures


def picture_of(samples: torch.Tensor, method: str, vae: Vae | None = None) -> torch.Tensor:
    """Latents ``[B,C,h,w]`` or ``[B,C,T,h,w]`` as pictures ``[B,8h,8w,3]`` float32 0..1 on the CPU; of clips a frame.

    Args:
        method: one of ``METHODS``. Where the latent doesn't fit it, or its small VAE isn't there, another is taken.
        vae: where there is one, it decodes them instead.
    """
    if vae is None and method in _TINY:
        vae = _tiny_vae(_TINY[method], samples)
    if vae is not None:
        return vaes.decode(vae, samples)[..., :3].clamp(0.0, 1.0).cpu()
    name = _LIKE.get(method, method.removeprefix("Latent2RGB-"))
    frames = samples[:, :, 0] if samples.ndim == 5 else samples
    colours = _rough(frames.detach().to("cpu", torch.float32), name)
    return colours.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)


def _rough(frames: torch.Tensor, name: str) -> torch.Tensor:
    """``[B,C,h,w]`` to ``[B,h,w,3]`` by the linear map of a latent format, or grey where none fits."""
    from comfy import latent_formats

    others = (other for other in _COLOURS if other != name)
    for wanted in (name, *others):
        form = getattr(latent_formats, _COLOURS[wanted])()
        factors = getattr(form, "latent_rgb_factors", None)
        if factors is None or len(factors) != frames.shape[1]:
            continue
        if wanted != name:
            logger.info("a latent of %d channels is shown in the colours of %s", frames.shape[1], wanted)
        colours = torch.einsum("bchw,cr->bhwr", frames, torch.tensor(factors))
        bias = getattr(form, "latent_rgb_factors_bias", None)
        colours = colours if bias is None else colours + torch.tensor(bias)
        return ((colours + 1.0) / 2.0).nan_to_num(0.0).clamp(0.0, 1.0)
    grey = (frames.mean(dim=1) / 2.0 + 0.5).nan_to_num(0.0).clamp(0.0, 1.0)
    return grey[..., None].expand(-1, -1, -1, 3)


def _tiny_vae(name: str, samples: torch.Tensor) -> Vae | None:
    """ComfyUI's small VAE of that name, None where its files aren't there or it isn't for so many channels."""
    loader = node_class("nodes", "VAELoader")
    if name not in loader.vae_list(loader):
        logger.info("%s is not among ComfyUI's VAEs (models/vae_approx): the latent is shown in rough colours", name)
        return None
    if samples.shape[1] != (16 if name in ("taesd3", "taef1") else 4):
        return None
    return cast(Vae, loader().load_vae(name)[0])


# ------------------------------------------------------------------------------------------------ files


def to_picture(latent: Latent, preview: torch.Tensor, texts: Mapping[str, object]) -> bytes:
    """A PNG that shows a latent and holds it: ``latent``, a safetensors file, in a ZIP in the EXIF's comment.

    Args:
        preview: ``[H,W,3]``.
        texts: what goes with the PNG as JSON, such as the prompt.
    """
    import safetensors.torch
    from PIL import Image, PngImagePlugin

    kept = {"latent_tensor": latent["samples"], VERSION: torch.tensor([])}
    if isinstance(mask := latent.get("noise_mask"), torch.Tensor):
        kept["noise_mask"] = mask
    if (index := latent.get("batch_index")) is not None:
        kept["batch_index"] = torch.tensor(index)
    file = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("latent", file)
    picture = Image.fromarray(to_bytes(preview))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    exif = Image.Exif()
    exif[EXIF] = {USER_COMMENT: packed.getvalue()}
    told = PngImagePlugin.PngInfo()
    for name, value in texts.items():
        told.add_text(name, json.dumps(value))
    made = io.BytesIO()
    picture.save(made, "png", exif=exif, pnginfo=told)
    return made.getvalue()


def read(path: Path) -> Latent:
    """A latent out of a ``.latent`` or ``.latent.png`` file.

    Raises:
        LatentFileError: where it holds none.
    """
    import safetensors.torch

    try:
        file = _unpacked(path) if path.name.endswith(".png") else path.read_bytes()
        found = safetensors.torch.load(file)
    except LatentFileError:
        raise
    except Exception as error:  # whatever a file can do to its reader
        if isinstance(error, MemoryError):
            raise
        raise LatentFileError(f"it can't be read as a latent ({' '.join(str(error).split())[:200]})") from error
    samples = found.get("latent_tensor")
    if samples is None or samples.ndim < 3:
        raise LatentFileError(f"it holds {', '.join(found)[:200] or 'nothing'} but no latent")
    samples = samples.to(torch.float32)
    if not path.name.endswith(".png") and VERSION not in found:
        samples = samples * OLD_SCALE
    latent: dict[str, object] = {"samples": samples}
    if "noise_mask" in found:
        latent["noise_mask"] = found["noise_mask"].to(torch.float32)
    if "batch_index" in found:
        latent["batch_index"] = found["batch_index"].flatten().tolist()
    return cast(Latent, latent)


def _unpacked(path: Path) -> bytes:
    """The safetensors file in a picture."""
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as picture:
        comment = picture.getexif().get_ifd(EXIF).get(USER_COMMENT)
    if not isinstance(comment, bytes):
        raise LatentFileError("it is a picture without a latent in it")
    with zipfile.ZipFile(io.BytesIO(comment)) as archive:
        if archive.getinfo("latent").file_size > MOST_BYTES:
            raise LatentFileError(f"its latent is larger than {MOST_BYTES // 2**30} GB")
        return archive.read("latent")
