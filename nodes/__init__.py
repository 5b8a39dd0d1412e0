"""Top floor: the nodes, one file a menu group."""

from typing import Any

from ..detailer import host
from . import (
    control,
    core_detectors,
    detailer_pipes,
    detailers,
    detectors,
    faces,
    hooks,
    masks,
    options,
    pipes,
    plan,
    routes,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
    shared,
)

GROUPS = (
    control,
    detailer_pipes,
    detailers,
    faces,
    detectors,
    core_detectors,
    hooks,
    masks,
    options,
    pipes,
    plan,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_files,
    segs_lists,
)

NODE_CLASS_MAPPINGS = {node_id: node for group in GROUPS for node_id, node in group.NODE_CLASS_MAPPINGS.items()}
NODE_DISPLAY_NAME_MAPPINGS = {
    node_id: name for group in GROUPS for node_id, name in group.NODE_DISPLAY_NAME_MAPPINGS.items()
}

OWN_NODES = frozenset(
    node for group in (core_detectors, options, plan, segs_files) for node in group.NODE_CLASS_MAPPINGS
)
"""The ids that are ours alone; all others are the Impact Pack's too."""


def register() -> tuple[dict[str, Any], dict[str, str]]:
    """Classes and names for ComfyUI, without those that another pack serves or that it has nothing to connect to."""
    missing = core_detectors.not_offered()
    classes = {node_id: node for node_id, node in NODE_CLASS_MAPPINGS.items() if node_id not in missing}
    names = {node_id: name for node_id, name in NODE_DISPLAY_NAME_MAPPINGS.items() if node_id not in missing}
    sharing = shared.Sharing(classes, names, OWN_NODES, shared.choice())
    host.server.when_serving(sharing.settle)
    routes.register()
    return sharing.to_register()
