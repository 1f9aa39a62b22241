"""Whose a file of source is, and how short its path can be for whoever reads it."""

from __future__ import annotations

import os
import re
from typing import Final

PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAMS: Final = os.path.join(PACKAGE, "demo")  # is in the package, and a program that uses it
_STANDARD: Final = os.path.dirname(os.path.abspath(os.__file__))
_INSTALLED: Final = re.compile(r".*/(?:site|dist)-packages/")
_ANY_STANDARD: Final = re.compile(r".*/lib(?:64)?/python3\.\d+t?/")  # also of another interpreter


def is_own(filename: str) -> bool:
    """Whether a file is this library's."""
    return is_below(filename, PACKAGE) and not is_below(filename, _PROGRAMS)


def is_installed(filename: str) -> bool:
    """Whether a file belongs to a package that was installed."""
    return _INSTALLED.match(filename) is not None


def is_standard(filename: str) -> bool:
    """Whether a file is below the folder of this interpreter's standard library."""
    return is_below(filename, _STANDARD)


def remoteness(filename: str) -> int:
    """How far a file is from whoever reads a report: 0 is the program's own code, then come
    installed packages, the standard library, and this one."""
    if is_own(filename):
        return 3
    if is_installed(filename):
        return 1
    return 2 if is_standard(filename) or filename.startswith("<frozen") else 0


def is_below(filename: str, folder: str) -> bool:
    """Whether a file is in that folder, or below it."""
    return filename.startswith(folder + os.sep)


def relative(path: str, folder: str | None = None) -> str:
    """A path from a folder (None: from the working directory), or as it is if it is not below."""
    folder = _working_directory() if folder is None else folder
    return path[len(folder) + 1 :] if is_below(path, folder) else path


def short_path(path: str) -> str:
    """A file of source by a path that is short: from the folder of installed packages, or of the
    standard library, or as in `relative`. To be read by people: it cannot be opened."""
    if found := _INSTALLED.match(path) or _ANY_STANDARD.match(path):
        return path[found.end() :]
    for root in (_STANDARD, os.path.dirname(PACKAGE)):
        if is_below(path, root):
            return relative(path, root)
    return relative(path)


def short_paths(text: str) -> str:
    """A text with `short_path` for each file in it that stands there with its line (`FILE:7`)."""
    folders = "|".join(map(re.escape, (_working_directory(), os.path.dirname(PACKAGE))))
    return re.sub(
        rf"(?<![\w./:'\"-])(?:{folders})?/[^\s:'\"]+(?=:\d)",
        lambda found: short_path(found[0]),
        text,
    )


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep  # it is gone, and nothing is below it
