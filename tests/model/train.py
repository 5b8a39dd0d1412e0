"""Train the tiny model from nothing: `python tests/model/train.py --comfyui PATH [--resume] [--minutes N]`.

Stages, each resumable: an encoder in closed form and a store of latents, a decoder (TAESD-shaped), a denoiser
(SD3-shaped MMDiT, flow matching); then one fp16 safetensors file that ComfyUI's CheckpointLoaderSimple loads.
`decoder` and `denoiser` need only the encoder: on two cores run both side by side, a thread each (OMP_NUM_THREADS=1).
`--check` measures a finished file on held-out scenes.

All network modules are ComfyUI's own, so that what is trained is what is sampled. The autoencoder is small (a linear
encoder, a decoder with fewer channels and blocks than TAESD's) and is written into TAESD's layers exactly: see
`widened`.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import conditioning  # noqa: E402
import scenes  # noqa: E402

log = logging.getLogger("train")
SEED = 20_260
# Spread of the latents as the denoiser sees them: above 1, so structure outlives the noise of denoise 0.5.
LATENT_STD = 4.0
SD3_SCALE, SD3_SHIFT = 1.5305, 0.0609
DECODER_WIDTHS = (16, 32, 64, 64)
DECODER_BLOCKS = (1, 2, 2, 2)
ZOOM = (1.7, 3.7)  # working pixels per scene pixel
RECOMMENDED = {
    "guide": 448,
    "factor": 1.3,
    "steps": 8,
    "denoise": 0.3,
    "cfg": 1.0,
    "sampler": "euler",
    "scheduler": "simple",
    "feather": 5.0,
}


def import_comfy(path: str | None) -> None:
    """Put ComfyUI on the import path and choose the device before anything of it is imported."""
    if path:
        sys.path.insert(0, path)
    argv, sys.argv = sys.argv, sys.argv[:1]
    import comfy.options

    comfy.options.enable_args_parsing(False)
    import comfy.cli_args

    comfy.cli_args.args.use_pytorch_cross_attention = True
    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    sys.argv = argv


# ---------------------------------------------------------------- autoencoder


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
    """He-normal convolutions, quiet last convolutions of the residual blocks (ComfyUI's layers leave weights
    unset).
    """
    from comfy.taesd.taesd import Block

    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=math.sqrt(2.0 / (m.in_channels * 9)))
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    for m in net.modules():
        if isinstance(m, Block):
            with torch.no_grad():
                m.conv[4].weight.mul_(0.3)


def widened(encoder: nn.Conv2d, decoder: nn.Module) -> dict[str, Tensor]:
    """State dict of a full TAESD doing exactly what the pair does, latents scaled to `LATENT_STD` in the
    denoiser's eyes.

    Encoder: the strided convolutions gather 2x2 pixels each into channels, the last one applies the linear
    map with both signs, so that
    the ReLUs lose nothing; all residual blocks are zero, hence pass on. Decoder: channels and blocks that are
    not used are zero.
    """
    from comfy.taesd.taesd import TAESD

    out = {k: torch.zeros_like(v) for k, v in TAESD(latent_channels=16).state_dict().items()}
    for k, v in decoder.state_dict().items():
        out["taesd_decoder." + k][tuple(slice(0, n) for n in v.shape)] = v.float().cpu()
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
    pool = crop_pool(folder / "crops.safetensors", 8000, 128)
    encoder = linear_encoder().requires_grad_(False)
    blocks = F.unfold(pool[::4, :, :64, :64].float() / 255, 8, stride=8).transpose(1, 2).reshape(-1, 192)
    mean = blocks.mean(0)
    values, vectors = torch.linalg.eigh((blocks - mean).T @ (blocks - mean) / len(blocks))
    spread = values[-16:, None] ** 0.25
    rows = vectors[:, -16:].T / values[-16:, None].sqrt() * spread / spread.square().mean().sqrt()
    rows *= rows.sum(1, keepdim=True).sign()  # an eigenvector's sign is a matter of chance
    encoder.weight.copy_(rows.view(16, 3, 8, 8))
    encoder.bias.copy_(-rows @ mean)
    return encoder


def random_window(
    s: scenes.Scene, rng: np.random.Generator, size: int, low: float, high: float
) -> tuple[scenes.Part | None, scenes.Box]:
    """A square window of the scene, most often around a part, that is `size` working pixels wide at a zoom of
    `low`..`high`.
    """
    side = size / math.exp(rng.uniform(math.log(low), math.log(high)))
    part = s.parts[rng.integers(len(s.parts))] if rng.random() < 0.88 else None
    box = part.box if part else (0, 0, scenes.WIDTH, scenes.HEIGHT)
    cx, cy = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])
    x0 = float(np.clip(cx - side / 2, 0, scenes.WIDTH - side))
    y0 = float(np.clip(cy - side / 2, 0, scenes.HEIGHT - side))
    return part, (x0, y0, x0 + side, y0 + side)


def crop_pool(store: Path, count: int, size: int) -> Tensor:
    """Drawn crops `[count,3,size,size]` uint8; a quarter of them blurred, as the encoder meets spoiled parts
    too.
    """
    if store.exists():
        return load_file(store)["crops"]
    rng = np.random.default_rng(SEED)
    out = np.empty((count, size, size, 3), np.uint8)
    for i in tqdm(range(count), desc="drawing crops", mininterval=5):
        image = scenes.scene(i).render(random_window(scenes.scene(i), rng, size, *ZOOM)[1], (size, size))
        if rng.random() < 0.25:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 8.0))
        out[i] = np.round(image * 255)
    pool = torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()
    save_whole({"crops": pool}, store)
    return pool


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and downwards."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def image_loss(out: Tensor, want: Tensor) -> Tensor:
    """L1 and squared error of colours and of gradients."""
    loss = (out - want).abs().mean() + 4.0 * F.mse_loss(out, want)
    return loss + sum(
        0.5 * (a - b).abs().mean() for a, b in zip(gradients(out), gradients(want), strict=True)
    )


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

    def save(
        self, net: nn.Module, average: Average, optimisers: list[torch.optim.Optimizer], **facts: Any
    ) -> None:
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

    def load(
        self, net: nn.Module, average: Average, optimisers: list[torch.optim.Optimizer]
    ) -> dict[str, Any]:
        """Read back what `save` wrote; empty when there is nothing."""
        if not self.facts.exists():
            return {}
        data = load_file(self.tensors)
        net.load_state_dict({k[4:]: v for k, v in data.items() if k.startswith("net.")})
        average.values = {
            k[4:]: v.to(average.values[k[4:]].device) for k, v in data.items() if k.startswith("ema.")
        }
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
    """Momentum whose step is made orthogonal (Newton-Schulz iteration), for matrices and convolution kernels
    seen as matrices.

    Method: K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". In float32, as
    CPUs are slow in bfloat16.
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
    return min(1.0, (step + 1) / warm) * (
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    )


def clock(start: int, steps: int, deadline: float | None, name: str) -> Iterator[tuple[int, tqdm]]:
    """Count steps under a progress bar; stop at the deadline (seconds of `time.time`)."""
    bar = tqdm(range(start, steps), initial=start, total=steps, desc=name, mininterval=5)
    for step in bar:
        yield step, bar
        if deadline and time.time() > deadline:
            break


def train_decoder(folder: Path, steps: int, resume: bool, deadline: float | None, device: torch.device) -> None:
    """The decoder on 64-pixel crops, robust to a little noise in the latents, as samplers leave some."""
    torch.manual_seed(SEED)
    encoder = principal_encoder(folder).to(device)
    net = narrow_decoder()
    initialise(net)
    net.to(device, memory_format=torch.channels_last)
    average = Average(net, 0.999)
    matrices, rest = split_params(net, lambda n, p: p.ndim == 4 and p.shape[0] > 3 and p.shape[1] > 3)
    opts = [Muon(matrices, lr=2e-3), torch.optim.Adam(rest, lr=2e-3, betas=(0.9, 0.98))]
    saver = Saver(folder, "decoder")
    start = saver.load(net, average, opts).get("step", 0) if resume else 0
    if start >= steps:
        return
    pool = crop_pool(folder / "crops.safetensors", 8000, 128)
    gen = torch.Generator().manual_seed(SEED + start)
    batch, size = 8, 64
    for step, bar in clock(start, steps, deadline, "decoder"):
        for opt in opts:
            opt.param_groups[0]["lr"] = 2e-3 * rate(step, steps, 30)
        pick = torch.randint(len(pool), (batch,), generator=gen).tolist()
        off = torch.randint(0, 129 - size, (batch, 2), generator=gen).tolist()
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
        if (step + 1) % 500 == 0 or step + 1 == steps:
            saver.save(net, average, opts, step=step + 1)


# ---------------------------------------------------------------- latents


def training_pair(rng: np.random.Generator, s: scenes.Scene, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(crisp, spoiled, kind index): crisp is drawn at the working zoom; spoiled is the scene's own pixels,
    degraded and enlarged.
    """
    part, (x0, y0, x1, _) = random_window(s, rng, size, *ZOOM)
    side, margin = max(32, round(x1 - x0)), 20
    x0, y0 = float(round(x0)), float(round(y0))
    crisp = s.render((x0, y0, x0 + side, y0 + side), (size, size))
    wide = side + 2 * margin
    native = s.render((x0 - margin, y0 - margin, x0 + side + margin, y0 + side + margin), (wide, wide))
    if rng.random() < 0.5:
        bad = cv2.GaussianBlur(native, (0, 0), rng.uniform(1.4, 3.4))
    else:
        small = max(4, round(wide / rng.uniform(2.6, 5.6)))
        bad = cv2.resize(
            cv2.resize(native, (small, small), interpolation=cv2.INTER_AREA),
            (wide, wide),
            interpolation=cv2.INTER_LINEAR,
        )
    if rng.random() < 0.4:
        mask = np.zeros((wide, wide), np.float32)
        centre = tuple(int(v) for v in rng.uniform(margin, wide - margin, 2))
        cv2.ellipse(mask, centre, tuple(int(v) for v in rng.uniform(0.25, 0.7, 2) * side), 0, 0, 360, 1.0, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None]
        bad = native * (1 - mask) + bad * mask
    bad = bad[margin:-margin, margin:-margin]
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[rng.integers(3)]
    bad = cv2.resize(bad, (size, size), interpolation=how).clip(0, 1)
    kind = scenes.KINDS.index(part.kind) if part and rng.random() < 0.8 else scenes.KINDS.index("generic")
    return crisp, bad, kind


def best(folder: Path, stage: str, prefix: str = "ema.") -> dict[str, Tensor]:
    """The averaged weights that a stage left."""
    return {
        k[len(prefix) :]: v
        for k, v in load_file(folder / f"{stage}.safetensors").items()
        if k.startswith(prefix)
    }


def store_latents(
    folder: Path, name: str, count: int, size: int, first_seed: int, resume: bool, device: torch.device
) -> None:
    """Stage 2: encode `count` pairs of crops of `size` pixels; latents as the denoiser sees them,
    `[count,16,size/8,size/8]` in fp16.
    """
    target = folder / f"{name}.safetensors"
    if resume and target.exists():
        return
    encoder = principal_encoder(folder).to(device)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEED + first_seed)
    pairs = torch.empty(count, 2, 16, size // 8, size // 8, dtype=torch.float16)
    kinds = torch.empty(count, dtype=torch.int64)
    s = None
    for i in tqdm(range(count), desc=f"encoding {name}", mininterval=5):
        if s is None or i % 3 == 0:
            s = scenes.scene(first_seed + i)
        crisp, bad, kind = training_pair(rng, s, size)
        x = torch.from_numpy(np.stack([crisp, bad])).permute(0, 3, 1, 2).to(device)
        with torch.no_grad():
            pairs[i] = (encoder(x) * LATENT_STD).half().cpu()
        kinds[i] = kind
    save_whole({"pairs": pairs, "kinds": kinds}, target)


# ---------------------------------------------------------------- denoiser

DEPTH, GRID, POSITION_AMPLITUDE = 3, 64, 1.0
WAVES = np.geomspace(3.0, 96.0, 12)  # wavelengths of the position code, in tokens


def position_table() -> Tensor:
    """The position code `[1, GRID*GRID, 64*DEPTH]`: sine and cosine of `WAVES` along y, then x, in the first
    48 channels.
    """
    at = torch.arange(GRID).float()[:, None] * torch.tensor(2 * math.pi / WAVES).float()[None]
    code = torch.stack([at.sin(), at.cos()], -1).flatten(1)
    table = torch.zeros(GRID, GRID, 64 * DEPTH)
    n = code.shape[1]
    table[..., :n] = code[:, None]
    table[..., n : 2 * n] = code[None]
    return POSITION_AMPLITUDE * table.reshape(1, GRID * GRID, -1)


def denoiser(device: torch.device) -> nn.Module:
    """ComfyUI's MMDiT in the shape of the checkpoint. Starts with heads that look at neighbouring tokens and
    a last layer of zero.
    """
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper

    width = 64 * DEPTH
    net = OpenAISignatureMMDITWrapper(
        input_size=None,
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

    One case in seven is plain flow matching. The others lie on the way of a sampler that started at sigma0
    from a noised spoiled latent
    and heads for the crisp one: there the spoiled latent still has the share
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


def train_denoiser(
    folder: Path, steps: int, resume: bool, deadline: float | None, device: torch.device
) -> None:
    """Stage 3: the MMDiT on stored latents, small crops mostly, every fifth step large ones; random places of
    the position table.
    """
    torch.manual_seed(SEED)
    net = denoiser(device)
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
    for step, bar in clock(start, steps, deadline, "denoiser"):
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
        smooth[which] = smooth.get(which, loss.item()) * 0.98 + 0.02 * loss.item()
        if step % 20 == 0:
            bar.set_postfix(loss=" ".join(f"{v:.3f}" for v in smooth.values()))
        if (step + 1) % 200 == 0 or step + 1 == steps:
            net.pos_embed, net.pos_embed_max_size = position_table().to(device), GRID
            saver.save(net, average, opts, step=step + 1)


def export(folder: Path, out: Path) -> None:
    """One fp16 file of denoiser and autoencoder, keys as ComfyUI's loader expects them."""
    decoder = narrow_decoder()
    decoder.load_state_dict(best(folder, "decoder"))
    data = {f"first_stage_model.{k}": v for k, v in widened(principal_encoder(folder), decoder).items()}
    weights = best(folder, "denoiser") | {"pos_embed": position_table()}
    data |= {f"model.diffusion_model.{k}": v for k, v in weights.items()}
    save_file(
        {k: v.half().contiguous().clone() for k, v in data.items()},
        out,
        {"license": "GPL-3.0", "made_by": "tests/model/train.py"},
    )
    log.info("%s: %.2f MB", out.name, out.stat().st_size / 1e6)


# ---------------------------------------------------------------- check


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Map `[H,W]` of structural similarity of two pictures' brightness, windows of 7x7 (Wang et al. 2004)."""
    x, y = (cv2.cvtColor(v, cv2.COLOR_RGB2GRAY) for v in (a, b))

    def mean(v: np.ndarray) -> np.ndarray:
        return cv2.blur(v, (7, 7))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return (2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))


def sharpness(a: np.ndarray) -> np.ndarray:
    """Map `[H,W]` of the gradient's magnitude of a picture's brightness."""
    grey = cv2.cvtColor(a, cv2.COLOR_RGB2GRAY)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1))


class Loaded:
    """A checkpoint as ComfyUI loads it, and the way of one part through it."""

    def __init__(self, file: Path) -> None:
        import comfy.sd

        self.model, _, self.vae = comfy.sd.load_checkpoint_guess_config(
            str(file), output_vae=True, output_clip=False
        )[:3]

    @torch.no_grad()
    def detail(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        kind: str,
        guide: int,
        factor: float,
        steps: int,
        denoise: float,
        cfg: float,
        sampler: str,
        scheduler: str,
        feather: float,
        seed: int,
        redraw: bool = True,
    ) -> np.ndarray:
        """Cut, enlarge, sample, shrink, paste. Image `[H,W,3]`, mask `[H,W]`; without `redraw` only through
        the autoencoder.
        """
        import comfy.sample

        h, w = mask.shape
        ys, xs = np.nonzero(mask > 0.5)
        bw, bh = xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()
        cw, ch = min(w, round(bw * factor)), min(h, round(bh * factor))
        x0 = int(np.clip((xs.min() + xs.max() + 1 - cw) // 2, 0, w - cw))
        y0 = int(np.clip((ys.min() + ys.max() + 1 - ch) // 2, 0, h - ch))
        zoom = max(1.0, guide / max(bw, bh))
        size = (round(cw * zoom / 16) * 16, round(ch * zoom / 16) * 16)
        crop, inside = image[y0 : y0 + ch, x0 : x0 + cw], mask[y0 : y0 + ch, x0 : x0 + cw]
        big = cv2.resize(crop, size, interpolation=cv2.INTER_LANCZOS4).clip(0, 1)
        latent = self.vae.encode(torch.from_numpy(big)[None])
        if redraw:
            noise = comfy.sample.prepare_noise(latent, seed)
            where = torch.from_numpy(cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR))[None, None]
            positive, negative = conditioning.conditioning(kind), conditioning.conditioning("generic")
            latent = comfy.sample.sample(
                self.model,
                noise,
                steps,
                cfg,
                sampler,
                scheduler,
                positive,
                negative,
                latent,
                denoise=denoise,
                noise_mask=where,
                seed=seed,
                disable_pbar=True,
            )
        out = self.vae.decode(latent)[0].float().cpu().numpy()
        small = cv2.resize(out, (cw, ch), interpolation=cv2.INTER_AREA).clip(0, 1)
        soft = cv2.GaussianBlur(inside, (0, 0), feather)[..., None] if feather > 0 else inside[..., None]
        result = image.copy()
        result[y0 : y0 + ch, x0 : x0 + cw] = crop * (1 - soft) + small * soft
        return result


def check(file: Path, cases: int, pictures: Path | None, settings: dict[str, Any]) -> None:
    """Measure a checkpoint on held-out scenes; write strips (undegraded, degraded, detailed) where asked."""
    loaded = Loaded(file)
    rows: dict[str, list[tuple[float, ...]]] = {}
    bar = tqdm(range(cases), desc="checking", mininterval=5)
    for i in bar:
        good, bad, mask, part = scenes.held_out_case(i)
        begun = time.time()
        done = loaded.detail(bad, mask, part.kind, seed=i, **settings)
        took = time.time() - begun
        where = mask > 0.5
        before, after = (similarity(good, v)[where].mean() for v in (bad, done))
        truth = sharpness(good)[where].mean()
        ring = (cv2.dilate(mask, np.ones((5, 5))) - cv2.erode(mask, np.ones((5, 5)))) > 0.5
        rows.setdefault(part.kind, []).append(
            (
                before,
                after,
                sharpness(bad)[where].mean() / truth,
                sharpness(done)[where].mean() / truth,
                sharpness(done)[ring].mean() / sharpness(good)[ring].mean(),
                took,
            )
        )
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            ys, xs = np.nonzero(mask)
            cut = (slice(max(0, ys.min() - 12), ys.max() + 12), slice(max(0, xs.min() - 12), xs.max() + 12))
            strip = np.concatenate([v[cut] for v in (good, bad, done)], 1)[..., ::-1]
            cv2.imwrite(str(pictures / f"{i:02d}-{part.kind}.png"), np.round(strip * 255).astype(np.uint8))
    table = rows | {"all": [r for v in rows.values() for r in v]}
    log.info(
        "%-10s %5s %7s %7s %7s %9s %9s %9s %6s",
        "kind",
        "cases",
        "before",
        "after",
        "closer",
        "sharp was",
        "sharp is",
        "in bounds",
        "ring",
    )
    for kind, found in table.items():
        r = np.array(found)
        log.info(
            "%-10s %5d %7.3f %7.3f %6.0f%% %9.2f %9.2f %8.0f%% %6.2f   %.1f s",
            kind,
            len(r),
            r[:, 0].mean(),
            r[:, 1].mean(),
            100 * (r[:, 1] > r[:, 0]).mean(),
            r[:, 2].mean(),
            r[:, 3].mean(),
            100 * ((r[:, 3] >= 0.8) & (r[:, 3] <= 1.25)).mean(),
            r[:, 4].mean(),
            r[:, 5].mean(),
        )


def main() -> None:
    """The command line."""
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument(
        "--comfyui", default=os.environ.get("COMFYUI_PATH"), help="folder of ComfyUI (default: COMFYUI_PATH)"
    )
    ap.add_argument("--out", type=Path, default=HERE / "mask-detailer-tiny.safetensors")
    ap.add_argument(
        "--work", type=Path, default=HERE / "training", help="folder for training state and latents"
    )
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--minutes", type=float, help="stop the running stage after this long")
    ap.add_argument(
        "--stage", choices=("latents", "decoder", "denoiser", "export"), help="one stage only"
    )
    ap.add_argument("--decoder-steps", type=int, default=24_000)
    ap.add_argument("--steps", type=int, default=16_000, help="steps of the denoiser")
    ap.add_argument(
        "--check",
        type=int,
        nargs="?",
        const=50,
        metavar="CASES",
        help="measure the file OUT on held-out scenes instead of training",
    )
    ap.add_argument(
        "--pictures", type=Path, help="with --check: folder for strips (undegraded | degraded | detailed)"
    )
    ap.add_argument(
        "--settings",
        type=json.loads,
        default={},
        help="with --check: JSON that replaces some of the recommended settings",
    )
    args = ap.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import_comfy(args.comfyui)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.check:
        check(args.out, args.check, args.pictures, RECOMMENDED | args.settings)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    deadline = time.time() + 60 * args.minutes if args.minutes else None
    if args.stage in (None, "latents"):
        store_latents(args.work, "small", 12_000, 192, 10_000, args.resume, device)
        store_latents(args.work, "large", 800, 352, 50_000, args.resume, device)
    if args.stage in (None, "denoiser"):
        train_denoiser(args.work, args.steps, args.resume, deadline, device)
    if args.stage in (None, "decoder"):
        train_decoder(args.work, args.decoder_steps, args.resume, deadline, device)
    if args.stage in (None, "export"):
        export(args.work, args.out)


if __name__ == "__main__":
    main()
