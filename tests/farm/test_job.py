"""Job files: what they may say, and one sentence on what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import FarmError
from farm.job import Job, load

SMALL = """
output = "done"
[pictures]
files = "pictures/*.png"
[masks]
source = "alpha"
"""


def loaded(folder: Path, text: str) -> Job:
    (folder / "job.toml").write_text(text)
    return load(folder / "job.toml")


def test_paths_are_from_the_job_s_folder(tmp_path: Path) -> None:
    job = loaded(tmp_path, SMALL + '[comfyui]\npath = "../comfy"\ncustom_nodes = ["packs"]\n[items]\ncsv = "v.csv"\n')
    assert job.output == tmp_path / "done" and job.ledger == tmp_path / "done" / "farm.sqlite"
    assert job.comfyui.path == tmp_path / "../comfy" and job.comfyui.custom_nodes == (tmp_path / "packs",)
    assert job.items.csv == tmp_path / "v.csv"
    assert job.pictures.files == ("pictures/*.png",)


def test_values_flat_or_as_tables(tmp_path: Path) -> None:
    job = loaded(
        tmp_path, SMALL + '[values]\n"detailer.denoise" = 0.4\n[values.detailer]\nsteps = 9\nmask_mode = true\n'
    )
    assert job.values == {"detailer.denoise": 0.4, "detailer.steps": 9, "detailer.mask_mode": True}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("output = ", "job.toml is not TOML: Invalid value (at end of document)"),
        ("outptu = 'done'", "job.toml has an unknown entry 'outptu'; did you mean 'output'?"),
        ("output = 'done'", "job.toml names no pictures: add [pictures]"),
        ("[pictures]\nfiles = 'a/*.png'", "job.toml says no output"),
        ("output = 3", "job.toml: output must be text, not 3"),
        (
            SMALL.replace("files =", "file ="),
            "[pictures] of job.toml has an unknown entry 'file'; did you mean 'files'?",
        ),
        (SMALL.replace('"pictures/*.png"', "[1]"), "each of pictures.files must be text, not 1"),
        (SMALL.replace('"pictures/*.png"', "[]"), "pictures.files is empty"),
        (SMALL.replace("alpha", "alhpa"), "masks.source is 'alhpa'; it may be files, alpha, none"),
        (SMALL.replace("alpha", "files"), "masks.source is 'files', so masks.pattern must say where"),
        (SMALL + "pattern = 'm/*.png'", "masks.pattern is given, but masks.source is 'alpha'"),
        (SMALL.replace("alpha", "none"), "without masks, workflow.file must name a workflow whose detector"),
        (SMALL + "[items]\ncolumns = { a = 'b.c' }", "items.columns are given, but items.csv names no file"),
        (SMALL + "[run]\ntries = 0", "tries and all seconds must be above 0"),
        (SMALL + "[run]\ntries = true", "run.tries must be a whole number, not True"),
        (SMALL + "[seed]\nbase = 'seven'", "seed.base must be a whole number, not 'seven'"),
        (SMALL + "[comfyui]\naddresses = ['localhost:8188']", "must begin with http:// or https://"),
        (SMALL + "[values]\n'a.b' = [1]", "values.a.b must be text or a whole number or a number or true or false"),
    ],
)
def test_one_sentence(said: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(FarmError) as error:
        loaded(tmp_path, said)
    assert wanted in str(error.value) and "\n" not in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FarmError, match=r"the job file .*none\.toml can't be read: No such file"):
        load(tmp_path / "none.toml")
