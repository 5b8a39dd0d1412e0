"""Top floor: the nodes, one file a menu group."""

from collections.abc import Mapping

from ..detailer import host
from ..detailer.prompts.populate import populate
from ..detailer.steering import set_remotely
from . import (
    animate_diff,
    basic_pipes,
    bridges,
    classifiers,
    clips,
    clipseg,
    control,
    core_detectors,
    custom_sampling,
    detailer_pipes,
    detailers,
    detector_files,
    detectors,
    face_mesh,
    faces,
    file_detectors,
    hooks,
    ip_adapter,
    legacy,
    lists,
    logic,
    masks,
    onnx_detectors,
    options,
    pipe_detailers,
    pk_hooks,
    plan,
    references,
    regional,
    registry,
    results,
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
    senders,
    shared,
    steering,
    switches,
    texts,
    touch_up,
    upscaler_providers,
    upscalers,
    wildcards,
)

_GROUPS = (
    control,
    ip_adapter,
    pipe_detailers,
    detailers,
    clips,
    animate_diff,
    faces,
    detectors,
    core_detectors,
    clipseg,
    face_mesh,
    classifiers,
    file_detectors,
    onnx_detectors,
    detector_files,
    sam_loader,
    hooks,
    custom_sampling,
    masks,
    options,
    touch_up,
    results,
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
    references,
    switches,
    lists,
    logic,
    steering,
    texts,
    legacy,
    bridges,
    senders,
    wildcards,
    upscaler_providers,
    upscalers,
)

NODE_CLASS_MAPPINGS = registry.in_order_of(group.__name__ for group in _GROUPS)
NODE_DISPLAY_NAME_MAPPINGS = {node_id: node.NAME for node_id, node in NODE_CLASS_MAPPINGS.items()}
OWN_NODES = frozenset(node_id for node_id, node in NODE_CLASS_MAPPINGS.items() if node.OWN)
"""The ids that are ours alone; all others are the Impact Pack's too."""


def register() -> tuple[dict[str, type], dict[str, str]]:
    """Classes and names for ComfyUI, without those that another pack serves or that it has nothing to connect to."""
    for group in (file_detectors, onnx_detectors, sam_loader, clipseg, classifiers, legacy):
        group.register_folders()
    classes = {node_id: node for node_id, node in NODE_CLASS_MAPPINGS.items() if node.is_offered()}
    names = {node_id: node.NAME for node_id, node in classes.items()}
    sharing = shared.Sharing(classes, names, OWN_NODES, shared.choice())
    host.server.when_serving(sharing.settle)
    routes.register()
    for before_validation in (_steered, _populated):  # each by itself: an error in one keeps no other from its work
        host.server.when_queued(before_validation)
    return sharing.to_register()


def _steered(sent: Mapping[str, object]) -> None:
    """What Remote nodes say, where they are ours."""
    registered = host.nodes.registered_nodes()
    set_remotely(sent, {node_id: kind for node_id, kind in steering.REMOTE.items() if _is_ours(registered, node_id)})


def _populated(sent: Mapping[str, object]) -> None:
    """The choices of wildcard nodes, where they are ours."""
    registered = host.nodes.registered_nodes()
    populate(sent, [node_id for node_id in wildcards.POPULATING if _is_ours(registered, node_id)])


def _is_ours(registered: Mapping[str, type], node_id: str) -> bool:
    return registered.get(node_id) is NODE_CLASS_MAPPINGS[node_id]
