"""Engine tests run ComfyUI in this process, as its server does: on the CPU and in inference mode."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch

if importlib.util.find_spec("comfy") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def like_comfyui() -> Iterator[None]:
    """Inference mode, no progress bars on the terminal; afterwards no interrupt and no progress hook is left."""
    import comfy.model_management
    import comfy.utils

    comfy.utils.set_progress_bar_enabled(False)
    with torch.inference_mode():
        yield
    comfy.utils.set_progress_bar_global_hook(None)
    comfy.model_management.interrupt_current_processing(False)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the pack logs, from INFO on."""
    caplog.set_level(logging.INFO, logger="mask_detailer")
    return caplog


@pytest.fixture(scope="session")
def unet() -> Any:
    """A BASIC_PIPE whose model changes with all that it is given."""
    from engine.tiny_models import unet_pipe

    return unet_pipe()


@pytest.fixture(scope="session")
def flow() -> Any:
    """A BASIC_PIPE whose result is known in closed form."""
    from engine.tiny_models import flow_pipe

    return flow_pipe()
