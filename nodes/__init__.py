"""Top floor: the nodes, one file a menu group."""

from ..detailer import host
from . import (
    basic_pipes,
    control,
    core_detectors,
    detailer_pipes,
    detailers,
    detector_files,
    detectors,
    faces,
    file_detectors,
    hooks,
    masks,
    onnx_detectors,
    options,
    pipe_detailers,
    pk_hooks,
    plan,
    regional,
    registry,
    routes,
    sam_loader,
    samplers,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
    shared,
    upscaler_providers,
    upscalers,
)

_GROUPS = (
    control,
    pipe_detailers,
    detailers,
    faces,
    detectors,
    core_detectors,
    file_detectors,
    onnx_detectors,
    detector_files,
    sam_loader,
    hooks,
    masks,
    options,
    basic_pipes,
    detailer_pipes,
    pk_hooks,
    plan,
    regional,
    samplers,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
    upscaler_providers,
    upscalers,
)

NODE_CLASS_MAPPINGS = registry.in_order_of(group.__name__ for group in _GROUPS)
NODE_DISPLAY_NAME_MAPPINGS = {node_id: node.NAME for node_id, node in NODE_CLASS_MAPPINGS.items()}
OWN_NODES = frozenset(node_id for node_id, node in NODE_CLASS_MAPPINGS.items() if node.OWN)
"""The ids that are ours alone; all others are the Impact Pack's too."""


def register() -> tuple[dict[str, type], dict[str, str]]:
    """Classes and names for ComfyUI, without those that another pack serves or that it has nothing to connect to."""
    if host.folders.are_there():
        file_detectors.register_folders()
        onnx_detectors.register_folder()
    classes = {node_id: node for node_id, node in NODE_CLASS_MAPPINGS.items() if node.is_offered()}
    names = {node_id: node.NAME for node_id, node in classes.items()}
    sharing = shared.Sharing(classes, names, OWN_NODES, shared.choice())
    host.server.when_serving(sharing.settle)
    routes.register()
    return sharing.to_register()
