"""The progress bar of the node that runs, and its previews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from .protocols import LatentFormat, Model

# told of a step, of how many there are, of the model and the clean latents so far
OnStep = Callable[[int, int, Model, torch.Tensor], None]


class Previewer(Protocol):
    """One of ComfyUI's: makes what its progress bars show of a clean latent."""

    def decode_latent_to_preview_image(self, preview_format: str, x0: torch.Tensor) -> object: ...


class _Bar:
    """A node's progress bar, and the previewers of the models it shows.

    A previewer may hold a model of its own, and is made from a latent format and a device: models that share both, as
    the clones of one model do, share it.
    """

    LENGTH = 1000

    def __init__(self, on_step: OnStep | None = None) -> None:
        import comfy.utils

        self._bar = comfy.utils.ProgressBar(self.LENGTH)
        self._previewers: list[tuple[LatentFormat, torch.device, Previewer | None]] = []
        self._on_step = on_step

    def update(self, share: float, preview: object = None) -> None:
        self._bar.update_absolute(round(share * self.LENGTH), preview=preview)

    def preview(self, model: Model, x0: torch.Tensor) -> object:
        previewer = self._previewer(model.model.latent_format, model.load_device)
        return None if previewer is None else previewer.decode_latent_to_preview_image("JPEG", x0)

    def _previewer(self, form: LatentFormat, device: torch.device) -> Previewer | None:
        for known, place, previewer in self._previewers:
            if known is form and place == device:
                return previewer
        import latent_preview

        made: Previewer | None = latent_preview.get_previewer(device, form)
        self._previewers.append((form, device, made))
        return made

    def step(self, step: int, steps: int, model: Model, x0: torch.Tensor) -> None:
        if self._on_step is not None:
            self._on_step(step, steps, model, x0)


class _NoBar:
    """Shows nothing."""

    def update(self, share: float, preview: object = None) -> None:
        pass

    def preview(self, model: Model, x0: torch.Tensor) -> object:
        return None

    def step(self, step: int, steps: int, model: Model, x0: torch.Tensor) -> None:
        pass


@dataclass(frozen=True)
class Progress:
    """A stretch of the one bar that a node has over all its work: from ``first`` to ``last``, shares of the whole."""

    bar: _Bar | _NoBar
    first: float = 0.0
    last: float = 1.0

    @classmethod
    def of_node(cls, on_step: OnStep | None = None) -> Progress:
        """The whole bar of the node that is running; ``on_step`` hears of each step what ``step`` is told."""
        return cls(_Bar(on_step))

    @classmethod
    def hidden(cls) -> Progress:
        """Work that the bar doesn't count, such as a hook's."""
        return cls(_NoBar())

    def split(self, parts: int) -> list[Progress]:
        """This stretch in equal parts."""
        return [self.between(i / max(parts, 1), (i + 1) / max(parts, 1)) for i in range(parts)]

    def between(self, first: float, last: float) -> Progress:
        """A part of this stretch, by its shares."""
        length = self.last - self.first
        return Progress(self.bar, self.first + first * length, self.first + last * length)

    def step(self, step: int, steps: int, model: Model, x0: torch.Tensor) -> None:
        """``step`` of ``steps`` of this stretch is done; ``x0``, the clean latent so far, is previewed if it may be."""
        share = min(step / max(steps, 1), 1.0)
        self.bar.update(self.first + (self.last - self.first) * share, self.bar.preview(model, x0))
        self.bar.step(step, steps, model, x0)

    def done(self) -> None:
        """This stretch is over."""
        self.bar.update(self.last)
