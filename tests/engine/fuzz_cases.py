"""What a fuzzed run of a detailer is: all of it drawn from one seed, so that any run can be had again."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG, SEGS, mask_to_segs
from support.detectors import FoundSEG

SEGS_NODES = (
    "DetailerForEach", "DetailerForEachDebug", "DetailerForEachAutoRetry", "DetailerForEachPipe",
    "DetailerForEachDebugPipe", "SEGSDetailer",
)  # fmt: skip
FACE_NODES = ("FaceDetailer", "FaceDetailerPipe")
NODES = ("MaskDetailerPipe", *SEGS_NODES, *FACE_NODES)
VARIANTS = ("MaskDetailerPipe", "SEGSDetailer")  # these make several pictures of one
WITH_REFINER = ("MaskDetailerPipe", "DetailerForEachPipe", "DetailerForEachDebugPipe", "SEGSDetailer")

QUICK_SAMPLERS = ("euler", "ddim", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde", "lcm", "uni_pc")
QUICK_SCHEDULERS = ("normal", "karras", "simple", "sgm_uniform")
TEXTS = (
    "a face", "[ASC] one [SEP] two", "[DSC] {a|b} [SEP] [SKIP]", "[LAB] [A] red [ALL] blue", "[RND] x [SEP] y",
    "[CONCAT] more", "[ASC-SIZE] s [SEP] [STOP]", "(a:1.2), BREAK",
)  # fmt: skip
HOOKS = ("recorder", "noise", "variation", "denoise", "unsampler", "combined", "largest", "labels")
MOST_PIXELS_OF_A_REAL_MODEL = 160 * 160


@dataclass(frozen=True)
class Drawn:
    """One run.

    Attributes:
        seed: from which it was drawn; ``FUZZ_SEED=<seed>`` repeats it.
        node: the detailer.
        image: ``[B,H,W,3 or 4]`` of any float type.
        mask: ``[M,h,w]``, for the node that takes one.
        segs: for those that take them, or what their detector finds.
        reach: ``[1 or B,H,W]``, where the picture may change.
        widgets: by name.
        options: of Detailer Options; None where it is not connected.
        model: ``cheap``, ``unet``, ``flow`` or ``clip`` (latents with a time axis).
        hook: one of ``HOOKS``; or None.
        refiner: whether a second pipe is connected.
        again: run it twice: the same comes out.
        half: with ComfyUI's ``--fp16-intermediates``.
        apart: run it with its crops one by one too: nearly the same comes out.
    """

    seed: str
    node: str
    image: torch.Tensor
    mask: torch.Tensor | None
    segs: SEGS | None
    reach: torch.Tensor
    widgets: dict[str, Any]
    options: dict[str, Any] | None
    model: str
    hook: str | None
    refiner: bool
    again: bool
    apart: bool
    half: bool
    notes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = "none" if self.mask is None else list(self.mask.shape)
        segs = "none" if self.segs is None else f"{len(self.segs[1])} for {self.segs[0]}"
        return (
            f"FUZZ_SEED={self.seed}: {self.node}, {self.model} model, image {list(self.image.shape)} "
            f"{self.image.dtype}, mask {given}, segs {segs}, hook {self.hook}, refiner {self.refiner}, "
            f"half {self.half}, {self.notes}, "
            f"widgets {self.widgets}, options {self.options}"
        )


def draw(seed: str) -> Drawn:
    """The run of that seed."""
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(rng.getrandbits(63))
    node = rng.choice(NODES)
    height, width = _size(rng)
    is_large = height * width > MOST_PIXELS_OF_A_REAL_MODEL
    frames = 1 if is_large or rng.random() < 0.75 else rng.randint(2, 3)
    if node == "SEGSDetailer":
        frames = 1
    image = _picture(rng, generator, frames, height, width)
    kinds = ["cheap"] if is_large else ["cheap"] * 16 + ["unet", "flow", "clip"]
    options = drawn_options(rng, is_large) if rng.random() < 0.6 else None
    widgets = _widgets(rng, node)
    grow = max((options or {}).get("paste_grow", 0), 0)
    spread = grow + widgets["feather"]
    mask, segs, notes = None, None, {}
    if node == "MaskDetailerPipe":
        count = frames if frames > 1 and rng.random() < 0.5 else rng.choice([1, 1, 1, 2]) if frames == 1 else 1
        mask, notes["masks"] = _masks(rng, generator, count, height, width)
        reach = _reach_of_masks(mask, (height, width), widgets, spread)
        mask = mask.to(rng.choice([torch.float32, torch.float32, torch.float16, torch.bfloat16]))
    else:
        segs, notes["segs"] = _segs(rng, generator, height, width)
        reach = reach_of_segs(segs, (height, width), spread)
        if node in FACE_NODES and rng.random() < 0.3:
            segs, notes["detector"] = None, "colours"
    model = rng.choice(kinds)
    if model == "flow":
        widgets["wildcard"] = ""  # the small CLIP pools another width than this model takes
    return Drawn(
        seed=seed, node=node, image=image, mask=mask, segs=segs, reach=reach, widgets=widgets, options=options,
        model=model, hook=rng.choice(HOOKS) if rng.random() < 0.25 else None,
        refiner=node in (*WITH_REFINER, "FaceDetailerPipe") and rng.random() < 0.25,
        again=not is_large and rng.random() < 0.1, apart=not is_large and rng.random() < 0.2,
        half=rng.random() < 0.1, notes=notes,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ pictures and masks


def _size(rng: random.Random) -> tuple[int, int]:
    """Sides in pixels: small ones mostly, some of up to 3,000."""

    def up_to(most: float, least: float = 8) -> int:
        return round(math.exp(rng.uniform(math.log(least), math.log(most))))

    kind = rng.random()
    if kind < 0.9:
        return up_to(160), up_to(160)
    if kind < 0.97:
        return up_to(600, 100), up_to(600, 100)
    long, short = up_to(3000, 600), up_to(3000 if rng.random() < 0.15 else 400)
    return (long, short) if rng.random() < 0.5 else (short, long)


def _picture(
    rng: random.Random, generator: torch.Generator, frames: int, height: int, width: int
) -> torch.Tensor:  # fmt: skip
    channels = 4 if rng.random() < 0.15 else 3
    kind = rng.random()
    if kind < 0.05:
        made = torch.full((frames, height, width, channels), rng.choice([0.0, 1.0, 0.5]))
    elif kind < 0.3:
        made = torch.rand(frames, height, width, channels, generator=generator)
    else:
        rough = torch.rand(frames, channels, rng.randint(2, 7), rng.randint(2, 7), generator=generator)
        made = torch.nn.functional.interpolate(rough, (height, width), mode="bilinear").movedim(1, -1).contiguous()
    return made.to(rng.choice([torch.float32] * 6 + [torch.float16, torch.bfloat16]))


MASKS = ("nothing", "all", "pixel", "boxes", "border", "soft", "speckled", "thin", "ring", "almost nothing")


def one_mask(rng: random.Random, generator: torch.Generator, kind: str, height: int, width: int) -> torch.Tensor:
    """A mask ``[H,W]`` of a kind of ``MASKS``."""
    mask = torch.zeros(height, width)

    def box(least: int = 1) -> tuple[slice, slice]:
        h, w = (max(least, int(side * rng.uniform(0.02, 0.6))) for side in (height, width))
        y, x = rng.randint(0, max(height - h, 0)), rng.randint(0, max(width - w, 0))
        return slice(y, y + h), slice(x, x + w)

    if kind == "all":
        mask += 1
    elif kind == "pixel":
        mask[rng.randrange(height), rng.randrange(width)] = 1
    elif kind in ("boxes", "speckled"):
        for _ in range(rng.randint(1, 5)):
            mask[box()] = rng.choice([1.0, 1.0, rng.random()])
        if kind == "speckled":
            mask *= torch.rand(height, width, generator=generator) > 0.3
    elif kind == "border":
        rows, columns = box(2)
        deep = max(min(height, width) // 4, 2)
        for cut in rng.sample(
            [(slice(0, deep), columns), (slice(height - deep, None), columns), (rows, slice(0, deep)),
             (rows, slice(width - deep, None))], rng.randint(1, 3),
        ):  # fmt: skip
            mask[cut] = 1
    elif kind == "soft":
        mask[box(4)] = 1
        side = 2 * rng.randint(1, 10) + 1
        mask = torch.from_numpy(cv2.GaussianBlur(mask.numpy(), (side, side), 0))
    elif kind == "thin":
        mask[box()[0], :] = 1
        mask[:, rng.randrange(width)] = rng.choice([0.0, 1.0])
    elif kind == "ring":
        rows, columns = box(5)
        mask[rows, columns] = 1
        mask[rows.start + 1 : rows.stop - 1, columns.start + 1 : columns.stop - 1] = 0
    elif kind == "almost nothing":
        mask[box(3)] = rng.choice([1e-6, 1e-3, 0.004])
    return mask


def _masks(
    rng: random.Random, generator: torch.Generator, count: int, height: int, width: int
) -> tuple[torch.Tensor, list[str]]:  # fmt: skip
    if rng.random() < 0.1:  # of another size than the picture
        height, width = max(int(height * rng.uniform(0.3, 2.5)), 1), max(int(width * rng.uniform(0.3, 2.5)), 1)
    kinds = [rng.choice(MASKS) for _ in range(count)]
    return torch.stack([one_mask(rng, generator, kind, height, width) for kind in kinds]), kinds


# ------------------------------------------------------------------------------------------------ segments


def _segs(rng: random.Random, generator: torch.Generator, height: int, width: int) -> tuple[SEGS, Any]:
    """Segments of masks, as this pack or another makes them; now and then for a picture of another size."""
    size, notes = (height, width), []
    if rng.random() < 0.1:
        size = (max(int(height * rng.uniform(0.4, 2.5)), 8), max(int(width * rng.uniform(0.4, 2.5)), 8))
        notes.append("of another picture")
    kind = rng.choice(MASKS)
    notes.append(kind)
    mask = one_mask(rng, generator, kind, *size)[None]
    _, found = mask_to_segs(
        mask, rng.random() < 0.1, rng.choice([1.0, 1.5, 3.0]), rng.random() < 0.2, rng.choice([1, 2, 10]),
        is_contour=rng.random() < 0.5,
    )  # fmt: skip
    segs: list[Any] = found[: rng.choice([1, 4, 8])]
    if rng.random() < 0.15:
        segs = [_foreign(seg) for seg in segs]
        notes.append("of another pack")
    if rng.random() < 0.15:
        segs = [_with_image(seg, generator, rng.random() < 0.5) for seg in segs]
        notes.append("with images")
    return (size, segs), notes


def _foreign(seg: SEG) -> Any:
    """The same as other packs make it: torch masks with an axis more, boxes of floats."""
    return FoundSEG(
        seg.cropped_image, torch.as_tensor(np.asarray(seg.cropped_mask))[None], np.array([0.5]),
        [int(side) for side in seg.crop_region], np.asarray(seg.bbox, np.float32), "b", None,
    )  # fmt: skip


def _with_image(seg: Any, generator: torch.Generator, as_array: bool) -> Any:
    x1, y1, x2, y2 = seg.crop_region
    image = torch.rand(1, y2 - y1, x2 - x1, 3, generator=generator)
    return seg._replace(cropped_image=image.numpy() if as_array else image)


# ------------------------------------------------------------------------------------------------ where it may change


def grown(mask: Any, pixels: int) -> torch.Tensor:
    """Where a square of that reach around what is above 0 comes to, as booleans ``[B,H,W]``."""
    side = 2 * pixels + 1
    masks = [(np.asarray(one) > 0).astype(np.uint8) for one in mask]
    return torch.from_numpy(np.stack([cv2.dilate(one, np.ones((side, side), np.uint8)) for one in masks])) > 0


def _reach_of_masks(
    mask: torch.Tensor, size: tuple[int, int], widgets: dict[str, Any], spread: int
) -> torch.Tensor:  # fmt: skip
    """Parts with all holes filled, or the boxes around them, grown."""
    made = []
    for one in mask.numpy():
        marked = _solid((one > 0).astype(np.uint8), boxes=widgets.get("bbox_fill", False))
        more = 0
        if marked.shape != size:
            more = math.ceil(max(new / old for new, old in zip(size, marked.shape, strict=True))) + 1
            marked = cv2.resize(marked, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
            marked = cv2.dilate(marked, np.ones((2 * more + 1, 2 * more + 1), np.uint8))
            for axis in (0, 1):  # shrunk so far that a nearest pixel may pass it by
                if size[axis] < one.shape[axis]:
                    marked = _everywhere(one, size)
            marked = _solid(marked, boxes=widgets.get("bbox_fill", False))
        made.append(marked)
    return grown(np.stack(made), spread)


def _everywhere(mask: np.ndarray[Any, Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The box around all that is marked, moved to that size."""
    made = np.zeros(size, np.uint8)
    rows, columns = np.nonzero(mask)
    if len(rows):
        down, across = size[0] / mask.shape[0], size[1] / mask.shape[1]
        up, left = int(rows.min() * down) - 3 - int(down), int(columns.min() * across) - 3 - int(across)
        bottom, right = math.ceil((rows.max() + 1) * down + down) + 3, math.ceil((columns.max() + 1 + 1) * across) + 3
        made[max(up, 0) : bottom, max(left, 0) : right] = 1
    return made


def _solid(marked: np.ndarray[Any, Any], boxes: bool) -> np.ndarray[Any, Any]:
    """The same without holes; or the box around each part, and around what it has within."""
    parts, _ = cv2.findContours(marked, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    made = marked.copy()
    cv2.drawContours(made, parts, -1, 1, -1)
    for part in parts if boxes else ():
        x, y, w, h = cv2.boundingRect(part)
        made[y : y + h, x : x + w] = 1
    return made


def reach_of_segs(segs: SEGS, size: tuple[int, int], spread: int) -> torch.Tensor:
    """The segments' masks, grown; their boxes, where they were made for another picture."""
    made = np.zeros(size, np.uint8)
    moved = tuple(segs[0]) != size and 0 not in segs[0]
    for seg in segs[1]:
        x1, y1, x2, y2 = (int(side) for side in seg.crop_region)
        whole = np.zeros(segs[0] if moved else size, np.uint8)
        mask = np.asarray(seg.cropped_mask)
        whole[y1:y2, x1:x2] = mask.reshape(-1, *mask.shape[-2:]).max(0) > 0
        made = np.maximum(made, _everywhere(whole, size) if moved else whole)
    return grown(made[None], spread)


# ------------------------------------------------------------------------------------------------ widgets and options


def _widgets(rng: random.Random, node: str) -> dict[str, Any]:
    """Widgets that make a run quick; each node is given those that it has."""
    import comfy.samplers

    scheduler = (
        QUICK_SCHEDULERS if rng.random() < 0.9 else NODE_CLASS_MAPPINGS[node].INPUT_TYPES()["required"]["scheduler"][0]
    )
    sampler = QUICK_SAMPLERS if rng.random() < 0.85 else comfy.samplers.KSampler.SAMPLERS
    drawn = dict(
        guide_size=rng.choice([64.0, 64.0, 96.0, 128.0]), guide_size_for=rng.random() < 0.5,
        max_size=rng.choice([64.0, 128.0, 192.0]), seed=rng.choice([0, rng.getrandbits(32), 2**64 - 1]),
        steps=rng.choice([1, 1, 2]), cfg=rng.choice([1.0, 3.0, 8.0, 0.0]),
        sampler_name=rng.choice(sampler), scheduler=rng.choice(scheduler),
        denoise=rng.choice([0.5, 1.0, 0.3, 0.05, rng.uniform(0.0001, 1)]), feather=rng.choice([0, 1, 5, 5, 20, 100]),
        noise_mask=rng.random() < 0.7, mask_mode=rng.random() < 0.7, force_inpaint=rng.random() < 0.8,
        wildcard=rng.choice(TEXTS) if rng.random() < 0.12 else "", cycle=rng.choice([1, 1, 1, 2, 3]),
        inpaint_model=rng.random() < 0.1, noise_mask_feather=rng.choice([0, 0, 4, 20, 100]),
        tiled_encode=rng.random() < 0.05, tiled_decode=rng.random() < 0.05, crop_batch=rng.choice([0, 0, 1, 3]),
        refiner_ratio=rng.choice([0.0, 0.2, 0.5, 1.0]), batch_size=rng.choice([1, 1, 1, 2]),
        crop_factor=rng.choice([1.0, 1.5, 3.0, 10.0]), drop_size=rng.choice([1, 2, 10]),
        bbox_fill=rng.random() < 0.2, contour_fill=rng.random() < 0.5, max_retries=rng.choice([1, 2]),
        bbox_threshold=0.3, bbox_dilation=rng.choice([0, 4]), bbox_crop_factor=rng.choice([1.0, 3.0]),
        sam_detection_hint=rng.choice(["center-1", "none", "mask-area"]), sam_dilation=0, sam_threshold=0.5,
        sam_bbox_expansion=rng.choice([0, 5]), sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
    )  # fmt: skip
    return drawn


def drawn_options(rng: random.Random, is_large: bool) -> dict[str, Any]:
    """Some of Detailer Options' widgets, turned."""
    types = NODE_CLASS_MAPPINGS["MaskDetailerOptions"].INPUT_TYPES()["required"]
    chance = rng.choice([0.1, 0.3, 0.8])
    sizes: dict[str, Any] = dict(
        short_side=rng.choice([64, 96]), megapixels=0.05, width=rng.choice([64, 104, 160]),
        height=rng.choice([64, 104, 160]), min_context=rng.choice([0, 8, 64]), full_denoise_up_to=16,
        blend_width=rng.choice([0, 4, 32, 512]), paste_grow=rng.choice([0, 3, -3, 40, -128]),
        retries=rng.choice([0, 2]), colour_limit=rng.choice([0.0, 0.2, 1.0]),
    )  # fmt: skip
    made: dict[str, Any] = {}
    for name, (kind, facts) in types.items():
        made[name] = facts.get("default", kind[0] if isinstance(kind, list) else None)
        if name in sizes and (name in ("short_side", "megapixels", "width", "height") or rng.random() < chance):
            made[name] = sizes[name]
        elif rng.random() < chance and name not in sizes:
            made[name] = rng.choice(kind) if isinstance(kind, list) else rng.random() < 0.5
    if is_large:  # a large crop would be worked on at its own size, the more of it by a mirrored border
        made["never_above_max_size"] = rng.random() < 0.7
    return made
