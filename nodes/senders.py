"""Nodes that hand pictures, latents and values to receivers on the page, for the runs after this one."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import torch

from ..core import Size, printable
from ..detailer import host, sending
from ..detailer.host.protocols import Latent
from . import schema
from .bridges import frames_of, preview_method
from .registry import LOGIC, UTIL, Node
from .schema import ANY, Input, InputTypes, Shown
from .validate import shown

FROM_DATA = "#DATA"  # stands for the picture that the workflow holds
MOST_DATA = 256 * 2**20  # letters of such a picture


def _link_id() -> Input:
    return schema.whole_number(0, "Receivers with the same number get what a sender sends.")


def _always() -> Input:
    return schema.switch(False, "enable", "disable", "Run at each queueing, even if nothing has changed.")


def _prefix(default: str) -> Input:
    tooltip = "Folder and beginning of the file's name, in ComfyUI's folder for temporary files."
    return "STRING", {"default": default, "tooltip": tooltip}


def _file_state(name: object) -> str:
    """What differs once the file is another."""
    try:
        found = host.folders.saved_file(str(name)).stat()
    except (OSError, ValueError):
        return ""
    return f"{found.st_mtime_ns} {found.st_size}"


def _is_there(node: str, name: str, file: str | None) -> bool | str:
    """True, or what is wrong with a file's name; None stands for a link."""
    try:
        if file is None or host.folders.saved_file(file).is_file():
            return True
    except (OSError, ValueError):
        pass
    return printable(f"{node}, input '{name}': there is no file '{file}'. Choose another; press R to see new ones")


class ImageSender(Node, name="Image Sender", menu=UTIL):
    """Pictures for receivers."""

    DESCRIPTION = "Shows pictures and sends the first to the Image Receivers on the page that have the same link_id."
    SEARCH_ALIASES = ("send image", "image to receiver", "feedback loop")
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("The pictures as they came in.",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "images": schema.link("IMAGE", "The pictures to send."),
                "filename_prefix": _prefix("ImgSender"),
                "link_id": _link_id(),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def doit(self, images: object, filename_prefix: str, link_id: int, **_: object) -> Shown:
        pictures = self.door.image(images, "images")
        try:
            files = host.picture_files.write(pictures, filename_prefix)
        except (OSError, ValueError) as error:
            raise _no_file(self, filename_prefix, error) from error
        sending.send(sending.IMAGE, link_id, {"images": files})
        return {"ui": {"images": files}, "result": (pictures,)}


def _no_file(node: Node, prefix: str, error: Exception) -> Exception:
    fix = "Write a name such as sent, without .. and not from the root of a disk"
    return node.door.error("filename_prefix", f"'{prefix}': {error}", fix)


class ImageReceiver(Node, name="Image Receiver", menu=UTIL):
    """A picture from a sender."""

    DESCRIPTION = "Loads the picture that an Image Sender with the same link_id sent last, or one that you choose."
    SEARCH_ALIASES = ("receive image", "image from sender", "feedback loop")
    RETURN_TYPES = ("IMAGE", "MASK")
    OUTPUT_TOOLTIPS = ("The picture.", "What its alpha leaves out; zeros where it has none.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        image = "The picture: one of ComfyUI's input folder, or what a sender sent."
        keep = "Keep the picture itself in the workflow, which gets large by it."
        data = "The picture that the workflow holds. Filled in by the page."
        return {
            "required": {
                "image": (host.folders.input_files(), {"tooltip": image}),
                "link_id": _link_id(),
                "save_to_workflow": ("BOOLEAN", {"default": False, "tooltip": keep}),
                "image_data": ("STRING", {"multiline": False, "tooltip": data}),
                "trigger_always": _always(),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, image: str | None = None, save_to_workflow: object = False) -> bool | str:
        """Takes files that came after the list was made, and any name where the workflow holds the picture."""
        return True if save_to_workflow is True else _is_there(cls.ID, "image", image)

    @classmethod
    def IS_CHANGED(cls, image: object = None, image_data: object = None, **others: object) -> object:
        """Each time if asked for, else when the picture is another."""
        if others.get("trigger_always"):
            return float("nan")
        if others.get("save_to_workflow"):
            return sending.hash_of(str(image_data))
        return _file_state(image)

    def doit(
        self, image: str, link_id: int, save_to_workflow: bool, image_data: str, trigger_always: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        door = self.door
        if not isinstance(save_to_workflow, bool):  # a text: INPUT_TYPES' own check leaves those to VALIDATE_INPUTS
            found = f"{shown(save_to_workflow)} is neither True nor False"
            raise door.error("save_to_workflow", found, "Connect a BOOLEAN")
        name = "image_data" if save_to_workflow else "image"
        try:
            source = _bytes_of(image_data) if save_to_workflow else _path_of(image)
            picture, mask = host.picture_files.read(source)
        except ValueError as error:
            raise door.error(name, str(error), "Choose another picture, or send one anew") from error
        return picture, torch.zeros(picture.shape[:3], device=picture.device) if mask is None else mask


def _path_of(file: str) -> Path:
    """Raises ValueError where it lies outside ComfyUI's folders or isn't there."""
    try:
        path = host.folders.saved_file(file)
    except ValueError as error:
        raise ValueError(f"'{file}': {error}") from error
    if not path.is_file():
        raise ValueError(f"there is no file '{file}'")
    return path


def _bytes_of(data: str) -> bytes:
    """The file in a data URL. Raises ValueError where it is none."""
    text = data.partition(",")[2]
    if not text or len(text) > MOST_DATA:
        raise ValueError("the workflow holds no picture")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it can't be read ({error})") from error


class LatentSender(Node, menu=UTIL):
    """A latent for receivers."""

    DESCRIPTION = "Shows a latent and sends it to the Latent Receivers on the page that have the same link_id."
    SEARCH_ALIASES = ("send latent", "latent to receiver", "feedback loop")
    RETURN_TYPES = ()
    OUTPUT_TOOLTIPS = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "samples": schema.link("LATENT", "The latent to send, with its noise mask."),
                "filename_prefix": _prefix("latents/LatentSender"),
                "link_id": _link_id(),
                "preview_method": preview_method(),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def doit(
        self,
        samples: object,
        filename_prefix: str,
        link_id: int,
        preview_method: str,
        prompt: object = None,
        extra_pnginfo: object = None,
    ) -> Shown:
        latent = self.door.latent(samples, "samples")
        frames = frames_of(self.door, latent, "samples")
        preview = host.latent_files.picture_of(frames[:1], preview_method)[0]
        texts = {"prompt": prompt} if isinstance(prompt, dict) else {}
        texts |= extra_pnginfo if isinstance(extra_pnginfo, dict) else {}
        size = Size(*preview.shape[:2])
        try:
            path, told = next(host.folders.new_outputs(filename_prefix, host.latent_files.PICTURE, size, "temp"))
            host.folders.write_whole(path, host.latent_files.to_picture(latent, preview, texts))
        except (OSError, ValueError) as error:
            raise _no_file(self, filename_prefix, error) from error
        sending.send(sending.LATENT, link_id, {"images": [told]})
        return {"ui": {"images": [told]}, "result": ()}


class LatentReceiver(Node, menu=UTIL):
    """A latent from a sender."""

    DESCRIPTION = "Loads the latent that a LatentSender with the same link_id sent last, or one that you choose."
    SEARCH_ALIASES = ("receive latent", "load latent", "feedback loop")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The latent, with its noise mask where it has one.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        files = host.folders.input_files(host.latent_files.PLAIN, host.latent_files.PICTURE)
        tooltip = "The latent: a .latent or .latent.png file of ComfyUI's input folder, or what a sender sent."
        return {
            "required": {"latent": (files, {"tooltip": tooltip}), "link_id": _link_id(), "trigger_always": _always()}
        }

    @classmethod
    def VALIDATE_INPUTS(cls, latent: str | None = None) -> bool | str:
        """Takes files that came after the list was made."""
        return _is_there(cls.ID, "latent", latent)

    @classmethod
    def IS_CHANGED(cls, latent: object = None, trigger_always: object = False, **_: object) -> object:
        """Each time if asked for, else when the file is another."""
        return float("nan") if trigger_always else _file_state(latent)

    def doit(self, latent: str, link_id: int, trigger_always: bool) -> tuple[Latent]:
        try:
            return (host.latent_files.read(_path_of(latent)),)
        except ValueError as error:
            raise self.door.error("latent", str(error), "Choose another file, or send one anew") from error


class ImpactValueSender(Node, menu=LOGIC):
    """A value for receivers."""

    DESCRIPTION = "Sends a text, number or switch to the ImpactValueReceivers on the page that have the same link_id."
    SEARCH_ALIASES = ("send value", "value to receiver", "feedback loop")
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("signal",)
    OUTPUT_TOOLTIPS = ("The signal as it came in.",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        value = "The value to send: a text, a number or a switch."
        signal = "Handed on as it is; the node acts once it is there."
        return {
            "required": {"value": schema.link(ANY, value), "link_id": _link_id()},
            "optional": {"signal_opt": schema.link(ANY, signal)},
        }

    def doit(self, value: object, link_id: int, signal_opt: object = None) -> tuple[object]:
        found = sending.plain(value)
        if found is None:
            fix = "Connect a text, a finite number or a switch"
            raise self.door.error("value", f"{shown(value)} can't be sent to a page", fix)
        kind, made = found
        sending.send(sending.VALUE, link_id, {"value": made, "typ": kind, "text": "" if made is None else str(made)})
        return (signal_opt,)


class ImpactValueReceiver(Node, menu=LOGIC):
    """A value from a sender."""

    DESCRIPTION = "Gives the value that an ImpactValueSender with the same link_id sent last, or what you write."
    SEARCH_ALIASES = ("receive value", "value from sender", "feedback loop")
    RETURN_TYPES = (ANY,)
    OUTPUT_TOOLTIPS = ("The value, of the kind that typ says.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        typ = "What the value is: a text, a whole number, a number or a switch."
        value = "The value as text; a switch is on where it says true."
        return {
            "required": {
                "typ": (list(sending.KINDS), {"tooltip": typ}),
                "value": ("STRING", {"default": "", "tooltip": value}),
                "link_id": _link_id(),
            }
        }

    def doit(self, typ: str, value: str, link_id: int) -> tuple[object]:
        try:
            return (sending.parsed(value, typ),)
        except (ValueError, OverflowError) as error:
            found = f"{shown(value)} is no {'whole ' * (typ == 'INT')}number"
            raise self.door.error("value", found, "Write one, or choose another typ") from error
