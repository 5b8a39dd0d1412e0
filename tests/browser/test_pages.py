"""Help pages and example workflows, where ComfyUI shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.page import ADD, SCREENSHOTS, look_at
from support.server import CHECKOUT

SELECT = "id => window.app.canvas.selectNode(window.app.graph.getNodeById(id))"
EXAMPLES = sorted((CHECKOUT / "example_workflows").glob("*.json"))
TYPES = "() => window.app.graph.nodes.map(node => node.type)"
# the panel leaves 16 pixels on either side
TOO_WIDE = """async ([pages, languages]) => {
    const content = document.querySelector(
        ".node-help-content .markdown-content, .node-help-content .comfy-markdown-content");
    const before = content.innerHTML;
    const MARGIN = 12;
    const wide = [];
    for (const page of pages) for (const language of languages) {
        const answer = await fetch(`/extensions/mask_detailer/docs/${encodeURIComponent(page)}/${language}.md`);
        if (!answer.ok) { wide.push([page, language, answer.status]); continue; }
        content.innerHTML = window.app.extensionManager.renderMarkdownToHtml(await answer.text());
        content.querySelectorAll("img").forEach(image => image.remove());
        for (const one of [content, ...content.querySelectorAll("table, pre, p, li")]) {
            const scrolls = one.tagName === "PRE";
            if (!scrolls && one.scrollWidth > one.clientWidth + MARGIN && one.clientWidth) {
                const by = one.scrollWidth - one.clientWidth;
                wide.push([page, language, one.tagName, by, one.textContent.slice(0, 80)]);
            }
        }
    }
    content.innerHTML = before;
    return wide;
}"""
UNKNOWN = "types => types.filter(type => !(type in window.LiteGraph.registered_node_types))"
IN_THE_BROWSER = {"MarkdownNote", "Note"}


def test_help_page_opens(page: Any, renderer: str) -> None:
    node = page.evaluate(ADD, "MaskDetailerPipe")
    look_at(page, node)
    page.evaluate(SELECT, node)
    page.get_by_test_id("info-button").click(timeout=20_000)
    help_page = page.locator(".node-help-content")
    help_page.locator("h1", has_text="MaskDetailer (pipe)").wait_for(timeout=20_000)
    title = (CHECKOUT / "js" / "docs" / "MaskDetailerPipe.md").read_text().splitlines()[2]
    assert title[:60] in help_page.inner_text()
    page.screenshot(path=SCREENSHOTS / f"help_{renderer}.png")
    page.evaluate("() => window.app.canvas.deselectAll()")


def test_help_pages_fit_their_panel(page: Any, renderer: str) -> None:
    """None of our pages is wider than ComfyUI's panel, which cuts off contents; in English, French and German."""
    node = page.evaluate(ADD, "MaskDetailerPlan")
    look_at(page, node)
    page.evaluate(SELECT, node)
    page.get_by_test_id("info-button").click(timeout=20_000)
    page.locator(".node-help-content h1", has_text="Detail Plan").wait_for(timeout=20_000)
    pages = sorted(file.stem for file in (CHECKOUT / "js" / "docs").glob("*.md"))
    page.locator(".node-help-content").get_by_text("Inputs", exact=True).first.wait_for(timeout=20_000)
    wide = page.evaluate(TOO_WIDE, [pages, ["en", "fr", "de"] if renderer == "classic" else ["en"]])
    page.screenshot(path=SCREENSHOTS / f"help_fits_{renderer}.png")
    page.evaluate("() => window.app.canvas.deselectAll()")
    assert not wide, "\n".join(map(str, wide))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_template_browser_has_the_examples(page: Any, renderer: str, example: Any) -> None:
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_role("dialog").get_by_text("mask_detailer", exact=True).click(timeout=20_000)
    card = page.get_by_test_id(f"template-workflow-{example.stem}")
    card.scroll_into_view_if_needed(timeout=20_000)  # what is far below is not loaded
    picture = card.locator("img").first
    picture.wait_for(timeout=20_000)
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
    page.screenshot(path=SCREENSHOTS / f"templates_{renderer}.png")
    wanted = sorted(node["type"] for node in json.loads(example.read_text())["nodes"])
    card.click()
    page.get_by_test_id("template-workflows-content").wait_for(state="detached", timeout=20_000)
    page.wait_for_function(f"count => ({TYPES})().length === count", arg=len(wanted))
    assert sorted(page.evaluate(TYPES)) == wanted
    assert page.evaluate(UNKNOWN, [kind for kind in wanted if kind not in IN_THE_BROWSER]) == []
