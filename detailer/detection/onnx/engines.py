"""Who runs an ONNX file: onnxruntime where it is installed, else OpenCV. Nothing is installed, nothing fetched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Protocol, cast

import numpy as np

from ....core import in_short
from ... import host
from ..yolo.values import YoloError
from .header import Header

logger = logging.getLogger("mask_detailer")

INSTALL = "Install onnxruntime in ComfyUI's Python, or use the model as .pt or .safetensors"

Run = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Gives what a net says of its one input: each output by its name."""

Make = Callable[[bytes, Header], Run]


class _Session(Protocol):
    def run(self, names: Sequence[str], given: Mapping[str, np.ndarray], /) -> Sequence[np.ndarray]: ...


def run_by_onnxruntime(file: bytes, header: Header) -> Run:
    """On ComfyUI's GPU where this onnxruntime can use it, else on the CPU."""
    runtime = _onnxruntime()
    if runtime is None:
        raise ImportError("onnxruntime is not installed")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others want the processor too
    providers = ["CPUExecutionProvider"]
    if host.devices.sampling_device().type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    session = cast(_Session, runtime.InferenceSession(file, options, providers=providers))
    given, names = header.inputs[0].name, [output.name for output in header.outputs]

    def run(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        return dict(zip(names, session.run(names, {given: pixels}), strict=True))

    return run


def run_by_opencv(file: bytes, header: Header) -> Run:
    """On the CPU."""
    import cv2

    net = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    names = [output.name for output in header.outputs]

    def run(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        net.setInput(pixels)
        return dict(zip(names, net.forward(names), strict=True))

    return run


ENGINES: Mapping[str, Make] = {"onnxruntime": run_by_onnxruntime, "OpenCV": run_by_opencv}
"""Who can run a file, the first the best."""


def runner(file: bytes, header: Header, source: str, engines: Mapping[str, Make] = ENGINES) -> Run:
    """Whoever of the engines can run the file.

    Args:
        source: the file's name, for messages.

    Raises:
        YoloError: if none can, with what the last one said.
    """
    said = ""
    for name, make in engines.items():
        try:
            run = make(file, header)
        except ImportError:
            continue
        except Exception as error:  # they raise errors of their own kinds
            said = f": {name} says {_in_short(error)}"
            logger.info("%s can't be run by %s%s", source, name, said)
            continue
        return _told(run, source, name)
    fix = INSTALL if _onnxruntime() is None else "Use the model as .pt or .safetensors, or export it anew"
    raise YoloError(f"{source} can't be run{said}", fix)


def _told(run: Run, source: str, engine: str) -> Run:
    """The same, whose errors name the file."""

    def running(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        host.devices.check_interrupted()
        try:
            return run(pixels)
        except Exception as error:  # they raise errors of their own kinds
            if host.devices.is_out_of_memory(error):
                raise
            fix = INSTALL if engine != "onnxruntime" else "Export the model anew, or use it as .pt or .safetensors"
            raise YoloError(f"{source} fails when {engine} runs it: {_in_short(error)}", fix) from error

    return running


def _in_short(error: Exception) -> str:
    return in_short(str(error), 160) or type(error).__name__


@cache
def _onnxruntime() -> ModuleType | None:
    """The package, None where it isn't there or can't be used."""
    try:
        import onnxruntime
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError):
            logger.warning("onnxruntime is there but can't be used (%s): OpenCV runs ONNX files", error)
        return None
    return onnxruntime
