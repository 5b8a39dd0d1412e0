"""`dev.py locales`: the texts of the nodes and the browser side, in English and in the languages of `locales/`.

The English files are made from the code: `nodeDefs.json` from the nodes, `main.json` from the `text("key", "English")`
calls under `js/` and the words on the nodes' toggles. Other English files there (`settings.json`, `commands.json`) are
written by hand. Every language follows them all: what a key had stays while its English text does, a new key takes the
translation of an equal text, and what is no longer used goes. What lacks a translation goes into a JSON file; filled
in, `--add` takes it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from support.comfy_on_cpu import use_cpu

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "locales"
ENGLISH = "en"
LANGUAGES = ("zh", "ja", "ko", "fr", "de", "es")
FILES = ("main.json", "nodeDefs.json", "commands.json", "settings.json")  # those that ComfyUI reads
NODES, BROWSER = "nodeDefs.json", "main.json"
WORDS = "maskDetailerWords"  # in main.json: the words on toggles, which ComfyUI doesn't translate; js/toggles.js does

Path_ = tuple[str, ...]
Texts = dict[Path_, str]
"""The texts of a language by file name and keys, as ``("nodeDefs.json", "FaceDetailer", "inputs", "cfg", "name")``."""

_CALL = re.compile(r'\btext\(\s*"([^"]+)",\s*"([^"]+)"\s*[,)]')


def node_texts(node_id: str, node: Any, display_name: str) -> Iterator[tuple[Path_, str]]:
    """What ComfyUI shows of a node and can translate: all but the values of widgets and the labels of switches."""
    yield (NODES, node_id, "display_name"), display_name
    yield (NODES, node_id, "description"), node.DESCRIPTION
    kinds = node.INPUT_TYPES()
    for name, spec in {**kinds.get("required", {}), **kinds.get("optional", {})}.items():
        place = (NODES, node_id, "inputs", name.replace(".", "_"))  # ComfyUI looks for names with dots that way
        yield (*place, "name"), name
        yield (*place, "tooltip"), (spec[1] if len(spec) > 1 else {}).get("tooltip", "")
    names, tooltips = getattr(node, "RETURN_NAMES", node.RETURN_TYPES), getattr(node, "OUTPUT_TOOLTIPS", ())
    for index, kind in enumerate(node.RETURN_TYPES):
        place = (NODES, node_id, "outputs", str(index))
        if names[index] != kind:  # else ComfyUI shows the kind, which it translates itself
            yield (*place, "name"), names[index]
        yield (*place, "tooltip"), tooltips[index] if index < len(tooltips) else ""


def toggle_words(node: Any) -> Iterator[str]:
    """What stands on a node's toggles."""
    for inputs in node.INPUT_TYPES().values():
        for kind, *more in inputs.values():
            if kind == "BOOLEAN" and more:
                yield from (more[0][name] for name in ("label_on", "label_off") if name in more[0])


def english_texts() -> Texts:
    """What the code says now."""
    from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    texts: Texts = {}
    for script in sorted((ROOT / "js").glob("*.js")):
        for key, english in _CALL.findall(script.read_text(encoding="utf-8")):
            texts[BROWSER, "maskDetailer", key] = english
    words = {word for node in NODE_CLASS_MAPPINGS.values() for word in toggle_words(node)}
    texts |= {(BROWSER, WORDS, word): word for word in sorted(words)}
    for node_id, node in NODE_CLASS_MAPPINGS.items():
        texts |= {path: text for path, text in node_texts(node_id, node, NODE_DISPLAY_NAME_MAPPINGS[node_id]) if text}
    return texts


def read(language: str) -> Texts:
    """The texts of a language's files."""
    files = [FOLDER / language / name for name in FILES]
    found = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()}
    return dict(_flat(found))


def _flat(tree: Mapping[str, Any], at: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, (*at, key))
        else:
            yield (*at, key), value


def write(language: str, texts: Texts) -> None:
    """Write a language's files, in the order of the texts."""
    files: dict[str, Any] = {}
    for path, text in texts.items():
        branch = files
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = text
    folder = FOLDER / language
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        file = folder / name
        if name in files:
            content = json.dumps(files[name], ensure_ascii=False, indent=1) + "\n"
            file.write_text(content, encoding="utf-8", newline="\n")
        else:
            file.unlink(missing_ok=True)


def widget_name(path: Path_, english: Texts) -> str | None:
    """The English name of the input or output whose tooltip stands at ``path``."""
    return english.get((*path[:-1], "name")) if path[0] == NODES and path[-1] == "tooltip" else None


def without_names(texts: Texts, english: Texts) -> Texts:
    """Tooltips without the English names that `with_names` puts before them."""
    return {path: text.removeprefix(f"{widget_name(path, english)}: ") for path, text in texts.items()}


def with_names(texts: Texts, english: Texts) -> Texts:
    """Tooltips that begin with the English name where another is shown: tutorials, errors and the log use that one."""

    def named(path: Path_) -> str:
        name = widget_name(path, english)
        return f"{name}: " if name and texts.get((*path[:-1], "name"), name) != name else ""

    return {path: named(path) + text for path, text in texts.items()}


def follow(now: Texts, before: Texts, translated: Texts, added: Mapping[str, str]) -> tuple[Texts, list[str]]:
    """A language's texts for the English ones of ``now``.

    Args:
        now: the English texts.
        before: the English texts that ``translated`` was made for.
        translated: the language's texts, without names before the tooltips.
        added: translations by English text; they count more than ``translated``.

    Returns:
        The texts, and the English ones that have no translation.
    """
    memory: dict[str, str] = {}
    for path, text in translated.items():
        if path in before:
            memory.setdefault(before[path], text)
    found: Texts = {}
    missing: list[str] = []
    for path, english in now.items():
        kept = translated.get(path) if before.get(path) == english else None
        text = added.get(english) or kept or memory.get(english)
        if text:
            found[path] = text
        elif english not in missing:
            missing.append(english)
    return found, missing


def bring_in_line(added: Mapping[str, Mapping[str, str]], languages: Iterable[str] = LANGUAGES) -> dict[str, list[str]]:
    """Write all files anew; returns the English texts that lack a translation, by language."""
    before = read(ENGLISH)
    by_hand = {path: text for path, text in before.items() if path[0] not in (NODES, BROWSER)}
    now = english_texts() | by_hand
    lacking: dict[str, list[str]] = {}
    for language in languages:
        translated = without_names(read(language), before)
        texts, missing = follow(now, before, translated, added.get(language, {}))
        write(language, with_names(texts, now))
        if missing:
            lacking[language] = missing
    write(ENGLISH, now)
    return lacking


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py locales")
    parser.add_argument("--add", type=Path, help="translations: a JSON file {language: {English text: translation}}")
    parser.add_argument("--missing", type=Path, help="write the texts that lack a translation, in the same form")
    options = parser.parse_args()
    use_cpu()
    lacking = bring_in_line(json.loads(options.add.read_text(encoding="utf-8")) if options.add else {})
    for language, texts in lacking.items():
        for text in texts:
            print(f"{language} lacks: {text}")
    if options.missing:
        empty = {language: dict.fromkeys(texts, "") for language, texts in lacking.items()}
        options.missing.write_text(json.dumps(empty, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"locales: {sum(map(len, lacking.values()))} translations are missing")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
