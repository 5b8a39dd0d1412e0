"""Runs of the detailers of SEGS: texts, ControlNets, images of their own, pipes, variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from engine.recording.parts import (
    EIGHT,
    LOWER,
    MIDDLE,
    PLACEHOLDER,
    SIZE,
    UPPER,
    WIDE,
    Edges,
    Picky,
    Ringing,
    Runs,
    asked,
    changed,
    controlled,
    frames,
    lossless,
    node,
    options,
    parts,
    segs,
    unet,
    with_images,
    with_text,
)
from engine.tiny_models import board, picture, pipe_with, strokes
from mask_detailer.nodes import NODE_CLASS_MAPPINGS

THREE = (UPPER, MIDDLE, LOWER)


def detailed(given: Any = None, node_id: str = "DetailerForEachDebugPipe", pipe: Any = None, **changes: Any) -> Any:
    """A detailer of SEGS on a smooth picture, unless told otherwise; the one that shows most."""
    given = segs(*THREE, labels="CBA") if given is None else given
    inputs = {"image": picture(*given[0]), "segs": given}
    pipe = pipe or unet()
    inputs |= {"basic_pipe": pipe} if node_id.endswith("Pipe") or node_id == "SEGSDetailer" else parts(pipe)
    return node(node_id, **(inputs | changes))


def apart(given: Any = None, **changes: Any) -> Any:
    """SEGSDetailer, and what SEGSPaste makes of it."""
    image = changes.get("image", picture(*SIZE))
    made, hints = detailed(given, "SEGSDetailer", **changes)
    return made, hints, node("SEGSPaste", image=image, segs=made, feather=3)


def watched(given: Any = None, **changes: Any) -> Any:
    pipe = changes.pop("pipe", None) or unet()
    with asked(pipe) as calls:
        return detailed(given, pipe=pipe, **changes), calls


def written(text: str, labels: str = "CBA", **changes: Any) -> Any:
    """With text for the segments."""
    return detailed(segs(*THREE, labels=labels), pipe=with_text(), wildcard=text, **changes)


NODES: Runs = {
    name: lambda name=name: detailed(node_id=name)
    for name in (
        "DetailerForEach", "DetailerForEachDebug", "DetailerForEachAutoRetry", "DetailerForEachPipe",
        "DetailerForEachDebugPipe", "SEGSDetailer",
    )
}  # fmt: skip

TEXTS = {
    "one": "a red hat",
    "dealt": "[ASC] one [SEP] two [SEP:41] three",
    "descending": "[DSC]one[SEP]two",
    "by size": "[ASC-SIZE] small [SEP] large",
    "by size, descending": "[DSC-SIZE] large [SEP] small",
    "shuffled": "[RND] one [SEP:R] two [SEP] three",
    "labels": "[LAB] [ALL] fine, [A] a face [B] a hand",
    "added": "[CONCAT] a red hat",
    "added to labels": "[CONCAT][LAB] [A] a face",
    "skipped": "[ASC] one [SEP] [SKIP] [SEP] three",
    "stopped": "[ASC] one [SEP] [STOP] [SEP] three",
    "choices": "a {red|blue|green} hat, {2$$, $$old|torn|wet}",
    "lists": "a __hats__ on a __hats__",
    "LoRA": "a hat <lora:style:0.8>",
    "LoRAs apart": "[ASC] hat <lora:style:0.7:0.3> [SEP] cap <lora:other:-0.5><lora:absent> [SEP] none",
    "broken in two": "a hat BREAK a cap <lora:style>",
}

TEXT: Runs = {
    **{name: lambda text=text: written(text) for name, text in TEXTS.items()},
    "LoRAs, one at a time": lambda: written(TEXTS["LoRAs apart"], crop_batch=1),
    "dealt, whole crops, noise mask off": lambda: written(TEXTS["dealt"], noise_mask=False),
    "dealt with a refiner": lambda: written(
        TEXTS["dealt"], refiner_basic_pipe_opt=unet(5), refiner_ratio=0.5, steps=4, sampler_name="euler_ancestral"
    ),
    "by FaceDetailer's sister without pipe": lambda: written(TEXTS["LoRA"], node_id="DetailerForEach"),
}

CONTROL: Runs = {
    "the crop itself": lambda: detailed(controlled(segs(*THREE))),
    "a picture": lambda: detailed(controlled(segs(*THREE), control_image=picture(*SIZE, 5))),
    "a picture of another size": lambda: detailed(controlled(segs(*THREE), control_image=picture(50, 70, 5))),
    "a preprocessor": lambda: detailed(controlled(segs(*THREE), segs_preprocessor=Edges())),
    "percents": lambda: detailed(
        controlled(segs(*THREE), control_image=picture(*SIZE, 5), start_percent=0.3, end_percent=0.8), steps=4
    ),
    "two": lambda: detailed(
        controlled(controlled(segs(*THREE), control_image=picture(*SIZE, 5)), strength=0.4, segs_preprocessor=Edges())
    ),
    "on one segment alone": lambda: detailed(
        (SIZE, [*segs(UPPER)[1], *controlled(segs(LOWER), control_image=picture(*SIZE, 5))[1]])
    ),
    "older node": lambda: detailed(
        node(
            "ImpactControlNetApplySEGS", segs=segs(*THREE), control_image=picture(*SIZE, 5), strength=1.0,
            control_net=controlled(segs(UPPER))[1][0].control_net_wrapper.control_net,
        )[0]
    ),
    "mirrored, one at a time": lambda: detailed(
        controlled(segs((0, 0, 16, 16), LOWER), control_image=picture(*SIZE, 5)), crop_batch=1,
        detail_options=options(min_context=14, border="mirror"),
    ),
    "placeholder": lambda: detailed(controlled(segs(*THREE)), pipe=pipe_with(unet(), negative=PLACEHOLDER)),
    "apart": lambda: apart(controlled(segs(*THREE), control_image=picture(*SIZE, 5))),
    "inpaint model": lambda: detailed(controlled(segs(*THREE)), pipe=unet(0, 9), inpaint_model=True),
}  # fmt: skip


def hard(scale: float) -> Any:
    """SEGS with black and white images of another size than their crops."""
    return with_images(segs(*THREE), board(*SIZE, 4), scale)


def clips() -> Any:
    """A segment with three frames of image and mask."""
    (header, (seg,)), images = segs(UPPER), frames(3)
    x1, y1, x2, y2 = seg.crop_region
    masks = np.stack([seg.cropped_mask, np.zeros_like(seg.cropped_mask), seg.cropped_mask])
    return header, [seg._replace(cropped_image=images[:, y1:y2, x1:x2].numpy(), cropped_mask=masks)]


APART: Runs = {
    "plain": lambda: apart(),
    "three variants": lambda: apart(batch_size=3),
    "three variants, one at a time": lambda: apart(batch_size=3, crop_batch=1),
    "overlapping": lambda: apart(segs((20, 20, 36, 36), (40, 20, 56, 36)), batch_size=2, crop_batch=3),
    "images of their own": lambda: apart(with_images(segs(*THREE), picture(*SIZE, 3))),
    "images of their own as torch": lambda: apart(
        (SIZE, [seg._replace(cropped_image=torch.from_numpy(seg.cropped_image)) for seg in hard(1.0)[1]])
    ),
    "smaller images of their own": lambda: apart(hard(0.6)),
    "larger images of their own": lambda: apart(hard(1.7), pipe=lossless(), denoise=0.02, guide_size=40.0),
    "images of their own, mirrored": lambda: apart(
        with_images(segs((0, 0, 20, 20), LOWER), board(*SIZE)), detail_options=options(min_context=20, border="mirror")
    ),
    "clips": lambda: apart(clips()),
    "clips pasted into frames": lambda: node("SEGSPaste", image=frames(3), segs=clips(), feather=5),
    "SEGS of another size": lambda: apart(segs((8, 8, 16, 16), size=(48, 56))),
    "refiner": lambda: apart(refiner_basic_pipe_opt=unet(5), refiner_ratio=0.5, steps=4, cycle=2),
    "without noise mask": lambda: apart(noise_mask=False),
    "Differential Diffusion": lambda: apart(noise_mask_feather=5),
    "placeholder": lambda: apart(pipe=pipe_with(unet(), negative=PLACEHOLDER)),
    "inpaint model": lambda: apart(pipe=unet(0, 9), inpaint_model=True),
    "too large": lambda: apart(segs((0, 0, 70, 70), LOWER), force_inpaint=False),
    "nothing": lambda: apart((SIZE, [])),
    "all options": lambda: apart(
        detail_options=options(
            colour="covariance", fill="blurred", size_mode="fixed_size", width=96, height=64, min_context=12,
            border="mirror", drift="correct", detail="match", retries=1,
        )
    ),
    "denoise by size": lambda: apart(
        segs((8, 8, 40, 40), (80, 60, 92, 72)),
        detail_options=options(denoise_by_size="less_for_larger", full_denoise_up_to=16),
    ),
    "half pasted": lambda: node("SEGSPaste", image=picture(*SIZE), segs=hard(1.7), feather=6, alpha=100),
    "pasted from a picture": lambda: node(
        "SEGSPaste", image=picture(*SIZE), segs=segs(*THREE), feather=6, ref_image_opt=board(60, 70)
    ),
}  # fmt: skip


def as_other_packs_call_it(**more: Any) -> Any:
    """Detailer (SEGS)'s static method, whose names differ from its widgets'."""
    arguments = dict(
        guide_size=64.0, guide_size_for_bbox=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
        scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True,
    )  # fmt: skip
    call = NODE_CLASS_MAPPINGS["DetailerForEach"].do_detail
    return call(image=picture(*SIZE), segs=segs(*THREE, labels="CBA"), **(parts(with_text()) | arguments | more))


REST: Runs = {
    "do_detail": lambda: as_other_packs_call_it(),
    "do_detail, refiner and text": lambda: as_other_packs_call_it(
        wildcard_opt="[ASC] one [SEP] two", steps=4, refiner_ratio=0.5, noise_mask_feather=3, cycle=2,
        **{f"refiner_{name}": part for name, part in parts(unet(5)).items() if name != "vae"},
    ),
    "eight": lambda: watched(segs(*EIGHT, size=WIDE)),
    "eight, three at a time": lambda: watched(segs(*EIGHT, size=WIDE), crop_batch=3),
    "eight, one at a time": lambda: watched(segs(*EIGHT, size=WIDE), crop_batch=1),
    "pictures": lambda: watched(segs(*THREE), image=frames(3)),
    "alpha": lambda: detailed(image=torch.cat([picture(*SIZE), picture(*SIZE, 3)[..., :1]], dim=-1)),
    "too large ones left out": lambda: detailed(segs((0, 0, 70, 70), LOWER), force_inpaint=False),
    "none": lambda: detailed((SIZE, [])),
    "of no picture": lambda: detailed(((0, 0), []), image=picture(*SIZE)),
    "of another size": lambda: detailed(segs((8, 8, 16, 16), (30, 20, 44, 40), size=(48, 56)), image=picture(*SIZE)),
    "without mask": lambda: detailed(changed(segs(*THREE), cropped_mask=np.zeros((4, 4), np.float32))),
    "masks as torch": lambda: detailed(
        (SIZE, [seg._replace(cropped_mask=torch.from_numpy(seg.cropped_mask)[None]) for seg in segs(*THREE)[1]])
    ),
    "clips": lambda: detailed(clips()),
    "refiner": lambda: watched(refiner_basic_pipe_opt=unet(5), refiner_ratio=0.25, steps=4),
    "refiner, all steps": lambda: watched(refiner_basic_pipe_opt=unet(5), refiner_ratio=1.0, steps=3, cycle=2),
    "tiles": lambda: detailed(tiled_encode=True, tiled_decode=True),
    "tiles, inpaint model": lambda: detailed(pipe=unet(0, 9), inpaint_model=True, tiled_encode=True, tiled_decode=True),
    "tiles of large crops": lambda: detailed(
        segs((16, 16, 80, 72)), tiled_encode=True, tiled_decode=True, guide_size=384.0, max_size=576.0, steps=1
    ),
    "three attempts": lambda: detailed(
        node_id="DetailerForEachAutoRetry", detailer_hook=Picky(3), max_retries=4, given=segs(UPPER, LOWER)
    ),
    "far beyond 0..1": lambda: detailed(detailer_hook=Ringing()),
    "black and white": lambda: detailed(segs((10, 20, 90, 70)), image=strokes(*SIZE), feather=8),
    "black and white, lossless": lambda: detailed(
        image=board(*SIZE, 2), pipe=lossless(), denoise=0.02, guide_size=40.0
    ),
    "all options": lambda: detailed(
        detail_options=options(
            colour="mean_and_spread", blend="multiband", blend_width=10, paste_grow=-2, ramp="linear", fill="neutral",
            size_mode="short_side", short_side=72, min_context=10, border="mirror", drift="correct", detail="match",
            tiling="always",
        ),
        crop_batch=1,
    ),
    "planned": lambda: node(
        "MaskDetailerPlan", image=frames(2), segs=segs(*THREE, labels="CBA"), basic_pipe=with_text(), crop_batch=2,
        wildcard="[ASC] one [SEP:5] [SKIP] [SEP] three",
    )["result"],
}  # fmt: skip

RUNS: Runs = {
    f"{group}/{name}": run
    for group, runs in (
        ("node", NODES), ("text", TEXT), ("control", CONTROL), ("apart", APART), ("segs", REST),
    )
    for name, run in runs.items()
}  # fmt: skip
