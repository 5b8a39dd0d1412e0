"""`dev.py docs`: writes the pages under docs/ that say what stands elsewhere.

docs/nodes.md comes from the nodes themselves, docs/benchmarks.md from the figures in docs/benchmarks.json, which
`dev.py bench NAMES --json docs/benchmarks.json` keeps there, the table of hook events in docs/architecture.md from the
hooks' code. With `--check` nothing is written: it names the pages that
are stale, and fails if there are any.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

DOCS = Path(__file__).resolve().parents[1] / "docs"
HELP = Path(__file__).resolve().parents[1] / "js" / "docs"

HOOKS_BEGIN = "<!-- hook events: made by `python dev.py docs` from detailer/hooks/events.py -->"
HOOKS_END = "<!-- end of hook events -->"

NODES = """\
# Nodes

<!-- Made by `python dev.py docs` from the nodes' own descriptions: change those. -->

{count} nodes, as ComfyUI's menu groups them. Each name leads to the node's help page, which ComfyUI shows too: select
the node and press the question mark. The id is what workflows and the API know a node by. Why the menu is called
ImpactPack: [beside the Impact Pack](beside-the-impact-pack.md).
"""

BENCHMARKS = """\
# Benchmarks

<!-- Made by `python dev.py docs`: the figures from benchmarks.json, the text from tools/docs.py. -->

The figures are those that the pack's own benchmarks printed. To measure and keep yours:

```
python dev.py bench --json docs/benchmarks.json           # speed
python dev.py bench quality --json docs/benchmarks.json   # a number after it: that many scenes instead of 50
python dev.py bench residual --json docs/benchmarks.json
python dev.py bench clip --json docs/benchmarks.json
python dev.py docs
```

`python dev.py bench wild FOLDER` prints of how many saved workflows this pack serves every node that they have of the
Impact Pack's, by date and kind, and which ids are still missing; `python dev.py bench old_files FOLDER` how many of
their nodes are brought up to date, and what is wrong then; `python dev.py bench wild_runs FOLDER` runs them end to end
with small stand-ins, and looks at what each detailer changes.
"""

TEXTS = {
    "speed": """\
## How fast

Measured on {machine}; on a busy machine everything takes longer. Compare the ratios: each was taken within one run.
*The rest* is what the pack spends beside the VAE and the sampler.
""",
    "strip": """\
## What a page that watches costs

Processor time of the server inside what the strip asks for: thumbnails, previews of steps, the crops that are kept to
be looked at, and the events. At the sizes of *the rest* above; on a model that takes less time for a part it is more of
it. Where no page watches nothing of it is done. Measured on {machine}.
""",
    "quality": """\
## How good

A spoiled part of each of many drawn scenes is detailed, and compared with the undegraded scene. The [small
model](../tools/tiny_model/CARD.md) that does it has seen such drawings, but none of these. Sharpness and seam are
ratios to the undegraded scene's own: 1 is the truth. The seam is a ratio of means over the scenes: where the truth is
flat at the edge, a ratio of one scene says little. The Lab shift is what the VAE alone does to the colours of a part's
surroundings, there and back (first ten scenes).

Then each detail option by itself, on the same scenes; options that sample anew on the first ten; and, on these ten,
with a fault planted in what the VAE decodes. *Off in levels* is the mean difference to the undegraded scene inside
the mask, in levels of 255. A shift counts in pixels of the size that is sampled. At this denoise of 0.3 a `fill` does
harm: it hides what was there, and is for a denoise near 1.
""",
    "residual": """\
## What `paste` *residual* keeps

What is put back is the picture plus what sampling changed, both through the same VAE and sizes, so that these cancel.
At a denoise of 0.0001, the least that the node takes, this model still samples from its own lowest noise level; without
any sampling the picture comes back exactly. Texture is what a blur of 1.5 pixels takes away.
""",
    "clip": """\
## How steady clips are

A drawn face and a drawn weave, spoiled, move over another ground as is known, and the small model details them: frame
by frame with the still detailer, and in the windows of *MaskDetailer (clip)*. Flicker is the mean difference of a part
to the next frame's, its motion undone, in levels of 255. Masks are steady, or each off by up to two pixels. *Rush* is
blurred by its own speed; in a *crossing* the face passes in front of the weave.

*Within the window* nothing moves, and what is left is the model's own (in a *crossing* the other part passes there).
The truth flickers too: in each frame the pixels fall on other points of the part. What windows show is put between the
frame's pixels in the same way, so that *one picture*, the mean of what a window showed, put back in all frames,
flickers by what that column says: no window can be steadier without being softer. Each figure of a distance to the
truth is of one noise, good to about half a level.
""",
    "kernels": """\
## Kernels for a crop's way to its working size and back

Sampled at what each way of enlarging gives. Grain: the gradient of white noise that is enlarged and shrunk again, over
its own, mean of four zooms from 1.5 to 3.5; after ten passes each on the result before. What was chosen keeps less
over ten passes than Lanczos-3: where a part is detailed again and again, `paste` *residual* keeps what isn't changed.
""",
    "gpu": """\
## On a GPU

Crops sampled together, beside the same one after another.
""",
}

PICTURE = """\
## Faults and options, as a picture

![Faults planted on purpose in a drawn sign, and what drift, detail, colour and blend make of each](options.png)

`python dev.py bench contact_sheet` draws it; its faults are larger than those of the tables.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def needed_release(node_id: str) -> str:
    """`` Needs ComfyUI 0.24.0 or later.``, where the node's help page says so; else nothing."""
    said = re.search(r"^Needs ComfyUI [\d.]+ or later", (HELP / f"{node_id}.md").read_text(encoding="utf-8"), re.M)
    return f" {said[0]}." if said else ""


def _name(row: Sequence[str]) -> str:
    return row[0].lower()


def nodes_page() -> str:
    from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    groups: dict[str, list[list[str]]] = {}
    for node_id, node in NODE_CLASS_MAPPINGS.items():
        page = f"../{HELP.parent.name}/{HELP.name}/{quote(node_id)}.md"
        link = f"[{NODE_DISPLAY_NAME_MAPPINGS[node_id]}]({page})"
        row = [link, f"`{node_id}`", " ".join(node.DESCRIPTION.split()) + needed_release(node_id)]
        groups.setdefault(node.CATEGORY, []).append(row)
    parts = [NODES.format(count=len(NODE_CLASS_MAPPINGS))]
    for category in sorted(groups, key=lambda name: name.replace("_", "").lower()):
        title = " ".join(category.replace("/", " → ").replace("_", " ").split())
        parts.append(f"## {title}\n\n" + table(["node", "id", "what it does"], sorted(groups[category], key=_name)))
    return "\n".join(parts)


def benchmarks_page() -> str:
    recorded: Mapping[str, Any] = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    parts = [BENCHMARKS]
    for name, text in TEXTS.items():
        if name not in recorded:
            continue
        parts.append(text.format(machine=recorded[name]["machine"]))
        tables = recorded[name]["tables"]
        for one in tables:
            title = f"**{one['title']}**\n\n" if len(tables) > 1 else ""
            note = f"\n{one['note']}\n" if "note" in one else ""
            parts.append(title + table(one["head"], one["rows"]) + note)
    return "\n".join([*parts, PICTURE])


def architecture_page() -> str:
    """The page as it is written, with the table of hook events as the code has it."""
    from mask_detailer.detailer.hooks.events import as_markdown

    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, opening, rest = text.partition(HOOKS_BEGIN)
    _, closing, after = rest.partition(HOOKS_END)
    return f"{before}{opening}\n{as_markdown()}{closing}{after}"


PAGES: dict[str, Callable[[], str]] = {
    "nodes.md": nodes_page,
    "benchmarks.md": benchmarks_page,
    "architecture.md": architecture_page,
}


def stale(folder: Path = DOCS) -> list[Path]:
    """The pages that aren't there or don't say what they would say now."""
    files = {folder / name: page for name, page in PAGES.items()}
    return [file for file, page in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != page()]


def write(folder: Path = DOCS) -> list[Path]:
    """Bring the pages up to date; those that weren't."""
    changed = stale(folder)
    for file in changed:
        file.write_text(PAGES[file.name](), encoding="utf-8", newline="\n")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py docs", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; name the pages that are stale")
    if not parser.parse_args().check:
        for file in write():
            print(f"docs: wrote {file.name}")
        return 0
    pages = stale()
    for file in pages:
        print(f"docs: {file.name} is stale; python dev.py docs brings it up to date", file=sys.stderr)
    return 1 if pages else 0


if __name__ == "__main__":
    sys.exit(main())
