"""The settings of ComfyUI's page, which it keeps in a file of the user's."""

from __future__ import annotations

import json
from pathlib import Path

USER = "default"  # the only one, unless ComfyUI serves several
FILE = "comfy.settings.json"


def saved(name: str) -> object:
    """What a setting was left at; None where that isn't known."""
    import folder_paths

    path = Path(folder_paths.get_user_directory()) / USER / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return kept.get(name) if isinstance(kept, dict) else None
