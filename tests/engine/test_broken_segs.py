"""Broken SEGS through every node that takes them: right outputs without NaN, or an error that names its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.any_node import SIZE, Values, segs_in, values_of
from engine.broken_segs import Broken, Input, all_broken, inputs, outcome, product
from engine.tiny_models import Pipe, tiny_control_net
from mask_detailer.segs import files


@pytest.fixture(scope="module")
def control_net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("controlnet"))


@pytest.fixture
def values(unet: Pipe, control_net: Any, tmp_path: Path) -> Iterator[Values]:
    """A small real value for each kind of link; ComfyUI's folders lie in a temporary one."""
    import folder_paths

    before = folder_paths.get_temp_directory(), folder_paths.get_output_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    (tmp_path / "output" / "segs").mkdir(parents=True)
    files.save(segs_in(SIZE), tmp_path / "output" / "segs" / f"segs_00001_{files.ENDING}")
    yield values_of(unet, control_net)
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_output_directory(before[1])


def outcomes(calls: Iterable[tuple[Input, Broken]], values: Values) -> Counter[str]:
    """What came of each call. Raises AssertionError with all that went wrong."""
    counted: Counter[str] = Counter()
    wrong = []
    for one, broken in calls:
        try:
            counted[f"{outcome(one, broken, values)} {broken.field}"] += 1
        except Exception as error:
            wrong.append(f"{one.node_id}.{one.name}, {broken.name}: {type(error).__name__}: {str(error)[:200]}")
    assert not wrong, f"{len(wrong)} of {counted.total() + len(wrong)}\n" + "\n".join(wrong)
    return counted


def test_some_of_it(values: Values) -> None:
    """Each way of being broken at two inputs, and each input in several ways, in turn."""
    calls = list(product(values["SEGS"]))
    few = calls[:: max(len(calls) // 240, 1)]
    assert {one for one, _ in few} == set(inputs())
    assert len({broken.name for _, broken in few}) > 0.6 * len(all_broken())
    made = outcomes(few, values)
    assert any(key.startswith("made") for key in made) and any(key.startswith("refused") for key in made)


@pytest.mark.slow
@pytest.mark.parametrize("field", sorted({broken.field for broken in all_broken()}))
def test_all_of_it(field: str, values: Values) -> None:
    calls = [(one, broken) for one, broken in product(values["SEGS"]) if broken.field == field]
    counted = outcomes(calls, values)
    print(f"{field}: {counted.total()} calls, {dict(counted)}")
