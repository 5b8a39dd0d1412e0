"""The members of a zip file that is not trusted, as torch writes it: stored, not compressed.

Nothing is unpacked, and no more is read than is asked for: what a member says about itself is held against the file's
own size first. Source of the layout: the zip file format's specification (APPNOTE).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

MOST_MEMBERS = 50_000
MOST_DIRECTORY = 2**23  # bytes

_END, _END_64, _FIND_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _MEMBER = b"PK\x01\x02", b"PK\x03\x04"
_END_LAYOUT, _ENTRY_LAYOUT, _MEMBER_LAYOUT = "<4s4H2IH", "<4s6H3I5H2I", "<4s5H3I2H"
_MOST_COMMENT = 2**16
_IN_64 = 0xFFFFFFFF  # stands where a number needs 64 bits, which then lie elsewhere
_ENCRYPTED = 1


class ArchiveError(ValueError):
    """What is wrong with a zip file; continues "the file ..."."""


@dataclass(frozen=True)
class Member:
    """Attributes:
    size: bytes.
    offset: where its own header begins.
    checksum: CRC-32 of its bytes.
    plain: neither compressed nor encrypted.
    """

    size: int
    offset: int
    checksum: int
    plain: bool


class Archive:
    """A zip file's members by name.

    Args:
        file: stays the caller's to close.
        size: of the file in bytes.

    Raises:
        ArchiveError: for what is no zip file or lies about its members, and for too many.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        try:
            self.members = self._entries(*self._directory())
        except (struct.error, IndexError, UnicodeError) as error:
            raise ArchiveError("is damaged: its list of members can't be read") from error

    def read(self, name: str, most: int) -> bytes:
        """A member's bytes.

        Args:
            most: bytes that it may have.

        Raises:
            ArchiveError: if it has more, is compressed or encrypted, or is not there or another than the list says.
        """
        member = self.members.get(name)
        if member is None:
            raise ArchiveError(f"has no member {name}")
        if not member.plain:
            raise ArchiveError(f"has a compressed or encrypted member {name}, which torch does not write")
        if member.size > most:
            raise ArchiveError(f"has a member {name} of {member.size} bytes where at most {most} belong")
        fields = struct.unpack(_MEMBER_LAYOUT, self._at(member.offset, struct.calcsize(_MEMBER_LAYOUT)))
        if fields[0] != _MEMBER or fields[3] != 0:
            raise ArchiveError(f"is damaged: its member {name} is not where its list says")
        start = member.offset + struct.calcsize(_MEMBER_LAYOUT) + fields[9] + fields[10]
        found = self._at(start, member.size)
        if zlib.crc32(found) != member.checksum:
            raise ArchiveError(f"is damaged: the checksum of its member {name} is another")
        return found

    def _at(self, offset: int, count: int) -> bytes:
        if not 0 <= offset <= offset + count <= self._size:
            raise ArchiveError("is damaged or cut short: its list names what lies beyond its end")
        self._file.seek(offset)
        found = self._file.read(count)
        if len(found) < count:
            raise ArchiveError("is cut short")
        return found

    def _directory(self) -> tuple[bytes, int]:
        """The list of members and how many there are."""
        length = struct.calcsize(_END_LAYOUT)
        tail_start = max(self._size - length - _MOST_COMMENT, 0)
        tail = self._at(tail_start, self._size - tail_start)
        place = tail.rfind(_END)
        if place < 0 or place + length > len(tail):
            raise ArchiveError("is cut short, or is no zip file")
        fields = struct.unpack_from(_END_LAYOUT, tail, place)
        count, size, offset = fields[4], fields[5], fields[6]
        if tail[max(place - 20, 0) : place][:4] == _FIND_64:
            (where,) = struct.unpack_from("<Q", tail, place - 12)
            end = self._at(where, 56)
            if end[:4] != _END_64:
                raise ArchiveError("is damaged: its list of members can't be read")
            count, size, offset = struct.unpack_from("<3Q", end, 32)
        if count > MOST_MEMBERS or size > MOST_DIRECTORY:
            raise ArchiveError(f"says that it has {count} members, listed in {size} bytes, more than any detector's")
        return self._at(offset, size), count

    def _entries(self, directory: bytes, count: int) -> dict[str, Member]:
        members: dict[str, Member] = {}
        place = 0
        for _ in range(count):
            fields = struct.unpack_from(_ENTRY_LAYOUT, directory, place)
            if fields[0] != _ENTRY:
                raise IndexError
            flags, method, checksum, packed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
            lengths, offset = fields[10:13], fields[16]
            start = place + struct.calcsize(_ENTRY_LAYOUT)
            name = directory[start : start + lengths[0]].decode("utf-8")
            extra = directory[start + lengths[0] : start + lengths[0] + lengths[1]]
            size, packed, offset = _whole((size, packed, offset), extra)
            plain = method == 0 and not flags & _ENCRYPTED
            if plain and (size != packed or size > self._size):
                raise ArchiveError(f"says of its member {name} that it has {size} bytes, which the file has not")
            if name in members:
                raise ArchiveError(f"has two members {name}")
            members[name] = Member(size, offset, checksum, plain)
            place = start + sum(lengths)
        return members


def _whole(numbers: tuple[int, int, int], extra: bytes) -> list[int]:
    """A member's numbers; those that need 64 bits stand in an extra field of kind 1, in their order."""
    place, long = 0, b""
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            long = extra[place + 4 : place + 4 + length]
        place += 4 + length
    made = []
    for number in numbers:
        if number == _IN_64:
            (number,) = struct.unpack_from("<Q", long)
            long = long[8:]
        made.append(number)
    return made
