"""Runs of MaskDetailer (pipe): pictures, masks, sampling."""

from __future__ import annotations

from typing import Any

import torch
from engine.recording.parts import (
    EIGHT,
    LOWER,
    MIDDLE,
    ODD,
    SIZE,
    UPPER,
    WIDE,
    Runs,
    asked,
    awkward,
    flow,
    frames,
    lossless,
    node,
    prompt,
    soft,
    unet,
)
from engine.tiny_models import board, coloured, mask_of, picture, pipe_with, strokes


def detailed(
    image: torch.Tensor | None = None, mask: Any = (UPPER, LOWER), pipe: Any = None, size: Any = SIZE, **changes: Any
) -> Any:
    """MaskDetailer on a smooth picture with a mask of boxes, unless told otherwise."""
    image = picture(*size) if image is None else image
    mask = mask_of(*size, *mask) if isinstance(mask, tuple | list) else mask
    return node("MaskDetailerPipe", image=image, mask=mask, basic_pipe=pipe or unet(), **changes)


def watched(**changes: Any) -> Any:
    """A run, and what its model was asked."""
    pipe = changes.pop("pipe", None) or unet()
    with asked(pipe) as calls:
        return detailed(pipe=pipe, **changes), calls


WHERE: Runs = {
    "plain": lambda: watched(),
    "eight parts": lambda: watched(size=WIDE, mask=EIGHT),
    "eight parts, one at a time": lambda: watched(size=WIDE, mask=EIGHT, crop_batch=1),
    "eight parts, three at a time": lambda: watched(size=WIDE, mask=EIGHT, crop_batch=3),
    "parts of different size at one working size": lambda: watched(
        size=WIDE, mask=[(12, 12, 24, 24), (50, 40, 66, 56), (100, 14, 108, 22)], guide_size_for=False
    ),
    "parts that see each other": lambda: watched(size=WIDE, mask=EIGHT, crop_factor=4.0),
    "parts at borders and corners": lambda: detailed(picture(*ODD), awkward(), crop_factor=3.0),
    "parts at borders, soft": lambda: detailed(picture(*ODD), awkward(), contour_fill=False, feather=9),
    "full mask": lambda: detailed(mask=torch.ones(1, *SIZE), guide_size=96.0),
    "tiny part": lambda: detailed(mask=[(50, 40, 53, 43)]),
    "too small a part": lambda: detailed(mask=[(50, 40, 52, 42)]),
    "empty mask": lambda: detailed(mask=torch.zeros(1, *SIZE)),
    "no mask": lambda: detailed(mask=None),
    "odd size": lambda: detailed(size=(67, 93), mask=[(13, 21, 40, 39), (61, 5, 92, 30)], crop_factor=1.7),
    "mask of another size": lambda: detailed(mask=mask_of(48, 56, (8, 8, 17, 17))),
    "mask of two axes": lambda: detailed(mask=mask_of(*SIZE, UPPER)[0]),
    "soft mask": lambda: detailed(mask=soft(*SIZE, 40, 50, 25), contour_fill=False),
    "soft mask, filled": lambda: detailed(mask=soft(*SIZE, 40, 50, 25)),
    "rectangle for a part": lambda: detailed(mask=soft(*SIZE, 40, 50, 25), bbox_fill=True),
    "whole crops": lambda: detailed(mask_mode=False),
    "size of the crop": lambda: detailed(guide_size_for=False, guide_size=96.0, crop_factor=3.0),
    "larger than max_size": lambda: detailed(mask=[(10, 10, 100, 80)], max_size=64.0),
    "crop of the part alone": lambda: detailed(crop_factor=1.0),
    "no feather": lambda: detailed(feather=0),
    "much feather": lambda: detailed(feather=30),
    "Differential Diffusion": lambda: detailed(noise_mask_feather=6),
    "Differential Diffusion, whole crops": lambda: detailed(noise_mask_feather=6, mask_mode=False),
    "alpha": lambda: detailed(torch.cat([picture(*SIZE), picture(*SIZE, 3)[..., :1]], dim=-1)),
    "two pictures, two masks": lambda: watched(
        image=frames(2), mask=torch.cat([mask_of(*SIZE, UPPER), mask_of(*SIZE, MIDDLE, LOWER)])
    ),
    "three pictures, one mask": lambda: watched(image=frames(3), crop_batch=3),
    "one picture, three masks": lambda: detailed(
        mask=torch.cat([mask_of(*SIZE, box) for box in (UPPER, MIDDLE, LOWER)])
    ),
    "three pictures, one mask empty": lambda: detailed(
        frames(3), torch.cat([mask_of(*SIZE, UPPER), torch.zeros(1, *SIZE), mask_of(*SIZE, LOWER)])
    ),
    "variants": lambda: watched(batch_size=3),
    "variants of two pictures": lambda: watched(image=frames(2), batch_size=2, sampler_name="euler_ancestral"),
    "the last seeds": lambda: detailed(seed=2**64 - 1, mask=EIGHT[:3], size=WIDE),
}

REFINER_RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)

SAMPLING: Runs = {
    **{
        f"refiner {ratio}": lambda ratio=ratio: watched(steps=4, refiner_ratio=ratio, refiner_basic_pipe_opt=unet(5))
        for ratio in REFINER_RATIOS
    },
    "refiner, two cycles": lambda: detailed(steps=3, cycle=2, refiner_ratio=0.5, refiner_basic_pipe_opt=unet(5)),
    "refiner, Brownian noise": lambda: detailed(
        steps=4, refiner_ratio=0.5, refiner_basic_pipe_opt=unet(5), sampler_name="dpmpp_2m_sde", scheduler="karras"
    ),
    "refiner, Differential Diffusion": lambda: detailed(
        steps=3, refiner_ratio=0.4, refiner_basic_pipe_opt=unet(5), noise_mask_feather=5
    ),
    "three cycles": lambda: detailed(cycle=3),
    "two cycles, ancestral": lambda: detailed(cycle=2, sampler_name="euler_ancestral"),
    **{
        f"sampler {name}": lambda name=name: watched(
            sampler_name=name, steps=3, denoise=0.6, scheduler="karras", mask=EIGHT[:3], size=WIDE
        )
        for name in (
            "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "dpmpp_3m_sde", "dpmpp_2s_ancestral", "heun",
            "dpm_2", "lms", "uni_pc", "lcm", "ddim", "res_multistep", "euler_cfg_pp", "dpm_adaptive",
        )
    },
    **{
        f"scheduler {name}": lambda name=name: watched(scheduler=name, steps=3, denoise=0.45)
        for name in ("simple", "sgm_uniform", "ddim_uniform", "beta", "AYS SD1", "GITS[coeff=1.2]", "OSS FLUX")
    },
    "scheduler function": lambda: watched(
        steps=3, scheduler_func_opt=lambda model, sampler, steps: torch.linspace(9.0, 0.0, steps + 1)
    ),
    "scheduler function of GITS": lambda: watched(
        steps=4, scheduler_func_opt=node("GITSSchedulerFuncProvider", coeff=1.3, denoise=1.0)[0]
    ),
    "scheduler function that is too short": lambda: watched(
        steps=4, scheduler_func_opt=lambda *_: torch.tensor([3.0, 0.0])
    ),
    "denoise 1": lambda: detailed(denoise=1.0),
    "smallest denoise": lambda: detailed(denoise=0.0001, steps=1, scheduler="karras"),
    "without cfg": lambda: watched(cfg=1.0),
    "inpaint model": lambda: detailed(pipe=unet(0, 9), inpaint_model=True),
    "inpaint model, four parts": lambda: detailed(pipe=unet(0, 9), inpaint_model=True, mask=EIGHT[:4], size=WIDE),
    "inpaint model, whole crops": lambda: detailed(pipe=unet(0, 9), inpaint_model=True, mask_mode=False),
    "inpaint model, soft": lambda: detailed(pipe=unet(0, 9), inpaint_model=True, noise_mask_feather=5),
}  # fmt: skip


def regional() -> Any:
    """A pipe whose prompts have masks, areas, references and times of their own."""
    latent = torch.randn(1, 4, 12, 14, generator=torch.Generator().manual_seed(1))
    positive = [
        *prompt(1, mask=soft(*SIZE, 30, 30, 40), mask_strength=1.0, set_area_to_bounds=False),
        *prompt(2, area=(8, 8, 2, 1), strength=0.8),
        *prompt(3, area=("percentage", 0.5, 0.5, 0.25, 0.25), strength=1.0),
        *prompt(4, reference_latents=[latent]),
        *prompt(5, start_percent=0.2, end_percent=0.9),
    ]
    return pipe_with(unet(), positive=positive)


PIXELS: Runs = {
    "prompts for regions": lambda: detailed(pipe=regional()),
    "prompts for regions, four parts": lambda: detailed(pipe=regional(), mask=EIGHT[:4], size=WIDE, crop_batch=0),
    "black and white": lambda: detailed(board(*SIZE)),
    "black and white, large squares": lambda: detailed(board(*SIZE, 11), denoise=1.0),
    "black and white, lossless": lambda: detailed(board(*SIZE, 2), pipe=lossless(), guide_size=40.0, denoise=0.01),
    "strokes": lambda: detailed(strokes(*SIZE), mask=[(10, 20, 90, 70)]),
    "strokes, lossless": lambda: detailed(strokes(*SIZE), pipe=lossless(), mask=[(10, 20, 90, 70)], denoise=0.05),
    "strokes, lossless, size unchanged": lambda: detailed(
        strokes(*SIZE), pipe=lossless(), mask=[(16, 16, 80, 80)], denoise=0.05, crop_factor=1.0
    ),
    "pure colours": lambda: detailed(coloured(*SIZE), mask=[(8, 8, 60, 60), LOWER], crop_factor=1.5),
    "pure colours, lossless": lambda: detailed(coloured(*SIZE), pipe=lossless(), denoise=0.02, guide_size=90.0),
    "flow": lambda: detailed(pipe=flow(), steps=3, denoise=0.7),
    "flow, Differential Diffusion": lambda: detailed(pipe=flow(), noise_mask_feather=8),
}

RUNS: Runs = {
    f"{group}/{name}": run
    for group, runs in (("where", WHERE), ("sampling", SAMPLING), ("pixels", PIXELS))
    for name, run in runs.items()
}
