"""Models as ComfyUI patches them: Differential Diffusion and LoRAs."""

from __future__ import annotations

from dataclasses import dataclass

from .nodes import first_output, node_class, outputs_of, registered_nodes
from .protocols import Clip, Model

# models of stills, by ComfyUI's names, whose latents are those of a model of clips
_OF_STILLS = frozenset({"qwen_image", "joyimage", "krea2", "anima"})


def is_of_clips(model: Model) -> bool:
    """Whether a model makes clips: its latents have a time axis, on which a step stands for several frames."""
    form = getattr(model.model, "latent_format", None)
    if getattr(form, "latent_dimensions", 2) != 3 or getattr(form, "temporal_downscale_ratio", 4) == 1:
        return False
    config = getattr(getattr(model.model, "model_config", None), "unet_config", None)
    shape: dict[str, object] = config if isinstance(config, dict) else {}
    if shape.get("image_model") == "cosmos_predict2":  # one that starts from frames has a channel to say so
        return shape.get("in_channels") != 16
    return shape.get("image_model") not in _OF_STILLS


def lora_names() -> list[str]:
    """The LoRA files that the running ComfyUI sees, by their path under its folders."""
    import folder_paths

    return list(folder_paths.get_filename_list("loras"))


def model_file_endings() -> tuple[str, ...]:
    """How the names of model files may end, dot included."""
    import folder_paths

    return tuple(folder_paths.supported_pt_extensions)


def with_differential_diffusion(model: Model) -> Model:
    """The model with ComfyUI's Differential Diffusion, or as it is where it has a denoise mask function already."""
    if "denoise_mask_function" in model.model_options:
        return model
    node = node_class("comfy_extras.nodes_differential_diffusion", "DifferentialDiffusion")
    return first_output(node, model)


@dataclass(frozen=True)
class LoraBlocks:
    """A weight for each block of the model, in the words of the Inspire Pack's block weight loader."""

    vector: str
    A: float = 1.0
    B: float = 1.0


def lora_loader() -> object:
    """One of ComfyUI's LoRA loaders; it remembers the last file that it read."""
    return node_class("nodes", "LoraLoader")()


def with_lora(
    loader: object, model: Model, clip: Clip | None, name: str, weights: tuple[float, float]
) -> tuple[Model, Clip | None]:
    """Copies of model and CLIP with a LoRA.

    Args:
        name: an entry of ``lora_names``.
        weights: the model's and the CLIP's.
    """
    model, clip = outputs_of(loader, model, clip, name, *weights)[:2]
    return model, clip


def with_lora_blocks(
    model: Model, clip: Clip | None, name: str, weights: tuple[float, float], blocks: LoraBlocks
) -> tuple[Model, Clip | None] | None:
    """The same with a weight for each block, through the Inspire Pack's loader; None where the pack is absent."""
    node = registered_nodes().get("LoraLoaderBlockWeight //Inspire")
    if node is None:
        return None
    inverse, seed, preset = False, 0, ""
    outputs = outputs_of(node, model, clip, name, *weights, inverse, seed, blocks.A, blocks.B, preset, blocks.vector)
    return outputs[0], outputs[1]
