"""What is learned from: crops of drawn scenes, and pairs of a crisp and a spoiled crop as latents."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from . import scenes
from .learning import save_whole

SEED = 20_260
# Spread of the latents as the denoiser sees them: above 1, so structure outlives the noise of denoise 0.5.
LATENT_STD = 4.0
ZOOM = (1.7, 3.7)  # working pixels per scene pixel
POOL, CROP = "crops.safetensors", 128  # a file of crops, and the pixels of their sides


def random_window(
    s: scenes.Scene, rng: np.random.Generator, size: int, low: float, high: float
) -> tuple[scenes.Part | None, scenes.Box]:
    """A square window of the scene, most often around a part, `size` working pixels wide at a zoom of `low`..`high`."""
    side = size / math.exp(rng.uniform(math.log(low), math.log(high)))
    part = s.parts[rng.integers(len(s.parts))] if rng.random() < 0.88 else None
    box = part.box if part else (0, 0, scenes.WIDTH, scenes.HEIGHT)
    cx, cy = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])
    x0 = float(np.clip(cx - side / 2, 0, scenes.WIDTH - side))
    y0 = float(np.clip(cy - side / 2, 0, scenes.HEIGHT - side))
    return part, (x0, y0, x0 + side, y0 + side)


def draw_crops(folder: Path, count: int) -> None:
    """Crops of scenes `[count,3,CROP,CROP]` uint8, once; a quarter blurred, as the encoder meets spoiled parts too."""
    if (folder / POOL).exists():
        return
    rng = np.random.default_rng(SEED)
    out = np.empty((count, CROP, CROP, 3), np.uint8)
    for i in tqdm(range(count), desc="drawing crops", mininterval=5):
        image = scenes.scene(i).render(random_window(scenes.scene(i), rng, CROP, *ZOOM)[1], (CROP, CROP))
        if rng.random() < 0.25:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 8.0))
        out[i] = np.round(image * 255)
    save_whole({"crops": torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()}, folder / POOL)


def crop_pool(folder: Path) -> Tensor:
    """What `draw_crops` drew."""
    return load_file(folder / POOL)["crops"]


def training_pair(rng: np.random.Generator, s: scenes.Scene, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(crisp, spoiled, kind index): crisp is drawn at the working zoom; spoiled is the scene's own pixels, degraded and
    enlarged.
    """
    part, (x0, y0, x1, _) = random_window(s, rng, size, *ZOOM)
    side, margin = max(32, round(x1 - x0)), 20
    x0, y0 = float(round(x0)), float(round(y0))
    crisp = s.render((x0, y0, x0 + side, y0 + side), (size, size))
    wide = side + 2 * margin
    native = s.render((x0 - margin, y0 - margin, x0 + side + margin, y0 + side + margin), (wide, wide))
    if rng.random() < 0.5:
        bad = cv2.GaussianBlur(native, (0, 0), rng.uniform(1.4, 3.4))
    else:
        small = max(4, round(wide / rng.uniform(2.6, 5.6)))
        bad = cv2.resize(
            cv2.resize(native, (small, small), interpolation=cv2.INTER_AREA),
            (wide, wide),
            interpolation=cv2.INTER_LINEAR,
        )
    if rng.random() < 0.4:
        mask = np.zeros((wide, wide), np.float32)
        centre = tuple(int(v) for v in rng.uniform(margin, wide - margin, 2))
        cv2.ellipse(mask, centre, tuple(int(v) for v in rng.uniform(0.25, 0.7, 2) * side), 0, 0, 360, 1.0, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None]
        bad = native * (1 - mask) + bad * mask
    bad = bad[margin:-margin, margin:-margin]
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[rng.integers(3)]
    bad = cv2.resize(bad, (size, size), interpolation=how).clip(0, 1)
    kind = scenes.KINDS.index(part.kind) if part and rng.random() < 0.8 else scenes.KINDS.index("generic")
    return crisp, bad, kind


def store_latents(encoder: nn.Module, target: Path, count: int, size: int, first_seed: int) -> None:
    """Encode `count` pairs of crops of `size` pixels: `[count,2,16,size/8,size/8]`, as the denoiser sees latents."""
    device = next(encoder.parameters()).device
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEED + first_seed)
    pairs = torch.empty(count, 2, 16, size // 8, size // 8, dtype=torch.float16)
    kinds = torch.empty(count, dtype=torch.int64)
    s = None
    for i in tqdm(range(count), desc=f"encoding {target.stem}", mininterval=5):
        if s is None or i % 3 == 0:
            s = scenes.scene(first_seed + i)
        crisp, bad, kind = training_pair(rng, s, size)
        x = torch.from_numpy(np.stack([crisp, bad])).permute(0, 3, 1, 2).to(device)
        with torch.no_grad():
            pairs[i] = (encoder(x) * LATENT_STD).half().cpu()
        kinds[i] = kind
    save_whole({"pairs": pairs, "kinds": kinds}, target)
