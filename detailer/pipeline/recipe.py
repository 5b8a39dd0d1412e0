"""What is the same for every crop of a run, made once where a node comes in."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..hooks.protocol import Hook
from ..values import BasicPipe, DetailSettings, Refiner


@dataclass(frozen=True)
class Recipe:
    """With what, and how, the crops of a run are detailed.

    Attributes:
        pipe: model, CLIP, VAE and conditionings.
        settings: what the node's widgets say.
        refiner: takes over the last steps where given.
        hook: any pack's detailer hook, or one that does nothing.
        source: the node that was asked, for log and errors.
    """

    pipe: BasicPipe
    settings: DetailSettings
    refiner: Refiner | None = None
    hook: Hook = field(default_factory=Hook)
    source: str = "Mask Detailer"
