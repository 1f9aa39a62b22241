"""``--peers``: the suites of the systems that do the same job, with the numbers that they name.

The cases are those of `tests/peers`, which runs them with small numbers.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATHS = (str(ROOT / "tests"), str(ROOT / "tests" / "support"), str(ROOT))
LIMIT = 600
"""Seconds after which the process shows all stacks and ends."""

CODE = f"""
import faulthandler, sys
faulthandler.dump_traceback_later({LIMIT}, exit=True)
from peers import big
sys.exit(big.main(sys.argv[1:]))
"""


def run_peers(words: list[str]) -> int:
    """Run the cases whose names have all these words in them, in a process of their own.

    Prints what each took. Returns the exit status: 1 if one fails, which ends it; 2 if there are
    none, or pytest, on which the tests' helpers stand, is missing.
    """
    if importlib.util.find_spec("pytest") is None:
        print("python -m stress: --peers needs pytest: install the extra 'test'", file=sys.stderr)
        return 2
    path = os.pathsep.join(filter(None, [*PATHS, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", CODE, *words]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode
