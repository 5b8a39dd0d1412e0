"""Paint and go on, in ComfyUI's executor: steps on steps, back again, kept as floats, made again where gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.executing import Prompt, execute, keep, registered, source, step
from engine.running import watched
from engine.tiny_models import Pipe, picture, pipe_with, text_encoder
from mask_detailer.detailer import touch_up
from mask_detailer.detailer.host.families import family_of, is_for_inpainting
from PIL import Image

SIZE = (96, 128)
FIRST, SECOND = (10, 12, 40, 44), (70, 40, 110, 80)
WIDGETS: dict[str, Any] = {
    "text": "", "strength": 0.6, "seed": 7, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal",
    "size": 64,
}  # fmt: skip
OUTPUTS = ("image", "before", "paste_mask", "crops")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Path]:
    import folder_paths

    before = folder_paths.get_temp_directory(), folder_paths.get_input_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_input_directory(str(tmp_path / "input"))
    (tmp_path / "input" / "clipspace").mkdir(parents=True)
    with registered():
        yield tmp_path
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_input_directory(before[1])


def paint(folder: Path, box: tuple[int, int, int, int] | None, name: str = "painted.png") -> str:
    """A file as a mask editor leaves it, clear where it was painted; how a widget names it."""
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[..., 3] = 255
    if box is not None:
        x1, y1, x2, y2 = box
        pixels[y1:y2, x1:x2, 3] = 0
    Image.fromarray(pixels).save(folder / "input" / "clipspace" / name)
    return f"clipspace/{name} [input]"


class Page:
    """What a page does with the node: it keeps the widgets, and writes what the node says into them."""

    def __init__(self, pipe: Pipe, image: torch.Tensor) -> None:
        model, self.levels = watched(pipe[0])
        self.pipe, self.picture = pipe_with(pipe, model=model), image
        self.image, self.history = "", ""
        self.told: dict[str, Any] = {}
        self.shown: list[dict[str, str]] = []

    def prompt(self, **more: Any) -> Prompt:
        node = step(
            "MaskDetailerTouchUp", picture=["a", 0], basic_pipe=["b", 0],
            **(WIDGETS | {"image": self.image, "history": self.history} | more),
        )  # fmt: skip
        kept = {name: keep("node", place, name) for place, name in enumerate(OUTPUTS)}
        return {"a": source("picture"), "b": source("pipe"), "node": node, **kept}

    def run(self, **more: Any) -> tuple[dict[str, Any], int]:
        """The outputs, and how often the model was asked."""
        self.levels.clear()
        made = execute(self.prompt(**more), picture=self.picture, pipe=self.pipe)
        assert made.error is None, made.error
        self.shown, (self.told,) = (made.shown["node"][name] for name in ("images", "touch_up"))
        outputs = {name: made.kept[name] if name == "crops" else made.kept[name][0] for name in OUTPUTS}
        return outputs, len(self.levels)

    def goes_on(self) -> None:
        assert self.told["before"] == self.history and self.told["image"] == self.image
        self.image, self.history = "", self.told["after"]

    def paints(self, folder: Path, box: tuple[int, int, int, int] | None, name: str) -> None:
        self.image = paint(folder, box, name)

    @property
    def steps(self) -> list[dict[str, Any]]:
        return json.loads(self.history)["steps"]

    def steps_back(self) -> None:
        said = json.loads(self.history)
        said["steps"].pop()
        self.history = json.dumps(said)


@pytest.fixture
def page(unet: Pipe) -> Page:
    return Page(unet, picture(*SIZE))


def inside(box: tuple[int, int, int, int], reach: int = 0) -> torch.Tensor:
    made = torch.zeros(1, *SIZE, dtype=torch.bool)
    x1, y1, x2, y2 = box
    made[:, max(y1 - reach, 0) : y2 + reach, max(x1 - reach, 0) : x2 + reach] = True
    return made


def test_nothing_painted(page: Page) -> None:
    outputs, calls = page.run()
    assert torch.equal(outputs["image"], page.picture) and torch.equal(outputs["before"], page.picture)
    assert not outputs["paste_mask"].any() and calls == 0 and page.told["state"] == "same"
    page.goes_on()
    assert page.steps == []


def test_a_step(page: Page, folders: Path) -> None:
    """Only what is painted is made anew; the picture goes on as floats, the mask and the crop go with it."""
    page.paints(folders, FIRST, "one.png")
    outputs, calls = page.run()
    changed = (outputs["image"] != page.picture).any(dim=-1)
    assert calls > 0 and changed.any() and not changed[~inside(FIRST, WIDGETS["size"])].any()
    assert not changed[outputs["paste_mask"] == 0].any() and bool((outputs["paste_mask"][inside(FIRST)] > 0.2).all())
    (crop,) = outputs["crops"]
    assert min(crop.shape[1:3]) == 64
    levels = outputs["image"][changed] * 255
    assert not torch.equal(levels, levels.round())


def test_again_without_a_new_mask_nothing_is_sampled(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    first, _ = page.run()
    page.goes_on()
    again, calls = page.run(seed=99, strength=0.1, text="other")
    assert calls == 0 and page.told["state"] == "same" and page.told["after"] == page.history
    for name in OUTPUTS[:3]:
        assert torch.equal(first[name], again[name])
    assert all(map(torch.equal, first["crops"], again["crops"]))


def test_two_steps_and_back(page: Page, folders: Path) -> None:
    """The second step is on the first one's floats; without it the picture is the first one's, bit for bit."""
    page.paints(folders, FIRST, "one.png")
    first, _ = page.run()
    page.goes_on()
    page.paints(folders, SECOND, "two.png")
    second, calls = page.run()
    assert calls > 0 and torch.equal(second["before"], first["image"])
    assert torch.equal(second["image"][inside(FIRST)], first["image"][inside(FIRST)])
    assert not torch.equal(second["image"][inside(SECOND)], first["image"][inside(SECOND)])
    page.goes_on()
    assert [one["mask"] for one in page.steps] == ["clipspace/one.png [input]", "clipspace/two.png [input]"]
    page.steps_back()
    back, calls = page.run()
    assert calls == 0 and torch.equal(back["image"], first["image"]) and torch.equal(back["before"], page.picture)
    page.steps_back()
    assert torch.equal(page.run()[0]["image"], page.picture)


def test_queued_twice_it_steps_once(page: Page, folders: Path) -> None:
    """What is sent says all: the same prompt gives the same, whatever was run before."""
    page.paints(folders, FIRST, "one.png")
    first, _ = page.run()
    told = page.told
    again, _ = page.run()
    assert torch.equal(first["image"], again["image"]) and page.told == told


@pytest.mark.parametrize("changed", ["gone", "broken", "another"])
def test_what_is_gone_is_made_again(page: Page, folders: Path, changed: str) -> None:
    for box, name in ((FIRST, "one.png"), (SECOND, "two.png")):
        page.paints(folders, box, name)
        last, _ = page.run()
        page.goes_on()
    files = sorted((folders / "temp" / touch_up.FOLDER).glob("*.safetensors"))
    assert len(files) == 2
    contents = [path.read_bytes() for path in files]
    for path, other in zip(files, reversed(contents), strict=True):
        if changed == "gone":
            path.unlink()
        else:
            path.write_bytes(b"none" if changed == "broken" else other)
    again, calls = page.run()
    assert calls > 0 and torch.equal(again["image"], last["image"]) and page.told["after"] == page.history


def test_made_again_with_another_model(page: Page, folders: Path, unet: Pipe) -> None:
    """Steps that are kept stay as they were made; where they are gone the pipe of now makes them, and that is kept."""
    from engine.tiny_models import unet_pipe

    page.paints(folders, FIRST, "one.png")
    first, _ = page.run()
    page.goes_on()
    model, levels = watched(unet_pipe(seed=5)[0])
    page.pipe, page.levels = pipe_with(unet, model=model), levels
    assert torch.equal(page.run()[0]["image"], first["image"]) and not levels
    for path in (folders / "temp" / touch_up.FOLDER).iterdir():
        path.unlink()
    other, calls = page.run()
    assert calls > 0 and not torch.equal(other["image"], first["image"])
    page.goes_on()
    assert page.run()[1] == 0


def test_another_picture_starts_anew(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    page.run()
    page.goes_on()
    page.picture = picture(*SIZE, seed=3)
    page.paints(folders, SECOND, "two.png")  # on the picture before
    outputs, calls = page.run()
    assert torch.equal(outputs["image"], page.picture) and calls == 0 and page.told["state"] == "other picture"
    page.goes_on()
    assert page.steps == []


@pytest.mark.parametrize("box", [None, (10, 10, 12, 12)], ids=["empty", "speck"])
def test_nothing_is_marked(page: Page, folders: Path, box: Any) -> None:
    page.paints(folders, box, "one.png")
    outputs, calls = page.run()
    assert torch.equal(outputs["image"], page.picture) and calls == 0 and page.told["state"] == "nothing painted"
    page.goes_on()
    assert page.steps == [] and page.image == ""


def test_what_is_left_open_comes_from_the_model(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    outputs, calls = page.run(steps=1, cfg=0.0, sampler_name="auto", scheduler="auto", size=0)
    (made,) = json.loads(page.told["after"])["steps"]
    wanted = {"steps": 1, "cfg": 7.0, "sampler_name": "dpmpp_2m", "scheduler": "karras", "size": 512}
    assert {name: made[name] for name in wanted} == wanted and page.told["family"] == "SD 1.5"
    assert min(outputs["crops"][0].shape[1:3]) == 512 and calls == 1
    page.run(steps=0)
    assert json.loads(page.told["after"])["steps"][0]["steps"] == 20


def test_families(unet: Pipe, flow: Pipe) -> None:
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
    from engine.tiny_models import still_clip_model, unet_model

    models: list[Any] = [unet[0], flow[0], still_clip_model(), unet_model(in_channels=9)]
    assert [family_of(model).name for model in models] == ["SD 1.5", "SD 3", "Wan", "SD 1.5"]
    assert [is_for_inpainting(model) for model in models] == [False, False, False, True]
    (lcm,) = ModelSamplingDiscrete().patch(unet[0], "lcm", False)
    assert family_of(lcm).cfg == 1.5 and family_of(lcm).side == 512
    assert family_of(object()).steps == 20  # type: ignore[arg-type]


def test_every_family_can_be_sampled() -> None:
    import comfy.samplers
    import comfy.supported_models
    from mask_detailer.detailer.host import families

    for name, family in families._FAMILIES.items():
        assert hasattr(comfy.supported_models, name)
        assert family.sampler_name in comfy.samplers.KSampler.SAMPLERS
        assert family.scheduler in comfy.samplers.KSampler.SCHEDULERS


def test_inpainting_models(page: Page, folders: Path) -> None:
    from engine.tiny_models import unet_pipe

    page.pipe = unet_pipe(in_channels=9)
    page.paints(folders, FIRST, "one.png")
    assert not torch.equal(page.run()[0]["image"], page.picture)


def test_own_text(page: Page, folders: Path) -> None:
    page.pipe = pipe_with(page.pipe, clip=text_encoder())
    page.paints(folders, FIRST, "one.png")
    without, _ = page.run()
    text, _ = page.run(text="a cat")
    assert not torch.equal(without["image"], text["image"])
    assert json.loads(page.told["after"])["steps"][0]["text"] == "a cat"


def test_alpha_is_kept(page: Page, folders: Path) -> None:
    page.picture = torch.cat([page.picture, torch.rand(1, *SIZE, 1)], dim=-1)
    page.paints(folders, FIRST, "one.png")
    outputs, _ = page.run()
    assert torch.equal(outputs["image"][..., 3], page.picture[..., 3])
    page.goes_on()
    assert torch.equal(page.run()[0]["image"], outputs["image"])


def test_what_is_shown(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    outputs, _ = page.run()
    (shown,) = page.shown
    said = json.loads(page.told["after"])
    assert shown["filename"] == f"{said['steps'][-1]['picture']}.png" and shown["type"] == "temp"
    pixels = np.array(Image.open(folders / "temp" / shown["subfolder"] / shown["filename"]))
    assert np.array_equal(pixels, (outputs["image"][0] * 255).round().numpy().astype(np.uint8))
    assert (folders / "temp" / shown["subfolder"] / f"{said['of']}.png").is_file()


def test_a_seed_that_a_page_can_not_hold(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    first, _ = page.run(seed=2**64 - 1)
    page.goes_on()
    assert page.steps[0]["seed"] == str(2**64 - 1)
    for path in (folders / "temp" / touch_up.FOLDER).iterdir():
        path.unlink()
    assert torch.equal(page.run()[0]["image"], first["image"])


def test_files_are_bounded(page: Page, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touch_up, "MOST_BYTES", 700_000)
    for number in range(8):
        page.paints(folders, FIRST if number % 2 else SECOND, f"{number}.png")
        page.run()
        page.goes_on()
    held = sum(path.stat().st_size for path in (folders / "temp" / touch_up.FOLDER).iterdir())
    assert held < 1_000_000 and len(page.steps) == 8
    page.run()


def error_of(page: Page, **more: Any) -> str:
    made = execute(page.prompt(**more), picture=page.picture, pipe=page.pipe)
    assert made.error is not None and not made.kept
    return made.error


@pytest.mark.parametrize("history", ["{", "[]", '{"of": "../../x", "steps": []}', '{"of": "", "steps": [{}]}', "5"])
def test_a_history_that_is_none(page: Page, history: str) -> None:
    assert error_of(page, history=history).startswith("MaskDetailerTouchUp, input 'history'")


@pytest.mark.parametrize(
    ("name", "value"),
    [("picture", "../../../etc/passwd"), ("picture", 5), ("seed", 5), ("seed", "x"), ("steps", 0), ("cfg", "7"),
     ("strength", 2.0), ("sampler_name", "none such"), ("mask", None), ("size", -8), ("feather", True)],
)  # fmt: skip
def test_a_step_that_can_not_be(page: Page, folders: Path, name: str, value: Any) -> None:
    page.paints(folders, FIRST, "one.png")
    page.run()
    page.goes_on()
    said = json.loads(page.history)
    said["steps"][0][name] = value
    found = error_of(page, history=json.dumps(said))
    assert found.startswith("MaskDetailerTouchUp, input 'history': ") and "step 1" in found


@pytest.mark.parametrize("image", ["../secret.png", "/etc/passwd", "clipspace/../../secret.png", "gone.png [input]"])
def test_no_file_outside(page: Page, folders: Path, image: str) -> None:
    Image.new("RGBA", (128, 96)).save(folders / "secret.png")
    assert error_of(page, image=image).startswith("MaskDetailerTouchUp, input 'image'")


def test_a_mask_and_its_picture_are_gone(page: Page, folders: Path) -> None:
    page.paints(folders, FIRST, "one.png")
    page.run()
    page.goes_on()
    (folders / "input" / "clipspace" / "one.png").unlink()
    page.run()  # its picture is still there
    for path in (folders / "temp" / touch_up.FOLDER).iterdir():
        path.unlink()
    assert "its mask 'clipspace/one.png [input]'" in error_of(page)


def test_several_pictures(page: Page) -> None:
    page.picture = page.picture.repeat(2, 1, 1, 1)
    assert error_of(page).startswith("MaskDetailerTouchUp, input 'picture'")
