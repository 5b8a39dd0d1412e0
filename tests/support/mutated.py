"""Run in a Python of its own: reads many broken copies of a detector's file, and reports what that did.

Arguments: the file, how many copies, a seed. Prints JSON: how many were read and how many refused, what happened that
must not, and by how many bytes the memory grew.
"""

from __future__ import annotations

import io
import json
import random
import resource
import sys
import zipfile
from pathlib import Path

import mask_detailer.core
from mask_detailer.detailer.detection.yolo.checkpoint import _kept, read_checkpoint
from mask_detailer.detailer.detection.yolo.values import YoloError

# What Python tells an audit hook of when code is run, modules are looked for, or files are written
TOLD = ("exec", "compile", "import", "pickle.find_class", "os.", "subprocess.", "socket.", "ctypes.")
ROOM = 2**29  # bytes of address space beside what is there at first


def mutated(file: bytes, chance: random.Random) -> bytes:
    """One of many ways to break a file."""
    of_zips = (described_otherwise, spliced, swapped, listed_otherwise, shortened) if file[:2] == b"PK" else ()
    kinds = (flipped, cut, *of_zips)
    return chance.choice(kinds)(file, chance)


def flipped(file: bytes, chance: random.Random) -> bytes:
    """A few bytes anywhere."""
    made = bytearray(file)
    for _ in range(chance.choice((1, 4, 64))):
        made[chance.randrange(len(made))] = chance.randrange(256)
    return bytes(made)


def cut(file: bytes, chance: random.Random) -> bytes:
    return file[: chance.randrange(len(file))]


def described_otherwise(file: bytes, chance: random.Random) -> bytes:
    """Bytes of the pickle, in a zip file that is whole."""

    def change(pickle: bytes) -> bytes:
        made = bytearray(pickle)
        for _ in range(chance.choice((1, 1, 2, 8))):
            made[chance.randrange(len(made))] = chance.choice((chance.randrange(256), *b"Rb\x81QtcioP\x82\x93(.0e"))
        return bytes(made)

    return rewritten(file, change)


def spliced(file: bytes, chance: random.Random) -> bytes:
    """A part of the pickle left out, doubled or moved."""

    def change(pickle: bytes) -> bytes:
        start = chance.randrange(len(pickle))
        part = pickle[start : start + chance.randrange(1, 200)]
        rest = pickle[:start] + pickle[start + len(part) :]
        place = chance.randrange(len(rest))
        return chance.choice((rest, pickle[:start] + part + pickle[start:], rest[:place] + part + rest[place:]))

    return rewritten(file, change)


def swapped(file: bytes, chance: random.Random) -> bytes:
    """Two members' contents changed for one another."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        names = archive.namelist()
    one, other = chance.sample(names, 2)
    return repacked(file, {one: other, other: one})


def listed_otherwise(file: bytes, chance: random.Random) -> bytes:
    """Bytes of the list of members at the end."""
    made, start = bytearray(file), file.index(b"PK\x01\x02")
    for _ in range(chance.choice((1, 2, 8))):
        made[chance.randrange(start, len(made))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(made)


def shortened(file: bytes, chance: random.Random) -> bytes:
    """A member left out."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return repacked(file, {chance.choice(archive.namelist()): ""})


def rewritten(file: bytes, change: object) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as archive, zipfile.ZipFile(made, "w") as into:
        for name in archive.namelist():
            held = archive.read(name)
            into.writestr(name, change(held) if name.endswith("data.pkl") else held)  # type: ignore[operator]
    return made.getvalue()


def repacked(file: bytes, others: dict[str, str]) -> bytes:
    """Members with the contents of others; without those of ""."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as archive, zipfile.ZipFile(made, "w") as into:
        for name in archive.namelist():
            if others.get(name, name):
                into.writestr(name, archive.read(others.get(name, name)))
    return made.getvalue()


class Watch:
    """An audit hook that writes down what must not happen while a file is read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.reading = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.reading and (event.startswith(TOLD) or (event == "open" and str(args[0]) != self.path)):
            self.seen.append(f"{event} {args!r}"[:200])


def main(source: Path, count: int, seed: int) -> dict[str, object]:
    file, path = source.read_bytes(), source.with_name("mutated.pt")
    read_checkpoint(source)
    most = _address_space() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before, modules = _peak(), set(sys.modules)
    watch, done = Watch(path), {"read": 0, "refused": 0}
    crashed, sentences = [], set()
    for number in range(count):
        path.write_bytes(mutated(file, random.Random(f"{seed} {number}")))
        _kept.clear()
        watch.reading = True
        try:
            read = read_checkpoint(path)
            done["read"] += 1
            assert sum(tensor.nbytes for tensor in read.tensors.values()) <= 2 * path.stat().st_size
        except YoloError as error:
            done["refused"] += 1
            sentences.add(" ".join(str(error).split()[1:6]))
            assert "\n" not in str(error) and len(str(error)) < 400
        except Exception as error:  # which is what is looked for
            crashed.append(f"{number}: {type(error).__name__}: {error}"[:200])
        finally:
            watch.reading = False
    imported = sorted(set(sys.modules) - modules)
    told = {"crashed": crashed, "seen": watch.seen, "imported": imported, "sentences": sorted(sentences)}
    return {**done, **told, "grown": _peak() - before, "size": len(file)}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    assert mask_detailer.core
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
