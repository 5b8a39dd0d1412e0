"""``denoise_scale``: how much a part changes at one denoise, on every family, with a denoiser known in closed form.

What tiny models of random weights predict says nothing of how much a trained one changes. So the prediction is
replaced by the best one there is for latents of independent normal values of deviation 1, which ComfyUI scales latents
to; the family's sampling, schedule, latent format and masks stay. A part that noise drowns for good comes out as
another draw: at a change of ``sqrt(2)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.families import FAMILIES, Family, family_mask, family_picture
from engine.running import detail, pipe_with
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions

pytestmark = pytest.mark.by_hand

DENOISES = (0.2, 0.4, 0.6)
STEPS = 20
ALIKE = 0.15


def ideal(model: Any) -> Any:
    """The model with the best prediction: ``a x / (a^2 + b^2)`` of ``x = a * latent + b * noise``."""
    sampling = model.get_model_object("model_sampling")

    def predicted(_apply: Any, given: dict[str, Any]) -> torch.Tensor:
        x, level = given["input"], given["timestep"]
        level = level.reshape(-1, *[1] * (x.ndim - 1))
        zero, one = torch.zeros_like(level), torch.ones_like(level)
        signal, noise = sampling.noise_scaling(level, zero, one), sampling.noise_scaling(level, one, zero)
        return signal * x / (signal**2 + noise**2)

    model = model.clone()
    model.set_model_unet_function_wrapper(predicted)
    return model


class Change:
    """A hook that puts normal values of deviation 1 in a crop's latent, and sees how they come out."""

    def __init__(self, model: Any) -> None:
        self._model = model.model
        self._before = torch.empty(0)
        self.changes: list[float] = []

    def post_encode(self, samples: dict[str, Any]) -> dict[str, Any]:
        shape = samples["samples"].shape
        self._before = torch.randn(shape, generator=torch.Generator().manual_seed(len(self.changes)))
        return {**samples, "samples": self._model.process_latent_out(self._before.clone())}

    def pre_decode(self, samples: dict[str, Any]) -> dict[str, Any]:
        """Where the noise mask is whole: its edge fades over as many pixels as a cell has, which differ."""
        change = self._model.process_latent_in(samples["samples"]) - self._before
        mask = samples["noise_mask"].reshape(-1, 1, *samples["noise_mask"].shape[-2:])
        mask = torch.nn.functional.interpolate(mask, change.shape[-2:], mode="area")[0, 0]
        self.changes.append(float(change[..., mask >= 0.999 * mask.max()].square().mean().sqrt()))
        return samples


def changes(family: Family, scale: str) -> list[float]:
    """The mean change of a part at each denoise, in deviations of its latent."""
    options = DetailOptions(denoise=DenoiseOptions(scale=scale))
    found = []
    for denoise in DENOISES:
        hook = Change(family.pipe[0])
        widgets = {**family.widgets, "steps": STEPS, "denoise": denoise, "detailer_hook": hook}
        pipe = pipe_with(family.pipe, model=ideal(family.pipe[0]))
        detail(family_picture(), family_mask(), pipe, detail_options=options, **widgets)
        found.append(float(np.mean(hook.changes)))
    return found


def test_one_value_changes_a_part_as_much_on_every_family() -> None:
    families = [family for family in FAMILIES if not family.absent]
    found = {scale: np.array([changes(one, scale) for one in families]) for scale in ("schedule", "noise_level")}
    for scale, rows in found.items():
        print(f"\n{scale:31}" + "".join(f"{denoise:8}" for denoise in DENOISES))
        lines = {family.name: row for family, row in zip(families, rows, strict=True)}
        lines["largest over least"] = rows.max(axis=0) / rows.min(axis=0)
        for name, row in lines.items():
            print(f"{name:31}" + "".join(f"{number:8.3f}" for number in row))
    alike = found["noise_level"]
    assert (alike.max(axis=0) / alike.min(axis=0) < 1 + ALIKE).all()
