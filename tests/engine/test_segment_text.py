"""Text for each segment: who gets which prompt, in which order, with which seed."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
import torch
from engine.running import SEGS_SIZE as SIZE
from engine.running import Recorder, do_detail, pipe_with, segs_of
from engine.tiny_models import Conditioning, Pipe, conditioning, picture

LEFT, MIDDLE, RIGHT = (4, 4, 12, 16), (40, 40, 56, 56), (90, 80, 98, 88)


class Clip:
    """A text encoder by duck type: each text has tokens of its own."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, tokens: str) -> Conditioning:
        self.texts.append(tokens)
        return prompt(tokens)


def prompt(text: str) -> Conditioning:
    return conditioning(torch.Generator().manual_seed(zlib.crc32(text.encode())), pooled_output=text)


class Ran:
    """A run with text: the texts that were encoded, and each sampled segment's seed, box and positive."""

    def __init__(self, pipe: Pipe, text: str, labels: str = "", seed: int = 40) -> None:
        hook, clip = Recorder(), Clip()
        segs = segs_of(LEFT, MIDDLE, RIGHT, labels=labels)
        self.out = do_detail(
            picture(*SIZE), segs, pipe_with(pipe, clip=clip), wildcard_opt=text, detailer_hook=hook, seed=seed, steps=1,
            guide_size=16.0,
        )  # fmt: skip
        self.texts = clip.texts
        self.seeds = hook.all("pre_ksample", 1)
        self.boxes = [seg.bbox for seg in self.out[5][1]]
        self.positives = hook.all("pre_ksample", 6)


def test_text_takes_the_positives_place(unet: Pipe) -> None:
    ran = Ran(unet, "a red hat")
    assert ran.texts == ["a red hat"] * 3
    segs = segs_of(LEFT, MIDDLE, RIGHT)
    wanted = do_detail(
        picture(*SIZE), segs, pipe_with(unet, positive=prompt("a red hat")), seed=40, steps=1, guide_size=16.0
    )
    assert torch.equal(ran.out[0], wanted[0])


@pytest.mark.parametrize("text", [None, "", "  \n "])
def test_no_text_is_the_positive(unet: Pipe, text: Any) -> None:
    ran = Ran(unet, text)
    assert ran.texts == []
    assert all(torch.equal(positive[0][0], unet[3][0][0]) for positive in ran.positives)


def test_without_a_tag_sep_is_plain_text(unet: Pipe) -> None:
    assert Ran(unet, "one [SEP] two").texts == ["one [SEP] two"] * 3


@pytest.mark.parametrize(
    ("tag", "order"),
    [
        ("[ASC]", [LEFT, MIDDLE, RIGHT]),
        ("[DSC]", [RIGHT, MIDDLE, LEFT]),
        ("[ASC-SIZE]", [RIGHT, LEFT, MIDDLE]),
        ("[DSC-SIZE]", [MIDDLE, LEFT, RIGHT]),
        ("[LAB]", [RIGHT, MIDDLE, LEFT]),  # the order of SEGS: lowest first
    ],
)
def test_order_of_work(unet: Pipe, tag: str, order: list[Any]) -> None:
    ran = Ran(unet, f"{tag}x")
    assert ran.boxes == order
    assert ran.seeds == [40, 41, 42]


def test_prompts_are_dealt_in_order_and_again(unet: Pipe) -> None:
    assert Ran(unet, "[ASC]one[SEP] two ").texts == ["one", "two", "one"]
    assert Ran(unet, "[ASC][SEP]two[SEP]three[SEP]four").texts == ["two", "three"]  # the first gets the positive


def test_seeds_of_separators(unet: Pipe) -> None:
    ran = Ran(unet, "[ASC]one[SEP:0]two[SEP:12345]three")
    assert ran.texts == ["one", "two", "three"]
    assert ran.seeds == [40, 0, 12345]
    assert Ran(unet, "[ASC]one[SEP:word]two[SEP:-1]three").texts == ["one", "two[SEP:-1]three", "one"]


def test_random_seeds_repeat_with_the_nodes_seed(unet: Pipe) -> None:
    one, again, other = (Ran(unet, "[ASC]one[SEP:R]two", seed=seed).seeds for seed in (40, 40, 41))
    assert one == again
    assert one[1] != other[1]
    assert one[0] == 40
    assert 0 <= one[1] <= 1125899906842624


def test_random_order_repeats_with_the_nodes_seed(unet: Pipe) -> None:
    one, again = (Ran(unet, "[RND]a[SEP]b[SEP]c", seed=3).texts for _ in range(2))
    assert one == again
    assert sorted(one) == ["a", "b", "c"]


def test_skip_uses_up_prompt_and_seed(unet: Pipe) -> None:
    ran = Ran(unet, "[ASC]one[SEP] [SKIP] [SEP]three")
    assert ran.texts == ["one", "three"]
    assert ran.seeds == [40, 42]
    assert ran.boxes == [LEFT, RIGHT]
    x1, y1, x2, y2 = MIDDLE
    assert torch.equal(ran.out[0][:, y1:y2, x1:x2], picture(*SIZE)[:, y1:y2, x1:x2])


def test_stop_ends_the_work(unet: Pipe) -> None:
    ran = Ran(unet, "[ASC]one[SEP][STOP][SEP]three")
    assert ran.texts == ["one"]
    assert ran.boxes == [LEFT]
    assert Ran(unet, "[SKIP]").boxes == []
    assert Ran(unet, "[STOP]").boxes == []


def test_labels(unet: Pipe) -> None:
    ran = Ran(unet, "[LAB][ALL] a person, [b] with a hat [c][b]with a beard", labels="abc")
    assert ran.texts == ["a person,", "a person,with a beard", "a person,"]
    assert Ran(unet, "[LAB][b]beard", labels="abc").texts == ["beard"]


def test_concat_adds_to_the_positive(unet: Pipe) -> None:
    ran = Ran(unet, "[CONCAT][ASC]one[SEP][SEP]three")
    assert ran.texts == ["one", "three"]
    tokens = [positive[0][0].shape[1] for positive in ran.positives]
    assert tokens == [16, 8, 16]
    assert torch.equal(ran.positives[0][0][0], torch.cat([unet[3][0][0], prompt("one")[0][0]], dim=1))
    assert "pooled_output" not in ran.positives[0][0][1]


def test_break_parts_are_joined(unet: Pipe) -> None:
    ran = Ran(unet, "one BREAK two  BREAK BREAK three")
    assert ran.texts[:3] == ["one", "two", "three"]
    assert ran.positives[0][0][0].shape[1] == 24
    assert ran.positives[0][0][1]["pooled_output"] == "one"
