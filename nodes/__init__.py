"""Top floor: the nodes, one file a menu group."""

from . import (
    control,
    detailer_pipes,
    detailers,
    detectors,
    faces,
    hooks,
    masks,
    pipes,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_lists,
)

GROUPS = (
    control,
    detailer_pipes,
    detailers,
    faces,
    detectors,
    hooks,
    masks,
    pipes,
    sampling,
    segs,
    segs_detailers,
    segs_edits,
    segs_elements,
    segs_lists,
)

NODE_CLASS_MAPPINGS = {node_id: node for group in GROUPS for node_id, node in group.NODE_CLASS_MAPPINGS.items()}
NODE_DISPLAY_NAME_MAPPINGS = {
    node_id: name for group in GROUPS for node_id, name in group.NODE_DISPLAY_NAME_MAPPINGS.items()
}
