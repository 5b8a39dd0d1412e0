"""Top floor: the nodes, one file a menu group."""

from typing import Any

from ..detailer import host
from . import (
    control,
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

OWN_NODES = frozenset({*options.NODE_CLASS_MAPPINGS, *plan.NODE_CLASS_MAPPINGS, *segs_files.NODE_CLASS_MAPPINGS})
"""The ids that are ours alone; all others are the Impact Pack's too."""


def register() -> tuple[dict[str, Any], dict[str, str]]:
    """Classes and names for ComfyUI, without those that another pack serves."""
    sharing = shared.Sharing(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, OWN_NODES, shared.choice())
    host.when_serving(sharing.settle)
    routes.register()
    return sharing.to_register()
