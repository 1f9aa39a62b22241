# /// script
# dependencies = ["uvicorn"]
# ///
"""uvicorn on the event loop of asyncio, in a thread."""

from __future__ import annotations

from _uvicorn import run

run("asyncio")
