"""Makes what ComfyUI shows under *Templates* and among its subgraph blueprints: `python dev.py templates`."""
