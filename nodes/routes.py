"""What the browser asks the server for: pictures of segments, names of wildcard lists, live events, old files; and what
is done to prompts before they are validated."""

from __future__ import annotations

from ..detailer import host, live, steering
from ..detailer.picker import Candidates
from ..detailer.prompts.wildcard_files import Wildcards, wildcard_folders
from .past import files, prompts

MOST_DIGITS = 9  # of a segment's number

candidates = Candidates()


def _count(query: host.server.Query) -> host.server.Answer:
    count = candidates.count(query.get("id", ""), query.get("workflow"))
    return None if count is None else str(count)


def _view(query: host.server.Query) -> host.server.Answer:
    index = query.get("idx", "")
    if not index.isdecimal() or len(index) > MOST_DIGITS:
        return None
    return candidates.png(query.get("id", ""), int(index), query.get("workflow"))


def _wildcards(query: host.server.Query) -> host.server.Answer:
    return {"data": [f"__{name}__" for name in Wildcards(wildcard_folders())]}


def _live(query: host.server.Query) -> host.server.Answer:
    """A browser says whether it wants to be shown what goes on in its prompts."""
    live.audience.set(query.get("client", ""), query.get("on") == "1")
    return ""


def _steering(query: host.server.Query) -> host.server.Answer:
    """A browser says whether its user lets nodes change widgets and queue."""
    steering.allowing.set(query.get("client", ""), query.get("on") == "1")
    return ""


def register() -> None:
    """Serve them under paths of our own, and under the Impact Pack's where it doesn't serve them."""
    for path, answer in {
        "/mask_detailer/picker/count": _count,
        "/mask_detailer/picker/view": _view,
        "/mask_detailer/live": _live,
        "/mask_detailer/steering": _steering,
        "/impact/segs/picker/count": _count,
        "/impact/segs/picker/view": _view,
        "/impact/wildcards/list": _wildcards,
    }.items():
        host.server.when_serving(lambda path=path, answer=answer: host.server.serve_get(path, answer))
    host.server.when_serving(lambda: host.server.serve_post("/mask_detailer/old_file", files.upgrades))
    host.server.when_queued(prompts.bring_up_to_date)
