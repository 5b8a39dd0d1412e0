"""What both trainings share: optimiser, learning rate, averaged weights, and a state on disk to go on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm


class Average:
    """Exponential moving average of a module's parameters."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        """Move towards the present values; faster in the first steps."""
        d = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for k, v in net.state_dict().items():
                self.values[k].lerp_(v.detach(), 1 - d)


def save_whole(data: dict[str, Tensor], path: Path) -> None:
    """Write tensors so that a run that is killed meanwhile leaves the old file or none, never half a one."""
    fresh = path.with_name(f"{path.name}.new")
    save_file(data, fresh)
    fresh.replace(path)


class Saver:
    """Training state of one stage on disk: tensors as safetensors, the rest as JSON."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.tensors, self.facts = folder / f"{stage}.safetensors", folder / f"{stage}.json"

    def save(self, net: nn.Module, average: Average, optimisers: list[torch.optim.Optimizer], **facts: Any) -> None:
        """Write atomically."""
        data = {f"net.{k}": v.detach().contiguous().cpu() for k, v in net.state_dict().items()}
        data |= {f"ema.{k}": v.contiguous().cpu() for k, v in average.values.items()}
        for n, o in enumerate(optimisers):
            for i, state in o.state_dict()["state"].items():
                data |= {
                    f"opt{n}.{i}.{k}": torch.as_tensor(v).contiguous().cpu().clone()
                    for k, v in state.items()
                    if v is not None
                }
        save_whole({k: v.clone() for k, v in data.items()}, self.tensors)
        self.facts.write_text(json.dumps(facts))

    def load(self, net: nn.Module, average: Average, optimisers: list[torch.optim.Optimizer]) -> dict[str, Any]:
        """Read back what `save` wrote; empty when there is nothing."""
        if not self.facts.exists():
            return {}
        data = load_file(self.tensors)
        net.load_state_dict({k[4:]: v for k, v in data.items() if k.startswith("net.")})
        average.values = {k[4:]: v.to(average.values[k[4:]].device) for k, v in data.items() if k.startswith("ema.")}
        for n, o in enumerate(optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for k, v in data.items():
                if k.startswith(f"opt{n}."):
                    _, i, name = k.split(".")
                    state.setdefault(int(i), {})[name] = v
            if state:
                o.load_state_dict({"state": state, "param_groups": o.state_dict()["param_groups"]})
        return json.loads(self.facts.read_text())


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal (Newton-Schulz iteration), for matrices and kernels seen as matrices.

    Method: K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". In float32, as CPUs are
    slow in bfloat16.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step: each update has the root mean square 0.2 * lr."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad)
                g = p.grad.add(m, alpha=group["momentum"]).flatten(1)
                tall = g.shape[0] > g.shape[1]
                x = g.T if tall else g
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    a = x @ x.T
                    x = torch.addmm(x, torch.addmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
                x = x.T if tall else x
                p.add_(x.reshape(p.shape), alpha=-group["lr"] * 0.2 * math.sqrt(max(g.shape)))


def split_params(
    net: nn.Module, orthogonal: Callable[[str, nn.Parameter], bool]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(parameters for Muon, parameters for Adam)."""
    named = list(net.named_parameters())
    return [p for n, p in named if orthogonal(n, p)], [p for n, p in named if not orthogonal(n, p)]


def rate(step: int, steps: int, warm: int = 100) -> float:
    """Share of the full learning rate: a short rise, then half a cosine down to a fiftieth."""
    return min(1.0, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def clock(start: int, steps: int, deadline: float | None, name: str) -> Iterator[tuple[int, tqdm, bool]]:
    """(step, progress bar, whether it is the last); the last one is the first after the deadline (of `time.time`)."""
    bar = tqdm(range(start, steps), initial=start, total=steps, desc=name, mininterval=5)
    for step in bar:
        last = step + 1 == steps or (deadline is not None and time.time() > deadline)
        yield step, bar, last
        if last:
            break


def best(folder: Path, stage: str, prefix: str = "ema.") -> dict[str, Tensor]:
    """The averaged weights that a stage left."""
    return {k[len(prefix) :]: v for k, v in load_file(folder / f"{stage}.safetensors").items() if k.startswith(prefix)}
