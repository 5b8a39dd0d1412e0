"""The farm: thousands of pictures and masks over many ComfyUI servers, nothing lost, nothing done twice.

Run from the checkout as ``python farm``. It is no part of the node pack: it imports nothing of it, ComfyUI imports
nothing of it, and all it does with ComfyUI goes over HTTP. Standard library only.
"""
