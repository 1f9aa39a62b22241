"""Whom a freeze at safepoints, or no freeze at all, finds inside a section."""

from __future__ import annotations

from collections.abc import Iterable

from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._machine.stacks import Shelter, find_shelter
from freezethreads._machine.trap import below_trap


def in_sections(idents: Iterable[int]) -> list[tuple[int, Shelter]]:
    """Those of these threads, by ident, that ``where="unlocked"`` would not stop where they are.

    From any thread, which leaves itself out. Nobody without a GIL, where nobody may read the frames
    of a thread that runs.
    """
    chosen = list(idents)
    return uncollected(lambda: _look(chosen)) if HAS_GIL else []


def _look(idents: list[int]) -> list[tuple[int, Shelter]]:
    found, frames = [], current_frames()
    for ident in idents:
        if ident in frames:
            frame, running = below_trap(frames.pop(ident))
            shelter = find_shelter(frame, "unlocked", running)
            if shelter is not None:
                found.append((ident, shelter[0]))
    frames.clear()
    return found
