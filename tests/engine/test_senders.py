"""Senders and receivers without a page: what is written and read. What a page is told is in tests/server."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.executing import execute, keep, refused, registered, source, step
from mask_detailer.detailer.host import latent_files
from PIL import Image

PICTURES = torch.rand(2, 12, 20, 3, generator=torch.Generator().manual_seed(5))


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Path]:
    import folder_paths

    before = folder_paths.get_temp_directory(), folder_paths.get_input_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_input_directory(str(tmp_path / "input"))
    (tmp_path / "input").mkdir()
    with registered():
        yield tmp_path
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_input_directory(before[1])


def named(shown: dict[str, str]) -> str:
    return f"{shown['subfolder']}/{shown['filename']} [{shown['type']}]".removeprefix("/")


def receiver(**given: Any) -> dict[str, Any]:
    inputs = {"image": "", "link_id": 0, "save_to_workflow": False, "image_data": "", "trigger_always": False, **given}
    return {"node": step("ImageReceiver", **inputs), "image": keep("node", 0, "image"), "mask": keep("node", 1, "mask")}


def test_a_picture_there_and_back() -> None:
    prompt = {
        "a": source("pictures"),
        "node": step("ImageSender", images=["a", 0], filename_prefix="sub/sent", link_id=3), "kept": keep("node"),
    }  # fmt: skip
    sent = execute(prompt, pictures=PICTURES)
    assert sent.error is None and torch.equal(sent.kept["kept"][0], PICTURES)
    for shown, picture in zip(sent.shown["node"]["images"], PICTURES, strict=True):
        made = execute(receiver(image=named(shown)))
        assert made.error is None
        assert torch.equal(made.kept["image"][0], (picture[None] * 255).round() / 255)
        assert torch.equal(made.kept["mask"][0], torch.zeros(1, 12, 20))


def file_of(picture: Image.Image, form: str, **more: Any) -> str:
    made = io.BytesIO()
    picture.save(made, form, **more)
    return f"data:image/{form};base64,{base64.b64encode(made.getvalue()).decode()}"


def test_a_picture_in_the_workflow() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 9, 4), np.uint8)
    made = execute(receiver(image="#DATA", save_to_workflow=True, image_data=file_of(Image.fromarray(pixels), "png")))
    assert made.error is None
    assert np.allclose(made.kept["image"][0][0] * 255, pixels[..., :3])
    assert np.allclose(made.kept["mask"][0][0] * 255, 255 - pixels[..., 3])


def test_exif_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = execute(receiver(save_to_workflow=True, image_data=file_of(Image.new("RGB", (9, 6)), "jpeg", exif=exif)))
    assert tuple(made.kept["image"][0].shape) == (1, 9, 6, 3)


@pytest.mark.parametrize("data", ["", "data:image/png;base64,", "data:,abc", "data:image/png;base64,AAAA", "x,*"])
def test_a_workflow_without_a_picture(data: str) -> None:
    made = execute(receiver(save_to_workflow=True, image_data=data))
    assert made.error is not None and made.error.startswith("ImageReceiver, input 'image_data'")


@pytest.mark.parametrize("name", ["gone.png", "../secret.png", "/etc/passwd", "../x [temp]", ""])
@pytest.mark.parametrize("node", ["ImageReceiver", "LatentReceiver"])
def test_no_file_and_none_outside(folders: Path, node: str, name: str) -> None:
    Image.new("RGB", (4, 4)).save(folders / "secret.png")
    prompt: Any = receiver(image=name)
    if node == "LatentReceiver":
        prompt = {"node": step(node, latent=name, link_id=0, trigger_always=False), "kept": keep("node")}
    assert any("there is no file" in text for texts in refused(prompt).values() for text in texts)


@pytest.mark.parametrize("prefix", ["../x", "/tmp/x", "", "CON"])
@pytest.mark.parametrize("node", ["ImageSender", "LatentSender"])
def test_nothing_is_written_outside(folders: Path, node: str, prefix: str) -> None:
    given = (
        {"images": ["a", 0]} if node == "ImageSender" else {"samples": ["a", 0], "preview_method": "Latent2RGB-SD15"}
    )
    prompt = {"a": source("a"), "node": step(node, filename_prefix=prefix, link_id=0, **given)}
    made = execute(prompt, a=PICTURES if node == "ImageSender" else {"samples": torch.ones(1, 4, 8, 8)})
    assert made.error is not None and made.error.startswith(f"{node}, input 'filename_prefix'")
    assert not [path for path in folders.rglob("*") if path.is_file()]


# --- latents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 4, 8, 10), (1, 16, 3, 8, 6), (1, 128, 2, 2)], ids=str)
def test_a_latent_there_and_back(shape: tuple[int, ...]) -> None:
    latent = {"samples": torch.randn(shape), "noise_mask": torch.rand(1, 64, 80), "batch_index": [5, 7]}
    inputs = {"filename_prefix": "latents/x", "link_id": 0, "preview_method": "TAESD15"}
    sent = execute({"a": source("latent"), "node": step("LatentSender", samples=["a", 0], **inputs)}, latent=latent)
    assert sent.error is None
    (shown,) = sent.shown["node"]["images"]
    assert shown["filename"].endswith(".latent.png")
    made = execute(
        {"node": step("LatentReceiver", latent=named(shown), link_id=0, trigger_always=True), "k": keep("node")}
    )
    assert made.error is None
    found = made.kept["kept"][0]
    assert torch.equal(found["samples"], latent["samples"]) and torch.equal(found["noise_mask"], latent["noise_mask"])
    assert found["batch_index"] == [5, 7]


def test_latents_of_comfyui(folders: Path) -> None:
    """Files without a version have another scale: 1 becomes 1/0.18215."""
    import safetensors.torch

    for version, scale in (({}, 5.4899808), ({"latent_format_version_0": torch.tensor([])}, 1.0)):
        file = folders / "input" / "x.latent"
        safetensors.torch.save_file({"latent_tensor": torch.ones(1, 4, 2, 2), **version}, file)
        assert torch.allclose(latent_files.read(file)["samples"], torch.full((1, 4, 2, 2), scale))


@pytest.mark.parametrize("name", ["x.latent", "x.latent.png"])
@pytest.mark.parametrize("kind", ["a picture", "nonsense", "another tensor"])
def test_a_file_without_a_latent(folders: Path, name: str, kind: str) -> None:
    import safetensors.torch

    file = folders / "input" / name
    Image.new("RGB", (4, 4)).save(file, "png")
    if kind == "nonsense":
        file.write_bytes(b"nonsense")
    if kind == "another tensor":
        file.write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    made = execute({"node": step("LatentReceiver", latent=name, link_id=0, trigger_always=False), "kept": keep("node")})
    assert made.error is not None and made.error.startswith("LatentReceiver, input 'latent'")


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [5, 2**63, 1.5, True, "text", None, np.float32(0.5), np.int64(3)], ids=repr)
def test_values_that_can_be_sent(value: Any) -> None:
    prompt = {
        "a": source("value"), "b": source("signal"),
        "node": step("ImpactValueSender", value=["a", 0], link_id=0, signal_opt=["b", 0]), "kept": keep("node"),
    }  # fmt: skip
    made = execute(prompt, value=value)
    assert made.error is None and made.kept["kept"] == ["signal"]


@pytest.mark.parametrize(
    "value", [torch.ones(2), {"samples": 1}, [1], float("nan"), float("inf"), 10**40, b"x"], ids=repr
)
def test_values_that_can_not(value: Any) -> None:
    made = execute({"a": source("value"), "node": step("ImpactValueSender", value=["a", 0], link_id=0)}, value=value)
    assert made.error is not None and made.error.startswith("ImpactValueSender, input 'value'")


@pytest.mark.parametrize(
    ("typ", "text", "wanted"),
    [
        ("STRING", " a ", " a "), ("INT", "7", 7), ("INT", "1.0", 1), ("INT", "-3", -3), ("FLOAT", "1e-3", 0.001),
        ("INT", str(2**63), 2**63), ("FLOAT", "2", 2.0), ("BOOLEAN", "True", True), ("BOOLEAN", "1", False),
        ("INT", "x", None), ("INT", "1.5", None), ("FLOAT", "", None), ("FLOAT", "nan", None), ("INT", "inf", None),
        ("INT", "9" * 5000, None),
    ],
)  # fmt: skip
def test_received_values(typ: str, text: str, wanted: Any) -> None:
    made = execute({"node": step("ImpactValueReceiver", typ=typ, value=text, link_id=0), "kept": keep("node")})
    if wanted is None:
        assert made.error is not None and made.error.startswith("ImpactValueReceiver, input 'value'")
    else:
        assert made.kept["kept"] == [wanted] and type(made.kept["kept"][0]) is type(wanted)
