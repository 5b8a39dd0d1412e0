"""The hooks we ship: plain objects that speak the detailer hook protocol, made by the nodes of the hooks group."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import torch

from ...core import SEGS, Size, to_bytes
from ...segs.filters import by_label, by_order, by_range
from .. import host
from ..ksampler import under_mask, unsample
from ..values import Conditioning, KSampleCall, Latent, wrapped_seed
from .protocol import CROP_METHODS, Hook

logger = logging.getLogger("mask_detailer")

CYCLE_SCHEDULES = ("skip_start", "from_start")
PREVIEW_FOLDER = "pvhook"
PREVIEW_EVENT = "impact-preview"
LARGEST_WEBP = 16383


class DetailerHook:
    """Every method of the protocol, changing nothing: other packs' detailers call them without a look.

    Attributes:
        cur_step, total_step: the cycle that runs, from 0, and how many there are; both 0 before the first.
    """

    cur_step = 0
    total_step = 0

    def crop_methods(self) -> tuple[str, ...]:
        """Those of ``CROP_METHODS`` that do something here, so that crops must go one after another."""
        kind = type(self)
        return tuple(method for method in CROP_METHODS if getattr(kind, method) is not getattr(DetailerHook, method))

    def set_steps(self, info: tuple[int, int]) -> None:
        self.cur_step, self.total_step = info

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        return crop_region

    def post_detection(self, segs: SEGS) -> SEGS:
        return segs

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        return w, h

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return pixels

    def post_encode(self, samples: Latent) -> Latent:
        return samples

    def cycle_latent(self, latent: Latent) -> Latent:
        return latent

    def pre_ksample(self, *arguments: Any) -> tuple[Any, ...]:
        """``arguments``: the fields of ``KSampleCall``, in its order."""
        return arguments

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        return noise, is_touched

    def get_custom_sampler(self) -> Any:
        return None

    def get_skip_sampling(self) -> bool:
        return False

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        return False

    def should_skip_by_cnet_image(self, cnet_image: torch.Tensor) -> bool:
        return False

    def pre_decode(self, samples: Latent) -> Latent:
        return samples

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        return image


class CombinedHook(DetailerHook):
    """Two hooks of any packs as one: the second works on what the first gives."""

    def __init__(self, hook1: Any, hook2: Any) -> None:
        self.hooks = (Hook(hook1), Hook(hook2))
        for hook in (hook2, hook1):
            if hasattr(hook, "override_bbox_by_segm"):  # FaceDetailer only asks whether it is there
                self.override_bbox_by_segm = hook.override_bbox_by_segm

    def crop_methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(method for hook in self.hooks for method in hook.crop_methods))

    def _chained(self, method: str, value: Any) -> Any:
        for hook in self.hooks:
            value = hook.passed(method, value)
        return value

    def set_steps(self, info: tuple[int, int]) -> None:
        super().set_steps(info)
        for hook in self.hooks:
            hook.set_steps(*info)

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        for hook in self.hooks:
            crop_region = hook.post_crop_region(Size(h, w), item_bbox, crop_region)
        return crop_region

    def post_detection(self, segs: SEGS) -> SEGS:
        return self._chained("post_detection", segs)

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        size = Size(h, w)
        for hook in self.hooks:
            size = hook.touch_scaled_size(size)
        return size.width, size.height

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for hook in self.hooks:
            pixels = hook.post_upscale(pixels, mask)
        return pixels

    def post_encode(self, samples: Latent) -> Latent:
        return self._chained("post_encode", samples)

    def cycle_latent(self, latent: Latent) -> Latent:
        return self._chained("cycle_latent", latent)

    def pre_ksample(self, *arguments: Any) -> tuple[Any, ...]:
        call = KSampleCall(*arguments)
        for hook in self.hooks:
            call = hook.pre_ksample(call)
        return tuple(call)

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        for hook in self.hooks:
            noise, is_touched = hook.noise_over(seed, noise, is_touched)
        return noise, is_touched

    def get_custom_sampler(self) -> Any:
        samplers = (hook.custom_sampler() for hook in self.hooks)
        return next((sampler for sampler in samplers if sampler is not None), None)

    def get_skip_sampling(self) -> bool:
        return all(hook.skips_sampling() for hook in self.hooks)

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        return any(hook.asks("should_retry_patch", patch) for hook in self.hooks)

    def should_skip_by_cnet_image(self, cnet_image: torch.Tensor) -> bool:
        return any(hook.asks("should_skip_by_cnet_image", cnet_image) for hook in self.hooks)

    def pre_decode(self, samples: Latent) -> Latent:
        return self._chained("pre_decode", samples)

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._chained("post_decode", pixels)

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        return self._chained("post_paste", image)


class DenoiseScheduleHook(DetailerHook):
    """Denoise goes from the detailer's own in the first cycle to ``target`` in the last, in equal steps."""

    def __init__(self, target: float) -> None:
        self.target = target

    def pre_ksample(self, *arguments: Any) -> tuple[Any, ...]:
        *others, denoise = arguments
        if self.total_step > 1:
            denoise += (self.target - denoise) * self.cur_step / (self.total_step - 1)
        return (*others, denoise)


@dataclass(frozen=True)
class CycleRamp:
    """A value that goes from ``start`` towards ``end`` over the cycles, and never gets there.

    Attributes:
        skip_start: not in the first cycle; the start comes in the second.
    """

    start: float
    end: float
    skip_start: bool

    def at(self, cycle: int, cycles: int) -> tuple[int, float] | None:
        """How often it was used before this cycle, and the value; None where it is skipped."""
        used, uses = (cycle - 1, cycles - 1) if self.skip_start else (cycle, cycles)
        if used < 0:
            return None
        return used, self.start + (self.end - self.start) * used / max(uses, 1)


class NoiseInjectionHook(DetailerHook):
    """Adds noise to the latent before each cycle, with a seed two higher each time."""

    def __init__(self, source: str, seed: int, strength: CycleRamp) -> None:
        self.source = source
        self.seed = seed
        self.strength = strength

    def cycle_latent(self, latent: Latent) -> Latent:
        now = self.strength.at(self.cur_step, self.total_step)
        if now is None:
            return latent
        used, strength = now
        samples: torch.Tensor = latent["samples"]
        device = host.devices.sampling_device() if self.source == "GPU" else torch.device("cpu")
        generator = torch.Generator(device).manual_seed(wrapped_seed(self.seed + 2 * used))
        noise = torch.randn(samples.shape, dtype=torch.float32, device=device, generator=generator).to(samples.device)
        noised = under_mask(samples + noise * strength, samples, latent.get("noise_mask"))
        return {**latent, "samples": noised}


class VariationNoiseHook(DetailerHook):
    """Mixes a second noise into the one that a segment starts from, its deviation kept."""

    def __init__(self, seed: int, strength: float) -> None:
        self.seed = seed
        self.strength = strength

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        like: Latent = {"samples": torch.zeros_like(noise, dtype=torch.float32, device="cpu")}
        own = noise.to("cpu", torch.float32) if is_touched else host.sampling.noise_for(like, [seed])
        other = host.sampling.noise_for(like, [self.seed])
        kept = 1.0 - self.strength
        mixed = (kept * own + self.strength * other) / (kept**2 + self.strength**2) ** 0.5
        return mixed, True


class UnsamplerHook(DetailerHook):
    """Before each cycle, samples the latent backwards to the noise that would lead to it."""

    def __init__(
        self,
        model: Any,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        normalize: bool,
        positive: Conditioning,
        negative: Conditioning,
        end_at_step: CycleRamp,
    ) -> None:
        self.call = KSampleCall(model, 0, steps, cfg, sampler_name, scheduler, positive, negative, {}, 1.0)
        self.normalize = normalize
        self.end_at_step = end_at_step

    def cycle_latent(self, latent: Latent) -> Latent:
        now = self.end_at_step.at(self.cur_step, self.total_step)
        if now is None:
            return latent
        return unsample(self.call._replace(latent=latent), int(now[1]), self.normalize)


class OrderedFilterHook(DetailerHook):
    """Keeps what a detector found by its place after sorting; see ``by_order``."""

    def __init__(self, target: str, descending: bool, start: int, count: int) -> None:
        self.chosen = (target, descending, start, count)

    def post_detection(self, segs: SEGS) -> SEGS:
        return by_order(segs, *self.chosen)[0]


class RangeFilterHook(DetailerHook):
    """Keeps what a detector found by what it measures; see ``by_range``."""

    def __init__(self, target: str, inside: bool, least: float, most: float) -> None:
        self.chosen = (target, inside, least, most)

    def post_detection(self, segs: SEGS) -> SEGS:
        return by_range(segs, *self.chosen)[0]


class LabelFilterHook(DetailerHook):
    """Keeps what a detector found by its label; see ``by_label``."""

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels

    def post_detection(self, segs: SEGS) -> SEGS:
        return by_label(segs, self.labels)[0]


class PreviewHook(DetailerHook):
    """Shows the picture after each segment in the node that made the hook.

    Args:
        node_id: that node's.
        quality: of the lossy WebP, 1 to 100.
    """

    def __init__(self, node_id: str, quality: int) -> None:
        self.node_id = node_id
        self.quality = quality

    def crop_methods(self) -> tuple[str, ...]:
        return ()  # it looks at the picture and leaves it as it is

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        from PIL import Image

        shown = Image.fromarray(to_bytes(image[0, ..., :3]))
        shown.thumbnail((LARGEST_WEBP, LARGEST_WEBP))
        name = re.sub(r"[^\w.-]", "_", self.node_id) + ".webp"  # within a subgraph ids hold a colon
        try:
            shown.save(host.folders.temp_folder(PREVIEW_FOLDER) / name, format="WEBP", quality=self.quality)
        except OSError as error:
            logger.warning("preview of node %s: it can't be written (%s); the work goes on", self.node_id, error)
            return image
        item = {"filename": name, "subfolder": PREVIEW_FOLDER, "type": "temp"}
        host.server.send_event(PREVIEW_EVENT, {"node_id": self.node_id, "item": item})
        return image
