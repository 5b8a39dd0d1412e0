"""ComfyUI's folders and the files in them: which there are, what lies in them, and names for new ones."""

from __future__ import annotations

import importlib.util
import re
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator
from itertools import count
from pathlib import Path

import torch

from ...core import Size, encoded, printable
from ...core.pixels import LARGEST_WEBP, shrunk_bytes
from .devices import only_a_preview

# Windows' names for devices, whatever their ending
_PORTS = {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | _PORTS


def temp_folder(name: str) -> Path:
    """A folder for files that are gone after a restart; the browser finds it as ``subfolder``, type ``temp``."""
    import folder_paths

    folder = Path(folder_paths.get_temp_directory()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_folder() -> Path:
    """ComfyUI's own, or the one that its user named instead."""
    import folder_paths

    return Path(folder_paths.base_path)


def registered_folders(kind: str) -> list[Path]:
    """The folders that packs and the user's settings registered for a kind of files; none where nobody did."""
    import folder_paths

    return [Path(folder) for folder in folder_paths.folder_names_and_paths.get(kind, ([],))[0]]


def _are_there() -> bool:
    """Whether ComfyUI's folders can be asked for: not where the pack is imported without it."""
    try:
        return importlib.util.find_spec("folder_paths") is not None
    except (ImportError, ValueError):
        return False


def add_model_folder(kind: str, below: str, endings: Collection[str] | None = None, also: Iterable[str] = ()) -> None:
    """Make a kind of model files known: those in a folder of ComfyUI's model folder, and of the user's for downloads.

    What others registered for the kind stays, and goes before. Nothing where ComfyUI isn't.

    Args:
        below: its path there, with ``/``.
        endings: of such files' names, dot included; None for those of models of all kinds.
        also: endings beside these.
    """
    if not _are_there():
        return
    import folder_paths

    folders = [Path(folder_paths.models_dir) / below]
    downloads = folder_paths.folder_names_and_paths.get("download_model_base")
    if downloads is not None and downloads[0]:
        folders.append(Path(downloads[0][0]) / below)
    for folder in folders:
        folder_paths.add_model_folder_path(kind, str(folder))
    paths, known = folder_paths.folder_names_and_paths[kind]
    folder_paths.folder_names_and_paths[kind] = (
        paths,
        {*known, *(folder_paths.supported_pt_extensions if endings is None else endings), *also},
    )


def model_files(kind: str) -> list[str]:
    """The files of a kind, by their path below its folders; none where nobody made it known."""
    import folder_paths

    return list(folder_paths.get_filename_list(kind)) if kind in folder_paths.folder_names_and_paths else []


def model_file(kind: str, name: str) -> Path | None:
    """Where a file of a kind lies; None where there is none of that name."""
    import folder_paths

    path = folder_paths.get_full_path(kind, name)
    return None if path is None else Path(path)


def pack_folders() -> list[Path]:
    """What lies where packs are installed, by name."""
    import folder_paths

    return [pack for packs in folder_paths.get_folder_paths("custom_nodes") for pack in sorted(Path(packs).glob("*"))]


def settings_file() -> Path | None:
    """Where the pack's settings may lie; None where ComfyUI does not run."""
    folders = sys.modules.get("folder_paths")
    return None if folders is None else Path(folders.get_user_directory()) / "mask_detailer.json"


def save_previews(pictures: Iterable[torch.Tensor], prefix: str) -> list[dict[str, str]]:
    """Write pictures ``[H,W,3 or 4]`` float 0..1 as lossy WebP files to ComfyUI's folder for previews.

    Where one can't be written, a line in the log says so, and it and those after it are not shown.

    Returns:
        what a node's ``ui`` says of each, in order.
    """
    import folder_paths

    saved: list[dict[str, str]] = []
    with only_a_preview(f"not all previews {prefix} can be shown"):
        temp = folder_paths.get_temp_directory()
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, temp)
        for number, picture in enumerate(pictures, start=counter):
            file = f"{name}_{number:05}_.webp"
            write_whole(Path(folder) / file, encoded(shrunk_bytes(picture, LARGEST_WEBP), "webp"))
            saved.append({"filename": file, "subfolder": subfolder, "type": "temp"})
    return saved


def write_whole(path: Path, file: bytes) -> None:
    """Write a file that is whole or not there: a reader never sees half of it, a full disk keeps none.

    Raises:
        OSError: where it can't be written.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        unfinished.write_bytes(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def new_outputs(prefix: str, ending: str, size: Size, kind: str = "output") -> Iterator[tuple[Path, dict[str, str]]]:
    """Files in ComfyUI's output folder, its folder made, that were not there, and what a node's ``ui`` says of each.

    Whoever writes one takes the first that nobody else was quicker to make.

    Args:
        prefix: folders and the beginning of the name; ComfyUI fills in ``%year%`` and the like.
        size: stands for ``%width%`` and ``%height%``.
        kind: ``temp``: in the folder for previews instead.

    Raises:
        ValueError: where that would not lie inside the output folder, or has a name that not every system can have.
    """
    import folder_paths

    output = Path(folder_paths.get_temp_directory() if kind == "temp" else folder_paths.get_output_directory())
    prefix = prefix.strip()
    if not prefix.strip("./\\") or not _is_inside(output, output / prefix):
        raise ValueError(f"it does not name a file inside ComfyUI's {kind} folder")
    for part in re.split(r"[/\\]", prefix):
        if fault := _fault_of_name(part):
            raise ValueError(f"'{part}' {fault}")
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, str(output), size.width, size.height
        )
    except OSError as error:
        raise ValueError(f"its folder can't be made or read ({error})") from error
    for number in count(counter):
        file = f"{name}_{number:05}_{ending}"
        yield Path(folder) / file, {"filename": file, "subfolder": subfolder, "type": kind}


def _fault_of_name(part: str) -> str | None:
    """Why a file or folder can't have a name on every system, so that folders can be moved between them."""
    if part in ("", ".", ".."):
        return None
    if part != printable(part):
        return "holds control characters"
    if part.partition(".")[0].strip().upper() in _RESERVED:
        return "is a name that Windows keeps for devices"
    return "ends with a dot or a blank, which Windows cuts off" if part[-1] in ". " else None


def input_files(*endings: str) -> list[str]:
    """The files directly in the input folder whose names end so, in order of their names; all without endings."""
    import folder_paths

    names = (path.name for path in Path(folder_paths.get_input_directory()).iterdir() if path.is_file())
    return sorted(name for name in names if not endings or name.endswith(endings))


def saved_files(ending: str, subfolder: str) -> list[str]:
    """Files to choose from: in the input folder, then those below ``subfolder`` of the output folder, last name first.

    They are named as ``saved_file`` wants them.
    """
    import folder_paths

    given = sorted(path.name for path in Path(folder_paths.get_input_directory()).glob(f"*{ending}") if path.is_file())
    output = Path(folder_paths.get_output_directory())
    made = sorted(
        (path.relative_to(output).as_posix() for path in (output / subfolder).rglob(f"*{ending}") if path.is_file()),
        reverse=True,
    )
    return [*given, *(f"{name} [output]" for name in made)]


def saved_file(name: str) -> Path:
    """The file of a name below ComfyUI's input folder, or the folder in brackets at its end: ``a/b.png [output]``.

    Raises:
        ValueError: where it would lie outside that folder, by its name or through a link.
    """
    import folder_paths

    plain, folder = folder_paths.annotated_filepath(name)
    base = Path(folder or folder_paths.get_input_directory())
    path = base / plain.strip()
    if not _is_inside(base, path):
        raise ValueError("it lies outside ComfyUI's folder")
    return path


def _is_inside(folder: Path, path: Path) -> bool:
    """Links followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links in a circle
        return False
