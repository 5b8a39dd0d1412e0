"""Detail averaged over frames: closed forms on flat frames, and what comes in one by one."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core.clips.steady import REACH, Made, Steadying, steadied

SIZE, LARGE = (1, 12, 16, 3), (1, 24, 32, 3)


def flat(value: float, size: tuple[int, ...] = SIZE) -> torch.Tensor:
    return torch.full(size, value)


def made(before: float, after: float) -> Made:
    return Made(flat(before), flat(after), flat(after, LARGE))


def test_where_frames_show_the_same_it_is_the_mean() -> None:
    values = [0.40, 0.50, 0.60, 0.30, 0.70]
    one = steadied({index: made(0.5, value) for index, value in enumerate(values)}, 2)
    for picture in (one.after, one.large):
        assert picture is not None and torch.allclose(picture, torch.full_like(picture, 0.5), atol=1e-6)


def test_what_another_frame_adds_is_what_counts_and_not_its_light() -> None:
    """Frames that brighten by little: each gets the mean of what was added, 0.2, to its own."""
    near = {index: made(0.30 + 0.001 * index, 0.50 + 0.001 * index + bit) for index, bit in enumerate((0.01, 0, -0.01))}
    one = steadied(near, 1)
    assert torch.allclose(one.after, flat(0.501), atol=2e-5)
    assert one.large is not None and torch.allclose(one.large, flat(0.501, LARGE), atol=2e-5)


def test_where_another_frame_shows_something_else_it_does_not_count() -> None:
    before = flat(0.5)
    before[:, :, :6] = 0.9  # a blink of the left half
    near = {0: Made(before, flat(0.2)), 1: Made(flat(0.5), flat(0.6))}
    after = steadied(near, 1).after
    assert torch.allclose(after[:, :, :3], flat(0.6)[:, :, :3], atol=1e-6)
    assert torch.allclose(after[:, :, -2:], flat(0.4)[:, :, -2:], atol=1e-4)


def test_nothing_that_came_in_is_written_to_and_alone_it_is_itself() -> None:
    one, other = made(0.5, 0.4), made(0.5, 0.6)
    steadied({0: one, 1: other}, 0)
    assert torch.equal(one.after, flat(0.4)) and torch.equal(other.before, flat(0.5))
    assert steadied({7: one}, 7) is one


@pytest.mark.parametrize("missing", [(), (3,), (0, 4, 5), (8,)])
def test_one_by_one_is_as_all_at_once(missing: tuple[int, ...]) -> None:
    """Frames that were left out are nobody's neighbours; no more are held than are needed."""
    generator = torch.Generator().manual_seed(1)
    frames = {
        index: Made(flat(0.5), torch.rand(SIZE, generator=generator)) for index in range(9) if index not in missing
    }
    steadying, done = Steadying(), {}
    for index, frame in frames.items():
        done.update(steadying.take(index, frame))
        assert len(steadying._held) <= 2 * REACH + 1
    done.update(steadying.rest())
    assert [*done] == [*frames] and not [*steadying.rest()]
    for index, frame in done.items():
        near = {one: frames[one] for one in frames if abs(one - index) <= REACH}
        assert torch.allclose(frame.after, torch.stack([one.after for one in near.values()]).mean(dim=0), atol=1e-6)
        assert frame.large is None
