"""What can be known of a picture's file without decoding it: whether it is whole, its size, its content's hash."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
PNG = b"\x89PNG\r\n\x1a\n"
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers that carry the size
HEAD = 1 << 18  # bytes that are read where only the head counts


class UnreadableError(ValueError):
    """Its text completes "the picture ...": is empty, is cut off."""


@dataclass(frozen=True)
class Facts:
    """A file's content hash, and its picture's size in pixels (0 where the format is not looked into)."""

    digest: str
    width: int
    height: int


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def facts(path: Path, whole: bool = True) -> Facts:
    """Of a file; with ``whole`` False only its head is read, and the digest is of its path, size and time.

    Raises UnreadableError, also where the file can't be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read() if whole else file.read(HEAD)
        if not whole:
            stat = path.stat()
            return Facts(digest(f"{path}|{stat.st_size}|{stat.st_mtime_ns}".encode()), *size_of(data, False))
    except OSError as error:
        raise UnreadableError(f"can't be opened ({error.strerror or error})") from None
    return Facts(digest(data), *size_of(data))


def size_of(data: bytes, whole: bool = True) -> tuple[int, int]:
    """(width, height) of a PNG, JPEG or WebP file, (0, 0) of others; UnreadableError where it is broken or cut off."""
    if not data:
        raise UnreadableError("is empty")
    if data.startswith(PNG):
        return _png(data, whole)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data, whole)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data, whole)
    if data[:2] == b"BM" or data[:4] in (b"II*\0", b"MM\0*", b"GIF8") or data[4:8] == b"ftyp":
        return 0, 0
    raise UnreadableError("is in no format that is known here")


def _png(data: bytes, whole: bool) -> tuple[int, int]:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise UnreadableError("is cut off")
    width, height = struct.unpack(">II", data[16:24])
    at = len(PNG)
    while whole:
        if at + 12 > len(data):
            raise UnreadableError("is cut off")
        (length,) = struct.unpack(">I", data[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(data):
            raise UnreadableError("is cut off")
        if zlib.crc32(memoryview(data)[at + 4 : end]) != struct.unpack(">I", data[end : end + 4])[0]:
            raise UnreadableError("is damaged (a checksum does not fit)")
        if data[at + 4 : at + 8] == b"IEND":
            break
        at = end + 4
    return width, height


def _jpeg(data: bytes, whole: bool) -> tuple[int, int]:
    if whole and b"\xff\xd9" not in data[-65536:]:
        raise UnreadableError("is cut off")
    at, turned = 2, False
    while at + 9 < len(data):
        if data[at] != 0xFF:
            raise UnreadableError("is damaged (no marker where one must be)")
        marker = data[at + 1]
        if marker in (0xFF, 0x01, *range(0xD0, 0xD9)):  # fillers, and markers without content
            at += 1 if marker == 0xFF else 2
            continue
        if marker in START_OF_FRAME:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return (height, width) if turned else (width, height)
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        turned |= marker == 0xE1 and _turned(data[at + 4 : at + 2 + length])
        at += 2 + length
    if whole:
        raise UnreadableError("is cut off")
    return 0, 0


def _turned(exif: bytes) -> bool:
    """Whether EXIF's orientation (tag 0x0112) swaps width and height, as loaders then do."""
    if not exif.startswith(b"Exif\0\0") or len(exif) < 16:
        return False
    tiff = exif[6:]
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack(order + "I", tiff[4:8])
        (count,) = struct.unpack(order + "H", tiff[at : at + 2])
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack(order + "HHIH", tiff[entry : entry + 10])
            if tag == 0x0112:
                return value >= 5
    except struct.error:
        pass
    return False


def _webp(data: bytes, whole: bool) -> tuple[int, int]:
    if len(data) < 30 or (whole and len(data) < 8 + struct.unpack("<I", data[4:8])[0]):
        raise UnreadableError("is cut off")
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return (int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF)
