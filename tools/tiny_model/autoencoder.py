"""The autoencoder: a linear encoder in closed form, a narrow decoder that is trained, both as a whole TAESD."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .crops import CROP, LATENT_STD, SEED, crop_pool
from .learning import Average, Muon, Saver, clock, rate, split_params

SD3_SCALE, SD3_SHIFT = 1.5305, 0.0609
DECODER_WIDTHS = (16, 32, 64, 64)
DECODER_BLOCKS = (1, 2, 2, 2)


def linear_encoder() -> nn.Conv2d:
    """The encoder: one linear map from blocks of 8x8 pixels to 16 numbers; `widened` writes it into TAESD's layers."""
    return nn.Conv2d(3, 16, 8, stride=8)


def narrow_decoder() -> nn.Sequential:
    """The decoder with fewer channels and blocks, layer indices as in TAESD's decoder."""
    from comfy.taesd.taesd import Block, Clamp, conv

    a, b, c, d = DECODER_WIDTHS
    n = DECODER_BLOCKS

    def level(width: int, out: int, have: int) -> list[nn.Module]:
        body = [Block(width, width) if i < have else nn.Identity() for i in range(3)]
        return [*body, nn.Upsample(scale_factor=2), conv(width, out, bias=False)]

    return nn.Sequential(
        Clamp(),
        conv(16, d),
        nn.ReLU(),
        *level(d, c, n[3]),
        *level(c, b, n[2]),
        *level(b, a, n[1]),
        Block(a, a),
        conv(a, 3),
    )


def initialise(net: nn.Module) -> None:
    """He-normal convolutions, quiet last convolutions of the residual blocks. ComfyUI's layers leave weights unset."""
    from comfy.taesd.taesd import Block

    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=math.sqrt(2.0 / (m.in_channels * 9)))
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    for m in net.modules():
        if isinstance(m, Block):
            with torch.no_grad():
                last: Any = m.conv
                last[4].weight.mul_(0.3)


def widened(encoder: nn.Conv2d, decoder: nn.Module) -> dict[str, Tensor]:
    """A full TAESD's state dict, to do just what the pair does; to the denoiser, latents have a spread of `LATENT_STD`.

    Encoder: the strided convolutions gather 2x2 pixels each into channels, the last one applies the linear map with
    both signs, so that the ReLUs lose nothing; all residual blocks are zero, hence pass on. Decoder: channels and
    blocks that are not used are zero.
    """
    from comfy.taesd.taesd import TAESD

    out = {k: torch.zeros_like(v) for k, v in TAESD(latent_channels=16).state_dict().items()}
    for k, v in decoder.state_dict().items():
        out["taesd_decoder." + k][tuple(slice(0, n) for n in v.shape)] = v.float().cpu()
    assert encoder.bias is not None
    weight, bias = encoder.weight.detach().float().cpu(), encoder.bias.detach().float().cpu()
    first, half, quarter, eighth, last = (out[f"taesd_encoder.{i}.weight"] for i in (0, 2, 6, 10, 14))
    for c in range(3):
        first[c, c, 1, 1] = 1.0
    for y in (0, 1):
        for x in (0, 1):
            for c in range(3):
                half[(y * 2 + x) * 3 + c, c, 1 + y, 1 + x] = 1.0
            for c in range(12):
                quarter[(y * 2 + x) * 12 + c, c, 1 + y, 1 + x] = 1.0
            for row in range(4):
                for col in range(4):
                    place = ((row % 4 // 2 * 2 + col % 4 // 2) * 12) + (row % 2 * 2 + col % 2) * 3
                    for c in range(3):
                        eighth[:16, place + c, 1 + y, 1 + x] = weight[:, c, 4 * y + row, 4 * x + col]
    eighth[16:32] = -eighth[:16]
    for c in range(16):
        last[c, c, 1, 1], last[c, 16 + c, 1, 1] = 1.0, -1.0
    out["taesd_encoder.14.bias"].copy_(bias)
    out["vae_scale"] = torch.tensor(SD3_SCALE / LATENT_STD)
    out["vae_shift"] = torch.tensor(SD3_SHIFT)
    return out


@torch.no_grad()
def principal_encoder(folder: Path) -> nn.Conv2d:
    """The 16 principal components of 8x8 blocks. Each has the square root of its natural spread, so that fine detail
    counts for more than in pixels and for less than colour; over all channels the root mean square is one.
    """
    pool = crop_pool(folder)
    encoder = linear_encoder().requires_grad_(False)
    blocks = F.unfold(pool[::4, :, :64, :64].float() / 255, 8, stride=8).transpose(1, 2).reshape(-1, 192)
    mean = blocks.mean(0)
    values, vectors = torch.linalg.eigh((blocks - mean).T @ (blocks - mean) / len(blocks))
    spread = values[-16:, None] ** 0.25
    rows = vectors[:, -16:].T / values[-16:, None].sqrt() * spread / spread.square().mean().sqrt()
    rows *= rows.sum(1, keepdim=True).sign()  # an eigenvector's sign is a matter of chance
    encoder.weight.copy_(rows.view(16, 3, 8, 8))
    assert encoder.bias is not None
    encoder.bias.copy_(-rows @ mean)
    return encoder


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and downwards."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def image_loss(out: Tensor, want: Tensor) -> Tensor:
    """L1 and squared error of colours and of gradients."""
    loss = (out - want).abs().mean() + 4.0 * F.mse_loss(out, want)
    return loss + sum(0.5 * (a - b).abs().mean() for a, b in zip(gradients(out), gradients(want), strict=True))


def train_decoder(folder: Path, steps: int, resume: bool, deadline: float | None, device: torch.device) -> None:
    """The decoder on 64-pixel crops, robust to a little noise in the latents, as samplers leave some."""
    torch.manual_seed(SEED)
    encoder = principal_encoder(folder).to(device)
    net = narrow_decoder()
    initialise(net)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks the latter
    average = Average(net, 0.999)
    matrices, rest = split_params(net, lambda n, p: p.ndim == 4 and p.shape[0] > 3 and p.shape[1] > 3)
    opts = [Muon(matrices, lr=2e-3), torch.optim.Adam(rest, lr=2e-3, betas=(0.9, 0.98))]
    saver = Saver(folder, "decoder")
    start = saver.load(net, average, opts).get("step", 0) if resume else 0
    if start >= steps:
        return
    pool = crop_pool(folder)
    gen = torch.Generator().manual_seed(SEED + start)
    batch, size = 8, 64
    for step, bar, last in clock(start, steps, deadline, "decoder"):
        for opt in opts:
            opt.param_groups[0]["lr"] = 2e-3 * rate(step, steps, 30)
        pick = torch.randint(len(pool), (batch,), generator=gen).tolist()
        off = torch.randint(0, CROP + 1 - size, (batch, 2), generator=gen).tolist()
        crops = [pool[i, :, y : y + size, x : x + size] for i, (y, x) in zip(pick, off, strict=True)]
        want = torch.stack(crops).to(device).float().div_(255)
        if step % 2:
            want = want.flip(-1)
        want = want.contiguous(memory_format=torch.channels_last)
        z = encoder(want)
        noise = torch.randn(z.shape, generator=gen) * 0.1 * torch.rand(batch, 1, 1, 1, generator=gen)
        with torch.autocast(device.type, torch.bfloat16):
            out = net(z + noise.to(device)).float()
        loss = image_loss(out, want)
        net.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for opt in opts:
            opt.step()
        average.update(net, step)
        if step % 20 == 0:
            bar.set_postfix(psnr=f"{-10 * math.log10(F.mse_loss(out, want).item()):.1f}")
        if last or (step + 1) % 500 == 0:
            saver.save(net, average, opts, step=step + 1)
