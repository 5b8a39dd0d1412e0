"""`dev.py train`: the small model of the demo, the tests and the quality bench, from nothing.

First crops and latents are drawn and encoded. Then a decoder (TAESD-shaped) and a denoiser (SD3-shaped MMDiT, flow
matching) are trained, and written into one fp16 file that ComfyUI's CheckpointLoaderSimple loads. Neither needs the
other: `--stage decoder` and `--stage denoiser` run side by side, on a thread each (OMP_NUM_THREADS=1). `--resume` goes
on from what an earlier run left; `dev.py bench quality` says how good the model is.

All network modules are ComfyUI's own, so that what is trained is what is sampled. The autoencoder is small (a linear
encoder, a decoder with fewer channels and blocks than TAESD's) and is written into TAESD's layers exactly: `widened`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import WEIGHTS

STAGES = ("latents", "decoder", "denoiser", "export")
CROPS = 8_000
LATENTS = {"small": (12_000, 192, 10_000), "large": (800, 352, 50_000)}  # how many pairs, their sides, the first seed


def use_comfyui() -> torch.device:
    """The device to train on, chosen before anything of ComfyUI looks for one."""
    import comfy.cli_args

    comfy.cli_args.args.use_pytorch_cross_attention = True
    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def export(folder: Path, out: Path) -> None:
    """One fp16 file of denoiser and autoencoder, keys as ComfyUI's loader expects them."""
    from .autoencoder import narrow_decoder, principal_encoder, widened
    from .denoiser import position_table
    from .learning import best

    decoder = narrow_decoder()
    decoder.load_state_dict(best(folder, "decoder"))
    data = {f"first_stage_model.{k}": v for k, v in widened(principal_encoder(folder), decoder).items()}
    weights = best(folder, "denoiser") | {"pos_embed": position_table()}
    data |= {f"model.diffusion_model.{k}": v for k, v in weights.items()}
    facts = {"license": "GPL-3.0", "made_by": "tools/tiny_model/train.py"}
    save_file({k: v.half().contiguous().clone() for k, v in data.items()}, out, facts)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py train")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the file to write (default: the one in use)")
    parser.add_argument(
        "--work", type=Path, default=WEIGHTS.with_name("training"), help="folder for what is drawn and learned"
    )
    parser.add_argument("--resume", action="store_true", help="go on from what is there")
    parser.add_argument("--minutes", type=float, help="stop the running stage after this long")
    parser.add_argument("--stage", choices=STAGES, help="one stage only")
    parser.add_argument("--decoder-steps", type=int, default=24_000)
    parser.add_argument("--steps", type=int, default=16_000, help="steps of the denoiser")
    parser.add_argument("--share", type=float, default=1.0, help="of the crops and latents; less to try it out")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    device = use_comfyui()
    from . import autoencoder, crops, denoiser  # after the choice of device

    folder: Path = options.work
    folder.mkdir(parents=True, exist_ok=True)
    stages = [options.stage] if options.stage else STAGES
    deadline = time.time() + 60 * options.minutes if options.minutes else None
    crops.draw_crops(folder, round(CROPS * options.share))
    if "latents" in stages:
        for name, (count, size, first_seed) in LATENTS.items():
            target = folder / f"{name}.safetensors"
            if not (options.resume and target.exists()):
                encoder = autoencoder.principal_encoder(folder).to(device)
                crops.store_latents(encoder, target, round(count * options.share), size, first_seed)
    if "decoder" in stages:
        autoencoder.train_decoder(folder, options.decoder_steps, options.resume, deadline, device)
    if "denoiser" in stages:
        denoiser.train_denoiser(folder, options.steps, options.resume, deadline, device)
    if "export" in stages:
        export(folder, options.out)


if __name__ == "__main__":
    main()
