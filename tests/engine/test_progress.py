"""One bar over all of a node's work, with previews."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.cli_args
import comfy.latent_formats
import comfy.utils
import latent_preview
import pytest
import torch
from engine.running import detail
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe
from mask_detailer.detailer import host
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:To copy construct")  # ComfyUI's own dpm_adaptive

SIZE = (64, 72)
BOXES = [(4, 4, 12, 12), (30, 24, 38, 32), (56, 48, 64, 56)]


class Bar:
    """What ComfyUI's server would be told."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.totals: list[int] = []
        self.previews: list[Any] = []

    def __call__(self, value: int, total: int, preview: Any, node_id: Any = None) -> None:
        self.values.append(value)
        self.totals.append(total)
        self.previews.append(preview)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Bar:
    """A bar that is told of everything: ComfyUI holds back updates without a preview that follow each other quickly."""
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0.0)
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_PERCENT", 0.0)
    bar = Bar()
    comfy.utils.set_progress_bar_global_hook(bar)
    return bar


@pytest.fixture
def bars_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []

    class Counted(comfy.utils.ProgressBar):
        def __init__(self, total: int, *others: Any, **more: Any) -> None:
            made.append(total)
            super().__init__(total, *others, **more)

    monkeypatch.setattr(comfy.utils, "ProgressBar", Counted)
    return made


def refined_by() -> dict[str, Any]:
    return {"refiner_basic_pipe_opt": unet_pipe(4), "steps": 4, "refiner_ratio": 0.5}


RUNS: dict[str, tuple[int, Any]] = {
    "one part": (1, dict),
    "three parts": (3, dict),
    "two variants": (3, lambda: {"batch_size": 2}),
    "two cycles": (3, lambda: {"cycle": 2, "batch_size": 2}),
    "refiner": (2, refined_by),
    "refiner alone": (2, lambda: refined_by() | {"refiner_ratio": 1.0}),
    "adaptive steps": (2, lambda: {"sampler_name": "dpm_adaptive"}),
    "two evaluations a step": (2, lambda: {"sampler_name": "heun"}),
    "schedule that is too short": (2, lambda: {"scheduler_func_opt": lambda *_: torch.zeros(1)}),
}


@pytest.mark.parametrize(("parts", "changes"), RUNS.values(), ids=RUNS.keys())
def test_bar_rises_to_its_end(unet: Pipe, bar: Bar, bars_made: list[int], parts: int, changes: Any) -> None:
    detail(picture(*SIZE), mask_of(*SIZE, *BOXES[:parts]), unet, **changes())
    assert len(bars_made) == 1
    assert set(bar.totals) == set(bars_made)
    assert bar.values == sorted(bar.values)
    assert bar.values[-1] == bar.totals[-1]


def test_every_step_is_told_in_equal_shares(unet: Pipe, bar: Bar) -> None:
    detail(picture(*SIZE), mask_of(*SIZE, *BOXES), unet, steps=4, batch_size=2)
    shares = [value / bar.totals[0] for value in dict.fromkeys(bar.values)]
    assert shares == pytest.approx([(step + 1) / 24 for step in range(24)], abs=1e-3)


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_bar_of_frames_of_which_one_has_no_part(unet: Pipe, bar: Bar, empty: int) -> None:
    masks = mask_of(*SIZE, BOXES[0]).repeat(3, 1, 1)
    masks[empty] = 0.0
    detail(picture(*SIZE).repeat(3, 1, 1, 1), masks, unet)
    assert bar.values == sorted(bar.values)
    assert bar.values[-1] == bar.totals[-1]


def test_bar_of_a_run_without_parts(unet: Pipe, bar: Bar) -> None:
    detail(picture(*SIZE), None, unet)
    assert bar.values == bar.totals


def test_previews(unet: Pipe, bar: Bar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step's guess at the finished crop, at the latent's size."""
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", comfy.cli_args.LatentPreviewMethod.Latent2RGB)
    detail(picture(*SIZE), mask_of(*SIZE, *BOXES[:2]), unet, steps=3)
    shown = [preview for preview in bar.previews if preview is not None]
    assert len(shown) == 6
    for kind, image, largest in shown:
        assert kind == "JPEG"
        assert isinstance(image, Image.Image)
        assert image.size == (16, 16)
        assert largest > 0


def test_no_previews_where_they_are_off(unet: Pipe, bar: Bar) -> None:
    detail(picture(*SIZE), mask_of(*SIZE, BOXES[0]), unet)
    assert set(bar.previews) == {None}


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The latent formats that previewers were made for, in order; a previewer shows its format's name."""
    made: list[str] = []

    def get_previewer(device: torch.device, form: Any) -> Any:
        made.append(type(form).__name__)
        name = f"{type(form).__name__} on {device}"
        return SimpleNamespace(decode_latent_to_preview_image=lambda kind, x0: (kind, name, 1))

    monkeypatch.setattr(latent_preview, "get_previewer", get_previewer)
    return made


def test_clones_of_a_model_share_one_previewer(unet: Pipe, bar: Bar, formats: list[str]) -> None:
    """A previewer may load a model of its own. Segments with LoRAs of their own are sampled with clones."""
    clones: list[Any] = []  # kept, so that none has the id of another

    class Cloning:
        def pre_ksample(self, model: Any, *others: Any) -> tuple[Any, ...]:
            clones.append(model.clone())
            return clones[-1], *others

    detail(picture(*SIZE), mask_of(*SIZE, *BOXES), unet, cycle=2, detailer_hook=Cloning())
    assert len(clones) == 6
    assert formats == ["SD15"]
    shown = [preview[1] for preview in bar.previews if preview is not None]
    assert shown == ["SD15 on cpu"] * 6 * 2


def test_each_latent_format_has_a_previewer_of_its_own(unet: Pipe, bar: Bar, formats: list[str]) -> None:
    refiner = unet_pipe(4)
    refiner[0].model.latent_format = comfy.latent_formats.SDXL()
    detail(picture(*SIZE), mask_of(*SIZE, *BOXES[:2]), unet, refiner_basic_pipe_opt=refiner, steps=4, refiner_ratio=0.5)
    assert formats == ["SD15", "SDXL"]
    shown = [preview[1] for preview in bar.previews if preview is not None]
    assert shown == ["SD15 on cpu", "SD15 on cpu", "SDXL on cpu", "SDXL on cpu"] * 2


def test_each_device_has_a_previewer_of_its_own(formats: list[str]) -> None:
    progress = host.progress.Progress.of_node()
    form = comfy.latent_formats.SD15()
    for device in ("cpu", "meta", "cpu"):
        model: Any = SimpleNamespace(model=SimpleNamespace(latent_format=form), load_device=torch.device(device))
        progress.step(1, 3, model, torch.zeros(1, 4, 2, 2))
    assert formats == ["SD15", "SD15"]
