"""Patched models: crops come out as alone, sampled at once where the patch treats each by itself, else apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.families import FAMILIES
from engine.running import detail
from engine.tiny_models import mask_of, picture

SIZE = (96, 176)
PARTS = ((16, 16, 32, 32), (64, 16, 80, 32), (112, 50, 128, 66))
WIDGETS: dict[str, Any] = dict(steps=4, denoise=0.8, guide_size=32.0)
PIPES = {family.name: family for family in FAMILIES}
CACHE = dict(reuse_threshold=0.2, start_percent=0.15, end_percent=0.95, verbose=False)

# node: its file, its arguments, and whether crops stay in one batch
PATCHES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "RescaleCFG": ("nodes_model_advanced", {"multiplier": 0.7}, True),
    "PatchModelAddDownscale": (
        "nodes_model_downscale",
        dict(
            block_number=3, downscale_factor=2.0, start_percent=0.0, end_percent=0.9, downscale_after_skip=True,
            downscale_method="bicubic", upscale_method="bicubic",
        ),
        True,
    ),
    "SelfAttentionGuidance": ("nodes_sag", dict(scale=0.5, blur_sigma=2.0), True),
    "PerturbedAttentionGuidance": ("nodes_pag", dict(scale=3.0), True),
    "FreeU": ("nodes_freelunch", dict(b1=1.1, b2=1.2, s1=0.9, s2=0.2), True),
    "FreeU_V2": ("nodes_freelunch", dict(b1=1.3, b2=1.4, s1=0.9, s2=0.2), True),
    "EpsilonScaling": ("nodes_eps", dict(scaling_factor=1.05), True),
    "DifferentialDiffusion": ("nodes_differential_diffusion", {}, True),
    "RenormCFG": ("nodes_lumina2", dict(cfg_trunc=100.0, renorm_cfg=1.0), False),
    "TemporalScoreRescaling": ("nodes_eps", dict(tsr_k=0.95, tsr_sigma=1.0), False),
    "Mahiro": ("nodes_mahiro", {}, False),
    "VideoLinearCFGGuidance": ("nodes_video_model", dict(min_cfg=1.0), False),
    "VideoTriangleCFGGuidance": ("nodes_video_model", dict(min_cfg=1.0), False),
    "EasyCacheNode": ("nodes_easycache", CACHE, False),
    "LazyCacheNode": ("nodes_easycache", CACHE, False),
    "APG": ("nodes_apg", dict(eta=1.0, norm_threshold=5.0, momentum=0.5), False),
    "TCFG": ("nodes_tcfg", {}, False),
    "CFGZeroStar": ("nodes_cfg", {}, False),
    "CFGNorm": ("nodes_cfg", dict(strength=1.0), False),
    "FreSca": ("nodes_fresca", dict(scale_low=1.0, scale_high=1.25, freq_cutoff=2), False),
}  # fmt: skip


def patched(model: Any, node: str) -> Any:
    import importlib

    file, arguments, _ = PATCHES[node]
    kind = getattr(importlib.import_module(f"comfy_extras.{file}"), node)
    made = (
        kind.execute(model, **arguments)
        if hasattr(kind, "define_schema")
        else getattr(kind(), kind.FUNCTION)(model, **arguments)
    )
    return getattr(made, "result", made)[0]


UNET_ONLY = {"FreeU", "FreeU_V2", "SelfAttentionGuidance"}
RUNS = [(node, "sd1 eps") for node in PATCHES] + [(node, "flux guided") for node in PATCHES if node not in UNET_ONLY]


@pytest.mark.parametrize(("node", "family"), RUNS)
def test_parts_come_out_as_alone(node: str, family: str, told: pytest.LogCaptureFixture) -> None:
    pipe, widgets = PIPES[family].pipe, dict(PIPES[family].widgets) | WIDGETS
    model = patched(pipe[0], node)
    image, mask = picture(*SIZE), mask_of(*SIZE, *PARTS)
    alone = detail(image, mask, (model, *pipe[1:]), crop_batch=1, **widgets).image
    told.clear()
    together = detail(image, mask, (model, *pipe[1:]), crop_batch=0, **widgets).image
    assert float((together - alone).abs().max()) < 1e-3
    apart = [record for record in told.records if "one at a time" in record.getMessage()]
    batches = PATCHES[node][2]
    assert len(apart) == (0 if batches else 1)
    name = "easycache" if "Cache" in node else node  # ComfyUI's two caches share their functions
    assert batches or f"the patch {name}" in apart[0].getMessage()


def test_a_patch_of_another_pack_that_fails_on_a_batch(told: pytest.LogCaptureFixture) -> None:
    """Hidden where no look at the patcher finds it: in a model that was changed from within."""
    pipe = PIPES["sd1 eps"].pipe
    model = pipe[0].clone()
    real = model.model.apply_model

    def single(x: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        if len(x) > 2:
            raise RuntimeError("this patch takes one picture")
        return real(x, *rest, **named)

    image, mask = picture(*SIZE), mask_of(*SIZE, *PARTS)
    alone = detail(image, mask, pipe, crop_batch=1, **WIDGETS).image
    told.clear()
    model.add_object_patch("apply_model", single)
    together = detail(image, mask, (model, *pipe[1:]), crop_batch=0, **WIDGETS).image
    assert float((together - alone).abs().max()) < 1e-3
    assert "this patch takes one picture): going on one by one" in told.text


def test_an_error_of_every_crop_is_reported_as_it_is() -> None:
    pipe = PIPES["sd1 eps"].pipe
    model = pipe[0].clone()

    def broken(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        raise ZeroDivisionError("broken patch")

    model.set_model_unet_function_wrapper(broken)
    with pytest.raises(ZeroDivisionError, match="broken patch"):
        detail(picture(*SIZE), mask_of(*SIZE, *PARTS), (model, *pipe[1:]), crop_batch=0, **WIDGETS)
