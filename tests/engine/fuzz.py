"""Fuzzed runs of the detailers, and what holds of each of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.cli_args
import torch
from engine.any_node import copied
from engine.fuzz_cases import FACE_NODES, SEGS_NODES, VARIANTS, Drawn, draw, grown, reach_of_segs
from engine.running import Recorder, pictures_in, same
from engine.tiny_models import (
    FLOW_SCALE,
    Pipe,
    box_vae,
    called_through,
    conditioning,
    pipe_with,
    pooled_prompt,
    still_clip_model,
    still_flow_model,
    text_encoder,
    unet_model,
    unet_pipe,
)
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.detailer.hooks import builtin
from mask_detailer.detailer.values import KSampleCall
from mask_detailer.nodes.validate import InputError
from support.detectors import BoxDetector, FloodSam, GivenDetector, OutlineDetector, SamModel

CELL = 8


@functools.cache
def pipe_of(kind: str) -> Pipe:
    """The pipe around a kind of model, with a CLIP for texts."""
    if kind == "unet":
        return pipe_with(unet_pipe(), clip=text_encoder())
    if kind == "refiner":
        return pipe_with(unet_pipe(seed=5), clip=text_encoder())
    if kind == "cheap":
        return pipe_with(unet_pipe(), model=called_through(unet_model(), _shrunk), clip=text_encoder())
    prompts = pooled_prompt(1), pooled_prompt(2)
    if kind == "flow":
        return (still_flow_model(), text_encoder(), box_vae(16, FLOW_SCALE), *prompts)
    generator = torch.Generator().manual_seed(3)
    prompts = conditioning(generator), conditioning(generator)
    return (still_clip_model(), text_encoder(), box_vae(16, FLOW_SCALE, frames=True), *prompts)


def _shrunk(_apply: Any, call: dict[str, Any]) -> torch.Tensor:
    """What is best guessed of a latent of deviation 1 under so much noise: a model that costs nothing."""
    level = call["timestep"].reshape(-1, *[1] * (call["input"].ndim - 1))
    return call["input"] / (1 + level**2)


def _hook(kind: str | None, pipe: Pipe) -> Any:
    made: dict[str, Any] = {
        "recorder": lambda: Recorder(),
        "noise": lambda: builtin.NoiseInjectionHook("CPU", 5, builtin.CycleRamp(1.0, 0.5, False)),
        "variation": lambda: builtin.VariationNoiseHook(9, 0.3),
        "denoise": lambda: builtin.DenoiseScheduleHook(0.2),
        "unsampler": lambda: builtin.UnsamplerHook(
            KSampleCall(pipe[0], 0, 2, 1.0, "euler", "normal", pipe[3], pipe[4], {"samples": torch.empty(0)}, 1.0),
            False,
            builtin.CycleRamp(1, 2, False),
        ),
        "combined": lambda: builtin.CombinedHook(
            builtin.VariationNoiseHook(2, 0.1), builtin.NoiseInjectionHook("CPU", 1, builtin.CycleRamp(0.5, 0.1, True))
        ),
        "largest": lambda: builtin.OrderedFilterHook("area(=w*h)", True, 0, 2),
        "labels": lambda: builtin.LabelFilterHook(["A", "red"]),
    }
    return None if kind is None else made[kind]()


def _arguments(case: Drawn) -> dict[str, Any]:
    """What goes into the node: of all that was drawn, what it has an input for."""
    pipe = pipe_of(case.model)
    model, clip, vae, positive, negative = pipe
    hook = _hook(case.hook, pipe)
    refiner = pipe_of("refiner" if case.model == "cheap" and case.image[0].numel() < 20_000 else case.model)
    bbox = BoxDetector() if case.segs is None else GivenDetector(case.segs)
    with_outlines = case.notes.get("detector") == "colours" and case.widgets["crop_factor"] == 3.0
    helpers = dict(
        bbox_detector=bbox, segm_detector_opt=OutlineDetector() if with_outlines else None,
        sam_model_opt=SamModel(FloodSam()) if with_outlines and case.widgets["bbox_fill"] else None,
    )  # fmt: skip
    values: dict[str, Any] = {
        **case.widgets, **helpers, "image": case.image, "mask": case.mask, "segs": case.segs, "basic_pipe": pipe,
        "model": model, "clip": clip, "vae": vae, "positive": positive, "negative": negative, "detailer_hook": hook,
        "refiner_basic_pipe_opt": refiner if case.refiner else None,
        "detailer_pipe": (
            *pipe, case.widgets["wildcard"], bbox, helpers["segm_detector_opt"], helpers["sam_model_opt"], hook,
            *((refiner[0], refiner[1], refiner[3], refiner[4]) if case.refiner else (None,) * 4),
        ),
    }  # fmt: skip
    if case.options is not None:
        values["detail_options"] = NODE_CLASS_MAPPINGS["MaskDetailerOptions"]().doit(**case.options)[0]
    types = NODE_CLASS_MAPPINGS[case.node].INPUT_TYPES()
    return {name: values[name] for group in types.values() for name in group if name in values}


def _run(case: Drawn, **changes: Any) -> tuple[Any, ...]:
    return NODE_CLASS_MAPPINGS[case.node]().doit(**(_arguments(case) | changes))


# ------------------------------------------------------------------------------------------------ what holds


def check(seed: str) -> Drawn:
    """The run of a seed, looked at.

    Raises:
        AssertionError: where something does not hold; the run's own error where it has one. Both name the run.
    """
    case = draw(seed)
    arguments = vars(comfy.cli_args.args)
    before = arguments.copy()
    if "fp16_intermediates" in arguments:  # older releases don't have it
        arguments["fp16_intermediates"] = case.half
    try:
        with named(case):
            _check(case)
    finally:
        arguments.update(before)
    return case


@contextmanager
def named(case: object) -> Iterator[None]:
    """Errors in it name the run, so that it can be repeated."""
    try:
        yield
    except Exception as error:
        error.add_note(str(case)) if hasattr(error, "add_note") else print(case)
        raise


def _check(case: Drawn) -> None:
    given = (case.image, case.mask, case.segs)
    before = copied(given)
    try:
        made = _run(case)
    except InputError as error:
        if min(case.image.shape[1:3]) < CELL:
            assert "smaller" in str(error), error
            return
        raise
    except ValueError as error:  # some schedulers have no schedule of one step
        assert "Use more steps or another scheduler" in str(error) and case.widgets["steps"] <= 2, error
        return
    assert same(given, before), "an input was written to"
    _check_outputs(case, made)
    if case.again:
        assert same(_values(made), _values(_run(case))), "the same seed gives another result"
    if case.apart:
        for one, other in zip(pictures_in(_values(made)), pictures_in(_values(_run(case, crop_batch=1))), strict=True):
            assert one.shape == other.shape, "another number or size of crops, sampled apart"
            apart = float((one.float() - other.float()).abs().max()) if one.numel() else 0.0
            assert apart < 1e-3, f"{apart:.5f} between crops at once and one by one"


def _values(made: tuple[Any, ...]) -> list[Any]:
    """Pictures, masks and segments of the outputs, without pipes."""
    return [one for one in made if not (isinstance(one, tuple) and len(one) > 2)]


def _check_outputs(case: Drawn, made: tuple[Any, ...]) -> None:
    for picture in pictures_in(_values(made)):
        assert picture.dtype == torch.float32, picture.dtype
        assert picture.device.type == "cpu"
        assert bool(torch.isfinite(picture).all()), "not finite"
        low, high = (float(edge) for edge in picture.aminmax()) if picture.numel() else (0.0, 0.0)
        assert low >= 0.0 and high <= 1.0, f"{list(picture.shape)}: {low} to {high}"
    kinds = NODE_CLASS_MAPPINGS[case.node].RETURN_TYPES
    assert len(made) == len(kinds)
    if case.node == "SEGSDetailer":
        _check_segs(case, made[0])
        pasted = NODE_CLASS_MAPPINGS["SEGSPaste"]().doit(case.image, made[0], case.widgets["feather"])[0]
        _check_picture(case, pasted, case.reach)
        return
    reach = case.reach
    if case.node in FACE_NODES and case.segs is None:
        grow = max((case.options or {}).get("paste_grow", 0), 0)
        reach = grown(made[3], grow + case.widgets["feather"])
    _check_picture(case, made[0], reach)
    if case.node in SEGS_NODES and kinds[1:2] == ("SEGS",):
        _check_segs(case, made[1])


def _check_picture(case: Drawn, made: torch.Tensor, reach: torch.Tensor) -> None:
    """Its shape, its alpha and all pixels that no paste mask reaches."""
    variants = case.widgets["batch_size"] if case.node == "MaskDetailerPipe" else 1
    given = case.image.to(torch.float32).repeat(variants, 1, 1, 1)
    assert made.shape == given.shape, f"{list(made.shape)} for {list(given.shape)}"
    frames = len(case.image)
    if len(reach) not in (1, frames):  # one picture takes all masks
        reach = reach.any(dim=0, keepdim=True)
    reach = reach.expand(frames, -1, -1).repeat(variants, 1, 1)
    assert torch.equal(made[~reach], given[~reach]), "pixels changed that no paste mask reaches"
    assert torch.equal(made[..., 3:], given[..., 3:]), "alpha changed"


def _check_segs(case: Drawn, segs: Any) -> None:
    """As many as came, but for what is skipped; each with an image of its region's size where it has one."""
    assert case.segs is not None
    assert tuple(segs[0]) == tuple(case.image.shape[1:3])
    variants = case.widgets["batch_size"] if case.node in VARIANTS else len(case.image)
    of_another = "of another picture" in case.notes["segs"]
    may_skip = of_another or "[S" in case.widgets["wildcard"]  # [SKIP], [STOP]
    shown = sum(float(torch.as_tensor(seg.cropped_mask).max()) > 0.01 for seg in case.segs[1])
    least = len(case.segs[1]) if case.node == "SEGSDetailer" else 0 if may_skip else shown
    assert least * variants <= len(segs[1]) <= len(case.segs[1]) * variants, "segments lost or gained"
    for seg in segs[1]:
        x1, y1, x2, y2 = seg.crop_region
        if seg.cropped_image is not None and not of_another:
            assert tuple(seg.cropped_image.shape[1:3]) == (y2 - y1, x2 - x1)
    reach_of_segs(segs, tuple(case.image.shape[1:3]), 0)  # their masks fit their regions


def seconds(default: float) -> float:
    """How long to fuzz in all."""
    return float(os.environ.get("FUZZ_SECONDS") or default)
