"""What a model is made for, as far as ComfyUI's class of it says: the size, and how it is sampled as a rule.

A class doesn't say all: a checkpoint may be distilled, or be made so by a LoRA. Whoever asks lets the user say
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from .protocols import Model


@dataclass(frozen=True)
class Family:
    """How a kind of models is sampled as a rule.

    Attributes:
        side: pixels of a side of the square pictures that it was trained on.
        steps, cfg, sampler_name, scheduler: as in KSampler, at denoise 1.
    """

    name: str
    side: int = 1024
    steps: int = 20
    cfg: float = 4.0
    sampler_name: str = "euler"
    scheduler: str = "simple"


_NOISE = Family("noise prediction", 1024, 20, 7.0, "dpmpp_2m", "karras")
_FLOW = Family("flow", 1024, 20, 3.5)
_GUIDED = Family("distilled guidance", 1024, 20, 1.0)
_LCM = "LCM"  # what ComfyUI's model_sampling is called where a model is said to be distilled so

# by the name of ComfyUI's class of such models, or of one that it comes from. Turbo is by far the most used Z-Image
_FAMILIES: dict[str, Family] = {
    "SD15": Family("SD 1.5", 512, 20, 7.0, "dpmpp_2m", "karras"),
    "SD20": Family("SD 2", 768, 20, 7.0, "dpmpp_2m", "karras"),
    "SDXL": Family("SDXL", 1024, 20, 6.0, "dpmpp_2m", "karras"),
    "SDXLRefiner": Family("SDXL refiner", 1024, 20, 6.0, "dpmpp_2m", "karras"),
    "SD3": Family("SD 3", 1024, 20, 4.5, "euler", "sgm_uniform"),
    "AuraFlow": Family("AuraFlow", 1024, 20, 3.5),
    "PixArtAlpha": Family("PixArt", 1024, 20, 4.5, "dpmpp_2m", "normal"),
    "HunyuanDiT": Family("HunyuanDiT", 1024, 20, 6.0, "dpmpp_2m", "normal"),
    "Flux": Family("Flux", 1024, 20, 1.0),
    "FluxSchnell": Family("Flux Schnell", 1024, 4, 1.0),
    "Flux2": Family("Flux 2", 1024, 20, 1.0),
    "Lumina2": Family("Lumina 2", 1024, 25, 4.0, "res_multistep"),
    "ZImage": Family("Z-Image Turbo", 1024, 9, 1.0, "res_multistep"),
    "Chroma": Family("Chroma", 1024, 26, 4.0, "euler", "beta"),
    "HiDream": Family("HiDream", 1024, 28, 1.0),
    "QwenImage": Family("Qwen Image", 1328, 20, 2.5),
    "Omnigen2": Family("OmniGen 2", 1024, 20, 5.0),
    "HunyuanImage21": Family("HunyuanImage 2.1", 2048, 20, 3.5),
    "CosmosT2IPredict2": Family("Cosmos Predict 2", 1024, 20, 4.0),
    "Anima": Family("Anima", 1024, 20, 4.0),
    "WAN21_T2V": Family("Wan", 832, 20, 3.5),
}
_LCM_STEPS, _LCM_CFG = 6, 1.5
_MOST_CELLS = 64


def family_of(model: Model) -> Family:
    """The family of a model; of one that nothing is known of, what its kind of prediction says."""
    base = getattr(model, "model", None)
    kind = getattr(getattr(base, "model_type", None), "name", "")
    known = (_FAMILIES[name] for name in _names(getattr(base, "model_config", None)) if name in _FAMILIES)
    family = next(known, _GUIDED if kind == "FLUX" else _FLOW if "FLOW" in kind else _NOISE)
    if _LCM in _names(_sampling_of(model)):
        return Family(f"{family.name}, LCM", family.side, _LCM_STEPS, _LCM_CFG, "lcm", "sgm_uniform")
    return family


def cells_per_step(model: Model) -> int:
    """What a latent's sides must be multiples of, in cells, so that the model neither pads nor crops: the side of a
    transformer's patch, or 2 for each time that a U-Net halves it; 1 where it doesn't say.
    """
    net = getattr(getattr(model, "model", None), "diffusion_model", None)
    patch = getattr(net, "patch_size", None)
    if isinstance(patch, tuple | list) and patch:
        patch = patch[-1]
    levels = getattr(net, "channel_mult", None)
    if patch is None and isinstance(levels, tuple | list) and levels:
        patch = 2 ** (len(levels) - 1)
    return patch if isinstance(patch, int) and 1 <= patch <= _MOST_CELLS else 1


def is_for_inpainting(model: Model) -> bool:
    """Whether it is to be told what the picture shows and where the mask is, in channels of its own."""
    base = getattr(model, "model", None)
    told = "masked_image" in getattr(base, "concat_keys", ())
    return told or "FluxInpaint" in _names(getattr(base, "model_config", None))


def _sampling_of(model: Model) -> object:
    asked = getattr(model, "get_model_object", None)
    return None if asked is None else asked("model_sampling")


def _names(thing: object) -> list[str]:
    return [each.__name__ for each in type(thing).__mro__]
