"""Models as ComfyUI patches them: Differential Diffusion and LoRAs."""

from __future__ import annotations

from typing import Any

from .nodes import first_output, node_class, outputs_of


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


def with_differential_diffusion(model: Any) -> Any:
    """The model with ComfyUI's Differential Diffusion, or as it is where it has a denoise mask function already."""
    if "denoise_mask_function" in model.model_options:
        return model
    node = node_class("comfy_extras.nodes_differential_diffusion", "DifferentialDiffusion")
    return first_output(node, model)


def lora_loader() -> Any:
    """One of ComfyUI's LoRA loaders; it remembers the last file that it read."""
    return node_class("nodes", "LoraLoader")()


def with_lora(loader: Any, model: Any, clip: Any, name: str, strength: float, clip_strength: float) -> tuple[Any, Any]:
    """Copies of model and CLIP with a LoRA, an entry of ``lora_names``."""
    model, clip = outputs_of(loader, model, clip, name, strength, clip_strength)[:2]
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
    outputs = outputs_of(node, model, clip, name, strength, clip_strength, inverse, seed, A, B, preset, vector)
    return outputs[0], outputs[1]
