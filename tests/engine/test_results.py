"""All that a detailer makes: the paste mask, the crops as they were sampled; and refined segments as layers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.running import do_detail, same, unchanged_outside
from engine.tiny_models import Pipe, lossless_vae, mask_of, picture, pipe_with
from mask_detailer.core import mask_to_segs, to_working_size
from mask_detailer.detailer import host
from mask_detailer.detailer.options import DetailOptions, WorkingSizeOptions
from mask_detailer.nodes.detailers import MaskDetailerPipe
from mask_detailer.nodes.results import MaskDetailerAllOutputs, MaskDetailerLayers
from mask_detailer.nodes.segs_detailers import SEGSPaste
from mask_detailer.nodes.validate import InputError
from support.calls import counted

SIZE = (96, 128)
BOXES = ((10, 12, 40, 44), (70, 40, 110, 80))
WIDGETS: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, crop_factor=2.0, drop_size=2,
    crop_batch=1,
)  # fmt: skip


def all_outputs(image: Any, pipe: Any, **changes: Any) -> tuple[Any, ...]:
    return MaskDetailerAllOutputs().doit(image, pipe, **(WIDGETS | changes))


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return picture(*SIZE)


def test_as_the_detailers(unet: Pipe, image: torch.Tensor) -> None:
    mask = mask_of(*SIZE, *BOXES)
    segs = mask_to_segs(mask, False, 2.0, False, 2)
    made = all_outputs(image, unet, mask=mask)
    detailer = {name: WIDGETS[name] for name in WIDGETS if name not in ("noise_mask", "force_inpaint")}
    plain = MaskDetailerPipe().doit(
        image, mask, unet, mask_mode=True, refiner_ratio=0.2, batch_size=1, cycle=1, **detailer
    )
    assert torch.equal(made[0], plain[0])
    assert torch.equal(all_outputs(image, unet, segs=segs)[0], do_detail(image, segs, unet)[0])


def test_the_paste_mask_says_what_changed(unet: Pipe, image: torch.Tensor) -> None:
    mask = mask_of(*SIZE, *BOXES)
    made, pasted, _, _, segs = all_outputs(image, unet, mask=mask, feather=6)
    assert pasted.shape == (1, *SIZE) and unchanged_outside(made, image, pasted > 0)
    assert bool(((made != image).any(dim=-1) == (pasted > 0))[pasted == 0].all()) and pasted.max() == 1.0
    (alpha,) = torch.zeros_like(pasted)
    *_, refined_alpha, _, _ = do_detail(image, mask_to_segs(mask, False, 2.0, False, 2), unet, feather=6)
    for seg in segs[1]:
        x1, y1, x2, y2 = seg.crop_region
        own = next(each[0, ..., 3] for each in refined_alpha if each.shape[1:3] == (y2 - y1, x2 - x1))
        alpha[y1:y2, x1:x2] = torch.maximum(alpha[y1:y2, x1:x2], own)
    assert torch.equal(pasted[0], alpha)


def test_parts_at_the_size_that_was_sampled(image: torch.Tensor, flow: Pipe) -> None:
    """What was decoded, unshrunk: a codec without loss and a model that changes nothing give the enlarged crop."""
    pipe = pipe_with(flow, vae=lossless_vae())
    segs = mask_to_segs(mask_of(*SIZE, *BOXES), False, 2.0, False, 2)
    _, _, parts, before, refined = all_outputs(image, pipe, segs=segs, denoise=0.0)
    assert [list(part.shape) for part in parts] == [list(part.shape) for part in before]
    for seg, part, was in zip(refined[1], parts, before, strict=True):
        x1, y1, x2, y2 = seg.crop_region
        crop = image[:, y1:y2, x1:x2]
        assert part.shape[1] > y2 - y1 and torch.equal(was, to_working_size(crop, host_size(part)).clamp(0, 1))
        assert (part - was).abs().max() < 2e-3


def host_size(part: torch.Tensor) -> Any:
    from mask_detailer.core import Size

    return Size(*part.shape[1:3])


def test_past_the_border(unet: Pipe, image: torch.Tensor) -> None:
    """Where a crop reaches past the picture, its part does not."""
    options = DetailOptions(size=WorkingSizeOptions(mode="short_side", short_side=64, context=16, border="mirror"))
    mask = mask_of(*SIZE, (0, 0, 30, 30))
    _, _, (part,), (before,), segs = all_outputs(image, unet, mask=mask, detail_options=options)
    x1, y1, x2, y2 = segs[1][0].crop_region
    assert x1 == 0 and y1 == 0 and part.shape == before.shape
    assert part.shape[2] / part.shape[1] == pytest.approx((x2 - x1) / (y2 - y1), rel=0.05)


def test_pictures_pair_up(unet: Pipe, image: torch.Tensor) -> None:
    pictures = torch.cat([image, image.flip(2)])
    masks = torch.cat([mask_of(*SIZE, BOXES[0]), mask_of(*SIZE, BOXES[1])])
    made, pasted, parts, before, segs = all_outputs(pictures, unet, mask=masks)
    assert len(made) == len(pasted) == len(parts) == len(before) == len(segs[1]) == 2
    for index in range(2):
        one = all_outputs(pictures[index : index + 1], unet, mask=masks[index : index + 1])
        assert torch.equal(one[0][0], made[index]) and torch.equal(one[1][0], pasted[index])
        assert torch.equal(one[2][0], parts[index]) and torch.equal(one[3][0], before[index])


def test_nothing_to_do(unet: Pipe, image: torch.Tensor) -> None:
    for changes in ({}, {"mask": torch.zeros(1, *SIZE)}, {"segs": (SIZE, [])}):
        made, pasted, parts, before, segs = all_outputs(image, unet, **changes)
        assert torch.equal(made, image) and not pasted.any() and not segs[1]
        assert not parts[0].any() and not before[0].any() and len(parts) == len(before) == 1


def test_not_both(unet: Pipe, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match="MaskDetailerAllOutputs, input 'segs': there is a mask too"):
        all_outputs(image, unet, mask=torch.ones(1, *SIZE), segs=(SIZE, []))


def test_others_keep_nothing(unet: Pipe, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs nothing where nobody asks: no crop is kept as it was decoded, no paste mask is made."""
    from mask_detailer.detailer.pipeline import paste

    seen: list[Any] = []
    real = paste.Canvas.detailed

    def detailed(self: Any) -> Any:
        seen.append(real(self))
        return seen[-1]

    monkeypatch.setattr(paste.Canvas, "detailed", detailed)
    do_detail(image, mask_to_segs(mask_of(*SIZE, *BOXES), False, 2.0, False, 2), unet)
    assert seen[0].paste_mask is None and seen[0].sampled == [] and seen[0].sampled_before == []


@pytest.mark.usefixtures("remembers")
def test_what_was_sampled_is_remembered(unet: Pipe, image: torch.Tensor) -> None:
    """From the segment memory come the parts too; what was made for a detailer that keeps none isn't taken for it."""
    segs = mask_to_segs(mask_of(*SIZE, *BOXES), False, 2.0, False, 2)
    do_detail(image, segs, unet)
    made = []
    for _ in range(2):
        with counted() as calls:
            made.append((all_outputs(image, unet, segs=segs), calls.items))
    (first, sampled), (again, none) = made
    assert sampled > 0 and none == 0 and len(first[2]) == 2
    assert all(same(one, other) for one, other in zip(first[:4], again[:4], strict=True))


# --- layers ----------------------------------------------------------------------------------------------------------


def composited(document: Any) -> torch.Tensor:
    """Layers over one another, as LAYERS says: by their z_index, clear where their mask is 1."""
    width, height = document["canvas"]
    canvas = torch.zeros(1, height, width, 3)
    for layer in sorted(document["layers"], key=lambda one: one["z_index"]):
        x, y, (_, h, w, _) = layer["x"], layer["y"], layer["image"].shape
        alpha = 1.0 - layer.get("mask", torch.zeros(1, h, w))[..., None]
        place = canvas[:, y : y + h, x : x + w]
        place.copy_(place * (1.0 - alpha) + layer["image"][..., :3] * alpha)
    return canvas


def test_layers_together_are_what_was_pasted(unet: Pipe, image: torch.Tensor) -> None:
    made, *_, segs = all_outputs(image, unet, mask=mask_of(*SIZE, *BOXES))
    (document,) = MaskDetailerLayers().doit(image=image, segs=segs, feather=4)
    assert document["version"] == 1 and document["canvas"] == (SIZE[1], SIZE[0])
    assert [layer["name"] for layer in document["layers"]] == [
        "picture",
        *(f"{n} {s.label}" for n, s in enumerate(segs[1], 1)),
    ]
    assert all(layer["type"] == "raster" for layer in document["layers"])
    assert (composited(document) - made).abs().max() < 1e-6
    pasted = SEGSPaste().doit(image=image, segs=segs, feather=4)[0]
    assert (composited(document) - pasted).abs().max() < 1e-6
    document["layers"] = [layer for layer in document["layers"] if layer["z_index"] != 1]
    x1, y1, x2, y2 = segs[1][0].crop_region
    assert torch.equal(composited(document)[:, y1:y2, x1:x2], image[:, y1:y2, x1:x2])


def test_segments_without_a_picture_are_no_layers(image: torch.Tensor) -> None:
    segs = mask_to_segs(mask_of(*SIZE, *BOXES), False, 2.0, False, 2)
    (document,) = MaskDetailerLayers().doit(image=image, segs=segs, feather=4)
    assert len(document["layers"]) == 1


def test_many_layers(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    segs = mask_to_segs(mask_of(*SIZE, BOXES[0]), False, 1.0, False, 2)
    size = [BOXES[0][3] - BOXES[0][1], BOXES[0][2] - BOXES[0][0]]
    many = segs[0], [segs[1][0]._replace(cropped_image=torch.rand(1, *size, 3))] * 50
    MaskDetailerLayers().doit(image=image, segs=many, feather=4)
    assert "51 layers" in told.text


@pytest.mark.parametrize("has", [False, True])
def test_offered_where_comfyui_has_layers(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    io = SimpleNamespace(Layers=object) if has else SimpleNamespace()
    monkeypatch.setitem(sys.modules, "comfy_api.latest", SimpleNamespace(io=io))  # type: ignore[arg-type]
    assert host.nodes.has_layers() is has and MaskDetailerLayers.is_offered() is has
