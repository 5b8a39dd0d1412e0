"""With a codec that loses nothing and a hook that keeps the latent as it is, nothing in the picture may move.

A crop whose enlarged size is no multiple of the latent cell must not be shifted or stretched by the rest.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import detail
from engine.tiny_models import Pipe, SpaceToDepth, flow_pipe, lossless_vae, mask_of, picture

SIZE = (160, 176)
CROP_SIZES = [(33, 47), (37, 51), (41, 33), (35, 35), (53, 39), (61, 43), (39, 67), (45, 59), (71, 37), (65, 63)]


class KeepLatent:
    """A hook that leaves nothing to sample."""

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        return (*call[:-1], 0.0)


@pytest.fixture(scope="module")
def lossless() -> Pipe:
    return flow_pipe(SpaceToDepth.CHANNELS, lossless_vae())


@pytest.mark.parametrize("size", CROP_SIZES, ids=lambda size: "x".join(map(str, size)))
def test_nothing_moves(lossless: Pipe, size: tuple[int, int], record_property: Any) -> None:
    height, width = size
    image = picture(*SIZE, seed=height)
    whole_crop: dict[str, Any] = dict(crop_factor=1.0, mask_mode=False, detailer_hook=KeepLatent())
    made = detail(image, mask_of(*SIZE, (51, 42, 51 + width, 42 + height)), lossless, **whole_crop)
    before = image[:, 42 : 42 + height, 51 : 51 + width]
    assert made.refined[0].shape == before.shape

    moved = largest_move(before, made.refined[0])

    record_property("pixels", round(moved, 4))
    assert moved < 0.02


@pytest.mark.parametrize(
    ("stretch", "shift", "wanted"),
    [(0.0, 0.0, 0.0), (0.0, 0.2, 0.28), (0.02, 0.0, 0.57), (-0.01, 0.1, 0.42)],
    ids=["still", "shifted", "stretched", "both"],
)
def test_measure_sees_moves(stretch: float, shift: float, wanted: float) -> None:
    """A picture sampled off its grid: a corner is off by the shift and half a side's stretch, on each axis."""
    fine = picture(400, 400, seed=5)[0].movedim(-1, 0)[None]
    grid = torch.arange(40) - 19.5
    where = (grid * (1 + stretch) + shift) / 20.0
    rows, columns = torch.meshgrid(where, where, indexing="ij")
    still_rows, still_columns = torch.meshgrid(grid / 20.0, grid / 20.0, indexing="ij")
    moved, still = (
        torch.nn.functional.grid_sample(fine, torch.stack([x, y], dim=-1)[None] * 0.25, align_corners=False)
        .movedim(1, -1)
        for x, y in ((columns, rows), (still_columns, still_rows))
    )  # fmt: skip
    assert largest_move(still, moved) == pytest.approx(wanted, abs=0.03)


def largest_move(before: torch.Tensor, after: torch.Tensor, border: int = 3) -> float:
    """The largest displacement in pixels, at a corner, of the affine move that explains the difference best.

    Least squares on the picture's gradient: ``after - before = gradient . (a + b x + c y)``. The borders, where
    resampling has no neighbours, don't count.
    """
    height, width = before.shape[1:3]
    inner = (slice(border, height - border), slice(border, width - border))
    middle = ((before + after) / 2)[0].double()
    down, across = torch.gradient(middle, dim=(0, 1))
    difference = (after - before)[0].double()[inner].reshape(-1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, height).double(), torch.linspace(-1, 1, width).double(), indexing="ij")
    one = torch.ones_like(x)
    terms = [(gradient * basis[..., None])[inner].reshape(-1) for gradient in (across, down) for basis in (one, x, y)]
    moves = torch.linalg.lstsq(torch.stack(terms, dim=1), difference[:, None]).solution.reshape(2, 3)
    corners = torch.tensor([[1.0, i, j] for i in (-1, 1) for j in (-1, 1)]).double()
    return float((corners @ moves.T).norm(dim=1).max())
