"""The small model of the demo, the tests and the quality bench: the scenes it knows, what it is told, its training."""

from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent / "mask-detailer-tiny.safetensors"
