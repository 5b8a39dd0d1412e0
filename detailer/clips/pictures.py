"""A part's window over its frames: cut out, taken back as it was made, corrected over all of them, and put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from ...core import Size
from ...core.clips.hidden import Hidden
from ...core.clips.path import Path
from ...core.clips.pose import cut
from ...core.clips.steady import Made, Steadying
from ...core.clips.tracks import Track
from ...core.surroundings.ring import ring_of
from ..pipeline.crop import Crop
from ..pipeline.memory import Room
from ..pipeline.plan import Place
from ..pipeline.prepare import noise_mask_of
from ..pipeline.recipe import Recipe
from ..pipeline.restore import matched
from ..values import Frame
from .paste import put
from .plan import TrackPlan

OUT_OF_SIGHT = "it is out of sight"


@dataclass
class WindowPictures:
    """The pictures of a window, which go out of the node: beside them a long clip needs none.

    Attributes:
        work: ``[F,H,W,3]`` float 0..1, the clip, worked on in place.
        others: the clip's other parts, which may be before it.
        recipe: how it is put back.
        steadying: by which its frames are steadied, None where each stays as it was made.
        before, after: ``[n,h,w,3]``, the window's frames as they were cut, and as they came out.
        is_remembered: all that was taken came from the memory.
    """

    work: torch.Tensor
    part: TrackPlan
    others: Sequence[Track]
    recipe: Recipe
    room: Room
    steadying: Steadying | None
    before: torch.Tensor = field(init=False)
    after: torch.Tensor = field(init=False)
    is_remembered: bool = field(default=True, init=False)
    _faulty: set[int] = field(default_factory=set, init=False)
    _cut_so_far: int = field(default=0, init=False)  # frames, in their order
    _lent: dict[int, torch.Tensor] = field(default_factory=dict, init=False)  # the last frame that others took from

    def __post_init__(self) -> None:
        window = self.part.window.size
        shape = (len(self.part.track.frames), window.height, window.width, 3)
        self._hidden = Hidden(self.part.window, Size(*self.work.shape[1:3]), self.others)
        self.before, self.after = (torch.empty(shape, device=self.work.device) for _ in range(2))

    @property
    def waits(self) -> bool:
        """Nothing goes into the clip before all frames are there, since all are measured together."""
        return self.recipe.settings.options.matches

    def crops(self, frames: Sequence[int]) -> list[Crop]:
        """One for each frame, all with the mask that is sampled under: what the part covers in any frame."""
        mask = torch.from_numpy(self.part.window.mask)[None].to(self.work.device)
        return [self._crop(frame, mask) for frame in frames]

    def crop(self) -> Crop:
        """All frames in one, each with its own mask."""
        window = self.part.window
        each = [self._crop(frame, window.mask_in(frame).to(self.work.device)) for frame in self.part.track.frames]
        first = each[0].place
        return replace(
            each[0],
            place=replace(first, crop=replace(first.crop, denoise=self.part.crop.denoise)),
            name=f"part {self.part.crop.number}",
            before=self.before,
            pixels=self.before,
            mask=torch.cat([one.mask for one in each]),
            frame=Frame(),
            fault=None,
            is_clip=True,
            path=Path.of(window, list(self.part.track.frames), each[0].picture),
        )

    def _crop(self, frame: int, mask: torch.Tensor) -> Crop:
        window, picture = self.part.window, Size(*self.work.shape[1:3])
        name = f"part {self.part.crop.number}, frame {frame + 1}"
        shown = self.room.spared(f"{name}: cutting", partial(self._shown, frame))
        index = frame - self.part.track.first
        before = self.before[index : index + 1]
        before.copy_(shown)
        self._cut_so_far = index + 1
        place = Place(frame, self.part.crop_in(frame))
        crop = Crop(place, name, picture, before, mask, self.recipe.pipe, self.recipe.refiner, pixels=before)
        fault = OUT_OF_SIGHT if self.part.weight(frame) == 0.0 else None
        path = Path.of(window, [frame], picture)
        return replace(crop, frame=Frame(frame, len(self.work)), fault=fault, path=path)

    def _shown(self, frame: int) -> torch.Tensor:
        """What the window shows of a frame, and what is hidden there of another one."""
        return self._hidden.filled(self._cut(frame), frame, self._of_another)

    def _cut(self, frame: int) -> torch.Tensor:
        window = self.part.window
        return cut(self.work[frame : frame + 1], window.poses[frame], window.size).clamp_(0.0, 1.0)

    def _of_another(self, frame: int) -> torch.Tensor:
        """The same of a frame that others take from: as it was before it was worked on."""
        if frame not in self._lent:
            index = frame - self.part.track.first
            known = index < self._cut_so_far
            self._lent = {frame: self.before[index : index + 1] if known else self._cut(frame)}
        return self._lent[frame]

    def take(self, crop: Crop) -> None:
        """What became of a frame, or of all of them; it is put into the clip at once, unless it ``waits``."""
        first = crop.place.picture
        self.is_remembered &= crop.is_remembered or crop.fault == OUT_OF_SIGHT
        for index, frame in enumerate(range(first, first + crop.frames)):
            at, one = frame - self.part.track.first, slice(index, index + 1)
            self.after[at : at + 1] = crop.pixels[one]
            if crop.fault:
                self._faulty.add(at)
            elif not self.waits:
                self._finished(at, None if crop.sampled is None else crop.sampled[one])

    def _is_whole(self, frame: int) -> bool:
        """The window lies at whole pixels; one that doesn't goes back straight from the size that was sampled."""
        return self.part.window.poses[frame].region(self.part.window.size) is not None

    def _finished(self, at: int, large: torch.Tensor | None) -> None:
        """A frame of the window that waits for nothing but for those after it, if it is to be steadied."""
        one = slice(at, at + 1)
        if self.steadying is None:
            self._put(at, Made(self.before[one], self.after[one], large))
        else:
            self._put_all(self.steadying.take(at, Made(self.before[one], self.after[one].clone(), large)))

    def _put_all(self, steadied: Iterator[tuple[int, Made]]) -> None:
        for at, made in steadied:
            self.after[at : at + 1] = made.after
            self._put(at, made)

    def finish(self) -> None:
        """All frames are there: what waited is corrected, steadied, and put into the clip."""
        if self.waits and len(self._faulty) < len(self.after):
            self._correct()
            for at in range(len(self.after)):
                if at not in self._faulty:
                    self._finished(at, None)
        if self.steadying is not None:
            self._put_all(self.steadying.rest())

    def _correct(self) -> None:
        """By one measure over all frames, so that no correction flickers."""
        masks = torch.from_numpy(self.part.window.mask)[None]
        ring = ring_of(masks, noise_mask_of(masks, self.recipe))
        if self._faulty:
            ring = ring.repeat(len(self.after), 1, 1)
            ring[sorted(self._faulty)] = False
        matched(self._crop_of_all(masks), self.recipe, ring, in_place=True)
        for at in self._faulty:
            self.after[at] = self.before[at]

    def _crop_of_all(self, mask: torch.Tensor) -> Crop:
        part, picture = self.part, Size(*self.work.shape[1:3])
        place = Place(part.track.first, part.crop)
        return Crop(
            place, f"part {part.crop.number}", picture, self.before, mask, self.recipe.pipe, self.recipe.refiner,
            pixels=self.after,
        )  # fmt: skip

    def _put(self, at: int, made: Made) -> None:
        frame = self.part.track.first + at
        picture = made.after if made.large is None or self._is_whole(frame) else made.large
        paste = partial(put, self.work[frame : frame + 1], picture, made.before, (self.part, frame), self.recipe)
        self.room.spared(f"part {self.part.crop.number}, frame {frame + 1}: pasting", paste)
