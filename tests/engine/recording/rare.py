"""Runs of what happens seldom: memory that runs out, odd conditionings, words from files, ComfyUI's own detectors."""

from __future__ import annotations

from typing import Any

import torch
from engine.recording import faces, masks, others, segments
from engine.recording.parts import (
    EIGHT,
    LOWER,
    SIZE,
    UPPER,
    WIDE,
    Runs,
    Watching,
    asked,
    control_net,
    lossless,
    node,
    options,
    prompt,
    segs,
    soft,
    textured,
    unet,
)
from engine.tiny_models import mask_of, picture, pipe_with


def out_of_memory(most: int) -> Any:
    """Eight parts on a machine whose memory holds that many crops, with and without prompt, and the batches tried."""

    def fail(_network: Any, given: Any) -> None:
        if len(given[0]) > 2 * most:
            raise torch.OutOfMemoryError("HIP out of memory. Tried to allocate 5 TiB")

    with asked(unet()) as calls:
        handle = unet()[0].model.diffusion_model.register_forward_pre_hook(fail)
        try:
            return masks.detailed(size=WIDE, mask=EIGHT), calls
        finally:
            handle.remove()


class Forgetful:
    """A VAE of another pack, that can't work on a whole crop, or on nothing at all."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def with_control_in_prompt() -> Any:
    import nodes

    hint = picture(*SIZE, 5)
    positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
        unet()[3], unet()[4], control_net(), hint, 0.8, 0.0, 1.0
    )
    return pipe_with(unet(), positive=positive, negative=negative)


def far_areas() -> Any:
    """A prompt for a part of the picture where nothing is detailed, and one whose mask differs by crop."""
    return pipe_with(
        unet(), positive=prompt(1, area=(2, 2, 10, 12), strength=1.0), negative=prompt(2, mask=soft(*SIZE, 30, 30, 60))
    )


WRITTEN = {
    "weights": "{2::red|blue|0::green} hat, {1-2$$ and $$a|b|c}, {-2$$x|y}",
    "nested": "{a {big|small} hat|{wet|dry} {cap|{fez|beret}}}",
    "from files": "__clothes/hats__, {2#__hats__|cap}, {2$$, $$__hats__}, __*ats__, __absent__",
    "with comments": "a hat\n# not this\nin the rain",
    "LoRA by blocks": "a hat <lora:style:1:LBW=1,0,1;A=2>",
}


def seen_by_sam3() -> Any:
    from engine.tiny_detectors import TinyClip, sam3

    boxes, outlines, sam = node(
        "MaskDetailerSAM3Provider", model=sam3(), clip=TinyClip(), text="face, red hat", max_detections=2,
        refine_iterations=1,
    )  # fmt: skip
    image = faces.scene()
    found = segs((20, 18, 42, 40), (80, 50, 106, 78), size=faces.SCENE)
    return [
        node("BboxDetectorSEGS", bbox_detector=boxes, image=image, threshold=0.2, **others.SEEN),
        node("SegmDetectorSEGS", segm_detector=outlines, image=image, threshold=0.2, **others.SEEN),
        node("SAMDetectorCombined", sam_model=sam, segs=found, image=image),
    ]


def on_noise(**widgets: Any) -> Any:
    return masks.detailed(
        textured(128, 144), mask_of(128, 144, (44, 40, 92, 86)), lossless(), crop_factor=2.5, denoise=0.03,
        guide_size=128.0, max_size=256.0, detail_options=options(**widgets),
    )  # fmt: skip


SMALL_PICTURE = (40, 56)

RUNS: Runs = {
    "rare/memory for three crops": lambda: out_of_memory(3),
    "rare/memory for one crop": lambda: out_of_memory(1),
    "bad/memory for none": lambda: out_of_memory(0),
    "rare/a VAE without memory for a whole crop": lambda: segments.detailed(
        pipe=pipe_with(unet(), vae=Forgetful(unet()[2]))
    ),
    "rare/ControlNet in the prompt": lambda: masks.detailed(pipe=with_control_in_prompt()),
    "rare/ControlNet in the prompt and of segments": lambda: segments.detailed(
        segments.controlled(segs(UPPER, LOWER)), pipe=with_control_in_prompt()
    ),
    "rare/areas elsewhere": lambda: masks.detailed(pipe=far_areas()),
    "rare/areas elsewhere, one at a time": lambda: masks.detailed(pipe=far_areas(), crop_batch=1),
    "rare/no denoise in the last cycle": lambda: faces.hooked(
        faces.hook("DenoiseScheduler", schedule_for_cycle="simple", target_denoise=0.0), cycle=2
    ),
    "rare/ControlNet of SEGS without size": lambda: segments.detailed(
        segments.controlled(((0, 0), segs(UPPER)[1]), control_image=picture(*SIZE, 5)), image=picture(*SIZE)
    ),
    "rare/parts of a small picture, mirrored and fixed": lambda: masks.detailed(
        size=SMALL_PICTURE, mask=[(2, 2, 12, 14), (30, 20, 54, 38)],
        detail_options=options(size_mode="fixed_size", width=160, height=64, min_context=30, border="mirror"),
    ),
    "rare/parts of a small picture, fixed": lambda: masks.detailed(
        size=SMALL_PICTURE, mask=[(2, 2, 12, 14), (30, 20, 54, 38)],
        detail_options=options(size_mode="fixed_size", width=160, height=64, never_above_max_size=True),
    ),
    "rare/large ones left out, exact": lambda: segments.detailed(
        segs((0, 0, 70, 70), LOWER), force_inpaint=False, detail_options=options(size_mode="guide_size_exact")
    ),
    "rare/large ones left out, fixed": lambda: segments.detailed(
        segs((0, 0, 70, 70), LOWER), force_inpaint=False,
        detail_options=options(size_mode="fixed_size", width=64, height=64, never_above_max_size=True),
    ),
    "rare/large ones left out, multiple": lambda: segments.detailed(
        segs((0, 0, 70, 70), LOWER), guide_size_for=False, force_inpaint=False,
        detail_options=options(size_mode="short_side", short_side=64, multiple="64", never_above_max_size=True),
    ),
    "rare/hooks that judge, together": lambda: segments.detailed(
        segs(UPPER), "DetailerForEachAutoRetry", max_retries=3,
        detailer_hook=faces.both(segments.Picky(2), faces.variation()),
    ),
    "rare/hooks that override": lambda: faces.found(
        detailer_hook=faces.both(Watching(), faces.largest()), segm_detector_opt=faces.OverridingDetector()
    ),
    **{f"rare/text, {name}": lambda text=text: segments.written(text) for name, text in WRITTEN.items()},
    **{
        f"rare/noise, {name}": lambda given=given: on_noise(**given)
        for name, given in {
            "detail": dict(detail="match"),
            "drift": dict(drift="correct"),
            "colour": dict(colour="covariance"),
        }.items()
    },
    "rare/SAM3": seen_by_sam3,
}  # fmt: skip
