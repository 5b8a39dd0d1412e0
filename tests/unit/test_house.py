"""The house's order, so that it stays: imports go down, files fit one reading, functions take few parameters."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import mask_detailer.core
import pytest

ROOT = Path(mask_detailer.core.__file__).resolve().parents[1]
MOST_LINES, MOST_LINES_OF_HOST, MOST_PARAMETERS, MOST_ANY = 400, 300, 6, 60
LONGER = {"dev.py", "tools/tiny_model/scenes.py"}
FLOORS = ["core", "segs", "detailer", "nodes"]
# within detailer/, from the ground up; what is not named stands between host and the pipeline
INSIDE = {
    "values": 1, "options": 1, "choices": 1, "errors": 1, "once": 1, "host": 2, "pipeline": 4, "plan_table": 5,
    "clips": 5,
}  # fmt: skip
BETWEEN = 3
CALLED_BY_OTHERS = {
    "core/mask_to_segs.py:mask_to_segs",  # the contract's signature
    "detailer/hooks/events.py:pre_ksample",  # the hook protocol's
    "detailer/samplers/advanced.py:sample_advanced",  # a KSAMPLER_ADVANCED's
}


def ours(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """What a file takes from the pack, as paths of modules and names."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                yield (*base, *(node.module or "").split("."), alias.name) if node.module else (*base, alias.name)


@pytest.mark.parametrize("path", [*ours(*FLOORS)], ids=name)
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").parts
    for taken in imports(path):
        assert FLOORS.index(taken[0]) <= FLOORS.index(own[0]), taken
        if own[0] == taken[0] == "detailer" and len(taken) > 1:
            mine, its = INSIDE.get(own[1], BETWEEN), INSIDE.get(taken[1], BETWEEN)
            protocols_below = own[1] in ("values", "options") and taken[1:3] == ("host", "protocols")
            assert its <= mine or protocols_below, taken


def test_the_pipeline_s_stages_do_not_know_the_run() -> None:
    for path in ours("detailer/pipeline"):
        if path.stem != "run":
            assert not any(taken[:3] == ("detailer", "pipeline", "run") for taken in imports(path)), path.stem


def test_the_farm_stands_apart() -> None:
    """It takes nothing of the pack, of ComfyUI or of a package, and nothing in the pack takes it."""
    known = {*sys.stdlib_module_names, "PIL", "farm"}  # small pictures of its report, where they can be made
    for path in ours("farm"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= known, path
            elif isinstance(node, ast.ImportFrom):
                depth = len(path.relative_to(ROOT / "farm").parts)
                assert node.level <= depth and (node.level or (node.module or "").split(".")[0] in known), path
    for path in [ROOT / "__init__.py", *ours(*FLOORS)]:
        assert not any("farm" in taken for taken in imports(path)), path


def test_files_fit_one_reading() -> None:
    files = [*ours("core", "segs", "detailer", "nodes", "farm", "tests", "bench", "tools"), ROOT / "dev.py"]
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not {path: count for path, count in lines.items() if count > MOST_LINES and path not in LONGER}
    assert not {path: n for path, n in lines.items() if path.startswith("detailer/host/") and n > MOST_LINES_OF_HOST}


def test_functions_below_the_nodes_take_few_parameters() -> None:
    for path in ours("core", "segs", "detailer", "farm"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                taken = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                count = len([one for one in taken if one not in ("self", "cls")])
                assert count <= MOST_PARAMETERS or f"{name(path)}:{node.name}" in CALLED_BY_OTHERS, node.name


def test_any_is_the_exception() -> None:
    """716 once; where a protocol or ``object`` says it, they do."""
    count = sum(len(re.findall(r"\bAny\b", path.read_text(encoding="utf-8"))) for path in ours("detailer", "nodes"))
    assert count <= MOST_ANY
