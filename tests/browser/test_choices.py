"""The text of a detailer's `choices`, as the review reads and writes it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{"2":{"seed":5,"box":[10,0,20,10]}}'),
        ('{"1":{"keep":true}}', '{"1":{"keep":true},"2":{"seed":5,"box":[10,0,20,10]}}'),
        ('{"2":{"text":"a","candidates":4}}', '{"2":{"text":"a","seed":5,"box":[10,0,20,10]}}'),
        # the part was the third once, and what was the second is the first now
        (
            '{"2":{"keep":true,"box":[0,0,10,10]},"3":{"text":"b","box":[11,0,20,10]}}',
            '{"1":{"keep":true,"box":[0,0,10,10]},"2":{"text":"b","box":[10,0,20,10],"seed":5}}',
        ),
        ('{"9":{"keep":true}}', '{"2":{"seed":5,"box":[10,0,20,10]},"9":{"keep":true}}'),
    ],
)
def test_choices_hold_by_place(page: Any, before: str, after: str) -> None:
    made = page.evaluate(
        """async text => {
            const { again, changed, read, write } = await import("/extensions/mask_detailer/choices.js");
            const parts = [1, 2].map(number => (
                {picture: 0, number, seed: "4", state: "done", box: [10 * number - 10, 0, 10 * number, 10]}));
            return write(changed(read(text), parts[1], again(parts[1]), {parts, pictures: 1}));
        }""",
        before,
    )
    assert made == after


def test_large_seeds_stay_exact(page: Any) -> None:
    made = page.evaluate(
        """async () => {
            const { again, pick } = await import("/extensions/mask_detailer/choices.js");
            const of = seed => again({seed, state: "done"})({}).seed;
            return [of("7"), of("9007199254740991"), of("18446744073709551615"), pick("18446744073709551615")({}).seed];
        }"""
    )
    assert made == [8, "9007199254740992", 0, "18446744073709551615"]
