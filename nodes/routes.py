"""What the browser asks the server for: pictures of segments, names of wildcard lists, live events, old files; and what
is done to prompts before they are validated."""

from __future__ import annotations

import secrets

from ..detailer import host, live, steering
from ..detailer.picker import Candidates
from ..detailer.pipeline.remembered import memory
from ..detailer.prompts.wildcard_files import Wildcards, wildcard_folders
from ..detailer.prompts.wildcards import expand
from ..detailer.review import AFTER, BEFORE, CANDIDATE, Node, View
from ..detailer.values import wrapped_seed
from . import help_pages
from .past import files, prompts

MEMORY_SETTING = "MaskDetailer.Memory"  # js/memory.js
MOST_DIGITS = 9  # of a segment's number
MOST_DIGITS_OF_SEED = 20
MOST_LETTERS = 100_000  # of a text

candidates = Candidates()


def _count(query: host.server.Query) -> host.server.Answer:
    count = candidates.count(query.get("id", ""), query.get("workflow"))
    return None if count is None else str(count)


def _segments(query: host.server.Query) -> host.server.Answer:
    """What the dialog writes under the thumbnails; no list where the node has not run yet, which is no error."""
    found = candidates.of(query.get("id", ""), query.get("workflow"))
    return {"segments": found and [{"label": one.label, "confidence": one.confidence} for one in found]}


def _view(query: host.server.Query) -> host.server.Answer:
    index = query.get("idx", "")
    if not index.isdecimal() or len(index) > MOST_DIGITS:
        return None
    return candidates.png(query.get("id", ""), int(index), query.get("workflow"))


def _wildcards(query: host.server.Query) -> host.server.Answer:
    return {"data": [f"__{name}__" for name in Wildcards(wildcard_folders())]}


def _loaded(query: host.server.Query) -> host.server.Answer:
    """Lists are read when they are asked for: all count as there."""
    names = [f"__{name}__" for name in Wildcards(wildcard_folders())]
    return {"data": names, "on_demand_mode": False, "total_available": len(names)}


def _refresh(query: host.server.Query) -> host.server.Answer:
    """There is nothing to do: changed files are read anew by themselves."""
    return ""


def _expanded(sent: object) -> host.server.Answer:
    """A text with its choices made."""
    if not isinstance(sent, dict):
        return None
    text, seed = sent.get("text"), sent.get("seed")
    if not isinstance(text, str) or not isinstance(seed, int | None) or len(text) > MOST_LETTERS:
        return None
    seed = secrets.randbits(64) if seed is None else seed
    return {"text": expand(text, wrapped_seed(seed), Wildcards(wildcard_folders()))}


def _help(query: host.server.Query) -> host.server.Answer:
    """A node's help page in a language."""
    return help_pages.page(query["node"], query["language"])


def _live(query: host.server.Query) -> host.server.Answer:
    """A browser says whether it wants to be shown what goes on in its prompts."""
    live.audience.set(query.get("client", ""), query.get("on") == "1")
    return ""


def _reviewed(query: host.server.Query) -> host.server.Answer:
    """A part of a node's last run, before or after, or one of its candidates, at its own size."""
    picture, number, which = query.get("picture", ""), query.get("number", ""), query.get("which", "")
    seed = query.get("seed", "")
    if not (_is_number(picture) and _is_number(number)) or which not in (BEFORE, AFTER, CANDIDATE):
        return None
    if (which == CANDIDATE) != _is_number(seed, MOST_DIGITS_OF_SEED):
        return None
    node = Node(query.get("client", ""), query.get("workflow"), query.get("node", ""))
    return live.review.png(node, View(int(picture), int(number), which, seed))


def _state(query: host.server.Query) -> host.server.Answer:
    """How the last runs of a client's nodes went so far, of one or of all: the events to show that by."""
    client = query.get("client", "")
    return {"events": live.review.states(client, query.get("workflow"), query.get("node"), host.server.is_running)}


def _is_number(text: str, most: int = MOST_DIGITS) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= most


def _memory(query: host.server.Query) -> host.server.Answer:
    """How much the segment memory may hold, and holds; a page's setting is taken at once."""
    return dict(memory.answer(query))


def _steering(query: host.server.Query) -> host.server.Answer:
    """A browser says whether its user lets nodes change widgets and queue."""
    steering.allowing.set(query.get("client", ""), query.get("on") == "1")
    return ""


def _serve_help() -> None:
    for path in host.server.paths_of_pages(help_pages.PAGES.parent):
        host.server.serve_get(f"{path}/{help_pages.ROUTE}", _help)


def register() -> None:
    """Serve them under paths of our own, and under the Impact Pack's where it doesn't serve them."""
    for path, answer in {
        "/mask_detailer/picker/count": _count,
        "/mask_detailer/picker/segments": _segments,
        "/mask_detailer/picker/view": _view,
        "/mask_detailer/live": _live,
        "/mask_detailer/steering": _steering,
        "/mask_detailer/memory": _memory,
        "/impact/segs/picker/count": _count,
        "/impact/segs/picker/view": _view,
        "/impact/wildcards/list": _wildcards,
        "/impact/wildcards/list/loaded": _loaded,
        "/impact/wildcards/refresh": _refresh,
    }.items():
        host.server.when_serving(lambda path=path, answer=answer: host.server.serve_get(path, answer))
    for path, answer in {"/mask_detailer/review": _reviewed, "/mask_detailer/review/state": _state}.items():
        host.server.when_serving(lambda path=path, answer=answer: host.server.serve_get(path, answer, takes_long=True))
    host.server.when_serving(_serve_help)
    host.server.when_serving(lambda: memory.take(host.user_settings.saved(MEMORY_SETTING)))  # as pages left it
    host.server.when_serving(lambda: host.server.serve_post("/impact/wildcards", _expanded))
    host.server.when_serving(lambda: host.server.serve_post("/mask_detailer/old_file", files.upgrades))
    host.server.when_queued(prompts.bring_up_to_date)
