"""Where a straggler was, for people: the line of their own program, and not of what it called."""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary

from freezethreads import Straggler
from freezethreads._report.stacks import nearest


def place_of(straggler: Straggler, root: Path) -> str:
    """Its innermost line below `root`, as a path from there; the innermost of all if none is."""
    own = [frame for frame in straggler.stack if _is_own(Path(frame.filename), root)]
    for frame in reversed(own or straggler.stack):
        return _describe(frame, root)
    return f"{straggler.name}, which has ended"


def is_innermost(straggler: Straggler, root: Path) -> bool:
    """Whether the line that the straggler tells itself is below `root`, or no line is."""
    line = nearest(straggler.stack)
    is_own = [_is_own(Path(frame.filename), root) for frame in straggler.stack]
    return line is None or not any(is_own) or _is_own(Path(line.filename), root)


def _is_own(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) and "site-packages" not in path.parts


def _describe(frame: FrameSummary, root: Path) -> str:
    path = Path(frame.filename)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{frame.lineno} in {frame.name}"
