"""CLIPSeg, which finds what a text names, as a BBOX_DETECTOR."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...core import SEGS, Size, as_mask_batch, dilate_mask, mask_to_segs, resize_mask, to_bytes
from .. import host
from ..host.placement import AUTO
from ..host.protocols import DetailerHook
from .local_models import (
    ONLY_DATA,
    ONLY_WEIGHTS,
    LocalModelError,
    cached_folder,
    check_weights,
    model_folders,
    one_of_type,
    placed,
)

if TYPE_CHECKING:
    from transformers import CLIPSegForImageSegmentation

logger = logging.getLogger("mask_detailer")

KIND = "clipseg"  # of folders
FOLDERS = ("clipseg", "CLIPSeg")  # below ComfyUI's folder of models
REPOSITORY = "CIDAS/clipseg-rd64-refined"
OTHER_NODE = "CLIPSeg"  # the id of other packs' node that does the same
LABEL = "A"
LONGEST_TEXT = 77  # tokens: what comes after is not read


@dataclass(frozen=True)
class Search:
    """What is looked for, and how sure it must be.

    Attributes:
        text: as a whole, commas too.
        blur: the width in pixels of the blur over CLIPSeg's own small picture; it also grows what is found.
        threshold: 0..1, how sure CLIPSeg must be of a pixel.
        dilation_factor: by how many pixels of that picture each side grows.
    """

    text: str
    blur: float
    threshold: float
    dilation_factor: int


def register_folders() -> None:
    """Make the folders of CLIPSeg known to ComfyUI."""
    for folder in FOLDERS:
        host.folders.add_model_folder(KIND, folder, {".safetensors"})


Find = Callable[[torch.Tensor, Search], torch.Tensor]
"""From a picture ``[1,H,W,3]`` float 0..1 to a mask of any rank; what is above 0 is found."""


class ClipSegDetector:
    """CLIPSeg in the form of a detector, which goes by its own threshold and dilation and not by its node's.

    Attributes:
        aux: what is looked for where the search has no text.
        source: where the text is given, for messages.
    """

    def __init__(self, find: Find, search: Search, source: str) -> None:
        self.find, self.search, self.source = find, search, source
        self.aux: str | None = None

    def setAux(self, text: str | None) -> None:
        self.aux = text

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        detailer_hook: DetailerHook = None,
    ) -> SEGS:
        """Each connected part with its rectangle as mask, the lowest first; threshold and dilation have no effect."""
        segs = mask_to_segs(
            self.detect_combined(image, threshold, dilation),
            combined=False,
            crop_factor=crop_factor,
            bbox_fill=True,
            drop_size=drop_size,
            label=LABEL,
            detailer_hook=detailer_hook,
        )
        finished = getattr(detailer_hook, "post_detection", None)
        return segs if finished is None else finished(segs)

    def detect_combined(self, image: torch.Tensor, threshold: float, dilation: int) -> torch.Tensor:
        """All that is found, ``[1,H,W]`` of 0 and 1.

        Raises:
            ValueError: where there is no text to look for.
        """
        search = self.search if self.search.text.strip() else self._aux_search()
        size = Size(*image.shape[1:3])
        mask = as_mask_batch(self.find(image[..., :3], search), size).detach().cpu().amax(dim=0, keepdim=True)
        return (resize_mask(mask, size) > 0).float()

    def _aux_search(self) -> Search:
        text = (self.aux or "").strip()
        if not text:
            raise ValueError(f"{self.source}, input 'text': it is empty. Write what to look for, such as face")
        return replace(self.search, text=text)


def found_mask(certainty: torch.Tensor, search: Search) -> torch.Tensor:
    """What counts as found where CLIPSeg is so certain, ``[1,h,w]`` 0..1: cut off at the threshold, blurred and grown.

    As the node ``CLIPSeg`` of other packs does it: a Gaussian of ``blur`` pixels that ends at four times that, then the
    largest value in a square of ``2 * dilation_factor + 1`` pixels. Whatever it leaves above 0 is found, so that each
    part grows by about ``4 * blur`` pixels of CLIPSeg's picture, which has 352 on a side.
    """
    from scipy.ndimage import gaussian_filter

    sure = np.where(certainty[0].numpy() > search.threshold, certainty[0].numpy(), 0.0)
    blurred = gaussian_filter(sure, sigma=search.blur)
    return dilate_mask(torch.from_numpy(blurred.astype(np.float32))[None], 2 * search.dilation_factor + 1)


class ClipSegNetwork:
    """CLIPSeg from a folder in the form of ``transformers``.

    Raises:
        LocalModelError: where the folder can't be loaded.
    """

    def __init__(self, folder: Path) -> None:
        import transformers

        check_weights(folder)
        try:
            self.pictures = transformers.AutoImageProcessor.from_pretrained(str(folder), **ONLY_DATA)
            words = transformers.CLIPTokenizer
            self.words = words.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            network = transformers.CLIPSegForImageSegmentation.from_pretrained(str(folder), **ONLY_WEIGHTS)
        except Exception as error:  # of as many kinds as there are libraries behind it
            found = f"{folder} can't be loaded ({type(error).__name__}: {error})"
            raise LocalModelError(found, f"Fetch all files of {REPOSITORY} again") from error
        self.network: CLIPSegForImageSegmentation = network.float().eval()
        self.placement = placed(self.network, AUTO)

    def find(self, image: torch.Tensor, search: Search) -> torch.Tensor:
        """What a text names in a picture ``[1,H,W,3]`` float 0..1, as a mask ``[1,H,W]`` whose values above 0 count."""
        from PIL import Image

        host.devices.check_interrupted()
        self.placement.load()
        device = self.network.device
        seen = self.pictures(images=Image.fromarray(to_bytes(image[0])), return_tensors="pt")
        words = self.words([search.text], return_tensors="pt", truncation=True, max_length=LONGEST_TEXT)
        with torch.inference_mode():
            logits = self.network(
                pixel_values=seen["pixel_values"].to(device, torch.float32),
                input_ids=words["input_ids"].to(device),
                attention_mask=words["attention_mask"].to(device),
            ).logits
        certainty = logits.float().sigmoid().cpu().reshape(1, *logits.shape[-2:])
        return resize_mask(found_mask(certainty, search), Size(*image.shape[1:3]))


def _by_other_node(node: type) -> Find:
    def find(image: torch.Tensor, search: Search) -> torch.Tensor:
        settings = (search.text, search.blur, search.threshold, search.dilation_factor)
        return host.nodes.first_output(node, image, *settings)

    return find


def finder() -> Find:
    """CLIPSeg as this machine has it: a folder of models, what was fetched before, or another pack's node.

    Raises:
        LocalModelError: where there is none of them, or what there is can't be loaded.
    """
    folder = one_of_type(model_folders(KIND), "clipseg") or cached_folder(REPOSITORY)
    node = host.nodes.registered_nodes().get(OTHER_NODE)
    if folder is not None:
        try:
            return ClipSegNetwork(folder).find
        except LocalModelError as error:
            if node is None:
                raise
            logger.warning("%s: the node %s is used instead", error, OTHER_NODE)
    if node is None:
        raise LocalModelError(
            "there is no CLIPSeg here, and nothing is fetched by itself",
            f"Put all files of {REPOSITORY} (config.json, model.safetensors and the small ones) into models/{KIND}, or "
            f"install a pack with the node {OTHER_NODE}",
        )
    return _by_other_node(node)
