"""What is kept for the next time, and within which bound."""

from __future__ import annotations

import threading

import torch
from mask_detailer.core import Size, blur_mask, resample
from mask_detailer.core.kept import Kept
from mask_detailer.core.masks import MOST_KEPT as MOST_BLURS
from mask_detailer.core.masks import blur_rows
from mask_detailer.core.resample import MOST_KEPT as MOST_MATRICES
from mask_detailer.core.resample import lanczos_band


def counted(size: int, most: int) -> tuple[Kept[tuple[int, ...]], list[tuple[int, ...]]]:
    made: list[tuple[int, ...]] = []

    def make(*key: int) -> tuple[int, ...]:
        made.append(key)
        return key

    return Kept(make, lambda value: size * value[0], most), made


def test_made_once_while_there_is_room() -> None:
    kept, made = counted(10, 60)
    assert [kept(1), kept(2), kept(1, 5), kept(1)] == [(1,), (2,), (1, 5), (1,)]
    assert made == [(1,), (2,), (1, 5)] and kept.held == 40


def test_what_was_not_asked_for_longest_goes_first() -> None:
    kept, made = counted(10, 30)
    kept(1), kept(2), kept(1)
    kept(1, 9)  # no room: (2,) goes, not (1,)
    assert kept.held == 20
    kept(1), kept(1, 9)
    assert made == [(1,), (2,), (1, 9)]
    kept(2)
    assert made[-1] == (2,)


def test_what_is_larger_than_all_room_is_made_each_time() -> None:
    kept, made = counted(10, 30)
    kept(1)
    assert kept(4) == (4,) and kept(4) == (4,)
    assert made == [(1,), (4,), (4,)] and kept.held == 0


def test_cleared() -> None:
    kept, made = counted(10, 30)
    kept(1)
    kept.clear()
    assert kept.held == 0
    kept(1)
    assert made == [(1,), (1,)]


def test_from_many_threads() -> None:
    kept, _ = counted(1, 20)
    wrong: list[int] = []

    def ask() -> None:
        for number in range(300):
            if kept(1 + number % 9, number % 7) != (1 + number % 9, number % 7):
                wrong.append(number)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert kept.held == sum(value[0] for value in kept._values.values()) <= 20


def test_forty_large_crops_leave_little_behind() -> None:
    """Each of another size, with another feather: 138 MB while they were bounded by number."""
    blur_rows.clear()
    lanczos_band.clear()
    for number in range(40):
        long, feather = 1400 + 16 * number, 60 + number
        blur_mask(torch.ones(1, long, 2 * feather + 2), feather)  # strips: what is kept is for a side
        resample(torch.ones(1, long // 3, 9, 1), Size(long, 9))
        resample(torch.ones(1, long, 9, 1), Size(long // 3, 9))
    assert 0 < blur_rows.held <= MOST_BLURS and 0 < lanczos_band.held <= MOST_MATRICES
    assert MOST_BLURS + MOST_MATRICES <= 2**23


def test_the_blur_is_kept_by_all_that_makes_it_what_it_is() -> None:
    mask = torch.rand(1, 90, 80)
    ways = [(9, 3.0, "gaussian"), (9, 4.0, "gaussian"), (9, 3.0, "linear"), (9, 3.0, "smooth"), (10, 3.0, "gaussian")]
    blur_rows.clear()
    fresh = []
    for way in ways:
        fresh.append(blur_mask(mask, *way))
        blur_rows.clear()
    again = [blur_mask(mask, *way) for way in ways]
    for first, second in zip(fresh, again, strict=True):
        assert torch.equal(first, second)
    assert not any(torch.equal(fresh[0], other) for other in fresh[1:])
