"""What the strip costs the server in a run that a page watches: processor time, beside that of the whole run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import comfy_execution.graph
import comfy_execution.progress
import torch
from comfy_execution.utils import CurrentNodeContext
from engine.tiny_models import picture, taesd_vae, unet_pipe
from mask_detailer.detailer import live
from mask_detailer.nodes.detailers import MaskDetailerPipe
from overhead import CASES, PICTURE, WARM_UP, WIDGETS, squares
from tables import milliseconds, print_table

PAGE, PROMPT, NODE = "page", "prompt", "1"
ASKED = ("of_node", "planned", "begun", "step", "done", "reused", "kept", "candidates", "lost", "ended")
MEASURED = ("1 segment of 160 px", "16 segments of 160 px")


class Watcher:
    """What of ComfyUI's server counts here, with a page that watches: it writes each event as the server would."""

    def __init__(self) -> None:
        self.sockets, self.client_id = {PAGE: self}, PAGE
        self.prompt_queue = SimpleNamespace(currently_running={})
        self.sent: list[int] = []

    def send_sync(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        if event == live.EVENT:
            self.sent.append(len(json.dumps({"type": event, "data": data})))


class Clock:
    """Processor time of this thread inside the strip's methods."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_inside = False

    def timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._is_inside:
                return method(*args, **kwargs)
            self._is_inside, started = True, time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                self._is_inside = False
                self.seconds += time.thread_time() - started

        return call


def run() -> None:
    """Print the table."""
    watcher, clock = Watcher(), Clock()
    sys.modules["server"] = SimpleNamespace(PromptServer=SimpleNamespace(instance=watcher))  # type: ignore[assignment]
    live.audience.set(PAGE, True)
    prompt = comfy_execution.graph.DynamicPrompt({NODE: {"class_type": "MaskDetailerPipe", "inputs": {}}})
    comfy_execution.progress.reset_progress_state(PROMPT, prompt)
    for name in ASKED:
        original = live.Live.__dict__[name]
        timed = clock.timed(original.__func__ if name == "of_node" else original)
        setattr(live.Live, name, classmethod(timed) if name == "of_node" else timed)
    image, pipe = picture(*PICTURE), unet_pipe(vae=taesd_vae())
    rows = []
    with torch.inference_mode(), CurrentNodeContext(PROMPT, NODE, None):
        for name, case in {"warm-up": WARM_UP, **{name: CASES[name] for name in MEASURED}}.items():
            count, side, feather, noise_mask_feather, options = case
            turned = {"feather": feather, "noise_mask_feather": noise_mask_feather, "detail_options": options}
            clock.seconds, watcher.sent = 0.0, []
            started = time.process_time()
            MaskDetailerPipe().doit(image, squares(count, side), pipe, **(WIDGETS | turned))
            whole = time.process_time() - started
            if name != "warm-up":
                rows.append([
                    name, milliseconds(whole), milliseconds(clock.seconds), milliseconds(clock.seconds / count**2),
                    f"{len(watcher.sent)}, {sum(watcher.sent) / 1024:.0f} KiB", f"{clock.seconds / whole:.2%}",
                ])  # fmt: skip
    head = ["case", "the run", "the strip", "a segment", "events", "share"]
    case = f"{PICTURE[1]}x{PICTURE[0]}, {WIDGETS['steps']} steps"
    print_table(f"The strip's processor time in a watched run, {case}", head, rows)
