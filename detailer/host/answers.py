"""What objects of other packs give, held against what is wanted: an error names what gave it and what came."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from ...core import printable

MOST_LETTERS = 200


class NonsenseError(ValueError):
    """Something of another pack gave what can't be gone on with.

    Attributes:
        found: what gave it, what came, what was wanted, what to do.
        where: the node and the segment, "" where they are not known yet.
    """

    __module__ = "builtins"  # as InputError's

    def __init__(self, found: str, where: str = "") -> None:
        super().__init__(printable(f"{where}: {found}" if where else found))
        self.found, self.where = found, where

    def at(self, where: str) -> NonsenseError:
        """The same, with the node and segment in which it came up; itself where it has them."""
        return self if self.where else NonsenseError(self.found, where)


def told(value: object) -> str:
    """What a value is, for an error: of a tensor its shape, a number itself, of all else the kind."""
    if isinstance(value, torch.Tensor):
        return f"a tensor {list(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if value is None or isinstance(value, bool | int | float):
        return str(value)[:MOST_LETTERS] if not isinstance(value, int) or abs(value) < 2**64 else "a huge number"
    if isinstance(value, Mapping):
        return f"a dictionary with {', '.join(map(str, value)) or 'nothing'}"[:MOST_LETTERS]
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether it is a finite number (no truth value) from ``least`` to ``most``; NumPy's and a tensor's count too."""
    if isinstance(value, np.generic | np.ndarray | torch.Tensor) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= most


def fault_of_tensor(
    value: object, axes: tuple[int, ...], items: int | None = None, made_of: torch.Tensor | None = None
) -> str | None:
    """Why it is no tensor of real numbers with one of so many axes, as many items and no NaN; None where it is.

    Infinite values count as NaN. Where ``made_of``, of which it was made, holds NaN, it may hold them too: the fault
    is in who made that.
    """
    if not isinstance(value, torch.Tensor):
        return told(value)
    if value.ndim not in axes or value.numel() == 0 or not value.is_floating_point():
        return told(value)
    if items is not None and len(value) != items:
        return f"{told(value)}, {len(value)} items"
    if _is_finite(value) or (made_of is not None and not _is_finite(made_of)):
        return None
    return f"{told(value)} with NaN or infinite values"


def _is_finite(value: torch.Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def fault_of_pictures(value: object, items: int | None = None) -> str | None:
    """Why it is no tensor of so many pictures or clips ``[..., height, width, 3]`` of real numbers; None where it is.

    They may be of any size and hold what is no number: ``core.decoded`` judges that.
    """
    if not isinstance(value, torch.Tensor) or value.ndim not in (4, 5) or not value.is_floating_point():
        return told(value)
    as_many = items is None or len(value) == items
    return None if value.numel() and as_many and value.shape[-1] >= 3 else told(value)
