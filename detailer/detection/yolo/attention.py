"""The blocks with attention, of YOLOv10, YOLO11 and YOLO12.

Sources: the papers "YOLOv10: Real-Time End-to-End Object Detection" (partial self-attention) and "YOLOv12:
Attention-Centric Real-Time Object Detectors" (area attention), and the nets' published configurations.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .blocks import bottleneck_or_csp
from .tensors import Tensors, conv, conv_or_chain

HEAD = 64  # channels of a head of partial self-attention; its keys have half as many
AREA_HEAD = 32  # of a head of area attention


class PartialAttention(nn.Module):
    """Attention over all places; beside it the values through a depthwise convolution stand for where each is."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.qkv, self.proj, self.pe = (conv(tensors.at(name), act=False) for name in ("qkv", "proj", "pe"))
        channels = self.proj.weight.shape[0]
        self.heads = max(channels // HEAD, 1)
        self.value = channels // self.heads
        self.key = (self.qkv.weight.shape[0] - channels) // (2 * self.heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = x.shape
        parts = self.qkv(x).reshape(batch, self.heads, 2 * self.key + self.value, height * width)
        query, key, value = parts.transpose(2, 3).split([self.key, self.key, self.value], dim=3)
        made = functional.scaled_dot_product_attention(query, key, value)
        made, value = (part.transpose(2, 3).reshape(batch, -1, height, width) for part in (made, value))
        return self.proj(made + self.pe(value))


class AreaAttention(nn.Module):
    """Attention within each of ``areas`` parts of the picture, which are rows above one another."""

    def __init__(self, tensors: Tensors, areas: int) -> None:
        super().__init__()
        self.qkv, self.proj, self.pe = (conv(tensors.at(name), act=False) for name in ("qkv", "proj", "pe"))
        self.heads = max(self.proj.weight.shape[0] // AREA_HEAD, 1)
        self.areas = areas

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        places = height * width // self.areas
        parts = self.qkv(x).reshape(batch, self.heads, 3, channels // self.heads, self.areas, places)
        query, key, value = parts.permute(2, 0, 4, 1, 5, 3)  # [batch, areas, heads, places, channels of a head] each
        made = functional.scaled_dot_product_attention(query, key, value)
        made, value = (part.permute(0, 2, 4, 1, 3).reshape(x.shape) for part in (made, value))
        return self.proj(made + self.pe(value))


class AttentionBlock(nn.Module):
    """Attention and two convolutions, each added to what came in.

    Args:
        feed: the name of the two convolutions' part.
    """

    def __init__(self, tensors: Tensors, attention: nn.Module, feed: str) -> None:
        super().__init__()
        self.attn = attention
        self.feed = conv_or_chain(tensors.at(feed), last_plain=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(x)
        return x + self.feed(x)


def partial_attention_block(tensors: Tensors) -> AttentionBlock:
    return AttentionBlock(tensors, PartialAttention(tensors.at("attn")), "ffn")


class PSA(nn.Module):
    """Attention on half of the channels: one block of it (PSA), or several in a row below ``m`` (C2PSA)."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"))
        row = tensors.at("m")
        blocks = [row.at(number) for number in range(row.count())] if tensors.has("m") else [tensors]
        self.m = nn.Sequential(*map(partial_attention_block, blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, seen = self.cv1(x).chunk(2, dim=1)
        return self.cv2(torch.cat((kept, self.m(seen)), dim=1))


def c3k2_inner(tensors: Tensors) -> nn.Module:
    """A block of C3k2: a bottleneck, a CSP block, or a bottleneck and attention in a row."""
    if tensors.count():
        return nn.Sequential(bottleneck_or_csp(tensors.at(0)), partial_attention_block(tensors.at(1)))
    return bottleneck_or_csp(tensors)


class A2C2f(nn.Module):
    """YOLO12's block: keeps what each of its parts makes, which are pairs of area attention or CSP blocks.

    Where the file has a ``gamma``, the whole is weighted by it and added to what came in.
    """

    def __init__(self, tensors: Tensors, areas: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = conv(tensors.at("cv1")), conv(tensors.at("cv2"))
        row = tensors.at("m")
        self.m = nn.ModuleList(_a2c2f_inner(row.at(number), areas) for number in range(row.count()))
        gamma = tensors.get("gamma") if tensors.has("gamma") else None
        self.gamma = None if gamma is None else nn.Parameter(gamma[:, None, None], requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = [self.cv1(x)]
        for block in self.m:
            kept.append(block(kept[-1]))
        made = self.cv2(torch.cat(kept, dim=1))
        return made if self.gamma is None else x + self.gamma * made


def _a2c2f_inner(tensors: Tensors, areas: int) -> nn.Module:
    if not tensors.count():
        return bottleneck_or_csp(tensors)
    pairs = (tensors.at(number) for number in range(tensors.count()))
    return nn.Sequential(*(AttentionBlock(one, AreaAttention(one.at("attn"), areas), "mlp") for one in pairs))
