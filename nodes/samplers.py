"""Nodes of the sampler group: samplers as connections, and nodes that run two of them on one latent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..detailer import host
from ..detailer.host.protocols import Latent, Sampler, SchedulerFunc
from ..detailer.host.sampling import Guidance
from ..detailer.ksampler import Stages
from ..detailer.regional.sample import Path, Regional, RegionalPrompt, sample_regions
from ..detailer.samplers.advanced import AdvancedKSampler
from ..detailer.samplers.grid import TileGrid
from ..detailer.samplers.origin import Origin
from ..detailer.samplers.plain import KSampler, sample_two
from ..detailer.values import BasicPipe
from . import schema
from .door import Door
from .registry import SAMPLER, Node
from .sampler_parts import (
    SamplingWidgets,
    call_of,
    checked_advanced,
    checked_ksampler,
    denoise,
    sampling,
    sampling_pipe,
    seed,
    tiling,
)
from .schema import Input, InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

KSAMPLER_TOOLTIP = "Connect it to a node that runs samplers, such as TwoSamplersForMask."


class KSamplerProvider(Node, menu=SAMPLER):
    """A KSampler without its latent."""

    DESCRIPTION = "A KSampler as a connection: another node gives it a latent, for example one for each side of a mask."
    SEARCH_ALIASES = ("ksampler provider", "sampler as input", "two samplers")
    RETURN_TYPES = ("KSAMPLER",)
    OUTPUT_TOOLTIPS = (KSAMPLER_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {**sampling(), "denoise": denoise(), "basic_pipe": sampling_pipe()},
            "optional": {"scheduler_func_opt": schema.scheduler_func()},
        }

    def doit(self, basic_pipe: object, **widgets: Unpack[SamplingWidgets]) -> tuple[KSampler]:
        pipe = self.door.sampling_pipe(basic_pipe)
        call = call_of(pipe.model, pipe.positive, pipe.negative, widgets)
        return (KSampler(call, Origin(self.ID, "basic_pipe"), widgets.get("scheduler_func_opt")),)


class TiledKSamplerProvider(Node, menu=SAMPLER):
    """A KSampler that predicts tile by tile."""

    DESCRIPTION = (
        "A KSampler as a connection that works tile by tile: large pictures need the memory of one tile, and no seams "
        "show, since all tiles are blended at every step."
    )
    SEARCH_ALIASES = ("tiled ksampler", "tiled sampling", "multidiffusion", "large picture")
    RETURN_TYPES = ("KSAMPLER",)
    OUTPUT_TOOLTIPS = (KSAMPLER_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                **sampling(core_only=True),
                "denoise": denoise(),
                **tiling(),
                "basic_pipe": sampling_pipe(),
            }
        }

    def doit(
        self,
        basic_pipe: object,
        tile_width: int,
        tile_height: int,
        tiling_strategy: str,
        **widgets: Unpack[SamplingWidgets],
    ) -> tuple[KSampler]:
        pipe = self.door.sampling_pipe(basic_pipe)
        call = call_of(pipe.model, pipe.positive, pipe.negative, widgets)
        tiles = TileGrid(tile_width, tile_height, tiling_strategy, _cell(pipe))
        return (KSampler(call, Origin(self.ID, "basic_pipe"), tiles=tiles),)


def _cell(pipe: BasicPipe) -> int:
    """Pixels of a latent cell's side, where the pipe has a VAE that says so."""
    return host.vae.DEFAULT_PIXELS_PER_CELL if pipe.vae is None else host.vae.pixels_per_cell(pipe.vae)


class KSamplerAdvancedProvider(Node, menu=SAMPLER):
    """An advanced KSampler without its latent and steps."""

    DESCRIPTION = "An advanced KSampler as a connection: model, prompts, cfg and schedule for regional samplers."
    SEARCH_ALIASES = ("ksampler advanced provider", "regional sampler", "sampler as input")
    RETURN_TYPES = ("KSAMPLER_ADVANCED",)
    OUTPUT_TOOLTIPS = ("Connect it to RegionalPrompt, RegionalSampler or TwoAdvancedSamplersForMask.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        factor = "All noise levels are multiplied by it. 1 leaves them; below, less noise is made and taken away."
        return {
            "required": {
                "cfg": schema.cfg(),
                "sampler_name": schema.sampler_name(),
                "scheduler": schema.scheduler(),
                "sigma_factor": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0, "step": 0.01, "tooltip": factor}),
                "basic_pipe": sampling_pipe(),
            },
            "optional": {
                "sampler_opt": schema.link("SAMPLER", "Replaces sampler_name. Comes from ComfyUI's sampler nodes."),
                "scheduler_func_opt": schema.scheduler_func(),
            },
        }

    def doit(
        self,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        basic_pipe: object,
        sigma_factor: float = 1.0,
        sampler_opt: object = None,
        scheduler_func_opt: SchedulerFunc | None = None,
    ) -> tuple[AdvancedKSampler]:
        pipe = self.door.sampling_pipe(basic_pipe)
        guidance = Guidance(pipe.model, pipe.positive, pipe.negative, cfg)
        sampler = AdvancedKSampler(
            guidance,
            sampler_name,
            scheduler,
            Origin(self.ID, "basic_pipe"),
            sigma_factor,
            _sampler(self.door, sampler_opt),
            scheduler_func_opt,
        )
        return (sampler,)


def _sampler(door: Door, sampler: object) -> Sampler | None:
    if sampler is None or callable(getattr(sampler, "sample", None)):
        return sampler  # type: ignore[return-value]
    raise door.error(
        "sampler_opt", f"a {type(sampler).__name__} is no SAMPLER", "Connect the output of 'KSamplerSelect'"
    )


def _base_sampler(kind: str) -> Input:
    return schema.link(kind, "Samples what is outside the mask.")


def _mask_sampler(kind: str) -> Input:
    return schema.link(kind, "Samples what is under the mask.")


class TwoSamplersForMask(Node, menu=SAMPLER):
    """One sampler outside a mask, another under it."""

    DESCRIPTION = (
        "Samples what is outside the mask with one sampler, then what is under it with another. Each has its own "
        "steps, seed and denoise; where the mask is soft both have a say."
    )
    SEARCH_ALIASES = ("two samplers", "masked sampling", "different prompt in mask")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The sampled latent, without a noise mask.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "latent_image": schema.link("LATENT", "What to sample; a noise mask of its own doesn't count."),
                "base_sampler": _base_sampler("KSAMPLER"),
                "mask_sampler": _mask_sampler("KSAMPLER"),
                "mask": schema.link("MASK", "White is mask_sampler's, black is base_sampler's. Of any size."),
            }
        }

    def doit(self, latent_image: object, base_sampler: object, mask_sampler: object, mask: object) -> tuple[Latent]:
        door = self.door
        latent, masks = door.latent(latent_image), door.mask_of_any_size(mask)
        base = checked_ksampler(door, base_sampler, "base_sampler")
        masked = checked_ksampler(door, mask_sampler, "mask_sampler")
        progress = host.progress.Progress.of_node()
        made = sample_two(base, masked, latent, masks, (None, None), progress)
        progress.done()
        return (made,)


class TwoAdvancedSamplersForMask(Node, menu=SAMPLER):
    """Two prompts in one sampling, on the two sides of a mask."""

    DESCRIPTION = (
        "Samples a latent once, by two prompts: what is under the mask goes by mask_sampler's model, prompts and cfg, "
        "all else by base_sampler's. Both see the same picture grow, so that they fit together."
    )
    SEARCH_ALIASES = ("two samplers", "regional prompt", "different prompt in mask")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The sampled latent.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        overlap = (
            "How far what is under the mask fades into what is around it, in pixels of the mask; half of it lies on "
            "each side. 0: a hard edge."
        )
        return {
            "required": {
                "seed": seed(),
                "steps": schema.steps(
                    "Sampling steps really run, whatever the denoise. The first goes by the base alone."
                ),
                "denoise": denoise(),
                "samples": schema.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "base_sampler": _base_sampler("KSAMPLER_ADVANCED"),
                "mask_sampler": _mask_sampler("KSAMPLER_ADVANCED"),
                "mask": schema.link("MASK", "White (above 0.5) is mask_sampler's. Of any size."),
                "overlap_factor": ("INT", {"default": 10, "min": 0, "max": 10000, "tooltip": overlap}),
            }
        }

    def doit(
        self,
        seed: int,
        steps: int,
        denoise: float,
        samples: object,
        base_sampler: object,
        mask_sampler: object,
        mask: object,
        overlap_factor: int,
    ) -> tuple[Latent]:
        door = self.door
        latent = door.latent(samples, "samples")
        base = checked_advanced(door, base_sampler, "base_sampler")
        prompt = RegionalPrompt(door.mask_of_any_size(mask), checked_advanced(door, mask_sampler, "mask_sampler"))
        if denoise <= 0.0:
            return (latent,)
        stages = Stages.of(steps, denoise)
        path = Path(seed, stages.total, stages.start, stages.total, base_only=1)
        progress = host.progress.Progress.of_node()
        made = sample_regions(Regional(base, [prompt], overlap_factor), latent, path, progress)
        progress.done()
        return (made,)
