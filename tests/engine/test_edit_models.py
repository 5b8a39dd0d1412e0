"""Edit models in a detailer: the crop itself as reference, pictures per segment, drift and tint corrected after it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.families import BOXES, EDITING, Family, family_mask, family_picture, reference_picture, with_reference
from engine.running import detail, do_detail, pipe_with
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import mask_to_segs
from mask_detailer.core.surroundings.registration import measure_drift
from mask_detailer.core.surroundings.ring import ring_of
from mask_detailer.detailer import host
from mask_detailer.detailer.options import ColourOptions, DetailOptions
from support.faults import FAULTS, Fault, FaultyVAE, moved

CROP, PLAIN = DetailOptions(references="crop"), DetailOptions(references="crop_uncorrected")
SOLO: dict[str, Any] = dict(atol=2e-3, rtol=0)  # as in test_families.py


def unwired(family: Family) -> Any:
    """The family's pipe without any reference."""
    embedding, options = family.pipe[3][0]
    return pipe_with(
        family.pipe, positive=[[embedding, {name: one for name, one in options.items() if name != "reference_latents"}]]
    )


def seen_by(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Tensor]]:
    """The reference latents of the positive, sampling by sampling."""
    seen: list[list[torch.Tensor]] = []
    own = host.sampling.sample

    def sample(guidance: Any, *others: Any) -> Any:
        seen.append(guidance.positive[0][1].get("reference_latents", []))
        return own(guidance, *others)

    monkeypatch.setattr(host.sampling, "sample", sample)
    return seen


@pytest.mark.parametrize("family", EDITING, ids=str)
def test_the_crop_is_what_the_model_is_shown(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the size that is sampled, without wiring; in a batch as alone; and the model answers to it."""
    pipe, image, widgets = unwired(family), family_picture(), {**family.widgets, "detail_options": PLAIN}
    seen = seen_by(pipe, monkeypatch)
    alone = detail(image, family_mask(), pipe, crop_batch=1, **widgets).image
    x1, y1, x2, y2 = BOXES[0]
    cut = image[:, y1 - 8 : y2 + 8, x1 - 8 : x2 + 8]
    wanted = host.vae.encode(pipe[2], torch.nn.functional.interpolate(
        cut.movedim(-1, 1), (128, 128), mode="bicubic", antialias=True).movedim(1, -1))  # fmt: skip
    off = [float((one[0] - wanted).abs().mean()) for one in seen if one[0].shape == wanted.shape]
    assert len(seen) == len(BOXES) and min(off) < 0.1 * float(wanted.std())
    together = detail(image, family_mask(), pipe, crop_batch=4, **widgets).image
    torch.testing.assert_close(together, alone, **SOLO)
    none = detail(image, family_mask(), pipe, **{**widgets, "detail_options": DetailOptions()}).image
    assert (none - alone).abs().max() > 0.01


def test_what_shows_the_picture_gives_way_and_portraits_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    family, image = EDITING[0], family_picture()
    pipe = with_reference(unwired(family), image)
    embedding, options = pipe[3][0]
    portrait = pipe[2].encode(reference_picture()[:, :64, :64])
    latents = [*options["reference_latents"], portrait]
    pipe = pipe_with(pipe, positive=[[embedding, {**options, "reference_latents": latents}]])
    seen = seen_by(pipe, monkeypatch)
    detail(image, family_mask(), pipe, **family.widgets, detail_options=CROP)
    assert len(seen[0]) == 2 and torch.equal(seen[0][1], portrait) and seen[0][0].shape[-2:] != portrait.shape[-2:]


@pytest.mark.parametrize("crop_batch", [1, 4])
def test_each_segment_has_its_own_picture(crop_batch: int, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    family, image = EDITING[0], family_picture()
    pipe = unwired(family)
    segs = mask_to_segs(family_mask(), False, 2.0, False, 2)
    pictures = torch.cat([reference_picture(seed)[:, :96, :128] for seed in range(3)])
    node = NODE_CLASS_MAPPINGS["MaskDetailerReferencesSEGS"]()
    (given,) = node.doit(segs, pictures, pipe[2], 96 * 128 / 2**20)
    assert told.messages == [f"3 pictures for {len(segs[1])} segments: the rest is left as it is"]
    wanted = [pipe[2].encode(one) for one in pictures.split(1)]
    seen = seen_by(pipe, monkeypatch)
    do_detail(image, given, pipe, **family.widgets, crop_batch=crop_batch, detail_options=PLAIN)
    shown = [one for latents in seen if len(latents) == 2 for one in latents[1].split(1)]
    assert len(shown) == 3 and all(torch.equal(one, own) for one, own in zip(shown, wanted, strict=True))
    assert sum(len(latents[0]) for latents in seen if len(latents) == 1) == 2  # those without one


def test_planted_drift_and_tint_are_gone() -> None:
    family, image = EDITING[0], family_picture()
    sizes = {"crop_factor": 4.0, "guide_size": 96.0, "max_size": 512.0, **family.widgets}
    mask = family_mask()
    mask[..., 48:], mask[:, 48:] = 0, 0
    sound = detail(image, mask, unwired(family), **sizes, detail_options=PLAIN).refined[0]
    faults: dict[str, Fault] = {"shift": lambda pixels: moved(pixels, 12.0, 0.0), "tint": FAULTS["tint of +0.05"]}
    for fault, plant in faults.items():
        faulty = pipe_with(unwired(family), vae=FaultyVAE(family.pipe[2], plant))
        left, corrected = (detail(image, mask, faulty, **sizes, detail_options=one).refined[0] for one in (PLAIN, CROP))
        if fault.startswith("shift"):
            ring = ring_of(torch.zeros(corrected.shape[:3]))
            (before,), (after,) = (measure_drift(sound, one, ring) for one in (left, corrected))
            assert abs(before.dx) > 0.5 and max(abs(after.dx), abs(after.dy)) < 0.25
        else:
            tints = [float((one - sound).mean(dim=(0, 1, 2)).norm()) for one in (left, corrected)]
            assert tints[1] < 0.35 * tints[0]


def test_what_is_set_stays_set(caplog: pytest.LogCaptureFixture) -> None:
    from dataclasses import replace

    from mask_detailer.detailer.pipeline.recipe import Recipe
    from mask_detailer.detailer.values import BasicPipe, DetailSettings, MaskSettings, SamplingSettings, SizeOptions

    pipe = BasicPipe(*unwired(EDITING[0]))
    settings = DetailSettings(
        0, SizeOptions(64, True, 128, True), SamplingSettings(2, 1.0, "euler", "normal", 0.5),
        MaskSettings(4, True, 0, False), options=replace(CROP, colour=ColourOptions("mean_and_spread")),
    )  # fmt: skip
    options = Recipe(pipe, settings).prepared().settings.options
    assert (options.drift, options.colour.match) == ("correct", "mean_and_spread")
    plain = replace(settings, options=PLAIN)
    assert Recipe(pipe, plain).prepared().settings.options == PLAIN
