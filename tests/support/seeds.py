"""The seed of a whole run's random tests."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 10**6


def seed_of_this_run() -> int:
    """One of 0 to 999,999: drawn by hand; in CI the checked-out state's own.

    So CI asks something else of every change, and the same again of one that has failed or passed.
    """
    tree = _checked_out() if os.environ.get("CI") == "true" else ""
    return int(tree, 16) % MOST if tree else random.SystemRandom().randrange(MOST)


def _checked_out() -> str:
    """The hash of the commit's content, "" where this is no checkout."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD^{tree}"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return asked.stdout.strip()
