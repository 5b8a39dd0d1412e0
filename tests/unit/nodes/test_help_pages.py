"""Help pages in other languages: their texts, by the names that the page shows, then what the English page has more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, help_pages

LANGUAGES = list(help_pages.HEADINGS)
LOCALES = Path(__file__).parents[3] / "locales"
PAGE = """\
# Brush

Paints. Needs paint.

Needs ComfyUI 0.24.0 or later.

![A brush](pictures/brush.jpg)

## Use it like this

Dip it.

## Inputs

"Pixels" are large.

**`size`**\\
How wide.\\
*Good values:* 3.

**`tip`, `end`**\\
Which one.

![Two tips](pictures/tips.jpg)

## Outputs

**`IMAGE`**\\
What was painted.

## Worth knowing

- It dries.
"""
KNOWN = {
    "display_name": "Brush",
    "description": "Paints.",
    "inputs": {"size": {"name": "size", "tooltip": "How wide."}, "tip": {"name": "tip", "tooltip": "Which one."}},
    "outputs": {"0": {"tooltip": "What was painted."}},
}
GERMAN = {
    "display_name": "Pinsel",
    "description": "Malt.",
    "inputs": {
        "size": {"name": "Größe", "tooltip": "size: Wie breit: so."},
        "tip": {"name": "tip", "tooltip": "Welche."},
    },
    "outputs": {"0": {"tooltip": "Was gemalt wurde."}},
}


def test_a_page() -> None:
    made = help_pages.translated(PAGE, KNOWN, GERMAN, help_pages.HEADINGS["de"])
    assert (
        made
        == """\
# Pinsel

Malt.

Needs ComfyUI 0.24.0 or later.

![A brush](pictures/brush.jpg)

## Eingänge

**Größe** `size`\\
Wie breit: so.

**`tip`**\\
Welche.

## Ausgänge

Was gemalt wurde.

---

*Mehr dazu (auf Englisch)*

## Use it like this

Dip it.

## Inputs

"Pixels" are large.

![Two tips](pictures/tips.jpg)

## Worth knowing

- It dries.
"""
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_there(language: str) -> None:
    texts = json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))
    for node in NODE_CLASS_MAPPINGS:
        page = help_pages.page(node, language)
        assert page is not None and page.replace("<wbr>", "").startswith(f"# {texts[node]['display_name']}\n"), node
        for one in texts[node].get("inputs", {}).values():
            assert f"**{one['name']}**" in page or f"**`{one['name']}`**" in page, (node, one)
        assert "**`**" not in page and not re.search(r"\n{3}", page)


def test_other_languages_get_the_english_page() -> None:
    english = (help_pages.PAGES / "FaceDetailer.md").read_text(encoding="utf-8")
    long = help_pages.page("StepsScheduleHookProvider", "en")
    assert long is not None and long.startswith("# Steps<wbr>Schedule<wbr>Hook<wbr>Provider\n")
    assert help_pages.page("FaceDetailer", "en") == help_pages.page("FaceDetailer", "../de") == english
    assert help_pages.page("../README", "de") is None
    assert help_pages.page("KSampler", "de") is None
