"""An SD1.5-sized model with random weights on the GPU: crops of 512x512 sampled together against one at a time."""

from __future__ import annotations

import time
from typing import Any

import torch
from tables import print_table

CROPS = (1, 4, 16)
SIDE = 512  # pixels of a crop, and the size it is worked on at
STEPS = 20
WARM_UP = 1


def unet() -> Any:
    """ComfyUI's model of SD1.5's shape, in half precision."""
    import comfy.model_base
    import comfy.model_management
    import comfy.supported_models
    from comfy.model_patcher import ModelPatcher

    config = comfy.supported_models.SD15(
        {
            "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
            "num_res_blocks": [2, 2, 2, 2], "channel_mult": (1, 2, 4, 4), "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
            "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "transformer_depth_middle": 1,
            "context_dim": 768, "use_spatial_transformer": True, "num_heads": 8, "num_head_channels": -1,
            "use_linear_in_transformer": False, "adm_in_channels": None, "use_temporal_attention": False,
            "dtype": torch.float16, "legacy": False,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float16, None)
    model = comfy.model_base.BaseModel(config, device="cpu")
    filled(model)
    management = comfy.model_management
    return ModelPatcher(model, load_device=management.get_torch_device(), offload_device=torch.device("cpu"))


def vae() -> Any:
    """ComfyUI's VAE of SD1.5's shape."""
    import comfy.sd
    from comfy.ldm.models.autoencoder import AutoencoderKL

    shape = {
        "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
        "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    return comfy.sd.VAE(sd=filled(AutoencoderKL(ddconfig=shape, embed_dim=4)).state_dict())


def filled(model: torch.nn.Module) -> torch.nn.Module:
    """Small random weights: nothing overflows in half precision."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return model


def run() -> None:
    import comfy.model_management

    device = comfy.model_management.get_torch_device()
    if device.type != "cuda":
        print("gpu: no GPU here, nothing measured")
        return
    with torch.inference_mode():
        rows = [row(count, unet_and_vae) for unet_and_vae in [(unet(), vae())] for count in CROPS]
    head = ["crops", "one at a time", "together", "times faster", "images a second", "peak of one", "peak together"]
    print_table(f"{torch.cuda.get_device_name(device)}: crops of {SIDE}x{SIDE}, {STEPS} steps of euler", head, rows)


def row(count: int, models: tuple[Any, Any]) -> list[str]:
    found = [seconds_and_peak(count, models, crop_batch) for crop_batch in (1, 0)]
    (alone, peak_alone), (together, peak_together) = found
    return [
        str(count), f"{alone:.2f} s", f"{together:.2f} s", f"{alone / together:.2f}", f"{count / together:.2f}",
        f"{peak_alone / 2**30:.1f} GB", f"{peak_together / 2**30:.1f} GB",
    ]  # fmt: skip


def seconds_and_peak(count: int, models: tuple[Any, Any], crop_batch: int) -> tuple[float, float]:
    """What ``count`` crops side by side cost, after a run that warms up."""
    from mask_detailer.core import mask_to_segs
    from mask_detailer.nodes.detailers import DetailerForEach

    model, codec = models
    image = torch.rand(1, SIDE, SIDE * count, 3)
    mask = torch.zeros(1, SIDE, SIDE * count)
    for index in range(count):
        mask[:, SIDE // 4 : SIDE * 3 // 4, index * SIDE + SIDE // 4 : index * SIDE + SIDE * 3 // 4] = 1.0
    segs = mask_to_segs(mask, False, 2.0, False, 2)
    prompt = [[torch.randn(1, 77, 768), {}]]
    for _ in range(WARM_UP + 1):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        DetailerForEach.do_detail(
            image, segs, model, None, codec, SIDE, False, SIDE, 1, STEPS, 7.0, "euler", "normal", prompt, prompt, 0.5,
            5, True, True, crop_batch=crop_batch,
        )  # fmt: skip
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return seconds, float(torch.cuda.max_memory_allocated())
