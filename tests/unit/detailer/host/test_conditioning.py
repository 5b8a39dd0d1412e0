"""Conditioning of the whole picture, cut to a crop."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch
from mask_detailer.core import Region, Size
from mask_detailer.detailer.host.conditioning import View, crop_conditioning

# A picture 160 wide and 80 high; the crop is its part from (40, 20) to (120, 60), worked on at four times its size.
VIEW = View(Size(80, 160), Region(40, 20, 120, 60), Size(160, 320))
TOKENS = torch.zeros(1, 77, 8)


def cropped(view: View = VIEW, **options: Any) -> dict[str, Any] | None:
    """The options of a single entry after the cut, None where it was left out; a second entry stays in any case."""
    entries = crop_conditioning([[TOKENS, options], [TOKENS, {"other": 1}]], view)
    return entries[0][1] if len(entries) == 2 else None


def ramp(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def test_a_string_is_passed_on() -> None:
    assert crop_conditioning("NegativePlaceholder", VIEW) == "NegativePlaceholder"


def test_no_entries() -> None:
    assert crop_conditioning([], VIEW) == []


def test_other_keys_and_embeddings_stay() -> None:
    pooled = torch.zeros(1, 16)
    options = {"pooled_output": pooled, "guidance": 3.5, "start_percent": 0.2, "strength": 0.7, "hooks": None}
    ((tokens, result),) = crop_conditioning([[TOKENS, options]], VIEW)
    assert tokens is TOKENS
    assert result == options and result is not options
    assert result["pooled_output"] is pooled


# ------------------------------------------------------------------------------------------------ masks


@pytest.mark.parametrize("lead", [(), (1,), (3,), (1, 1), (2, 1)])
def test_masks(lead: tuple[int, ...]) -> None:
    mask = ramp(*lead, 80, 160)
    result = cropped(mask=mask, mask_strength=0.5, set_area_to_bounds=True)
    assert result is not None
    assert torch.equal(result["mask"], mask.reshape(-1, 80, 160)[:, 20:60, 40:120])
    assert (result["mask_strength"], result["set_area_to_bounds"]) == (0.5, True)


def test_a_mask_of_another_size_is_first_resized() -> None:
    mask = torch.zeros(1, 40, 40)
    mask[:, :, 20:] = 1.0  # the picture's right half
    result = cropped(mask=mask)
    assert result is not None and result["mask"].shape == (1, 40, 80)
    assert torch.equal(result["mask"][..., :38], torch.zeros(1, 40, 38))
    assert torch.equal(result["mask"][..., 42:], torch.ones(1, 40, 38))


# ------------------------------------------------------------------------------------------------ areas


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        # cells of eight pixels: height, width, y, x. (80 x 160 is 10 x 20 cells)
        ((10, 20, 0, 0), ("percentage", 1.0, 1.0, 0.0, 0.0)),
        ((2, 4, 3, 6), ("percentage", 0.4, 0.4, 0.1, 0.1)),  # 48..80 x 24..40
        ((10, 10, 0, 0), ("percentage", 1.0, 0.5, 0.0, 0.0)),  # the left half: 40..80
        ((4, 20, 6, 0), ("percentage", 0.3, 1.0, 0.7, 0.0)),  # from row 48 on
        ((10, 5, 0, 0), None),  # ends where the crop begins
        ((10, 5, 0, 15), None),
        ((2, 20, 0, 0), None),
        ((2, 20, 8, 0), None),
        # shares of the picture
        (("percentage", 1.0, 1.0, 0.0, 0.0), ("percentage", 1.0, 1.0, 0.0, 0.0)),
        (("percentage", 0.5, 0.5, 0.0, 0.0), ("percentage", 0.5, 0.5, 0.0, 0.0)),  # 0..80 x 0..40
        (("percentage", 0.25, 0.125, 0.5, 0.5), ("percentage", 0.5, 0.25, 0.5, 0.5)),  # 80..100 x 40..60
        (("percentage", 0.25, 1.0, 0.0, 0.0), None),
        # of a clip: frames, height, width; first frame, y, x
        (("percentage", 0.3, 0.5, 0.5, 0.6, 0.0, 0.0), ("percentage", 0.3, 0.5, 0.5, 0.6, 0.0, 0.0)),
        (("percentage", 0.3, 0.25, 1.0, 0.6, 0.0, 0.0), None),
        (["percentage", 1.0, 0.5, 0.0, 0.5], ("percentage", 1.0, 0.5, 0.0, 0.5)),
    ],
)
def test_areas(area: Any, expected: tuple[Any, ...] | None) -> None:
    result = cropped(area=area, strength=0.6)
    if expected is None:
        assert result is None
    else:
        assert result is not None and result["strength"] == 0.6
        assert result["area"][0] == "percentage"
        assert result["area"][1:] == pytest.approx(expected[1:])


def test_without_any_area_that_touches_all_are_used_without(caplog: pytest.LogCaptureFixture) -> None:
    conditioning = [
        [TOKENS, {"area": (2, 2, 0, 0), "mask": ramp(80, 160), "strength": 0.3}],
        [TOKENS + 1, {"area": (10, 5, 0, 15)}],
    ]
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        first, second = crop_conditioning(conditioning, VIEW)
    assert len(caplog.records) == 1 and "no area" in caplog.text
    assert "area" not in first[1] and "area" not in second[1]
    assert first[1]["strength"] == 0.3 and first[1]["mask"].shape == (1, 40, 80)
    assert torch.equal(second[0], TOKENS + 1)


# ------------------------------------------------------------------------------------------------ GLIGEN


def test_gligen_boxes_move() -> None:
    boxes = [
        ("inside", 2, 4, 3, 6),  # 40 % of a crop of 20 x 40 cells, a tenth in
        ("whole", 10, 20, 0, 0),
        ("elsewhere", 2, 2, 0, 0),
        ("a sliver", 10, 1, 0, 14),  # 112..120
    ]
    result = cropped(gligen=("position", "model", boxes))
    assert result is not None
    kind, model, moved = result["gligen"]
    assert (kind, model) == ("position", "model")
    assert moved == [("inside", 8, 16, 2, 4), ("whole", 20, 40, 0, 0), ("a sliver", 20, 4, 0, 36)]


def test_gligen_without_a_box_in_the_crop_is_left_out() -> None:
    result = cropped(gligen=("position", "model", [("elsewhere", 2, 2, 0, 0)]), kept=1)
    assert result == {"kept": 1}


def test_gligen_of_another_kind_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        assert cropped(gligen=("position_batched", "model", [])) == {}
    assert "GLIGEN" in caplog.text


# ------------------------------------------------------------------------------------------------ latents


@pytest.mark.parametrize("key", ["concat_latent_image", "concat_mask"])
@pytest.mark.parametrize("lead", [(1, 4), (1, 1), (1, 16, 3)])
def test_what_is_concatenated(key: str, lead: tuple[int, ...]) -> None:
    cells = ramp(*lead, 10, 20)
    result = cropped(**{key: cells})
    assert result is not None
    assert torch.equal(result[key], cells[..., 2:7, 5:15])  # rows 20..60 and columns 40..120 of 8-pixel cells
    pixels = ramp(*lead, 80, 160)
    result = cropped(**{key: pixels})
    assert result is not None and torch.equal(result[key], pixels[..., 20:60, 40:120])


@pytest.mark.parametrize("region", [(0, 0, 3, 3), (157, 77, 160, 80), (60, 30, 62, 31)])
def test_at_least_one_cell_is_left(region: tuple[int, ...]) -> None:
    result = cropped(View(Size(80, 160), Region(*region), Size(64, 64)), concat_mask=ramp(1, 1, 10, 20))
    assert result is not None and result["concat_mask"].shape == (1, 1, 1, 1)
    assert result["concat_mask"].item() == region[1] // 8 * 20 + region[0] // 8


def test_reference_latents() -> None:
    of_picture, of_picture_in_3d, square = ramp(1, 16, 10, 20), ramp(1, 16, 1, 20, 40), ramp(1, 16, 16, 16)
    result = cropped(reference_latents=[of_picture, square, of_picture_in_3d])
    assert result is not None
    first, second, third = result["reference_latents"]
    assert torch.equal(first, of_picture[..., 2:7, 5:15])
    assert second is square  # it shows something else
    assert torch.equal(third, of_picture_in_3d[..., 5:15, 10:30])


# ------------------------------------------------------------------------------------------------ ControlNet


class Control:
    """As much of a ControlNet as matters here."""

    def __init__(self, hint: torch.Tensor | None, previous: Control | None = None, extra: Any = ()) -> None:
        self.cond_hint_original = hint
        self.extra_concat_orig = list(extra)
        self.previous_controlnet = previous
        self.strength = 0.8

    def copy(self) -> Control:
        return copy.copy(self)

    def set_previous_controlnet(self, previous: Control | None) -> Control:
        self.previous_controlnet = previous
        return self


def test_controlnet_hints_of_a_whole_chain() -> None:
    small, large = ramp(1, 3, 40, 80), ramp(1, 3, 160, 320)
    first = Control(small, extra=[ramp(1, 1, 80, 160), ramp(1, 8, 1, 1)])
    second = Control(large, first)
    result = cropped(control=second, control_apply_to_uncond=True)
    assert result is not None and result["control_apply_to_uncond"] is True
    control = result["control"]
    assert control is not second and control.strength == 0.8
    assert torch.equal(control.cond_hint_original, large[..., 40:120, 80:240])
    previous = control.previous_controlnet
    assert previous is not first
    assert torch.equal(previous.cond_hint_original, small[..., 10:30, 20:60])
    assert torch.equal(previous.extra_concat_orig[0], ramp(1, 1, 80, 160)[..., 20:60, 40:120])
    assert previous.extra_concat_orig[1].shape == (1, 8, 1, 1)  # one value for the whole picture
    assert previous.previous_controlnet is None
    # and the ones that came in are as they were
    assert second.previous_controlnet is first
    assert second.cond_hint_original is large and first.cond_hint_original is small
    assert first.extra_concat_orig[0].shape == (1, 1, 80, 160)


@pytest.mark.parametrize("control", [object(), Control(None)])
def test_a_control_that_cannot_be_cut_is_left_out_with_a_warning(
    control: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        assert cropped(control=control, kept=1) == {"kept": 1}
    assert type(control).__name__ in caplog.text


# ------------------------------------------------------------------------------------------------ ownership


def test_nothing_that_came_in_is_written_to() -> None:
    options = {
        "mask": ramp(80, 160),
        "area": (10, 20, 0, 0),
        "gligen": ("position", "model", [("box", 10, 20, 0, 0)]),
        "concat_latent_image": ramp(1, 4, 10, 20),
        "concat_mask": ramp(1, 1, 80, 160),
        "reference_latents": [ramp(1, 4, 10, 20)],
        "control": Control(ramp(1, 3, 80, 160)),
        "strength": 1.0,
    }
    kept = copy.deepcopy(options)
    entry = [TOKENS, options]
    conditioning = [entry]
    crop_conditioning(conditioning, VIEW)
    assert len(conditioning) == 1 and conditioning[0] is entry and entry[1] is options
    assert list(options) == list(kept)
    assert options["area"] == kept["area"] and options["gligen"] == kept["gligen"]
    for key in ("mask", "concat_latent_image", "concat_mask"):
        assert torch.equal(options[key], kept[key])
    assert torch.equal(options["reference_latents"][0], kept["reference_latents"][0])
    assert torch.equal(options["control"].cond_hint_original, kept["control"].cond_hint_original)


def test_a_crop_of_the_whole_picture_changes_nothing() -> None:
    whole = View(Size(80, 160), Region(0, 0, 160, 80), Size(80, 160))
    mask, latent = ramp(1, 80, 160), ramp(1, 4, 10, 20)
    boxes = [("box", 2, 4, 3, 6)]
    result = cropped(
        whole, mask=mask, area=("percentage", 0.5, 0.25, 0.5, 0.75), concat_mask=latent, gligen=("position", "m", boxes)
    )
    assert result is not None
    assert torch.equal(result["mask"], mask) and torch.equal(result["concat_mask"], latent)
    assert result["area"] == pytest.approx(("percentage", 0.5, 0.25, 0.5, 0.75))
    assert result["gligen"] == ("position", "m", boxes)
