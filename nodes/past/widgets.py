"""Values of a node's widgets by their place: which past order they are in, and what they are in today's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from ..schema import Input, Inputs, InputTypes
from .versions import CONTROL, GONE, LATER, Versions

SEEDS = ("seed", "noise_seed")
CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
ON, OFF = ("true", "enabled"), ("false", "disabled")
PICTURES = ("image",)  # widgets that were painted on: the picture's file is an object in old files
NUMBERS = ("INT", "FLOAT")
KINDS = ("COMBO", "BOOLEAN", "STRING", *NUMBERS)

_ANY: Input = ("ANY", {})
_CONTROL: Input = (list(CONTROLS), {"default": "randomize"})

# How closely values are held against an order, one after another: as INPUT_TYPES say; then choices that are not there
# now and numbers that ComfyUI would round, for files name models and samplers of others; then without ranges.
EXACT, LOOSE, KIND = range(3)

MOST_SPOILT = 4  # at most one value in so many, where no order fits


def inputs_of(types: InputTypes) -> Iterator[tuple[str, Input]]:
    """A node's inputs in their order, hidden ones left out; each as its kind or choices and its facts."""
    for group in ("required", "optional"):
        for name, declared in types.get(group, {}).items():
            if not isinstance(declared, str):
                yield name, (declared[0], declared[1] if len(declared) > 1 else {})


def widgets_of(types: InputTypes) -> Inputs:
    """A node's widgets in today's order, with those that the page puts behind seeds."""
    found: Inputs = {}
    for name, (kind, facts) in inputs_of(types):
        if facts.get("forceInput") or not (isinstance(kind, list) or kind in KINDS):
            continue
        found[name] = (cast("list[str]", facts.get("options", [])), facts) if kind == "COMBO" else (kind, facts)
        if facts.get("control_after_generate", name in SEEDS and kind == "INT"):
            found[name + CONTROL] = _CONTROL
    return found


def upgraded(widgets: Inputs, versions: Versions, values: Sequence[object]) -> list[object] | None:
    """The values in today's order, each of today's kind; None where they are no past version's or say the same as are.

    What a version had no widget for becomes what it did without it. Of several orders that the values could be in, the
    newest counts.

    Args:
        widgets: see ``widgets_of``.
        versions: what the node was like before.
        values: as a file holds them.
    """
    today = list(widgets)
    order, closely = _order_of(widgets, versions, values)
    if order is None:
        return None
    read: dict[str, object] = {}
    for name, value in zip(order, values, strict=False):
        fits = order == today or (value is not None and _fits(name, widgets, versions, value, closely))
        if name in widgets and fits:
            kind, now = widgets[name][0], as_today(name, widgets[name], versions, value)
            read[name] = int(now) if kind == "INT" and isinstance(now, bool | float) else now
    made = [read.get(name, versions.without.get(name, default_of(widgets[name]))) for name in today]
    as_it_is = [*values, *(default_of(widgets[name]) for name in today[len(values) :])][: len(today)]
    if all(map(_say_the_same, made, as_it_is)):
        return None
    return [*made, *values[len(made) :]] if order == today else made


def _say_the_same(one: object, other: object) -> bool:
    """As 1 and 1.0 do, but not 1 and True."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def as_today(name: str, declared: Input, versions: Versions, value: object) -> object:
    """A widget's value as one of today's kind; itself where it is one, or can't be read as one."""
    kind, _ = declared
    if isinstance(value, str | bool) and kind != "BOOLEAN" and value in versions.choices.get(name, {}):
        return versions.choices[name][value]
    if name.endswith(CONTROL) and isinstance(value, bool):
        return "randomize" if value else "fixed"
    if kind == "BOOLEAN" and isinstance(value, str):
        read = switched(declared, value)
        return value if read is None else read
    return value


def default_of(declared: Input) -> object:
    """What the page gives a new widget."""
    kind, facts = declared
    if "default" in facts:
        return facts["default"]
    if isinstance(kind, list):
        return kind[0] if kind else None
    return {"BOOLEAN": False, "STRING": ""}.get(kind, facts.get("min", 0))


def switched(declared: Input, text: str) -> bool | None:
    """A switch that was saved as a text, such as "enabled" or the label that it shows; None for another text."""
    said, (_, facts) = text.strip().lower(), declared
    if said in (*ON, str(facts.get("label_on", ON[0])).lower()):
        return True
    return False if said in (*OFF, str(facts.get("label_off", OFF[0])).lower()) else None


def _order_of(widgets: Inputs, versions: Versions, values: Sequence[object]) -> tuple[list[str] | None, int]:
    """The newest order that the values fit in, and how closely; the closest way that gives any counts."""
    if not values:
        return ([] if "" in versions.orders else None), EXACT
    today = list(widgets)
    past = [names for names, least in map(_names, versions.orders) if least <= len(values)]
    for closely in (EXACT, LOOSE, KIND):
        for names in (today, *(names for names in past if len(values) <= len(names))):
            pairs = zip(names, values, strict=False)
            if all(_fits(name, widgets, versions, value, closely) for name, value in pairs):
                return names, closely
    return _nearest([today, *past], widgets, versions, values), EXACT


def _names(order: str) -> tuple[list[str], int]:
    """An order's names, and how many of them there always were."""
    always, _, later = order.partition(LATER)
    return [*always.split(), *later.split()], len(always.split())


def _nearest(
    orders: Sequence[list[str]], widgets: Inputs, versions: Versions, values: Sequence[object]
) -> list[str] | None:
    """A past order for values that a later version shifted, spoilt in places and saved again."""

    def misfits(order: list[str]) -> int:
        pairs = zip(order, values, strict=False)
        return sum(not _fits(name, widgets, versions, value, EXACT) for name, value in pairs)

    today, *past = orders
    best = min(past, key=misfits, default=today)
    spoilt = misfits(best)
    return best if spoilt * MOST_SPOILT <= min(len(best), len(values)) and spoilt * 2 < misfits(today) else None


def _fits(name: str, widgets: Inputs, versions: Versions, value: object, closely: int) -> bool:
    if name.startswith(GONE):
        kind, facts = _gone(name)
    elif name in widgets:
        kind, facts = widgets[name]
    else:  # a widget of a version that this one isn't
        return False
    if kind == "ANY" or (value is None and closely > EXACT) or (name in PICTURES and isinstance(value, Mapping)):
        return True
    if isinstance(kind, list):
        known = value in kind or (isinstance(value, str | bool) and value in versions.choices.get(name, {}))
        if name.endswith(CONTROL):
            return known or isinstance(value, bool)
        return known or (isinstance(value, str) and closely > EXACT)
    if kind == "BOOLEAN":
        return isinstance(value, bool) or (isinstance(value, str) and switched((kind, facts), value) is not None)
    if kind == "STRING":
        return isinstance(value, str)
    if isinstance(value, bool):
        return name in SEEDS and closely > EXACT
    if not isinstance(value, int | float) or (kind == "INT" and closely == EXACT and value != int(value)):
        return False
    least, most = (cast("float | None", facts.get(end)) for end in ("min", "max"))
    return closely == KIND or ((least is None or value >= least) and (most is None or value <= most))


def _gone(name: str) -> Input:
    kind = name.removeprefix(GONE)
    return _ANY if kind == "ANY" else _CONTROL if kind == "CONTROL" else (kind, {})
