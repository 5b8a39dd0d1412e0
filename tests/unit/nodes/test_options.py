"""The Detailer Options node: as it stands it turns nothing, and each widget turns one option."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from mask_detailer.detailer.options import UNTURNED
from mask_detailer.nodes.options import IDLE, MaskDetailerOptions

TYPES = MaskDetailerOptions.INPUT_TYPES()
WIDGETS = {**TYPES["required"], **TYPES["optional"]}
DEFAULTS = {name: options["default"] for name, (_, options) in WIDGETS.items()}
NAMED = {
    "colour": "match", "colour_limit": "limit", "blend": "method", "blend_width": "width", "paste_grow": "grow",
    "size_mode": "mode", "min_context": "context", "denoise_by_size": "by_size", "full_denoise_up_to": "full_up_to",
    "denoise_scale": "scale",
}  # fmt: skip


def flat(options: Any) -> dict[str, Any]:
    """Each option by topic and name."""
    out: dict[str, Any] = {}
    for topic, value in asdict(options).items():
        values = value if isinstance(value, dict) else {topic: value}
        out |= {f"{topic}.{name}": one for name, one in values.items()}
    return out


def made(**turned: Any) -> dict[str, Any]:
    return flat(MaskDetailerOptions().doit(**(DEFAULTS | turned))[0])


@pytest.mark.parametrize("name", [name for name, (kind, options) in WIDGETS.items() if kind != "BOOLEAN"])
def test_a_linked_value_that_can_not_be(name: str) -> None:
    """ComfyUI checks what a widget says, not what comes by a link."""
    kind, options = WIDGETS[name]
    wrong = ["teal", None] if isinstance(kind, list) else [options["min"] - 1, options["max"] + 1, float("nan"), "1"]
    for value in wrong:
        with pytest.raises(ValueError, match=f"MaskDetailerOptions, input '{name}': {value!r} is .* Give "):
            made(**{name: value})


def test_a_workflow_from_before_the_later_widgets() -> None:
    assert MaskDetailerOptions().doit(**{name: DEFAULTS[name] for name in TYPES["required"]}) == (UNTURNED,)


def test_as_it_stands_it_turns_nothing() -> None:
    assert MaskDetailerOptions().doit(**DEFAULTS) == (UNTURNED,)


@pytest.mark.parametrize("name", WIDGETS)
def test_each_widget_turns_one_option(name: str) -> None:
    kind, options = WIDGETS[name]
    if isinstance(kind, list):
        values = [choice for choice in kind if choice != options["default"]]
    else:
        values = [not options["default"]] if kind == "BOOLEAN" else [options["max"]]
    for value in values:
        options_made, unturned = made(**{name: value}), flat(UNTURNED)
        changed = {key: one for key, one in options_made.items() if one != unturned[key]}
        ((key, found),) = changed.items()
        assert key.split(".")[1] == NAMED.get(name, name)
        assert found == (int(value) if name == "multiple" else value)


@pytest.mark.parametrize("name", IDLE)
def test_what_is_idle(name: str) -> None:
    """With some values of another widget, the default among them, it does nothing; with at least one it does."""
    other, values = IDLE[name]
    kind, facts = WIDGETS[other]
    assert WIDGETS[name][1]["idle_with"] == [other, list(values)]
    assert facts["default"] in values
    possible = set(kind) if isinstance(kind, list) else set(range(facts["min"], facts["max"] + 1))
    assert set(values) < possible
