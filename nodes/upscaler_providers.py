"""Nodes of the upscale group that make upscalers: one step of an iterative upscaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from ..detailer.host.protocols import SchedulerFunc, Vae
from ..detailer.samplers.grid import TileGrid
from ..detailer.samplers.origin import Origin
from ..detailer.samplers.plain import KSampler
from ..detailer.upscaling.scaling import SCALE_METHODS
from ..detailer.upscaling.space import PixelSpace
from ..detailer.upscaling.upscalers import (
    FULL_SCHEDULES,
    KSampleUpscaler,
    Samplers,
    TileControl,
    TwoSamplersUpscaler,
    Upscaler,
)
from ..detailer.values import BasicPipe
from . import schema
from .registry import UPSCALE, Node
from .sampler_parts import (
    call_of,
    checked_control_net,
    checked_ksampler,
    checked_upscale_model,
    checked_vae,
    checked_vae_of_pipe,
    denoise,
    sampling,
    tiling,
)
from .schema import Input, Inputs, InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

UPSCALER_TOOLTIP = "Connect it to 'Iterative Upscale'."
PARTS = ("model", "vae", "positive", "negative")


class _Provider(Node):
    """What the providers have in common."""

    RETURN_TYPES = ("UPSCALER",)
    OUTPUT_TOOLTIPS = (UPSCALER_TOOLTIP,)
    pipe_name: str | None = None

    def _pipe(self, values: Mapping[str, object]) -> BasicPipe:
        """The pipe, or its parts, with all that is needed."""
        door = self.door
        if self.pipe_name is not None:
            return door.basic_pipe(values[self.pipe_name], self.pipe_name)
        pipe = door.five_parts((values["model"], None, *(values[part] for part in PARTS[1:])))
        door.not_missing(pipe, None)
        return pipe


def scale_method() -> Input:
    return list(SCALE_METHODS), {"tooltip": "How the picture is enlarged. lanczos is sharpest."}


def upscale_model_input() -> Input:
    tooltip = "Enlarges the picture ('Load Upscale Model'), as often as it takes; then it is scaled down to size."
    return schema.link("UPSCALE_MODEL", tooltip)


def use_tiled_vae() -> Input:
    tooltip = "Encode and decode in tiles: less memory, a little slower. Where memory runs out this happens by itself."
    return schema.switch(False, "enabled", "disabled", tooltip)


def tile_size() -> Input:
    tooltip = "The side of the VAE's tiles in pixels, where it goes in tiles."
    return "INT", {"default": 512, "min": 320, "max": 4096, "step": 64, "tooltip": tooltip}


def _hook(tooltip: str = "A hook that may change what is sampled with, step by step.") -> Input:
    return schema.link("PK_HOOK", tooltip)


def _pipe_input() -> Input:
    return schema.link("BASIC_PIPE", "Model, vae and prompts ('ToBasicPipe').")


def _tile_control() -> Inputs:
    net = "A tile ControlNet, which keeps to the picture while detail is added. It is shown the enlarged picture."
    strength = "How strongly it keeps to the picture; 0 not at all."
    return {
        "tile_cnet_opt": schema.link("CONTROL_NET", net),
        "tile_cnet_strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": strength}),
    }


class _Scaled(TypedDict):
    scale_method: str


class _KSampleWidgets(_Scaled, total=False):
    model: object
    vae: object
    positive: object
    negative: object
    basic_pipe: object
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    use_tiled_vae: bool
    tile_size: int
    tile_width: int
    tile_height: int
    tiling_strategy: str
    upscale_model_opt: object
    pk_hook_opt: object
    scheduler_func_opt: SchedulerFunc | None
    tile_cnet_opt: object
    tile_cnet_strength: float


class _KSampleProvider(_Provider):
    """Upscalers that sample with one KSampler, whole or, where there are tile widgets, in tiles."""

    def doit(self, **widgets: Unpack[_KSampleWidgets]) -> tuple[Upscaler]:
        door, pipe = self.door, self._pipe(widgets)
        method, model = widgets["scale_method"], checked_upscale_model(door, widgets.get("upscale_model_opt"))
        tile = widgets.get("tile_size", 512) if widgets.get("use_tiled_vae") else None
        tiles = None
        if "tile_width" in widgets:
            width, height = widgets["tile_width"], widgets.get("tile_height", 512)
            tile = max(width, height)
            tiles = TileGrid(width, height, widgets.get("tiling_strategy", "random"), PixelSpace(pipe.vae).cell)
        call = call_of(pipe.model, pipe.positive, pipe.negative, widgets)
        sampler = KSampler(call, Origin(self.ID, self.pipe_name), widgets.get("scheduler_func_opt"), tiles)
        net = checked_control_net(door, widgets.get("tile_cnet_opt"), "tile_cnet_opt")
        control = None if net is None else TileControl(net, widgets.get("tile_cnet_strength", 1.0))
        space = PixelSpace(pipe.vae, method, model, tile)
        return (KSampleUpscaler(space, sampler, widgets.get("pk_hook_opt"), control),)


SAME_SEED = (
    "Enlarges a latent by way of its picture, encodes it and samples it anew: one step of 'Iterative Upscale'. "
    "The seed is the same in every step."
)
IN_TILES = (
    "Enlarges a latent by way of its picture, encodes it and samples it tile by tile: one step of 'Iterative Upscale' "
    "in the memory of one tile. All tiles are blended at every sampling step, so that no seams show."
)
KSAMPLE_ALIASES = ("iterative upscale", "hires fix", "upscale and sample", "latent upscale")
TILED_ALIASES = ("tiled upscale", "ultimate upscale", "multidiffusion", "large picture")


def _parts_first() -> Inputs:
    parts = schema.pipe_parts()
    return {"scale_method": scale_method(), "model": parts["model"], "vae": parts["vae"]}


def _prompts() -> Inputs:
    parts = schema.pipe_parts()
    return {"positive": parts["positive"], "negative": parts["negative"]}


def _optional() -> Inputs:
    return {"upscale_model_opt": upscale_model_input(), "pk_hook_opt": _hook()}


class PixelKSampleUpscalerProvider(_KSampleProvider, menu=UPSCALE):
    """Enlarges and samples."""

    DESCRIPTION = SAME_SEED
    SEARCH_ALIASES = KSAMPLE_ALIASES

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                **_parts_first(),
                **sampling(),
                **_prompts(),
                "denoise": denoise(),
                "use_tiled_vae": use_tiled_vae(),
                "tile_size": tile_size(),
            },
            "optional": {**_optional(), "scheduler_func_opt": schema.scheduler_func()},
        }


class PixelKSampleUpscalerProviderPipe(_KSampleProvider, menu=UPSCALE):
    """Enlarges and samples, with a pipe."""

    DESCRIPTION = SAME_SEED
    SEARCH_ALIASES = KSAMPLE_ALIASES
    pipe_name = "basic_pipe"

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "scale_method": scale_method(),
                **sampling(),
                "denoise": denoise(),
                "use_tiled_vae": use_tiled_vae(),
                "basic_pipe": _pipe_input(),
                "tile_size": tile_size(),
            },
            "optional": {**_optional(), "scheduler_func_opt": schema.scheduler_func(), **_tile_control()},
        }


class PixelTiledKSampleUpscalerProvider(_KSampleProvider, menu=UPSCALE):
    """Enlarges and samples in tiles."""

    DESCRIPTION = IN_TILES
    SEARCH_ALIASES = TILED_ALIASES

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                **_parts_first(),
                **sampling(core_only=True),
                **_prompts(),
                "denoise": denoise(),
                **tiling(),
            },
            "optional": {**_optional(), **_tile_control()},
        }


class PixelTiledKSampleUpscalerProviderPipe(_KSampleProvider, menu=UPSCALE):
    """Enlarges and samples in tiles, with a pipe."""

    DESCRIPTION = IN_TILES
    SEARCH_ALIASES = TILED_ALIASES
    pipe_name = "basic_pipe"

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "scale_method": scale_method(),
                **sampling(core_only=True),
                "denoise": denoise(),
                **tiling(),
                "basic_pipe": _pipe_input(),
            },
            "optional": {**_optional(), **_tile_control()},
        }


# --- two samplers -------------------------------------------------------------------------------------------------


class _TwoSamplers(_Scaled):
    full_sample_schedule: str
    base_sampler: object
    mask_sampler: object
    mask: object


class _TwoSamplersWidgets(_TwoSamplers, total=False):
    use_tiled_vae: bool
    vae: object
    basic_pipe: object
    tile_size: int
    full_sampler_opt: object
    upscale_model_opt: object
    pk_hook_base_opt: object
    pk_hook_mask_opt: object
    pk_hook_full_opt: object


class _TwoSamplersProvider(_Provider):
    """Upscalers with one sampler outside of a mask and another under it."""

    DESCRIPTION = (
        "Enlarges a latent by way of its picture, then samples what is outside the mask with one sampler and what is "
        "under it with another: one step of 'Iterative Upscale'."
    )
    SEARCH_ALIASES = ("two samplers", "masked upscale", "iterative upscale")

    def doit(self, **widgets: Unpack[_TwoSamplersWidgets]) -> tuple[Upscaler]:
        door = self.door
        full = widgets.get("full_sampler_opt")
        samplers = Samplers(
            base=checked_ksampler(door, widgets["base_sampler"], "base_sampler"),
            masked=checked_ksampler(door, widgets["mask_sampler"], "mask_sampler"),
            full=None if full is None else checked_ksampler(door, full, "full_sampler_opt"),
            base_hook=widgets.get("pk_hook_base_opt"),
            masked_hook=widgets.get("pk_hook_mask_opt"),
            full_hook=widgets.get("pk_hook_full_opt"),
        )
        tile = widgets.get("tile_size", 512) if widgets.get("use_tiled_vae") else None
        model = checked_upscale_model(door, widgets.get("upscale_model_opt"))
        space = PixelSpace(self._vae(widgets), widgets["scale_method"], model, tile)
        mask = door.mask_of_any_size(widgets["mask"])
        return (TwoSamplersUpscaler(space, samplers, mask, widgets["full_sample_schedule"]),)

    def _vae(self, widgets: Mapping[str, object]) -> Vae:
        raise NotImplementedError

    @classmethod
    def _inputs(cls, source: Inputs) -> InputTypes:
        """``source``: where the VAE comes from."""
        schedule = (
            "In which steps all of the picture is sampled instead, by base_sampler and then full_sampler_opt. "
            "interleave1, 2, 3: every 2nd, 3rd, 4th step. last1, last2: the last one, the last two."
        )
        base_hook = "Goes with base_sampler, and sees the picture enlarged where there is no upscale model."
        mask_hook = "Goes with mask_sampler, and sees the picture enlarged where there is an upscale model."
        return {
            "required": {
                "scale_method": scale_method(),
                "full_sample_schedule": (list(FULL_SCHEDULES), {"tooltip": schedule}),
                "use_tiled_vae": use_tiled_vae(),
                "base_sampler": schema.link("KSAMPLER", "Samples what is outside the mask."),
                "mask_sampler": schema.link("KSAMPLER", "Samples what is under the mask."),
                "mask": schema.link("MASK", "White is mask_sampler's, black is base_sampler's. Of any size."),
                **source,
                "tile_size": tile_size(),
            },
            "optional": {
                "full_sampler_opt": schema.link(
                    "KSAMPLER", "Samples all of the picture; without it base_sampler does."
                ),
                "upscale_model_opt": upscale_model_input(),
                "pk_hook_base_opt": _hook(base_hook),
                "pk_hook_mask_opt": _hook(mask_hook),
                "pk_hook_full_opt": _hook("Goes with full_sampler_opt."),
            },
        }


class TwoSamplersForMaskUpscalerProvider(
    _TwoSamplersProvider, name="TwoSamplersForMask Upscaler Provider", menu=UPSCALE
):
    """Enlarges and samples with two samplers."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return cls._inputs({"vae": schema.pipe_parts()["vae"]})

    def _vae(self, widgets: Mapping[str, object]) -> Vae:
        return checked_vae(self.door, widgets["vae"])


class TwoSamplersForMaskUpscalerProviderPipe(
    _TwoSamplersProvider, name="TwoSamplersForMask Upscaler Provider (pipe)", menu=UPSCALE
):
    """Enlarges and samples with two samplers, with a pipe."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return cls._inputs({"basic_pipe": schema.link("BASIC_PIPE", "Its vae is used ('ToBasicPipe').")})

    def _vae(self, widgets: Mapping[str, object]) -> Vae:
        return checked_vae_of_pipe(self.door, widgets["basic_pipe"])
