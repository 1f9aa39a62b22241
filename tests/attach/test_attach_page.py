"""The walk on the page about attaching: its server hangs, and the commands print what is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attach_program import CAN, no_file_left
from documents import BLOCKS
from helpers import ROOT, WAIT, wait_until

__all__ = ["no_file_left"]

PAGE = [block for block in BLOCKS if block.page.name == "attach.md"]


def pattern_of(line: str, pid: int) -> str:
    """What a line of the page says, whatever the process's number, times and addresses are."""
    pattern = re.escape(line.replace("4711", str(pid)))
    pattern = re.sub(r"0x[0-9a-f]+", "0x[0-9a-f]+", pattern)
    pattern = re.sub(r"3\\\.14\\\.10", re.escape(sys.version.split()[0]), pattern)
    return re.sub(r"[\d\\.]+\\ ms", r"[\\d.]+ m?s", pattern)


@pytest.mark.skipif(not CAN, reason="nobody can attach to this Python")
def test_the_walk(tmp_path: Path) -> None:
    (program,) = (block for block in PAGE if block.language == "python")
    texts = (PAGE[0].page.read_text(), (ROOT / "README.md").read_text())
    mark = r"<!-- transcript, which tests/attach.*?```console\n(.*?)```"
    walks = [walk for text in texts for walk in re.findall(mark, text, re.DOTALL)]
    assert len(walks) == 2
    (tmp_path / "server.py").write_text(program.text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"}

    def freezethreads(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "freezethreads", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
            timeout=60,
        )
        return done.stdout

    with subprocess.Popen(
        [sys.executable, "server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        # Who has begun to wait is seen only when it does so.
        wait_until(lambda: "deadlock" in freezethreads("stuck", str(process.pid), "--attach"))
        for said in [said for walk in walks for said in walk.split("$ freezethreads ")[1:]]:
            command, _, wanted = said.partition("\n")
            printed = freezethreads(*command.replace("4711", str(process.pid)).split())
            lines = [pattern_of(line, process.pid) for line in wanted.splitlines()]
            pattern = "\n".join("(?s:.*)" if line == r"\.\.\." else line for line in lines)
            assert re.fullmatch(pattern, printed.strip()), printed
        process.communicate(timeout=WAIT)
