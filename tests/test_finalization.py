"""What is left alone when the interpreter has begun to go."""

from __future__ import annotations

import pytest

from helpers import run_python

# Daemon threads do not run any more then. On a free-threaded build one of them may be the owner of
# the very lock that is waited for: it was handed over to it while it waited.
PROGRAM = """
import os, sys
import freezethreads
from freezethreads._controller import Controller
from freezethreads._registry import Registry

def told(*_, is_over=sys.is_finalizing, write=os.write):
    write(1, b"called at the end of all" if is_over() else b"")

freezer = freezethreads.Freezer()
Registry.retire = Controller.release = told
freezer.register()
{how}
"""


@pytest.mark.parametrize(
    "how",
    [
        "",
        "freezer.unregister(); world = freezer.freeze()",
        "freezer.unregister(); leave = freezer.freeze().__exit__",
    ],
    ids=["registered", "with a world", "with a world's exit"],
)
def test_nobody_is_told_of_the_main_threads_end_when_nobody_runs(how: str) -> None:
    assert run_python(PROGRAM.format(how=how)).stdout == ""
