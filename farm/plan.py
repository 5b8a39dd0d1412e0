"""Planning: the job is checked against its files and a server, and its items come into the ledger."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .check import check, check_kinds, check_value, declared
from .errors import FarmError
from .graph import Graph, of
from .items import Common, Item, items, keyed, looked_into
from .job import Job, Value
from .ledger import Ledger
from .models import Models
from .output import Outputs
from .pictures import Facts, facts
from .task import ServerFacts

logger = logging.getLogger("mask_detailer.farm")
CHECKOUT = Path(__file__).resolve().parents[1]
KEEP_EVERY = 10_000  # facts of files, so that a plan that is interrupted need not read them all again


@dataclass(frozen=True)
class Planned:
    """What a plan found: items in all, by state, and the problems of those that can't be worked."""

    count: int
    states: dict[str, int]
    problems: list[str]


def pack_version() -> str:
    """This checkout's version."""
    found = re.search(r'^version = "(.+)"$', (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def found_items(job: Job, graph: Graph, ledger: Ledger) -> list[Item]:
    """The job's items with what their files are; all that needs no server, and so comes before one is started."""
    known = ledger.kept()
    whole = job.identity == "content"
    new: dict[str, tuple[str, Facts]] = {}

    def of_file(path: Path) -> Facts:
        try:
            stat = path.stat()
        except OSError:
            return facts(path, whole)
        stamp, name = f"{stat.st_size}.{stat.st_mtime_ns}.{job.identity}", str(path)
        if (kept := known.get(name)) is not None and kept[0] == stamp:
            return kept[1]
        found = facts(path, whole)
        new[name] = (stamp, found)
        return found

    found: list[Item] = []
    for item in looked_into(job, items(job, graph), of_file):
        found.append(item)
        if len(new) > KEEP_EVERY and len(found) % KEEP_EVERY == 0:
            _keep(ledger, new)
    _keep(ledger, new)
    return found


def _keep(ledger: Ledger, new: dict[str, tuple[str, Facts]]) -> None:
    ledger.keep([(path, stamp, one) for path, (stamp, one) in list(new.items())])
    new.clear()


def put(job: Job, graph: Graph, ledger: Ledger, found: list[Item], server: ServerFacts) -> Planned:
    """Check the graph and all values with what a server has, and write the plan; what is done already stays so."""
    info, sizes = server
    check_kinds(graph, info)
    for where, value in job.values.items():
        check_value(graph, ".".join(graph.place(where, "values")), value, info, f"{job.file.name}, values")
    if job.seed.input:
        place = ".".join(graph.place(job.seed.input, "seed.input"))
        check_value(graph, place, job.seed.base, info, "seed.input")
    check(graph, info)
    models = Models(job, ledger, sizes)
    common = Common(graph, pack_version(), models.identity)
    typed = _typing(job, graph, server)
    ledger.put_plan(common.digest, keyed(job, found, common, typed))
    _put_right(job, ledger)
    states = Counter({str(state): int(count) for state, count in ledger.rows(COUNTS)})
    return Planned(len(found), dict(states), [item.problem for item in found if item.problem])


COUNTS = "SELECT state, COUNT(*) FROM items WHERE wanted = 1 GROUP BY state"


def _typing(job: Job, graph: Graph, server: ServerFacts) -> Callable[[str, str], Value]:
    """Values of a CSV as their nodes take them; each is checked once."""
    columns = {".".join(graph.place(where, "items.columns")): column for column, where in job.items.columns.items()}
    known: dict[tuple[str, str], Value] = {}

    def typed(where: str, text: str) -> Value:
        if (where, text) not in known:
            node_id, _, name = where.rpartition(".")
            spec = declared(server[0][graph.prompt[node_id]["class_type"]]).get(name, ["STRING"])
            value = _converted(text, str(spec[0]))
            assert job.items.csv is not None
            check_value(graph, where, value, server[0], f"{job.items.csv.name}, column {columns[where]!r}")
            known[where, text] = value
        return known[where, text]

    return typed


def _converted(text: str, kind: str) -> Value:
    """A text as the number or truth that an input takes, or as it is."""
    try:
        if kind == "INT":
            return int(text)
        if kind == "FLOAT":
            return float(text)
    except ValueError:
        return text
    if kind == "BOOLEAN" and text.strip().lower() in ("true", "false"):
        return text.strip().lower() == "true"
    return text


def _put_right(job: Job, ledger: Ledger) -> None:
    """What the ledger says is done must be there; what has another name now gets it."""
    outputs = Outputs(job.output, "plan")
    for name, old, files in ledger.moved():
        if outputs.are_there(files):
            with ledger.transaction():
                ledger.take_files(name, old, outputs.rename(name, old, files))
    gone = [name for name, files in ledger.done_files() if not outputs.are_there(files)]
    if gone:
        logger.warning("%d items were done, but their files are gone or have another size: done again", len(gone))
        ledger.replan(gone)


def refuse_problems(planned: list[Item]) -> None:
    """FarmError where an item can't be worked."""
    problems = [item.problem for item in planned if item.problem]
    if problems:
        more = f" (and {len(problems) - 1} more such items; --skip-bad leaves them out)" if len(problems) > 1 else ""
        raise FarmError(f"{problems[0]}{more or ' (--skip-bad leaves it out)'}")


def graph_of(job: Job) -> Graph:
    """The job's graph; FarmError where the checkpoint of the default graph is not said."""
    graph = of(job)
    if job.workflow.file is None and not graph.prompt["checkpoint"]["inputs"]["ckpt_name"]:
        raise FarmError(
            f"{job.file.name}: the default graph needs a checkpoint: set 'checkpoint.ckpt_name' in [values]"
        )
    return graph
