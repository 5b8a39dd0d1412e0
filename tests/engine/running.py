"""Running the detailer nodes on small pictures, and looking at what they did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from engine.tiny_models import called_through, mask_of, pipe_with  # noqa: F401 - tests that run nodes take it from here
from mask_detailer.core import SEGS, mask_to_segs
from mask_detailer.nodes.detailers import DetailerForEach, MaskDetailerPipe

SMALL: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, mask_mode=True, seed=7, steps=2, cfg=3.0,
    sampler_name="euler", scheduler="normal", denoise=0.5, feather=4, crop_factor=2.0, drop_size=2, refiner_ratio=0.2,
    batch_size=1, cycle=1, noise_mask_feather=0, crop_batch=1,
)  # fmt: skip
"""Widgets for crops of one or two hundred pixels; each test names what it changes.

One crop after another, so that runs of different parts are equal bit for bit; test_together.py has them at once.
"""


class Made(NamedTuple):
    """MaskDetailerPipe's five outputs."""

    image: torch.Tensor
    refined: list[torch.Tensor]
    refined_alpha: list[torch.Tensor]
    basic_pipe: Any
    refiner_pipe: Any

    @property
    def alphas(self) -> list[torch.Tensor]:
        """The paste masks of the crops, ``[1,h,w]``."""
        return [crop[..., 3] for crop in self.refined_alpha]


def detail(image: Any, mask: Any, pipe: Any, **changes: Any) -> Made:
    """Run the node with the small widgets, changed. What it makes is within 0..1, whatever the test is about."""
    made = Made(*MaskDetailerPipe().doit(image, mask, pipe, **(SMALL | changes)))
    assert_range(made[:3], given=image)
    return made


SEGS_SIZE = (96, 112)


def segs_of(*boxes: tuple[int, int, int, int], labels: str = "") -> SEGS:
    """SEGS of a picture of that size: the boxes, lowest first, in crops of twice their size, with letters as labels."""
    size, segs = mask_to_segs(mask_of(*SEGS_SIZE, *boxes), False, 2.0, False, 2)
    return size, [seg._replace(label=label) for seg, label in zip(segs, labels or "A" * len(segs), strict=True)]


def do_detail(image: Any, segs: Any, pipe: Any, **changes: Any) -> Any:
    """The call that other packs make, with the small widgets, changed. What it makes is within 0..1."""
    model, clip, vae, positive, negative = pipe
    arguments = dict(
        image=image, segs=segs, model=model, clip=clip, vae=vae, guide_size=64.0, guide_size_for_bbox=True,
        max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", positive=positive,
        negative=negative, denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, crop_batch=1,
    )  # fmt: skip
    made = DetailerForEach.do_detail(**(arguments | changes))
    assert_range(made, given=image)
    return made


def pictures_in(value: Any) -> Iterator[torch.Tensor]:
    """All pictures and masks in nested outputs, those of segments too."""
    if isinstance(value, torch.Tensor | np.ndarray):
        yield torch.as_tensor(value)
    elif hasattr(value, "cropped_image"):
        yield from pictures_in((value.cropped_image, value.cropped_mask))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from pictures_in(entry)


def assert_range(*outputs: Any, given: torch.Tensor | None = None) -> None:
    """Every picture and mask in nested outputs is within 0..1, exactly.

    Args:
        given: the picture that came in: values beyond 0..1 stay where nothing is done, so that its range is allowed.
    """
    lowest, highest = (0.0, 1.0) if given is None else (min(0.0, float(given.min())), max(1.0, float(given.max())))
    for picture in pictures_in(outputs):
        least, most = (float(edge) for edge in picture.aminmax())
        assert lowest <= least and most <= highest, f"{list(picture.shape)}: {least} to {most}"


def near(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    """Where a blur of that reach can spread a mask ``[B,H,W]``, as booleans."""
    side = 2 * pixels + 1
    return torch.nn.functional.max_pool2d(mask, side, stride=1, padding=pixels) > 0


def unchanged_outside(made: torch.Tensor, image: torch.Tensor, reach: torch.Tensor) -> bool:
    """Whether two pictures are equal bit for bit where ``reach`` ``[B,H,W]`` is false."""
    outside = ~reach.expand(made.shape[:3])
    return torch.equal(made[outside], image.expand_as(made)[outside])


def decibels(made: torch.Tensor, wanted: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1."""
    return float(-10 * torch.log10((made - wanted).square().mean()))


def shapes(crops: Iterable[torch.Tensor]) -> list[list[int]]:
    return [list(crop.shape) for crop in crops]


class RecorderV7:
    """A hook with every method of the protocol's first version; it changes nothing and remembers what it saw.

    Attributes:
        names: the methods in the order of their calls.
        seen: each method's arguments, call by call; tensors as they were then.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.seen: dict[str, list[tuple[Any, ...]]] = {}

    def _note(self, name: str, *values: Any) -> None:
        self.names.append(name)
        self.seen.setdefault(name, []).append(tuple(_copied(value) for value in values))

    def all(self, name: str, index: int = 0) -> list[Any]:
        """One argument of a method over all its calls."""
        return [values[index] for values in self.seen.get(name, [])]

    def set_steps(self, info: tuple[int, int]) -> None:
        self._note("set_steps", info)

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        self._note("post_crop_region", w, h, item_bbox, crop_region)
        return crop_region

    def post_detection(self, segs: Any) -> Any:
        self._note("post_detection", segs)
        return segs

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        self._note("touch_scaled_size", w, h)
        return w, h

    def post_encode(self, latent: Any) -> Any:
        self._note("post_encode", latent)
        return latent

    def cycle_latent(self, latent: Any) -> Any:
        self._note("cycle_latent", latent)
        return latent

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        self._note("pre_ksample", *call)
        return call

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        self._note("get_custom_noise", seed, noise, is_touched)
        return noise, is_touched

    def pre_decode(self, latent: Any) -> Any:
        self._note("pre_decode", latent)
        return latent

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        self._note("post_decode", pixels)
        return pixels

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        self._note("post_paste", image)
        return image


class Recorder(RecorderV7):
    """The same with what the second version added."""

    def post_upscale(self, pixels: Any, mask: Any) -> Any:
        self._note("post_upscale", pixels, mask)
        return pixels

    def get_skip_sampling(self) -> bool:
        self._note("get_skip_sampling")
        return False

    def get_custom_sampler(self) -> Any:
        self._note("get_custom_sampler")


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    return value


def same(first: Any, second: Any) -> bool:
    """Equality of nested values, tensors and arrays bit for bit."""
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and np.array_equal(first, second)
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return (
            isinstance(second, dict) and first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
        )
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def watched(model: Any) -> tuple[Any, list[float]]:
    """The model, and the noise levels that it is asked at."""
    levels: list[float] = []

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        levels.append(float(arguments["timestep"][0]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    return called_through(model, predict), levels
