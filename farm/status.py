"""How far a job is, from its ledger alone; nothing is started or changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .ledger import Ledger
from .plan import COUNTS

WINDOW = 60.0  # seconds of work that the speed is of
STATES = ("planned", "leased", "done", "failed")


@dataclass(frozen=True)
class Status:
    """Counts by state, items a second and seconds left (None: nobody works), and what stands out.

    Attributes:
        slowest: (name, station, seconds) of done items.
        tried: (name, tries, reason) of items that took several, or fail.
        errors: (kind, count, an example's reason) of failed items.
        stations: (name, done, usual seconds).
    """

    counts: dict[str, int]
    speed: float | None
    left: float | None
    farms: int
    slowest: list[tuple]
    tried: list[tuple]
    errors: list[tuple]
    stations: list[tuple]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def look(ledger: Ledger, worst: int = 5) -> Status:
    """The status; a hundred thousand items take well under a second."""
    counts = dict.fromkeys(STATES, 0) | {str(state): int(count) for state, count in ledger.rows(COUNTS)}
    speed, farms = 0.0, 0
    for run, seconds in ledger.rows("SELECT run, seconds FROM runs WHERE ended = 0"):
        if ledger.is_gone(run):
            continue
        farms += 1
        window = min(WINDOW, seconds)
        ((done,),) = ledger.rows(
            "SELECT COUNT(*) FROM items WHERE state = 'done' AND run = ? AND finished > ?", run, seconds - window
        )
        speed += done / window if window else 0.0
    left = (counts["planned"] + counts["leased"]) / speed if speed else None
    return Status(
        counts, speed if farms else None, left, farms,
        ledger.rows("SELECT name, station, seconds FROM items WHERE wanted = 1 AND state = 'done' "
                    "ORDER BY seconds DESC LIMIT ?", worst),
        ledger.rows("SELECT name, tries, reason FROM items WHERE wanted = 1 AND tries > 0 "
                    "ORDER BY tries DESC, id LIMIT ?", worst),
        ledger.rows("SELECT kind, COUNT(*), MIN(reason) FROM items WHERE wanted = 1 AND state = 'failed' "
                    "GROUP BY kind ORDER BY 2 DESC"),
        ledger.rows("SELECT station, COUNT(*), AVG(seconds) FROM items WHERE wanted = 1 AND state = 'done' "
                    "GROUP BY station ORDER BY 2 DESC"),
    )  # fmt: skip


def duration(seconds: float) -> str:
    """As 42 s, 3:05 min or 5:12 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def lines(status: Status) -> Iterable[str]:
    """The table that `farm status` shows."""
    total, counts = status.total, status.counts
    done = 100 * counts["done"] / total if total else 0.0
    yield "  ".join(f"{state} {counts[state]}" for state in STATES) + f"  of {total} ({done:.1f} % done)"
    if status.speed is None:
        yield "no farm works on it"
    else:
        left = f", about {duration(status.left)} left" if status.left is not None else ""
        yield f"{status.farms} farm{'s' if status.farms > 1 else ''}, {60 * status.speed:.1f} items a minute{left}"
    for title, heads, rows in (
        ("servers", ("server", "done", "seconds each"), status.stations),
        ("slowest", ("item", "server", "seconds"), status.slowest),
        ("tried again", ("item", "tries", "last reason"), status.tried),
        ("failed", ("kind", "items", "for example"), status.errors),
    ):
        if rows:
            yield ""
            yield title
            yield from _table(heads, rows)


def _table(heads: tuple[str, ...], rows: list[tuple]) -> Iterable[str]:
    shown = [heads, *(tuple(f"{one:.1f}" if isinstance(one, float) else str(one) for one in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads))]
    for row in shown:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
