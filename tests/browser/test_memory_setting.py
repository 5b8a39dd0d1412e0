"""How much the segment memory may hold, as a setting of the page."""

from __future__ import annotations

import json
from typing import Any

from support.client import Client
from support.page import SCREENSHOTS
from support.review import MEMORY
from support.server import Server

from browser.conftest import SETTINGS

SETTING = "MaskDetailer.Memory"
SET = "([id, value]) => window.app.extensionManager.setting.set(id, value)"


def test_it_is_taken_at_once_and_kept(page: Any, client: Client, server: Server) -> None:
    """That the server begins with what was kept is seen by the other tests here: they begin with none."""
    try:
        for mib in (512, 0, 3):
            with page.expect_response(lambda response: f"{MEMORY}?mib=" in response.url):
                page.evaluate(SET, [SETTING, mib])
            assert client.get(MEMORY)["mib"] == mib
        kept = json.loads((server.base / "user" / "default" / "comfy.settings.json").read_text())
        assert kept[SETTING] == 3
        page.evaluate("() => window.app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("Mask Detailer", exact=True).first.click(timeout=20_000)
        dialog.get_by_text("Memory for finished segments, in MiB").first.wait_for(timeout=20_000)
        page.screenshot(path=SCREENSHOTS / "settings.png")
        page.keyboard.press("Escape")
    finally:
        page.evaluate(SET, [SETTING, SETTINGS[SETTING]])
