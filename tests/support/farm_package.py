"""Makes `farm` importable as `python farm` does: importing this is enough."""

from __future__ import annotations

import importlib.util
import sys

from support.server import CHECKOUT

FOLDER = CHECKOUT / "farm"

if "farm" not in sys.modules:
    _found = importlib.util.spec_from_file_location(
        "farm", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert _found is not None and _found.loader is not None
    sys.modules["farm"] = importlib.util.module_from_spec(_found)
    _found.loader.exec_module(sys.modules["farm"])
