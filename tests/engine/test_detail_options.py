"""The detail options through the engine: every value on awkward masks, and what an option must not touch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import SMALL, Recorder, detail, do_detail, near, pipe_with, segs_of, unchanged_outside, watched
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe
from mask_detailer.core.blend import BLENDS
from mask_detailer.core.fill import FILLS
from mask_detailer.core.masks import RAMPS
from mask_detailer.core.surroundings.colour import COLOUR_MATCHES
from mask_detailer.detailer.options import (
    BlendOptions,
    ColourOptions,
    DenoiseOptions,
    DetailOptions,
    WorkingSizeOptions,
)
from mask_detailer.nodes.detailers import DetailerForEach
from mask_detailer.nodes.faces import FaceDetailer
from mask_detailer.nodes.segs_detailers import SEGSDetailer, SEGSPaste
from support.faults import FaultyVAE, no_fault

SIZE = (131, 149)


def awkward_mask() -> torch.Tensor:
    """Parts at all corners and borders, slivers of 3 px, one with a hole, one soft all over, odd sizes."""
    height, width = SIZE
    mask = mask_of(
        *SIZE, (0, 0, 17, 13), (width - 14, 0, width, 19), (0, height - 15, 21, height),
        (width - 13, height - 11, width, height), (60, 0, 85, 9), (0, 50, 7, 75), (width - 3, 40, width, 80),
        (55, height - 3, 96, height), (30, 30, 61, 33), (30, 44, 33, 79), (80, 30, 111, 61),
    )  # fmt: skip
    mask[0, 40:50, 90:100] = 0.0
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    soft = 1 - ((rows - 93).square() + (columns - 70).square()).sqrt() / 22
    return torch.maximum(mask, soft.clamp(0, 1)[None])


VALUES = {
    **{f"colour {match}": DetailOptions(colour=ColourOptions(match)) for match in COLOUR_MATCHES[1:]},
    **{f"blend {method}": DetailOptions(blend=BlendOptions(method, 6)) for method in BLENDS[1:]},
    "gradient without end": DetailOptions(blend=BlendOptions("gradient", 0)),
    **{f"grow {grow}": DetailOptions(blend=BlendOptions(grow=grow)) for grow in (-5, -1, 3)},
    **{f"ramp {ramp}": DetailOptions(blend=BlendOptions(ramp=ramp)) for ramp in RAMPS[1:]},
    **{f"fill {fill}": DetailOptions(fill=fill) for fill in FILLS[1:]},
    "exact": DetailOptions(size=WorkingSizeOptions("guide_size_exact")),
    "short side": DetailOptions(size=WorkingSizeOptions("short_side", short_side=64)),
    "budget": DetailOptions(size=WorkingSizeOptions("pixel_budget", megapixels=0.006)),
    "fixed": DetailOptions(size=WorkingSizeOptions("fixed_size", width=96, height=64)),
    "never above": DetailOptions(size=WorkingSizeOptions(never_above_max_size=True)),
    "multiple": DetailOptions(size=WorkingSizeOptions("guide_size_exact", multiple=32)),
    "context": DetailOptions(size=WorkingSizeOptions(context=9)),
    "mirror": DetailOptions(size=WorkingSizeOptions(context=9, border="mirror")),
    "drift": DetailOptions(drift="correct"),
    "detail": DetailOptions(detail="match"),
    "denoise": DetailOptions(denoise=DenoiseOptions("less_for_larger", 16)),
    "retries": DetailOptions(retries=1),
    "tiling always": DetailOptions(tiling="always"),
    "tiling never": DetailOptions(tiling="never"),
    "all": DetailOptions(
        ColourOptions("covariance"), BlendOptions("gradient", 12, 2, "smooth"), "diffused",
        WorkingSizeOptions("fixed_size", width=80, height=64, multiple=16, context=12, border="mirror"),
        "correct", "match", DenoiseOptions("less_for_larger", 16), 1, "never",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pipe() -> Pipe:
    return unet_pipe(3)


@pytest.mark.parametrize("name", VALUES)
def test_every_value_on_awkward_masks(name: str, pipe: Pipe) -> None:
    options, image, mask = VALUES[name], picture(*SIZE), awkward_mask()
    made = detail(image, mask, pipe, steps=1, detail_options=options, crop_batch=0, contour_fill=False)
    assert bool(torch.isfinite(made.image).all()) and 0 <= float(made.image.min()) <= float(made.image.max()) <= 1
    assert unchanged_outside(made.image, image, near((mask > 0).float(), 4 + max(options.blend.grow, 0)))
    assert not torch.equal(made.image, image)
    for crop, alpha in zip(made.refined, made.alphas, strict=True):
        assert crop.shape[1] <= SIZE[0] and crop.shape[2] <= SIZE[1]
        assert crop.shape[:3] == alpha.shape


def test_the_default_options_change_nothing(pipe: Pipe) -> None:
    image, mask = picture(*SIZE), awkward_mask()
    plain = detail(image, mask, pipe, steps=1)
    assert torch.equal(detail(image, mask, pipe, steps=1, detail_options=DetailOptions()).image, plain.image)


# --- borders ------------------------------------------------------------------------------------------------------

MIRROR = DetailOptions(size=WorkingSizeOptions(context=24, border="mirror"))
CORNERS = [(0, 0, 24, 24), (125, 0, 149, 24), (0, 107, 24, 131), (125, 107, 149, 131)]


@pytest.mark.parametrize("box", CORNERS)
def test_a_mirrored_border_has_no_soft_edge(box: tuple[int, int, int, int], pipe: Pipe) -> None:
    """At the picture's corner the refined part goes on to the last pixel, as it does without mirroring."""
    made = detail(picture(*SIZE), mask_of(*SIZE, box), pipe, detail_options=MIRROR, noise_mask_feather=5)
    (alpha,) = made.alphas
    assert alpha.shape == (1, 48, 48)
    y, x = (0 if edge == 0 else -1 for edge in (box[1], box[0]))
    assert float(alpha[0, y, x]) == 1.0 and float(alpha.min()) == 0.0


def test_mirrored_borders_with_conditioning_of_the_whole_picture(pipe: Pipe) -> None:
    """Masks, areas and reference latents are cut to a crop that reaches past the picture."""
    embedding = pipe[3][0][0]
    latent = torch.randn(1, 4, 17, 19, generator=torch.Generator().manual_seed(1))
    positive = [
        [embedding, {"mask": torch.rand(1, *SIZE), "mask_strength": 1.0, "set_area_to_bounds": False}],
        [embedding, {"area": (10, 10, 0, 0), "strength": 1.0}],
        [embedding, {"area": ("percentage", 0.5, 0.5, 0.5, 0.5), "strength": 1.0}],
        [embedding, {"reference_latents": [latent]}],
    ]
    image, mask = picture(*SIZE), mask_of(*SIZE, *CORNERS)
    made = detail(image, mask, pipe_with(pipe, positive=positive), detail_options=MIRROR, crop_batch=0)
    assert bool(torch.isfinite(made.image).all()) and len(made.refined) == 4
    assert unchanged_outside(made.image, image, near(mask, 4))


def test_segments_kept_apart_lie_in_the_picture(pipe: Pipe) -> None:
    """SEGSDetailer gives the part of a mirrored crop that is picture; SEGSPaste puts it where it belongs."""
    image, segs = picture(96, 112), segs_of((0, 0, 20, 20), (90, 70, 112, 96))
    widgets = dict(
        guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=1, cfg=3.0, sampler_name="euler",
        scheduler="normal", denoise=0.5, noise_mask=True, force_inpaint=True, refiner_ratio=0.2, batch_size=1, cycle=1,
        detail_options=MIRROR,
    )  # fmt: skip
    refined, _ = SEGSDetailer().doit(image, segs, pipe, **widgets)
    for seg in refined[1]:
        x1, y1, x2, y2 = map(int, seg.crop_region)
        assert 0 <= x1 < x2 <= 112 and 0 <= y1 < y2 <= 96
        assert seg.cropped_image.shape[1:3] == seg.cropped_mask.shape[-2:] == (y2 - y1, x2 - x1)
    (pasted,) = SEGSPaste().doit(image, refined, 0)
    mask = mask_of(96, 112, (0, 0, 20, 20), (90, 70, 112, 96))
    assert unchanged_outside(pasted, image, mask > 0) and not torch.equal(pasted, image)


# --- what an option must not touch --------------------------------------------------------------------------------


def test_growing_the_paste_leaves_what_is_sampled(pipe: Pipe) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, (40, 40, 72, 72))
    made, noise_masks = [], []
    for grow in (0, 6):
        hook = Recorder()
        options = DetailOptions(blend=BlendOptions(grow=grow))
        made.append(detail(image, mask, pipe, detailer_hook=hook, noise_mask_feather=8, detail_options=options))
        noise_masks.append(hook.all("post_encode")[0]["noise_mask"])
    assert torch.equal(*noise_masks) and torch.equal(made[0].refined[0], made[1].refined[0])
    assert int((made[1].alphas[0] > 0).sum()) > int((made[0].alphas[0] > 0).sum())


def test_the_noise_mask_leaves_the_paste(pipe: Pipe) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, (40, 40, 72, 72))
    options = DetailOptions(blend=BlendOptions(grow=6))
    made = [detail(image, mask, pipe, noise_mask_feather=feather, detail_options=options) for feather in (0, 8)]
    assert torch.equal(made[0].alphas[0], made[1].alphas[0])
    assert not torch.equal(made[0].refined[0], made[1].refined[0])


def test_denoise_by_size_in_batches(pipe: Pipe) -> None:
    """Parts of 16 px keep the node's denoise, one of 64 px has half of it, as if that were the node's."""
    small, large = [(8, 8, 24, 24), (120, 8, 136, 24)], (40, 50, 104, 114)
    image, options = picture(*SIZE), DetailOptions(denoise=DenoiseOptions("less_for_larger", 16))
    made = detail(image, mask_of(*SIZE, *small, large), pipe, detail_options=options, crop_batch=0, crop_factor=1.2)
    model, levels = watched(pipe[0])
    at_half = [
        detail(image, mask_of(*SIZE, large), pipe_with(pipe, model=model), denoise=0.25, seed=seed, crop_factor=1.2)
        for seed in (7, 8, 9)
    ]
    reach = near(mask_of(*SIZE, large), 4)
    off = [float((made.image - one.image)[reach].abs().max()) for one in at_half]
    assert min(off) < 1e-4 and levels
    plain = detail(image, mask_of(*SIZE, *small, large), pipe, crop_batch=0, crop_factor=1.2)
    reach = near(mask_of(*SIZE, *small), 4)
    assert torch.allclose(made.image[reach], plain.image[reach], atol=1e-4)
    assert not torch.allclose(made.image, plain.image, atol=1e-3)


@pytest.mark.parametrize(
    ("tiling", "tiled"), [("auto", [True, False]), ("always", [True, True]), ("never", [False] * 2)]
)
def test_tiling(tiling: str, tiled: list[bool], pipe: Pipe) -> None:
    """Beside a detailer that says: tiles for encoding, none for decoding."""
    vae = FaultyVAE(pipe[2], no_fault)
    image, segs = picture(96, 112), segs_of((40, 40, 64, 64))
    options = DetailOptions(tiling=tiling)
    widgets = {name: SMALL[name] for name in SMALL.keys() & DetailerForEach.INPUT_TYPES()["required"].keys()}
    parts = zip(("model", "clip", "vae", "positive", "negative"), pipe_with(pipe, vae=vae), strict=True)
    DetailerForEach().doit(
        image, segs, **dict(parts), **widgets, noise_mask=True, force_inpaint=True, wildcard="", tiled_encode=True,
        tiled_decode=False, detail_options=options,
    )  # fmt: skip
    assert [f"{name}_tiled" in vae.calls for name in ("encode", "decode")] == tiled
    assert len(vae.calls) == 2


@pytest.mark.parametrize("name", ["all", "mirror", "drift"])
def test_do_detail_and_its_segments(name: str, pipe: Pipe) -> None:
    """Other packs' call: the SEGS it gives back lie in the picture and hold what was put there."""
    image, segs = picture(96, 112), segs_of((0, 0, 20, 20), (90, 70, 112, 96), (40, 30, 71, 55))
    made, _, refined, *_, kept = do_detail(image, segs, pipe, detail_options=VALUES[name], crop_batch=0, feather=0)
    assert len(refined) == len(kept[1]) == 3
    for seg in kept[1]:
        x1, y1, x2, y2 = map(int, seg.crop_region)
        assert 0 <= x1 < x2 <= 112 and 0 <= y1 < y2 <= 96
        assert seg.cropped_image.shape[1:3] == seg.cropped_mask.shape[-2:] == (y2 - y1, x2 - x1)
        hard = torch.from_numpy(np.asarray(seg.cropped_mask)) > 0
        put = torch.from_numpy(np.asarray(seg.cropped_image))[0]
        if name != "all":  # which grows the paste
            assert torch.allclose(put[hard], made[0, y1:y2, x1:x2][hard], atol=1e-6)


@pytest.mark.parametrize("name", ["all", "fixed", "mirror"])
def test_face_detailer_takes_the_options(name: str, pipe: Pipe) -> None:
    class Detector:
        """Finds one face, at the picture's corner, as SEGS."""

        def detect(self, *_: Any, **__: Any) -> Any:
            return segs_of((0, 0, 24, 24))

    image = picture(96, 112)
    widgets = {
        name: spec[1]["default"] if "default" in spec[1] else spec[0][0]
        for part in FaceDetailer.INPUT_TYPES().values()
        for name, spec in part.items()
        if "default" in spec[1] or isinstance(spec[0], list)
    }
    model, clip, vae, positive, negative = pipe
    widgets |= dict(
        image=image, model=model, clip=clip, vae=vae, positive=positive, negative=negative, guide_size=64.0,
        max_size=128.0, steps=1, feather=4, bbox_detector=Detector(), sampler_name="euler", scheduler="normal",
        noise_mask_feather=0, wildcard="", detail_options=VALUES[name],
    )  # fmt: skip
    made, *_ = FaceDetailer().doit(**widgets)
    assert unchanged_outside(made, image, near(mask_of(96, 112, (0, 0, 24, 24)), 8))
    assert not torch.equal(made, image)


def test_frames_get_the_options(pipe: Pipe) -> None:
    """Each picture of a batch comes out as it would alone."""
    frames, mask = torch.cat([picture(*SIZE, seed) for seed in (1, 2)]), mask_of(*SIZE, (40, 40, 72, 72))
    options = replace(VALUES["all"], retries=0)
    together = detail(frames, mask, pipe, steps=1, detail_options=options)
    for index in range(2):
        alone = detail(frames[index : index + 1], mask, pipe, steps=1, detail_options=options)
        assert torch.equal(together.image[index : index + 1], alone.image)
