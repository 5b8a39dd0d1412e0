"""A segment's text up to the encoder: choices, lists from files, and LoRA files for one segment alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
import pytest
import torch
from engine.running import SEGS_SIZE as SIZE
from engine.running import Recorder, do_detail, pipe_with, same, segs_of
from engine.test_segment_text import LEFT, MIDDLE, RIGHT, Clip
from engine.tiny_models import CONTEXT_WIDTH, Pipe, picture, text_encoder
from mask_detailer.detailer import host
from mask_detailer.detailer.prompts.loras import find_lora
from mask_detailer.detailer.prompts.reader import Prompts
from mask_detailer.detailer.prompts.wildcard_files import wildcard_folders
from mask_detailer.detailer.prompts.wildcards import expand
from mask_detailer.detailer.values import BasicPipe
from mask_detailer.nodes.detailer_pipes import ToDetailerPipe
from mask_detailer.nodes.detailers import DetailerForEachAutoRetry
from safetensors.torch import save_file

import nodes

BOXES = {"left": LEFT, "middle": MIDDLE, "right": RIGHT}


def lora_file(path: Path, seed: int) -> None:
    """A LoRA of rank 2 for one layer of the tiny UNet and one of the tiny text encoder."""
    generator = torch.Generator().manual_seed(seed)
    width = CONTEXT_WIDTH
    weights = {}
    for layer, outputs in (
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_v", width),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", 2 * width),
    ):
        weights[f"{layer}.lora_down.weight"] = torch.randn(2, width, generator=generator)
        weights[f"{layer}.lora_up.weight"] = torch.randn(outputs, 2, generator=generator)
        weights[f"{layer}.alpha"] = torch.tensor(2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)


@pytest.fixture(scope="module")
def lora_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loras")
    with torch.inference_mode(False):
        for number, name in enumerate(("a_style", "one", "sub/style", "sub/two.x"), start=1):
            lora_file(folder / f"{name}.safetensors", number)
    return folder


@pytest.fixture(autouse=True)
def listed(lora_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ComfyUI sees these LoRAs and no others."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(lora_folder)], {".safetensors"}))
    folder_paths.filename_list_cache.pop("loras", None)
    yield
    folder_paths.filename_list_cache.pop("loras", None)


@pytest.fixture(scope="module")
def encoder() -> Any:
    with torch.inference_mode():
        return text_encoder()


@pytest.fixture
def pipe(unet: Pipe, encoder: Any) -> Any:
    return pipe_with(unet, clip=encoder)


class Ran:
    """A run: each segment's crop and what it was sampled with, by the names of the boxes."""

    def __init__(self, pipe: Any, text: str, *names: str, seed: int = 40, **changes: Any) -> None:
        self.hook = Recorder()
        names = names or tuple(BOXES)
        image = changes.pop("image", picture(*SIZE))
        arguments = dict(wildcard_opt=text, detailer_hook=self.hook, seed=seed, steps=1, guide_size=16.0) | changes
        self.out = do_detail(image, segs_of(*(BOXES[name] for name in names)), pipe, **arguments)
        self.crops = {
            name: torch.as_tensor(seg.cropped_image)
            for seg in self.out[5][1]
            for name, box in BOXES.items()
            if seg.bbox == box
        }
        self.models = self.hook.all("pre_ksample", 0)


def by_hand(pipe: Any, text: str, *loras: tuple[str, float, float]) -> Any:
    """The pipe as a workflow of ComfyUI's own nodes would make it for that prompt."""
    model, clip = pipe[0], pipe[1]
    for name, weight, clip_weight in loras:
        model, clip = nodes.LoraLoader().load_lora(model, clip, name, weight, clip_weight)
    return pipe_with(pipe, model=model, positive=nodes.CLIPTextEncode().encode(clip, text)[0])


def alike(first: Ran, second: Ran, *names: str) -> bool:
    return all(torch.equal(first.crops[name], second.crops[name]) for name in names or first.crops)


# --- LoRA tags ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "loras"),
    [
        ("red <lora:one>", [("one.safetensors", 1.0, 1.0)]),
        ("<lora:one:0.5>red", [("one.safetensors", 0.5, 0.5)]),
        ("r<lora:one.safetensors:-0.5:2>ed", [("one.safetensors", -0.5, 2.0)]),
        ("red<lora:one:1:0>", [("one.safetensors", 1.0, 0.0)]),
        ("red<lora:one:0:1>", [("one.safetensors", 0.0, 1.0)]),
        ("<lora:one:1e-1>red", [("one.safetensors", 1.0, 1.0)]),
        ("<lora:one:x:0.25:y:2>red", [("one.safetensors", 0.25, 2.0)]),
        ("<lora:one:0.5>red<lora:one:1>", [("one.safetensors", 0.5, 0.5)]),
        ("<lora:sub\\two.x:0.5>red<lora:one>", [("sub/two.x.safetensors", 0.5, 0.5), ("one.safetensors", 1.0, 1.0)]),
        ("{<lora:one:0.5>}{red}", [("one.safetensors", 0.5, 0.5)]),
    ],
)
def test_a_lora_is_what_comfyuis_loader_makes_of_it(pipe: Any, text: str, loras: Any) -> None:
    assert alike(Ran(pipe, text, "middle"), Ran(by_hand(pipe, "red", *loras), "", "middle"))
    assert not alike(Ran(pipe, text, "middle"), Ran(pipe, "red", "middle"))


@pytest.mark.parametrize("tag", ["<lora:one:0>", "<lora:one:0:0>", "<lora:one:-0.0>"])
def test_weight_zero_is_none(pipe: Any, tag: str) -> None:
    assert alike(Ran(pipe, f"red {tag}"), Ran(pipe, "red"))


def test_a_lora_serves_its_segment_only(pipe: Any) -> None:
    plain = Ran(pipe, "[ASC]red")
    ran = Ran(pipe, "[ASC]red[SEP]red<lora:one>[SEP]red")
    assert alike(ran, plain, "left", "right")
    assert not alike(ran, plain, "middle")
    assert [model.patches_uuid == pipe[0].patches_uuid for model in ran.models] == [True, False, True]
    assert alike(Ran(pipe, "[ASC]red"), plain)  # and nothing is left of it afterwards
    assert not pipe[0].patches
    assert not pipe[1].patcher.patches


def test_segments_with_loras_of_their_own_come_out_as_alone(pipe: Any) -> None:
    texts = {"left": "red<lora:one>", "middle": "<lora:two.x:0.7>blue", "right": "green <lora:one:0.3:0>"}
    together = Ran(pipe, "[ASC]" + "[SEP]".join(texts.values()))
    for number, (name, text) in enumerate(texts.items()):
        assert alike(Ran(pipe, text, name, seed=40 + number), together, name)


def test_negative_and_cfg_are_left_alone(pipe: Any) -> None:
    ran, plain = Ran(pipe, "[ASC]red<lora:one>[SEP]blue"), Ran(pipe, "[ASC]red[SEP]blue")
    assert same(ran.hook.all("pre_ksample", 7), plain.hook.all("pre_ksample", 7))
    assert ran.hook.all("pre_ksample", 3) == [3.0] * 3


def test_added_text_is_encoded_with_the_lora(pipe: Any) -> None:
    ran = Ran(pipe, "[CONCAT]red<lora:one>", "middle")
    own = by_hand(pipe, "red", ("one.safetensors", 1.0, 1.0))[3]
    assert torch.equal(ran.hook.all("pre_ksample", 6)[0][0][0], torch.cat([pipe[3][0][0], own[0][0]], dim=1))


def test_break_is_split_after_choices_and_tags(pipe: Any) -> None:
    ran = Ran(pipe, "{red BREAK blue}<lora:one>", "middle")
    loras = ("one.safetensors", 1.0, 1.0)
    own = [by_hand(pipe, text, loras)[3][0][0] for text in ("red", "blue")]
    assert torch.equal(ran.hook.all("pre_ksample", 6)[0][0][0], torch.cat(own, dim=1))


def test_tags_alone_are_an_empty_prompt(pipe: Any) -> None:
    loras = ("one.safetensors", 1.0, 1.0)
    assert alike(Ran(pipe, " <lora:one> ", "middle"), Ran(by_hand(pipe, "", loras), "", "middle"))


def test_differential_diffusion_stays_with_the_lora(pipe: Any) -> None:
    ran = Ran(pipe, "red<lora:one>", "middle", noise_mask_feather=5)
    assert "denoise_mask_function" in ran.models[0].model_options
    assert ran.models[0].patches
    wanted = Ran(by_hand(pipe, "red", ("one.safetensors", 1.0, 1.0)), "", "middle", noise_mask_feather=5)
    assert alike(ran, wanted)


@pytest.mark.parametrize("name", ["nope", "one.ckpt", "", "../{folder}/one"])
def test_an_unknown_lora_is_told_of_and_left_out(pipe: Any, name: str, told: Any, lora_folder: Path) -> None:
    text = f"red <lora:{name.format(folder=lora_folder.name)}:0.5>"
    assert alike(Ran(pipe, text), Ran(pipe, "red"))
    assert told.text.count("no LoRA has the name") == 1


def test_no_file_outside_comfyuis_folders_is_opened(pipe: Any, tmp_path: Path, told: Any) -> None:
    lora_file(tmp_path / "outside.safetensors", 9)
    for path in (tmp_path / "outside", tmp_path / "outside.safetensors"):
        assert alike(Ran(pipe, f"red<lora:{path}>", "left"), Ran(pipe, "red", "left"))
        assert f"no LoRA has the name {path}" in told.text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("one", "one.safetensors"),
        ("one.safetensors", "one.safetensors"),
        ("two.x", "sub/two.x.safetensors"),
        ("sub/two.x", "sub/two.x.safetensors"),
        ("sub\\two.x.safetensors", "sub/two.x.safetensors"),
        ("ne", "one.safetensors"),  # an end of a name will do,
        ("style", "sub/style.safetensors"),  # but a whole one is better
        ("a_style", "a_style.safetensors"),
        ("two", None),
        ("one.pt", None),
        ("", None),
    ],
)
def test_names_of_loras(name: str, wanted: str | None) -> None:
    found = find_lora(name, host.models.lora_names(), host.models.model_file_endings())
    assert (found and found.replace("\\", "/")) == wanted


def test_each_file_is_read_once_a_run(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = comfy.utils.load_torch_file

    def counted(path: str, *arguments: Any, **options: Any) -> Any:
        read.append(Path(path).name)
        return load(path, *arguments, **options)

    monkeypatch.setattr(comfy.utils, "load_torch_file", counted)
    text = "[ASC]red<lora:one>[SEP]blue<lora:one:0.5><lora:two.x>[SEP]green<lora:one>"
    ran = Ran(pipe, text, image=picture(*SIZE).expand(2, -1, -1, -1), noise_mask_feather=5)
    assert sorted(read) == ["one.safetensors", "two.x.safetensors"]
    assert ran.models[0] is ran.models[2]  # the same tags: nothing to patch anew
    Ran(pipe, text)
    assert len(read) == 4  # nothing is kept from run to run


def test_patched_models_go_with_the_run(pipe: Any) -> None:
    """Without a garbage collection. Else ComfyUI takes them for a leak, and collects at every load from then on."""
    gc.collect()
    gc.disable()
    try:
        base = BasicPipe(*pipe)
        patched = Prompts().read("red<lora:one><lora:two.x>", 0, base)[0].model
        assert patched.patches
        gone = weakref.ref(patched)
        del patched
        assert gone() is None
    finally:
        gc.enable()


class BlockLoader:
    """Stands where the Inspire Pack registers its loader; loads with half the weight."""

    FUNCTION = "doit"
    calls: list[tuple[Any, ...]] = []

    def doit(self, model: Any, clip: Any, name: str, weight: float, clip_weight: float, *more: Any) -> Any:
        self.calls.append((name, weight, clip_weight, *more))
        return *nodes.LoraLoader().load_lora(model, clip, name, weight / 2, clip_weight), "vector"


@pytest.mark.parametrize(
    ("tag", "call"),
    [
        ("one:LBW=1,0,A,B;A=0.5;B=-2", (1.0, 1.0, False, 0, 0.5, -2.0, "", "1,0,A,B")),
        ("one:0.8:0.4:LBW=SD-ALL:1,1; B = x ;A=2", (0.8, 0.4, False, 0, 2.0, 1.0, "", "1,1")),
        ("one:LBW=1,R,U", (1.0, 1.0, False, 0, 1.0, 1.0, "", "1,R,U")),
    ],
)
def test_block_weights(pipe: Any, tag: str, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "LoraLoaderBlockWeight //Inspire", BlockLoader)
    monkeypatch.setattr(BlockLoader, "calls", [])
    ran = Ran(pipe, f"red<lora:{tag}>", "middle")
    assert BlockLoader.calls == [("one.safetensors", *call)]
    assert alike(ran, Ran(by_hand(pipe, "red", ("one.safetensors", call[0] / 2, call[1])), "", "middle"))


def test_block_weights_without_the_pack(pipe: Any, told: Any) -> None:
    assert alike(Ran(pipe, "red<lora:one:0.5:LBW=1,0,1>"), Ran(pipe, "red<lora:one:0.5>"))
    assert told.text.count("LBW needs the Inspire Pack") == 1


# --- choices ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes a file into the folder that is registered for wildcards."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "wildcards", ([str(tmp_path)], {".txt"}))

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


def encoded(unet: Pipe, text: str, seed: int, **changes: Any) -> list[str]:
    clip = Clip()
    Ran(pipe_with(unet, clip=clip), text, seed=seed, **changes)
    return clip.texts


def test_choices_follow_the_segments_seed(unet: Pipe, lists: Any) -> None:
    lists("hair.txt", "red\n2::blue\ngreen")
    known = {"hair": ["red", "2::blue", "green"]}
    text = "[ASC]{a|b|c} __hair__[SEP:5]{d|e|f} __hair__"
    wanted = [
        expand(item, seed, known)
        for item, seed in (("{a|b|c} __hair__", 40), ("{d|e|f} __hair__", 5), ("{a|b|c} __hair__", 42))
    ]
    assert encoded(unet, text, 40) == wanted
    assert encoded(unet, text, 40) == wanted
    assert len({tuple(encoded(unet, "__hair__ {a|b|c|d}", seed)) for seed in range(3)}) == 3
    twice = encoded(unet, "{a|b|c|d|e|f}", 40, image=picture(*SIZE).expand(2, -1, -1, -1))
    assert twice[:3] == twice[3:]


def test_a_further_attempt_chooses_with_its_own_seed(unet: Pipe) -> None:
    class Strict(Recorder):
        left = 2

        def should_retry_patch(self, pixels: Any) -> bool:
            self.left -= 1
            return self.left >= 0

    clip, text = Clip(), "{a|b|c|d|e|f|g}{a|b|c|d|e|f|g}"
    model, _, vae, positive, negative = unet
    DetailerForEachAutoRetry().doit(
        picture(*SIZE), segs_of(MIDDLE), model=model, clip=clip, vae=vae, guide_size=16.0, guide_size_for=True,
        max_size=128.0, seed=7, steps=1, cfg=3.0, sampler_name="euler", scheduler="normal", positive=positive,
        negative=negative, denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, wildcard=text, cycle=1,
        max_retries=3, detailer_hook=Strict(),
    )  # fmt: skip
    assert clip.texts == [expand(text, seed, {}) for seed in (7, 8, 9)]


def test_lists_may_hold_lora_tags(pipe: Any, lists: Any) -> None:
    lists("styles.yaml", "style: {warm: ['red <lora:one:0.5>']}")
    assert alike(Ran(pipe, "__style/warm__", "left"), Ran(pipe, "red<lora:one:0.5>", "left"))


def test_what_was_chosen_is_told(unet: Pipe, told: Any) -> None:
    encoded(unet, "{a}", 40)
    assert "seed 40 makes the text: a" in told.text


# --- folders ------------------------------------------------------------------------------------------------------


def test_folders_of_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """What is registered, ComfyUI's own folder, then an Impact Pack's: the one its settings name, and its two."""
    folders = [
        "registered", "base/wildcards", "mine", "base/custom_nodes/ComfyUI-Impact-Pack/custom_wildcards",
        "base/custom_nodes/ComfyUI-Impact-Pack/wildcards", "base/custom_nodes/comfyui-impact-pack/wildcards",
        "base/custom_nodes/another-pack/wildcards",
    ]  # fmt: skip
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    pack = tmp_path / "base/custom_nodes/ComfyUI-Impact-Pack"
    (pack / "impact-pack.ini").write_text(f"[default]\ncustom_wildcards = {tmp_path / 'mine'}\n")
    names = folder_paths.folder_names_and_paths
    monkeypatch.setitem(names, "wildcards", ([str(tmp_path / "registered"), str(tmp_path / "absent")], {".txt"}))
    monkeypatch.setitem(names, "custom_nodes", ([str(tmp_path / "base/custom_nodes")], set()))
    monkeypatch.setattr(folder_paths, "base_path", str(tmp_path / "base"))
    found = [folder.relative_to(tmp_path).as_posix() for folder in wildcard_folders() if tmp_path in folder.parents]
    assert found == folders[:-1]

    (pack / "impact-pack.ini").write_text("no settings")
    assert tmp_path / "mine" not in wildcard_folders()
    assert "can't be read" in told.text


def test_lists_to_choose_from(lists: Any) -> None:
    lists("hair.txt", "red")
    lists("more.yaml", "style: {warm: [red]}")
    choices = ToDetailerPipe.INPUT_TYPES()["required"]["Select to add Wildcard"][0]
    assert choices == ["Select the Wildcard to add to the text", "__hair__", "__style/warm__"]
