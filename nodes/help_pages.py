"""The nodes' help pages in the language of the page.

ComfyUI's page asks for ``docs/<node id>/<language>.md`` before ``docs/<node id>.md``. What it gets is made here: what
the node, its inputs and outputs are, in the words and by the names that the page shows (``locales/``), then what the
English page has beyond that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from .registry import NODES

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "js" / "docs"
ROUTE = "docs/{node}/{language}.md"

# By language: what the two lists are called, and what stands before the English text.
HEADINGS: Mapping[str, tuple[str, str, str]] = {
    "zh": ("输入", "输出", "更多内容 (英文)"),
    "ja": ("入力", "出力", "詳細 (英語)"),
    "ko": ("입력", "출력", "더 알아보기 (영어)"),
    "fr": ("Entrées", "Sorties", "Pour en savoir plus (en anglais)"),
    "de": ("Eingänge", "Ausgänge", "Mehr dazu (auf Englisch)"),
    "es": ("Entradas", "Salidas", "Más información (en inglés)"),
}

# Where a long name in a title may break: the panel is narrower than some.
_LONG_TITLE = re.compile(r"\A# \S{20,}$", re.M)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

_SECTION = re.compile(r"^(?=## )", re.M)
_OWN = re.compile(r"^## (Inputs|Outputs)\n")
_ENTRY = re.compile(r"^\*\*`.*?(?=^\*\*`|^!\[|\Z)", re.M | re.S)
_PICTURES = re.compile(r"^!\[[^\]]*\]\([^)]+\)$", re.M)
_RELEASE = re.compile(r"^Needs ComfyUI [\d.]+ or later.*$", re.M)

Texts = Mapping[str, object]
"""What ``nodeDefs.json`` says of a node."""


def page(node_id: str, language: str) -> str | None:
    """The page as Markdown, in English for languages that ``HEADINGS`` hasn't; None where there is none."""
    file = PAGES / f"{node_id}.md"
    if node_id not in NODES or not file.is_file():
        return None
    made = file.read_text(encoding="utf-8")
    if language in HEADINGS:
        made = translated(made, _texts("en").get(node_id, {}), _texts(language).get(node_id, {}), HEADINGS[language])
    return _LONG_TITLE.sub(lambda title: _HUMP.sub("<wbr>", title[0]), made)


def translated(english: str, known: Texts, texts: Texts, headings: tuple[str, str, str]) -> str:
    """A page with a node's texts in another language before what only the English one has.

    Args:
        english: the page; of its sections *Inputs* and *Outputs* stays what doesn't describe one of them.
        known: the node's English texts.
        texts: those of the language.
        headings: as in ``HEADINGS``.
    """
    intro, *sections = _SECTION.split(english)
    parts = [f"# {texts.get('display_name', known.get('display_name'))}", str(texts.get("description", ""))]
    parts += _RELEASE.findall(english)[:1] + _PICTURES.findall(intro)
    for heading, group in zip(headings, ("inputs", "outputs"), strict=False):
        if described := _each(known, group):
            here = _each(texts, group)
            parts += [f"## {heading}", *(_entry(key, one, here.get(key, {})) for key, one in described.items())]
    beyond = [_ENTRY.sub("", part).strip() if _OWN.match(part) else part.strip() for part in sections]
    beyond = [part for part in beyond if not _OWN.fullmatch(part + "\n")]
    if beyond:
        parts += ["---", f"*{headings[2]}*", *beyond]
    return "\n\n".join(filter(None, parts)) + "\n"


def _each(texts: Texts, group: str) -> Mapping[str, Mapping[str, str]]:
    return cast("Mapping[str, Mapping[str, str]]", texts.get(group, {}))


def _entry(key: str, known: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """An input or output: its name as the page shows it, the English one where that is another, and what it is."""
    english = known.get("name", "")
    name, told = texts.get("name", english), texts.get("tooltip", "").removeprefix(f"{english}: ")
    shown = f"**{name}** `{english}`" if name != english else f"**`{name}`**"
    return f"{shown}\\\n{told}" if english else told  # an output without a name is called by its kind


@cache
def _texts(language: str) -> Mapping[str, Texts]:
    """What a language says of the nodes, by their ids."""
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
