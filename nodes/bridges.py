"""Nodes of the bridge group: a mask is painted on what the node shows, and goes on at the next run."""

from __future__ import annotations

import torch

from ..core import Size
from ..detailer import bridge, host
from ..detailer.bridge import NEVER, RESTORE
from ..detailer.host.protocols import Latent
from . import schema
from .door import Door
from .registry import LEGACY, UTIL, Node
from .schema import Input, Inputs, InputTypes, Shown

FOLDER = "PreviewBridge"  # of the folder for previews
NO_MASK = "#placeholder"


def _image() -> Input:
    tooltip = (
        "The file with the painted mask. The mask editor writes it here: right-click the node's picture and choose "
        "Open in MaskEditor. Empty: nothing is painted."
    )
    return "STRING", {"default": "", "tooltip": tooltip}


def _images() -> Input:
    return schema.link("IMAGE", "The pictures to paint on.")


def _more() -> Inputs:
    block = "What to do while nothing is painted: if_empty_mask leaves out all that hangs on this node."
    restore = (
        "Whether a mask stays when other pictures come: never, always (it is fitted to them), or if they have the "
        "mask's size."
    )
    return {
        "block": schema.switch(False, "if_empty_mask", "never", block),
        "restore_mask": (list(RESTORE), {"tooltip": restore}),
    }


class _Bridge(Node):
    """A node on whose picture a mask is painted; its ``image`` may be an object, as workflows of 2023 have it."""

    checks_itself = True
    OUTPUT_NODE = True

    @classmethod
    def IS_CHANGED(cls, image: object = None, **_: object) -> str:
        """What differs once the painted file is another."""
        try:
            name = bridge.name_of(image)
            return "" if name is None else bridge.state_of(name)
        except (OSError, TypeError, ValueError):
            return ""

    def _named(self, image: object) -> str | None:
        """The painted file's name, None for none. Raises InputError for an ``image`` that is no text."""
        try:
            return None if image is None else bridge.name_of(image)
        except TypeError as error:
            fix = "Leave it empty, or give the name of a painted picture"
            raise self.door.error("image", f"a {type(image).__name__} is no text", fix) from error

    def _painted(self, name: str | None, pictures: str, size: Size, restore: str, node: object) -> torch.Tensor | None:
        """The painted mask ``[1,H,W]`` for these pictures, None for none.

        Raises:
            InputError: for a file outside of ComfyUI's folders.
        """
        try:
            return bridge.bridges.mask(bridge.key_of(node), name, pictures, size, restore)
        except ValueError as error:
            raise self.door.error("image", f"'{name}': {error}", "Paint the mask anew, or empty the text") from error

    def _shown(self, pictures: torch.Tensor, mask: torch.Tensor | None, result: tuple[object, ...]) -> Shown:
        """What the node shows, the mask as its alpha, so that a mask editor begins with it."""
        shown = host.picture_files.with_alpha(pictures, mask)
        images: list[dict[str, str]] = []
        with host.devices.only_a_preview(f"{self.ID}: its pictures can't be shown"):
            images = host.picture_files.write(shown, f"{FOLDER}/PB")
        return {"ui": {"images": images}, "result": result}


class PreviewBridge(_Bridge, name="Preview Bridge (Image)", menu=UTIL):
    """A mask painted on pictures."""

    DESCRIPTION = (
        "Shows the pictures and lets you paint a mask on them in the mask editor; the mask goes on at the next run. "
        "The pictures pass through untouched."
    )
    SEARCH_ALIASES = ("paint mask", "mask editor", "draw mask", "preview image")
    RETURN_TYPES = ("IMAGE", "MASK")
    OUTPUT_TOOLTIPS = ("The pictures as they came in.", "The painted mask; zeros where nothing is painted.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "images": _images(),
                "image": _image(),
            },
            "optional": _more(),
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def doit(
        self,
        images: object,
        image: object = "",
        block: object = False,
        restore_mask: object = NEVER,
        unique_id: object = None,
        extra_pnginfo: object = None,
    ) -> Shown:
        widgets = self.checked({"block": block, "restore_mask": restore_mask})
        pictures = self.door.image(images, "images")
        size = Size(*pictures.shape[1:3])
        mask = self._painted(
            self._named(image), bridge.hash_of(pictures), size, str(widgets["restore_mask"]), unique_id
        )
        if widgets["block"] and mask is None:
            return self._shown(pictures, mask, (host.nodes.blocked(), host.nodes.blocked()))
        made = torch.zeros(1, *size, device=pictures.device) if mask is None else mask.to(pictures.device)
        return self._shown(pictures, mask, (pictures, made))


class PreviewBridgeLatent(_Bridge, name="Preview Bridge (Latent)", menu=UTIL):
    """A noise mask painted on a latent's picture."""

    DESCRIPTION = (
        "Shows a latent as a picture and lets you paint on it where it is sampled anew; the mask goes on with the "
        "latent at the next run."
    )
    SEARCH_ALIASES = ("paint noise mask", "mask editor", "preview latent")
    RETURN_TYPES = ("LATENT", "MASK")
    OUTPUT_TOOLTIPS = (
        "The latent, with the painted mask as its noise mask.",
        "The painted mask, else the latent's own, else ones: all is sampled.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "latent": schema.link("LATENT", "The latent to paint on; the first of a batch is shown."),
                "image": _image(),
                "preview_method": preview_method(),
            },
            "optional": {"vae_opt": schema.link("VAE", "Makes the picture instead, as it really is."), **_more()},
            "hidden": {"unique_id": "UNIQUE_ID", "prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def doit(self, latent: object, preview_method: object, image: object = "", **given: object) -> Shown:
        values = self.checked({"preview_method": preview_method, "block": False, "restore_mask": NEVER, **given})
        name, found = self._named(image), self.door.latent(latent, "latent")
        samples = frames_of(self.door, found, "latent")
        own = found.get("noise_mask")
        own = None if own is None else self.door.mask_of_any_size(own, "latent")
        vae = values.get("vae_opt")
        pictures = host.latent_files.picture_of(samples, str(values["preview_method"]), vae)  # type: ignore[arg-type]
        size = Size(*pictures.shape[1:3])
        restore = NEVER if own is not None else str(values["restore_mask"])
        mask = self._painted(name, bridge.hash_of(samples, own), size, restore, values.get("unique_id"))
        if mask is not None:
            return self._shown(pictures, mask, ({**found, "noise_mask": mask}, mask))
        if own is not None and bool((own < 1.0).any()):
            return self._shown(pictures, own[:1], (found, own))
        if values["block"]:
            return self._shown(pictures, None, (host.nodes.blocked(), host.nodes.blocked()))
        return self._shown(pictures, None, (found, torch.ones(1, *samples.shape[-2:], device=samples.device)))


class MaskPainter(_Bridge, name="MaskPainter (Deprecated)", menu=LEGACY):
    """A mask painted on pictures, under an older id."""

    DESCRIPTION = "The older form of 'Preview Bridge (Image)', for saved workflows: it gives the mask alone."
    SEARCH_ALIASES = ("paint mask", "mask editor")
    DEPRECATED = True
    RETURN_TYPES = ("MASK",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("The painted mask; zeros where nothing is painted.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {"images": _images()},
            "optional": {"image": ([NO_MASK], {"tooltip": _image()[1]["tooltip"]})},
            "hidden": {"unique_id": "UNIQUE_ID", "prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, image: object = None) -> bool:
        """The name of any painted file; what it is is looked at when the node runs."""
        return True

    def doit(self, images: object, image: object = NO_MASK, unique_id: object = None, **_: object) -> Shown:
        pictures = self.door.image(images, "images")
        size = Size(*pictures.shape[1:3])
        mask = self._painted(self._named(image), bridge.hash_of(pictures), size, NEVER, unique_id)
        made = torch.zeros(1, *size, device=pictures.device) if mask is None else mask.to(pictures.device)
        return self._shown(pictures, mask, (made,))


def preview_method() -> Input:
    """How a latent is shown."""
    tooltip = "How the latent is made a picture: rough colours, or a small VAE (TAE) where ComfyUI has it."
    return list(host.latent_files.METHODS), {"tooltip": tooltip}


def frames_of(door: Door, latent: Latent, name: str) -> torch.Tensor:
    """A LATENT's samples, ``[B,C,h,w]`` or ``[B,C,T,h,w]``.

    Raises:
        InputError: for nested ones, such as of sound and picture, and of another rank.
    """
    samples = latent["samples"]
    if not isinstance(samples, torch.Tensor) or samples.is_nested or samples.ndim not in (4, 5) or 0 in samples.shape:
        found = f"its samples are no latent of pictures ({list(getattr(samples, 'shape', []))})"
        raise door.error(name, found, "Connect the LATENT of a picture or a clip")
    return samples
