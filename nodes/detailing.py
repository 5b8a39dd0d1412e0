"""From what came into a detailer to the pictures that the engine asks for, and from what it made to the outputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ..core import SEGS, Size, mask_to_segs
from ..detailer import host
from ..detailer.pipeline.recipe import Recipe
from ..detailer.pipeline.run import Picture
from ..detailer.values import Detailed, Frame
from ..segs import black_picture
from .door import Door

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Shot:
    """One picture that a node makes: of which frame that came in, with which segments and seed.

    Attributes:
        without: why there are no segments where there are none; see ``MaskCut.why_nothing``.
    """

    frame: int
    segs: SEGS
    seed: int
    without: str = ""


@dataclass(frozen=True)
class Work:
    """What a node has the engine do.

    Attributes:
        images: ``[count,H,W,3 or 4]``, the pictures in the making; finished when the engine is.
        pictures: what the engine is to detail, each put into ``images`` when it is asked for.
        recipe: with what, and how.
    """

    images: torch.Tensor
    pictures: Iterator[Picture]
    recipe: Recipe

    @property
    def count(self) -> int:
        return len(self.images)

    def joined(self, made: Sequence[Detailed]) -> Detailed:
        """All pictures in one, with the lists of their crops one picture after another."""
        crops, refined, alpha, control, sampled, before = (
            [item for done in made for item in getattr(done, name)]
            for name in ("crops", "refined", "refined_alpha", "control_images", "sampled", "sampled_before")
        )
        segs = made[0].segs[0], [seg for done in made for seg in done.segs[1]]
        masks = [done.paste_mask for done in made if done.paste_mask is not None]
        mask = torch.cat(masks) if masks else None
        return Detailed(self.images, crops, refined, alpha, control, segs, mask, sampled, before)


def work_on(door: Door, frames: torch.Tensor, shots: Iterable[Shot], count: int, recipe: Recipe) -> Work:
    """The work of making pictures of frames.

    Args:
        frames: ``[B,H,W,3 or 4]`` as ``door.image`` gives it; alpha is kept.
        shots: asked for one by one as the work goes on.
        count: how many there are.

    Raises:
        InputError: where the frames are smaller than a cell of the latent.
    """
    door.fits_latent(Size(*frames.shape[1:3]), recipe.pipe.vae)
    images = torch.empty(count, *frames.shape[1:], device=host.devices.intermediate_device())

    def pictures() -> Iterator[Picture]:
        for index, shot in enumerate(shots):
            images[index] = frames[shot.frame]
            frame = Frame(shot.frame, len(frames))
            yield Picture(images[index : index + 1, ..., :3], shot.segs, shot.seed, frame=frame, without=shot.without)

    return Work(images, pictures(), recipe)


def work_on_each(door: Door, image: object, segs: object, recipe: Recipe) -> Work:
    """The work of detailing every frame of a picture with all segments.

    Raises:
        InputError: for what is no picture or no SEGS, and as ``work_on`` does.
    """
    frames, checked = door.image(image), door.segs_to_detail(segs)
    shots = (Shot(frame, checked, recipe.settings.seed) for frame in range(len(frames)))
    return work_on(door, frames, shots, len(frames), recipe)


@dataclass(frozen=True)
class MaskCut:
    """How a mask is made into segments; see ``mask_to_segs``.

    Attributes:
        crop_factor: sides of the crop over those of the part.
        bbox_fill: a part's whole rectangle is its mask.
        drop_size: parts not wider and higher than this (pixels) are left out.
        contour_fill: holes of a part are closed.
    """

    crop_factor: float
    drop_size: int
    bbox_fill: bool = False
    contour_fill: bool = True

    @staticmethod
    def why_nothing(mask: object) -> str:
        """Why a mask gives no segments where it gives none: it is not there, nothing is painted, or nothing large."""
        if mask is None:
            return "unconnected"
        return "small" if isinstance(mask, torch.Tensor) and bool((mask > 0).any()) else "black"

    def segs_of_frames(self, door: Door, frames: torch.Tensor, mask: object) -> Callable[[int, bool], SEGS]:
        """What makes a frame's SEGS, told the frame and whether to log that its mask is empty.

        As many masks as frames pair up, one mask serves all, one frame takes all masks.
        """
        size = Size(*frames.shape[1:3])
        if mask is None:
            logger.info("%s: no mask, the picture stays as it is", door.node)
            return lambda frame, tell: ((size.height, size.width), [])
        masks = door.mask(mask, size)
        if len(frames) > 1 and len(masks) not in (1, len(frames)):
            found = f"{len(masks)} masks for {len(frames)} images"
            raise door.error("mask", found, "Give as many masks as images, or one mask, or one image")

        def segs_of(frame: int, tell: bool) -> SEGS:
            own = masks[frame : frame + 1] if len(frames) > 1 and len(masks) > 1 else masks
            segs = mask_to_segs(
                own, False, self.crop_factor, self.bbox_fill, self.drop_size, is_contour=self.contour_fill
            )
            if tell and not segs[1]:
                is_black = self.why_nothing(own) == "black"
                marks = "is black: nothing is painted" if is_black else f"marks nothing larger than {self.drop_size}"
                source = "" if is_black else " pixels, its drop_size"
                logger.warning("%s: mask %d %s%s; its picture stays as it is", door.node, frame, marks, source)
            return segs

        return segs_of


def shown_crops(done: Detailed) -> tuple[list[torch.Tensor], ...]:
    """The four lists of a Debug node, each with a black picture where it would be empty."""
    lists = (done.crops, done.refined, done.refined_alpha, done.control_images)
    return tuple(pictures or [black_picture()] for pictures in lists)
