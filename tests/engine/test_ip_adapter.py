"""IPAdapter on segments: what IPAdapter Plus's node is asked for, in which order, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from engine.running import SEGS_SIZE as SIZE
from engine.running import do_detail, near, segs_of, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import Region, Size, resample
from mask_detailer.nodes.validate import InputError
from support.ip_adapter import IPAdapterAdvanced, Loras, pipe

ID = "ImpactIPAdapterApplySEGS"
UPPER, LOWER = (12, 10, 40, 34), (76, 64, 96, 84)
WIDGETS: dict[str, Any] = dict(
    weight=0.5, noise=0.4, weight_type="channel penalty", start_at=0.1, end_at=0.8, unfold_batch=False,
    faceid_v2=False, weight_v2=1.5, context_crop_factor=1.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    import nodes

    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "IPAdapterAdvanced", IPAdapterAdvanced)
    IPAdapterAdvanced.calls.clear()
    yield IPAdapterAdvanced.calls


@pytest.fixture
def reference() -> torch.Tensor:
    return picture(*SIZE, seed=9)


def applied(segs: Any, ipadapter_pipe: Any, reference: torch.Tensor, **changes: Any) -> Any:
    given = WIDGETS | {"reference_image": reference} | changes
    return NODE_CLASS_MAPPINGS[ID]().doit(segs=segs, ipadapter_pipe=ipadapter_pipe, **given)[0]


def test_what_the_node_is_asked_for(
    unet: Pipe, reference: torch.Tensor, calls: list[dict[str, Any]], told: pytest.LogCaptureFixture
) -> None:
    """Nothing before something is detailed; then each segment's own part of the reference, brought to the size."""
    larger = resample(reference, Size(SIZE[0] * 2, SIZE[1] * 2)).clamp(0.0, 1.0)
    negative = picture(20, 30, seed=2)
    segs = segs_of(UPPER, LOWER)
    made = applied(segs, pipe(unet[0]), larger, context_crop_factor=1.5, combine_embeds="average", neg_image=negative)
    assert calls == []
    assert [record.message for record in told.records].count(
        f"{ID}: IPAdapter Plus has no weight type channel penalty any more, taken as linear"
    ) == 1
    do_detail(picture(*SIZE), made, unet)
    fitted = resample(larger, Size(*SIZE)).clamp(0.0, 1.0)
    for seg, call in zip(segs[1], calls, strict=True):
        region = Region.of(seg.crop_region).grown(1.5, Size(*SIZE))
        assert torch.equal(call["image"], fitted[(slice(None), *region.slices)])
        assert torch.equal(call["image_negative"], negative)
        plain = {key: call[key] for key in call if key not in ("image", "image_negative", "model", "embeds_scaling")}
        assert plain == dict(
            ipadapter="ipadapter", weight=0.5, weight_type="linear", start_at=0.1, end_at=0.8, combine_embeds="average",
            weight_faceidv2=1.5, clip_vision="clip vision", attn_mask=None, insightface="insightface",
        )  # fmt: skip
        assert call["model"].model_options["worn"] == ["lora"]


def test_it_changes_only_its_segments_and_by_its_own_part(unet: Pipe, reference: torch.Tensor) -> None:
    segs, image = segs_of(UPPER, LOWER), picture(*SIZE)
    plain = do_detail(image, segs, unet)[0]
    made = do_detail(image, applied(segs, pipe(unet[0]), reference), unet)[0]
    assert unchanged_outside(made, image, near(mask_of(*SIZE, UPPER, LOWER), 5))
    other = reference.clone()
    rows, columns = Region.of(segs[1][0].crop_region).slices
    other[:, rows, columns] = 0.0
    again = do_detail(image, applied(segs, pipe(unet[0]), other), unet)[0]
    first, second = (Region.of(seg.crop_region).slices for seg in segs[1])
    for region in (first, second):
        assert (made - plain)[0][region].abs().amax() > 0.01
    assert (again - made)[0][first].abs().amax() > 0.01
    assert torch.equal(again[0][second], made[0][second])


def test_the_outer_lora_then_the_wrapper_before_then_itself(
    unet: Pipe, reference: torch.Tensor, calls: list[dict[str, Any]], tmp_path: Any
) -> None:
    """Chained with a ControlNet between them; the hints come in the order of use."""
    net = tiny_control_net(tmp_path)
    loras = Loras("inner"), Loras("outer")
    segs = applied(segs_of(UPPER), pipe(unet[0], loras[0], "first"), reference)
    hint = picture(*SIZE, seed=4)
    advanced = NODE_CLASS_MAPPINGS["ImpactControlNetApplyAdvancedSEGS"]()
    segs = advanced.doit(
        segs=segs, control_net=net, strength=1.0, start_percent=0.0, end_percent=1.0, control_image=hint
    )[0]
    segs = applied(segs, pipe(unet[0], loras[1], "second"), 1.0 - reference)
    hints = do_detail(picture(*SIZE), segs, unet)[4]
    assert [call["ipadapter"] for call in calls] == ["first", "second"]
    assert calls[0]["model"].model_options["worn"] == ["outer", "inner"]
    assert calls[1]["model"].model_options["worn"] == ["outer", "inner"]
    assert "model_function_wrapper" in calls[1]["model"].model_options
    region = (slice(None), *Region.of(segs[1][0].crop_region).slices)
    wanted = [hint[region], reference[region], 1.0 - reference[region]]
    assert len(hints) == 3 and all(torch.equal(made, each) for made, each in zip(hints, wanted, strict=True))


def test_what_has_no_effect_has_none(unet: Pipe, reference: torch.Tensor) -> None:
    segs, image = segs_of(UPPER), picture(*SIZE)
    made = do_detail(image, applied(segs, pipe(unet[0]), reference), unet)[0]
    turned = applied(segs, pipe(unet[0]), reference, noise=1.0, unfold_batch=True, faceid_v2=True, weight_type="linear")
    assert torch.equal(do_detail(image, turned, unet)[0], made)


def test_segs_of_no_known_size_take_the_reference_as_it_is(unet: Pipe, reference: torch.Tensor) -> None:
    segs = applied(((0, 0), segs_of(UPPER)[1]), pipe(unet[0]), reference)
    region = Region.of(segs[1][0].crop_region)
    assert torch.equal(segs[1][0].control_net_wrapper.pictures, reference[(slice(None), *region.slices)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "it is missing (None). Connect the IPADAPTER_PIPE"),
        ("pipe", "a str is no IPADAPTER_PIPE. Connect the IPADAPTER_PIPE"),
        (("a", "b", "c", "d"), "this holds 4. Update the Inspire Pack"),
        (("a", "b", "c", "d", "e"), "this holds 5. Connect the IPADAPTER_PIPE"),
    ],
)
def test_what_is_no_pipe_is_named(reference: torch.Tensor, given: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        applied(segs_of(UPPER), given, reference)
    assert str(error.value).startswith(f"{ID}, input 'ipadapter_pipe': ") and said in str(error.value)


def test_without_ip_adapter_plus_it_says_so_at_once(
    unet: Pipe, reference: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nodes

    made = applied(segs_of(UPPER), pipe(unet[0]), reference)
    monkeypatch.delitem(nodes.NODE_CLASS_MAPPINGS, "IPAdapterAdvanced")
    with pytest.raises(InputError, match=r"'ipadapter_pipe': it needs the node IPAdapterAdvanced.*Install the pack"):
        applied(segs_of(UPPER), pipe(unet[0]), reference)
    with pytest.raises(ValueError, match=r"the node IPAdapterAdvanced is not there. Install the pack"):
        do_detail(picture(*SIZE), made, unet)
