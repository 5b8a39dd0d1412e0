"""Tests of the pure floors. None of them needs ComfyUI."""
