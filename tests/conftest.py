"""What all tests share."""

import importlib.util

from hypothesis import settings

# examples differ in size by far, and the machine may be busy: no deadline for a single one
settings.register_profile("mask-detailer", deadline=None)
settings.load_profile("mask-detailer")

if importlib.util.find_spec("comfy"):  # core and segs are tested without it too
    from support.comfy_on_cpu import use_cpu

    use_cpu()
