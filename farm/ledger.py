"""The ledger: one SQLite file that knows of every item what it is made of and how far it is.

An item is *planned*, *leased* by a farm that works it, *done* or *failed*. Files are written before an item is marked
done, so that work may be done again after a crash but no file is ever missing. No time of day is kept or compared.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import owners
from .errors import FarmError
from .items import Item
from .job import Value
from .pictures import Facts

logger = logging.getLogger("mask_detailer.farm")

VERSION = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE files (path TEXT PRIMARY KEY, stamp TEXT, digest TEXT, width INTEGER, height INTEGER) WITHOUT ROWID;
CREATE TABLE runs (
    run TEXT PRIMARY KEY, machine TEXT, pid INTEGER, beat INTEGER DEFAULT 0, seconds REAL DEFAULT 0,
    ended INTEGER DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE items (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, key TEXT, plan TEXT, wanted INTEGER DEFAULT 1, label TEXT, picture TEXT,
    mask TEXT, picture_digest TEXT, mask_digest TEXT, given TEXT, state TEXT DEFAULT 'planned', tries INTEGER DEFAULT 0,
    kind TEXT DEFAULT '', reason TEXT DEFAULT '', run TEXT DEFAULT '', station TEXT DEFAULT '', seconds REAL DEFAULT 0,
    finished REAL DEFAULT 0, files TEXT DEFAULT '[]'
);
CREATE INDEX by_state ON items (wanted, state, id);
CREATE INDEX by_key ON items (key);
CREATE INDEX by_run ON items (run, finished) WHERE state = 'done';
"""
UPSERT = """
INSERT INTO items (name, key, plan, label, picture, mask, picture_digest, mask_digest, given, state, kind, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    wanted = 1, plan = excluded.plan, label = excluded.label, picture = excluded.picture, mask = excluded.mask,
    picture_digest = excluded.picture_digest, mask_digest = excluded.mask_digest, given = excluded.given,
    state = CASE WHEN excluded.state = 'failed' OR key != excluded.key OR kind IN ('input', 'changed')
        THEN excluded.state ELSE state END,
    kind = CASE WHEN excluded.state = 'failed' OR key != excluded.key OR kind IN ('input', 'changed')
        THEN excluded.kind ELSE kind END,
    reason = CASE WHEN excluded.state = 'failed' OR key != excluded.key OR kind IN ('input', 'changed')
        THEN excluded.reason ELSE reason END,
    tries = CASE WHEN key != excluded.key THEN 0 ELSE tries END,
    key = excluded.key
"""


@dataclass(frozen=True)
class Row:
    """An item to work; ``given`` are its values by "node id.input"."""

    name: str
    key: str
    label: str
    picture: Path
    mask: Path | None
    picture_digest: str
    mask_digest: str
    given: dict[str, Value]
    tries: int


class Ledger:
    """An open ledger. One thread uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._life: owners.Life | None = None
        self._plan = ""
        self._started = time.monotonic()
        self._beat = 0
        self._heard: dict[str, tuple[int, float]] = {}  # of other farms: their beat, and when it last changed for us
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last marks, never the file
        with self.transaction():
            version = self._one("PRAGMA user_version")
            if version == 0:
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise FarmError(f"the ledger {path} is of another version ({version}) of the farm: move it away")

    @property
    def lives(self) -> Path:
        """The folder of the locks of farms that live."""
        return self.path.with_name(f".{self.path.stem}") / "lives"

    @property
    def run(self) -> str:
        return self._life.run if self._life else ""

    def close(self) -> None:
        """Give back what we leased, if anything, and close."""
        with contextlib.suppress(sqlite3.Error):
            if self._life:
                self.give_back()
                self._db.execute("UPDATE runs SET ended = 1 WHERE run = ?", (self.run,))
        if self._life:
            self._life.end()
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes meanwhile; within another one, part of that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _one(self, query: str, *values: object) -> int:
        return self._db.execute(query, values).fetchone()[0]

    def rows(self, query: str, *values: object) -> list[tuple]:
        """For reports: what a query gives."""
        return self._db.execute(query, values).fetchall()

    # planning

    def put_plan(self, plan: str, items: Iterable[Item]) -> None:
        """Make these items the wanted ones. What is done, failed or worked of the same key stays so."""
        rows = [_values(plan, item) for item in items]  # before others must wait
        with self.transaction():
            self._db.execute("UPDATE items SET wanted = 0 WHERE wanted = 1")
            self._db.executemany(UPSERT, rows)
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('plan', ?)", (plan,))
        self._plan = plan

    def moved(self) -> list[tuple[str, str, list[tuple[str, int]]]]:
        """(name, old name, its files) of planned items that are done under a name that is no longer wanted."""
        found = self._db.execute(
            "SELECT new.name, old.name, old.files FROM items new JOIN items old ON old.key = new.key "
            "WHERE new.wanted = 1 AND new.state = 'planned' AND old.wanted = 0 AND old.state = 'done' GROUP BY old.name"
        )
        return [(new, old, _files(files)) for new, old, files in found]

    def take_files(self, name: str, old: str, files: list[tuple[str, int]]) -> None:
        """An item is done with the files of one that is no longer wanted; call within a transaction."""
        self._db.execute("DELETE FROM items WHERE name = ?", (old,))
        self._db.execute("UPDATE items SET state = 'done', files = ? WHERE name = ?", (json.dumps(files), name))

    def done_files(self) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """(name, its files) of wanted items that are done."""
        found = self._db.execute("SELECT name, files FROM items WHERE wanted = 1 AND state = 'done'").fetchall()
        return ((name, _files(files)) for name, files in found)

    def replan(self, names: Iterable[str]) -> None:
        """These are to be done again: their files are gone."""
        with self.transaction():
            self._db.executemany("UPDATE items SET state = 'planned', tries = 0 WHERE name = ?", ((n,) for n in names))

    def retry(self) -> int:
        """Failed items are planned again, with no tries yet; how many."""
        with self.transaction():
            changed = self._db.execute(
                "UPDATE items SET state = 'planned', tries = 0, kind = '', reason = '' "
                "WHERE wanted = 1 AND state = 'failed'"
            )
        return changed.rowcount

    def kept(self) -> dict[str, tuple[str, Facts]]:
        """What is known of files, by path: (stamp, facts)."""
        found = self._db.execute("SELECT path, stamp, digest, width, height FROM files")
        return {path: (stamp, Facts(digest, width, height)) for path, stamp, digest, width, height in found}

    def keep(self, facts: Iterable[tuple[str, str, Facts]]) -> None:
        """(path, stamp, facts) of files."""
        rows = ((path, stamp, one.digest, one.width, one.height) for path, stamp, one in facts)
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def kept_digest(self, path: Path, size: int, time_ns: int) -> str | None:
        found = self._db.execute("SELECT stamp, digest FROM files WHERE path = ?", (str(path),)).fetchone()
        return found[1] if found and found[0] == f"{size}.{time_ns}" else None

    def keep_digest(self, path: Path, size: int, time_ns: int, digest: str) -> None:
        self.keep([(str(path), f"{size}.{time_ns}", Facts(digest, 0, 0))])

    # working

    def begin(self) -> str:
        """Begin to work under a name of our own, which comes back."""
        self._life = owners.live(self.lives)
        values = (self._life.run, owners.this_machine(), os.getpid())
        self._db.execute("INSERT INTO runs (run, machine, pid) VALUES (?, ?, ?)", values)
        return self._life.run

    def beat(self) -> None:
        """Show that we live."""
        self._beat += 1
        elapsed = time.monotonic() - self._started
        self._db.execute("UPDATE runs SET beat = ?, seconds = ? WHERE run = ?", (self._beat, elapsed, self.run))

    def lease(self, count: int) -> list[Row]:
        """Up to so many planned items of our plan, from now on ours."""
        with self.transaction():
            found = self._db.execute(
                "SELECT name, key, label, picture, mask, picture_digest, mask_digest, given, tries FROM items "
                "WHERE wanted = 1 AND state = 'planned' AND plan = ? ORDER BY id LIMIT ?",
                (self._plan, count),
            ).fetchall()
            self._db.executemany(
                "UPDATE items SET state = 'leased', run = ? WHERE name = ?", [(self.run, row[0]) for row in found]
            )
        return [
            Row(name, key, label, Path(picture), Path(mask) if mask else None, of, of_mask, json.loads(given), tries)
            for name, key, label, picture, mask, of, of_mask, given, tries in found
        ]

    def give_back(self, name: str | None = None) -> None:
        """An item of ours, or all that we still have, is planned again."""
        one, values = (" AND name = ?", (self.run, name)) if name else ("", (self.run,))
        self._db.execute(f"UPDATE items SET state = 'planned' WHERE state = 'leased' AND run = ?{one}", values)

    def is_open(self, row: Row) -> bool:
        """Whether the item is still to be made of just this; ask within a transaction."""
        query = "SELECT COUNT(*) FROM items WHERE name = ? AND key = ? AND wanted = 1 AND state != 'done'"
        return bool(self._one(query, row.name, row.key))

    def files_of(self, name: str) -> list[str]:
        """The files that an item had before, below the output folder."""
        found = self._db.execute("SELECT files FROM items WHERE name = ?", (name,)).fetchone()
        return [file for file, _ in _files(found[0])] if found else []

    def done(self, row: Row, files: list[tuple[str, int]], station: str, seconds: float) -> None:
        """Its files (path below the output folder, bytes) are in their places; call within a transaction."""
        self._db.execute(
            "UPDATE items SET state = 'done', files = ?, run = ?, station = ?, seconds = ?, finished = ?, kind = '', "
            "reason = '' WHERE name = ? AND key = ?",
            (json.dumps(files), self.run, station, seconds, time.monotonic() - self._started, row.name, row.key),
        )

    def tried(self, row: Row, kind: str, reason: str, failed: bool) -> int:
        """A try went wrong, with ``failed`` the last one; how many there were."""
        state = "'failed'" if failed else "state"
        self._db.execute(
            f"UPDATE items SET tries = tries + 1, kind = ?, reason = ?, state = {state} "
            "WHERE name = ? AND key = ? AND state != 'done'",
            (kind, reason, row.name, row.key),
        )
        return self._one("SELECT tries FROM items WHERE name = ?", row.name)

    def leased_by_others(self) -> int:
        return self._one("SELECT COUNT(*) FROM items WHERE wanted = 1 AND state = 'leased' AND run != ?", self.run)

    def take_from_the_dead(self, lease_seconds: float) -> list[tuple[str, str]]:
        """Items of farms that are gone are planned again: (run, name). Of farms on other machines the beat counts."""
        owing = "SELECT DISTINCT run FROM items WHERE state = 'leased' AND run != ?"
        found = self._db.execute(
            f"SELECT o.run, r.machine, r.beat, r.ended FROM ({owing}) o LEFT JOIN runs r ON r.run = o.run", (self.run,)
        ).fetchall()
        dead = [run for run, machine, beat, ended in found if ended or self._is_dead(run, machine, beat, lease_seconds)]
        taken = []
        for run in dead:
            with self.transaction():
                names = self._db.execute("SELECT name FROM items WHERE state = 'leased' AND run = ?", (run,)).fetchall()
                self._db.execute("UPDATE items SET state = 'planned' WHERE state = 'leased' AND run = ?", (run,))
            taken += [(run, name) for (name,) in names]
        return taken

    def is_gone(self, run: str) -> bool:
        """Whether a farm of this machine is gone; of other machines nothing can be said at once."""
        found = self._db.execute("SELECT machine, ended FROM runs WHERE run = ?", (run,)).fetchone()
        if found is None or found[1]:
            return True
        return run != self.run and found[0] == owners.this_machine() and owners.is_dead(self.lives, run)

    def _is_dead(self, run: str, machine: str | None, beat: int, lease_seconds: float) -> bool:
        if machine is None or (machine == owners.this_machine() and owners.is_dead(self.lives, run)):
            return True
        now = time.monotonic()
        heard, since = self._heard.setdefault(run, (beat, now))
        if heard != beat:
            self._heard[run] = (beat, now)
            return False
        return now - since > lease_seconds


def open_ledger(path: Path, must_be_there: bool = False) -> Ledger:
    """Open or make it. One that is damaged is put aside, and all its items are planned anew.

    One that ``must_be_there`` is not looked through, so that a status is quick.
    """
    if must_be_there and not path.is_file():
        raise FarmError(f"there is no ledger {path} yet: run the job first")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ledger = Ledger(path)
        try:
            if not must_be_there and ledger.rows("PRAGMA quick_check") != [("ok",)]:
                raise sqlite3.DatabaseError("malformed")
        except BaseException:
            ledger.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "unable to open" in str(error):
            raise FarmError(f"the ledger {path} can't be opened: {error}") from None
        raise
    except sqlite3.DatabaseError as error:
        aside = next(name for n in range(1, 10**6) if not (name := path.with_name(f"{path.name}.damaged-{n}")).exists())
        path.rename(aside)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        logger.warning("the ledger was damaged (%s): it is kept as %s, and all items are done anew", error, aside.name)
        return Ledger(path)
    return ledger


def _values(plan: str, item: Item) -> tuple[str | None, ...]:
    state, kind = ("failed", "input") if item.problem else ("planned", "")
    return (
        item.name, item.key, plan, item.label, str(item.picture), str(item.mask) if item.mask else None,
        item.picture_digest, item.mask_digest, json.dumps(item.values), state, kind, item.problem,
    )  # fmt: skip


def _files(text: str) -> list[tuple[str, int]]:
    return [(name, size) for name, size in json.loads(text)]
