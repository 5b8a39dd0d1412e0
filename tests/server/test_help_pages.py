"""A node's help page in the language that the page asks for."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from support.client import Client, RefusedError

PAGES = "/extensions/mask_detailer/docs"


@pytest.mark.parametrize(("language", "title"), [("fr", "# Plan de détail"), ("ja", "# ディテールプラン")])
def test_in_a_language(client: Client, language: str, title: str) -> None:
    page = client.request(f"{PAGES}/MaskDetailerPlan/{language}.md").decode()
    assert page.splitlines()[0] == title


def test_english_and_unknown_languages(client: Client) -> None:
    english = client.request(f"{PAGES}/MaskDetailerPlan.md")
    assert client.request(f"{PAGES}/MaskDetailerPlan/en.md") == english
    assert client.request(f"{PAGES}/MaskDetailerPlan/eo.md") == english
    name = quote("Segs & Mask")
    assert client.request(f"{PAGES}/{name}/en.md") == client.request(f"{PAGES}/{name}.md")
    assert client.request(f"{PAGES}/pictures/plan.jpg")[:2] == b"\xff\xd8"


@pytest.mark.parametrize("path", ["KSampler/de.md", "..%2F..%2FREADME/de.md", "MaskDetailerPlan/de.txt"])
def test_what_is_not_there(client: Client, path: str) -> None:
    with pytest.raises(RefusedError) as raised:
        client.request(f"{PAGES}/{path}")
    assert raised.value.status in (400, 404)
