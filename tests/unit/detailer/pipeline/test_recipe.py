"""What a recipe says of sizes: what sides must be multiples of, and how large a latent is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mask_detailer.core import Size
from unit.detailer.pipeline.steps import recipe_of


class Vae:
    def __init__(self, cell: int) -> None:
        self.spacial_compression_encode = lambda: cell


def recipe(cell: int | None, inpaint_model: bool) -> Any:
    made = recipe_of()
    vae: Any = None if cell is None else Vae(cell)
    mask = replace(made.settings.mask, inpaint_model=inpaint_model)
    return replace(made, pipe=made.pipe._replace(vae=vae), settings=replace(made.settings, mask=mask))


@pytest.mark.parametrize(
    ("cell", "inpaint_model", "wanted"),
    [(4, False, 4), (4, True, 8), (8, False, 8), (8, True, 8), (12, True, 24), (16, True, 16), (None, False, 8)],
)
def test_for_inpaint_models_sides_are_multiples_of_8_too(cell: int | None, inpaint_model: bool, wanted: int) -> None:
    assert recipe(cell, inpaint_model).multiple == wanted


def test_the_latent_has_a_cell_for_so_many_pixels() -> None:
    assert recipe(16, False).cells(Size(512, 768)) == Size(32, 48)
