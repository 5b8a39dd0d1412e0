"""Saved prompts through ComfyUI's own executor, with what this pack's nodes were given and made looked at.

A picture that a detailer gives back is as it came, bit for bit, wherever no segment's mask, blurred as far as its
feather says, reaches; it differs where a segment was refined. Nothing writes into what came in, and what goes out is of
the kind that it is declared as, and finite.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from engine.any_node import CHECKS, MASKS_ONE_BY_ONE, MAY_BE_NONE, check, comparable, copied
from engine.executing import Server
from engine.running import near, same
from engine.stand_ins import Prompt, Ready, ready
from mask_detailer.detailer.pipeline import run as pipeline
from mask_detailer.detailer.values import Detailed
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.past.prompts import bring_up_to_date

RUNS, IN_PART, REFUSED, FAILS, EMPTY = "runs", "runs in part", "refused", "fails", "nothing to run"
SENT_ON = {"DETAILER_PIPE", "BASIC_PIPE"}
# a pipe holds what a file left unconnected as None
TAKES_APART = {"FromDetailerPipe", "FromDetailerPipe_v2", "FromDetailerPipeSDXL", "FromBasicPipe", "FromBasicPipe_v2"}
_prompts = itertools.count()


@dataclass
class Seen:
    """What was seen of one run.

    Attributes:
        count: calls of this pack's nodes by type; ``pictures`` detailed, ``frames`` of those that are clips,
            ``segments`` in them, ``refined`` ones.
        wrong: what is not as it should be.
    """

    count: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """How a prompt went.

    Attributes:
        state: one of those above.
        reason: why it did not run.
        made: the prompt as it was run.
        seen: see ``Seen``.
    """

    state: str
    reason: str
    made: Ready
    seen: Seen


def run(saved: Prompt) -> Outcome:
    """Bring a prompt up to date, make it ready, run all of it that ComfyUI accepts, and look."""
    import execution

    bring_up_to_date({"prompt": saved})
    made, seen = ready(saved), Seen()
    number = f"prompt {next(_prompts)}"
    _, error, outputs, found = asyncio.run(execution.validate_prompt(number, made.prompt, None))
    refused = [f"{one['class_type']}: {e['message']}: {e['details']}" for one in found.values() for e in one["errors"]]
    reason = "; ".join(sorted(set(refused))) or (error or {}).get("message", "")
    if not outputs:
        return Outcome(REFUSED if refused else EMPTY, reason, made, seen)
    executor = execution.PromptExecutor(Server(), cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0})
    with watched(seen):
        executor.execute(made.prompt, number, {"extra_pnginfo": {"workflow": {"nodes": []}}}, outputs)
    failed = [data for event, data in executor.status_messages if event == "execution_error"]
    if failed:
        return Outcome(FAILS, f"{failed[0]['node_type']}: {failed[0]['exception_message'].strip()}", made, seen)
    return Outcome(IN_PART if refused else RUNS, reason, made, seen)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Look at each call of a node of this pack that ComfyUI makes, and at each picture that is detailed."""
    nodes = set(NODE_CLASS_MAPPINGS.values())
    before = {node: (vars(node).get("doit"), node.doit) for node in nodes}  # type: ignore[attr-defined]
    detail, depth = pipeline.detail, [0]
    for node, (_, doit) in before.items():
        node.doit = _looked_at(node.ID, doit, seen, depth)  # type: ignore[attr-defined]
    pipeline.detail = functools.partial(_detail_looked_at, detail, seen)  # type: ignore[assignment]
    try:
        yield
    finally:
        pipeline.detail = detail
        for node, (own, _) in before.items():
            if own is None:
                del node.doit  # type: ignore[attr-defined]
            else:
                node.doit = own  # type: ignore[attr-defined]


def _looked_at(node_id: str, doit: Any, seen: Seen, depth: list[int]) -> Any:
    @functools.wraps(doit)
    def called(self: Any, *args: Any, **given: Any) -> Any:
        if depth[0]:  # one node asks another
            return doit(self, *args, **given)
        seen.count[node_id] += 1
        kept = copied(_tensors(given))
        depth[0] += 1
        try:
            made = doit(self, *args, **given)
        finally:
            depth[0] -= 1
        if not same(comparable(_tensors(given)), comparable(kept)):
            seen.wrong.append(f"{node_id} writes into what came in")
        seen.wrong += _misfits(node_id, made, {name for name, value in given.items() if value is None})
        return made

    return called


def _tensors(given: dict[str, Any]) -> dict[str, Any]:
    """Of what came in pictures, masks, latents and SEGS."""
    kinds = torch.Tensor | np.ndarray | dict | tuple | list
    return {name: value for name, value in given.items() if isinstance(value, kinds) and not name.endswith("pipe")}


def _misfits(node_id: str, made: Any, missing: set[str]) -> Iterator[str]:
    """What of a node's outputs is not what they are declared as."""
    result = made.get("result", ()) if isinstance(made, dict) else made
    if not isinstance(result, tuple):
        return
    node = NODE_CLASS_MAPPINGS[node_id]
    kinds = node.RETURN_TYPES  # type: ignore[attr-defined]
    are_lists = getattr(node, "OUTPUT_IS_LIST", (False,) * len(kinds))
    names = getattr(node, "RETURN_NAMES", kinds)
    if len(result) != len(kinds):
        yield from [] if node_id == "ImpactInversedSwitch" else [f"{node_id} gives {len(result)} values"]
        return
    for place, (kind, is_list, name, value) in enumerate(zip(kinds, are_lists, names, result, strict=True)):
        for one in value if is_list and isinstance(value, list) else [value]:
            may_be_none = (node_id, kind) in MAY_BE_NONE or names[place] in missing or node_id in TAKES_APART
            if one is None and may_be_none:
                continue
            yield from _of_kind(f"{node_id}.{name}", kind, (node_id, place) in MASKS_ONE_BY_ONE, one)


def _of_kind(where: str, kind: Any, one_by_one: bool, value: Any) -> Iterator[str]:
    if type(value).__name__ == "ExecutionBlocker" or kind in SENT_ON or kind not in CHECKS:
        return
    try:
        check(kind, value[:, 0] if one_by_one else value)
    except Exception as error:
        yield f"{where} is no {kind}: {type(value).__name__} {getattr(value, 'shape', '')} ({error!r:.80})"
    tensors = value.values() if isinstance(value, dict) else [value]
    if not all(torch.isfinite(one).all() for one in tensors if isinstance(one, torch.Tensor)):
        yield f"{where} is not finite"


def _detail_looked_at(detail: Any, seen: Seen, pictures: Iterable[Any], count: int, recipe: Any) -> Iterator[Detailed]:
    asked: list[Any] = []

    def noted() -> Iterator[Any]:
        for picture in pictures:
            asked.append((picture, picture.image.clone()))
            yield picture

    for place, done in enumerate(detail(noted(), count, recipe)):
        picture, before = asked[place]
        if picture.pastes:
            seen.wrong += _changes(before, picture.segs, done, recipe.settings)
        if picture.is_clip:
            seen.count["frames"] += len(before)
            seen.wrong += _frames_amiss(before, picture, done)
        seen.count["pictures"] += 1
        seen.count["segments"] += len(picture.segs[1])
        seen.count["refined"] += sum(seg.cropped_image is not None for seg in done.segs[1])
        yield done


def _changes(before: torch.Tensor, segs: Any, done: Detailed, settings: Any) -> Iterator[str]:
    """What has changed where it should not, or not where it should."""
    after = done.image
    if after.shape != before.shape:
        yield f"a picture of {list(before.shape)} becomes one of {list(after.shape)}"
        return
    differs = (after != before).any(dim=-1)
    reach = reach_of(segs, (before.shape[1], before.shape[2]), settings.mask.feather)
    if (differs & ~reach).any():
        yield f"{int((differs & ~reach).sum())} pixels have changed that no segment reaches"
    refined = [one for one in done.refined if one is not None]
    if refined and settings.sampling.denoise > 0 and not differs.any():
        yield f"{len(refined)} segments were refined, and nothing has changed"
    if not torch.isfinite(after).all() or after.min() < 0 or after.max() > 1:
        yield "a detailed picture is not within 0..1"


def _frames_amiss(before: torch.Tensor, picture: Any, done: Detailed) -> Iterator[str]:
    """What of a clip's segments has another number of frames, and in which frames nothing has changed."""
    refined = [seg for seg in done.segs[1] if seg.cropped_image is not None]
    for seg in refined:
        if len(seg.cropped_image) != len(before):
            yield f"a segment of a clip of {len(before)} frames has {len(seg.cropped_image)}"
    if picture.pastes and refined:
        still = [
            index for index, (one, other) in enumerate(zip(before, done.image, strict=True)) if torch.equal(one, other)
        ]
        if still:
            yield f"nothing has changed in frames {still}"


def reach_of(segs: Any, size: tuple[int, int], feather: int) -> torch.Tensor:
    """Where pasting can change a picture, ``[1,H,W]``: each mask and as far as its blur goes, within its crop.

    Of SEGS made for another size the whole crops, enlarged as the picture is, and a pixel more.
    """
    reach = torch.zeros(1, *size, dtype=torch.bool)
    of_height, of_width = (now / then for now, then in zip(size, segs[0], strict=True))
    for seg in segs[1]:
        x1, y1, x2, y2 = seg.crop_region
        if (of_height, of_width) != (1, 1):
            top, bottom, left, right = y1 * of_height, y2 * of_height, x1 * of_width, x2 * of_width
            reach[:, max(int(top) - 1, 0) : int(bottom) + 2, max(int(left) - 1, 0) : int(right) + 2] = True
            continue
        mask = torch.as_tensor(np.asarray(seg.cropped_mask), dtype=torch.float32)
        mask = mask.reshape(-1, *mask.shape[-2:]).amax(dim=0, keepdim=True)
        reach[:, y1:y2, x1:x2] |= near((mask > 0).float(), max(feather, 0))
    return reach
