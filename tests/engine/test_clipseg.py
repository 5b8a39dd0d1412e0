"""CLIPSeg as a detector: from a folder, from another pack's node, or a clear error; beside transformers' own way."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine.running import Recorder
from engine.tiny_models import picture
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import mask_to_segs
from mask_detailer.nodes.detectors import BboxDetectorCombined_v2, BboxDetectorSEGS
from mask_detailer.nodes.validate import InputError
from scipy.ndimage import gaussian_filter

SIZE = (64, 80)
WIDGETS: dict[str, Any] = dict(text="face", blur=0.5, threshold=0.85, dilation_factor=1)
ASKED: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=1, labels="all")


def provided(**changes: Any) -> Any:
    return NODE_CLASS_MAPPINGS["CLIPSegDetectorProvider"]().doit(**(WIDGETS | changes))[0]


@pytest.fixture
def image() -> torch.Tensor:
    """Whole steps of 1/255: CLIPSeg is shown bytes."""
    return picture(*SIZE, seed=3).mul(255).round().div(255)


@pytest.fixture
def folder(models_dir: Path, local_models: Path) -> Path:
    """Of a CLIPSeg, in the folder of models."""
    made = models_dir / "clipseg"
    shutil.copytree(local_models / "clipseg" / "clipseg-rd64-refined", made)
    return made


def found_by_transformers(folder: Path, image: torch.Tensor, **changes: Any) -> np.ndarray:
    """``[H,W]`` of booleans, by that library's own processor and model, SciPy and OpenCV."""
    from PIL import Image
    from transformers import CLIPSegForImageSegmentation, CLIPSegProcessor

    given = WIDGETS | changes
    processor = CLIPSegProcessor.from_pretrained(folder)
    shown = Image.fromarray((image[0].numpy() * 255).round().astype(np.uint8))
    asked = processor(text=[given["text"]], images=[shown], return_tensors="pt")
    with torch.no_grad():
        logits = CLIPSegForImageSegmentation.from_pretrained(folder)(**asked).logits
    certainty = torch.sigmoid(logits).numpy().reshape(logits.shape[-2:])
    sure = gaussian_filter(np.where(certainty > given["threshold"], certainty, 0.0), sigma=given["blur"])
    side = 2 * given["dilation_factor"] + 1
    grown = cv2.dilate(sure.astype(np.float32), np.ones((side, side), np.uint8))
    return cv2.resize(grown, SIZE[::-1], interpolation=cv2.INTER_LINEAR) > 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"text": "a cat, a dog"}, {"threshold": 0.7, "blur": 0.0, "dilation_factor": 0}, {"dilation_factor": 3}],
    ids=str,
)
def test_same_as_transformers(folder: Path, image: torch.Tensor, changes: dict[str, Any]) -> None:
    made = BboxDetectorCombined_v2().doit(provided(**changes), image, 0.5, 0)[0]
    wanted = found_by_transformers(folder, image, **changes)
    assert 0.01 < wanted.mean() < 0.99
    assert made.shape == (1, *SIZE) and set(made.unique().tolist()) == {0.0, 1.0}
    assert (made[0].numpy() != wanted).mean() < 0.01


def test_segments(folder: Path, image: torch.Tensor) -> None:
    """Its mask's parts with their rectangles filled, the lowest first; the hook is asked as by MaskToSEGS."""
    detector = provided(blur=0.0, dilation_factor=0, threshold=0.8)
    mask = detector.detect_combined(image, 0.0, 0)
    wanted = mask_to_segs(mask, False, 2.0, True, 3, "A")
    assert len(wanted[1]) > 1
    hook = Recorder()
    made = BboxDetectorSEGS().doit(detector, image, **(ASKED | {"drop_size": 3}), detailer_hook=hook)[0]
    assert made[0] == wanted[0]
    for one, other in zip(made[1], wanted[1], strict=True):
        assert (one.bbox, list(one.crop_region), one.label, one.confidence) == (
            other.bbox, list(other.crop_region), "A", 1.0
        )  # fmt: skip
        assert np.array_equal(one.cropped_mask, other.cropped_mask) and one.cropped_image is None
    assert hook.names.count("post_detection") == 1 and hook.names.count("post_crop_region") >= len(made[1])


def test_its_own_threshold_and_dilation_count(folder: Path, image: torch.Tensor) -> None:
    detector = provided()
    one = detector.detect_combined(image, 0.1, -20)
    assert torch.equal(one, detector.detect_combined(image, 0.9, 20))
    assert not torch.equal(one, provided(threshold=0.6).detect_combined(image, 0.5, 0))
    assert not torch.equal(one, provided(text="sky").detect_combined(image, 0.5, 0))


def test_nothing_is_found(folder: Path, image: torch.Tensor) -> None:
    assert BboxDetectorSEGS().doit(provided(threshold=1.0), image, **ASKED)[0] == (SIZE, [])


def test_the_node_s_text_only_where_it_has_none(folder: Path, image: torch.Tensor) -> None:
    plain = provided(text="sky").detect_combined(image, 0.5, 0)
    with_text, without = provided(text="sky"), provided(text=" ")
    with pytest.raises(ValueError, match=r"^CLIPSegDetectorProvider, input 'text': it is empty. Write what to look"):
        without.detect_combined(image, 0.5, 0)
    for detector in (with_text, without):
        detector.setAux("sky" if detector is without else "face")
        assert torch.equal(detector.detect_combined(image, 0.5, 0), plain)


def test_on_a_gpu_it_is_among_comfyuis_models(folder: Path, image: torch.Tensor, as_on_a_gpu: None) -> None:
    import comfy.model_management as management

    detector = provided()
    made = detector.detect_combined(image, 0.5, 0)
    assert management.current_loaded_models
    management.unload_all_models()
    assert torch.equal(detector.detect_combined(image, 0.5, 0), made)


def test_a_very_long_text_is_cut(folder: Path, image: torch.Tensor) -> None:
    assert provided(text="face " * 500).detect_combined(image, 0.5, 0).shape == (1, *SIZE)


# ------------------------------------------------------------------------------------------------ where it comes from


@pytest.mark.parametrize("below", ["clipseg/any-name", "CLIPSeg", "CLIPSeg/clipseg-rd64-refined"])
def test_folders(models_dir: Path, folder: Path, image: torch.Tensor, below: str) -> None:
    (models_dir / "elsewhere").mkdir()
    kept = models_dir / "elsewhere" / "kept"
    folder.rename(kept)
    shutil.copytree(kept, models_dir / below)
    assert provided().detect_combined(image, 0.5, 0).any()


def test_what_transformers_fetched_before(
    models_dir: Path, folder: Path, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is fetched: no socket is opened."""
    import huggingface_hub.constants

    repository = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--CIDAS--clipseg-rd64-refined"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.move(folder, repository / "snapshots" / "abc123")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it looks for the network"))
    assert provided().detect_combined(image, 0.5, 0).any()


class OtherNode:
    """As another pack's node is called; it finds the left half."""

    FUNCTION = "segment_image"
    calls: list[tuple[Any, ...]] = []

    def segment_image(self, image: Any, text: str, blur: float, threshold: float, dilation_factor: int) -> Any:
        self.calls.append((text, blur, threshold, dilation_factor))
        mask = torch.zeros(image.shape[1:3])
        mask[:, : image.shape[2] // 2] = 0.001
        return mask, image, image


def test_another_pack_s_node(models_dir: Path, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import nodes

    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "CLIPSeg", OtherNode)
    made = BboxDetectorSEGS().doit(provided(), image, **ASKED)[0][1]
    assert [seg.bbox for seg in made] == [(0, 0, 40, 64)]
    assert OtherNode.calls == [("face", 0.5, 0.85, 1)]


def test_none_at_all(models_dir: Path) -> None:
    with pytest.raises(InputError, match=r"'text': there is no CLIPSeg here.*into models/clipseg, or install a pack"):
        provided()


def test_broken_folders(folder: Path, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle beside the settings is not read, settings that bring code along are not followed."""
    import nodes

    weights = folder / "model.safetensors"
    whole, settings = weights.read_bytes(), json.loads((folder / "config.json").read_text())
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(whole)
    with pytest.raises(InputError, match=r"has no model.safetensors, but pytorch_model.bin. Put the model's"):
        provided()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"can't be loaded .*Fetch all files of CIDAS/clipseg-rd64-refined again"):
        provided()
    weights.write_bytes(whole)
    (folder / "config.json").write_text(json.dumps(settings | {"auto_map": {"AutoModel": "code.Model"}}))
    with pytest.raises(InputError, match="brings code of its own along"):
        provided()
    weights.unlink()
    index = folder / "model.safetensors.index.json"
    (folder / "config.json").write_text(json.dumps(settings))
    for name in ("pytorch_model.bin", "../model.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(InputError, match=r"which is no .safetensors file beside it"):
            provided()
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "CLIPSeg", OtherNode)
    assert provided().detect_combined(image, 0.5, 0).sum() == 40 * 64
