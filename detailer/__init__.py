"""Second floor: the engine. Only `host` knows ComfyUI."""
