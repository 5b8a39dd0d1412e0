"""Wildcard nodes: their choices as the prompt is queued and as the node runs, LoRAs, and what other packs call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from engine.executing import execute, keep, refused, registered, source, step
from engine.tiny_detectors import TinyClip
from engine.tiny_models import Pipe
from mask_detailer.detailer.prompts.populate import populate
from mask_detailer.detailer.prompts.wildcards import expand
from mask_detailer.nodes.wildcards import POPULATING, ImpactWildcardEncode, ImpactWildcardProcessor

TEXT = "{a|b|c|d} and {e|f|g|h}\n  # not this"
CHOICES = {"Select to add Wildcard": "Select the Wildcard to add to the text"}
LORAS = {"Select to add LoRA": "Select the LoRA to add to the text"}


@pytest.fixture(autouse=True)
def nodes() -> Iterator[None]:
    with registered():
        yield


def processor(**given: Any) -> dict[str, Any]:
    inputs = {"wildcard_text": TEXT, "populated_text": "old {p|q}", "mode": "populate", "seed": 5, **CHOICES, **given}
    return step("ImpactWildcardProcessor", **inputs)


@pytest.mark.parametrize(
    ("mode", "text"),
    [("populate", TEXT), (True, TEXT), ("fixed", "old {p|q}"), (False, "old {p|q}"), ("reproduce", "old {p|q}")],
)
def test_at_run_time(mode: Any, text: str) -> None:
    made = execute({"node": processor(mode=mode), "kept": keep("node")})
    assert made.error is None and made.kept["kept"] == [expand(text, 5, {})]
    assert made.shown["node"]["populated"] == made.kept["kept"]


def test_a_mode_that_is_none() -> None:
    assert refused({"node": processor(mode="x"), "kept": keep("node")})


def test_linked_text_and_seed() -> None:
    prompt = {
        "a": source("{x|y}"), "seed": step("ImpactInt", value=9),
        "node": processor(wildcard_text=["a", 0], seed=["seed", 0]), "kept": keep("node"),
    }  # fmt: skip
    assert execute(prompt).kept["kept"] == [expand("{x|y}", 9, {})]


# --- as a prompt is queued -------------------------------------------------------------------------------------------


def sent(**given: Any) -> dict[str, Any]:
    node = processor(**given)
    widgets = [node["inputs"][name] for name in ("wildcard_text", "populated_text", "mode", "seed")]
    saved = {"id": 7, "type": "ImpactWildcardProcessor", "widgets_values": [*widgets, "randomize", "Select"]}
    workflow = {"id": "w", "nodes": [saved], "links": []}
    prompt = {"7": node, "9": step("ImpactInt", value=9)}
    return {"client_id": "c", "prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}


@pytest.mark.parametrize(
    ("mode", "seed", "used"), [("populate", 5, 5), (True, ["9", 0], 9), ("populate", -1, 2**64 - 1)]
)
def test_the_prompt_and_its_workflow_hold_what_was_made(mode: Any, seed: Any, used: int) -> None:
    asked = sent(mode=mode, seed=seed)
    populate(asked, POPULATING)
    made = asked["prompt"]["7"]["inputs"]
    assert made["populated_text"] == expand(TEXT, used, {}) and made["mode"] == "reproduce"
    saved = asked["extra_data"]["extra_pnginfo"]["workflow"]["nodes"][0]["widgets_values"]
    assert saved[1:3] == [made["populated_text"], "reproduce"] and saved[3] == seed
    before = dict(made)
    populate(asked, POPULATING)
    assert asked["prompt"]["7"]["inputs"] == before


@pytest.mark.parametrize(
    "given",
    [{"mode": "fixed"}, {"mode": "reproduce"}, {"mode": False}, {"wildcard_text": ["9", 0]},
     {"seed": ["7", 0]}, {"mode": ["9", 0]}, {"seed": "x"}, {"seed": None}, {"seed": ["99", 0]},
     {"populated_text": ["9", 0]}],
    ids=repr,
)  # fmt: skip
def test_what_is_left_alone(given: dict[str, Any]) -> None:
    asked = sent(**given)
    populate(asked, POPULATING)
    assert asked == sent(**given)


@pytest.mark.parametrize(
    "nonsense",
    [{}, {"prompt": []}, {"prompt": {"1": None}}, {"prompt": {"1": {"class_type": ["x"]}}},
     {"prompt": {"7": processor()}, "extra_data": [1]}, {"prompt": {"7": processor()}, "client_id": 5},
     {"prompt": {"7": processor()}, "extra_data": {"extra_pnginfo": {"workflow": {"nodes": [{"id": 7}]}}}}],
)  # fmt: skip
def test_nonsense(nonsense: dict[str, Any]) -> None:
    populate(nonsense, POPULATING)


def test_nodes_of_others_are_left_alone() -> None:
    asked = sent()
    populate(asked, ())
    assert asked == sent()


# --- encoding, and what other packs call -----------------------------------------------------------------------------


def test_encode(unet: Pipe) -> None:
    model, clip = unet[0], cast(Any, TinyClip())
    given = {"wildcard_text": "", "populated_text": "{a|b} <lora:none:0.5> BREAK c", "mode": "fixed", "seed": 3}
    prompt = {
        "m": source("model"), "c": source("clip"),
        "node": step("ImpactWildcardEncode", model=["m", 0], clip=["c", 0], **given, **CHOICES, **LORAS),
        **{name: keep("node", place, name) for place, name in enumerate(("model", "clip", "cond", "text"))},
    }  # fmt: skip
    made = execute(prompt, model=model, clip=clip)
    assert made.error is None, made.error
    text = expand(given["populated_text"], 3, {})
    assert made.kept["text"] == [text] and "<lora:none:0.5>" in text
    processed: list[str] = []
    called: Any = ImpactWildcardEncode.process_with_loras(
        wildcard_opt=given["populated_text"], model=model, clip=clip, seed=3, processed=processed
    )
    assert processed == [text] and called[0] is model and called[1] is clip
    assert torch.equal(called[2][0][0], made.kept["cond"][0][0][0])
    assert called[2][0][0].shape[1] == 2 * clip.encode_from_tokens_scheduled(clip.tokenize("c"))[0][0].shape[1]


def test_an_encoder_of_ones_own(unet: Pipe) -> None:
    class Encoder:
        seen: list[str] = []

        def encode(self, clip: Any, text: str) -> Any:
            self.seen.append(text)
            return (clip.encode_from_tokens_scheduled(clip.tokenize(text)),)

    ImpactWildcardEncode.process_with_loras("a BREAK b", unet[0], cast(Any, TinyClip()), clip_encoder=Encoder())
    assert Encoder.seen == ["a", "b"]


def test_entry_points() -> None:
    assert ImpactWildcardProcessor.process(text=TEXT, seed=4) == expand(TEXT, 4, {})
    assert ImpactWildcardEncode.get_wildcard_list() == ImpactWildcardProcessor.get_wildcard_list() == []
