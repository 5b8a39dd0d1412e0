"""The example of docs/farm.md: its second command, on what its first writes, on the CPU with the demo's model."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import farm_example, farm_jobs, pictures
from support.server import CHECKOUT

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


def test_the_commands_are_in_the_docs() -> None:
    told = (CHECKOUT / "docs" / "farm.md").read_text()
    assert "```\npython dev.py farm\npython farm run demo_output/farm/job.toml\n```" in told


def test_twenty_pictures(tmp_path: Path) -> None:
    job = farm_example.write(tmp_path)
    code, said = farm_jobs.farm("run", job)
    assert code == 0, said
    assert re.search(r"20 done in .*; 0 failed; of 20, 20 are done", said), said
    made = farm_jobs.made(tmp_path / "done")
    assert len(made) == 20
    for name, content in made.items():
        stem = name.removesuffix("_detailed.png")
        before, mask = (pictures.decode((tmp_path / f / f"{stem}.png").read_bytes()) for f in ("pictures", "masks"))
        changed = np.any(pictures.decode(content) != before, axis=-1)
        near = cv2.dilate(mask[..., 0], np.ones((41, 41), np.uint8)) > 0
        assert changed.any() and not changed[~near].any(), name  # the part, and nothing far from it
        assert np.mean(changed[mask[..., 0] > 0]) > 0.5, name
    assert not (tmp_path / "done" / ".farm" / "work").exists() or not any(
        (tmp_path / "done" / ".farm" / "work").iterdir()
    )
