"""The ledger: leases, plans that change, farms that die, files in their places."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server import CHECKOUT

from farm import ledger as ledgers
from farm.errors import FarmError
from farm.items import Item
from farm.ledger import Ledger, open_ledger
from farm.output import Outputs


def items(count: int, key: str = "k", problem: str = "") -> list[Item]:
    return [
        Item(f"{n:03d}", f"{n:03d}.png", Path(f"{n:03d}.png"), None, {"a.b": n}, f"{key}{n}", problem=problem)
        for n in range(count)
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "farm.sqlite")
    opened.begin()
    yield opened
    opened.close()


def states(ledger: Ledger) -> dict[str, int]:
    return dict(ledger.rows("SELECT state, COUNT(*) FROM items WHERE wanted = 1 GROUP BY state"))


def work(ledger: Ledger, count: int, size: int = 3) -> None:
    for row in ledger.lease(count):
        with ledger.transaction():
            assert ledger.is_open(row)
            ledger.done(row, [(f"{row.name}.png", size)], "here", 1.5)


def test_an_item_s_way(ledger: Ledger) -> None:
    ledger.put_plan("p", items(5))
    (row,) = ledger.lease(1)
    assert (row.name, row.key, row.given, row.mask) == ("000", "k0", {"a.b": 0}, None)
    assert states(ledger) == {"leased": 1, "planned": 4}
    assert ledger.tried(row, "error", "no luck", failed=False) == 1
    assert ledger.tried(row, "error", "no luck", failed=True) == 2
    work(ledger, 3)
    assert states(ledger) == {"done": 3, "failed": 1, "planned": 1}
    assert ledger.retry() == 1
    assert [row.tries for row in ledger.lease(9)] == [0, 0]
    ledger.give_back()
    assert states(ledger) == {"done": 3, "planned": 2}


def test_a_changed_job_does_only_what_changed(ledger: Ledger) -> None:
    ledger.put_plan("p", items(4))
    work(ledger, 4)
    changed = items(5)
    changed[1] = changed[1]._replace(key="other")
    ledger.put_plan("q", changed[1:])
    assert states(ledger) == {"done": 2, "planned": 2}
    assert [row.name for row in ledger.lease(9)] == ["001", "004"]
    assert ledger.files_of("001") == ["001.png"]  # until the new one takes its place


def test_what_is_worked_of_another_plan_is_not_kept(ledger: Ledger) -> None:
    ledger.put_plan("p", items(1))
    (row,) = ledger.lease(1)
    ledger.put_plan("q", items(1, key="new"))
    with ledger.transaction():
        assert not ledger.is_open(row)


def test_a_problem_fails_an_item_until_it_is_gone(ledger: Ledger) -> None:
    ledger.put_plan("p", items(2, problem="the picture is cut off"))
    assert states(ledger) == {"failed": 2}
    ledger.put_plan("p", items(2))
    assert states(ledger) == {"planned": 2}


def test_another_name_for_what_is_done(ledger: Ledger, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, "r")
    ledger.put_plan("p", items(2))
    for number in range(2):
        outputs.place(outputs.write(f"{number:03d}", [(".png", b"abc")]))
    work(ledger, 2)
    ledger.put_plan("p", [item._replace(name=f"new/{item.name}") for item in items(2)])
    for name, old, files in ledger.moved():
        ledger.take_files(name, old, outputs.rename(name, old, files))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")) == [
        "new/000.png",
        "new/001.png",
    ]
    assert states(ledger) == {"done": 2} and all(outputs.are_there(files) for _, files in ledger.done_files())


def test_no_item_is_leased_twice(ledger: Ledger) -> None:
    ledger.put_plan("p", items(50))
    other = open_ledger(ledger.path)
    other.begin()
    other._plan = "p"
    taken = []
    for _ in range(13):
        taken += [row.name for row in (*ledger.lease(2), *other.lease(2))]
    assert sorted(taken) == [f"{n:03d}" for n in range(50)]
    assert ledger.leased_by_others() == 24 and ledger.take_from_the_dead(60) == []  # it lives, on this machine
    other.close()
    assert ledger.leased_by_others() == 0


DIES = """
import sys, os, pathlib
sys.path.insert(0, {tests!r})
from support import farm_package
from farm.ledger import open_ledger
ledger = open_ledger(pathlib.Path({path!r}))
ledger.begin()
ledger._plan = "p"
print(len(ledger.lease(3)), flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_farm_had_is_free_at_once(ledger: Ledger) -> None:
    ledger.put_plan("p", items(5))
    text = DIES.format(tests=str(CHECKOUT / "tests"), path=str(ledger.path))
    killed = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert killed.stdout == "3\n", killed.stderr
    assert states(ledger) == {"leased": 3, "planned": 2}
    assert [name for _, name in ledger.take_from_the_dead(60)] == ["000", "001", "002"]
    assert states(ledger) == {"planned": 5}


def test_a_farm_on_another_machine_is_known_by_its_beats(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how long its count stands still on our own clock; no time is compared with another machine's."""
    now = 1000.0
    monkeypatch.setattr(ledgers.time, "monotonic", lambda: now)
    ledger.put_plan("p", items(3))
    with monkeypatch.context() as patch:
        patch.setattr(ledgers.owners, "this_machine", lambda: "elsewhere")
        other = open_ledger(ledger.path)
        other.begin()
    other._plan = "p"
    other.lease(2)
    assert ledger.take_from_the_dead(60) == []
    now += 50
    other.beat()
    assert ledger.take_from_the_dead(60) == []
    now += 59
    assert ledger.take_from_the_dead(60) == []
    now += 2
    assert [name for _, name in ledger.take_from_the_dead(60)] == ["000", "001"]
    other.close()


def test_a_damaged_ledger_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "farm.sqlite"
    first = open_ledger(path)
    first.begin()
    first.put_plan("p", items(500))
    first.close()
    whole = path.read_bytes()
    for content in (b"no database" * 1000, whole[: len(whole) // 2], whole[:4096] + bytes(len(whole) - 4096)):
        path.write_bytes(content)
        again = open_ledger(path)
        assert again.rows("SELECT COUNT(*) FROM items") == [(0,)]
        again.close()
    assert len(list(tmp_path.glob("farm.sqlite.damaged-*"))) == 3


def test_of_another_version_or_not_there(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(FarmError, match=r"is of another version \(99\) of the farm: move it away"):
        open_ledger(tmp_path / "other.sqlite")
    with pytest.raises(FarmError, match=r"there is no ledger .* yet: run the job first"):
        open_ledger(tmp_path / "none.sqlite", must_be_there=True)


def test_files_come_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(tmp_path, "run1")
    parts = outputs.write("a/cat", [(".png", b"one"), (".png", b"three")])
    assert not list(tmp_path.rglob("*.png")) and len(list(tmp_path.rglob(".cat*.part"))) == 2
    assert outputs.place(parts) == [("a/cat.png", 3), ("a/cat.2.png", 5)]
    assert outputs.are_there([("a/cat.png", 3), ("a/cat.2.png", 5)]) and not outputs.are_there([("a/cat.png", 4)])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            outputs.write("a/dog", [(".png", b"x")])
    outputs.write("a/bird", [(".png", b"x")])
    outputs.remove_parts_of("run1", "a/bird")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["cat.2.png", "cat.png"]
