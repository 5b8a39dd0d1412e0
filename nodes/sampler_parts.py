"""What nodes that sample and upscale have in common: widgets, and checks of the samplers and upscalers that come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from ..detailer import host
from ..detailer.host.protocols import Conditioning, ControlNet, Model, SchedulerFunc, Vae
from ..detailer.host.upscale_model import UpscaleModel
from ..detailer.regional.sample import RegionalPrompt
from ..detailer.samplers.advanced import AdvancedKSampler, advanced_of
from ..detailer.samplers.grid import STRATEGIES
from ..detailer.samplers.origin import Origin
from ..detailer.samplers.plain import NO_LATENT
from ..detailer.upscaling.iterate import AnyUpscaler
from ..detailer.values import KSampleCall
from . import schema
from .door import Door
from .pipe_parts import SOURCES
from .schema import Input, Inputs

KSAMPLER_SOURCE = "Connect the KSAMPLER of 'KSamplerProvider' or 'TiledKSamplerProvider'"
ADVANCED_SOURCE = "Connect the KSAMPLER_ADVANCED of 'KSamplerAdvancedProvider'"
UPSCALER_SOURCE = "Connect the UPSCALER of an upscaler provider"
PROMPTS_SOURCE = "Connect the output of 'RegionalPrompt' or 'CombineRegionalPrompts'"


class SamplingWidgets(TypedDict, total=False):
    """The KSampler's widgets, as those who provide one have them."""

    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    scheduler_func_opt: SchedulerFunc | None


def seed(tooltip: str = "The noise seed.") -> Input:
    return schema.seed(tooltip)


def denoise() -> Input:
    tooltip = "How much is made anew: 1.0 starts from noise, 0.5 redraws detail, 0 gives the latent back as it is."
    return "FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": tooltip}


def core_scheduler() -> Input:
    return host.schedules.core_scheduler_names(), {"tooltip": "How noise falls from step to step, as in KSampler."}


def sampling(core_only: bool = False) -> Inputs:
    """The KSampler's widgets up to the scheduler."""
    return {
        "seed": seed(),
        "steps": schema.steps("Sampling steps really run, whatever the denoise."),
        "cfg": schema.cfg(),
        "sampler_name": schema.sampler_name(),
        "scheduler": core_scheduler() if core_only else schema.scheduler(),
    }


def sampling_pipe() -> Input:
    return schema.link("BASIC_PIPE", "Model and prompts ('ToBasicPipe').")


def tile_side(side: str) -> Input:
    tooltip = f"The {side} of a tile in pixels. Use what the model was trained at: 512 for SD1.5, 1024 for SDXL."
    return "INT", {"default": 512, "min": 320, "max": schema.MAX_SIZE, "step": 64, "tooltip": tooltip}


def tiling() -> Inputs:
    """The widgets of sampling in tiles."""
    strategy = (
        "How tiles lie. Always they overlap and are blended at every step, so that no seams show. random: they move "
        "from step to step. padded: they share a quarter. simple: an eighth, which is quickest."
    )
    return {
        "tile_width": tile_side("width"),
        "tile_height": tile_side("height"),
        "tiling_strategy": (list(STRATEGIES), {"tooltip": strategy}),
    }


def call_of(model: Model, positive: Conditioning, negative: Conditioning, values: Mapping[str, object]) -> KSampleCall:
    """How the widgets say that is sampled; the latent comes later."""
    widgets = cast(SamplingWidgets, values)
    return KSampleCall(
        model=model,
        seed=widgets.get("seed", 0),
        steps=widgets.get("steps", 1),
        cfg=widgets.get("cfg", 1.0),
        sampler_name=widgets.get("sampler_name", ""),
        scheduler=widgets.get("scheduler", ""),
        positive=positive,
        negative=negative,
        latent=NO_LATENT,
        denoise=widgets.get("denoise", 1.0),
    )


# --- checks -------------------------------------------------------------------------------------------------------


def _told(value: object, kind: str) -> str:
    return "it is missing (None)" if value is None else f"a {type(value).__name__} is no {kind}"


def checked_ksampler(door: Door, value: object, name: str) -> object:
    """A KSAMPLER of any pack; InputError for what can't sample."""
    if not callable(getattr(value, "sample", None)):
        raise door.error(name, _told(value, "KSAMPLER"), KSAMPLER_SOURCE)
    return value


def checked_advanced(door: Door, value: object, name: str) -> AdvancedKSampler:
    """A KSAMPLER_ADVANCED of any pack; InputError for what is none."""
    sampler = advanced_of(value, Origin(door.node, name))
    if sampler is None:
        raise door.error(name, _told(value, "KSAMPLER_ADVANCED"), ADVANCED_SOURCE)
    return sampler


def checked_upscaler(door: Door, value: object, name: str = "upscaler") -> AnyUpscaler:
    """An UPSCALER of any pack; InputError for what can't upscale."""
    if not callable(getattr(value, "upscale_shape", None)) or not hasattr(value, "vae"):
        raise door.error(name, _told(value, "UPSCALER"), UPSCALER_SOURCE)
    return cast(AnyUpscaler, value)


def checked_upscale_model(door: Door, value: object, name: str = "upscale_model_opt") -> UpscaleModel | None:
    """An UPSCALE_MODEL, None where none is connected; InputError for what is none."""
    if value is not None and not (callable(value) and hasattr(value, "scale")):
        raise door.error(name, _told(value, "UPSCALE_MODEL"), "Connect the output of 'Load Upscale Model'")
    return cast("UpscaleModel | None", value)


def checked_vae(door: Door, value: object, name: str = "vae") -> Vae:
    """A VAE of any pack; InputError for what is none."""
    if not (hasattr(value, "encode") and hasattr(value, "decode")):
        raise door.error(name, _told(value, "VAE"), f"Connect {SOURCES['vae']}")
    return cast(Vae, value)


def checked_vae_of_pipe(door: Door, pipe: object, name: str = "basic_pipe") -> Vae:
    """The VAE of a BASIC_PIPE; InputError where there is none in it."""
    value = door.five_parts(pipe, name).vae
    if value is None:
        raise door.error(name, "its vae is missing (None)", f"Connect {SOURCES['vae']}")
    return checked_vae(door, value, name)


def checked_control_net(door: Door, value: object, name: str) -> ControlNet | None:
    """A CONTROL_NET, None where none is connected; InputError for what is none."""
    if value is not None and not callable(getattr(value, "set_cond_hint", None)):
        raise door.error(name, _told(value, "CONTROL_NET"), "Connect the output of 'Load ControlNet Model'")
    return cast("ControlNet | None", value)


def checked_prompts(door: Door, value: object, name: str = "regional_prompts") -> list[RegionalPrompt]:
    """REGIONAL_PROMPTS of any pack, at least one; InputError for what are none."""
    if not isinstance(value, list | tuple):
        raise door.error(name, _told(value, "REGIONAL_PROMPTS"), PROMPTS_SOURCE)
    if not value:
        raise door.error(name, "there are no regions in it", PROMPTS_SOURCE)
    return [_prompt(door, one, name) for one in value]


def _prompt(door: Door, prompt: object, name: str) -> RegionalPrompt:
    if not (hasattr(prompt, "mask") and hasattr(prompt, "sampler")):
        raise door.error(name, _told(prompt, "regional prompt"), PROMPTS_SOURCE)
    return RegionalPrompt(
        door.mask_of_any_size(getattr(prompt, "mask", None), name),
        checked_advanced(door, getattr(prompt, "sampler", None), name),
        getattr(prompt, "variation_seed", 0),
        getattr(prompt, "variation_strength", 0.0),
        getattr(prompt, "variation_method", "linear"),
    )
