"""SAM from files of each kind: which it is, and those that would run code or are broken."""

from __future__ import annotations

import io
import pickle
import random
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine.sam_models import KINDS, load, needs_sam2, photo, weights_of, write
from mask_detailer.detailer.detection.sam import models
from mask_detailer.detailer.detection.sam.files import SamFileError, read_tensors
from mask_detailer.nodes.sam_loader import SAMLoader
from mask_detailer.nodes.validate import InputError
from safetensors.torch import save_file
from support import sam_files
from support.sam_files import BASE_PLUS, LARGE, MINI, SMALL, TINY, VIT_B, VIT_H, VIT_L, HieraSize, Vit

# --- which file it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["legacy.pt", "own.safetensors", "transformers.safetensors", "half.safetensors"])
def test_each_form_of_file(kind: str, form: str, sams: Path) -> None:
    """Named against what it holds."""
    size = Vit() if kind == "sam1" else MINI
    weights = weights_of(size)
    name = f"sam_vit_h_{form}"
    own = weights.own | (sam_files.for_videos(True) if kind == "sam2.1" else {})
    if form == "legacy.pt":
        torch.save(own, sams / name, _use_new_zipfile_serialization=False)
    elif form == "transformers.safetensors":
        extra = {"occlusion_spatial_embedding_parameter": torch.zeros(1, 4)} if kind == "sam2.1" else {}
        save_file({key: value.clone() for key, value in (weights.others | extra).items()}, sams / name)
    else:
        to = torch.float16 if form.startswith("half") else torch.float32
        save_file({key: value.to(to) for key, value in own.items()}, sams / name)
    sam = load(name)
    assert sam.name == {"sam1": "SAM 1 with 32 channels", "sam2": "SAM 2 mini", "sam2.1": "SAM 2.1 mini"}[kind]
    values = sam.sam_wrapper.network.net.state_dict()
    for key, value in weights.others.items():
        wanted = value.half().float() if form.startswith("half") else value
        assert values[key].dtype == torch.float32 and torch.equal(values[key], wanted), key


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (VIT_B, "SAM 1 base"),
        (VIT_L, "SAM 1 large"),
        (VIT_H, "SAM 1 huge"),
        pytest.param(TINY, "SAM 2 tiny", marks=needs_sam2),
        pytest.param(SMALL, "SAM 2 small", marks=needs_sam2),
        pytest.param(BASE_PLUS, "SAM 2 base plus", marks=needs_sam2),
        pytest.param(LARGE, "SAM 2 large", marks=needs_sam2),
    ],
)
def test_each_published_size(size: Any, name: str) -> None:
    """Its configuration is that of transformers, told by shapes alone."""
    is_sam1 = isinstance(size, Vit)
    tensors = sam_files.sam1_tensors(size) if is_sam1 else sam_files.sam2_tensors(size)
    sam = models.build({own: torch.empty(shape, device="meta") for own, _, shape in tensors})
    assert sam.name == name and sam.network.side == 1024
    made = sam.network.net.config.to_dict()
    wanted = (sam_files.sam1_in_transformers(size) if is_sam1 else sam_files.sam2_in_transformers(size)).to_dict()
    for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config"):
        ours, theirs = (_plain(config[part]) for config in (made, wanted))
        assert ours == theirs


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Without what is only noted down."""
    noted = ("transformers_version", "_attn_implementation", "dtype", "torch_dtype")
    return {
        key: _plain(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for key, value in config.items()
        if key not in noted
    }


OTHERS = {
    "sam_h.pth": ({"mask_decoder.hf_token.weight": torch.zeros(1, 4)}, "is SAM-HQ; this node loads SAM 1"),
    "mobile_sam.pt": ({"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(4)}, "is MobileSAM; this node"),
    "sd.pth": ({"first_stage_model.a": torch.zeros(4)}, r"holds no SAM: its tensors have names such as first_stage"),
    "empty.pth": ({"epoch": 3}, "holds no weights"),
    "list.pth": ([torch.zeros(3)], "holds no weights"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_are_named(name: str, sams: Path) -> None:
    held, said = OTHERS[name]
    torch.save(held, sams / name)
    with pytest.raises(InputError, match=f"^SAMLoader, input 'model_name': '{name}' {said}.*Choose a file of SAM 1"):
        load(name)


def test_what_does_not_fit(sams: Path) -> None:
    own = weights_of(Vit()).own
    faults: dict[str, tuple[dict[str, torch.Tensor], str]] = {
        "lacks": ({"mask_decoder.iou_token.weight": torch.zeros(0)}, "lacks mask_decoder.iou_token.weight"),
        "more": ({"adapter.weight": torch.zeros(3)}, "is a variant of SAM .*: it also has adapter.weight"),
        "shape": (
            {"mask_decoder.iou_token.weight": torch.zeros(1, 9)},
            r"iou_token.weight has the shape \[1, 9\], not",
        ),
        "none": ({"image_encoder.pos_embed": torch.zeros(1, 0, 0, 32)}, r"is broken: vision_encoder.pos_embed has"),
    }
    for name, (changes, said) in faults.items():
        held = {key: value for key, value in (own | changes).items() if name != "lacks" or value.numel()}
        torch.save(held, sams / f"{name}.pth")
        with pytest.raises(InputError, match=f"'{name}.pth' .*{said}"):
            load(f"{name}.pth")


@needs_sam2
def test_an_unknown_size_and_an_old_transformers(sams: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = HieraSize(32, 1, (1, 1, 1, 1), (8, 4, 14, 7), ())
    name = write(sams, "sam2", odd, weights_of(odd))
    with pytest.raises(InputError, match=r"size that this node doesn't know \(32 channels, \(1, 1, 1, 1\) blocks\)"):
        load(name)
    name = write(sams, "sam2", MINI, weights_of(MINI))
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(__version__="4.50.3"))
    with pytest.raises(InputError, match=r"is SAM 2, which the installed transformers 4.50.3 does not know; update"):
        load(name)


# --- files that would run code ------------------------------------------------------------------------------------


class Runs:
    """Pickled as a call that leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


class Fills:
    """Pickled as a call that takes memory: PyTorch's own list of what may be called has it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**40,)


def zipped(path: Path, data: bytes, compression: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, held in {"data.pkl": data, "version": b"3\n", "byteorder": b"little", **more}.items():
            archive.writestr(f"archive/{name}", held)


@pytest.mark.parametrize(
    ("form", "protocol"), [("zip", 2), ("zip", 4), ("legacy", 2), ("legacy", 4), ("bare", 0), ("bare", 2), ("bare", 4)]
)
def test_code_is_not_run(protocol: int, form: str, sams: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    held = {"a": torch.zeros(2), "b": Runs(canary)}
    path = sams / "sam_vit_b_01ec64.pth"
    if form == "bare":
        path.write_bytes(pickle.dumps(Runs(canary), protocol))
    else:
        torch.save(held, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match=r"'sam_vit_b_01ec64.pth' holds more than weights: .*Nothing of it was run"):
        load(path.name)
    assert not canary.exists()
    with torch.inference_mode(False):
        torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())
    assert canary.exists()  # it would have


@pytest.mark.parametrize("fault", ["memory", "packed", "second pickle", "script", "cut", "text", "none", "claims"])
def test_broken_and_lying_files(fault: str, sams: Path) -> None:
    path = sams / "sam_vit_b.pth"
    good = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, good)
    if fault == "memory":
        zipped(path, pickle.dumps({"a": Fills()}, 2))
        said = "holds more than weights: loading it would call (__builtin__|builtins).bytearray"
    elif fault == "packed":
        zipped(path, pickle.dumps({}, 2), zipfile.ZIP_DEFLATED, **{"data/0": bytes(10**6)})
        said = "is packed"
    elif fault == "second pickle":
        zipped(path, pickle.dumps({}, 2), **{"constants.pkl": b"."})
        said = "is a program"
    elif fault == "script":
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
        said = "is a program"
    elif fault == "cut":
        path.write_bytes(good.getvalue()[:-300])
        said = "is broken or no file of weights"
    elif fault == "text":
        path.write_text("<html>not found</html>")
        said = "is broken or no file of weights"
    elif fault == "none":
        path.write_bytes(b"")
        said = "is broken or no file of weights"
    else:
        torch.save({"a": torch.zeros(1).expand(10**12)}, path)
        said = "claims to hold more weights"
    with pytest.raises(InputError, match=f"'sam_vit_b.pth' {said}"):
        load(path.name)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".pt"])
def test_mutated_files(ending: str, sams: Path) -> None:
    """They are read as something or refused, and nothing else happens."""
    path = sams / f"sam{ending}"
    held = {f"image_encoder.blocks.{n}": torch.full((3,), float(n)) for n in range(3)}
    if ending == ".safetensors":
        save_file(held, path)
    else:
        torch.save(held, path, _use_new_zipfile_serialization=ending == ".pth")
    good, chance = path.read_bytes(), random.Random(3)
    refused = 0
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(chance.choice((1, 2, 8, 40))):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        path.write_bytes(bad if chance.random() < 0.8 else bad[: chance.randrange(len(bad))])
        try:
            read_tensors(path)
        except SamFileError:
            refused += 1
    assert 50 < refused < 200


def test_a_broken_safetensors(sams: Path) -> None:
    path = sams / "sam.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"'sam.safetensors' is broken or no file of weights"):
        load(path.name)


# --- the node -----------------------------------------------------------------------------------------------------


def test_choices(sams: Path) -> None:
    for name in ("sam_vit_b.pth", "sam_hq_vit_b.pth", "notes.txt", "sub/sam2_hiera_small.safetensors"):
        (sams / name).parent.mkdir(exist_ok=True)
        (sams / name).touch()
    types = SAMLoader.INPUT_TYPES()
    names = types["required"]["model_name"][0]
    assert [Path(name).as_posix() for name in names] == ["sam_vit_b.pth", "sub/sam2_hiera_small.safetensors", "ESAM"]
    assert types["optional"]["device_mode"][0] == ["AUTO", "Prefer GPU", "CPU"]
    with pytest.raises(InputError, match=r"'model_name': 'sam_hq_vit_b.pth' is none of its choices"):
        load("sam_hq_vit_b.pth")


def test_esam(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the node of another pack, which gives a TorchScript network; the best of its masks for a box."""
    with pytest.raises(InputError, match=r"'ESAM' is loaded by the pack ComfyUI-YoloWorld-EfficientSAM, .*Install"):
        load("ESAM")
    import nodes

    class Network(torch.nn.Module):
        def forward(self, picture: torch.Tensor, points: torch.Tensor, labels: torch.Tensor) -> Any:
            assert points.shape == (1, 1, 2, 2) and labels.shape == (1, 1, 2)
            inside = torch.full((1, 1, 3, picture.shape[2], picture.shape[3]), -1.0)
            x1, y1, x2, y2 = points.flatten().long().tolist()
            inside[0, 0, 1, y1:y2, x1:x2] = picture.mean(1)[0, y1:y2, x1:x2] - 0.5
            return inside, torch.tensor([[[0.2, 0.9, 0.4]]])

    class Loader:
        FUNCTION = "load_esam_model"

        def load_esam_model(self, device: str) -> tuple[Any]:
            assert device == "CPU"
            return (Network(),)

    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "ESAM_ModelLoader_Zho", Loader)
    wrapper = load("ESAM").sam_wrapper
    image = photo(40, 60)
    (mask,) = wrapper.predict(image, [(1, 1)], [0], [10.0, 5.0, 50.0, 30.0], 0.9)
    wanted = np.zeros((40, 60), bool)
    wanted[5:30, 10:50] = image[5:30, 10:50].astype(np.float32).mean(-1) >= 127.5
    assert (mask != wanted).mean() < 0.001 and mask.any()
    assert wrapper.predict(image, [(1, 1)], [1], None, 0.9) == []
