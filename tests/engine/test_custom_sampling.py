"""Custom sampling in a detailer: SAMPLERs of any form, SIGMAS and GUIDERs; parts of a batch come out as each alone."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import comfy.k_diffusion.sampling
import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic, Guider_DualCFG
from comfy_extras.nodes_perpneg import Guider_PerpNeg
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.running import detail, pipe_with
from engine.tiny_models import Pipe, called_through, mask_of, picture
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.detailer import host
from mask_detailer.detailer.errors import InputError
from mask_detailer.detailer.host.answers import NonsenseError
from mask_detailer.detailer.pipeline.remembered import memory

SIZE = (96, 112)
MASK = mask_of(*SIZE, (16, 16, 32, 32), (80, 56, 96, 72), (16, 64, 32, 80))
NEAR: dict[str, Any] = dict(atol=2e-3, rtol=0)  # as in test_together.py


def hook(**given: Any) -> Any:
    return NODE_CLASS_MAPPINGS["MaskDetailerCustomSamplingHook"]().doit(**given)[0]


def levels(pipe: Pipe, *, steps: int = 3, denoise: float = 0.5) -> torch.Tensor:
    """As BasicScheduler gives them."""
    return host.schedules.sigmas_for(pipe[0], "euler", "normal", int(steps / denoise))[-(steps + 1) :]


def daemon(inner: Any) -> Any:
    """A sampler that wraps another and asks the model at levels other than those it steps by."""

    def sample(model: Any, x: torch.Tensor, sigmas: torch.Tensor, **given: Any) -> torch.Tensor:
        class Lower:
            def __getattr__(self, name: str) -> Any:
                return getattr(model, name)

            def __call__(self, x: torch.Tensor, sigma: torch.Tensor, **more: Any) -> torch.Tensor:
                return model(x, sigma * (1 - 0.2 * (sigma / sigmas[0])), **more)

        return inner.sampler_function(Lower(), x, sigmas, **{**given, **inner.extra_options})

    return comfy.samplers.KSAMPLER(sample)


def noisy(model: Any, x: torch.Tensor, sigmas: torch.Tensor, *, callback: Any = None, **_: Any) -> torch.Tensor:
    """Adds noise at each step, from torch's own random numbers."""
    for step, (level, lower) in enumerate(itertools.pairwise(sigmas)):
        x0 = model(x, level.expand(len(x)), **_["extra_args"])
        callback({"i": step, "denoised": x0, "x": x, "sigma": level, "sigma_hat": level})
        x = x0 + lower * torch.randn_like(x)
    return x


SAMPLERS = {
    "adds noise": lambda: comfy.samplers.ksampler("euler_ancestral", {"eta": 0.7, "s_noise": 1.1}),
    "with options": lambda: comfy.samplers.ksampler("dpmpp_2m_sde", {"eta": 0.5, "solver_type": "heun"}),
    "one error estimate": lambda: comfy.samplers.ksampler("dpm_adaptive", {"rtol": 0.3, "atol": 0.3}),
    "looks at the negative": lambda: comfy.samplers.sampler_object("euler_cfg_pp"),
    "torch's random numbers": lambda: comfy.samplers.KSAMPLER(noisy),
    "wraps another": lambda: daemon(comfy.samplers.sampler_object("euler_ancestral")),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:To copy construct")  # ComfyUI's own dpm_adaptive
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.by_hand] * ("error" in one)) for one in SAMPLERS]
)
def test_samplers_together_as_alone(unet: Pipe, name: str) -> None:
    batches: list[int] = []

    def predict(apply: Any, given: dict[str, Any]) -> torch.Tensor:
        batches.append(len(given["input"]))
        return apply(given["input"], given["timestep"], **given["c"])

    pipe = pipe_with(unet, model=called_through(unet[0], predict))
    own = hook(sampler=SAMPLERS[name]())
    alone = detail(picture(*SIZE), MASK, pipe, steps=3, detailer_hook=own, crop_batch=1).image
    asked_alone = len(batches)
    together = detail(picture(*SIZE), MASK, pipe, steps=3, detailer_hook=own, crop_batch=4).image
    torch.testing.assert_close(together, alone, **NEAR)
    assert 2 * (len(batches) - asked_alone) < asked_alone
    assert not torch.equal(alone, detail(picture(*SIZE), MASK, unet, steps=3).image)


def test_as_the_sampler_of_that_name(unet: Pipe) -> None:
    own = hook(sampler=comfy.samplers.sampler_object("euler_ancestral"))
    for batch in (1, 4):
        wanted = detail(picture(*SIZE), MASK, unet, steps=3, sampler_name="euler_ancestral", crop_batch=batch).image
        assert torch.equal(
            detail(picture(*SIZE), MASK, unet, steps=3, detailer_hook=own, crop_batch=batch).image, wanted
        )


@pytest.mark.parametrize("batch", [1, 4])
def test_noise_levels(unet: Pipe, batch: int) -> None:
    """Those of the widgets give what the widgets give, whatever these say now."""
    wanted = detail(picture(*SIZE), MASK, unet, steps=3, crop_batch=batch).image
    own = hook(sigmas=levels(unet))
    made = detail(picture(*SIZE), MASK, unet, steps=9, denoise=0.9, detailer_hook=own, crop_batch=batch).image
    assert torch.equal(made, wanted)


def guider(kind: Any, pipe: Pipe, cfg: float = 3.0) -> Any:
    model, _, _, positive, negative = pipe
    made = kind(model)
    if kind is comfy.samplers.CFGGuider:
        made.set_conds(positive, negative)
        made.set_cfg(cfg)
    elif kind is Guider_Basic:
        made.set_conds(positive)
    elif kind is Guider_DualCFG:
        middle = [[positive[0][0].flip(1), dict(positive[0][1])]]
        made.set_conds(positive, middle, negative)
        made.set_cfg(cfg, 2.0)
    else:
        made.set_conds(positive, negative, [[negative[0][0] * 0, dict(negative[0][1])]])
        made.set_cfg(cfg, 0.7)
    return made


@pytest.mark.parametrize("kind", [comfy.samplers.CFGGuider, Guider_Basic, Guider_DualCFG, Guider_PerpNeg])
def test_guiders_together_as_alone(unet: Pipe, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The pipe's own model and prompts mean nothing."""
    own = hook(guider=guider(kind, unet), sampler=SAMPLERS["wraps another"]())
    other = pipe_with(unet, positive=unet[4], negative=unet[3])
    with caplog.at_level(logging.INFO):
        alone, together = (
            detail(picture(*SIZE), MASK, other, steps=3, cfg=9.0, detailer_hook=own, crop_batch=batch).image
            for batch in (1, 4)
        )
    torch.testing.assert_close(together, alone, **NEAR)
    assert ("the guider Guider_PerpNeg may let one change another" in caplog.text) == (kind is Guider_PerpNeg)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_guider_as_the_pipe(unet: Pipe, batch: int) -> None:
    own = hook(guider=guider(comfy.samplers.CFGGuider, unet))
    other = pipe_with(unet, positive=unet[4], negative=unet[3])
    wanted = detail(picture(*SIZE), MASK, unet, crop_batch=batch).image
    assert torch.equal(detail(picture(*SIZE), MASK, other, cfg=9.0, detailer_hook=own, crop_batch=batch).image, wanted)


def test_a_guider_s_prompts_are_cut(unet: Pipe) -> None:
    """What its middle prompt has over one half of the picture counts for the part in that half alone."""
    halves = mask_of(*SIZE, (0, 0, SIZE[1] // 2, SIZE[0]))
    made = []
    for strength in (0.0, 3.0):
        own = guider(Guider_DualCFG, unet)
        positive = unet[3]
        middle = [
            positive[0],
            [positive[0][0].neg() * 2, {**positive[0][1], "mask": halves, "mask_strength": strength}],
        ]
        own.set_conds(positive, middle, unet[4])
        made.append(detail(picture(*SIZE), MASK, unet, detailer_hook=hook(guider=own)).image)
    change = (made[0] - made[1]).abs().amax(dim=(0, 3))
    assert change[:, 70:].max() == 0 and change[16:32, 16:32].max() > 0.01


@pytest.mark.usefixtures("remembers")
def test_with_another_hook_and_the_memory(unet: Pipe) -> None:
    """Both hooks act; what is made again with ComfyUI's own comes from the memory, of other packs' nothing."""

    def run(*hooks: Any) -> torch.Tensor:
        own = hooks[0] if len(hooks) == 1 else NODE_CLASS_MAPPINGS["DetailerHookCombine"]().doit(*hooks)[0]
        return detail(picture(*SIZE), MASK, unet, detailer_hook=own).image

    sampler, way = SAMPLERS["with options"](), guider(Guider_DualCFG, unet)
    wanted = run(hook(sampler=sampler, sigmas=levels(unet), guider=way))
    assert len(memory) == 3
    assert torch.equal(run(hook(sampler=sampler, sigmas=levels(unet), guider=way)), wanted) and len(memory) == 3
    assert torch.equal(run(hook(sampler=sampler), hook(sigmas=levels(unet), guider=way)), wanted)
    assert not torch.equal(run(hook(sampler=sampler, sigmas=levels(unet, steps=4), guider=way)), wanted)
    known = len(memory)
    run(hook(sampler=SAMPLERS["wraps another"]()))
    assert len(memory) == known


@pytest.mark.parametrize("crop_batch", [1, 4])
def test_errors_of_a_sampler_come_through(unet: Pipe, crop_batch: int) -> None:
    def broken(model: Any, x: torch.Tensor, sigmas: torch.Tensor, **given: Any) -> torch.Tensor:
        model(x, sigmas[:1], **given["extra_args"])
        raise RuntimeError("a sampler's own")

    own = hook(sampler=comfy.samplers.KSAMPLER(broken))
    with pytest.raises(RuntimeError, match="a sampler's own"):
        detail(picture(*SIZE), MASK, unet, detailer_hook=own, crop_batch=crop_batch)


@pytest.mark.parametrize(
    "given", [{"sampler": 3}, {"sigmas": torch.tensor([0.0, 1.0])}, {"sigmas": "none"}, {"guider": object()}]
)
def test_what_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        hook(**given)


def test_a_hook_that_gives_nonsense_is_named(unet: Pipe) -> None:
    class Odd:
        def get_custom_sampling(self, custom: Any) -> Any:
            return 5

    with pytest.raises(NonsenseError, match="MaskDetailerPipe: the detailer hook Odd gives 5 in get_custom_sampling"):
        detail(picture(*SIZE), MASK, unet, detailer_hook=Odd())
