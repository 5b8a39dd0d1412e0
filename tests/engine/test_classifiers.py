"""Classifiers of pictures: answers as the library's pipeline gives them, what is read from where, segments split."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.any_node import by_brightness
from engine.running import segs_of
from engine.tiny_models import picture
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG, SEGS, Region, to_bytes
from mask_detailer.nodes.validate import InputError
from support.local_models import LABELS, REPOSITORY, write_classifier

PROVIDER, CLASSIFY = "ImpactHFTransformersClassifierProvider", "ImpactSEGSClassify"
SIZE = (96, 112)
UPPER, LOWER, MIDDLE = (12, 10, 40, 34), (76, 64, 96, 84), (44, 48, 60, 64)


def provided(preset: str = "Manual repo id", name: str = REPOSITORY, device_mode: str = "CPU") -> Any:
    node = NODE_CLASS_MAPPINGS[PROVIDER]()
    return node.doit(preset_repo_id=preset, manual_repo_id=name, device_mode=device_mode)[0]


def split(classifier: Any, segs: Any, expression: str, image: Any = None) -> tuple[SEGS, SEGS, list[str]]:
    node = NODE_CLASS_MAPPINGS[CLASSIFY]()
    given = {"classifier": classifier, "segs": segs, "preset_expr": "Manual expr", "manual_expr": expression}
    return node.doit(**given, ref_image_opt=image)


@pytest.fixture
def folder(models_dir: Path, local_models: Path) -> Path:
    """Of a classifier, in the folder of models."""
    made = models_dir / "classifiers" / REPOSITORY
    shutil.copytree(local_models / "classifiers" / REPOSITORY, made)
    return made


def shown(seed: int = 0) -> Any:
    from PIL import Image

    return Image.fromarray(to_bytes(picture(30, 40, seed=seed)[0]))


# ------------------------------------------------------------------------------------------------ the classifier


@pytest.mark.parametrize(
    ("labels", "settings"),
    [(LABELS, {}), (("a", "b", "c"), {"problem_type": "multi_label_classification"}), (("only",), {})],
    ids=["one of many", "several at once", "one"],
)
def test_answers_as_transformers_pipeline(models_dir: Path, labels: tuple[str, ...], settings: dict[str, str]) -> None:
    from transformers import pipeline

    folder = write_classifier(models_dir / "classifiers" / "mine", labels, **settings)
    ours, theirs = provided(name="mine"), pipeline("image-classification", model=str(folder), device="cpu")
    for seed in range(3):
        made, wanted = ours(shown(seed)), theirs(shown(seed))
        assert [one["label"] for one in made] == [one["label"] for one in wanted]
        assert [one["score"] for one in made] == pytest.approx([one["score"] for one in wanted], abs=1e-5)
        assert len(made) == min(len(labels), 5)


@pytest.mark.parametrize("device_mode", ["AUTO", "Prefer GPU", "CPU"])
def test_modes_and_a_preset(folder: Path, device_mode: str) -> None:
    assert provided(REPOSITORY, "not read", device_mode)(shown())


def test_on_a_gpu_it_is_among_comfyuis_models(folder: Path, as_on_a_gpu: None) -> None:
    import comfy.model_management as management

    def holds(classifier: Any) -> bool:
        models = [each.model.model for each in management.current_loaded_models if each.model is not None]
        return any(classifier.network in model.modules() for model in models)

    wanted = provided()(shown())
    kept, asked = provided(device_mode="Prefer GPU"), provided(device_mode="AUTO")
    assert holds(kept) and not holds(asked)
    assert asked(shown()) == kept(shown()) == wanted
    assert holds(asked)
    management.unload_all_models()
    assert asked(shown()) == wanted


@pytest.mark.parametrize("name", [REPOSITORY, REPOSITORY.split("/")[1], f" {REPOSITORY} "])
def test_names(models_dir: Path, folder: Path, name: str) -> None:
    if name in REPOSITORY:
        folder.rename(models_dir / "classifiers" / REPOSITORY.split("/")[1])
    assert provided(name=name)(shown())


def test_what_transformers_fetched_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is fetched: no socket is opened."""
    import huggingface_hub.constants

    repository = Path(huggingface_hub.constants.HF_HUB_CACHE) / f"models--{REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.move(folder, repository / "snapshots" / "abc123")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it looks for the network"))
    assert provided(REPOSITORY)(shown())
    with pytest.raises(InputError, match=r"'manual_repo_id': 'a/b' is not on this machine.*models/classifiers/a/b"):
        provided(name="a/b")


@pytest.mark.parametrize(
    "name", ["", "/", "/etc", "..", "a/..", "../x", "a/b/c", "C:\\x", "a\\b", "a\n/b", "~", "a//b"]
)
def test_paths_are_no_names(folder: Path, name: str) -> None:
    (folder.parents[2] / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"'manual_repo_id': "):
        provided(name=name)


def test_broken_folders(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"has no model.safetensors, but pytorch_model.bin. Put the model's"):
        provided()
    (folder / "pytorch_model.bin").rename(weights)
    (folder / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"holds no settings. Fetch the file again"):
        provided()
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "no such"}))
    with pytest.raises(InputError, match=r"can't be loaded .* or take another classifier"):
        provided()


def test_shards_are_read(folder: Path) -> None:
    """Weights in several files, as large models have them."""
    before = provided()(shown())
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    from safetensors.torch import load_file

    names = load_file(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert provided()(shown()) == before


# ------------------------------------------------------------------------------------------------ segments


@pytest.fixture
def image() -> torch.Tensor:
    """Bright at the top, dark below."""
    return torch.linspace(1.0, 0.0, SIZE[0]).reshape(1, -1, 1, 1).expand(1, *SIZE, 3).clone()


def test_split_by_their_part_of_the_picture(image: torch.Tensor) -> None:
    """Both outputs in the order of the input, whether a segment has a picture of its own or not."""
    size, elements = segs_of(UPPER, LOWER, MIDDLE)  # lowest first
    own = torch.ones(1, 4, 4, 3)
    segs = size, [elements[0]._replace(cropped_image=own), *elements[1:]]
    filtered, remained, labels = split(by_brightness, segs, "#Female > #Male", image)
    brightness = [float(image[0][Region.of(seg.crop_region).slices].mean()) for seg in elements]
    assert brightness[0] < brightness[1] < 0.5 < brightness[2]
    assert filtered[1][0] is segs[1][0] and filtered[1][1] is segs[1][2]
    assert [one is other for one, other in zip(remained[1], segs[1][1:2], strict=True)] == [True]
    assert labels == ["Female", "Male"] and filtered[0] == remained[0] == size


def test_without_a_picture_they_remain(image: torch.Tensor) -> None:
    size, elements = segs_of(UPPER, LOWER, MIDDLE)
    segs = size, [elements[0], elements[1]._replace(cropped_image=np.ones((1, 4, 4, 3), np.float32)), elements[2]]
    filtered, remained, labels = split(by_brightness, segs, "2 > 1")
    assert filtered[1] == [segs[1][1]] and remained[1] == [segs[1][0], segs[1][2]]
    assert labels == ["Female", "Male"]
    assert split(by_brightness, segs_of(UPPER), "2 > 1")[2] == []
    assert split(by_brightness, (size, []), "2 > 1", image) == ((size, []), (size, []), [])


def test_a_reference_of_another_size(image: torch.Tensor) -> None:
    twice = torch.nn.functional.interpolate(image.movedim(-1, 1), scale_factor=2).movedim(1, -1)
    segs = segs_of(UPPER, LOWER)
    one, other = (split(by_brightness, segs, "Female > 0.5", picture) for picture in (image, twice))
    assert [len(part[1]) for part in one[:2]] == [1, 1]
    for made, wanted in zip(one[:2], other[:2], strict=True):
        assert all(a is b for a, b in zip(made[1], wanted[1], strict=True))


def test_what_the_classifier_is_shown(image: torch.Tensor) -> None:
    """The first frame of the part, in whole bytes, as RGB."""
    seen: list[Any] = []

    def noting(shown: Any) -> list[dict[str, Any]]:
        seen.append(np.asarray(shown))
        return []

    segs = segs_of(UPPER)
    clip = torch.cat([image, torch.zeros_like(image)])
    split(noting, segs, "a > b", torch.cat([clip, torch.ones(2, *SIZE, 1)], dim=-1))
    assert np.array_equal(seen[0], to_bytes(image[0][Region.of(segs[1][0].crop_region).slices]))


@pytest.mark.parametrize("preset", NODE_CLASS_MAPPINGS[CLASSIFY].INPUT_TYPES()["required"]["preset_expr"][0][:-1])
def test_every_preset_is_read(preset: str, image: torch.Tensor) -> None:
    node = NODE_CLASS_MAPPINGS[CLASSIFY]()
    filtered, remained, _ = node.doit(by_brightness, segs_of(UPPER), preset, "not read >", image)
    assert len(filtered[1]) + len(remained[1]) == 1


def test_from_folder_to_segments(folder: Path, image: torch.Tensor) -> None:
    classifier, segs = provided(), segs_of(UPPER, LOWER)
    from PIL import Image

    answers = []
    for seg in segs[1]:
        shown = Image.fromarray(to_bytes(image[0][Region.of(seg.crop_region).slices]))
        answers.append({one["label"]: one["score"] for one in classifier(shown)})
    line = sum(answer["Female"] for answer in answers) / 2
    filtered, remained, labels = split(classifier, segs, f"Female > {line}", image)
    assert [answer["Female"] > line for answer in answers] == [
        any(seg is one for one in filtered[1]) for seg in segs[1]
    ]
    assert len(filtered[1]) == len(remained[1]) == 1
    assert labels == sorted({label for answer in answers for label in answer})


@pytest.mark.parametrize(
    ("classifier", "expression", "said"),
    [
        (None, "a > b", r"'classifier': it is missing \(None\). Connect"),
        (7, "a > b", "'classifier': a int is no TRANSFORMERS_CLASSIFIER. Connect"),
        (lambda _: 3, "a > b", "'classifier': its answer is a int without labels and scores. Connect"),
        (lambda _: [{"label": "x"}], "a > b", "'classifier': its answer is a list without labels"),
        (by_brightness, "Female", "'manual_expr': 'Female' is no comparison .*Write one such as Female > 0.5"),
        (by_brightness, "__import__('os') > 1 or x", "'manual_expr': 'or x' after 1 belongs to no comparison"),
    ],
)
def test_what_cannot_be_is_named(classifier: Any, expression: str, said: str, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match=f"^{CLASSIFY}, input {said}"):
        split(classifier, segs_of(UPPER), expression, image)


def test_one_outside_of_the_reference_remains(image: torch.Tensor) -> None:
    seg = SEG(None, np.ones((5, 5), np.float32), 1.0, [200, 200, 205, 205], (200, 200, 205, 205), "A")
    filtered, remained, _ = split(by_brightness, ((0, 0), [seg]), "2 > 1", image)
    assert (filtered[1], len(remained[1])) == ([], 1)
