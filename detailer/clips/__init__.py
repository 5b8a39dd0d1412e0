"""Clips: moving parts worked on in windows that follow them."""
