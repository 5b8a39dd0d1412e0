"""The farm on a Ray of its own, with two workers. By hand, as it installs Ray into `.env/ray` once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import farm_jobs
from support.farm_ray import ray_python
from support.server import Server

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(1200)]
COUNT = 12


@pytest.mark.parametrize("files", ["store", "shared"])
def test_the_same_pictures_on_ray(files: str, tmp_path: Path, base: Path, server: Server) -> None:
    """Each worker starts its ComfyUI; all files equal those of a server at an address."""
    farm_jobs.write_pictures(tmp_path, COUNT)
    code, said = farm_jobs.farm("run", farm_jobs.write_job(tmp_path, {"comfyui": {"addresses": [server.url]}}))
    assert code == 0, said
    on_ray = {"comfyui": farm_jobs.own_comfyui(base), "run": {"executor": "ray", "workers": 2}, "ray": {"files": files}}
    job = farm_jobs.write_job(tmp_path, on_ray, {"output": "on_ray"}, "ray.toml")
    code, said = farm_jobs.farm("run", job, python=ray_python())
    assert code == 0, said
    assert farm_jobs.made(tmp_path / "on_ray") == farm_jobs.made(tmp_path / "done")
    assert len(farm_jobs.made(tmp_path / "done")) == COUNT


def test_without_ray(tmp_path: Path, server: Server) -> None:
    farm_jobs.write_pictures(tmp_path, 1)
    comfyui = {"addresses": [server.url]}
    job = farm_jobs.write_job(tmp_path, {"comfyui": comfyui, "run": {"executor": "ray"}})
    code, said = farm_jobs.farm("run", job)
    assert (code, said) == (1, 'farm: run.executor is ray, which is not installed here: pip install "ray>=2.60"\n')
