"""Masks that are painted on previews, in ComfyUI's own executor: pictures untouched, the mask out of the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.executing import Prompt, execute, keep, registered, source, step
from mask_detailer.detailer import bridge
from PIL import Image

SIZE = (32, 48)
PICTURES = torch.rand(2, *SIZE, 3, generator=torch.Generator().manual_seed(5))  # of no 8 bits
OTHERS = torch.rand(2, *SIZE, 3, generator=torch.Generator().manual_seed(6))
LATENT = {"samples": torch.randn(2, 4, 4, 6, generator=torch.Generator().manual_seed(7))}


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """ComfyUI's folders, and nothing known of any node."""
    import folder_paths

    before = folder_paths.get_temp_directory(), folder_paths.get_input_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_input_directory(str(tmp_path / "input"))
    monkeypatch.setattr(bridge, "bridges", bridge.Bridges())
    (tmp_path / "input" / "clipspace").mkdir(parents=True)
    with registered():
        yield tmp_path
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_input_directory(before[1])


def paint(folder: Path, name: str = "clipspace/painted.png", size: tuple[int, int] = SIZE, left: int = 10) -> str:
    """A file as a mask editor leaves it: black, and clear in its first columns, the mask; how a widget names it."""
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[:, :left, 3] = 0
    Image.fromarray(pixels).save(folder / "input" / name)
    return f"{name} [input]"


def mask_of(left: int = 10) -> torch.Tensor:
    mask = torch.zeros(1, *SIZE)
    mask[..., :left] = 1.0
    return mask


def image_bridge(image: Any, **more: Any) -> Prompt:
    return {
        "a": source("pictures"), "node": step("PreviewBridge", images=["a", 0], image=image, **more),
        "images": keep("node", 0, "images"), "mask": keep("node", 1, "mask"),
    }  # fmt: skip


def run(image: Any, pictures: torch.Tensor = PICTURES, **more: Any) -> tuple[torch.Tensor, torch.Tensor]:
    made = execute(image_bridge(image, **more), pictures=pictures)
    assert made.error is None, made.error
    (images,), (mask,) = made.kept["images"], made.kept["mask"]
    assert torch.equal(images, pictures)
    return images, mask


@pytest.mark.parametrize("image", ["", "$7-0", "$2-1795769331.6491969", "gone.png [temp]", "#placeholder", "x"])
def test_unpainted(image: str) -> None:
    _, mask = run(image)
    assert torch.equal(mask, torch.zeros(1, *SIZE))
    assert torch.equal(run(image)[1], mask)


def test_what_is_shown_is_there(folders: Path) -> None:
    shown = execute(image_bridge(""), pictures=PICTURES).shown["node"]["images"]
    assert len(shown) == 2 and {one["type"] for one in shown} == {"temp"}
    pixels = np.array(Image.open(folders / "temp" / shown[0]["subfolder"] / shown[0]["filename"]))
    assert np.array_equal(pixels, (PICTURES[0] * 255).round().numpy().astype(np.uint8))


def test_a_painted_mask_goes_on_and_is_shown(folders: Path) -> None:
    run("")
    name = paint(folders)
    assert torch.equal(run(name)[1], mask_of()) and torch.equal(run(name)[1], mask_of())
    (first, _) = execute(image_bridge(name), pictures=PICTURES).shown["node"]["images"]
    pixels = np.array(Image.open(folders / "temp" / first["subfolder"] / first["filename"]))
    assert pixels.shape == (*SIZE, 4) and not pixels[:, :10, 3].any() and (pixels[:, 10:, 3] == 255).all()


OBJECT = {
    "filename": "painted.png",
    "subfolder": "clipspace",
    "type": "input",
    "image_hash": 12,
    "forward_type": "temp",
}


@pytest.mark.parametrize("image", [OBJECT, str(OBJECT), "painted.png [input]", "clipspace/painted.png"])
def test_other_ways_to_name_the_file(folders: Path, image: Any) -> None:
    """Objects as workflows of 2023 have them; and some mask editors leave out their folder."""
    paint(folders)
    assert torch.equal(run(image)[1], mask_of())


@pytest.mark.parametrize("restore", ["never", "always", "if_same_size"])
@pytest.mark.parametrize("size", [SIZE, (16, 24)], ids=str)
def test_other_pictures(folders: Path, restore: str, size: tuple[int, int]) -> None:
    """A mask goes on with the pictures it was painted on; restore_mask says what becomes of it with others."""
    small = torch.nn.functional.interpolate(PICTURES.movedim(-1, 1), size).movedim(1, -1).contiguous()
    run("", small)
    left = 10 * size[1] // SIZE[1]
    name = paint(folders, size=size, left=left)
    assert run(name, small)[1].any()
    stays = restore == "always" or (restore == "if_same_size" and size == SIZE)
    mask = run(name, OTHERS, restore_mask=restore)[1]
    assert mask.shape == (1, *SIZE) and bool(mask.any()) == stays
    assert bool(run(name, OTHERS, restore_mask=restore)[1].any()) == stays
    assert run(name, small, restore_mask=restore)[1].any()  # those that it was painted on


def test_painted_before_the_pictures_changed(folders: Path) -> None:
    run("")
    name = paint(folders)
    assert not run(name, OTHERS)[1].any()
    assert run(name)[1].any()


def test_a_server_that_knows_nothing_goes_by_the_size(folders: Path) -> None:
    assert run(paint(folders))[1].any()
    bridge.bridges = bridge.Bridges()
    assert not run(paint(folders, size=(8, 8), left=4))[1].any()


@pytest.mark.parametrize("painted", [False, True])
def test_block(folders: Path, painted: bool) -> None:
    name = paint(folders) if painted else ""
    made = execute(image_bridge(name, block=True), pictures=PICTURES)
    assert made.error is None and set(made.kept) == ({"images", "mask"} if painted else set())
    assert len(made.shown["node"]["images"]) == 2


@pytest.mark.parametrize(
    "image", ["../secret.png", "/etc/passwd", "../temp2/x.png [temp]", "clipspace/../../secret.png"]
)
def test_no_file_outside(folders: Path, image: str) -> None:
    Image.new("RGBA", (48, 32)).save(folders / "secret.png")
    made = execute(image_bridge(image), pictures=PICTURES)
    assert made.error is not None and made.error.startswith("PreviewBridge, input 'image'") and not made.kept


def test_nothing_is_held_of_the_pictures() -> None:
    run("")
    (shown,) = bridge.bridges._shown.values()
    assert len(shown.pictures) == 64 and not shown.files


# --- latents ---------------------------------------------------------------------------------------------------------


def latent_bridge(image: str = "", **more: Any) -> Prompt:
    method = more.pop("preview_method", "Latent2RGB-SD15")
    return {
        "a": source("latent"),
        "node": step("PreviewBridgeLatent", latent=["a", 0], image=image, preview_method=method, **more),
        "latent": keep("node", 0, "latent"), "mask": keep("node", 1, "mask"),
    }  # fmt: skip


def run_latent(image: str = "", latent: Any = LATENT, **more: Any) -> tuple[dict[str, Any], torch.Tensor]:
    made = execute(latent_bridge(image, **more), latent=latent)
    assert made.error is None, made.error
    (given,), (mask,) = made.kept["latent"], made.kept["mask"]
    assert torch.equal(given["samples"], latent["samples"])
    return given, mask


def test_an_unpainted_latent_is_sampled_whole() -> None:
    for _ in range(2):
        latent, mask = run_latent()
        assert latent == LATENT and torch.equal(mask, torch.ones(1, 4, 6))


def test_a_painted_latent(folders: Path) -> None:
    run_latent()
    latent, mask = run_latent(paint(folders))
    assert torch.equal(mask, mask_of()) and torch.equal(latent["noise_mask"], mask) and "noise_mask" not in LATENT


def test_a_latent_with_a_noise_mask(folders: Path) -> None:
    own = torch.rand(2, *SIZE)
    latent, mask = run_latent(latent={**LATENT, "noise_mask": own}, block=True)
    assert torch.equal(mask, own) and latent["noise_mask"] is own


@pytest.mark.parametrize("channels", [4, 16, 128, 5])
@pytest.mark.parametrize("method", ["Latent2RGB-FLUX.1", "Latent2RGB-SD-X4", "Latent2RGB-LTXV", "TAESD15", "TAEF1"])
def test_any_latent_is_shown(folders: Path, channels: int, method: str) -> None:
    latent = {"samples": torch.randn(1, channels, 3, 4, 6)}
    shown = execute(latent_bridge(preview_method=method), latent=latent).shown["node"]["images"]
    assert Image.open(folders / "temp" / shown[0]["subfolder"] / shown[0]["filename"]).size == (48, 32)


def test_block_of_a_latent() -> None:
    assert execute(latent_bridge(block=True), latent=LATENT).kept == {}


# --- the older node --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [None, "#placeholder", OBJECT, "clipspace/painted.png [input]"], ids=str)
def test_mask_painter(folders: Path, image: Any) -> None:
    paint(folders)
    given = {} if image is None else {"image": image}
    prompt = {"a": source("pictures"), "node": step("MaskPainter", images=["a", 0], **given), "mask": keep("node")}
    made = execute(prompt, pictures=PICTURES)
    assert made.error is None
    wanted = mask_of() if image not in (None, "#placeholder") else torch.zeros(1, *SIZE)
    assert torch.equal(made.kept["kept"][0], wanted)
