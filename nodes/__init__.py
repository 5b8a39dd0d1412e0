"""Top floor: the nodes, one file a menu group."""

from ..detailer import host
from . import (
    basic_pipes,
    classifiers,
    clipseg,
    control,
    core_detectors,
    detailer_pipes,
    detailers,
    detectors,
    face_mesh,
    faces,
    hooks,
    ip_adapter,
    masks,
    options,
    pipe_detailers,
    plan,
    registry,
    routes,
    sam_loader,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
    shared,
)

_GROUPS = (
    control,
    ip_adapter,
    pipe_detailers,
    detailers,
    faces,
    detectors,
    core_detectors,
    clipseg,
    face_mesh,
    classifiers,
    sam_loader,
    hooks,
    masks,
    options,
    basic_pipes,
    detailer_pipes,
    plan,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
)

NODE_CLASS_MAPPINGS = registry.in_order_of(group.__name__ for group in _GROUPS)
NODE_DISPLAY_NAME_MAPPINGS = {node_id: node.NAME for node_id, node in NODE_CLASS_MAPPINGS.items()}
OWN_NODES = frozenset(node_id for node_id, node in NODE_CLASS_MAPPINGS.items() if node.OWN)
"""The ids that are ours alone; all others are the Impact Pack's too."""


def register() -> tuple[dict[str, type], dict[str, str]]:
    """Classes and names for ComfyUI, without those that another pack serves or that it has nothing to connect to."""
    classes = {node_id: node for node_id, node in NODE_CLASS_MAPPINGS.items() if node.is_offered()}
    names = {node_id: node.NAME for node_id, node in classes.items()}
    sharing = shared.Sharing(classes, names, OWN_NODES, shared.choice())
    host.server.when_serving(sharing.settle)
    routes.register()
    return sharing.to_register()
