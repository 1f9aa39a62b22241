"""psycopg 3 (`psycopg[binary]` or `psycopg[c]`): it waits for its server in a function of C, which
executes generators in Python meanwhile. A thread that counts as stopped must not do that. psycopg
has the same function in Python, which waits in `select`, where a thread is stopped.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from freezethreads._install._patches import Function, Row, Switch
from freezethreads._install._wrappers import ReplaceBy


def wait_in_python(original: Function, switch: Switch, label: str) -> Function:
    """`psycopg.waiting.wait`."""
    waiting: Any = sys.modules["psycopg.waiting"]
    in_python: Any = getattr(waiting, "wait_poll", getattr(waiting, "wait_selector", original))
    return ReplaceBy(in_python)(original, switch, label)


TABLE: Final = (Row("psycopg.waiting", "", "wait", wait_in_python),)
