"""SAM from files gives the masks that transformers gives when it is run directly, and encodes a picture once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.sam_models import (
    KINDS,
    SIZES,
    Answer,
    Asked,
    Theirs,
    folder_of,
    load,
    needs_sam2,
    photo,
    questions,
    weights_of,
    write,
)
from mask_detailer.core import Size
from mask_detailer.detailer.detection.sam.networks import Question
from support.sam_files import MINI, TINY, VIT_B, Vit

MOST_SIZES = {"sam1": 5, "sam2.1": 3, "sam2": 1}  # what SAM 2 does with pictures is 2.1's too


def all_of(sam: Any, image: Any, asked: Asked) -> Answer:
    """What the network itself offers."""
    network = sam.sam_wrapper.network
    logits, scores = network.masks(sam.sam_wrapper._embedding(image), Question(*asked), Size(*image.shape[:2]))
    return Answer((logits > 0).numpy(), logits, scores.tolist())


def same_masks(made: Answer, wanted: Answer) -> None:
    """Bit for bit, but where a value is so near 0 that the last digit of a sum decides."""
    assert made.masks.shape == wanted.masks.shape
    differing = torch.from_numpy(made.masks != wanted.masks)
    assert differing.float().mean() < 1e-4 and (wanted.logits[differing].abs() < 1e-3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_as_transformers_has_it(kind: str, sams: Path, tmp_path: Path) -> None:
    """Every kind of question, at odd sizes: the same masks, bit for bit; the same scores; and those that are kept."""
    size = Vit() if kind == "sam1" else MINI
    weights = weights_of(size)
    sam = load(write(sams, kind, size, weights), device_mode="CPU")
    theirs = Theirs(folder_of(tmp_path / "theirs", size, weights), 192, kind != "sam1")
    found = set()
    for height, width in list(SIZES.values())[: MOST_SIZES[kind]]:
        image = photo(height, width)
        for name, asked in questions(height, width).items():
            wanted = theirs(image, asked)
            made = all_of(sam, image, asked)
            assert made.masks.shape == (3, height, width)
            assert (made.logits - wanted.logits).abs().max() < 1e-4 * wanted.logits.abs().max(), name
            same_masks(made, wanted)
            assert made.scores == pytest.approx(wanted.scores, abs=1e-5), name
            threshold = sorted(wanted.scores)[1] - 1e-4  # two of three are good enough
            masks = sam.sam_wrapper.predict(image, *asked, threshold)
            good = [place for place, score in enumerate(wanted.scores) if score >= threshold]
            assert len(masks) == 2 and all(np.array_equal(a, made.masks[b]) for a, b in zip(masks, good, strict=True))
            (best,) = sam.sam_wrapper.predict(image, *asked, 100.0) or [None]
            place = int(np.argmax(wanted.scores))
            assert best is None if wanted.scores[place] <= 0 else np.array_equal(best, made.masks[place])
            found |= {bool(mask.any() and not mask.all()) for mask in wanted.masks}
    assert True in found  # masks with an edge


@pytest.mark.by_hand
@pytest.mark.parametrize(("kind", "size"), [("sam1", VIT_B), pytest.param("sam2.1", TINY, marks=needs_sam2)])
def test_as_transformers_has_it_at_full_size(kind: str, size: Any, sams: Path, tmp_path: Path) -> None:
    weights = weights_of(size)
    sam = load(write(sams, kind, size, weights))
    theirs = Theirs(folder_of(tmp_path / "theirs", size, weights), 1024, kind != "sam1")
    image = photo(333, 517)
    for name in ("points", "box", "both with negative"):
        asked = questions(333, 517)[name]
        wanted, made = theirs(image, asked), all_of(sam, image, asked)
        same_masks(made, wanted)
        assert made.scores == pytest.approx(wanted.scores, abs=1e-4)
        assert (made.logits - wanted.logits).abs().max() < 1e-3


def test_as_its_authors_package_has_it(sams: Path) -> None:
    """SAM 1 by the package segment-anything, which shrinks a picture by another library: to a step of a byte."""
    reference = pytest.importorskip("segment_anything")
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    size = Vit()
    weights = weights_of(size)
    encoder = ImageEncoderViT(
        img_size=size.side * 16, embed_dim=size.width, depth=size.depth, num_heads=size.heads, out_chans=size.out,
        qkv_bias=True, use_rel_pos=True, window_size=size.window, global_attn_indexes=size.everywhere,
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(size.out, (size.side,) * 2, (size.side * 16,) * 2, 16)
    decoder = MaskDecoder(
        transformer_dim=size.out,
        transformer=TwoWayTransformer(depth=2, embedding_dim=size.out, num_heads=8, mlp_dim=2048),
    )
    net = Sam(encoder, prompts, decoder).eval()
    net.load_state_dict(weights.own)
    predictor = reference.SamPredictor(net)
    sam = load(write(sams, "sam1", size, weights))
    for height, width in SIZES.values():
        image = photo(height, width)
        predictor.set_image(image)
        for asked in questions(height, width).values():
            masks, scores, _ = predictor.predict(
                point_coords=np.array(asked.points) if asked.points else None,
                point_labels=np.array(asked.labels) if asked.points else None,
                box=None if asked.box is None else np.array(asked.box),
            )
            made = all_of(sam, image, asked)
            assert made.scores == pytest.approx(scores.tolist(), abs=0.02)
            assert (made.masks != masks).mean() < 0.01


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_picture_is_encoded_once(kind: str, sams: Path) -> None:
    size = Vit() if kind == "sam1" else MINI
    wrapper = load(write(sams, kind, size, weights_of(size))).sam_wrapper
    encoded: list[Any] = []
    wrapper.network.net.vision_encoder.register_forward_hook(lambda *given: encoded.append(given))
    first, second = photo(60, 80), photo(60, 80, seed=6)
    wrapper.prepare_device()
    alone = [wrapper.predict(first.copy(), *asked, 0.5) for asked in questions(60, 80).values()]
    wrapper.release_device()
    assert len(encoded) == 1
    wrapper.prepare_device()
    again = wrapper.predict(first.copy(), *questions(60, 80)["box"], 0.5)
    assert len(encoded) == 1 and np.array_equal(again, alone[3])
    other = wrapper.predict(second, *questions(60, 80)["box"], 0.5)
    assert len(encoded) == 2 and not np.array_equal(other, again)
    wrapper.predict(second.reshape(80, 60, 3), *questions(80, 60)["box"], 0.5)
    assert len(encoded) == 3  # the same bytes, another picture
    assert wrapper.predict(second, [], [], None, 0.0) == []
