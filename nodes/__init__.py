"""Top floor: the nodes, one file a menu group."""

from . import detailers, pipes, segs

GROUPS = (detailers, pipes, segs)

NODE_CLASS_MAPPINGS = {node_id: node for group in GROUPS for node_id, node in group.NODE_CLASS_MAPPINGS.items()}
NODE_DISPLAY_NAME_MAPPINGS = {
    node_id: name for group in GROUPS for node_id, name in group.NODE_DISPLAY_NAME_MAPPINGS.items()
}
