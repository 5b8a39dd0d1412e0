"""How parts are found: detectors of any pack, SAM's hints, ComfyUI's own detection models."""
