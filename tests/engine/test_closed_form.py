"""A flow model without velocity: sampling gives ``sigma0 * noise + (1 - sigma0) * latent`` under the noise mask.

All that the engine does around it is reckoned here a second time, the slow and obvious way: resampling by whole
matrices.
"""

from __future__ import annotations

from typing import Any

import comfy.sample
import comfy.samplers
import numpy as np
import pytest
import torch
from engine.running import detail, unchanged_outside
from engine.tiny_models import (
    FLOW_SCALE,
    NoClip,
    Pipe,
    box_vae,
    conditioning,
    mask_of,
    picture,
    still_clip_model,
)
from support import kernels

SIZE = (96, 112)
# crop factor 2 gives crops of 32x32, enlarged 4 times: each latent cell is 2x2 pixels of the picture
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
CROPS = {UPPER: (8, 8, 40, 40), LOWER: (72, 48, 104, 80)}
WORKING = 128


def test_masked_crops_are_the_closed_form(flow: Pipe) -> None:
    image, boxes = picture(*SIZE), (LOWER, UPPER)  # the lowest part is worked on first
    mask = mask_of(*SIZE, *boxes)
    wanted = image.clone()
    for index, box in enumerate(boxes):
        _paste_closed_form(wanted, box, flow, seed=7 + index, masked=True)

    made = detail(image, mask, flow, feather=0, max_size=WORKING)

    torch.testing.assert_close(made.image, wanted, atol=3e-5, rtol=0)
    assert (made.image - image)[mask > 0].abs().mean() > 0.02
    assert unchanged_outside(made.image, image, mask > 0)


@pytest.mark.parametrize("sampler_name", ["euler", "dpmpp_2m", "heun", "uni_pc"])
@pytest.mark.parametrize(("steps", "denoise"), [(1, 1.0), (3, 0.4)])
def test_whole_crop_is_the_closed_form(flow: Pipe, sampler_name: str, steps: int, denoise: float) -> None:
    image, box = picture(*SIZE), UPPER
    wanted = image.clone()
    _paste_closed_form(wanted, box, flow, seed=7, masked=False, sampler_name=sampler_name, steps=steps, denoise=denoise)

    made = detail(
        image, mask_of(*SIZE, box), flow, feather=0, mask_mode=False, sampler_name=sampler_name, steps=steps,
        denoise=denoise,
    )  # fmt: skip

    torch.testing.assert_close(made.image, wanted, atol=3e-5, rtol=0)


def test_each_cycle_starts_from_the_one_before(flow: Pipe) -> None:
    image, box = picture(*SIZE), UPPER
    wanted = image.clone()
    _paste_closed_form(wanted, box, flow, seed=7, masked=True, cycle=3)
    made = detail(image, mask_of(*SIZE, box), flow, feather=0, cycle=3)
    torch.testing.assert_close(made.image, wanted, atol=3e-5, rtol=0)


def test_latents_with_a_time_axis_are_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(1)
    vae = box_vae(16, FLOW_SCALE, frames=True)
    pipe = (still_clip_model(), NoClip(), vae, conditioning(generator), conditioning(generator))
    image = picture(*SIZE)
    mask = mask_of(*SIZE, LOWER, UPPER)
    wanted = image.clone()
    for index, box in enumerate((LOWER, UPPER)):
        _paste_closed_form(wanted, box, pipe, seed=7 + index, masked=True)
    made = detail(image, mask, pipe, feather=0)
    torch.testing.assert_close(made.image, wanted, atol=3e-5, rtol=0)
    assert unchanged_outside(made.image, image, mask > 0)


def _paste_closed_form(
    image: torch.Tensor,
    box: tuple[int, int, int, int],
    pipe: Pipe,
    seed: int,
    masked: bool,
    sampler_name: str = "euler",
    steps: int = 2,
    denoise: float = 0.5,
    cycle: int = 1,
) -> None:
    """Put into ``image`` what the node should make of the part at ``box``."""
    model, _, vae, _, _ = pipe
    x1, y1, x2, y2 = CROPS[box]
    enlarged = _resized(image[0, y1:y2, x1:x2], WORKING)
    latent_format = model.get_model_object("latent_format")
    clean = latent = vae.encode(enlarged[None])
    sigma0 = _first_sigma(model, sampler_name, steps, denoise)
    for number in range(cycle):
        noise = comfy.sample.prepare_noise(latent, seed + number)
        inner = sigma0 * noise + (1 - sigma0) * latent_format.process_in(latent)
        latent = latent_format.process_out(inner)
        if masked:
            latent = torch.where(_cells_of(box, latent), latent, clean)
    decoded = vae.decode(latent)
    decoded = decoded[:, 0] if decoded.ndim == 5 else decoded
    small = _resized(decoded[0], x2 - x1).clamp(0, 1)
    left, top, right, bottom = box
    image[0, top:bottom, left:right] = small[top - y1 : bottom - y1, left - x1 : right - x1]


def _first_sigma(model: Any, sampler_name: str, steps: int, denoise: float) -> torch.Tensor:
    """From ComfyUI's KSampler: the schedule's place where a run at this denoise begins."""
    sampler = comfy.samplers.KSampler(model, steps, "cpu", sampler_name, "normal", denoise)
    return sampler.sigmas[0]


def _cells_of(box: tuple[int, int, int, int], latent: torch.Tensor) -> torch.Tensor:
    """The latent cells that a part covers, which lie on whole cells here."""
    x1, y1, x2, _ = CROPS[box]
    per_cell = (x2 - x1) // latent.shape[-1]
    cells = torch.zeros(latent.shape[-2:], dtype=torch.bool)
    left, top, right, bottom = ((edge - start) // per_cell for edge, start in zip(box, (x1, y1, x1, y1), strict=True))
    cells[top:bottom, left:right] = True
    return cells


def _resized(image: torch.Tensor, side: int) -> torch.Tensor:
    """``[h,w,3]``, a square, at another size."""
    by = kernels.enlarging(len(image), side) if side > len(image) else kernels.shrinking(len(image), side)
    return torch.from_numpy(kernels.resized(image.numpy(), by, by).astype(np.float32)).clamp(0, 1)
