"""MaskDetailer (clip) with the video families as ComfyUI has them: a clip is one latent, in spans where it is long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.supported_models
import pytest
import torch
from engine.running import near, unchanged_outside
from engine.test_moving_clips import BOX, SIZE, WIDGETS, detailed
from engine.tiny_models import mask_of, picture, pipe_with
from engine.video_models import CELLS, VIDEO
from mask_detailer.detailer.host.models import is_of_clips


@pytest.mark.parametrize("name", [pytest.param("wan vace", marks=pytest.mark.by_hand), "ltx", "hunyuan"])
def test_a_family_takes_the_clip_as_one_latent_and_in_spans(name: str) -> None:
    along = CELLS.get(name, 4)
    frames = 2 * along  # one short of what the codec wants
    cfg = 1.0 if name == "ltx" else WIDGETS["cfg"]  # on a CPU ComfyUI's attention can't mask a batch of two
    clip, mask = picture(*SIZE, 1).repeat(frames, 1, 1, 1), mask_of(*SIZE, BOX)
    whole = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8)[0]
    assert len(whole) == frames and bool(torch.isfinite(whole).all())
    assert unchanged_outside(whole, clip, near(mask, WIDGETS["feather"]))
    assert float((whole - clip).abs()[:, 25:45, 25:45].mean(dim=(1, 2, 3)).min()) > 1e-3
    one_call = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8, span=2 * along + 1)[0]
    assert torch.equal(one_call, whole)
    parts = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8, span=along + 1, overlap=1)[0]
    assert joined_without_a_step(parts, whole)


OF_STILLS = {
    "Anima", "CosmosT2IPredict2", "HunyuanImage21Refiner", "JoyImage", "Krea2", "QwenImage", "SeedVR2",
}  # fmt: skip


def test_models_of_clips_are_known_by_their_latents() -> None:
    """Those of stills beside them have ComfyUI's latents of clips too; SeedVR2 enlarges, and samples nothing here."""

    def model(config: Any) -> Any:
        known = SimpleNamespace(unet_config=config.unet_config)
        return SimpleNamespace(model=SimpleNamespace(latent_format=config.latent_format(), model_config=known))

    along = [one for one in comfy.supported_models.models if getattr(one.latent_format, "latent_dimensions", 2) == 3]
    found = {one.__name__ for one in comfy.supported_models.models if is_of_clips(model(one))}
    assert {"WAN21_Vace", "LTXV", "HunyuanVideo", "GenmoMochi", "CosmosI2V"} <= found
    assert found <= {one.__name__ for one in along} and {one.__name__ for one in along} - found <= OF_STILLS


def joined_without_a_step(parts: torch.Tensor, whole: torch.Tensor) -> bool:
    steps, usual = (made.diff(dim=0).abs().mean(dim=(1, 2, 3)) for made in (parts, whole))
    print(f"{float((steps - usual).max()) * 255:.3f} of a level more from frame to frame in spans")
    return float((steps - usual).max()) < 1 / 255


def controlled(name: str, clip: torch.Tensor, **changed: Any) -> Any:
    """A family's pipe with what ComfyUI's own node puts into its prompts for a clip."""
    import comfy_extras.nodes_wan as wan

    pipe = VIDEO[name]()
    node, given = {
        "wan vace": (wan.WanVaceToVideo, {"strength": 1.0, "control_video": clip}),
        "wan image to video": (wan.WanImageToVideo, {"start_image": clip[:1]}),
        "wan fun control": (wan.WanFunControlToVideo, {"start_image": clip[:1], "control_video": clip}),
    }[name]
    size = {"width": SIZE[1], "height": SIZE[0], "length": len(clip), "batch_size": 1}
    positive, negative = node.execute(pipe[3], pipe[4], pipe[2], **size, **(given | changed)).result[:2]
    return pipe_with(pipe, positive=positive, negative=negative)


def test_vace_sees_controls_and_references(told: Any) -> None:
    """In one call and in spans, which all have the reference before them; a prompt's other keys for clips are left."""
    clip, mask = picture(*SIZE, 1).repeat(5, 1, 1, 1), mask_of(*SIZE, BOX)
    pipe = controlled("wan vace", clip, reference_image=picture(*SIZE, 5))
    positive = [[embedding, {**options, "keyframe_idxs": torch.zeros(1)}] for embedding, options in pipe[3]]
    quick = {"mask": mask, "denoise": 0.8, "cfg": 1.0, "steps": 1}
    seen = detailed(clip, pipe_with(pipe, positive=positive), **quick)[0]
    assert len(seen) == 5 and bool(torch.isfinite(seen).all())
    assert len([line for line in told.messages if "keyframe_idxs can't be cut" in line]) == 1
    assert float((detailed(clip, VIDEO["wan vace"](), **quick)[0] - seen).abs().max()) > 1e-4
    assert bool(torch.isfinite(detailed(clip, pipe, span=1, overlap=0, **quick)[0]).all())


@pytest.mark.by_hand
@pytest.mark.parametrize("name", ["wan vace", "wan image to video", "wan fun control"])
def test_what_a_family_is_shown_goes_with_the_window_and_its_spans(name: str) -> None:
    clip, mask = picture(*SIZE, 1).repeat(9, 1, 1, 1), mask_of(*SIZE, BOX)
    given: dict[str, Any] = {"reference_image": picture(*SIZE, 5)} if name == "wan vace" else {}
    pipe = controlled(name, clip, **given)
    whole = detailed(clip, pipe, mask=mask, denoise=0.8)[0]
    assert len(whole) == len(clip) and bool(torch.isfinite(whole).all())
    assert unchanged_outside(whole, clip, near(mask, WIDGETS["feather"]))
    others = [VIDEO[name](), controlled(name, clip.flip(2))]
    others += [controlled(name, clip, reference_image=1 - picture(*SIZE, 5))] if given else []
    for other in others:
        assert float((detailed(clip, other, mask=mask, denoise=0.8)[0] - whole).abs().max()) > 1e-4
    parts = detailed(clip, pipe, mask=mask, denoise=0.8, span=5, overlap=1)[0]
    assert joined_without_a_step(parts, whole)
