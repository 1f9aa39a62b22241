"""Both type checkers as a user has them: with settings of their own, and nothing silenced.

They judge alike on every interpreter, so it is enough to have them on one, where the linting is
done.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import ROOT

HERE = Path(__file__).parent
RIGHT, WRONG = "test_right_uses.py", "wrong_uses.py"
COMMENT = re.compile(r"  # type: ignore\[.*\]$", re.MULTILINE)


def check(checker: str, folder: Path) -> set[tuple[str, int]]:
    """The name and the line of each error that a checker has found in a folder."""
    strict = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "pythonVersion": "3.11"}
    (folder / "pyrightconfig.json").write_text(json.dumps(strict))
    command = {
        "mypy": ["--strict", "--python-version=3.11", "--cache-dir=cache", RIGHT, WRONG],
        "pyright": ["--outputjson", "--pythonpath", sys.executable, RIGHT, WRONG],
    }
    done = subprocess.run(
        [sys.executable, "-m", checker, *command[checker]],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if checker == "mypy":
        lines = re.findall(r"^(\S+\.py):(\d+): error:", done.stdout, re.MULTILINE)
        return {(name, int(number)) for name, number in lines}
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in found
        if each["severity"] == "error"
    }


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_what_is_wrong_is_an_error_and_nothing_else(checker: str, tmp_path: Path) -> None:
    if find_spec(checker) is None:
        pytest.skip(f"there is no {checker} here: it comes with the linting")
    for name in (RIGHT, WRONG):
        (tmp_path / name).write_text(COMMENT.sub("", (HERE / name).read_text()))
    lines = enumerate((HERE / WRONG).read_text().splitlines(), 1)
    wrong = {(WRONG, number) for number, line in lines if COMMENT.search(line)}
    assert len(wrong) > 30
    assert check(checker, tmp_path) == wrong
