"""`dev.py demo`: detail the spoiled parts of a drawn scene in a real ComfyUI, over its HTTP interface.

The model is the small one of tools/tiny_model. It writes before.png, mask.png, after.png and side_by_side.png to
`demo_output/`.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tiny_model import WEIGHTS, scenes

from support import pictures, workflow
from support.client import Client, Event, PromptError, RefusedError, check
from support.server import CHECKOUT, Server, ServerError

OUTPUT = CHECKOUT / "demo_output"
BAR = 32


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py demo")
    parser.add_argument("--setup-seconds", type=float, default=0.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="mask-detailer-demo-", ignore_cleanup_errors=True) as base:
            detail(Path(base), options.setup_seconds)
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        return 130
    except (ServerError, RefusedError, PromptError, ConnectionError, TimeoutError, OSError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def detail(base: Path, setup_seconds: float) -> None:
    started = time.monotonic()
    server = Server(base, log=CHECKOUT / ".env" / "demo-server.log")
    server.start()
    try:
        print("demo: starting ComfyUI ...", flush=True)
        # while it starts: the pictures and the checkpoint
        shutil.copy(WEIGHTS, base / "models" / "checkpoints")
        before, mask, parts = spoiled_scene()
        before_path = pictures.write(OUTPUT / "before.png", before)
        mask_path = pictures.write(OUTPUT / "mask.png", mask)
        server.wait_until_ready()
        start_seconds = time.monotonic() - started
        print(f"demo: ComfyUI answers at {server.url}", flush=True)

        started = time.monotonic()
        with Client(server.url) as client:
            prompt = workflow.trained(client.upload_image(before_path), client.upload_image(mask_path))
            prompt_id = client.queue(prompt)
            show_progress(client.events(prompt_id))
            after = workflow.result(client, prompt_id)
        detail_seconds = time.monotonic() - started
    finally:
        server.stop()

    after_path = pictures.write(OUTPUT / "after.png", after)
    both_path = pictures.write(OUTPUT / "side_by_side.png", pictures.side_by_side(before, after, mask))
    for what, path in (("before", before_path), ("mask", mask_path), ("after", after_path), ("both", both_path)):
        print(f"{what:>8}  {path}")
    print(
        f"demo: detailed {parts} parts in {detail_seconds:.1f} s "
        f"(set-up {setup_seconds:.1f} s, ComfyUI's start {start_seconds:.1f} s); the server is stopped"
    )


def spoiled_scene() -> tuple[pictures.Pixels, pictures.Pixels, int]:
    """(picture, mask, how many parts it marks): a scene whose parts were blurred or made coarse."""
    _, spoiled, parts = scenes.demo_scene()
    mask = np.max([mask for _, mask in parts], axis=0)
    return *(np.round(255 * pixels).astype(np.uint8) for pixels in (spoiled, mask)), len(parts)  # type: ignore[return-value]


def show_progress(events: Iterable[Event]) -> None:
    """Draw the detailer's progress while the events come; PromptError where they tell of one."""
    steady = sys.stdout.isatty()
    shown = -1
    for event in events:
        check(event)
        if event.type != "progress" or event.data.get("node") != workflow.DETAILER:
            continue
        percent = round(100 * event.data["value"] / event.data["max"])
        if percent == shown or (not steady and percent // 10 == shown // 10):
            continue
        shown = percent
        done = BAR * percent // 100
        line = f"demo: detailing [{'#' * done}{'-' * (BAR - done)}] {percent:3d} %"
        print(f"\r{line}" if steady else line, end="" if steady else "\n", flush=True)
    if steady:
        print()


if __name__ == "__main__":
    sys.exit(main())
