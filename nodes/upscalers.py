"""Nodes of the upscale group: latents, pictures and segments made larger, and latents made another VAE's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..core import Size
from ..core.normal import MOST_PIXELS, MOST_SIDE
from ..detailer import host
from ..detailer.host.protocols import Latent, Vae
from ..detailer.pipeline import run
from ..detailer.upscaling.iterate import Climb, upscaled, upscaled_pictures
from ..detailer.upscaling.scaling import RESAMPLING_METHODS, STEP_MODES, scaled
from ..detailer.upscaling.space import PixelSpace, reencoded, rescaled
from . import schema
from .detailing import work_on_each
from .door import Door
from .registry import UPSCALE, UTIL, Detailer, Node
from .sampler_parts import checked_upscale_model, checked_upscaler, checked_vae, checked_vae_of_pipe
from .schema import Input, Inputs, InputTypes
from .settings import DetailerWidgets, recipe_of_parts, recipe_of_pipe
from .upscaler_providers import scale_method, tile_size, upscale_model_input, use_tiled_vae

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _bounded(door: Door, size: Size, name: str) -> None:
    """Raises InputError where a picture would be beyond all use: so that memory is not all taken."""
    if size.longer > MOST_SIDE or size.height * size.width > MOST_PIXELS:
        found = f"the picture would be {size} pixels"
        raise door.error(name, found, f"Give less: no side above {MOST_SIDE}, no more than {MOST_PIXELS} pixels in all")


def _latent_size(door: Door, latent: Latent, vae: Vae) -> Size:
    return PixelSpace(vae).size_of(latent["samples"])


class LatentPixelScale(Node, name="Latent Scale (on Pixel Space)", menu=UPSCALE):
    """A latent at another size, by way of its picture."""

    DESCRIPTION = "Decodes a latent, scales its picture and encodes it again: cleaner than scaling the latent itself."
    SEARCH_ALIASES = ("latent upscale", "scale latent", "pixel space")
    RETURN_TYPES = ("LATENT", "IMAGE")
    OUTPUT_TOOLTIPS = ("The scaled latent; its noise mask stays.", "The scaled picture, before it was encoded.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        factor = "The picture's new sides over the old ones."
        return {
            "required": {
                "samples": schema.link("LATENT", "The latent to scale."),
                "scale_method": scale_method(),
                "scale_factor": (
                    "FLOAT",
                    {"default": 1.5, "min": 0.1, "max": 10000, "step": 0.1, "tooltip": factor},
                ),
                "vae": schema.pipe_parts()["vae"],
                "use_tiled_vae": use_tiled_vae(),
            },
            "optional": {"upscale_model_opt": upscale_model_input()},
        }

    def doit(
        self,
        samples: object,
        scale_method: str,
        scale_factor: float,
        vae: object,
        use_tiled_vae: bool,
        upscale_model_opt: object = None,
    ) -> tuple[Latent, torch.Tensor]:
        door = self.door
        latent, checked = door.latent(samples, "samples"), checked_vae(door, vae)
        size = _latent_size(door, latent, checked)
        _bounded(door, Size(*(int(side * scale_factor) for side in size)), "scale_factor")
        tile = host.vae.TILE if use_tiled_vae else None
        space = PixelSpace(checked, scale_method, checked_upscale_model(door, upscale_model_opt), tile)
        return rescaled(latent, space, scale_factor)


def _climb(first: Inputs, vae: Inputs) -> InputTypes:
    """The inputs of the iterative upscalers."""
    factor = "The picture's sides in the end over those at first."
    count = "In how many steps. Each enlarges a little and samples."
    prefix = "Where it isn't empty, a preview of each step is kept in ComfyUI's temp folder under this name."
    mode = "How steps are spread: simple, each adds as many pixels; geometric, each multiplies by as much."
    return {
        "required": {
            **first,
            "upscale_factor": ("FLOAT", {"default": 1.5, "min": 1, "max": 10000, "step": 0.1, "tooltip": factor}),
            "steps": ("INT", {"default": 3, "min": 1, "max": 10000, "step": 1, "tooltip": count}),
            "temp_prefix": ("STRING", {"default": "", "tooltip": prefix}),
            "upscaler": schema.link("UPSCALER", "What is done in each step; comes from an upscaler provider."),
            **vae,
            "step_mode": (list(STEP_MODES), {"default": "simple", "tooltip": mode}),
        },
        "hidden": {"unique_id": "UNIQUE_ID"},
    }


class IterativeLatentUpscale(Node, name="Iterative Upscale (Latent/on Pixel Space)", menu=UPSCALE):
    """A latent made larger in several steps."""

    DESCRIPTION = "Enlarges a latent in several steps, each sampled by the upscaler: more detail, less invented."
    SEARCH_ALIASES = ("iterative upscale", "hires fix", "upscale in steps")
    RETURN_TYPES = ("LATENT", "VAE")
    RETURN_NAMES = ("latent", "vae")
    OUTPUT_TOOLTIPS = ("The enlarged latent.", "The upscaler's VAE, to decode the latent with.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _climb(
            {"samples": schema.link("LATENT", "The latent to enlarge; its noise mask holds in each step.")}, {}
        )

    def doit(
        self,
        samples: object,
        upscale_factor: float,
        steps: int,
        temp_prefix: str,
        upscaler: object,
        step_mode: str = "simple",
        unique_id: str = "",
    ) -> tuple[Latent, Vae]:
        door = self.door
        latent, checked = door.latent(samples, "samples"), checked_upscaler(door, upscaler)
        size = _latent_size(door, latent, checked.vae)
        _bounded(door, Size(*(int(side * upscale_factor) for side in size)), "upscale_factor")
        progress = host.progress.Progress.of_node()
        made = upscaled(checked, latent, Climb(upscale_factor, steps, step_mode, temp_prefix), progress)
        progress.done()
        return made, checked.vae


class IterativeImageUpscale(Node, name="Iterative Upscale (Image)", menu=UPSCALE):
    """A picture made larger in several steps."""

    DESCRIPTION = "Enlarges a picture in several steps, each sampled by the upscaler: more detail, less invented."
    SEARCH_ALIASES = ("iterative upscale", "upscale image", "upscale in steps")
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The enlarged picture, of exactly upscale_factor times the size.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        vae = "Encodes the picture at first and decodes it in the end; the steps go by the upscaler's own."
        pixels = schema.link("IMAGE", "The picture, or a batch of them. Alpha is scaled along.")
        return _climb({"pixels": pixels}, {"vae": schema.link("VAE", vae)})

    def doit(
        self,
        pixels: object,
        upscale_factor: float,
        steps: int,
        temp_prefix: str,
        upscaler: object,
        vae: object,
        step_mode: str = "simple",
        unique_id: str = "",
    ) -> tuple[torch.Tensor]:
        door = self.door
        frames, checked = door.image(pixels, "pixels"), checked_upscaler(door, upscaler)
        size = Size(*(int(side * upscale_factor) for side in frames.shape[1:3]))
        _bounded(door, size, "upscale_factor")
        own = checked_vae(door, vae)
        door.fits_latent(Size(*frames.shape[1:3]), own, "pixels")
        progress = host.progress.Progress.of_node()
        climb = Climb(upscale_factor, steps, step_mode, temp_prefix)
        made = upscaled_pictures(checked, frames[..., :3], own, climb, progress)
        progress.done()
        return (torch.cat([made, scaled(frames[..., 3:], size, "lanczos").to(made.device)], dim=-1),)


# --- latents of another VAE ---------------------------------------------------------------------------------------

BOTH, DECODE, ENCODE = "Both", "Decode(input) only", "Encode(output) only"


def _tile_mode() -> Input:
    return ["None", BOTH, DECODE, ENCODE], {"tooltip": "Which way goes in tiles, to save memory."}


def _reencoded(latent: Latent, vaes: tuple[Vae, Vae], tile_mode: str, tile: int) -> Latent:
    source = PixelSpace(vaes[0], tile=tile if tile_mode in (BOTH, DECODE) else None)
    return reencoded(latent, source, PixelSpace(vaes[1], tile=tile if tile_mode in (BOTH, ENCODE) else None))


class _Reencode(Node):
    """What both have in common."""

    DESCRIPTION = "Turns a latent of one model family into one of another: decoded by one VAE, encoded by the other."
    SEARCH_ALIASES = ("reencode latent", "convert latent", "latent of another model")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The latent, as output_vae makes it; its noise mask stays.",)


class ReencodeLatent(_Reencode, name="Reencode Latent", menu=UTIL):
    """A latent made another VAE's."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "samples": schema.link("LATENT", "The latent to convert."),
                "tile_mode": _tile_mode(),
                "input_vae": schema.link("VAE", "The VAE that the latent is of."),
                "output_vae": schema.link("VAE", "The VAE that the latent is to be of."),
                "tile_size": tile_size(),
            }
        }

    def doit(
        self, samples: object, tile_mode: str, input_vae: object, output_vae: object, tile_size: int = 512
    ) -> tuple[Latent]:
        door = self.door
        vaes = checked_vae(door, input_vae, "input_vae"), checked_vae(door, output_vae, "output_vae")
        return (_reencoded(door.latent(samples, "samples"), vaes, tile_mode, tile_size),)


class ReencodeLatentPipe(_Reencode, name="Reencode Latent (pipe)", menu=UTIL):
    """A latent made another pipe's."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "samples": schema.link("LATENT", "The latent to convert."),
                "tile_mode": _tile_mode(),
                "input_basic_pipe": schema.link("BASIC_PIPE", "Its VAE is that of the latent."),
                "output_basic_pipe": schema.link("BASIC_PIPE", "The latent is made one of its VAE."),
            }
        }

    def doit(
        self, samples: object, tile_mode: str, input_basic_pipe: object, output_basic_pipe: object
    ) -> tuple[Latent]:
        door = self.door
        source = checked_vae_of_pipe(door, input_basic_pipe, "input_basic_pipe")
        target = checked_vae_of_pipe(door, output_basic_pipe, "output_basic_pipe")
        return (_reencoded(door.latent(samples, "samples"), (source, target), tile_mode, host.vae.TILE),)


# --- segments -----------------------------------------------------------------------------------------------------


class SegsUpscalerWidgets(DetailerWidgets, total=False):
    """The inputs from which the work of a SEGS upscaler is made."""

    rescale_factor: float
    resampling_method: str
    supersample: str
    rounding_modulus: int
    upscale_model_opt: object
    upscaler_hook_opt: object


class _SegsUpscaler(Detailer):
    """What both have in common: the picture enlarged as a whole, then every segment detailed at that size."""

    DESCRIPTION = (
        "Enlarges the whole picture, then samples each segment anew at that size and puts it back without a seam. "
        "With 'Make Tile SEGS' all of the picture is sampled."
    )
    SEARCH_ALIASES = ("segs upscale", "tile upscale", "ultimate upscale", "detail while upscaling")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("The enlarged picture with every segment detailed.",)

    @classmethod
    def _inputs(cls, first: Inputs, prompts: Inputs) -> InputTypes:
        factor = "The picture's new sides over the old ones."
        method = "How the picture is resampled. lanczos is sharpest."
        sample = "Here for saved workflows. Has no effect: resampling is exact without it."
        modulus = "The new sides are whole multiples of it, the nearest."
        return {
            "required": {
                "image": schema.link("IMAGE", "The picture, or a batch of them. Alpha is scaled along."),
                "segs": schema.link("SEGS", "The segments to detail; they are moved to the new size."),
                **first,
                "rescale_factor": (
                    "FLOAT",
                    {"default": 2, "min": 0.01, "max": 100.0, "step": 0.01, "tooltip": factor},
                ),
                "resampling_method": (list(RESAMPLING_METHODS), {"tooltip": method}),
                "supersample": (["true", "false"], {"tooltip": sample}),
                "rounding_modulus": ("INT", {"default": 8, "min": 8, "max": 1024, "step": 8, "tooltip": modulus}),
                **schema.sampling(),
                **prompts,
                "denoise": schema.denoise(),
                "feather": schema.feather(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
            },
            "optional": {
                "upscale_model_opt": upscale_model_input(),
                "upscaler_hook_opt": schema.link("UPSCALER_HOOK", "A hook, such as 'PreviewDetailerHookProvider'."),
                "scheduler_func_opt": schema.scheduler_func(),
            },
        }

    def doit(self, image: object, segs: object, **given: Unpack[SegsUpscalerWidgets]) -> tuple[torch.Tensor]:
        door, widgets = self.door, self.checked(given)
        frames = door.image(image)
        checked = door.segs_to_detail(segs)
        values = {
            **widgets,
            "guide_size": 1.0,  # at its own size: nothing is enlarged once more
            "guide_size_for": True,
            "max_size": float(MOST_SIDE),
            "detailer_hook": widgets.get("upscaler_hook_opt"),
        }
        recipe = recipe_of_pipe(door, values["basic_pipe"], values) if "basic_pipe" in values else None
        recipe = recipe or recipe_of_parts(door, values)
        work = work_on_each(door, self._enlarged(frames, widgets), checked, recipe)
        return (work.joined(list(run.detail(work.pictures, work.count, work.recipe))).image,)

    def _enlarged(self, frames: torch.Tensor, widgets: SegsUpscalerWidgets) -> torch.Tensor:
        door, factor = self.door, widgets.get("rescale_factor", 2.0)
        modulus = widgets.get("rounding_modulus", 8)
        size = Size(*(max(round(int(side * factor) / modulus), 1) * modulus for side in frames.shape[1:3]))
        _bounded(door, size, "rescale_factor")
        method = f"resampling {widgets.get('resampling_method', 'lanczos')}"
        model = checked_upscale_model(door, widgets.get("upscale_model_opt"))
        colour, alpha = frames[..., :3], frames[..., 3:]
        if model is not None:
            colour = host.upscale_model.enlarged(model, colour)
        colour = scaled(colour, size, method)
        return torch.cat([colour, scaled(alpha, size, method).to(colour.device)], dim=-1)


class SEGSUpscaler(_SegsUpscaler, name="Upscaler (SEGS)", menu=UPSCALE):
    """Enlarges a picture and details its segments."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        parts = schema.pipe_parts()
        first = {part: parts[part] for part in ("model", "clip", "vae")}
        return cls._inputs(first, {part: parts[part] for part in ("positive", "negative")})


class SEGSUpscalerPipe(_SegsUpscaler, name="Upscaler (SEGS/pipe)", menu=UPSCALE):
    """Enlarges a picture and details its segments, with a pipe."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return cls._inputs({"basic_pipe": schema.basic_pipe()}, {})
