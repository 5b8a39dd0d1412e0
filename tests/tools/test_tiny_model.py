"""The small model's training: a few steps of each stage from nothing, gone on with, written, and loaded by ComfyUI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import WEIGHTS, conditioning

COMMAND = [sys.executable, "-m", "tiny_model.train", "--share", "0.002"]


def train(work: Path, *arguments: str) -> None:
    command = [*COMMAND, "--work", str(work), "--out", str(work / "made.safetensors"), *arguments]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def steps_of(work: Path) -> list[int]:
    return [json.loads((work / f"{stage}.json").read_text())["step"] for stage in ("decoder", "denoiser")]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    train(folder, "--decoder-steps", "2", "--steps", "2")
    return folder


def test_it_goes_on_from_what_is_there(work: Path) -> None:
    assert steps_of(work) == [2, 2]
    drawn = (work / "small.safetensors").stat().st_mtime_ns
    train(work, "--resume", "--decoder-steps", "3", "--steps", "3")
    assert steps_of(work) == [3, 3]
    assert (work / "small.safetensors").stat().st_mtime_ns == drawn


def test_it_keeps_what_it_learned_when_time_is_up(work: Path) -> None:
    train(work, "--resume", "--stage", "decoder", "--minutes", "0.0001", "--decoder-steps", "1000")
    assert 3 <= steps_of(work)[0] < 1000


def test_comfyui_loads_what_it_writes(work: Path) -> None:
    """With the same tensors as the model in use, and nothing left over."""
    import comfy.sample
    import comfy.sd

    wanted, made = (load_file(file) for file in (WEIGHTS, work / "made.safetensors"))
    assert {name: tensor.shape for name, tensor in made.items()} == {name: t.shape for name, t in wanted.items()}
    with torch.inference_mode():
        model, _, vae = comfy.sd.load_checkpoint_guess_config(
            str(work / "made.safetensors"), output_vae=True, output_clip=False
        )[:3]
        latent = vae.encode(torch.rand(1, 64, 64, 3))
        noise = comfy.sample.prepare_noise(latent, 0)
        told = conditioning.conditioning("face"), conditioning.conditioning()
        sampled = comfy.sample.sample(
            model, noise, 1, 1.0, "euler", "simple", *told, latent, denoise=0.5, seed=0, disable_pbar=True
        )
        assert vae.decode(sampled).shape == (1, 64, 64, 3) and vae.decode(sampled).isfinite().all()
