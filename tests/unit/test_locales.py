"""Every text that ComfyUI shows of the pack, in seven languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import locales
from locales import ENGLISH, LANGUAGES, Texts

NEWEST = (0, 30)  # from this ComfyUI on all nodes are offered

ENGLISH_TEXTS = locales.read(ENGLISH)
SIGNS = set("{}|@")  # the front end's message syntax: text with one of these isn't shown as it stands
NODE: Texts = {
    (locales.NODES, "Brush", "display_name"): "Brush",
    (locales.NODES, "Brush", "inputs", "size", "name"): "size",
    (locales.NODES, "Brush", "inputs", "size", "tooltip"): "How wide.",
    (locales.NODES, "Brush", "inputs", "tip", "name"): "tip",
    (locales.NODES, "Brush", "inputs", "tip", "tooltip"): "Which one.",
}
GERMAN = {"Brush": "Pinsel", "size": "Größe", "How wide.": "Wie breit.", "tip": "tip", "Which one.": "Welche."}


def is_sentence(path: tuple[str, ...]) -> bool:
    return path[-1] in ("description", "tooltip")


def comfyui_version() -> tuple[int, ...]:
    import comfyui_version

    return tuple(int(part) for part in comfyui_version.__version__.split(".")[:2])


def test_english_is_what_the_code_says() -> None:
    """If not: `python dev.py locales`."""
    said = locales.english_texts()
    assert {path: ENGLISH_TEXTS.get(path) for path in said} == said
    if comfyui_version() >= NEWEST:
        assert list(said) == [path for path in ENGLISH_TEXTS if path[0] in (locales.NODES, locales.BROWSER)]


def test_every_node_and_input_is_explained() -> None:
    names = [path for path in ENGLISH_TEXTS if path[-1] in ("name", "display_name")]
    wanted = [(*path[:-1], "tooltip" if path[-1] == "name" else "description") for path in names]
    assert [path for path in wanted if path not in ENGLISH_TEXTS] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_complete(language: str) -> None:
    texts = locales.read(language)
    assert list(texts) == list(ENGLISH_TEXTS)
    assert [path for path, text in texts.items() if not text.strip() or text != text.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_have_their_places(language: str) -> None:
    def places(texts: Texts) -> dict[tuple[str, ...], list[str]]:
        return {path: sorted(re.findall(r"%\w+%", text)) for path, text in texts.items() if path[0] == locales.BROWSER}

    assert places(locales.read(language)) == places(ENGLISH_TEXTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_translated(language: str) -> None:
    texts = locales.read(language)
    assert [path for path, text in texts.items() if is_sentence(path) and text == ENGLISH_TEXTS[path]] == []
    names = [text for path, text in texts.items() if path[-1] == "name"]
    kept = [text for path, text in texts.items() if path[-1] == "name" and text == ENGLISH_TEXTS[path]]
    assert len(kept) < len(names) / 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_tooltips_begin_with_the_english_name(language: str) -> None:
    texts = locales.read(language)
    plain = locales.without_names(texts, ENGLISH_TEXTS)
    assert texts == locales.with_names(plain, ENGLISH_TEXTS)
    assert texts[locales.NODES, "DetailerForEach", "inputs", "guide_size", "tooltip"].startswith("guide_size: ")
    assert not texts[locales.NODES, "MaskToSEGS", "outputs", "0", "tooltip"].startswith("SEGS: ")


@pytest.mark.parametrize("language", (ENGLISH, *LANGUAGES))
def test_front_end_shows_texts_as_they_stand(language: str) -> None:
    assert {path: text for path, text in locales.read(language).items() if SIGNS & set(text)} == {}
    assert all("." not in key for path in locales.read(language) for key in path[1:])


@pytest.mark.parametrize("language", LANGUAGES)
def test_options_and_numbers_stay(language: str) -> None:
    """What a tooltip says of a widget's values is what the widget offers: those are not translated."""
    texts = locales.read(language)
    for path, word in (
        (("DetailerForEach", "inputs", "wildcard"), "[ASC-SIZE]"),
        (("SAMDetectorCombined", "inputs", "detection_hint"), "mask-points"),
        (("NoiseInjectionDetailerHookProvider", "inputs", "schedule_for_cycle"), "skip_start"),
        (("ImpactMakeTileSEGS", "inputs", "irregular_mask_mode"), "All random"),
        (("SaveSEGS", "inputs", "filename_prefix"), "%year%"),
        (("DetailerForEach", "inputs", "denoise"), "0.3"),
    ):
        assert word in texts[(locales.NODES, *path, "tooltip")], (language, path)


def test_new_keys_take_what_is_known_and_old_ones_go() -> None:
    added, missing = locales.follow(NODE, {}, {}, GERMAN)
    assert missing == [] and added[locales.NODES, "Brush", "inputs", "size", "name"] == "Größe"

    other = {(locales.NODES, "Pen", *path[2:]): text for path, text in NODE.items() if path[-2] != "tip"}
    other[locales.NODES, "Pen", "display_name"] = "Pen"
    texts, missing = locales.follow(other, NODE, added, {})
    assert missing == ["Pen"]
    assert texts == {
        (locales.NODES, "Pen", "inputs", "size", "name"): "Größe",
        (locales.NODES, "Pen", "inputs", "size", "tooltip"): "Wie breit.",
    }


def test_a_text_that_changed_is_missing_and_a_corrected_one_stays() -> None:
    added, _ = locales.follow(NODE, {}, {}, GERMAN)
    tooltip = (locales.NODES, "Brush", "inputs", "size", "tooltip")
    name = (locales.NODES, "Brush", "inputs", "size", "name")
    texts, missing = locales.follow(NODE | {tooltip: "How broad."}, NODE, added | {name: "Breite"}, {})
    assert missing == ["How broad."] and tooltip not in texts
    assert texts[name] == "Breite"


def test_names_before_tooltips() -> None:
    texts, _ = locales.follow(NODE, {}, {}, GERMAN)
    named = locales.with_names(texts, NODE)
    assert named[locales.NODES, "Brush", "inputs", "size", "tooltip"] == "size: Wie breit."
    assert named[locales.NODES, "Brush", "inputs", "tip", "tooltip"] == "Welche."  # shown as in English
    assert locales.without_names(named, NODE) == texts


def test_files_come_back_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locales, "FOLDER", tmp_path)
    texts = NODE | {(locales.BROWSER, "maskDetailer", "ok"): "OK"}
    locales.write("de", texts)
    assert locales.read("de") == texts
    locales.write("de", NODE)  # nothing is left for main.json
    assert [file.name for file in (tmp_path / "de").iterdir()] == [locales.NODES]
