"""The blocks of convolutions that the nets are made of. Each is made from the tensors that its part of the net has.

Sources: the papers of CSPNet, ELAN, RepVGG, YOLOv9 and YOLOv10, and the nets' published configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from .tensors import Tensors, conv, conv_or_chain

Inner = Callable[[Tensors], nn.Module]
"""What makes one of a block's own blocks."""


class Bottleneck(nn.Module):
    """Two convolutions, beside them what came in, where it has as many channels and ``shortcut`` is on."""

    def __init__(self, tensors: Tensors, shortcut: bool) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"))
        self.adds = shortcut and self.cv1.weight.shape[1] == self.cv2.weight.shape[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.cv2(self.cv1(x))
        return x + made if self.adds else made


class CIB(nn.Module):
    """YOLOv10's compact inverted block: depthwise and pointwise convolutions in turn."""

    def __init__(self, tensors: Tensors, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = conv_or_chain(tensors.at("cv1"))
        channels_in, channels_out = (len(tensors.at("cv1").get(f"{at}.conv.weight")) for at in (0, 4))
        self.adds = shortcut and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.cv1(x) if self.adds else self.cv1(x)


class C3(nn.Module):
    """A CSP block of three convolutions: blocks in a row on one branch, none on the other."""

    def __init__(self, tensors: Tensors, shortcut: bool) -> None:
        super().__init__()
        self.cv1, self.cv2, self.cv3 = (conv(tensors.at(name)) for name in ("cv1", "cv2", "cv3"))
        row = tensors.at("m")
        self.m = nn.Sequential(*(Bottleneck(row.at(number), shortcut) for number in range(row.count())))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))


class C2f(nn.Module):
    """A CSP block that keeps what each of its blocks makes: all of it goes into the last convolution."""

    def __init__(self, tensors: Tensors, inner: Inner) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"))
        row = tensors.at("m")
        self.m = nn.ModuleList(inner(row.at(number)) for number in range(row.count()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = list(self.cv1(x).chunk(2, dim=1))
        for block in self.m:
            kept.append(block(kept[-1]))
        return self.cv2(torch.cat(kept, dim=1))


class C2(nn.Module):
    """A CSP block of two convolutions: blocks in a row on half of the channels."""

    def __init__(self, tensors: Tensors, inner: Inner) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"))
        row = tensors.at("m")
        self.m = nn.Sequential(*(inner(row.at(number)) for number in range(row.count())))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        worked_on, kept = self.cv1(x).chunk(2, dim=1)
        return self.cv2(torch.cat((self.m(worked_on), kept), dim=1))


class ELAN(nn.Module):
    """ELAN of YOLOv9, its two inner parts one convolution each or a CSP block with a convolution (RepNCSPELAN4)."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.cv1, self.cv4 = conv(tensors.at("cv1")), conv(tensors.at("cv4"))
        self.cv2, self.cv3 = (_csp_and_conv(tensors.at(name)) for name in ("cv2", "cv3"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = list(self.cv1(x).chunk(2, dim=1))
        kept.append(self.cv2(kept[-1]))
        kept.append(self.cv3(kept[-1]))
        return self.cv4(torch.cat(kept, dim=1))


def _csp_and_conv(tensors: Tensors) -> nn.Module:
    if tensors.count() == 0:
        return conv(tensors)
    return nn.Sequential(C3(tensors.at(0), shortcut=True), conv(tensors.at(1)))


class SPP(nn.Module):
    """Spatial pyramid pooling: pools of one size one after another see as far as pools of growing sizes.

    Args:
        last: the name of its last convolution.
        kernel: of a pool.
        pools: how many.
        shortcut: what came in is added, as in YOLO26; no SiLU then follows the first convolution.
    """

    def __init__(self, tensors: Tensors, last: str, kernel: int, pools: int = 3, shortcut: bool = False) -> None:
        super().__init__()
        self.first, self.last = conv(tensors.at("cv1"), act=not shortcut), conv(tensors.at(last))
        self.kernel, self.pools = kernel, pools
        self.adds = shortcut and self.first.weight.shape[1] == self.last.weight.shape[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = [self.first(x)]
        for _ in range(self.pools):
            kept.append(functional.max_pool2d(kept[-1], self.kernel, stride=1, padding=self.kernel // 2))
        made = self.last(torch.cat(kept, dim=1))
        return x + made if self.adds else made


class AConv(nn.Module):
    """Half the size: the mean of each four neighbours, then a convolution of stride 2."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.cv1 = conv(tensors.at("cv1"), stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv1(functional.avg_pool2d(x, 2, stride=1))


class ADown(nn.Module):
    """Half the size: half of the channels by a convolution of stride 2, the others by their largest values."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1"), stride=2), conv(tensors.at("cv2"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = functional.avg_pool2d(x, 2, stride=1).chunk(2, dim=1)
        pooled = functional.max_pool2d(right, 3, stride=2, padding=1)
        return torch.cat((self.cv1(left), self.cv2(pooled)), dim=1)


class SCDown(nn.Module):
    """YOLOv10's way to half the size: channels first, then each for itself with stride 2."""

    def __init__(self, tensors: Tensors, stride: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"), stride=stride, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv2(self.cv1(x))


class CBLinear(nn.Module):
    """One convolution whose channels are dealt out to several levels."""

    def __init__(self, tensors: Tensors, channels: Sequence[int]) -> None:
        super().__init__()
        self.conv = conv(tensors.at("conv"))
        self.channels = list(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.conv(x).split(self.channels, dim=1)


class CBFuse(nn.Module):
    """What was dealt out to a level, enlarged to its size, and added to what came last."""

    def __init__(self, picks: Sequence[int]) -> None:
        super().__init__()
        self.picks = picks

    def forward(self, levels: Sequence[Sequence[torch.Tensor]], last: torch.Tensor) -> torch.Tensor:
        made = last
        for level, pick in zip(levels, self.picks, strict=True):
            made = made + functional.interpolate(level[pick], size=last.shape[2:], mode="nearest")
        return made


class Concat(nn.Module):
    """Several at one size, their channels one after another."""

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, dim=1)


def bottleneck_or_csp(tensors: Tensors, shortcut: bool = True) -> nn.Module:
    """What the middle of YOLO11's C3k2 is made of: a bottleneck, or a CSP block of some."""
    return C3(tensors, shortcut) if tensors.has("cv3") else Bottleneck(tensors, shortcut)
