"""Servers in processes of their own, which freeze themselves and report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any

from helpers import ROOT, WAIT, start
from servers_controller import GIVE_UP
from servers_start import INSTALL

HERE = ROOT / "tests" / "support"

GUNICORN = ("-m", "gunicorn", "--config", "servers_gunicorn.py", "servers_app:Application()")


class Server:
    """A server that runs, and the reports of its processes."""

    def __init__(self, process: subprocess.Popen[str], log: IO[str], processes: int) -> None:
        self._process = process
        self._log = log
        self._processes = processes
        self.port: int = self._read_line(WAIT)

    def read_reports(self) -> Iterator[dict[str, Any]]:
        """What the controller of each process has seen, once it has frozen it often enough."""
        for _ in range(self._processes):
            yield self._read_line(GIVE_UP + WAIT)

    def read_totals(self) -> list[dict[str, Any]]:
        """What each process has done. To be called when the load is over."""
        assert self._process.stdin
        self._process.stdin.close()
        return [self._read_line(WAIT) for _ in range(self._processes)]

    def end(self) -> str:
        """Tell it to end, as it should, and return what it has logged."""
        self._process.terminate()
        assert self._process.wait(WAIT) == 0
        return _read_again(self._log)

    def _read_line(self, timeout: float) -> Any:
        assert self._process.stdout
        return json.loads(start(self._process.stdout.readline).finish(timeout))


def _read_again(log: IO[str]) -> str:
    log.seek(0)
    return log.read()


def command_of(name: str, mode: str, processes: int) -> list[str]:
    """How a server is started: its program "install"s, or is one that `freezethreads` "run"s."""
    python = [sys.executable, *(["-m", "freezethreads", "run"] if mode == "run" else [])]
    if name == "gunicorn":
        return [*python, *GUNICORN[:2], "--workers", str(processes), *GUNICORN[2:]]
    return [*python, "servers_main.py", name]


@contextmanager
def serving(name: str, mode: str, processes: int) -> Iterator[Server]:
    """A server that does not outlive the block."""
    environment = {key: value for key, value in os.environ.items() if key != INSTALL}
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    environment |= {"PYTHONPATH": path, **({INSTALL: "1"} if mode == "install" else {})}
    with (
        TemporaryFile("a+") as log,  # whoever reads it does not move the place of those who write
        subprocess.Popen(
            command_of(name, mode, processes),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=HERE,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Server(process, log, processes)
        except BaseException as error:
            error.add_note(f"The server has logged:\n{_read_again(log)}")
            raise
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # and those that it has forked
