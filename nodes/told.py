"""What a node tells its user: in the log, and in a line on the node where the browser that queued it is there."""

from __future__ import annotations

import logging

from ..core import Size
from ..detailer import host

logger = logging.getLogger("mask_detailer")
EVENT = "mask_detailer.told"


def mask_rescaled(node: str, mask: Size, picture: Size) -> None:
    """A mask of another size than its picture is stretched: as a rule another picture's, or none was painted."""
    logger.info("%s: the %s mask is rescaled to the %s picture", node, mask, picture)
    browser = host.server.client_of_prompt()
    if browser is not None and browser.is_connected:
        browser.send(EVENT, {"what": "mask_rescaled", "mask": str(mask), "picture": str(picture)})
