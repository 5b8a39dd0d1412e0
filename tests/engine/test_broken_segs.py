"""Broken SEGS through every node that takes them: right outputs without NaN, or an error that names its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.any_node import SIZE, Values, arguments, run, segs_in, values_of
from engine.broken_segs import Broken, Input, all_broken, assert_finite, inputs, outcome, product
from engine.tiny_models import Pipe, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.segs_files import LoadSEGS
from mask_detailer.nodes.segs_lists import ImpactSEGSMerge
from mask_detailer.nodes.validate import InputError
from mask_detailer.segs import files
from support.detectors import GivenDetector
from support.ip_adapter import IPAdapterAdvanced


@pytest.fixture(scope="module")
def control_net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("controlnet"))


@pytest.fixture(autouse=True)
def ip_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    import nodes

    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "IPAdapterAdvanced", IPAdapterAdvanced)


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
    few = calls[:: max(len(calls) // 480, 1)]
    assert {one for one, _ in few} == set(inputs())
    assert len({broken.name for _, broken in few}) > 0.6 * len(all_broken())
    made = outcomes(few, values)
    assert any(key.startswith("made") for key in made) and any(key.startswith("refused") for key in made)


@pytest.mark.by_hand
@pytest.mark.parametrize("field", sorted({broken.field for broken in all_broken()}))
def test_all_of_it(field: str, values: Values) -> None:
    calls = [(one, broken) for one, broken in product(values["SEGS"]) if broken.field == field]
    counted = outcomes(calls, values)
    print(f"{field}: {counted.total()} calls, {dict(counted)}")


# ------------------------------------------------------------------------------------------------ other ways in


def test_broken_detections(values: Values) -> None:
    """Every way of being broken, from a detector: an error that names it, or what is found without NaN."""
    for node_id in ("BboxDetectorSEGS", "ImpactSimpleDetectorSEGS"):
        given = arguments(node_id, values, optional=False)
        for broken in all_broken():
            try:
                found = GivenDetector(broken.change(segs_in(SIZE)))
                assert_finite(run(node_id, given | {"bbox_detector": found}))
            except InputError as error:
                assert str(error).startswith(f"{node_id}, input 'bbox_detector': "), error
                assert broken.field in ("segment", "header") or broken.field in str(error), error


def test_a_file_with_what_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Values) -> None:
    import folder_paths

    monkeypatch.setattr(files, "_check_finite", lambda *_: None)  # another writer may not look
    header, (one, two) = segs_in(SIZE)
    holed = one._replace(cropped_mask=one.cropped_mask * float("nan"), bbox=(33, 33, 15, 15))
    files.save((header, [holed, two]), Path(folder_paths.get_output_directory()) / "segs" / "holed.safetensors")
    ((made, (first, second)),) = LoadSEGS().doit("segs/holed.safetensors [output]")
    assert made == header and not first.cropped_mask.any() and first.bbox == (15, 15, 33, 33)
    assert second.cropped_mask.all()


def test_segments_so_far_apart_that_no_picture_holds_both() -> None:
    header, (one, two) = segs_in(SIZE)
    far = one._replace(crop_region=[60_000, 60_000, 60_018, 60_018])
    with pytest.raises(InputError, match=r"input 'segs': crop_region around segment 2 and segment 1 would be 599"):
        ImpactSEGSMerge().doit((header, [far, two]))
    assert len(ImpactSEGSMerge().doit((header, [far, far]))[0][1]) == 1


def test_a_wrapper_that_is_none(values: Values) -> None:
    header, (one, two) = segs_in(SIZE)
    for node_id in ("DetailerForEach", "SEGSDetailer"):
        given = arguments(node_id, values, optional=False)
        segs = header, [one, two._replace(control_net_wrapper="a text")]
        with pytest.raises(InputError, match=r"input 'segs': segment 2 has a control_net_wrapper .* but a str"):
            NODE_CLASS_MAPPINGS[node_id]().doit(**given | {"segs": segs})
