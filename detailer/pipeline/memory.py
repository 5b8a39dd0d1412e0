"""What happens when memory runs out: the whole ladder, from a full batch down to what the user is told.

Any other error of several crops at once goes straight to one by one, before it is reported.

1. As many crops at once as the model is estimated to hold (``batching.crops_at_once``), or as the node says.
2. Half as many, from then on in the whole run, and half of that again (``Room``).
3. The VAE in tiles, both ways (``host.vae``; ComfyUI's own does it by itself, this is for VAEs of other packs).
4. One crop alone that doesn't fit: its name and what needs less memory go to the log, and ComfyUI gets the error.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .. import host
from .crop import Crop

logger = logging.getLogger("mask_detailer")


@dataclass
class Room:
    """How many crops fit into memory at once, as far as running out of it has taught; None: nothing yet."""

    most: int | None = None
    _ran_out: bool = False

    def within(self, wanted: int) -> int:
        """The number that is wanted, or as many as fit."""
        return wanted if self.most is None else min(wanted, self.most)

    @contextmanager
    def learning(self, crops: Sequence[Crop]) -> Iterator[None]:
        """Work on crops at once. Where that fails on several, the block just ends, and fewer go together from then on:
        half as many where memory ran out, one by one after any other error, which a patch may raise for a batch only.

        Raises:
            what the block raises for a single crop.
        """
        try:
            yield
        except Exception as error:
            ran_out = host.devices.is_out_of_memory(error)
            if len(crops) == 1:
                if ran_out:
                    logger.warning("%s: not enough memory. A lower guide_size or max_size needs less", crops[0].name)
                raise
            if ran_out:
                self.most, self._ran_out = len(crops) // 2, True
                logger.warning(
                    "not enough memory for %d crops at once (%s): going on with %d at a time",
                    len(crops), error, self.most,
                )  # fmt: skip
            else:
                self.most = 1
                logger.warning(
                    "%d crops at once failed (%s: %s): going on one by one", len(crops), type(error).__name__, error
                )

    def tidy(self) -> None:
        """Give back what is held but not used, where memory ran out just before; the failed work is let go by then."""
        if self._ran_out:
            self._ran_out = False
            host.devices.free_memory()
