"""The tensors of a YOLO file, walked through by name, and the layers that are made straight from them.

Every convolution of these nets is followed by batch normalization; the two are joined into one convolution here. What a
tensor's shape tells (channels, kernel, groups, how many blocks there are) is taken from it and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3  # of all batch normalization in these nets


class MissingTensorError(KeyError):
    """A tensor that a block needs is not there; the message is its name."""


class Tensors:
    """Those whose names begin with ``prefix``; what was read of all of them is kept in ``read``."""

    def __init__(self, named: Mapping[str, torch.Tensor], prefix: str = "", read: set[str] | None = None) -> None:
        self.named = named
        self.prefix = prefix
        self.read: set[str] = set() if read is None else read

    def at(self, *parts: str | int) -> Tensors:
        """Those of a part of the net, such as ``at("m", 0, "cv1")``."""
        return Tensors(self.named, "".join((self.prefix, *(f"{part}." for part in parts))), self.read)

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name, or a part that begins with it."""
        whole = self.prefix + name
        return whole in self.named or any(key.startswith(f"{whole}.") for key in self.named)

    def count(self) -> int:
        """How many numbered parts follow one another: ``0.``, ``1.`` and so on."""
        number = 0
        while self.has(str(number)):
            number += 1
        return number

    def get(self, name: str) -> torch.Tensor:
        """A tensor as float32.

        Raises:
            MissingTensorError: if there is none.
        """
        try:
            tensor = self.named[self.prefix + name]
        except KeyError:
            raise MissingTensorError(self.prefix + name) from None
        self.read.add(self.prefix + name)
        return tensor.detach().to(torch.float32)

    def skip(self) -> None:
        """Nothing is to be made of these."""
        self.read.update(name for name in self.named if name.startswith(self.prefix))

    def unread(self) -> list[str]:
        """The names that nothing was made of, but for counters of training."""
        return sorted(
            name
            for name in self.named
            if name.startswith(self.prefix) and name not in self.read and not name.endswith("num_batches_tracked")
        )


class Conv(nn.Module):
    """A convolution with bias, then SiLU or nothing: batch normalization is part of the weights."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, stride: int, padding: int | None, act: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = stride
        self.padding = weight.shape[-1] // 2 if padding is None else padding
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        groups = x.shape[1] // self.weight.shape[1]
        x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=groups)
        return functional.silu(x, inplace=True) if self.act else x


def conv(tensors: Tensors, stride: int = 1, padding: int | None = None, act: bool = True) -> Conv:
    """A convolution of any of the three kinds: with batch normalization, of two branches, or a bare one with a bias.

    Args:
        padding: on each side; None for half of the kernel.
        act: SiLU follows; never after a bare one.
    """
    return Conv(*_weight_and_bias(tensors), stride, padding, act and not tensors.has("weight"))


def _weight_and_bias(tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    if tensors.has("weight"):
        return tensors.get("weight"), tensors.get("bias")
    if tensors.has("conv1"):
        return _joined(tensors)
    weight = tensors.get("conv.weight")
    if weight.ndim != 4:
        raise ValueError(f"{tensors.prefix}conv.weight is no convolution's")
    bias = tensors.get("conv.bias") if tensors.has("conv.bias") else torch.zeros(len(weight))
    if not tensors.has("bn"):
        return weight, bias
    norm = tensors.at("bn")
    scale = norm.get("weight") / torch.sqrt(norm.get("running_var") + EPSILON)
    return weight * scale[:, None, None, None], (bias - norm.get("running_mean")) * scale + norm.get("bias")


def _joined(tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """Two branches, the kernel of one smaller, that are added up: one convolution, since both are linear.

    They are called ``conv1`` and ``conv2`` (RepConv), or ``conv`` and ``conv1`` (RepVGGDW).
    """
    larger, smaller = ("conv1", "conv2") if tensors.has("conv2") else ("conv", "conv1")
    weight, bias = _weight_and_bias(tensors.at(larger))
    small_weight, small_bias = _weight_and_bias(tensors.at(smaller))
    margin = (weight.shape[-1] - small_weight.shape[-1]) // 2
    return weight + functional.pad(small_weight, [margin] * 4), bias + small_bias


def conv_or_chain(tensors: Tensors, last_plain: bool = False) -> nn.Module:
    """A convolution, or numbered ones in a row, themselves convolutions or rows.

    Args:
        last_plain: no SiLU follows the last of the row.
    """
    count = tensors.count()
    if count == 0:
        return conv(tensors)
    chain = [conv_or_chain(tensors.at(number)) for number in range(count - 1)]
    last = tensors.at(count - 1)
    return nn.Sequential(*chain, conv(last, act=False) if last_plain else conv_or_chain(last))
