"""What a segment is known by: whatever changes what would be made is seen, what is the same made anew is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from engine.key_changes import NAME, SEEN, SEES, TAKEN, WHOLE, Setting, write_lora
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.tiny_models import text_encoder, unet_model
from mask_detailer.detailer.pipeline.remembered import Recall, memory
from safetensors.torch import save_file

pytestmark = pytest.mark.usefixtures("remembers")

OFF = f"{NAME}: the segment memory is off in this run:"


@pytest.fixture(scope="module")
def clip() -> Any:
    return text_encoder()


@pytest.fixture
def setting(clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    for kind in ("loras", "embeddings"):
        (tmp_path / kind).mkdir()
        known = {**folder_paths.folder_names_and_paths, kind: ([str(tmp_path / kind)], {".safetensors"})}
        monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    made = Setting(tmp_path, clip)
    write_lora(tmp_path, 0.01)
    save_file({"emb_params": torch.zeros(1, 64)}, tmp_path / "embeddings" / "thing.safetensors")
    return made


@pytest.mark.parametrize("name", SEEN)
def test_a_single_change_is_seen(setting: Setting, name: str) -> None:
    before, change = SEEN[name]
    before(setting)
    first = setting.run()
    assert first == WHOLE and len(memory) == 2
    assert setting.run() == 0
    change(setting)
    with torch.inference_mode():
        assert setting.run() >= WHOLE
    assert setting.run() == 0


@pytest.mark.by_hand
@pytest.mark.parametrize("ingredient", SEES)
def test_nothing_of_a_key_is_there_in_vain(setting: Setting, ingredient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, a change that it sees goes unseen: so that the tests above would tell if it were lost."""
    before, change = SEES[ingredient]
    before(setting)
    setting.run()
    change(setting)
    assert setting.run() >= WHOLE
    memory.clear()
    for name in ("_facts", "_parts"):
        real = getattr(Recall, name)
        monkeypatch.setattr(Recall, name, lambda self, crop, real=real: {**real(self, crop), ingredient: None})
    made = Setting(setting.folder, setting.clip)
    made.model, made.vae, made.positive, made.negative = setting.parts
    write_lora(setting.folder, 0.01)
    before(made)
    made.run()
    change(made)
    assert made.run() == 0


@pytest.mark.parametrize("name", TAKEN)
def test_what_makes_no_difference_is_taken(setting: Setting, name: str) -> None:
    before, change = TAKEN[name]
    before(setting)
    assert setting.run() == WHOLE
    change(setting)
    assert setting.run() == 0


def test_a_model_in_anothers_place_is_another(setting: Setting) -> None:
    """Also where it lies at the same place in memory."""
    for seed in range(6):
        setting.model = unet_model(seed)
        assert setting.run() == WHOLE


# --- what switches it off -------------------------------------------------------------------------------------------


class Counts:
    """A patch that counts its calls, and works by them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, given: dict[str, Any]) -> torch.Tensor:
        self.calls += 1
        return given["denoised"] * (1 + 0.01 * self.calls)


class HoldsAFile:
    def __init__(self, file: Any) -> None:
        self.file = file

    def __call__(self, given: dict[str, Any]) -> torch.Tensor:
        return given["denoised"]


def test_what_changes_on_the_way_is_not_kept(setting: Setting, told: pytest.LogCaptureFixture) -> None:
    setting.patched(Counts())
    assert setting.run() == setting.run() == WHOLE
    assert len(memory) == 0
    assert told.messages.count(f"{OFF} what it works with changes on the way") == 2


def test_what_cannot_be_seen_into_is_named(setting: Setting, told: pytest.LogCaptureFixture) -> None:
    with Path(__file__).open("rb") as file:
        setting.patched(HoldsAFile(file))
        assert setting.run() == setting.run() == WHOLE
    line = f"{OFF} the model holds what can't be looked into (_io.BufferedReader)"
    assert told.messages.count(line) == 2 and len(memory) == 0


def test_a_sampler_of_another_pack(setting: Setting, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """Its noise may come from anywhere."""
    import comfy.k_diffusion.sampling as sampling

    def sample_theirs(model: Any, x: torch.Tensor, sigmas: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        return sampling.sample_euler(model, x, sigmas, *given, **named)

    monkeypatch.setattr(sampling, "sample_theirs", sample_theirs, raising=False)
    monkeypatch.setattr("comfy.samplers.KSampler.SAMPLERS", ["theirs", "euler"])
    from mask_detailer.detailer import host

    monkeypatch.setattr(host.schedules, "sampler_names", lambda: ["theirs", "euler"])
    setting.changes.update(sampler_name="theirs")
    assert setting.run() == setting.run() == WHOLE
    assert any("the sampler holds what can't be looked into (theirs of another pack)" in line for line in told.messages)


def test_an_object_that_fails_when_it_is_looked_at_stops_nothing(setting: Setting) -> None:
    class Fails:
        def __call__(self, given: dict[str, Any]) -> torch.Tensor:
            return given["denoised"]

        def fingerprint(self) -> object:
            raise RuntimeError("not today")

    setting.patched(Fails())
    assert setting.run() == setting.run() == WHOLE


def test_denoise_0_is_not_kept(setting: Setting) -> None:
    setting.changes.update(denoise=0.0)
    setting.run()
    assert len(memory) == 0
