"""What a browser is shown of the segments while a detailer works on them.

Nothing is made, sent or kept unless the browser that queued the prompt is connected and has asked for it. A run costs
no more than a few small JPEG pictures and two copies of the crop a segment, and for the steps about ``STEPS_SHARE`` of
the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch

from ..core import SEG, Region, Size, bbox
from . import host
from .host.protocols import Model
from .review import AFTER, BEFORE, CANDIDATE, LONGEST_SIDE, Facts, Node, Review, View, thumbnail

EVENT = "mask_detailer.live"
STEPS_A_SECOND = 10
STEPS_SHARE = 0.002  # of the time: step events that take longer to make come the more seldom,
LONGEST_PAUSE = 2.0  # but no more than this many seconds apart
PATIENCE = 30.0  # seconds that a page may take to be loaded again while a run goes on
_MOST_CLIENTS = 64
_MOST_LETTERS = 60
_MOST_LETTERS_OF_ID = 200  # ComfyUI's own have 32


class Audience:
    """The browsers, by client id, that want to be shown something; the server's thread writes, nodes' threads read."""

    def __init__(self) -> None:
        self._clients: dict[str, None] = {}

    def set(self, client: str, wants: bool) -> None:
        """A browser says what it wants; of very many the first are forgotten."""
        self._clients.pop(client, None)
        if wants and 0 < len(client) <= _MOST_LETTERS_OF_ID:
            self._clients[client] = None
        while len(self._clients) > _MOST_CLIENTS:
            self._clients.pop(next(iter(self._clients)))

    def __contains__(self, client: str) -> bool:
        return client in self._clients


audience = Audience()
review = Review()


# --- what the detailer's plans say, as far as it is shown -----------------------------------------------------------


class PlannedCrop(Protocol):
    """One segment's plan.

    Attributes:
        number: its place in the order of work, from 1.
        region: what is cut out of the picture.
        working: the size that it is sampled at.
        skipped: why it is not worked on, None if it is.
        kept: that is why: the picture is to stay as it is there.
        frames: of a clip's part the first and the last frame, from 1.
    """

    @property
    def number(self) -> int: ...
    @property
    def seg(self) -> SEG: ...
    @property
    def region(self) -> Region: ...
    @property
    def working(self) -> Size: ...
    @property
    def seed(self) -> int: ...
    @property
    def skipped(self) -> str | None: ...
    @property
    def kept(self) -> bool: ...
    @property
    def frames(self) -> tuple[int, int] | None: ...
    def own_image(self) -> torch.Tensor | None:
        """``[1,h,w,3]`` over ``region``, None where it has none."""
        ...


class PlannedPicture(Protocol):
    """One picture's plan: its segments in the order of work."""

    @property
    def crops(self) -> Sequence[PlannedCrop]: ...


class PlacedCrop(Protocol):
    """A crop of one of several pictures: the picture's index, from 0."""

    @property
    def picture(self) -> int: ...
    @property
    def crop(self) -> PlannedCrop: ...


@dataclass
class Live:
    """Tells a browser how the work on a node's segments goes; one a run.

    Attributes:
        browser: None where nobody watches.
        pictures: how many there are.
    """

    browser: host.server.Browser | None = None
    pictures: int = 1
    _images: dict[int, torch.Tensor] = field(default_factory=dict, init=False)
    _working: Sequence[PlacedCrop] = field(default=(), init=False)
    _seen: float = field(default_factory=time.monotonic, init=False)
    _not_before: float = field(default=0.0, init=False)
    _cost: float = field(default=LONGEST_PAUSE, init=False)

    @classmethod
    def of_node(cls, pictures: int) -> Live:
        """For the node that is running."""
        live = cls(host.server.browser_of_prompt(audience), pictures)
        if live.browser is not None:
            review.begin(live._node, live.browser.prompt_id, pictures, host.server.is_connected)
        live._send("started", pictures=pictures)
        return live

    @property
    def is_watched(self) -> bool:
        return self.browser is not None and self.browser.is_connected

    @property
    def _is_kept(self) -> bool:
        """Whether somebody watches, or did a moment ago: a page that is loaded again comes back."""
        if self.is_watched:
            self._seen = time.monotonic()
        elif self.browser is not None and time.monotonic() - self._seen > PATIENCE:
            self.browser = None
        return self.browser is not None

    @property
    def _node(self) -> Node:
        assert self.browser is not None
        return Node(self.browser.client, self.browser.workflow, self.browser.node)

    def planned(
        self, picture: int, plan: PlannedPicture, image: torch.Tensor, without: str = "", own_images: bool = False
    ) -> None:
        """A picture's segments are known.

        Args:
            picture: its place, from 0.
            image: ``[1,H,W,3]`` float32 0..1.
            without: why there are none where there are none, in a word.
            own_images: segments that have an image of their own are worked on in that.
        """
        with self._only_shown():
            if not self._is_kept:
                return
            shown = self.is_watched
            segments = [_planned(crop, image, own_images, shown) for crop in plan.crops]
            self._images[picture] = image
            why = {} if segments else {"why": without}
            review.planned(self._node, picture, segments, **why)
            self._send("planned", picture=picture, segments=segments, **why)

    def begun(self, places: Sequence[PlacedCrop], span: str = "", spans: int = 1) -> None:
        """Crops are worked on from now on, all at once; of clips a span of so many."""
        self._working = places
        of = {"span": span, "spans": spans} if span else {}
        self._tell("begun", [{**_name(place), **_facts(place.crop), **of} for place in places], state="working")

    def step(self, step: int, steps: int, model: Model, x0: torch.Tensor) -> None:
        """A step of those that were begun is done; ``x0`` is their clean latents so far. Most calls do nothing."""
        if time.perf_counter() < self._not_before or not self.is_watched:
            return
        with self._only_shown():
            self._show_step(step, steps, model, x0)

    def _show_step(self, step: int, steps: int, model: Model, x0: torch.Tensor) -> None:
        now = time.perf_counter()
        previews = host.latents.latent_colours(model, x0, LONGEST_SIDE)  # waits for the GPU, which is no time lost
        started = time.perf_counter()
        segments = [_name(place) for place in self._working]
        for segment, preview in zip(segments, () if previews is None else previews.split(1), strict=False):
            segment["preview"] = thumbnail(preview)
        self._send("step", step=step, steps=steps, segments=segments)
        # the least counts: all above it is the machine's being busy with the sampling itself
        self._cost = min(self._cost, time.perf_counter() - started)
        self._not_before = now + min(max(1 / STEPS_A_SECOND, self._cost / STEPS_SHARE), LONGEST_PAUSE)

    def done(self, place: PlacedCrop, shown: Callable[[], torch.Tensor], before: torch.Tensor | None = None) -> None:
        """A segment is finished.

        Args:
            shown: gives its crop now, ``[n,h,w,3]`` float32 0..1.
            before: the crop as it was cut, of the same form.
        """
        self._finished(place, shown, before, {})

    def reused(self, place: PlacedCrop, shown: Callable[[], torch.Tensor], before: torch.Tensor | None = None) -> None:
        """The same, of one that came from the memory."""
        self._finished(place, shown, before, {"reused": True})

    def _finished(
        self, place: PlacedCrop, shown: Callable[[], torch.Tensor], before: torch.Tensor | None, facts: Facts
    ) -> None:
        with self._only_shown():
            if not self._is_kept or place.crop.skipped:
                return
            after = shown()
            if before is not None:
                self._keep(place, BEFORE, before)
            self._keep(place, AFTER, after)
            thumb = {"after": thumbnail(after)} if self.is_watched else {}
            self._tell("done", [{**_name(place), **_facts(place.crop), **facts, **thumb}], state="done")

    def kept(self, place: PlacedCrop, before: torch.Tensor | None = None) -> None:
        """A segment stays as the picture has it: ``before``, or what that shows of it."""
        with self._only_shown():
            image = self._images.get(place.picture)
            if not self._is_kept:
                return
            if before is None and image is not None:
                rows, columns = place.crop.region.within(Size(*image.shape[1:3])).slices
                before = image[:, rows, columns]
            if before is not None:
                self._keep(place, BEFORE, before)
            self._tell("kept", [_name(place)], state="kept")

    def candidates(
        self,
        place: PlacedCrop,
        shown: Sequence[tuple[int, Callable[[], torch.Tensor]]],
        pasted: int = 0,
        points: Sequence[float] = (),
    ) -> None:
        """A segment's candidates: seeds, and what gives their crops.

        Args:
            pasted: which of them is, from 0.
            points: what is wrong with each in one number, where it was judged.
        """
        with self._only_shown():
            if not self._is_kept:
                return
            told: list[Facts] = []
            for index, (seed, picture) in enumerate(shown):
                crop = picture()
                self._keep(place, CANDIDATE, crop, str(seed))
                judged = {"points": f"{points[index]:.2f}"} if points else {}
                told.append({"seed": str(seed), "shown": thumbnail(crop), "pasted": index == pasted, **judged})
            self._tell("candidates", [{**_name(place), "candidates": told}])

    def lost(self, keys: Sequence[str]) -> None:
        """Choices that found no part."""
        if self.browser is not None and keys:
            review.lost(self._node, list(keys))
            self._send("lost", keys=list(keys))

    def ended(self) -> None:
        """All is finished."""
        self._images.clear()
        if self.browser is not None:
            review.ended(self._node)
        self._send("ended")

    def _keep(self, place: PlacedCrop, which: str, crop: torch.Tensor, seed: str = "") -> None:
        review.keep(self._node, View(place.picture, place.crop.number, which, seed), crop)

    @contextmanager
    def _only_shown(self) -> Iterator[None]:
        """Where something can't be shown, a line in the log says so, and no more is shown of this run."""
        shown = False
        with host.devices.only_a_preview("the browser is shown no more of this run"):
            yield
            shown = True
        if not shown:
            self.browser = None

    def _tell(self, what: str, segments: list[Facts], **facts: object) -> None:
        """Send it, and keep it with these facts for a page that comes late."""
        with self._only_shown():
            if self.browser is not None:
                review.tell(self._node, segments, **facts)
                self._send(what, segments=segments)

    def _send(self, what: str, **facts: object) -> None:
        with self._only_shown():
            if self.browser is not None and self.is_watched:
                self.browser.send(EVENT, {"what": what, **facts})


def _planned(crop: PlannedCrop, image: torch.Tensor, own_images: bool, shown: bool) -> Facts:
    facts: Facts = {
        "number": crop.number,
        "label": str(getattr(crop.seg, "label", ""))[:_MOST_LETTERS],
        "skipped": None if crop.kept else crop.skipped,
        "box": [int(side) for side in bbox(crop.seg).as_list()],
    }
    if crop.frames is not None:
        facts["frames"] = list(crop.frames)
    if crop.region.is_empty:
        return facts
    facts |= _facts(crop)
    if shown:
        rows, columns = crop.region.within(Size(*image.shape[1:3])).slices
        own = crop.own_image() if own_images else None
        facts["before"] = thumbnail(image[:, rows, columns] if own is None else own)
    return facts


def _name(place: PlacedCrop) -> Facts:
    return {"picture": place.picture, "number": place.crop.number}


def _facts(crop: PlannedCrop) -> Facts:
    # as text: a seed can be larger than a number of JavaScript holds
    return {"size": str(crop.working), "seed": str(crop.seed)}
