"""How good a detailed picture is: the small trained model on scenes it has not seen, measured against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from mask_detailer.core import Size, from_working_size, mask_to_segs, to_working_size
from mask_detailer.detailer import host
from mask_detailer.detailer.pipeline.plan import CropPlan, make_plan
from mask_detailer.detailer.pipeline.recipe import Recipe
from mask_detailer.detailer.values import BasicPipe
from mask_detailer.nodes.detailers import MaskDetailerPipe
from mask_detailer.nodes.door import Door
from mask_detailer.nodes.settings import settings_of
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity
from tiny_model import WEIGHTS as CHECKPOINT
from tiny_model import conditioning, scenes

from support.faults import Fault

SETTINGS: dict[str, Any] = {
    "guide_size": 448.0,
    "guide_size_for": True,
    "max_size": 768.0,
    "mask_mode": True,
    "steps": 8,
    "cfg": 1.0,
    "sampler_name": "euler",
    "scheduler": "simple",
    "denoise": 0.3,
    "feather": 5,
    "crop_factor": 1.3,
    "drop_size": 10,
    "refiner_ratio": 0.2,
    "batch_size": 1,
    "cycle": 1,
    "noise_mask_feather": 0,
    "contour_fill": True,
}


@dataclass(frozen=True)
class Quality:
    """One part of one scene, before and after.

    Attributes:
        kind: what the part shows.
        similarity_before, similarity: structural similarity to the undegraded scene, mean inside the mask.
        sharpness_before, sharpness: mean gradient magnitude inside the mask over the truth's.
        seam, seam_of_truth: mean jump across the mask's edge; 0 where the truth is flat there.
        fade: mean change (after less before) in the 3 pixels outside the mask's edge over that in the 3 pixels inside:
            0 for a patch put in with a hard edge, towards 1 the more it fades.
        fine: share of the values inside the mask that lie between the levels of 8-bit pictures.
        brighter: mean difference to the undegraded scene inside the mask, in levels of 8-bit pictures.
        outside: largest change where the feathered mask does not reach.
    """

    kind: str
    similarity_before: float
    similarity: float
    sharpness_before: float
    sharpness: float
    seam: float
    seam_of_truth: float
    fade: float
    fine: float
    brighter: float
    outside: float


@dataclass
class Again:
    """A hook by which a crop is sampled once: every time after that, what it decoded to then is put back again.

    Attributes:
        fault: what is done to it before.
    """

    decoded: torch.Tensor | None = None
    fault: Fault | None = None

    def with_fault(self, fault: Fault) -> Again:
        return Again(self.decoded, fault)

    def get_skip_sampling(self) -> bool:
        return self.decoded is not None

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.decoded is None:
            self.decoded = pixels.clone()
        return self.decoded.clone() if self.fault is None else self.fault(self.decoded)


def load_models() -> tuple[Any, Any]:
    """(model, vae) of the trained checkpoint, through ComfyUI's own loader."""
    import comfy.sd

    loaded: Any = comfy.sd.load_checkpoint_guess_config(str(CHECKPOINT), output_vae=True, output_clip=False)
    return loaded[0], loaded[2]


def detailed(
    models: tuple[Any, Any], case: int, changes: Mapping[str, Any] | None = None, undegraded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A held-out case's picture ``[H,W,3]`` after ``MaskDetailerPipe``, and its crop ``[h,w,4]`` with paste mask."""
    good, bad, mask, part = scenes.held_out_case(case)
    model, vae = models
    positive, negative = conditioning.conditioning(part.kind), conditioning.conditioning("generic")
    picture, where = torch.from_numpy(good if undegraded else bad)[None], torch.from_numpy(mask)[None]
    settings = {**SETTINGS, **(changes or {})}
    image, _, alphas, *_ = MaskDetailerPipe().doit(
        picture, where, (model, None, vae, positive, negative), seed=case, **settings
    )
    return image[0].cpu().numpy(), alphas[0][0].cpu().numpy()


def measure(models: tuple[Any, Any], case: int, changes: Mapping[str, Any] | None = None) -> Quality:
    """Detail held-out case ``case`` (0..49) with ``SETTINGS`` and ``changes`` to them, its number being the seed."""
    good, bad, mask, part = scenes.held_out_case(case)
    done, crop = detailed(models, case, changes)
    reach = np.zeros(mask.shape, bool)
    reach[plan_of(models, case, changes).region.slices] = crop[..., 3] > 0
    inside = mask > 0.5
    truth = sharpness(good)[inside].mean()
    return Quality(
        part.kind,
        similarity(good, bad, inside),
        similarity(good, done, inside),
        float(sharpness(bad)[inside].mean() / truth),
        float(sharpness(done)[inside].mean() / truth),
        jump(done, inside),
        jump(good, inside),
        fade(done - bad, inside),
        float((np.abs(done * 255 - np.round(done * 255)) > 0.02)[inside].mean()),
        float((done - good)[inside].mean() * 255),
        float(np.abs(done - bad)[~reach].max()),
    )


def plan_of(models: tuple[Any, Any], case: int, changes: Mapping[str, Any] | None = None) -> CropPlan:
    """Where the crop of a held-out case lies, and how large it is worked on."""
    mask, settings = torch.from_numpy(scenes.held_out_case(case)[2])[None], {**SETTINGS, **(changes or {})}
    segs = mask_to_segs(mask, False, settings["crop_factor"], False, settings["drop_size"])
    widgets = settings_of(Door("quality"), {**settings, "seed": case, "noise_mask": True, "force_inpaint": True})
    model, vae = models
    recipe = Recipe(BasicPipe(model, None, vae, [], []), widgets).prepared()
    (plan,) = make_plan(segs, Size(*mask.shape[1:]), recipe.settings, case, recipe.multiple).crops
    return plan


def vae_shift(models: tuple[Any, Any], case: int) -> float:
    """Mean Lab difference of a case's unmasked surroundings in its crop, through the VAE and back."""
    _, bad, mask, _ = scenes.held_out_case(case)
    picture, where = torch.from_numpy(bad)[None], torch.from_numpy(mask)[None]
    plan = plan_of(models, case)
    rows, columns = plan.region.slices
    return colour_shift(models[1], picture[:, rows, columns], where[0, rows, columns], plan.working)


def similarity(truth: np.ndarray, picture: np.ndarray, inside: np.ndarray) -> float:
    """Mean structural similarity over the pixels ``inside`` (bool ``[H,W]``)."""
    rows, columns = np.nonzero(inside)
    margin = 8  # more than half the measure's window
    window = (
        slice(max(rows.min() - margin, 0), rows.max() + margin),
        slice(max(columns.min() - margin, 0), columns.max() + margin),
    )
    measured: Any = structural_similarity(truth[window], picture[window], channel_axis=-1, data_range=1.0, full=True)
    return float(measured[1][inside[window]].mean())


def sharpness(picture: np.ndarray) -> np.ndarray:
    """The gradient's magnitude ``[H,W]``, mean of the channels."""
    rows, columns = np.gradient(picture, axis=(0, 1))
    return np.hypot(rows, columns).mean(axis=-1)


def jump(picture: np.ndarray, inside: np.ndarray) -> float:
    """Mean absolute difference between neighbours on both sides of the mask's edge."""
    down = np.abs(np.diff(picture, axis=0)).mean(axis=-1)[inside[1:] != inside[:-1]]
    across = np.abs(np.diff(picture, axis=1)).mean(axis=-1)[inside[:, 1:] != inside[:, :-1]]
    return float(np.concatenate([down, across]).mean())


def fade(change: np.ndarray, inside: np.ndarray) -> float:
    """How a change ``[H,W,3]`` goes on beyond the mask's edge: its size in 3 pixels outside over that in 3 inside."""
    mask, square = inside.astype(np.uint8), np.ones((7, 7), np.uint8)
    within, beyond = inside & (cv2.erode(mask, square) == 0), ~inside & (cv2.dilate(mask, square) > 0)
    return float(np.abs(change)[beyond].mean() / np.abs(change)[within].mean())


def colour_shift(vae: Any, crop: torch.Tensor, mask: torch.Tensor, working: Size) -> float:
    """Mean Lab difference outside the mask of a crop ``[1,h,w,3]`` that went through the VAE and back at the working
    size.
    """
    fitted = to_working_size(crop, working).clamp(0.0, 1.0)
    decoded = host.vae.decode(vae, host.vae.encode(vae, fitted))
    back = from_working_size(decoded, Size(*crop.shape[1:3])).clamp(0.0, 1.0)
    difference = np.linalg.norm(rgb2lab(crop[0].numpy()) - rgb2lab(back[0].numpy()), axis=-1)
    return float(difference[mask.numpy() < 0.5].mean())
