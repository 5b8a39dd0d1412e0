"""What the detail options say, and the denoise by size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions


@pytest.mark.parametrize(
    ("side", "wanted"), [(1, 0.6), (100, 0.6), (256, 0.6), (512, 0.6 / 2**0.5), (1024, 0.3), (3000, 0.3)]
)
def test_denoise_by_size(side: int, wanted: float) -> None:
    assert DenoiseOptions("less_for_larger", 256).denoise(0.6, side**2) == pytest.approx(wanted)
    assert DenoiseOptions().denoise(0.6, side**2) == 0.6


@given(st.floats(0.01, 1), st.integers(0, 10**7), st.integers(0, 10**7))
def test_denoise_never_rises_with_size(denoise: float, one: int, other: int) -> None:
    options = DenoiseOptions("less_for_larger")
    small, large = sorted([one, other])
    assert options.denoise(denoise, small) >= options.denoise(denoise, large) >= denoise / 2 - 1e-12


def test_defaults_turn_nothing() -> None:
    options = DetailOptions()
    assert (options.colour.match, options.blend.method, options.blend.grow, options.blend.ramp) == (
        "off", "feather", 0, "gaussian",
    )  # fmt: skip
    assert (options.fill, options.size.mode, options.drift, options.detail) == ("original", "guide_size", "off", "off")
    assert (options.denoise.by_size, options.retries, options.tiling) == ("off", 0, "auto")
