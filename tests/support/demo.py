"""`dev.py demo`: detail the spoiled parts of a drawn scene in a real ComfyUI, over its HTTP interface.

The model is the small one of tools/tiny_model. It writes before.png, mask.png, after.png and side_by_side.png to
`demo_output/`; with `--clip`, of two blurred parts that move, clip_before.mp4, clip_masks.mp4, clip_after.mp4 and both
side by side as clip_side_by_side.webp and .mp4.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tiny_model import WEIGHTS, scenes

from support import fair_clip, pictures, workflow
from support.client import Client, Event, Prompt, PromptError, RefusedError, check
from support.clip_files import write_moving, write_video
from support.pictures import Pixels
from support.server import CHECKOUT, Server, ServerError

OUTPUT = CHECKOUT / "demo_output"
BAR = 32
PATIENCE = 1800.0  # seconds, for slow machines


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py demo")
    parser.add_argument("--setup-seconds", type=float, default=0.0)
    parser.add_argument("--clip", action="store_true", help="detail a clip instead of a picture")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="mask-detailer-demo-", ignore_cleanup_errors=True) as base:
            (detail_clip if options.clip else detail)(Path(base), options.setup_seconds)
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        return 130
    except (ServerError, RefusedError, PromptError, ConnectionError, TimeoutError, OSError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def detail(base: Path, setup_seconds: float) -> None:
    with starting(base) as running:
        before, mask, parts = spoiled_scene()
        before_path = pictures.write(OUTPUT / "before.png", before)
        mask_path = pictures.write(OUTPUT / "mask.png", mask)
        with running.client() as client:
            prompt = workflow.trained(client.upload_image(before_path), client.upload_image(mask_path))
            (after,) = running.made(client, prompt)
    after_path = pictures.write(OUTPUT / "after.png", after)
    both_path = pictures.write(OUTPUT / "side_by_side.png", pictures.side_by_side(before, after, mask))
    for what, path in (("before", before_path), ("mask", mask_path), ("after", after_path), ("both", both_path)):
        print(f"{what:>8}  {path}")
    print(f"demo: detailed {parts} parts in {running.told(setup_seconds)}")


def detail_clip(base: Path, setup_seconds: float) -> None:
    with starting(base) as running:
        clip = fair_clip.fair_clip()
        before_path = write_video(OUTPUT / "clip_before.mp4", [*clip.bad], fair_clip.RATE, exact=True)
        masks_path = write_video(OUTPUT / "clip_masks.mp4", [*clip.masks], fair_clip.RATE, exact=True)
        with running.client() as client:
            prompt = workflow.trained_clip(client.upload_image(before_path), client.upload_image(masks_path))
            after = running.made(client, prompt)
    for what, path in write_clip(clip, after).items():
        print(f"{what:>8}  {path}")
    print(f"demo: detailed {len(clip.places[0])} parts of {len(after)} frames in {running.told(setup_seconds)}")


def write_clip(clip: fair_clip.FairClip, after: Sequence[Pixels]) -> dict[str, Path]:
    """The clip, detailed and as it was, as files that browsers and players show."""
    both = [np.hstack([one, np.full_like(one[:, :12], 255), other]) for one, other in zip(clip.bad, after, strict=True)]
    return {
        "before": write_video(OUTPUT / "clip_before.mp4", [*clip.bad], fair_clip.RATE),
        "masks": write_video(OUTPUT / "clip_masks.mp4", [*clip.masks], fair_clip.RATE),
        "after": write_video(OUTPUT / "clip_after.mp4", after, fair_clip.RATE),
        "both": write_video(OUTPUT / "clip_side_by_side.mp4", both, fair_clip.RATE),
        "webp": write_moving(OUTPUT / "clip_side_by_side.webp", both, fair_clip.RATE),
    }


@dataclass
class Running:
    """A server that starts, and how long it and its work took."""

    server: Server
    began: float
    start_seconds: float = 0.0
    detail_seconds: float = 0.0

    def client(self) -> Client:
        """Once it answers."""
        self.server.wait_until_ready()
        self.start_seconds = time.monotonic() - self.began
        print(f"demo: ComfyUI answers at {self.server.url}", flush=True)
        return Client(self.server.url)

    def made(self, client: Client, prompt: Prompt) -> list[Pixels]:
        """The pictures that a prompt saves."""
        started = time.monotonic()
        prompt_id = client.queue(prompt)
        show_progress(client.events(prompt_id, PATIENCE))
        made = workflow.results(client, prompt_id)
        self.detail_seconds = time.monotonic() - started
        return made

    def told(self, setup_seconds: float) -> str:
        return (
            f"{self.detail_seconds:.1f} s "
            f"(set-up {setup_seconds:.1f} s, ComfyUI's start {self.start_seconds:.1f} s); the server is stopped"
        )


@contextmanager
def starting(base: Path) -> Iterator[Running]:
    """A server with the small model; what is drawn meanwhile costs no time."""
    began = time.monotonic()
    server = Server(base, log=CHECKOUT / ".env" / "demo-server.log")
    server.start()
    try:
        print("demo: starting ComfyUI ...", flush=True)
        shutil.copy(WEIGHTS, base / "models" / "checkpoints")
        yield Running(server, began)
    finally:
        server.stop()


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
