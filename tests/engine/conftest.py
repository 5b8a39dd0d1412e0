"""Engine tests run ComfyUI in this process, as its server does: on the CPU and in inference mode."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from engine import tiny_models

import comfy.utils


@pytest.fixture(autouse=True)
def like_comfyui() -> Iterator[None]:
    """Inference mode, no progress bars on the terminal, and the interrupt flag and hooks left as they were."""
    import comfy.model_management

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
def unet() -> tiny_models.Pipe:
    """A BASIC_PIPE whose model changes with all that it is given."""
    return tiny_models.unet_pipe()


@pytest.fixture(scope="session")
def flow() -> tiny_models.Pipe:
    """A BASIC_PIPE whose result is known in closed form."""
    return tiny_models.flow_pipe()
