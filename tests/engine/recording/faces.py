"""Runs of the FaceDetailers and of every kind of hook."""

from __future__ import annotations

import math
from typing import Any

import torch
from engine.recording.parts import (
    LOWER,
    SIZE,
    UPPER,
    Runs,
    Sized,
    Skipping,
    Watching,
    node,
    options,
    parts,
    prompt,
    segs,
    unet,
    with_text,
)
from engine.tiny_models import board, mask_of, picture
from support.detectors import BoxDetector, Disc, FloodSam, OutlineDetector, OverridingDetector, SamModel, drawn

SCENE = (96, 128)
DISCS = [Disc(30, 28, 11, "red"), Disc(92, 64, 14, "blue"), Disc(60, 80, 8, "green", 0.7)]


def scene(shift: int = 0) -> torch.Tensor:
    return drawn(*SCENE, [disc._replace(x=disc.x + shift) for disc in DISCS])[0]


def found(pipe: Any = None, **changes: Any) -> Any:
    """FaceDetailer on three coloured discs."""
    made = node("FaceDetailer", **(parts(pipe or unet()) | dict(image=scene(), bbox_detector=BoxDetector()) | changes))
    return made[:4], made[5]


def found_by_pipe(refiner: Any = None, hook: Any = None, text: str = "", **changes: Any) -> Any:
    """The same by the node that takes a pipe."""
    own = parts(with_text() if text else unet()) | dict(
        bbox_detector=BoxDetector(), wildcard=text, segm_detector_opt=OutlineDetector(), detailer_hook=hook
    )
    if refiner is None:
        (pipe,) = node("ToDetailerPipe", **own)
    else:
        (pipe,) = node(
            "ToDetailerPipeSDXL",
            **own,
            **{f"refiner_{key}": part for key, part in parts(refiner).items() if key != "vae"},
        )
    made = node("FaceDetailerPipe", image=scene(), detailer_pipe=pipe, **changes)
    return made[:4], made[5]


FACES: Runs = {
    "rectangles": lambda: found(),
    "outlines": lambda: found(segm_detector_opt=OutlineDetector()),
    "outlines instead": lambda: found(segm_detector_opt=OverridingDetector()),
    "SAM": lambda: found(sam_model_opt=SamModel(FloodSam())),
    **{
        f"SAM, {hint}": lambda hint=hint: found(
            sam_model_opt=SamModel(FloodSam()), sam_detection_hint=hint, sam_mask_hint_use_negative="Outter",
            sam_dilation=3, sam_bbox_expansion=4, steps=1,
        )
        for hint in ("rect-4", "diamond-4", "mask-area", "mask-points", "none")
    },
    "grown": lambda: found(bbox_dilation=8, bbox_crop_factor=3.0),
    "sure ones": lambda: found(bbox_threshold=0.8),
    "pictures": lambda: found(image=torch.cat([scene(), scene(9)]), crop_batch=3),
    "nothing": lambda: found(image=torch.zeros(1, *SCENE, 3)),
    "black and white beside": lambda: found(
        image=torch.where(scene().amax(-1, keepdim=True) > 0.05, scene(), board(*SCENE)), bbox_dilation=6
    ),
    "text": lambda: found(with_text(), wildcard="[LAB] [red] a red ball [blue] a blue one"),
    "all options": lambda: found(
        detail_options=options(
            colour="covariance", blend="gradient", paste_grow=2, fill="diffused", size_mode="pixel_budget",
            megapixels=0.05, min_context=12, border="mirror", denoise_by_size="less_for_larger", full_denoise_up_to=16,
        ),
        noise_mask_feather=4,
    ),
    "inpaint model, tiles": lambda: found(unet(0, 9), inpaint_model=True, tiled_encode=True, tiled_decode=True),
    "pipe": lambda: found_by_pipe(),
    "pipe with refiner": lambda: found_by_pipe(unet(5), refiner_ratio=0.5, steps=4, cycle=2),
    "pipe with text": lambda: found_by_pipe(text="a {red|blue} ball", sampler_name="dpmpp_2m_sde"),
    "pipe with hook": lambda: found_by_pipe(hook=largest(), crop_batch=1),
}  # fmt: skip


# --- hooks --------------------------------------------------------------------------------------------------------


def hook(node_id: str, **widgets: Any) -> Any:
    return node(f"{node_id}DetailerHookProvider", **widgets)[0]


def both(first: Any, second: Any) -> Any:
    return node("DetailerHookCombine", hook1=first, hook2=second)[0]


def largest() -> Any:
    return hook("SEGSOrderedFilter", target="area(=w*h)", order=True, take_start=0, take_count=1)


def schedule() -> Any:
    return hook("DenoiseScheduler", schedule_for_cycle="simple", target_denoise=0.2)


def injecting(start: str = "from_start") -> Any:
    return hook("NoiseInjection", schedule_for_cycle=start, source="CPU", seed=3, start_strength=0.8, end_strength=0.2)


def variation(strength: float = 0.3) -> Any:
    return hook("VariationNoise", seed=9, strength=strength)


def unsampler(normalize: str = "disable", start: str = "from_start") -> Any:
    return hook(
        "Unsampler", model=unet()[0], steps=5, start_end_at_step=3, end_end_at_step=4, cfg=1.0, sampler_name="euler",
        scheduler="normal", normalize=normalize, positive=prompt(1), negative=prompt(2), schedule_for_cycle=start,
    )  # fmt: skip


def hooked(given: Any, **changes: Any) -> Any:
    widgets = dict(image=picture(*SIZE), mask=mask_of(*SIZE, UPPER, LOWER), basic_pipe=unet(), detailer_hook=given)
    return node("MaskDetailerPipe", **(widgets | changes))


def watching(**changes: Any) -> Any:
    """A run, and what its hook saw."""
    given = Watching()
    return hooked(given, **changes), given.saw


def found_watching() -> Any:
    given = Watching()
    return found(detailer_hook=given), given.saw


def face_model(roll: float) -> Any:
    from engine.tiny_detectors import face_model

    return face_model(roll)


def upright(degrees: float, **widgets: Any) -> Any:
    return node(
        "MaskDetailerUprightFaceHook", face_detection_model=face_model(math.radians(degrees)), min_angle=10.0, **widgets
    )[0]


HOOKS: Runs = {
    "watching": lambda: watching(cycle=2),
    "watching, refiner": lambda: watching(steps=4, refiner_ratio=0.5, refiner_basic_pipe_opt=unet(5)),
    "watching, Differential Diffusion, mirrored": lambda: watching(
        noise_mask_feather=4, detail_options=options(min_context=40, border="mirror", fill="blurred")
    ),
    "watching faces": found_watching,
    "another size": lambda: hooked(Sized()),
    "nothing sampled": lambda: hooked(Skipping()),
    "denoise schedule": lambda: hooked(schedule(), cycle=3),
    "noise injected": lambda: hooked(injecting(), cycle=2),
    "noise injected later": lambda: hooked(injecting("skip_start"), cycle=3),
    "variation": lambda: hooked(variation()),
    "variation alone": lambda: hooked(variation(1.0), cycle=2),
    "unsampler": lambda: hooked(unsampler()),
    "unsampler, normalized": lambda: hooked(unsampler("enable", "skip_start"), cycle=2),
    "preview": lambda: hooked(hook("Preview", quality=95, unique_id="1")),
    "schedule and noise": lambda: hooked(both(schedule(), injecting()), cycle=3),
    "noise, variation, schedule": lambda: hooked(both(both(injecting(), variation()), schedule()), cycle=2),
    "unsampler and watching": lambda: hooked(both(unsampler(), Watching()), cycle=2, crop_batch=3),
    "variation, inpaint model": lambda: hooked(variation(), basic_pipe=unet(0, 9), inpaint_model=True),
    "variation with a refiner": lambda: hooked(
        variation(), steps=4, refiner_ratio=0.5, refiner_basic_pipe_opt=unet(5), sampler_name="euler_ancestral"
    ),
    "the largest": lambda: found(detailer_hook=largest()),
    "of a range": lambda: found(
        detailer_hook=hook("SEGSRangeFilter", target="area(=w*h)", mode=False, min_value=1500, max_value=3000)
    ),
    "of a label": lambda: found(
        detailer_hook=hook("SEGSLabelFilter", preset="all", labels="red, green", segs=segs(UPPER))
    ),
    "filters together": lambda: found(
        detailer_hook=both(hook("SEGSLabelFilter", preset="all", labels="red,blue"), largest())
    ),
    "upright": lambda: hooked(upright(30.0), mask=mask_of(*SIZE, (20, 10, 80, 80))),
    "upright, soft mask": lambda: hooked(
        upright(-25.0), mask=mask_of(*SIZE, (20, 10, 80, 80)), noise_mask_feather=6, crop_factor=1.4
    ),
    "upright enough": lambda: hooked(upright(4.0), mask=mask_of(*SIZE, (20, 10, 80, 80))),
    "upright and varied": lambda: hooked(both(upright(40.0), variation()), mask=mask_of(*SIZE, (20, 10, 80, 80))),
}

RUNS: Runs = {
    f"{group}/{name}": run for group, runs in (("face", FACES), ("hook", HOOKS)) for name, run in runs.items()
}
