"""ComfyUI as the pack sees it: all that a new release may change, in files of one subject."""

from . import (
    conditioning,
    control_net,
    detection,
    devices,
    folders,
    latents,
    models,
    nodes,
    patches,
    progress,
    sampling,
    schedules,
    server,
    stacking,
    text,
    vae,
)

__all__ = [
    "conditioning",
    "control_net",
    "detection",
    "devices",
    "folders",
    "latents",
    "models",
    "nodes",
    "patches",
    "progress",
    "sampling",
    "schedules",
    "server",
    "stacking",
    "text",
    "vae",
]
