"""Engine tests run ComfyUI in this process, as its server does: on the CPU and in inference mode."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
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


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The CPU is taken for a device to load to where a placement is made."""
    import comfy.model_management as management

    monkeypatch.setattr(management, "is_device_cpu", lambda device: False)
    yield
    monkeypatch.undo()
    management.unload_all_models()


@pytest.fixture(scope="session")
def local_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a CLIPSeg and a classifier."""
    from support.local_models import REPOSITORY, write_classifier, write_clipseg

    folder = tmp_path_factory.mktemp("models")
    write_clipseg(folder / "clipseg" / "clipseg-rd64-refined")
    write_classifier(folder / "classifiers" / REPOSITORY)
    return folder


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models, the only one; nothing was fetched before."""
    import folder_paths
    import huggingface_hub.constants
    from mask_detailer.nodes import classifiers, clipseg

    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "fetched"))
    monkeypatch.setattr(folder_paths, "models_dir", str(folder))
    known = {
        kind: paths
        for kind, paths in folder_paths.folder_names_and_paths.items()
        if kind not in ("clipseg", "classifiers")
    }
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    classifiers.register_folders()
    clipseg.register_folders()
    return folder


@pytest.fixture
def sams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of SAM files, the only one; and a small SAM 2 is known, as if its authors had published it."""
    import folder_paths
    from mask_detailer.detailer.detection.sam.models import HIERAS, Hiera
    from mask_detailer.nodes.sam_loader import register_folders
    from support.sam_files import MINI

    monkeypatch.setitem(HIERAS, (MINI.width, MINI.stages), Hiera("mini", MINI.heads, (8, 4, 14, 7), MINI.everywhere))
    folder = tmp_path / "models" / "sams"
    folder.mkdir(parents=True)
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    known = dict(folder_paths.folder_names_and_paths)
    known.pop("sams", None)
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    register_folders()
    folder_paths.filename_list_cache.pop("sams", None)
    yield folder
    folder_paths.filename_list_cache.pop("sams", None)
