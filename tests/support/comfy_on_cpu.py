"""ComfyUI's own modules in this process, on the CPU."""

import comfy.cli_args


def use_cpu() -> None:
    """Choose the CPU; call it before anything imports ComfyUI's model code, which looks for an accelerator then."""
    comfy.cli_args.args.cpu = True
