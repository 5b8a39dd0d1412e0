"""`dev.py serve`: ComfyUI with this pack in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys

import torch

from support.server import CHECKOUT, PACK, Server, ServerError, free_port, is_free

USUAL_PORT = 8188


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py serve")
    parser.add_argument("--port", type=int, default=0, help="default: 8188, or a free one if it is taken")
    options = parser.parse_args()
    if options.port and not is_free(options.port):
        print(f"serve: port {options.port} is taken; name another with --port", file=sys.stderr)
        return 1
    port = options.port or (USUAL_PORT if is_free(USUAL_PORT) else free_port())
    base = CHECKOUT / ".env" / "serve"
    server = Server(base, port=port, cpu=not torch.accelerator.is_available(), node_folders=[PACK])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with server:
            print(f"\nserve: {server.url} (models go into {base / 'models'}; Ctrl-C stops it)", flush=True)
            return server.wait()
    except KeyboardInterrupt:
        print("\nserve: stopped")
        return 130
    except ServerError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
