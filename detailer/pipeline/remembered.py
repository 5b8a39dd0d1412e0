"""The segment memory: what segments became, kept from run to run, so that what would be made again is not made twice.

A segment is known by all that its result depends on, up to where it is restored: its pixels and mask, its place, seed,
denoise and text, the sampling's settings, the options, and models, conditionings, ControlNets and hooks, which are
looked into. What a part is pasted with is no part of it: pasting is cheap, and done anew.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import torch

from .. import host
from ..host.fingerprints import Look, UnseenError
from ..host.identities import Contents, content_of, joined
from ..options import UNTURNED
from ..prompts.reader import Prompts
from .crop import Crop
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")

BOUND = "MASK_DETAILER_MEMORY_MIB"  # of the environment
DEFAULT_BOUND = 1024
LARGEST_BOUND = 2**20
MIB = 2**20
_OVERHEAD = 1024  # bytes of an entry beside its pictures

_T = TypeVar("_T")


@dataclass(frozen=True)
class Restored:
    """What a segment became, in memory that nobody else has.

    Attributes:
        pixels: ``[N,h,w,3]`` as ``restore`` left it.
        hints: its ControlNets' pictures, each with the device that it was on.
        sampled: the crop as it was decoded, where the recipe keeps that.
    """

    pixels: torch.Tensor
    hints: tuple[tuple[torch.Tensor, torch.device], ...]
    sampled: torch.Tensor | None = None

    @classmethod
    def of(cls, crop: Crop) -> Restored:
        sampled = None if crop.sampled is None else _apart(crop.sampled)
        return cls(_apart(crop.pixels), tuple((_apart(hint), hint.device) for hint in crop.hints), sampled)

    def put_into(self, crop: Crop) -> Crop:
        """The crop as it was made, with pictures of its own."""
        hints = [hint.to(device, copy=True) for hint, device in self.hints]
        pixels = self.pixels.to(crop.before.device, copy=True)
        sampled = None if self.sampled is None else self.sampled.to(crop.before.device, copy=True)
        return replace(crop, pixels=pixels, hints=hints, sampled=sampled, is_remembered=True)

    @property
    def bytes(self) -> int:
        kept = (self.pixels, *(hint for hint, _ in self.hints), *(() if self.sampled is None else (self.sampled,)))
        return sum(tensor.nbytes for tensor in kept) + _OVERHEAD


def _apart(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


@dataclass
class SegmentMemory:
    """What segments became, by their keys; of more bytes than its bound the longest unused go, but for those of the run
    that is on: where it makes more than there is room for, as a long clip may, it finds the first of it again.

    Attributes:
        bound: bytes; 0: it keeps nothing.
        used: bytes.
        is_fixed: pages have no say in the bound.
    """

    bound: int
    used: int = 0
    is_fixed: bool = False
    _kept: OrderedDict[bytes, Restored] = field(default_factory=OrderedDict)
    _of_run: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self) -> None:
        """Another run is on."""
        with self._lock:
            self._of_run.clear()

    def get(self, key: bytes) -> Restored | None:
        """What was kept under a key."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                self._of_run.add(key)
            return found

    def keep(self, key: bytes, restored: Restored) -> bool:
        """Keep it, if there is room beside what the run that is on has kept or found."""
        with self._lock:
            self._drop(key)
            wanted = self.used + restored.bytes
            others = [other for other in self._kept if other not in self._of_run] if wanted > self.bound else []
            while self.used + restored.bytes > self.bound:
                if not others or restored.bytes > self.bound:
                    return False
                self._drop(others.pop(0))
            self._kept[key] = restored
            self._of_run.add(key)
            self.used += restored.bytes
            return True

    def set_bound(self, mib: int) -> None:
        """Keep no more than so many MiB from now on; 0 switches it off."""
        with self._lock:
            self.bound = min(max(mib, 0), LARGEST_BOUND) * MIB
            self._shrink()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._of_run.clear()
            self.used = 0

    def take(self, saved: object) -> None:
        """The bound that the page's setting was left at, in MiB; what is no such number changes nothing."""
        if isinstance(saved, int) and not isinstance(saved, bool) and not self.is_fixed:
            self.set_bound(saved)

    def answer(self, query: Mapping[str, str]) -> dict[str, int]:
        """What a page asks: ``mib`` sets the bound, where it isn't fixed.

        Returns:
            the bound and what is used, in MiB, and how many segments are kept.
        """
        mib = query.get("mib", "")
        if mib.isdecimal() and len(mib) < 10:
            self.take(int(mib))
        return {"mib": self.bound // MIB, "used": self.used // MIB, "segments": len(self)}

    def _drop(self, key: bytes) -> None:
        gone = self._kept.pop(key, None)
        self._of_run.discard(key)
        self.used -= 0 if gone is None else gone.bytes

    def _shrink(self) -> None:
        while self.used > self.bound:
            self._drop(next(iter(self._kept)))


def _of_environment() -> SegmentMemory:
    said = os.environ.get(BOUND, "").strip()
    if said.isdecimal() and len(said) < 10:
        return SegmentMemory(min(int(said), LARGEST_BOUND) * MIB, is_fixed=True)
    if said:
        logger.warning("%s is %r and no whole number of MiB: %d is taken", BOUND, said, DEFAULT_BOUND)
    return SegmentMemory(DEFAULT_BOUND * MIB)


memory = _of_environment()


class Recall:
    """What one run has to do with the memory: it takes from it what is there, and gives it what was made.

    Whatever the recipe holds is looked at when a crop is cut and once more when it is made: where that isn't the same,
    a crop's result depends on what was made before it, and nothing is kept.

    Args:
        recipe: as it came in, before it is ``prepared``.
        also: plain data that a crop's result depends on beside.
    """

    def __init__(self, recipe: Recipe, prompts: Prompts, kept: SegmentMemory = memory, also: object = None) -> None:
        self._recipe, self._prompts, self._memory, self._also = recipe, prompts, kept, also
        kept.begin()
        self._contents = Contents()
        self._look = Look(self._contents)
        self._is_off = kept.bound == 0
        self._keys: dict[tuple[int, ...], tuple[bytes, bytes]] = {}
        self._asked = self._reused = self._too_many = 0

    def recalled(self, crop: Crop) -> Crop:
        """The crop as it was made before, where it was; else as it is."""
        if self._is_off or crop.fault or crop.plan.denoise <= 0:
            return crop
        self._asked += 1
        seen = self._seen(crop)
        facts = None if seen is None else self._looked(lambda: self._look.of(self._facts(crop)))
        if seen is None or facts is None:
            return crop
        key = joined("segment", (seen, facts))
        found = self._memory.get(key)
        made = None if found is None else self._spared(lambda: found.put_into(crop))
        if made is None:
            self._keys[crop.key] = key, seen
            return crop
        self._reused += 1
        return made

    def keep(self, crops: Sequence[Crop]) -> None:
        """Keep what crops that were ``recalled`` became."""
        new = [(crop, *self._keys.pop(crop.key)) for crop in crops if crop.key in self._keys]
        if not new or self._is_off:
            return
        self._look = Look(self._contents)
        for crop, key, seen in new:
            now = self._seen(crop)
            if now is None:
                return
            if now != seen:
                self._off("what it works with changes on the way")
                return
            if not crop.fault and all(isinstance(hint, torch.Tensor) for hint in crop.hints):
                restored = self._spared(partial(Restored.of, crop))
                if restored is not None:
                    self._too_many += not self._memory.keep(key, restored)

    def tell(self) -> None:
        """Log how much came from the memory."""
        if self._reused:
            logger.info(
                "%s: %d of %d segments are as they were made before (segment memory)",
                self._recipe.source, self._reused, self._asked,
            )  # fmt: skip
        if self._too_many:
            logger.info(
                "%s: %d of %d segments are not kept: the segment memory of %d MiB is full of this run's (a setting)",
                self._recipe.source, self._too_many, self._asked, self._memory.bound // MIB,
            )  # fmt: skip

    def _spared(self, copied: Callable[[], _T]) -> _T | None:
        """A copy, None where there is no memory left for it: then all is given back."""
        try:
            return copied()
        except Exception as error:
            if not host.devices.is_out_of_memory(error):
                raise
            self._memory.clear()
            return None

    def _off(self, why: str) -> None:
        self._is_off = True
        logger.info("%s: the segment memory is off in this run: %s", self._recipe.source, why)

    # --- the key

    def _seen(self, crop: Crop) -> bytes | None:
        """A digest of what is looked into for a crop; None where there is something that can't be."""
        return self._looked(
            lambda: joined("seen", [self._part(name, part) for name, part in self._parts(crop).items()])
        )

    def _looked(self, look: Callable[[], bytes]) -> bytes | None:
        try:
            return look()
        except UnseenError as error:
            self._off(error.what)
        except Exception as error:  # an object's own, while it is looked at
            self._off(f"{type(error).__name__}: {error}")
        return None

    def _part(self, name: str, part: object) -> bytes:
        try:
            if name == "sampler":
                sampling = self._recipe.settings.sampling
                return self._look.sampler(sampling.sampler_name, sampling.scheduler)
            return self._look.of(part)
        except UnseenError as error:
            raise UnseenError(f"the {name} holds what can't be looked into ({error.what})") from error

    def _parts(self, crop: Crop) -> dict[str, object]:
        pipe, refiner = self._recipe.pipe, self._recipe.refiner
        promise = self._recipe.hook.fingerprint()
        if promise is None:
            raise UnseenError(f"the detailer hook {self._recipe.hook.name} doesn't say that it does the same each time")
        return {
            "model": pipe.model,
            "vae": pipe.vae,
            "positive": pipe.positive,
            "negative": pipe.negative,
            "clip": pipe.clip if any(plan.text is not None for plan in crop.plan.with_parts) else None,
            "refiner": refiner and (refiner.model, refiner.positive, refiner.negative, refiner.ratio),
            "sampler": None,
            "scheduler": self._recipe.settings.sampling.scheduler_func,
            "detailer hook": promise,
            "ControlNet of a segment": [
                getattr(plan.seg, "control_net_wrapper", None) for plan in crop.plan.with_parts
            ],
        }

    def _facts(self, crop: Crop) -> dict[str, object]:
        """What is known of a crop without a look into other things."""
        plan, settings = crop.plan, self._recipe.settings
        denoise = replace(UNTURNED.denoise, scale=settings.options.denoise.scale)  # the rest is in the plan's
        mask = crop.mask[:1] if crop.mask.stride(0) == 0 else crop.mask
        return {
            "pixels": content_of(crop.before),
            "mask": content_of(mask),
            "picture": crop.picture,
            "frame": (crop.frame, crop.is_clip),
            "region": plan.region,
            "path": crop.path and (crop.path.size, [*crop.path.poses], [*crop.path.frames]),
            "size": (plan.wished, plan.multiple),
            "seed": plan.seed,
            "denoise": plan.denoise,
            "text": [
                None if one.text is None else (one.adds_text, self._prompts.sources(one.text, one.seed))
                for one in plan.with_parts
            ],
            "parts": [part.region for part in plan.parts],
            "sampling": replace(settings.sampling, denoise=0.0, scheduler_func=None),
            "masks": replace(settings.mask, feather=0),
            "tiles": settings.vae_tiles,
            "options": replace(
                settings.options,
                blend=UNTURNED.blend,
                size=UNTURNED.size,
                denoise=denoise,
                best_of=UNTURNED.best_of,
                overlaps=UNTURNED.overlaps,
            ),
            "attempts": settings.attempts if self._recipe.hook.judges else 0,
            "kept as sampled": self._recipe.keeps_sampled,
            "also": self._also,
        }
