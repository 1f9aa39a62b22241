"""What each verb of the command says of itself, put where a page has ``<!-- help: VERB -->``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

MARK = re.compile(r"^<!-- help: (\w+) -->$", re.MULTILINE)


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx whom to ask."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}


def fill_in(app: Any, page: str, source: list[str]) -> None:
    """Replace the marks of a page by what the verbs print with ``--help``."""
    source[0] = MARK.sub(lambda match: f"```text\n{help_of(match[1])}```", source[0])


def help_of(verb: str) -> str:
    """What the verb prints, narrow enough for a page. Raises if there is no such verb."""
    return subprocess.run(
        [sys.executable, "-m", "freezethreads", verb, "--help"],
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
