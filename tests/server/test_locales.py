"""ComfyUI hands our texts to its front end."""

from __future__ import annotations

from support.client import Client

import locales


def test_server_has_all_texts(client: Client) -> None:
    served = client.get("/i18n")
    for language in (locales.ENGLISH, *locales.LANGUAGES):
        for (file, *keys), text in locales.read(language).items():
            place = served[language] if file == "main.json" else served[language][file.removesuffix(".json")]
            for key in keys:
                place = place[key]
            assert place == text


def test_texts_are_those_of_the_nodes(client: Client) -> None:
    """By the server's own account: each key belongs to a node, input or output that it serves."""
    nodes = client.object_info()
    english = client.get("/i18n")["en"]["nodeDefs"]
    for node_id, texts in english.items():
        if node_id not in nodes:  # offered on a newer ComfyUI only
            continue
        inputs = {name for kind in ("required", "optional") for name in nodes[node_id]["input"].get(kind, {})}
        assert texts["display_name"] == nodes[node_id]["display_name"]
        assert texts["description"] == nodes[node_id]["description"]
        assert set(texts.get("inputs", {})) == inputs
        assert set(texts.get("outputs", {})) <= {str(index) for index in range(len(nodes[node_id]["output"]))}
