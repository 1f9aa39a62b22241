"""Whose a file of source is."""

from __future__ import annotations

import os
from typing import Final

PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAMS: Final = os.path.join(PACKAGE, "demo")  # is in the package, and a program that uses it


def is_own(filename: str) -> bool:
    """Whether a file is this library's."""
    return is_below(filename, PACKAGE) and not is_below(filename, _PROGRAMS)


def is_below(filename: str, folder: str) -> bool:
    """Whether a file is in that folder, or below it."""
    return filename.startswith(folder + os.sep)
