"""Upscaling in pixel space: decoded, enlarged, encoded and sampled, once or in several steps."""
