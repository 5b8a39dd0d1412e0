"""Nodes of the segs group: segments saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core import SEGS, header_size, printable
from ..detailer import host
from ..segs import files
from . import schema
from .registry import UTIL, Node
from .schema import InputTypes, Shown

FOLDER = "segs"  # of the output folder; where Save SEGS writes and Load SEGS looks


class SaveSEGS(Node, name="Save SEGS", menu=UTIL, own=True):
    """Segments written to a file."""

    DESCRIPTION = "Saves segments to a file in ComfyUI's output folder, to load them again with Load SEGS."
    SEARCH_ALIASES = ("save segments", "export segs", "write segs", "keep detections")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments as they came in.",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        prefix = (
            "Folder and beginning of the file's name, inside ComfyUI's output folder; a number follows. Load SEGS "
            "lists those in segs. %year%, %month%, %day%, %width% and the like are filled in."
        )
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to save."),
                "filename_prefix": ("STRING", {"default": f"{FOLDER}/segs", "tooltip": prefix}),
            }
        }

    def doit(self, segs: object, filename_prefix: str = f"{FOLDER}/segs") -> Shown:
        door = self.door
        checked = door.segs(segs)
        places: dict[Path, dict[str, str]] = {}

        def paths() -> Iterator[Path]:
            for path, shown in host.folders.new_outputs(filename_prefix, files.ENDING, header_size(checked)):
                places[path] = shown
                yield path

        try:
            shown = places[files.save(checked, paths())]
        except files.SegsFileError as error:
            name = filename_prefix if not places else next(reversed(places.values()))["filename"]
            raise door.error("segs", f"for the file '{name}', {error.found}", error.fix) from error
        except ValueError as error:
            fix = f"Write a name such as {FOLDER}/faces, without .. and not from the root of a disk"
            raise door.error("filename_prefix", f"'{filename_prefix}': {error}", fix) from error
        name = f"{shown['subfolder']}/{shown['filename']}" if shown["subfolder"] else shown["filename"]
        return {"ui": {"text": [Path(name).as_posix()], "files": [shown]}, "result": (checked,)}


class LoadSEGS(Node, name="Load SEGS", menu=UTIL, own=True):
    """Segments read from a file."""

    DESCRIPTION = "Loads segments that Save SEGS wrote."
    SEARCH_ALIASES = ("load segments", "import segs", "read segs", "open segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments as they were saved, without ControlNet.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        file = (
            "The file: one in ComfyUI's input folder, or one that Save SEGS left in the output folder's segs (marked "
            "[output]). Press R to see new ones."
        )
        return {"required": {"file": (host.folders.saved_files(files.ENDING, FOLDER), {"tooltip": file})}}

    @classmethod
    def VALIDATE_INPUTS(cls, file: str | None = None) -> bool | str:
        """True, or what is wrong. Takes files that came after the list was made; None stands for a link."""
        try:
            if file is None or host.folders.saved_file(file).is_file():
                return True
        except (OSError, ValueError):
            pass
        return printable(f"LoadSEGS, input 'file': there is no file '{file}'. Choose another; press R to see new ones")

    @classmethod
    def IS_CHANGED(cls, file: str) -> str:
        """What differs once the file is another."""
        found = host.folders.saved_file(file).stat()
        return f"{found.st_mtime_ns} {found.st_size}"

    def doit(self, file: str) -> tuple[SEGS]:
        door = self.door
        try:
            path = host.folders.saved_file(file)
        except ValueError as error:
            raise door.error("file", f"'{file}': {error}", "Choose a file from the list") from error
        try:
            segs = files.load(path, files.Limits(free=host.devices.free_system_memory()))
        except files.SegsFileError as error:
            raise door.error("file", f"'{file}': {error.found}", error.fix) from error
        return (door.segs(segs, "file", "Make the segments anew, and save them again"),)
