"""The door: what comes into a node is checked and brought to one form here, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import numpy as np
import torch

from ..core import SEG, SEGS, Region, Size, as_mask_batch, resize_mask, seg_mask
from ..core.normal import SegsError, missing_fields, normal_header, normal_region, normal_seg, normal_segs
from ..detailer import host
from ..detailer.detection.detect import Detector, Sam
from ..detailer.host import protocols
from ..detailer.host.protocols import Latent, Vae
from ..detailer.options import UNTURNED, DetailOptions
from ..detailer.values import BasicPipe, DetailerPipe, Refiner
from . import told
from .advice import BROKEN_DETECTOR, DETECTOR_SOURCES, SAM_SOURCE, SEG_SOURCE, SEGS_SOURCE
from .pipe_parts import KINDS, NOT_NEEDED, PARTS, SOURCES
from .validate import InputError

logger = logging.getLogger("mask_detailer")

OLDEST_DETAILER_PIPE = 10  # parts: the refiner's four came later
MOST_TOLD = 5  # things that were mended, in a line of the log

Mended = TypeVar("Mended")


@dataclass(frozen=True)
class Door:
    """The checks of one node."""

    node: str

    def error(self, name: str, found: str, fix: str) -> InputError:
        return InputError(self.node, name, found, fix)

    def image(self, image: object, name: str = "image") -> torch.Tensor:
        """An IMAGE as ``[B,H,W,3 or 4]`` float32 on its device.

        Raises:
            InputError: for another type, rank or channel count, for no pictures, and for values that are not finite.
        """
        image = self._picture(image, name)
        if image.ndim != 4 or image.shape[-1] not in (3, 4):
            found = f"its shape is {list(image.shape)}, not [batch, height, width, 3 or 4 channels]"
            raise self.error(name, found, "Connect an IMAGE with colour")
        if 0 in image.shape:
            raise self.error(name, f"it is empty (shape {list(image.shape)})", "Connect a picture with pixels")
        whole = not (image.is_floating_point() or image.dtype == torch.bool)
        image = image.to(torch.float32)
        self._finite(image, name)
        return self._of_bytes(image, name) if whole and bool((image > 1).any()) else image

    def one_image(self, image: object, name: str = "image") -> torch.Tensor:
        """An IMAGE of one picture, ``[1,H,W,3 or 4]`` float32.

        Raises:
            InputError: for several, and as ``image`` does.
        """
        frames = self.image(image, name)
        if len(frames) > 1:
            found = f"it holds {len(frames)} pictures, this node takes one"
            raise self.error(name, found, "Put 'Image Batch to Image List' before it")
        return frames

    def mask(self, mask: object, size: Size, name: str = "mask") -> torch.Tensor:
        """A MASK of any rank as ``[B,H,W]`` float32 0..1 of the picture's size: clamped and rescaled where it must be.

        Raises:
            InputError: for another type or rank, for no masks, and for values that are not finite.
        """
        masks = self.mask_of_any_size(mask, name, size)
        if tuple(masks.shape[-2:]) != size:
            told.mask_rescaled(self.node, Size(*masks.shape[-2:]), size)
        return resize_mask(masks, size)

    def mask_of_any_size(self, mask: object, name: str = "mask", size: Size | None = None) -> torch.Tensor:
        """A MASK of any rank and size as ``[B,H,W]`` float32, clamped to 0..1; bytes as 0..255.

        Args:
            size: of the picture that it is for, where it is known.
        """
        masks = self.mask_frames(mask, name, size)
        if 0 in masks.shape:
            shape = list(cast(torch.Tensor, mask).shape)
            raise self.error(name, f"it is empty (shape {shape})", "Connect a mask with pixels")
        self._finite(masks, name)
        low, high = float(masks.min()), float(masks.max())
        if high > 1.0 and cast(torch.Tensor, mask).dtype == torch.uint8:
            return self._of_bytes(masks, name)
        if low < 0.0 or high > 1.0:
            logger.info("%s: mask values from %g to %g are clamped to 0..1", self.node, low, high)
            masks = masks.clamp(0.0, 1.0)
        return masks

    def mask_frames(self, mask: object, name: str = "mask", size: Size | None = None) -> torch.Tensor:
        """A MASK of any rank as ``[B,H,W]`` float32, its values as they are; there may be no masks in it.

        Raises:
            InputError: for another type or rank.
        """
        mask = self._plain(mask, name, "mask")
        try:
            return as_mask_batch(mask, size)
        except ValueError as error:
            fix = "Connect a MASK"
            if mask.shape[-1:] in ((3,), (4,)):
                fix = "It looks like an IMAGE: make a MASK of it with 'Convert Image to Mask'"
            raise self.error(name, str(error), fix) from error

    def picture_frames(self, image: object, name: str = "image") -> torch.Tensor:
        """An IMAGE of any number of channels as ``[B,H,W,C]`` float32, its values as they are; it may have no frames.

        Raises:
            InputError: for another type or rank.
        """
        image = self._picture(image, name)
        if image.ndim != 4:
            found = f"its shape is {list(image.shape)}, not [batch, height, width, channels]"
            raise self.error(name, found, "Connect an IMAGE")
        return image.to(torch.float32)

    def _picture(self, value: object, name: str) -> torch.Tensor:
        picture = self._plain(value, name, "picture")
        return picture[None] if picture.ndim == 3 else picture

    def _plain(self, value: object, name: str, what: str) -> torch.Tensor:
        """A tensor of real numbers, all of them there."""
        found = f"a {type(value).__name__}"
        if isinstance(value, torch.Tensor):
            if not (value.is_complex() or value.is_meta or value.layout is not torch.strided):
                return value
            found = f"a tensor of {value.dtype} ({value.layout}, on {value.device})"
        raise self.error(name, f"{found} is no {what}", f"Connect {'an IMAGE' if what == 'picture' else 'a MASK'}")

    def _of_bytes(self, values: torch.Tensor, name: str) -> torch.Tensor:
        logger.info("%s: whole numbers up to %g in %s are read as 0..255", self.node, float(values.max()), name)
        return values / 255.0

    def _finite(self, frames: torch.Tensor, name: str) -> None:
        # one sum is a fraction of the cost of asking every value, and is finite only if all of them are
        if bool(torch.isfinite(frames.sum())):
            return
        for index, frame in enumerate(frames):
            if not bool(torch.isfinite(frame).all()):
                fix = "Find the node before it that makes them (a VAE in fp16 often does)"
                raise self.error(name, f"frame {index} holds NaN or infinite values", fix)

    def basic_pipe(self, pipe: object, name: str = "basic_pipe") -> BasicPipe:
        """A BASIC_PIPE with all that sampling needs. The clip may be missing: only per-segment text needs one.

        Raises:
            InputError: if it is not five things, or one that is needed is None.
        """
        parts = self.five_parts(pipe, name)
        self.not_missing(parts, name)
        return parts

    def sampling_pipe(self, pipe: object, name: str = "basic_pipe") -> BasicPipe:
        """A BASIC_PIPE of which sampling alone needs something: its vae may be missing too."""
        parts = self.five_parts(pipe, name)
        self.not_missing(parts._replace(vae=NOT_NEEDED), name)
        return parts

    def five_parts(self, pipe: object, name: str = "basic_pipe") -> BasicPipe:
        """A BASIC_PIPE of which any part may be None."""
        if not isinstance(pipe, tuple | list):
            raise self.error(name, f"a {type(pipe).__name__} is no BASIC_PIPE", "Connect the output of 'ToBasicPipe'")
        if len(pipe) != len(BasicPipe._fields):
            fix = "Connect the output of 'ToBasicPipe'"
            if len(pipe) == len(DetailerPipe._fields):
                fix = "It looks like a DETAILER_PIPE: make a BASIC_PIPE of it with 'DetailerPipe -> BasicPipe'"
            raise self.error(name, f"a BASIC_PIPE holds 5 things, this holds {len(pipe)}", fix)
        return BasicPipe(*pipe)

    def parts(self, values: Mapping[str, object]) -> BasicPipe:
        """The parts of a BASIC_PIPE that are inputs of their own; any may be None."""
        return self.five_parts(tuple(values[part] for part in BasicPipe._fields))

    def detailer_pipe(self, pipe: object, name: str = "detailer_pipe") -> DetailerPipe:
        """A DETAILER_PIPE of which any part may be None; those made before there were refiners in it are filled up.

        Raises:
            InputError: if it is not 10 to 14 things.
        """
        fix = "Connect the output of 'ToDetailerPipe' or 'BasicPipe -> DetailerPipe'"
        if not isinstance(pipe, tuple | list):
            raise self.error(name, f"a {type(pipe).__name__} is no DETAILER_PIPE", fix)
        if not OLDEST_DETAILER_PIPE <= len(pipe) <= len(DetailerPipe._fields):
            if len(pipe) == len(BasicPipe._fields):
                fix = "It looks like a BASIC_PIPE: put 'BasicPipe -> DetailerPipe' before it"
            raise self.error(name, f"a DETAILER_PIPE holds 14 things, this holds {len(pipe)}", fix)
        parts = DetailerPipe(*pipe)
        if not isinstance(parts.wildcard, str | None):
            raise self.error(name, f"its wildcard is a {type(parts.wildcard).__name__} and no text", fix)
        return parts

    def not_missing(self, parts: BasicPipe, name: str | None) -> None:
        """Looks at model, vae and conditionings; ``name`` None: each is an input of its own.

        Raises:
            InputError: where one is None or another thing.
        """
        for part, is_one in PARTS.items():
            value = getattr(parts, part)
            if value is None:
                found = "it is missing (None)" if name is None else f"its {part} is missing (None)"
                raise self.error(name or part, found, f"Connect {SOURCES[part]}")
            if value is not NOT_NEEDED and not is_one(value):
                whose = "" if name is None else f"its {part}: "
                found = f"{whose}a {type(value).__name__} is no {KINDS[part]}"
                raise self.error(name or part, found, f"Connect {SOURCES[part]}")

    def refiner(self, pipe: object, ratio: float, name: str = "refiner_basic_pipe_opt") -> Refiner | None:
        """The refiner of an optional BASIC_PIPE, None where none is connected.

        Raises:
            InputError: if it is connected but not five things, or its model or a conditioning is None.
        """
        if pipe is None:
            return None
        parts = self.sampling_pipe(pipe, name)
        return Refiner(parts.model, parts.positive, parts.negative, ratio)

    def detail_options(self, options: object, name: str = "detail_options") -> DetailOptions:
        """What 'Detailer Options' says, or that there is nothing to say; InputError for anything else."""
        if options is None:
            return UNTURNED
        if not isinstance(options, DetailOptions):
            found = f"a {type(options).__name__} is no DETAIL_OPTIONS"
            raise self.error(name, found, "Connect the output of 'Detailer Options'")
        return options

    def segs(self, segs: object, name: str = "segs", fix: str = SEGS_SOURCE) -> SEGS:
        """SEGS of any pack: ``((height, width), [SEG, ...])``, mended where that is clear, see ``core.normal``.

        Raises:
            InputError: for another layout; naming segment and field for what can't be worked with.
        """
        return self._mended(name, fix, lambda: normal_segs(segs))

    def segs_to_detail(self, segs: object, name: str = "segs") -> SEGS:
        """SEGS of any pack, what they carry for sampling looked at too.

        Raises:
            InputError: as ``segs`` does, and for a ControlNet wrapper that is none.
        """
        checked = self.segs(segs, name)
        for number, seg in enumerate(checked[1], start=1):
            wrapper = getattr(seg, "control_net_wrapper", None)
            if wrapper is not None and not hasattr(wrapper, "apply") and bool(seg_mask(seg).any()):
                found = f"segment {number} has a control_net_wrapper that is none, but a {type(wrapper).__name__}"
                raise self.error(name, found, "Put 'ImpactControlNetClearSEGS' before it")
        return checked

    def seg(self, seg: object, name: str = "seg_elt", number: int | None = None) -> SEG:
        """One segment of any pack, mended where that is clear.

        Args:
            number: its place in a list.

        Raises:
            InputError: if it lacks a field of a segment, or naming the field that can't be worked with.
        """
        who = "the segment" if number is None else f"segment {number}"
        missing = missing_fields(seg)
        if missing:
            place = "" if number is None else f" ({who})"
            raise self.error(name, f"a {type(seg).__name__} lacks {', '.join(missing)}{place}", SEG_SOURCE)
        notes: list[str] = []
        return self._mended(name, SEG_SOURCE, lambda: (normal_seg(seg, who, notes=notes), notes))

    def header(self, header: object, name: str = "seg_header") -> tuple[int, int]:
        """A SEGS_HEADER ``(height, width)``.

        Raises:
            InputError: for anything but two whole numbers.
        """
        fix = "Connect the SEGS_HEADER of 'Decompose (SEGS)'"
        return self._mended(name, fix, lambda: (normal_header(header), []))

    def region(self, box: object, name: str, of: str = "") -> Region:
        """A box or crop region of four numbers; sides in reverse are turned round.

        Args:
            of: what it is part of, in words.

        Raises:
            InputError: for anything else.
        """
        try:
            return normal_region(box)
        except SegsError as error:
            fix = "Connect the output of the same name of 'From SEG_ELT'"
            raise self.error(name, f"{error}: left, top, right, bottom{of}", fix) from error

    def _mended(self, name: str, fix: str, normal: Callable[[], tuple[Mended, list[str]]]) -> Mended:
        """What ``normal`` gives of an input; what it had to mend is told in one line."""
        try:
            made, notes = normal()
        except SegsError as error:
            raise self.error(name, str(error), fix) from error
        if notes:
            more = f"; and {len(notes) - MOST_TOLD} more" if len(notes) > MOST_TOLD else ""
            logger.warning("%s, input '%s': mended: %s%s", self.node, name, "; ".join(notes[:MOST_TOLD]), more)
        return made

    def detector(self, detector: object, kind: str, name: str) -> Detector:
        """A detector of any pack.

        Args:
            kind: BBOX_DETECTOR or SEGM_DETECTOR.

        Raises:
            InputError: for None, and for what has no ``detect``, such as what some providers give beside a detector.
        """
        if detector is None:
            raise self.error(name, f"the {kind} is missing (None)", DETECTOR_SOURCES[kind])
        if not hasattr(detector, "detect"):
            found = f"a {type(detector).__name__} is no {kind}: it can't detect"
            raise self.error(name, found, DETECTOR_SOURCES[kind])
        return Detector(
            cast(protocols.Detector, detector), partial(self.found_segs, name=name), partial(self.found_mask, name=name)
        )

    def optional_detector(self, detector: object, kind: str, name: str, needed: bool) -> Detector | None:
        """A detector, or None where none is connected, or where it can't detect and isn't needed."""
        if detector is None or (not needed and not hasattr(detector, "detect")):
            return None
        return self.detector(detector, kind, name)

    def sam(self, model: object, name: str = "sam_model") -> Sam:
        """A SAM_MODEL of any pack.

        Raises:
            InputError: for what has no ``sam_wrapper``.
        """
        wrapper = getattr(model, "sam_wrapper", None)
        if wrapper is None:
            found = "it is missing (None)" if model is None else f"a {type(model).__name__} has no sam_wrapper"
            raise self.error(name, found, SAM_SOURCE)
        return Sam(wrapper, partial(self.found_mask, name=name))

    def optional_sam(self, model: object, name: str = "sam_model_opt") -> Sam | None:
        """A SAM_MODEL, or None where none is connected."""
        return None if model is None else self.sam(model, name)

    def found_segs(self, segs: object, name: str) -> SEGS:
        """SEGS that a detector of any pack gave, as ``segs`` does; those without pixels stay, to be left out.

        Raises:
            InputError: for another layout; naming detection and field for what can't be worked with.
        """
        return self._mended(name, BROKEN_DETECTOR, lambda: normal_segs(segs, detected=True))

    def found_mask(self, mask: object, size: Size, name: str) -> torch.Tensor:
        """A mask that a detector or SAM of any pack gave, as ``[1,H,W]`` float32 0..1 of ``size`` on the CPU.

        Of several frames the largest values count; what is not a number counts as 0.

        Raises:
            InputError: for what is no mask.
        """
        values = torch.from_numpy(np.ascontiguousarray(mask)) if isinstance(mask, np.ndarray) else mask
        if not isinstance(values, torch.Tensor) or values.ndim < 2:
            raise self.error(name, f"it found a {type(mask).__name__} that is no mask", BROKEN_DETECTOR)
        if values.numel() == 0:
            return torch.zeros(1, *size)
        frames = values.detach().to("cpu", torch.float32).reshape(-1, *values.shape[-2:])
        return resize_mask(frames.amax(dim=0, keepdim=True).nan_to_num(0.0).clamp(0.0, 1.0), size)

    def latent(self, latent: object, name: str = "latent_image") -> Latent:
        """A LATENT: a dictionary with ``samples``.

        Raises:
            InputError: for another layout.
        """
        fix = "Connect a LATENT, such as the output of 'VAE Encode' or 'Empty Latent Image'"
        if not isinstance(latent, dict):
            raise self.error(name, f"a {type(latent).__name__} is no LATENT", fix)
        if not hasattr(latent.get("samples"), "is_nested"):
            held = ", ".join(map(str, latent)) or "nothing"
            raise self.error(name, f"it holds {held} but no latent as its samples", fix)
        return cast(Latent, latent)

    def fits_latent(self, size: Size, vae: Vae, name: str = "image") -> None:
        """Raises InputError where the picture is smaller than one latent cell."""
        cell = host.vae.pixels_per_cell(vae)
        if size.shorter < cell:
            found = f"the picture is {size}, smaller than one latent cell of this VAE ({cell}x{cell})"
            raise self.error(name, found, "Enlarge the picture first")
