"""What a detailer's inputs say, in the engine's form: each widget turns one setting, under the name each node has."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.detailer.options import UNTURNED, DetailOptions
from mask_detailer.detailer.values import BasicPipe, DetailerPipe
from mask_detailer.nodes.detailing import MaskCut
from mask_detailer.nodes.door import Door
from mask_detailer.nodes.settings import (
    mask_cut_of,
    recipe_of,
    recipe_of_parts,
    recipe_of_pipe,
    refiner_of,
    settings_of,
)
from mask_detailer.nodes.validate import InputError

DOOR = Door("Node")
GIVEN: dict[str, Any] = dict(
    guide_size=512.0, guide_size_for=True, max_size=1024.0, seed=7, steps=20, cfg=8.0, sampler_name="euler",
    scheduler="normal", denoise=0.5,
)  # fmt: skip
PARTS: dict[str, Any] = {
    "model": SimpleNamespace(model="what is patched", model_options={}),
    "clip": SimpleNamespace(tokenize=None),
    "vae": SimpleNamespace(encode=None, decode=None),
    "positive": [(torch.zeros(1, 2, 3), {})],
    "negative": "placeholder",
}
PIPE = tuple(PARTS.values())


def flat(**turned: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for topic, value in asdict(settings_of(DOOR, GIVEN | turned)).items():
        nested = topic != "options" and isinstance(value, dict)
        out |= {f"{topic}.{name}": one for name, one in value.items()} if nested else {topic: value}
    return out


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("guide_size", 384.0, "size.guide_size"),
        ("guide_size_for", False, "size.guide_for_bbox"),
        ("max_size", 768.0, "size.max_size"),
        ("force_inpaint", False, "size.force_inpaint"),
        ("seed", 8, "seed"),
        ("steps", 4, "sampling.steps"),
        ("cfg", 1.0, "sampling.cfg"),
        ("sampler_name", "heun", "sampling.sampler_name"),
        ("scheduler", "karras", "sampling.scheduler"),
        ("denoise", 0.3, "sampling.denoise"),
        ("cycle", 3, "sampling.cycle"),
        ("scheduler_func_opt", "a function", "sampling.scheduler_func"),
        ("feather", 5, "mask.feather"),
        ("noise_mask", False, "mask.noise_mask"),
        ("mask_mode", False, "mask.noise_mask"),
        ("noise_mask_feather", 20, "mask.noise_mask_feather"),
        ("inpaint_model", True, "mask.inpaint_model"),
        ("wildcard", "a face", "text"),
        ("tiled_encode", True, "vae_tiles.encode"),
        ("tiled_decode", True, "vae_tiles.decode"),
        ("max_retries", 4, "attempts"),
        ("crop_batch", 2, "crop_batch"),
    ],
)
def test_each_turns_one(name: str, value: Any, setting: str) -> None:
    before, after = flat(), flat(**{name: value})
    assert {key for key in before if before[key] != after[key]} == {setting}
    assert after[setting] == value


def test_detail_options() -> None:
    assert settings_of(DOOR, GIVEN).options is UNTURNED
    options = DetailOptions(fill="neutral")
    assert settings_of(DOOR, GIVEN | {"detail_options": options}).options is options
    with pytest.raises(InputError, match=r"^Node, input 'detail_options': a str is no DETAIL_OPTIONS"):
        settings_of(DOOR, GIVEN | {"detail_options": "text"})


def test_masks() -> None:
    assert mask_cut_of({"crop_factor": 3.0, "drop_size": 10}) == MaskCut(3.0, 10, bbox_fill=False, contour_fill=True)
    given = {"crop_factor": 1.0, "drop_size": 1, "bbox_fill": True, "contour_fill": False}
    assert mask_cut_of(given) == MaskCut(1.0, 1, bbox_fill=True, contour_fill=False)


def test_recipe_of_a_pipe() -> None:
    hook, model, positive = object(), SimpleNamespace(model="another", model_options={}), [(torch.ones(1, 2, 3), {})]
    second = (model, None, None, positive, "less")
    given = GIVEN | {"detailer_hook": hook, "refiner_ratio": 0.4, "refiner_basic_pipe_opt": second}
    recipe = recipe_of_pipe(DOOR, PIPE, given)
    assert recipe.pipe == BasicPipe(*PIPE) and recipe.source == "Node"
    assert recipe.settings == settings_of(DOOR, given)
    assert recipe.hook.hook is hook
    assert recipe.refiner is not None
    assert (recipe.refiner.model, recipe.refiner.positive, recipe.refiner.ratio) == (model, positive, 0.4)
    assert recipe_of_pipe(DOOR, PIPE, GIVEN).refiner is None


def test_recipe_of_parts() -> None:
    assert recipe_of_parts(DOOR, GIVEN | PARTS).pipe == BasicPipe(*PIPE)


@pytest.mark.parametrize("part", ["model", "vae", "positive", "negative"])
def test_a_missing_part(part: str) -> None:
    missing = PARTS | {part: None}
    with pytest.raises(InputError, match=f"^Node, input '{part}': it is missing"):
        recipe_of_parts(DOOR, GIVEN | missing)
    with pytest.raises(InputError, match=f"^Node, input 'basic_pipe': its {part} is missing"):
        recipe_of_pipe(DOOR, tuple(missing.values()), GIVEN)


@pytest.mark.parametrize("text", ["a face", None, "", " \n"])
def test_text_needs_a_clip(text: str | None) -> None:
    pipe = BasicPipe(*PIPE)._replace(clip=None)
    for name, found in ((None, "'clip': it is missing"), ("detailer_pipe", "'detailer_pipe': its clip is missing")):
        if text and text.strip():
            with pytest.raises(InputError, match=f"{found} \\(None\\), but there is per-segment text"):
                recipe_of(DOOR, pipe, name, GIVEN | {"wildcard": text})
        else:
            assert recipe_of(DOOR, pipe, name, GIVEN | {"wildcard": text}).settings.text == text


@pytest.mark.parametrize("missing", ["refiner_model", "refiner_positive", "refiner_negative"])
def test_refiner_of_a_detailer_pipe(missing: str) -> None:
    whole = DetailerPipe(*DetailerPipe._fields)  # type: ignore[arg-type]
    refiner = refiner_of(whole, 0.3)
    assert refiner is not None
    assert (refiner.model, refiner.positive, refiner.negative, refiner.ratio) == (
        "refiner_model", "refiner_positive", "refiner_negative", 0.3,
    )  # fmt: skip
    assert refiner_of(whole, None) is None
    assert refiner_of(whole._replace(**{missing: None}), 0.3) is None
    assert refiner_of(whole._replace(refiner_clip=None), 0.3) == refiner
