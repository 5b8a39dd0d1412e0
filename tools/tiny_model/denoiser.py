"""The denoiser: ComfyUI's MMDiT in the shape of the checkpoint, and its training by flow matching."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from . import conditioning, scenes
from .crops import SEED
from .learning import Average, Muon, Saver, clock, rate, split_params

DEPTH, GRID, POSITION_AMPLITUDE = 3, 64, 1.0
WAVES = np.geomspace(3.0, 96.0, 12)  # wavelengths of the position code, in tokens


def position_table() -> Tensor:
    """The position code `[1,GRID*GRID,64*DEPTH]`: sine, cosine of `WAVES` along y, then x, in the first 48 channels."""
    at = torch.arange(GRID).float()[:, None] * torch.tensor(2 * math.pi / WAVES).float()[None]
    code = torch.stack([at.sin(), at.cos()], -1).flatten(1)
    table = torch.zeros(GRID, GRID, 64 * DEPTH)
    n = code.shape[1]
    table[..., :n] = code[:, None]
    table[..., n : 2 * n] = code[None]
    return POSITION_AMPLITUDE * table.reshape(1, GRID * GRID, -1)


def denoiser(device: torch.device) -> nn.Module:
    """ComfyUI's MMDiT in the checkpoint's shape; at first its heads look at neighbours, and its last layer is zero."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper

    width = 64 * DEPTH
    net: Any = OpenAISignatureMMDITWrapper(
        input_size=None,  # type: ignore[arg-type]  # any size
        patch_size=2,
        in_channels=16,
        out_channels=16,
        depth=DEPTH,
        num_patches=GRID * GRID,
        pos_embed_max_size=GRID,
        adm_in_channels=conditioning.POOLED_WIDTH,
        dtype=torch.float32,
        device=device,
        operations=comfy.ops.disable_weight_init,
        context_embedder_config={
            "target": "torch.nn.Linear",
            "params": {"in_features": conditioning.CONTEXT_WIDTH, "out_features": width},
        },
    )
    for name, p in net.named_parameters():
        if p.ndim == 1 or "adaLN" in name or "final_layer" in name:
            nn.init.zeros_(p)
        else:
            nn.init.normal_(p, std=1.0 / math.sqrt(p[0].numel()))
    n, turns = 4 * len(WAVES), [(0.0, 0.0)]
    with torch.no_grad():
        net.pos_embed.copy_(position_table())
        net.x_embedder.proj.weight.div_(2.0)
        net.x_embedder.proj.weight[:n].mul_(0.2)
        for layer, block in enumerate(net.joint_blocks):
            for one in (block.x_block, block.context_block):
                if not one.pre_only:
                    one.adaLN_modulation[1].bias.view(6, width)[[2, 5]] = 0.5  # open gates
            turns = [
                (math.sin(a), math.cos(a))
                for a in (layer * 2 * math.pi / 9 + k * 2 * math.pi / 3 for k in range(DEPTH))
            ]
            qk = block.x_block.attn.qkv.weight.view(3, DEPTH, 64, width)
            for head, (dy, dx) in enumerate(turns):
                qk[:2, head] *= 0.3
                for j in range(2 * len(WAVES)):
                    shift = (dy if j < len(WAVES) else dx) * 2 * math.pi / WAVES[j % len(WAVES)]
                    c, d, i = math.cos(shift), math.sin(shift), 2 * j
                    qk[0, head, i : i + 2, i : i + 2] += 1.5 * torch.tensor([[c, d], [-d, c]], device=device)
                    qk[1, head, i : i + 2, i : i + 2] += 1.5 * torch.eye(2, device=device)
    return net


def noisy(crisp: Tensor, bad: Tensor, gen: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(x_t, velocity towards the crisp latents, sigma `[B]`).

    One case in seven is plain flow matching. The others lie on the way of a sampler that started at sigma0 from a
    noised spoiled latent and heads for the crisp one: there the spoiled latent still has the share
    (sigma/sigma0)(1-sigma0)/(1-sigma) of the clean part.
    """
    b = len(crisp)
    u, v, w = torch.rand(3, b, generator=gen).to(crisp.device)
    start = 0.4 + 0.42 * v
    sigma = torch.where(w < 0.15, 0.02 + 0.96 * u, start * (0.03 + 0.97 * u))
    share = torch.where(w < 0.15, torch.zeros_like(u), sigma / start * (1 - start) / (1 - sigma))
    share = torch.where(
        (w > 0.15) & (w < 0.45), (1.0 - u * 0.05) * torch.ones_like(u), share
    )  # the first step counts most
    sigma = torch.where((w > 0.15) & (w < 0.45), start, sigma)
    sigma_, share = sigma.view(b, 1, 1, 1), share.view(b, 1, 1, 1)
    noise = torch.randn(crisp.shape, generator=gen).to(crisp.device)
    x = (1 - sigma_) * torch.lerp(crisp, bad, share) + sigma_ * noise
    return x, (x - crisp) / sigma_, sigma


def train_denoiser(folder: Path, steps: int, resume: bool, deadline: float | None, device: torch.device) -> None:
    """The MMDiT on stored latents, every fifth step on large ones, at random places of the position table."""
    torch.manual_seed(SEED)
    net: Any = denoiser(device)
    average = Average(net, 0.998)
    matrices, rest = split_params(net, lambda n, p: p.ndim == 2 and ".x_block." in n and "adaLN" not in n)
    opts = [Muon(matrices, lr=6e-3), torch.optim.Adam(rest, lr=3e-3, betas=(0.9, 0.98))]
    saver = Saver(folder, "denoiser")
    start = saver.load(net, average, opts).get("step", 0) if resume else 0
    if start >= steps:
        return
    sets = [load_file(folder / f"{name}.safetensors") for name in ("small", "large")]
    table = position_table().view(GRID, GRID, -1).to(device)
    pairs = [conditioning.vectors(k) for k in scenes.KINDS]
    contexts, pooled = (
        torch.cat([c for c, _ in pairs]).to(device),
        torch.cat([p for _, p in pairs]).to(device),
    )
    gen = torch.Generator().manual_seed(SEED + start)
    smooth: dict[int, float] = {}
    for step, bar, last in clock(start, steps, deadline, "denoiser"):
        for opt, top in zip(opts, (6e-3, 3e-3), strict=True):
            opt.param_groups[0]["lr"] = top * rate(step, steps, 50)
        which = int(step % 5 == 4)
        data, batch = sets[which], 4 if which else 12
        pick = torch.randint(len(data["kinds"]), (batch,), generator=gen)
        z, kinds = data["pairs"][pick].to(device).float(), data["kinds"][pick].to(device)
        x, want, sigma = noisy(z[:, 0], z[:, 1], gen)
        n = x.shape[-1] // 2
        oy, ox = torch.randint(4, GRID - n - 3, (2,), generator=gen).tolist()
        net.pos_embed, net.pos_embed_max_size = table[oy : oy + n, ox : ox + n].reshape(1, n * n, -1), n
        with torch.autocast(device.type, torch.bfloat16):
            out = net(x, sigma * 1000.0, context=contexts[kinds], y=pooled[kinds]).float()
        loss = ((out - want).square().mean((1, 2, 3)) * sigma).mean()
        net.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for opt in opts:
            opt.step()
        net.pos_embed = average.values["pos_embed"]
        average.update(net, step)
        now = float(loss.item())
        smooth[which] = smooth.get(which, now) * 0.98 + 0.02 * now
        if step % 20 == 0:
            bar.set_postfix(loss=" ".join(f"{v:.3f}" for v in smooth.values()))
        if last or (step + 1) % 200 == 0:
            net.pos_embed, net.pos_embed_max_size = position_table().to(device), GRID
            saver.save(net, average, opts, step=step + 1)
