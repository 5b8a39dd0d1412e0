"""What a part's window shows of latents and masks that were made for a clip's whole frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from ...core import Region, Size, resize_mask, to_working_size
from ...core.clips.path import Path
from . import vae as codecs
from .cuts import LATENT_CELL, View, middle
from .protocols import Model, Vae

ALIKE = 4e-3  # latents that differ by no more are the same: of half precision too
GREY = 0.5  # what ComfyUI's nodes put where they were given no frame


@dataclass(frozen=True)
class Codec:
    """What latents of pictures are made with.

    Attributes:
        model: which reads them.
        tiled: whether the VAE encodes, and decodes, in tiles.
    """

    vae: Vae
    model: Model
    tiled: tuple[bool, bool] = (False, False)

    @property
    def channels(self) -> int:
        return self.model.model.latent_format.latent_channels

    @cached_property
    def blank(self) -> torch.Tensor:
        """``[1,C,1,1,1]``, what the model reads as zeros: ComfyUI's nodes put it where nothing is shown."""
        return self.model.model.process_latent_out(torch.zeros(1, self.channels, 1, 1, 1))

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """``[1,C,T,h,w]`` -> ``[N,H,W,3]`` 0..1."""
        return codecs.decode_frames(self.vae, latent, self.tiled[1]).clamp(0.0, 1.0)

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """``[N,H,W,3]`` -> ``[1,C,T,h,w]``, made as long as the VAE wants by the last frame."""
        long = codecs.clip_length(self.vae, len(frames))
        frames = frames[torch.arange(long).clamp(max=len(frames) - 1)]
        return codecs.encode(self.vae, frames, self.tiled[0], frames=long)

    def is_blank(self, latent: torch.Tensor) -> list[bool]:
        """Whether there is nothing in each latent frame."""
        empty = self.blank.to(latent)
        return [
            bool((cell - empty).abs().max() < ALIKE) or not bool(cell.any()) for cell in latent.split(1, dim=2)
        ]  # fmt: skip


@dataclass(frozen=True)
class Cutter:
    """A part's window, and what was made for it: positive and negative share what they are shown."""

    view: View
    path: Path
    codec: Codec
    made: dict[tuple[str, int], tuple[object, torch.Tensor]] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """Latent frames of the part."""
        frames = codecs.clip_length(self.codec.vae, len(self.path.frames))
        return codecs.cells_of_clip(self.codec.vae, frames)

    def once(self, what: str, value: torch.Tensor, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        known = self.made.get((what, id(value)))
        if known is None:
            known = self.made[what, id(value)] = value, make(value)  # held, so that no other gets its id
        return known[1]

    def shown(self, size: Size) -> Region:
        """What ComfyUI's centre crop leaves of a frame that is brought to a size."""
        picture = self.view.picture
        return Region.whole(picture) if size == picture else middle(picture, size)

    def picture(self, index: int, frame: torch.Tensor) -> torch.Tensor:
        """A control's frame ``[1,H,W,3]`` as the crop is: cut, and brought to the size that is worked on."""
        cut = self.path.seen(index, frame, self.shown(Size(*frame.shape[1:3]))).clamp(0.0, 1.0)
        return to_working_size(cut, self.view.working).clamp_(0.0, 1.0)

    def video(self, latent: torch.Tensor) -> torch.Tensor:
        """Latents ``[1,n*C,T,h,w]`` of n clips of the picture, each from the first frame on."""
        halves = latent.split(self.codec.channels, dim=1)
        return torch.cat([self._clip(half) for half in halves], dim=1)

    def _clip(self, latent: torch.Tensor) -> torch.Tensor:
        blank, vae = self.codec.is_blank(latent), self.codec.vae
        told = blank.index(True) if True in blank else len(blank)
        needed = min(told, codecs.cells_of_clip(vae, self.path.frames[-1] + 1))
        frames = self.codec.decode(latent[:1, :, :needed]) if needed else latent.new_zeros(0, 1, 1, 3)
        known = [index for index, frame in enumerate(self.path.frames) if frame < len(frames)]
        cut = [self.picture(index, frames[self.path.frames[index]][None]) for index in known]
        if told == len(blank):  # the rest is grey
            if len(known) < len(self.path.frames):
                self.view.once.info("what the conditioning shows is shorter than the clip: it shows grey from there on")
            grey = torch.full((1, *self.view.working, 3), GREY, device=frames.device)
            cut += [grey] * (len(self.path.frames) - len(known))
            return self.codec.encode(torch.cat(cut))
        rest = latent[:1, :, told : told + 1, :1, :1]
        if not cut:
            return rest.expand(-1, -1, self.cells, *self._cells_size())
        made = self.codec.encode(torch.cat(cut))
        return torch.cat([made, rest.to(made).expand(-1, -1, self.cells - made.shape[2], *made.shape[-2:])], dim=2)

    def _cells_size(self) -> Size:
        ratio = codecs.pixels_per_cell(self.codec.vae)
        return self.view.cells or Size(*(side // ratio for side in self.view.working))

    def whole(self, latent: torch.Tensor) -> torch.Tensor:
        """Latents ``[1,n*C,T,h,w]`` of pictures that belong to no frame, each at the window's size, its middle."""
        halves = latent.split(self.codec.channels, dim=1)
        return torch.cat(
            [torch.cat([self._alone(cell) for cell in half.split(1, dim=2)], dim=2) for half in halves], dim=1
        )

    def _alone(self, cell: torch.Tensor) -> torch.Tensor:
        if self.codec.is_blank(cell)[0]:
            return cell[:1, :, :, :1, :1].expand(-1, -1, -1, *self._cells_size())
        picture = self.codec.decode(cell[:1])[:1]
        rows, columns = middle(Size(*picture.shape[1:3]), self.view.working).slices
        return self.codec.encode(to_working_size(picture[:, rows, columns], self.view.working).clamp(0.0, 1.0))

    # --- masks ---

    def unknown(self, mask: torch.Tensor) -> torch.Tensor:
        """``concat_mask`` ``[1,c,T,h,w]``, 1 where a frame is not shown: a value for each latent frame or, of c, one
        for each of its frames, the first frame c times."""
        vae, parts = self.codec.vae, mask.shape[1]
        length = codecs.frames_of_clip(vae, mask.shape[2])
        owners = codecs.frames_of_cells(vae, mask.shape[2], length)
        cell_of = [cell for cell, (first, last) in enumerate(owners) for _ in range(first, last)]
        size = self._cells_size()

        def seen(index: int, frame: int) -> torch.Tensor:
            if frame >= length:
                return torch.ones(1, *size, device=mask.device)
            place = (cell_of[frame], 0) if parts == 1 else divmod(frame + parts - 1, parts)
            own = mask[:1, place[1], place[0]]
            return resize_mask(self.path.seen_mask(index, own.float(), self.shown(Size(*own.shape[1:]))), size)

        each = torch.cat([seen(index, frame) for index, frame in enumerate(self.path.frames)])
        if parts > 1:
            places = torch.arange(self.cells * parts).sub(parts - 1).clamp(0, len(each) - 1)
            return each[places].reshape(1, self.cells, parts, *size).transpose(1, 2).to(mask)
        own = codecs.frames_of_cells(vae, self.cells, len(each))
        return torch.stack([each[first:last].amax(dim=0) for first, last in own])[None, None].to(mask)

    def folded(self, mask: torch.Tensor) -> torch.Tensor:
        """``vace_mask`` ``[1,64,T,h,w]``, a cell's 8x8 pixels as channels, each of one of the latent frame's frames."""
        vae, count = self.codec.vae, len(self.path.frames)
        places = _taken(codecs.frames_of_clip(vae, mask.shape[2]), mask.shape[2])
        wanted = [min(frame, count - 1) for frame in _taken(codecs.clip_length(vae, count), self.cells)]
        size = Size(*(side * LATENT_CELL for side in self._cells_size()))
        made = []
        for index in wanted:
            frame = self.path.frames[index]
            if frame > codecs.frames_of_clip(vae, mask.shape[2]) - 1:
                made.append(torch.ones(1, 1, *size, device=mask.device))
                continue
            cell = min(range(len(places)), key=lambda one: abs(places[one] - frame))
            pixels = torch.nn.functional.pixel_shuffle(mask[:1, :, cell].float(), LATENT_CELL)[:, 0]
            seen = self.path.seen_mask(index, pixels, self.shown(Size(*pixels.shape[1:])))
            made.append(resize_mask(seen, size)[:, None])
        folded = torch.nn.functional.pixel_unshuffle(torch.cat(made), LATENT_CELL)
        return folded.movedim(0, 1)[None].to(mask)


def _taken(frames: int, cells: int) -> list[int]:
    """Which frame's mask each latent frame has: ComfyUI picks them by "nearest-exact"."""
    return [int((cell + 0.5) * frames / cells) for cell in range(cells)]
