"""`dev.py templates`: writes example_workflows/*.json and subgraphs/*.json anew.

What is in them stands in workflows.py and blueprints.py. Default values and sockets come from a real server, the room
that nodes take from its page in both renderers: run it whenever nodes have changed. It needs a Chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from asked_names import asked
from support import server
from support.client import Client

from templates import blueprints, page
from templates.graph import Graph, Saved
from templates.layout import Sizes, Template, finished, place
from templates.parts import MODELS
from templates.workflows import TEMPLATES

RENDERERS = ("classic", "vue")


def main() -> int:
    names = asked("dev.py templates", list(TEMPLATES), __doc__)
    with tempfile.TemporaryDirectory(prefix="mask-detailer-templates-") as folder:
        base = Path(folder)
        (base / "input").mkdir()
        shutil.copy(server.comfyui_folder() / "input" / "example.png", base / "input")
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}))
        with server.Server(base, log=base / "server.log") as running:
            info = Client(running.url).object_info()
            for name, make in blueprints.BLUEPRINTS.items():
                write(server.CHECKOUT / "subgraphs" / f"{name}.json", blueprints.alone(make, Graph(info, MODELS)))
            made = {name: TEMPLATES[name](Graph(info, MODELS)) for name in names}
            sizes = measured(running.url, made)
    for name, template in made.items():
        place(template, sizes[name])
        write(server.CHECKOUT / "example_workflows" / f"{name}.json", finished(template, sizes[name]))
    return 0


def measured(url: str, made: dict[str, Template]) -> dict[str, Sizes]:
    """The room that each template's nodes take in each renderer."""
    sizes: dict[str, Sizes] = {name: {node.id: [] for node in template.graph} for name, template in made.items()}
    for template in made.values():
        place(template, {node.id: [] for node in template.graph})
    for renderer in RENDERERS:
        with page.opened(url, renderer) as opened:
            for name, template in made.items():
                for node, found in page.measure(opened, template.graph.saved()).items():
                    sizes[name][node].append(found)
    return sizes


def write(path: Path, saved: Saved | Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
