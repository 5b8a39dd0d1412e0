"""What tells files that a prompt names from others in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_EMBEDDING = re.compile(r"embedding:\s*([^\s,()]+)")


def facts(kind: str, name: str) -> tuple[object, ...]:
    """What tells a model file from another in its place: its path, when it was written, and its size.

    Args:
        kind: of ComfyUI's folders.
        name: the file's, under one of them.
    """
    import folder_paths

    path = folder_paths.get_full_path(kind, name)
    if path is None:
        return (name, None)
    found = Path(path).stat()
    return (path, found.st_mtime_ns, found.st_size)


def embedding_facts(text: str) -> tuple[object, ...]:
    """The same of the embeddings that a text names, which the text encoder reads from files."""
    import folder_paths

    names = [name.split(":")[0] for name in _EMBEDDING.findall(text)]
    folders = [Path(folder) for folder in folder_paths.get_folder_paths("embeddings")] if names else []
    found = [file for name in names for folder in folders for file in sorted(_called(folder, name))]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in found)


def _called(folder: Path, name: str) -> Iterator[Path]:
    """The files of a name, whatever they end in, under a folder and in none outside it."""
    wanted = (folder / name).parent
    if wanted.is_dir() and wanted.resolve().is_relative_to(folder.resolve()):
        yield from (file for file in wanted.iterdir() if file.name.startswith(Path(name).name) and file.is_file())
