"""The hooks we ship: plain objects that speak the detailer hook protocol, made by the nodes of the hooks group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch

from ...core import SEGS, encoded
from ...core.pixels import LARGEST_WEBP, shrunk_bytes
from ...segs.filters import by_label, by_order, by_range
from .. import host
from ..host.custom_sampling import CustomSampling
from ..host.protocols import Sampler
from ..ksampler import unsample
from ..values import KSampleCall, Latent, wrapped_seed
from .events import DetailerHook, Event
from .protocol import Hook

OVERRIDE = "override_bbox_by_segm"  # FaceDetailer only asks whether a hook has it
CYCLE_SCHEDULES = ("skip_start", "from_start")
PREVIEW_FOLDER = "pvhook"
PREVIEW_EVENT = "impact-preview"
MOST_LETTERS = 100  # of a file's name


class CombinedHook(DetailerHook):
    """Hooks of any packs as one; how their answers become one is each event's rule."""

    def __init__(self, first: object, *others: object) -> None:
        self.hooks = first, *others
        for hook in reversed(self.hooks):
            if hasattr(hook, OVERRIDE):
                setattr(self, OVERRIDE, getattr(hook, OVERRIDE))

    def answers_event(self, event: str) -> bool:
        return any(Hook(hook).answers(event) for hook in self.hooks)

    def fingerprint(self) -> object:
        """Those of all of them; None where one has none."""
        promises = [Hook(hook).fingerprint() for hook in self.hooks]
        return None if None in promises else promises

    def at(self, event: Event, arguments: Sequence[object]) -> object:
        super().at(event, arguments)
        return event.joined(self.hooks, *arguments)


class CustomSamplingHook(DetailerHook):
    """All crops are sampled with what it has of a SAMPLER, noise levels and a GUIDER; of the rest nothing changes."""

    def __init__(self, custom: CustomSampling) -> None:
        self.custom = custom

    def answers_event(self, event: str) -> bool:
        return event == "get_custom_sampling"  # the same sampler for all needs no crop alone

    def fingerprint(self) -> object:
        return (self.custom.sampler, self.custom.sigmas, self.custom.guider) if self.custom.is_known else None

    def get_custom_sampling(self, custom: CustomSampling) -> CustomSampling:
        own = {field.name: getattr(self.custom, field.name) for field in fields(CustomSampling)}
        return replace(custom, **{name: value for name, value in own.items() if value is not None})

    def get_custom_sampler(self) -> Sampler | None:
        """For detailers of other packs."""
        return self.custom.sampler


class DenoiseScheduleHook(DetailerHook):
    """Denoise goes from the detailer's own in the first cycle to ``target`` in the last, in equal steps."""

    def __init__(self, target: float) -> None:
        self.target = target

    def fingerprint(self) -> object:
        return self.target

    def pre_ksample(self, *arguments: object) -> tuple[object, ...]:
        call = KSampleCall._make(arguments)
        if self.total_step < 2:
            return call
        change = (self.target - call.denoise) * self.cur_step / (self.total_step - 1)
        return call._replace(denoise=call.denoise + change)


class ScheduleHook(DetailerHook):
    """Something that an upscaler samples with goes from its own value in the first step to ``target`` in the last, in
    equal steps; in an only step it is ``target``.
    """

    def __init__(self, name: str, target: float, whole: bool = False) -> None:
        """
        Args:
            name: a number among ``KSampleCall``'s fields.
            whole: of what comes between, the whole part is taken.
        """
        self.name, self.target, self.whole = name, target, whole

    def fingerprint(self) -> object:
        return self.name, self.target, self.whole

    def pre_ksample(self, *arguments: object) -> tuple[object, ...]:
        call, value = KSampleCall._make(arguments), self.target
        if self.total_step > 1:
            first = getattr(call, self.name)
            value = first + (self.target - first) * self.cur_step / (self.total_step - 1)
        return call._replace(**{self.name: int(value) if self.whole else value})


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


class _NoiseInjection(DetailerHook):
    """Adds noise to latents, with a seed two higher each time."""

    def __init__(self, source: str, seed: int, strength: CycleRamp) -> None:
        self.source = source
        self.seed = seed
        self.strength = strength

    def fingerprint(self) -> object:
        return self.source, self.seed, self.strength

    def noised(self, latent: Latent) -> Latent:
        """A latent with this cycle's noise under its noise mask."""
        now = self.strength.at(self.cur_step, self.total_step)
        if now is None:
            return latent
        used, strength = now
        samples: torch.Tensor = latent["samples"]
        device = host.devices.sampling_device() if self.source == "GPU" else torch.device("cpu")
        generator = torch.Generator(device).manual_seed(wrapped_seed(self.seed + 2 * used))
        noise = torch.randn(samples.shape, dtype=torch.float32, device=device, generator=generator).to(samples.device)
        noised = host.latents.under_mask(samples + noise * strength, samples, latent.get("noise_mask"))
        return {**latent, "samples": noised}


class NoiseInjectionHook(_NoiseInjection):
    """Adds noise to the latent before each cycle."""

    def cycle_latent(self, latent: Latent) -> Latent:
        return self.noised(latent)


class EncodedNoiseHook(_NoiseInjection):
    """Adds noise to what an upscaler has enlarged and encoded, in each of its steps."""

    def post_encode(self, samples: Latent) -> Latent:
        return self.noised(samples)


class VariationNoiseHook(DetailerHook):
    """Mixes a second noise into the one that a segment starts from, its deviation kept."""

    def __init__(self, seed: int, strength: float) -> None:
        self.seed = seed
        self.strength = strength

    def fingerprint(self) -> object:
        return self.seed, self.strength

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        like: Latent = {"samples": torch.zeros_like(noise, dtype=torch.float32, device="cpu")}
        own = noise.to("cpu", torch.float32) if is_touched else host.sampling.noise_for(like, [seed])
        other = host.sampling.noise_for(like, [self.seed])
        kept = 1.0 - self.strength
        mixed = (kept * own + self.strength * other) / (kept**2 + self.strength**2) ** 0.5
        return mixed, True


class _Unsampling(DetailerHook):
    """Samples latents backwards to the noise that would lead to them."""

    def __init__(self, call: KSampleCall, normalize: bool, end_at_step: CycleRamp) -> None:
        """``call``: how it is sampled; each latent takes the place of its own."""
        self.call = call
        self.normalize = normalize
        self.end_at_step = end_at_step

    def fingerprint(self) -> object:
        return self.call, self.normalize, self.end_at_step

    def unsampled(self, latent: Latent) -> Latent:
        now = self.end_at_step.at(self.cur_step, self.total_step)
        if now is None:
            return latent
        return unsample(self.call._replace(latent=latent), int(now[1]), self.normalize)


class UnsamplerHook(_Unsampling):
    """Samples the latent backwards before each cycle."""

    def cycle_latent(self, latent: Latent) -> Latent:
        return self.unsampled(latent)


class EncodedUnsamplerHook(_Unsampling):
    """Samples backwards what an upscaler has enlarged and encoded, in each of its steps."""

    def post_encode(self, samples: Latent) -> Latent:
        return self.unsampled(samples)


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
        node_id: that node's, as the browser knows it: inside a subgraph with the ids of the nodes around it, ``12:5``.
        quality: of the lossy WebP, 1 to 100.
    """

    def __init__(self, node_id: str, quality: int) -> None:
        self.node_id = node_id
        self.quality = quality
        self.fails = False

    def answers_event(self, event: str) -> bool:
        return False  # it looks at the picture and leaves it as it is

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        """Where it can't be shown, a line in the log says so, once until it can again."""
        failed = True
        with host.devices.only_a_preview(f"the preview of node {self.node_id} can't be shown", quiet=self.fails):
            self._show(image)
            failed = False
        self.fails = failed
        return image

    def _show(self, image: torch.Tensor) -> None:
        name = re.sub(r"[^\w.-]", "_", self.node_id)[-MOST_LETTERS:] + ".webp"  # within a subgraph ids hold a colon
        file = encoded(shrunk_bytes(image[0, ..., :3], LARGEST_WEBP), "webp", self.quality)
        host.folders.write_whole(host.folders.temp_folder(PREVIEW_FOLDER) / name, file)
        item = {"filename": name, "subfolder": PREVIEW_FOLDER, "type": "temp"}
        host.server.send_to_client(PREVIEW_EVENT, {"node_id": self.node_id, "item": item})
