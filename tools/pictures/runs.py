"""What the pictures show: drawn scenes through the nodes, with the small model and settings that suit it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from mask_detailer.core import Turn
from mask_detailer.detailer.hooks.upright_faces import UprightFaceHook
from mask_detailer.detailer.options import BlendOptions, ColourOptions, DetailOptions
from mask_detailer.nodes.clips import MaskDetailerClip
from mask_detailer.nodes.detailers import MaskDetailerPipe
from support import fair_clip
from support.quality import SETTINGS, Again, load_models
from support.workflow import CLIP_WIDGETS
from tiny_model import conditioning, scenes

LEAN = 28.0  # degrees
HANGING = 4  # the held-out case of the options' picture: a hanging


@dataclass(frozen=True)
class Run:
    """Pictures ``[H,W,3]`` float 0..1, and the parts ``[h,w,4]`` as they came out."""

    before: np.ndarray
    after: np.ndarray
    parts: list[np.ndarray]


class Runs:
    """Each is made when it is first asked for."""

    @cached_property
    def models(self) -> tuple[Any, Any]:
        return load_models()

    def pipe(self, kind: str = "generic") -> tuple[Any, ...]:
        model, vae = self.models
        return model, None, vae, conditioning.conditioning(kind), conditioning.conditioning("generic")

    def detailed(self, bad: np.ndarray, mask: np.ndarray, changes: Mapping[str, Any] | None = None) -> Run:
        settings = {**SETTINGS, "seed": 1, **(changes or {})}
        picture, where = torch.from_numpy(bad)[None].float(), torch.from_numpy(mask)[None].float()
        image, _, alphas, *_ = MaskDetailerPipe().doit(picture, where, self.pipe(), **settings)
        return Run(bad, image[0].numpy(), [part[0].numpy() for part in alphas])

    @cached_property
    def demo(self) -> Run:
        _, bad, parts = scenes.demo_scene()
        return self.detailed(bad, np.max([mask for _, mask in parts], axis=0))

    @cached_property
    def leaning(self) -> Run:
        """A face that leans, turned upright for the sampling; where it is a stand-in says."""
        scene = scenes.scene(scenes.DEMO_SEED)
        face = next(part for part in scene.parts if part.kind == "face")
        bad = scenes.degrade(scene.render(), face, "blur", 3.0)
        x, y = ((face.box[side] + face.box[side + 2]) / 2 for side in (0, 1))
        matrix = cv2.getRotationMatrix2D((x, y), -LEAN, 1.0)
        matrix[:, 2] += scenes.WIDTH / 2 - x, scenes.HEIGHT / 2 - y
        bad, mask = (
            cv2.warpAffine(each, matrix, bad.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
            for each in (bad, face.mask(grow=5, soft=0))
        )
        hook = UprightFaceHook(_LeansThere(), 5.0)  # type: ignore[arg-type]
        return self.detailed(bad.clip(0.0, 1.0), mask, {"detailer_hook": hook})

    @cached_property
    def tinted(self) -> tuple[Run, Run]:
        """A part whose VAE tints and which comes back without the picture's grain: without options, and with them."""
        _, bad, mask, _ = scenes.held_out_case(HANGING)
        rng = np.random.default_rng(HANGING)
        grainy = (bad + rng.normal(0.0, 0.035, (*bad.shape[:2], 1))).clip(0.0, 1.0).astype(np.float32)
        again = Again()
        self.detailed(bad, mask, {"detailer_hook": again})
        hook = again.with_fault(lambda pixels: (pixels * 0.92 + torch.tensor([0.07, 0.04, 0.0])).clamp(0.0, 1.0))
        options = DetailOptions(colour=ColourOptions("covariance"), blend=BlendOptions("multiband"), detail="match")
        without = self.detailed(grainy, mask, {"detailer_hook": hook})
        return without, self.detailed(grainy, mask, {"detailer_hook": hook, "detail_options": options})

    @cached_property
    def clip(self) -> tuple[np.ndarray, np.ndarray]:
        """The demo's clip, before and after: ``[F,H,W,3]``."""
        clip = fair_clip.fair_clip()
        settings = {**SETTINGS, **CLIP_WIDGETS, "seed": 1}
        settings.pop("batch_size")
        bad, masks = (torch.from_numpy(each.astype(np.float32) / 255) for each in (clip.bad, clip.masks))
        after = MaskDetailerClip().doit(bad, self.pipe(), mask=masks, **settings)[0]
        return bad.numpy(), after.numpy()  # type: ignore[union-attr]


class _LeansThere:
    """In place of a finder of faces."""

    def turn(self, pixels: torch.Tensor, near: tuple[float, float]) -> Turn:
        return Turn(math.radians(LEAN), near)
