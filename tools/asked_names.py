"""Names given on the command line, of those that there are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def asked(command: str, known: Sequence[str], about: str | None = None) -> list[str]:
    """The names given, or all that there are; ends the program where one is unknown, or help is asked for."""
    parser = argparse.ArgumentParser(prog=command, description=about)
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(known))
    names: list[str] = parser.parse_args().names or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return names
