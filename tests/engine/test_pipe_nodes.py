"""The pipe nodes, element by element. The parts are plain objects: pipes only carry them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import pytest
from mask_detailer.nodes.detailer_pipes import (
    BasicPipeToDetailerPipe,
    BasicPipeToDetailerPipeSDXL,
    DetailerPipeToBasicPipe,
    EditDetailerPipe,
    EditDetailerPipeSDXL,
    FromDetailerPipe,
    FromDetailerPipe_v2,
    FromDetailerPipeSDXL,
    ToDetailerPipe,
    ToDetailerPipeSDXL,
)
from mask_detailer.nodes.validate import InputError

LAYOUT = (
    "model", "clip", "vae", "positive", "negative", "wildcard", "bbox_detector", "segm_detector", "sam_model",
    "detailer_hook", "refiner_model", "refiner_clip", "refiner_positive", "refiner_negative",
)  # fmt: skip
BASE = LAYOUT[:5]
REFINER = LAYOUT[10:]
CHOICES = {
    "Select to add LoRA": "Select the LoRA to add to the text",
    "Select to add Wildcard": "Select the Wildcard to add to the text",
}
WITH_TEXT = (
    ToDetailerPipe, ToDetailerPipeSDXL, BasicPipeToDetailerPipe, BasicPipeToDetailerPipeSDXL, EditDetailerPipe,
    EditDetailerPipeSDXL,
)  # fmt: skip
TAKE_DETAILER_PIPE: dict[Any, dict[str, Any]] = {
    FromDetailerPipe: {}, FromDetailerPipe_v2: {}, FromDetailerPipeSDXL: {}, DetailerPipeToBasicPipe: {},
    EditDetailerPipe: {"wildcard": "", **CHOICES}, EditDetailerPipeSDXL: {"wildcard": "", **CHOICES},
}  # fmt: skip

Parts = dict[str, Any]


class Part:
    """Something that a pipe carries; equal to nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


@pytest.fixture
def parts() -> Parts:
    return {name: Part(name) for name in LAYOUT} | {"wildcard": "a text"}


def of(parts: Parts, *names: str) -> Parts:
    return {name: parts[name] for name in names}


def pipe_of(parts: Parts, *absent: str) -> tuple[Any, ...]:
    """The 14-tuple as other packs know it."""
    return tuple(None if name in absent else parts[name] for name in LAYOUT)


def helpers(parts: Parts) -> Parts:
    return {
        "sam_model_opt": parts["sam_model"], "segm_detector_opt": parts["segm_detector"],
        "detailer_hook": parts["detailer_hook"],
    }  # fmt: skip


OPTIONAL = ("segm_detector", "sam_model", "detailer_hook")


def test_to_detailer_pipe(parts: Parts) -> None:
    given = of(parts, *BASE, "bbox_detector", "wildcard") | CHOICES
    (pipe,) = ToDetailerPipe().doit(**given, **helpers(parts))
    assert type(pipe) is tuple and pipe == pipe_of(parts, *REFINER)
    assert ToDetailerPipe().doit(**given) == (pipe_of(parts, *REFINER, *OPTIONAL),)


def test_to_detailer_pipe_sdxl(parts: Parts) -> None:
    given = of(parts, *BASE, *REFINER, "bbox_detector", "wildcard") | CHOICES
    (pipe,) = ToDetailerPipeSDXL().doit(**given, **helpers(parts))
    assert type(pipe) is tuple and pipe == pipe_of(parts)
    assert ToDetailerPipeSDXL().doit(**given) == (pipe_of(parts, *OPTIONAL),)


def test_basic_pipe_to_detailer_pipe(parts: Parts) -> None:
    given = of(parts, "bbox_detector", "wildcard") | CHOICES | {"basic_pipe": tuple(of(parts, *BASE).values())}
    (pipe,) = BasicPipeToDetailerPipe().doit(**given, **helpers(parts))
    assert type(pipe) is tuple and pipe == pipe_of(parts, *REFINER)
    assert BasicPipeToDetailerPipe().doit(**given) == (pipe_of(parts, *REFINER, *OPTIONAL),)


def test_basic_pipes_to_detailer_pipe_sdxl(parts: Parts) -> None:
    refiner = parts["refiner_model"], parts["refiner_clip"], Part("vae of the refiner"), *pipe_of(parts)[12:]
    given = of(parts, "bbox_detector", "wildcard") | CHOICES
    given |= {"base_basic_pipe": tuple(of(parts, *BASE).values()), "refiner_basic_pipe": refiner}
    (pipe,) = BasicPipeToDetailerPipeSDXL().doit(**given, **helpers(parts))
    assert type(pipe) is tuple and pipe == pipe_of(parts)
    assert BasicPipeToDetailerPipeSDXL().doit(**given) == (pipe_of(parts, *OPTIONAL),)


SPLIT = (*BASE, "bbox_detector", "sam_model", "segm_detector", "detailer_hook")


def test_from_detailer_pipe(parts: Parts) -> None:
    assert FromDetailerPipe().doit(pipe_of(parts)) == tuple(of(parts, *SPLIT).values())


def test_from_detailer_pipe_hands_the_pipe_on(parts: Parts) -> None:
    pipe = pipe_of(parts)
    for node, names in ((FromDetailerPipe_v2, SPLIT), (FromDetailerPipeSDXL, (*SPLIT, *REFINER))):
        first, *others = node().doit(pipe)
        assert first is pipe
        assert others == list(of(parts, *names).values())


@pytest.mark.parametrize("node", [FromDetailerPipe, FromDetailerPipe_v2, FromDetailerPipeSDXL])
def test_outputs_are_what_their_names_say(parts: Parts, node: Any) -> None:
    pipe = pipe_of(parts)
    by_name = dict(zip(node.RETURN_NAMES, node().doit(pipe), strict=True))
    assert by_name.pop("detailer_pipe", pipe) is pipe
    assert {name.removesuffix("_opt") for name in by_name} <= set(LAYOUT)
    assert all(part is parts[name.removesuffix("_opt")] for name, part in by_name.items())


def test_detailer_pipe_to_basic_pipes(parts: Parts) -> None:
    base, refiner = DetailerPipeToBasicPipe().doit(pipe_of(parts))
    assert type(base) is type(refiner) is tuple
    assert base == tuple(of(parts, *BASE).values())
    assert refiner == tuple(
        parts[name] for name in ("refiner_model", "refiner_clip", "vae", "refiner_positive", "refiner_negative")
    )
    without = DetailerPipeToBasicPipe().doit(pipe_of(parts, *REFINER))
    assert without == (base, (None, None, parts["vae"], None, None))


@pytest.mark.parametrize(
    ("node", "editable"),
    [
        (EditDetailerPipe, (*BASE, "bbox_detector", *OPTIONAL)),
        (EditDetailerPipeSDXL, (*BASE, *REFINER, "bbox_detector", *OPTIONAL)),
    ],
)
def test_edit_detailer_pipe(parts: Parts, node: Any, editable: tuple[str, ...]) -> None:
    pipe = pipe_of(parts)
    assert set(node.INPUT_TYPES()["optional"]) == set(editable)
    for name in editable:
        new = Part("new")
        (edited,) = node().doit(pipe, "", **CHOICES, **{name: new})
        assert type(edited) is tuple and edited == pipe_of(parts | {name: new})
    (edited,) = node().doit(pipe, "", **CHOICES, **dict.fromkeys(editable))
    assert edited == pipe and pipe == pipe_of(parts)


@pytest.mark.parametrize("node", [EditDetailerPipe, EditDetailerPipeSDXL])
@pytest.mark.parametrize(
    ("text", "wanted"), [("", "a text"), (" ", " "), ("another", "another"), ("[ASC]a[SEP]b", "[ASC]a[SEP]b")]
)
def test_only_an_empty_text_leaves_the_old_one(parts: Parts, node: Any, text: str, wanted: str) -> None:
    assert node().doit(pipe_of(parts), text, **CHOICES) == (pipe_of(parts | {"wildcard": wanted}),)


def test_choices_mean_nothing(parts: Parts) -> None:
    chosen = {"Select to add LoRA": "style.safetensors", "Select to add Wildcard": "__animals__"}
    given = of(parts, *BASE, "bbox_detector", "wildcard")
    assert ToDetailerPipe().doit(**given, **chosen) == ToDetailerPipe().doit(**given, **CHOICES)
    assert EditDetailerPipe().doit(pipe_of(parts), "", **chosen) == (pipe_of(parts),)


# --- what is refused, and what is filled up -----------------------------------------------------------------------


@pytest.mark.parametrize("node", TAKE_DETAILER_PIPE)
@pytest.mark.parametrize("length", [10, 11, 13])
def test_short_detailer_pipes_are_filled_up(parts: Parts, node: Any, length: int) -> None:
    short, whole = pipe_of(parts)[:length], pipe_of(parts, *LAYOUT[length:])
    made, wanted = (node().doit(pipe, **TAKE_DETAILER_PIPE[node]) for pipe in (short, whole))
    if node in (FromDetailerPipe_v2, FromDetailerPipeSDXL):
        assert made[0] is short
        made, wanted = made[1:], wanted[1:]
    assert made == wanted


@pytest.mark.parametrize("node", TAKE_DETAILER_PIPE)
@pytest.mark.parametrize(
    ("pipe", "found"),
    [
        (None, "a NoneType is no DETAILER_PIPE.*'ToDetailerPipe'"),
        ("fourteen signs", "a str is no DETAILER_PIPE"),
        ((None,) * 5, "holds 14 things, this holds 5.*BASIC_PIPE.*'BasicPipe -> DetailerPipe' before it"),
        ((None,) * 9, "holds 14 things, this holds 9.*Connect the output of"),
        ((None,) * 15, "holds 14 things, this holds 15.*Connect the output of"),
    ],
)
def test_no_detailer_pipe(node: Any, pipe: Any, found: str) -> None:
    with pytest.raises(InputError, match=rf"^{node.__name__}, input 'detailer_pipe': .*{found}"):
        node().doit(pipe, **TAKE_DETAILER_PIPE[node])


@pytest.mark.parametrize(
    ("pipe", "found"),
    [
        (None, "a NoneType is no BASIC_PIPE"),
        ((None,) * 4, "holds 5 things, this holds 4"),
        ((None,) * 14, "this holds 14.*DETAILER_PIPE: .*with 'DetailerPipe -> BasicPipe'"),
    ],
)
def test_no_basic_pipe(parts: Parts, pipe: Any, found: str) -> None:
    good = tuple(of(parts, *BASE).values())
    with pytest.raises(InputError, match=f"^BasicPipeToDetailerPipe, input 'basic_pipe': .*{found}"):
        BasicPipeToDetailerPipe().doit(pipe, None, "")
    for name, pair in (("base_basic_pipe", (pipe, good)), ("refiner_basic_pipe", (good, pipe))):
        with pytest.raises(InputError, match=f"^BasicPipeToDetailerPipeSDXL, input '{name}': .*{found}"):
            BasicPipeToDetailerPipeSDXL().doit(*pair, None, "")


@pytest.mark.parametrize("node", WITH_TEXT)
def test_lists_to_choose_from(node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entry is what saved workflows hold; LoRA files are listed as ComfyUI finds them now."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.delitem(folder_paths.filename_list_cache, "loras", raising=False)
    required = node.INPUT_TYPES()["required"]
    assert {name: required[name][0] for name in CHOICES} == {name: [first] for name, first in CHOICES.items()}

    (tmp_path / "style.safetensors").touch()
    monkeypatch.delitem(folder_paths.filename_list_cache, "loras", raising=False)
    required = node.INPUT_TYPES()["required"]
    assert required["Select to add LoRA"][0] == [CHOICES["Select to add LoRA"], "style.safetensors"]
    monkeypatch.delitem(folder_paths.filename_list_cache, "loras", raising=False)
