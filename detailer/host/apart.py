"""A SAMPLER of any pack for a batch whose items it must not mix: it runs once an item, and the model is asked for all
items at once.

Samplers are functions that call a model in their midst, so each item's runs in a thread of its own. Only one of them
ever runs; at each question to the model it waits until all others have theirs.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch

from .predictions import Answer, Guider, Options, PostCfg, after, asked, split_options
from .protocols import Sampler


class Apart:
    """Each item of a batch goes as the sampler would take it alone: with its own seed and noise, its own step sizes and
    whatever the sampler remembers.
    """

    def __init__(self, sampler: Sampler, seeds: Sequence[int], random: Sequence[Random]) -> None:
        """
        Args:
            seeds: one an item.
            random: the state of torch's own random numbers with which each begins.
        """
        self.inner, self.seeds, self.random = sampler, seeds, random

    def sample(self, base: Guider, sigmas: torch.Tensor, extra: Options, callback: object, *given: Any) -> torch.Tensor:
        """As ComfyUI calls it; ``given``: noise, latent, noise mask and whether a bar is shown."""
        noise, latent, mask, *others = given
        seen = _Callbacks(callback, len(self.seeds))

        def run_of(index: int, seed: int) -> Callable[[Guider], torch.Tensor]:
            def run(guider: Guider) -> torch.Tensor:
                # samplers write into their options
                own = {**extra, "seed": seed, "model_options": dict(extra["model_options"])}
                tensors = [_item(one, index, len(self.seeds)) for one in (noise, latent, mask)]
                return self.inner.sample(guider, sigmas, own, seen.of(index), *tensors, *others)

            return run

        runs = [run_of(index, seed) for index, seed in enumerate(self.seeds)]
        return torch.cat(_Turns(base, runs, self.random, noise.device).made())


def _item(tensor: torch.Tensor | None, index: int, count: int) -> torch.Tensor | None:
    return tensor if tensor is None or len(tensor) != count else tensor[index : index + 1]


@dataclass(frozen=True)
class Random:
    """The state of torch's random numbers, on the CPU and on a GPU where one is sampled on."""

    cpu: torch.Tensor
    gpu: torch.Tensor | None = None

    @classmethod
    def now(cls, device: torch.device) -> Random:
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None)

    def set(self, device: torch.device) -> None:
        torch.set_rng_state(self.cpu)
        if self.gpu is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.gpu, device)


class _Callbacks:
    """What the sampler tells of its steps, told once for all items."""

    def __init__(self, callback: Any, count: int) -> None:
        self._callback, self._told = callback, 0
        self._last: list[tuple[int, torch.Tensor, torch.Tensor, int] | None] = [None] * count

    def of(self, index: int) -> object:
        return None if self._callback is None else lambda *step: self._take(index, step)

    def _take(self, index: int, step: Any) -> None:
        self._last[index] = step
        known = [one for one in self._last if one is not None]
        if len(known) < len(self._last) or min(one[0] for one in known) < self._told:
            return
        self._told = min(one[0] for one in known) + 1
        x0, x = torch.cat([one[1] for one in known]), torch.cat([one[2] for one in known])
        self._callback(self._told - 1, x0, x, max(one[3] for one in known))


class _Over(BaseException):
    """Ends the threads of a sampling that is given up."""


@dataclass
class _Question:
    """What an item's sampler wants of the model."""

    x: torch.Tensor
    sigma: torch.Tensor
    options: Options
    added: list[PostCfg]
    seed: int


@dataclass
class _Item:
    """One item's run.

    Attributes:
        go: set when it is its turn.
        question: the last that it had.
        answer: to that.
    """

    random: Random
    go: threading.Event = field(default_factory=threading.Event)
    question: _Question | None = None
    answer: torch.Tensor | None = None
    result: torch.Tensor | None = None
    error: BaseException | None = None
    is_over: bool = False


class _Turns:
    """Runs taking turns, all asking one guider."""

    def __init__(
        self,
        base: Guider,
        runs: Sequence[Callable[[Guider], torch.Tensor]],
        random: Sequence[Random],
        device: torch.device,
    ) -> None:
        self._base, self._runs, self._device = base, runs, device
        self._items = [_Item(state) for state in random]
        self._back = threading.Event()
        self._given_up = False
        self._inference, self._grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def made(self) -> list[torch.Tensor]:
        """What each run gives.

        Raises:
            whatever the first of them raises, or the model: all others are ended before.
        """
        before = Random.now(self._device)
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(self._run, item, run), daemon=True)
            for item, run in zip(self._items, self._runs, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            while not all(item.is_over for item in self._items):
                for item in self._items:
                    if not item.is_over:
                        self._turn(item)
                        if item.error is not None:
                            raise item.error
                if not all(item.is_over for item in self._items):
                    self._ask()
        finally:
            self._given_up = True
            for item, thread in zip(self._items, threads, strict=True):
                item.go.set()
                thread.join()
            before.set(self._device)
        return [item.result for item in self._items if item.result is not None]

    def _turn(self, item: _Item) -> None:
        """Let one run go on until it asks, or is over."""
        item.random.set(self._device)
        self._back.clear()
        item.go.set()
        self._back.wait()
        item.random = Random.now(self._device)

    def _run(self, item: _Item, run: Callable[[Guider], torch.Tensor]) -> None:
        """In the item's thread: what torch knows by thread is as in the one that samples."""
        try:
            with ExitStack() as state:
                state.enter_context(torch.inference_mode(self._inference))
                state.enter_context(torch.set_grad_enabled(self._grad))
                if self._device.type == "cuda":
                    state.enter_context(torch.cuda.device(self._device))
                self._wait(item)
                item.result = run(_Asking(self._base, self, item))  # type: ignore[arg-type]
        except _Over:
            pass
        except BaseException as error:
            item.error = error
        item.is_over = True
        self._back.set()

    def _wait(self, item: _Item) -> None:
        item.go.wait()
        item.go.clear()
        if self._given_up:
            raise _Over

    def asked_by(self, item: _Item, question: _Question) -> torch.Tensor:
        """In the item's thread: the model's answer, when all others have asked too."""
        item.question = question
        self._back.set()
        self._wait(item)
        assert item.answer is not None
        return item.answer

    def _ask(self) -> None:
        """All questions as one batch; those whose run is over ask their last once more, since the conditioning is that
        of the whole batch.
        """
        questions = [item.question for item in self._items]
        first = next(one for one in questions if one is not None)
        known = [first if one is None else one for one in questions]  # one that never asked is of no consequence
        both = any(one.added for one in known)
        options = {**first.options, **({"disable_cfg1_optimization": True} if both else {})}
        x = torch.cat([one.x for one in known])
        sigma = torch.cat([one.sigma.reshape(-1)[:1] for one in known])
        answer = asked(self._base, x, sigma, options, first.seed, both)
        for index, (item, question) in enumerate(zip(self._items, known, strict=True)):
            if not item.is_over:
                own: Answer = (
                    answer[0][index : index + 1],
                    None if answer[1] is None else answer[1][index : index + 1],
                )
                item.answer = after(question.added, own, question.x, question.sigma, self._base, question.options)


class _Asking:
    """Stands for the guider within one item's sampler."""

    def __init__(self, base: Guider, turns: _Turns, item: _Item) -> None:
        self._base, self._turns, self._item = base, turns, item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, *, model_options: Options, seed: int) -> torch.Tensor:
        own, added = split_options(self._base, model_options)
        return self._turns.asked_by(self._item, _Question(x, sigma, own, added, seed))
