"""Saved workflows run end to end, with small stand-ins for models, files and the nodes of other packs.

    python dev.py bench wild_runs FOLDER

FOLDER is as for `wild`. Prompts run as they are. Of what the page saves, the prompts that it makes are run: they lie
under the same names in the folder that WILD_PROMPTS names, see tests/browser/test_wild_files.py.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from old_files import prepare
from tables import print_table
from wild import API, UI, folder_of, read

if TYPE_CHECKING:
    from engine.wild_runs import Outcome

PROMPTS = "WILD_PROMPTS"
Named = tuple[str, str, str]
"""A workflow: its name, its quarter and its kind."""


def prompts(folder: Path) -> Iterator[tuple[Named, dict[str, dict[str, object]]]]:
    """Those of a folder with nodes of the family, as prompts."""
    made = Path(os.environ.get(PROMPTS, ""))
    for file in sorted(folder.glob("*.json")):
        layout = read(file)
        if layout is None or not layout.family:
            continue
        saved = json.loads(file.read_text(encoding="utf-8"))
        if layout.kind == UI:
            of_page = made / file.name
            if not of_page.is_file():
                continue
            saved = json.loads(of_page.read_text(encoding="utf-8"))
        yield (file.stem, layout.quarter, layout.kind), saved.get("prompt", saved)


def run_all(folder: Path) -> dict[Named, Outcome]:
    """Run each, one after another."""
    import torch
    from engine.stand_ins import installed
    from engine.wild_runs import run
    from support.local_models import REPOSITORY, write_classifier, write_clipseg

    found: dict[Named, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="wild-runs-") as base, torch.inference_mode(), installed(Path(base)):
        write_clipseg(Path(base) / "clipseg" / "clipseg-rd64-refined")
        write_classifier(Path(base) / "classifiers" / REPOSITORY)
        for named, prompt in prompts(folder):
            started = time.monotonic()
            found[named] = run(prompt)
            print(
                f"{named[0]:40} {time.monotonic() - started:6.1f} s  {found[named].state}", file=sys.stderr, flush=True
            )
    return found


def by_quarter(found: dict[Named, Outcome]) -> list[list[str]]:
    """A row a quarter and one of all: how many there are, and of each kind how many ran."""
    from engine.wild_runs import RUNS

    groups: dict[str, list[tuple[Named, Outcome]]] = defaultdict(list)
    for named, outcome in found.items():
        for group in (named[1], "all"):
            groups[group].append((named, outcome))
    rows = []
    for group in sorted(groups):
        cells = [group]
        for kind in (UI, API):
            states = [outcome.state for (_, _, of_kind), outcome in groups[group] if of_kind == kind]
            cells.append(f"{states.count(RUNS)} of {len(states)}")
        seen = sum((outcome.seen.count for _, outcome in groups[group]), Counter())
        rows.append([*cells, *(str(seen[what]) for what in ("pictures", "segments", "refined"))])
    return rows


def others(found: dict[Named, Outcome]) -> list[list[str]]:
    """A row for each that did not run whole, or in which something is wrong."""
    from engine.wild_runs import RUNS

    return [
        [named[0], outcome.state, "; ".join([outcome.reason, *sorted(set(outcome.seen.wrong))]).strip("; ")]
        for named, outcome in found.items()
        if outcome.state != RUNS or outcome.seen.wrong
    ]


def called(found: dict[Named, Outcome]) -> list[list[str]]:
    """How often each node of this pack was called."""
    from mask_detailer.nodes import NODE_CLASS_MAPPINGS

    seen: Sequence[tuple[str, int]] = sum((outcome.seen.count for outcome in found.values()), Counter()).most_common()
    return [[node, str(count)] for node, count in seen if node in NODE_CLASS_MAPPINGS]


def run() -> None:
    """Print the tables.

    Raises:
        SystemExit: where there is no such folder, or no workflow in it.
    """
    folder = folder_of(sys.argv[1:])
    logging.disable(logging.CRITICAL)
    prepare()
    found = run_all(folder)
    if not found:
        sys.exit(f"bench wild_runs: no workflow with a node of the family in {folder}")
    head = ["quarter", f"{UI}, whole", f"{API}, whole", "pictures detailed", "segments", "refined"]
    print_table("Saved workflows that run end to end", head, by_quarter(found))
    print_table("Those that don't, and what is wrong", ["workflow", "state", "reason"], others(found))
    print_table("Nodes of this pack that ran", ["node", "calls"], called(found))
