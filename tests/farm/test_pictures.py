"""What is known of pictures' files without decoding them, beside Pillow's word."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from farm.pictures import UnreadableError, facts, size_of

FORMATS = [
    ("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0"}),
]  # fmt: skip


def encoded(form: str, size: tuple[int, int], **options: object) -> bytes:
    noise = Image.effect_noise(size, 60).convert("RGB")
    data = io.BytesIO()
    noise.save(data, form, **options)  # pyright: ignore[reportArgumentType]
    return data.getvalue()


@pytest.mark.parametrize(("form", "options"), FORMATS)
@pytest.mark.parametrize("size", [(37, 53), (300, 41)])
def test_sizes(form: str, options: dict[str, object], size: tuple[int, int]) -> None:
    assert size_of(encoded(form, size, **options)) == size


def test_a_turned_jpeg_has_the_size_that_it_is_loaded_with() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert size_of(encoded("JPEG", (30, 20), exif=exif)) == (20, 30)


@pytest.mark.parametrize(("form", "options"), FORMATS)
def test_cut_off(form: str, options: dict[str, object]) -> None:
    data = encoded(form, (64, 64), **options)
    for share in (0.1, 0.5, 0.99):
        with pytest.raises(UnreadableError, match=r"is cut off|is in no format"):
            size_of(data[: int(share * len(data))])


def test_damaged_and_foreign() -> None:
    data = bytearray(encoded("PNG", (64, 64)))
    data[len(data) // 2] ^= 1
    with pytest.raises(UnreadableError, match="is damaged"):
        size_of(bytes(data))
    with pytest.raises(UnreadableError, match="is empty"):
        size_of(b"")
    with pytest.raises(UnreadableError, match="is in no format"):
        size_of(b"<html>404</html>")
    assert size_of(encoded("BMP", (8, 8))) == (0, 0)


def test_facts(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.png", "same.png", "other.png"))
    one.write_bytes(encoded("PNG", (9, 8)))
    same.write_bytes(one.read_bytes())
    other.write_bytes(encoded("PNG", (9, 8)))
    assert facts(one) == facts(same) != facts(other)
    assert facts(one, whole=False) != facts(same, whole=False)  # then a file is its path, size and time
    with pytest.raises(UnreadableError, match=r"can't be opened \(No such file"):
        facts(tmp_path / "none.png")
