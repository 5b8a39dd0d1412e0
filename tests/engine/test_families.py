"""Model families: each details, stays out of what it should leave alone, and answers to all that it is given."""

from __future__ import annotations

import functools
from typing import Any

import comfy.cli_args
import comfy.samplers
import comfy.utils
import pytest
import torch
from engine.families import BOXES, EDITING, EQUAL, FAMILIES, SIZE, Family, family_mask, family_picture, with_reference
from engine.family_models import hard_mask, wan_vae
from engine.running import SMALL, Made, Recorder, detail, near, pipe_with, unchanged_outside, watched
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core import mask_to_segs
from mask_detailer.detailer import host
from mask_detailer.nodes.detailers import DetailerForEach

# of ComfyUI's own samplers and libraries below it
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in ("Should have t", "To copy construct", "__array_wrap__")
]

SOLO_TOLERANCE = 2e-3
FEATHER = 4


def each(families: list[Family]) -> pytest.MarkDecorator:
    """Run a test for each family that this ComfyUI has."""
    return pytest.mark.parametrize(
        "family",
        [
            pytest.param(family, marks=pytest.mark.skipif(bool(family.absent), reason=str(family.absent)))
            for family in families
        ],
        ids=str,
    )


def run(family: Family, pipe: Pipe | None = None, image: torch.Tensor | None = None, **changes: Any) -> Made:
    """Detail the families' picture with the family's widgets."""
    image = family_picture() if image is None else image
    return detail(image, family_mask(), pipe or family.pipe, **{**family.widgets, **changes})


@functools.cache
def plain(name: str) -> torch.Tensor:
    """The picture that a family makes of it."""
    return run(next(family for family in FAMILIES if family.name == name)).image


@each(FAMILIES)
def test_details_under_the_mask_only(family: Family) -> None:
    image, made = family_picture(), plain(family.name)
    assert made.shape == image.shape
    assert torch.isfinite(made).all()
    assert unchanged_outside(made, image, near(family_mask(), FEATHER))
    for x1, y1, x2, y2 in BOXES:
        part = (slice(None), slice(y1, y2), slice(x1, x2))
        assert (made[part] - image[part]).abs().mean() > 0.01
        assert made[part].std() > 0.01


@each(FAMILIES)
@pytest.mark.by_turns(2)
def test_same_seed_same_picture(family: Family) -> None:
    assert torch.equal(run(family).image, plain(family.name))
    assert (run(family, seed=8).image - plain(family.name)).abs().max() > 0.01


@each(FAMILIES)
@pytest.mark.by_turns(2)
def test_model_answers_to_all_that_it_is_given(family: Family) -> None:
    """Guards the other tests: a model that ignores its inputs, or hardly sees them, would pass them."""
    changed = {name: run(family, lever(family.pipe)) for name, lever in family.levers.items()}
    changed |= {name: run(family, **widgets) for name, widgets in family.widget_levers.items()}
    for name, made in changed.items():
        assert (made.image - plain(family.name)).abs().max() > 5 * SOLO_TOLERANCE, name


@each(FAMILIES)
def test_model_is_tiny(family: Family) -> None:
    assert sum(parameter.numel() for parameter in family.pipe[0].model.parameters()) < 2_000_000


@each(FAMILIES)
def test_equal_parts_share_a_working_size(family: Family) -> None:
    """The picture is what the tests of batches need."""
    hook = Recorder()
    run(family, detailer_hook=hook)
    sizes = [latent["samples"].shape for latent in hook.all("post_encode")]
    assert sorted(sizes.count(size) for size in set(sizes)) == [1, len(EQUAL)]
    assert {len(size) for size in sizes} == {5 if family.frames else 4}


@each(FAMILIES)
def test_batched_equals_solo(family: Family) -> None:
    solo, together = run(family, crop_batch=1), run(family, crop_batch=8)
    assert (together.image - solo.image).abs().max() <= SOLO_TOLERANCE
    assert unchanged_outside(together.image, family_picture(), near(family_mask(), FEATHER))


@each([family for family in FAMILIES if family.batches])
@pytest.mark.by_turns(2)
def test_equal_crops_take_fewer_model_calls(family: Family) -> None:
    calls = {}
    for count in (1, 8):
        model, levels = watched(family.pipe[0])
        run(family, pipe_with(family.pipe, model=model), crop_batch=count)
        calls[count] = len(levels)
    assert calls[8] * len(BOXES) <= calls[1] * (len(BOXES) - len(EQUAL) + 1)


# --- what is special about some -----------------------------------------------------------------------------------


@each(EDITING)
def test_reference_counts_within_the_crop_only(family: Family) -> None:
    """Away from all crops the reference may be anything; within one it has a say there and nowhere else."""
    latent = family.pipe[3][0][1]["reference_latents"][0]
    crops = [*((x1 - 8, y1 - 8, x2 + 8, y2 + 8) for x1, y1, x2, y2 in EQUAL), (80, 56, 136, 96)]
    seen = mask_of(*SIZE, *crops)[0, ::8, ::8] > 0
    elsewhere = _with_latent(family.pipe, torch.where(seen, latent, -latent))
    assert torch.equal(run(family, elsewhere).image, plain(family.name))
    first = _with_latent(family.pipe, torch.where(mask_of(*SIZE, crops[0])[0, ::8, ::8] > 0, -latent, latent))
    changed = (run(family, first).image != plain(family.name)).any(dim=-1)
    assert changed.any()
    assert not changed[~near(mask_of(*SIZE, EQUAL[0]), FEATHER)].any()


def _with_latent(pipe: Pipe, latent: torch.Tensor) -> Pipe:
    embedding, options = pipe[3][0]
    return pipe_with(pipe, positive=[[embedding, {**options, "reference_latents": [latent]}]])


@each(EDITING)
def test_reference_of_another_shape_stays_whole(family: Family) -> None:
    """It shows something else: its every cell counts for every crop."""
    pipe = with_reference(family.pipe, picture(64, 64, seed=7))
    latent = pipe[3][0][1]["reference_latents"][0]
    corner = latent.clone()
    corner[..., -2:, -2:] *= -1
    made, changed = run(family, pipe).image, run(family, _with_latent(pipe, corner)).image
    for x1, y1, x2, y2 in BOXES:
        assert not torch.equal(made[:, y1:y2, x1:x2], changed[:, y1:y2, x1:x2])


@each([family for family in FAMILIES if "no mask function" in family.levers])
def test_own_mask_function_is_kept(family: Family) -> None:
    """Differential Diffusion, which a feathered noise mask means, doesn't take its place."""
    seen: list[torch.Tensor] = []

    def function(sigma: torch.Tensor, mask: torch.Tensor, extra_options: Any = None) -> torch.Tensor:
        seen.append(mask)
        return hard_mask(sigma, mask, extra_options)

    model = family.pipe[0].clone()
    model.set_model_denoise_mask_function(function)
    assert torch.equal(run(family, pipe_with(family.pipe, model=model)).image, plain(family.name))
    assert seen


@each(FAMILIES)
def test_as_segs_and_in_tiles(family: Family) -> None:
    """The detailer of SEGS gives the same; a crop of 128 pixels is one tile of the VAE."""
    segs = mask_to_segs(family_mask(), False, SMALL["crop_factor"], False, SMALL["drop_size"])
    shared = (
        "guide_size",
        "guide_size_for",
        "max_size",
        "seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "denoise",
    )
    more = ("feather", "cycle", "noise_mask_feather", "crop_batch")
    widgets: dict[str, Any] = {name: SMALL[name] for name in (*shared, *more)}
    widgets |= {"noise_mask": True, "force_inpaint": True, "wildcard": "", **family.widgets}
    widgets |= zip(("model", "clip", "vae", "positive", "negative"), family.pipe, strict=True)
    (made,) = DetailerForEach().doit(family_picture(), segs, **widgets)
    assert torch.equal(made, plain(family.name))
    (tiled,) = DetailerForEach().doit(family_picture(), segs, **widgets, tiled_encode=True, tiled_decode=True)
    torch.testing.assert_close(tiled, made, atol=2e-3, rtol=0)
    assert unchanged_outside(tiled, family_picture(), near(family_mask(), FEATHER))


@each(FAMILIES)
def test_previews(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI's previewer gets what it can show: latents with frames, pixels, 128 channels."""
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", comfy.cli_args.LatentPreviewMethod.Latent2RGB)
    previews: list[Any] = []
    comfy.utils.set_progress_bar_global_hook(lambda _value, _total, preview, **_: previews.append(preview))
    assert torch.equal(run(family).image, plain(family.name))
    assert any(preview is not None for preview in previews)


@pytest.mark.parametrize("tiled", [False, True])
def test_first_frame_of_a_clip(tiled: bool) -> None:
    vae = wan_vae()
    latent = torch.randn(1, 16, 2, 8, 10, generator=torch.Generator().manual_seed(0))
    clip = vae.decode(latent)
    assert clip.shape == (1, 5, 64, 80, 3)
    assert not torch.equal(clip[:, 0], clip[:, -1])
    pixels = host.vae.decode(vae, latent, tiled=tiled)
    assert pixels.shape == (1, 64, 80, 3)
    torch.testing.assert_close(pixels, clip[:, 0], atol=2e-3, rtol=0)


def test_large_clips_in_several_tiles() -> None:
    """Larger than one tile of 512 pixels, both ways."""
    vae = wan_vae()
    image = picture(576, 64)
    latent = host.vae.encode(vae, image, tiled=True)
    assert latent.shape == (1, 16, 1, 72, 8)
    assert latent.shape == host.vae.encode(vae, image).shape
    pixels = host.vae.decode(vae, latent, tiled=True)
    assert pixels.shape == (1, 576, 64, 3)
    assert torch.isfinite(pixels).all()
