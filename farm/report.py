"""`farm report`: one HTML file with pairs of before and after as small pictures, and errors by kind."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote

from .job import Job
from .ledger import Ledger
from .status import Status, duration, look

SIDE = 256  # pixels of a small picture's longer side
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#222;background:#fafafa}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(24rem,1fr));gap:1rem}
figure{margin:0;background:#fff;border:1px solid #ddd;border-radius:6px;padding:.5rem}
figure div{display:flex;gap:.4rem}figure img{width:50%;height:auto;object-fit:contain}
figcaption{font-size:13px;color:#555;overflow-wrap:anywhere;margin-top:.3rem}.failed{color:#a22}
"""


def html(job: Job, ledger: Ledger, pairs: int, beside: Path) -> str:
    """The page; ``pairs`` at most, spread over all done items. ``beside``: the page's folder.

    Small pictures are inside the page where Pillow is installed, else the page shows the files where they are.
    """
    status = look(ledger)
    rows = ledger.rows(
        "SELECT name, label, picture, files, seconds, station FROM items WHERE wanted = 1 AND state = 'done' "
        "ORDER BY id"
    )
    step = max(1, -(-len(rows) // pairs)) if pairs else len(rows) + 1
    shown = rows[::step] if pairs else []
    failed = ledger.rows(
        "SELECT name, kind, tries, reason FROM items WHERE wanted = 1 AND state = 'failed' ORDER BY kind, id"
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(job.file.stem)}</title><style>{STYLE}</style>",
        f"<h1>{escape(job.file.stem)}</h1>", *_summary(status),
        *_errors(failed), f"<h2>Before and after</h2><p>{len(shown)} of {len(rows)}</p><div class=pairs>",
        *(_pair(job, row, beside) for row in shown), "</div></html>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _summary(status: Status) -> Iterable[str]:
    cells = "".join(f"<tr><th>{escape(state)}<td>{count}" for state, count in status.counts.items())
    yield f"<table>{cells}</table>"
    if status.stations:
        rows = "".join(
            f"<tr><td>{escape(str(name))}<td>{count}<td>{seconds:.1f}" for name, count, seconds in status.stations
        )
        yield f"<table><tr><th>server<th>done<th>seconds each{rows}</table>"


def _errors(failed: list[tuple]) -> Iterable[str]:
    kinds: dict[str, list[tuple]] = {}
    for row in failed:
        kinds.setdefault(row[1], []).append(row)
    if kinds:
        yield "<h2>Errors</h2>"
    for kind, rows in sorted(kinds.items(), key=lambda one: -len(one[1])):
        lines = "".join(
            f"<tr><td>{escape(name)}<td>{tries}<td class=failed>{escape(reason)}" for name, _, tries, reason in rows
        )
        yield f"<h3>{escape(kind)} ({len(rows)})</h3><table><tr><th>item<th>tries<th>reason{lines}</table>"


def _pair(job: Job, row: tuple, beside: Path) -> str:
    import json

    name, label, picture, files, seconds, station = row
    made = json.loads(files)
    after = job.output / made[0][0] if made else Path()
    images = "".join(
        f'<img loading=lazy alt="{what}" title="{what}" src="{escape(_source(path, beside))}">'
        for what, path in (("before", Path(picture)), ("after", after))
    )
    told = f"{escape(name)} &middot; from {escape(label)} &middot; {escape(duration(seconds))} on {escape(station)}"
    return f"<figure><div>{images}</div><figcaption>{told}</figcaption></figure>"


def _source(path: Path, beside: Path) -> str:
    """A picture for the page, small and inside it, or where it is."""
    if importlib.util.find_spec("PIL") is not None:
        from PIL import Image, ImageOps

        try:
            with Image.open(path) as opened:
                small = ImageOps.exif_transpose(opened).convert("RGB")
                small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                data = io.BytesIO()
                small.save(data, "JPEG", quality=85)
        except OSError:
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    try:
        return quote(Path(os.path.relpath(path, beside)).as_posix())
    except ValueError:  # on another drive of Windows
        return path.as_uri()
