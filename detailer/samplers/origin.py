"""Which node made a thing that another node samples with: its errors are that node's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import InputError
from ..host.fits import MisfitError


@dataclass(frozen=True)
class Origin:
    """A node that takes model and conditionings.

    Attributes:
        node: its id.
        pipe_name: its input that holds the pipe; None where the pipe's parts are inputs of their own.
    """

    node: str
    pipe_name: str | None = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Sample within it.

        Raises:
            InputError: instead of a MisfitError, naming the input that holds what doesn't fit the model.
        """
        try:
            yield
        except MisfitError as misfit:
            part = "positive" if misfit.part == "control_net" else misfit.part
            found = misfit.found if self.pipe_name is None else f"its {part}: {misfit.found}"
            raise InputError(self.node, self.pipe_name or part, found, misfit.fix) from misfit.__cause__
