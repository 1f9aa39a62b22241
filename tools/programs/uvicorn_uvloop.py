# /// script
# dependencies = ["uvicorn", "uvloop"]
# ///
"""uvicorn on uvloop, which waits in C."""

from __future__ import annotations

from _uvicorn import run

run("uvloop")
