"""What a browser is told while a detailer works: all that it shows, and nothing where none looks on."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import comfy_execution.graph
import comfy_execution.progress
import cv2
import latent_preview
import numpy as np
import pytest
import torch
from comfy_execution.utils import CurrentNodeContext
from engine.running import SEGS_SIZE, SMALL, detail, segs_of
from engine.test_detailer_family import without_paste
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer import host, live
from mask_detailer.detailer.review import AFTER, BEFORE, Node, Review, View
from mask_detailer.nodes.segs_detailers import SEGSDetailer

SIZE = (64, 72)
BOXES = [(4, 4, 12, 12), (30, 24, 38, 32), (56, 48, 64, 56)]
BROWSER, PROMPT, NODE, WORKFLOW = "browser", "prompt 1", "12:5", "workflow 1"


class Server:
    """What of ComfyUI's server counts here, with a browser that queued the running prompt and looks on."""

    def __init__(self) -> None:
        self.sockets: dict[str, Any] = {BROWSER: object(), "other": object()}
        self.client_id: str | None = BROWSER
        extra = {"extra_pnginfo": {"workflow": {"id": WORKFLOW}}}
        self.prompt_queue = SimpleNamespace(currently_running={0: (1, PROMPT, {}, extra, [], {})})
        self.sent: list[dict[str, Any]] = []

    def send_sync(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        if event == live.EVENT:
            assert client == BROWSER
            self.sent.append(data)

    def told(self, what: str) -> list[dict[str, Any]]:
        return [data for data in self.sent if data["what"] == what]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    module = SimpleNamespace(PromptServer=SimpleNamespace(instance=server))
    monkeypatch.setitem(sys.modules, "server", module)  # type: ignore[arg-type]
    monkeypatch.setattr(live, "audience", live.Audience())
    monkeypatch.setattr(live, "review", Review())
    monkeypatch.setattr(live, "STEPS_A_SECOND", 1e9)
    monkeypatch.setattr(live, "STEPS_SHARE", 1e9)
    live.audience.set(BROWSER, True)
    prompt = comfy_execution.graph.DynamicPrompt({NODE: {"class_type": "MaskDetailerPipe", "inputs": {}}})
    comfy_execution.progress.reset_progress_state(PROMPT, prompt)
    with CurrentNodeContext(PROMPT, NODE, None):
        yield server


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pictures that were made to be shown."""
    made: list[str] = []

    def counted(name: str, call: Any) -> Any:
        return lambda *arguments: (made.append(name), call(*arguments))[1]

    monkeypatch.setattr(live, "thumbnail", counted("thumbnail", live.thumbnail))
    monkeypatch.setattr(host.latents, "latent_colours", counted("latent", host.latents.latent_colours))
    return made


def run(pipe: Pipe, **changes: Any) -> Any:
    return detail(picture(*SIZE), mask_of(*SIZE, *BOXES), pipe, **changes)


def decoded(jpeg: str) -> np.ndarray:
    """RGB bytes."""
    return cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]  # type: ignore[index]


def test_tells_all_in_order(unet: Pipe, server: Server) -> None:
    run(unet)
    a_segment = ["begun", *["step"] * SMALL["steps"], "done"]
    assert [data["what"] for data in server.sent] == ["started", "planned", *a_segment * 3, "ended"]
    assert all((data["node"], data["prompt_id"], data["workflow"]) == (NODE, PROMPT, WORKFLOW) for data in server.sent)
    assert [data["pictures"] for data in server.told("started")] == [1]
    (planned,) = server.told("planned")
    facts = [(one["number"], one["seed"], one["size"], one["skipped"]) for one in planned["segments"]]
    assert facts == [(1, "7", "128x128", None), (2, "8", "128x128", None), (3, "9", "128x128", None)]
    begun = [segment for data in server.told("begun") for segment in data["segments"]]
    assert [(one["picture"], one["number"], one["seed"]) for one in begun] == [(0, 1, "7"), (0, 2, "8"), (0, 3, "9")]
    assert [(data["step"], data["steps"]) for data in server.told("step")] == [(1, 2), (2, 2)] * 3


def test_before_and_after_are_the_crops(unet: Pipe, server: Server) -> None:
    """The parts are 8 pixels wide, their crops twice that; the lowest comes first."""
    image = picture(*SIZE)
    made = run(unet).image
    before = [decoded(segment["before"]) for segment in server.told("planned")[0]["segments"]]
    after = [decoded(data["segments"][0]["after"]) for data in server.told("done")]
    for (x1, y1, x2, y2), was, became in zip(reversed(BOXES), before, after, strict=True):
        rows, columns = slice(y1 - 4, y2 + 4), slice(x1 - 4, x2 + 4)
        for shown, whole in ((was, image), (became, made)):
            wanted = 255 * whole[0, rows, columns].numpy()
            assert shown.shape == wanted.shape
            assert np.abs(shown - wanted).mean() < 12  # JPEG


def test_crops_at_once_each_have_a_preview(unet: Pipe, server: Server) -> None:
    run(unet, crop_batch=3)
    assert [len(data["segments"]) for data in server.told("begun")] == [3]
    for data in server.told("step"):
        assert [segment["number"] for segment in data["segments"]] == [1, 2, 3]
        assert len({segment["preview"] for segment in data["segments"]}) == 3
    assert [len(data["segments"]) for data in server.told("done")] == [1, 1, 1]


def test_several_pictures(unet: Pipe, server: Server) -> None:
    run(unet, batch_size=2)
    assert [data["pictures"] for data in server.told("started")] == [2]
    assert [data["picture"] for data in server.told("planned")] == [0, 1]
    done = [(data["segments"][0]["picture"], data["segments"][0]["number"]) for data in server.told("done")]
    assert sorted(done) == [(picture, number) for picture in (0, 1) for number in (1, 2, 3)]


def test_segments_that_are_not_put_back(unet: Pipe, server: Server) -> None:
    image, segs = picture(*SEGS_SIZE), segs_of((16, 16, 32, 32), (80, 56, 96, 72), labels="fh")
    SEGSDetailer().doit(image, segs, unet, **without_paste(batch_size=2))
    assert [[one["label"] for one in data["segments"]] for data in server.told("planned")] == [["f", "h"]] * 2
    assert len(server.told("done")) == 4
    assert len({data["segments"][0]["after"] for data in server.told("done")}) == 4


def test_skipped_segments_say_why(unet: Pipe, server: Server) -> None:
    image, segs = picture(*SEGS_SIZE), segs_of((16, 16, 32, 32))
    SEGSDetailer().doit(image, segs, unet, **without_paste(guide_size=8.0, force_inpaint=False))
    assert "guide_size" in server.told("planned")[0]["segments"][0]["skipped"]
    assert [data["what"] for data in server.sent] == ["started", "planned", "ended"]


def test_looking_on_changes_nothing(unet: Pipe, server: Server) -> None:
    watched = run(unet)
    server.sockets.clear()
    alone = run(unet)
    assert torch.equal(watched.image, alone.image)


NOBODY: dict[str, Any] = {
    "no server": lambda server, patch: patch.delitem(sys.modules, "server"),
    "no socket": lambda server, patch: server.sockets.clear(),
    "another's socket": lambda server, patch: server.sockets.pop(BROWSER),
    "queued by a script": lambda server, patch: setattr(server, "client_id", None),
    "never asked for": lambda server, patch: patch.setattr(live, "audience", live.Audience()),
    "switched off": lambda server, patch: live.audience.set(BROWSER, False),
}


@pytest.mark.parametrize("alone", NOBODY.values(), ids=NOBODY.keys())
def test_nothing_is_made_for_nobody(
    unet: Pipe, server: Server, made: list[str], monkeypatch: pytest.MonkeyPatch, alone: Any
) -> None:
    alone(server, monkeypatch)
    kept: list[object] = []
    monkeypatch.setattr(live.review, "keep", lambda *crop: kept.append(crop))
    run(unet)
    assert made == []
    assert server.sent == []
    assert kept == []
    assert live.review.states(BROWSER, WORKFLOW, None, lambda prompt: True) == []


def test_crops_are_kept_for_who_looks_closely(unet: Pipe, server: Server) -> None:
    image = picture(*SIZE)
    made = run(unet).image
    node = Node(BROWSER, WORKFLOW, NODE)
    for number, (x1, y1, x2, y2) in enumerate(reversed(BOXES), 1):
        rows, columns = slice(y1 - 4, y2 + 4), slice(x1 - 4, x2 + 4)
        for which, whole in ((BEFORE, image), (AFTER, made)):
            png = live.review.png(node, View(0, number, which))
            assert png is not None
            shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]  # type: ignore[index]
            assert np.array_equal(shown, (255 * whole[0, rows, columns]).round().to(torch.uint8).numpy())
    (event,) = live.review.states(BROWSER, WORKFLOW, NODE, lambda prompt: True)
    assert event["ended"]
    assert [part["state"] for part in event["segments"]] == ["done"] * 3  # type: ignore[union-attr,attr-defined]


def test_places_are_told(unet: Pipe, server: Server) -> None:
    run(unet)
    assert [tuple(one["box"]) for one in server.told("planned")[0]["segments"]] == list(reversed(BOXES))


def test_nothing_more_is_made_once_the_browser_is_gone(unet: Pipe, server: Server, made: list[str]) -> None:
    class Leaving:
        """A hook, called when the first part is pasted."""

        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            server.sockets.clear()
            return image

    run(unet, detailer_hook=Leaving())
    assert [data["what"] for data in server.sent] == ["started", "planned", "begun", "step", "step"]
    assert made == ["thumbnail"] * 3 + ["latent", "thumbnail"] * 2


def test_steps_are_held_back(server: Server, unet: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STEPS_A_SECOND", 1e-9)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 1e9)  # however slow the machine is
    run(unet, steps=6)
    assert len(server.told("step")) == 1


def test_preview_is_comfyuis(unet: Pipe) -> None:
    model, latents = unet[0], torch.randn(3, 4, 24, 16, generator=torch.Generator().manual_seed(3))
    form = model.model.latent_format
    previewer = latent_preview.Latent2RGBPreviewer(form.latent_rgb_factors, form.latent_rgb_factors_bias)
    ours = host.latents.latent_colours(model, latents, 96)
    assert ours is not None
    for item, shown in zip(latents.split(1), ours, strict=True):
        theirs = np.asarray(previewer.decode_latent_to_preview(item)).astype(float)
        assert np.abs(255 * shown.numpy() - theirs).max() <= 1.001  # theirs are cut to bytes
    assert torch.equal(host.latents.latent_colours(model, latents, 12), ours[:, ::2, ::2])  # type: ignore[arg-type]
    assert torch.equal(host.latents.latent_colours(model, latents[:, :, None], 96), ours)  # type: ignore[arg-type]
    assert host.latents.latent_colours(model, torch.zeros(1, 7, 8, 8), 96) is None


@pytest.mark.parametrize(
    ("size", "shown"), [((40, 20), (40, 20)), ((300, 150), (96, 48)), ((97, 1), (96, 1)), ((1000, 10), (96, 1))]
)
def test_thumbnails_are_small(size: tuple[int, int], shown: tuple[int, int]) -> None:
    pixels = decoded(live.thumbnail(torch.full((1, *size, 3), 0.5)))
    assert pixels.shape[:2] == shown
    assert np.abs(pixels.astype(int) - 128).max() <= 2


def test_thumbnail_of_values_that_are_none() -> None:
    assert decoded(live.thumbnail(torch.full((1, 8, 8, 3), float("nan")))).max() == 0


def test_audience_forgets_the_first() -> None:
    audience = live.Audience()
    for number in range(100):
        audience.set(str(number), True)
    assert "0" not in audience
    assert "99" in audience
    audience.set("99", False)
    audience.set("", True)
    assert "99" not in audience
    assert "" not in audience
