"""From jobs to items: pairs, names, values, seeds, and what changes a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import farm_jobs

from farm.errors import FarmError
from farm.graph import DEFAULT
from farm.items import Common, Item, items, keyed, looked_into, seed_of
from farm.job import load
from farm.pictures import facts
from farm.plan import graph_of


def planned(job_file: Path, version: str = "1", model: Callable[[str], str] = str) -> dict[str, Item]:
    """A job's items by name, keyed; values of a CSV stay text."""
    job = load(job_file)
    graph = graph_of(job)
    found = looked_into(job, items(job, graph), facts)
    common = Common(graph, version, model)
    return {item.name: item for item in keyed(job, found, common, lambda where, text: text)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    farm_jobs.write_pictures(tmp_path, 3)
    return tmp_path


def test_pairs_and_seeds(folder: Path) -> None:
    found = planned(farm_jobs.write_job(folder))
    assert list(found) == ["000", "001", "002"]
    for name, item in found.items():
        assert item.picture == folder / "pictures" / f"{name}.png" and item.mask == folder / "masks" / f"{name}.png"
        assert item.values == {"detailer.seed": seed_of(7, f"pictures/{name}.png")}
    assert len({item.key for item in found.values()}) == 3
    same = planned(farm_jobs.write_job(folder, {"seed": {"by": "job"}}))
    assert [item.values["detailer.seed"] for item in same.values()] == [7, 7, 7]


def test_a_picture_s_seed_and_key_are_its_own(folder: Path) -> None:
    """Others that come and go, and another naming, change neither."""
    before = planned(farm_jobs.write_job(folder))
    (folder / "pictures" / "000.png").unlink()
    after = planned(farm_jobs.write_job(folder, top={"naming": "other/{stem}-{folder}"}))
    assert list(after) == ["other/001-.", "other/002-."]
    assert [item.key for item in after.values()] == [before[name].key for name in ("001", "002")]


def test_what_changes_keys(folder: Path) -> None:
    before = planned(farm_jobs.write_job(folder))

    def changed(after: dict[str, Item]) -> list[str]:
        return [name for name, item in after.items() if item.key != before[name].key]

    assert changed(planned(farm_jobs.write_job(folder))) == []
    assert changed(planned(farm_jobs.write_job(folder, {"run": {"tries": 5}, "comfyui": {"devices": "cpu"}}))) == []
    everything = ["000", "001", "002"]
    assert changed(planned(farm_jobs.write_job(folder, {"values": {"detailer.denoise": 0.4}}))) == everything
    assert changed(planned(farm_jobs.write_job(folder, {"seed": {"base": 8}}))) == everything
    job = farm_jobs.write_job(folder)
    assert changed(planned(job, version="2")) == everything
    assert changed(planned(job, model=lambda name: "another file")) == everything
    prompt = farm_jobs.small_prompt()
    prompt["picture"]["inputs"]["image"] = "what was there when it was exported.png"
    (folder / "workflow.json").write_text(json.dumps(prompt))
    assert changed(planned(job)) == []
    (folder / "masks" / "001.png").write_bytes((folder / "masks" / "001.png").read_bytes() + b"more")
    assert changed(planned(job)) == ["001"]


def test_rows(folder: Path) -> None:
    (folder / "values.csv").write_text(
        "file,part,note\n000,0.1,a\n001.png,0.2,b/c\npictures/002.png,0.3,d\n002,0.4,e\n"
    )
    rows = {"csv": "values.csv", "match": "file", "columns": {"part": "detailer.denoise"}}
    with pytest.raises(FarmError, match=r"values\.csv has a row for '002', but pictures\.files finds no such picture"):
        planned(farm_jobs.write_job(folder, {"items": rows}, {"naming": "{stem}-{note}"}))
    (folder / "values.csv").write_text("file,part,note\n000,0.1,a\n001.png,0.2,b/c\n002,0.3,d\n002,0.4,e\n")
    found = planned(farm_jobs.write_job(folder, {"items": rows}, {"naming": "{stem}-{note}"}))
    assert {name: item.values["detailer.denoise"] for name, item in found.items()} == {
        "000-a": "0.1", "001-b_c": "0.2", "002-d": "0.3", "002-e": "0.4",
    }  # fmt: skip
    assert found["002-d"].values["detailer.seed"] != found["002-e"].values["detailer.seed"]


def test_folders_and_outputs_among_the_pictures(folder: Path) -> None:
    for name in ("a/x.png", "b/x.png", "done/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "pictures" / "000.png").read_bytes())
    sections = {"pictures": {"files": ["**/x.png"]}, "masks": {"pattern": "masks/00[0].png"}}
    found = planned(farm_jobs.write_job(folder, sections, {"naming": "{folder}/{stem}"}))
    assert list(found) == ["a/x", "b/x"]
    with pytest.raises(FarmError, match=r"a/x\.png and b/x\.png would both be written to 'x'"):
        planned(farm_jobs.write_job(folder, sections, {"naming": "{stem}"}))


@pytest.mark.parametrize(
    ("top", "wanted"),
    [
        ({"naming": "{stem"}, None),
        ({"naming": "{sten}"}, r"naming has \{sten\}, but there are only \{stem\}"),
        ({"naming": "../{stem}"}, r"naming gives '\.\./000', which is not inside the output folder"),
        ({"naming": "/tmp/{stem}"}, r"naming gives '/tmp/000', which is not inside the output folder"),
    ],
)
def test_naming(top: dict[str, str], wanted: str | None, folder: Path) -> None:
    if wanted is None:  # a brace is a character like others
        with pytest.raises(FarmError, match="both be written"):
            planned(farm_jobs.write_job(folder, top=top))
    else:
        with pytest.raises(FarmError, match=wanted):
            planned(farm_jobs.write_job(folder, top=top))


def test_problems_are_of_single_items(folder: Path) -> None:
    (folder / "masks" / "000.png").unlink()
    (folder / "pictures" / "001.png").write_bytes((folder / "pictures" / "001.png").read_bytes()[:50])
    farm_jobs.pictures.write(folder / "masks" / "002.png", farm_jobs.pictures.box_mask(31, 20, []))
    problems = [item.problem for item in planned(farm_jobs.write_job(folder)).values()]
    assert problems[0] == "masks.pattern gives 'masks/000.png' for pictures/000.png, and there is no such file"
    assert problems[1] == "the picture pictures/001.png is cut off"
    assert problems[2].startswith("the mask masks/002.png is 31x20 and its picture pictures/002.png 64x48; make it fit")
    stretched = planned(farm_jobs.write_job(folder, {"masks": {"other_sizes": "stretch"}}))
    assert stretched["002"].problem == ""


def test_the_default_graph(folder: Path) -> None:
    values = {"checkpoint.ckpt_name": "m.safetensors", "positive.text": "a face"}
    job = load(farm_jobs.write_job(folder, {"workflow": {"file": None}, "values": values}))
    graph = graph_of(job)
    filled = graph.filled("p.png", "m.png", {"detailer.seed": 3})
    assert filled["picture"]["inputs"]["image"] == "p.png" and filled["mask"]["inputs"]["image"] == "m.png"
    assert filled["detailer"]["inputs"]["seed"] == 3 and filled["positive"]["inputs"]["text"] == "a face"
    assert graph.prompt["detailer"]["inputs"]["seed"] == DEFAULT["detailer"]["inputs"]["seed"] == 0
    alpha = load(
        farm_jobs.write_job(
            folder, {"workflow": {"file": None}, "values": values, "masks": {"source": "alpha", "pattern": None}}
        )
    )
    assert graph_of(alpha).prompt["detailer"]["inputs"]["mask"] == ["picture", 1]
    with pytest.raises(FarmError, match=r"the default graph needs a checkpoint: set 'checkpoint\.ckpt_name'"):
        graph_of(load(farm_jobs.write_job(folder, {"workflow": {"file": None}, "values": {"positive.text": "x"}})))
