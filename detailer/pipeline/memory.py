"""What happens when memory runs out: the whole ladder, from a full batch down to what the user is told.

1. As many crops at once as the model is estimated to hold (``batching.crops_at_once``), or as the node says.
2. Preparing, sampling, restoring: half as many, from then on in the whole run, and half of that again (``Room``). Any
   other error of several crops at once goes straight to one by one, before it is reported.
3. The VAE in tiles, both ways (``host.vae``; ComfyUI's own does it by itself, this is for VAEs of other packs).
4. Planning, cutting, blending, pasting and collecting, where each is alone already: what is held but not used is given
   back, and it is done once more (``Room.spared``).
   Where it is the system's memory that ran out, the segment memory is given back too.
5. One crop alone that doesn't fit: its name and what needs less memory go to the log, and ComfyUI gets the error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from .. import host
from ..host.answers import NonsenseError
from .crop import Crop

logger = logging.getLogger("mask_detailer")


_T = TypeVar("_T")


@dataclass
class Room:
    """How many crops fit into memory at once, as far as running out of it has taught; None: nothing yet.

    Attributes:
        source: the node that was asked, for errors.
        forget: gives back what is only kept in case it is wanted again.
    """

    most: int | None = None
    source: str = "Mask Detailer"
    forget: Callable[[], None] = lambda: None
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
            if host.devices.is_interrupt(error):
                raise
            ran_out = host.devices.is_out_of_memory(error)
            if len(crops) == 1:
                if ran_out:
                    logger.warning("%s: not enough memory. A lower guide_size or max_size needs less", crops[0].name)
                self._place(error, crops[0].name)
                raise
            if ran_out:
                self._let_go(error)
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

    def spared(self, what: str, work: Callable[[], _T], prefix: str = "") -> _T:
        """Do what is done by itself, and once more where memory runs out; it must be all done or not at all.

        Args:
            what: of which segment, and what, for the log: ``segment 3: cutting``.
            prefix: of which of several pictures.

        Raises:
            what the work raises, out of memory the second time.
        """
        what, last = prefix + what, False
        while True:
            try:
                return work()
            except Exception as error:
                self._place(error, what.rpartition(": ")[0])
                if not host.devices.is_out_of_memory(error):
                    raise
                if last:
                    logger.warning(
                        "%s needs more memory than there is. Fewer or smaller pictures at once, or a lower "
                        "crop_factor, need less", what,
                    )  # fmt: skip
                    raise
                logger.warning("%s ran out of memory (%s): trying once more", what, error)
                self._let_go(error)
            host.devices.free_memory()  # here, where the failed work is let go
            last = True

    def _let_go(self, error: Exception) -> None:
        if host.devices.is_out_of_system_memory(error):
            self.forget()

    def _place(self, error: Exception, name: str) -> None:
        """Raise the error anew where it wants to know in which segment it came up."""
        if isinstance(error, NonsenseError):
            raise error.at(f"{self.source}, {name}") from error

    def tidy(self) -> None:
        """Give back what is held but not used, where memory ran out just before; the failed work is let go by then."""
        if self._ran_out:
            self._ran_out = False
            host.devices.free_memory()
