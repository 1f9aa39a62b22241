"""What py-spy sees of a process, put into what the process says of itself.

py-spy reads a process from outside, by itself, and without stopping it if asked to: a process that
stands frozen can be read like that as long as one likes, for nothing in it moves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from freezethreads._ground.jsonable import to_json
from freezethreads._report.reports import Frame, Variable

__all__ = ["Spy", "Unreadable", "find_pyspy", "join"]

_PATIENCE = 30.0  # seconds

Description = dict[str, Any]


class Unreadable(Exception):
    """py-spy cannot be had, or cannot read the process. The message is one line."""


class Spy:
    """py-spy at work on one process, from when this is made. A context manager, which ends it.

    With `native`, frames of C are seen as well, and py-spy stops the process for a moment.
    """

    def __init__(self, pid: int, *, variables: bool, native: bool) -> None:
        self._problem = ""
        self._process: subprocess.Popen[bytes] | None = None
        command = find_pyspy()
        if command is None:
            self._problem = "no py-spy: pip install py-spy"
            return
        options = ["--native" if native else "--nonblocking", *(["--locals"] if variables else [])]
        try:
            self._process = subprocess.Popen(
                [command, "dump", "--json", *options, "--pid", str(pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._problem = f"py-spy cannot be run: {error.strerror}"

    def __enter__(self) -> Spy:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            with self._process:  # closes the pipes: who else has them may live on
                self._process.kill()

    def threads(self) -> list[Description]:
        """Wait for what it has seen: one dict for each thread. Raises `Unreadable`."""
        if self._process is None:
            raise Unreadable(self._problem)
        try:
            out, err = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise Unreadable(f"py-spy was not done within {_PATIENCE:g} s") from None
        if self._process.returncode:
            raise Unreadable(f"py-spy cannot read the process: {_reason(err)}")
        try:
            threads = json.loads(out)
        except ValueError:
            raise Unreadable("py-spy said what is no JSON") from None
        if not isinstance(threads, list) or not threads:
            raise Unreadable("py-spy saw no thread")
        return threads


def find_pyspy() -> str | None:
    """Where py-spy is, or None if there is none."""
    return shutil.which("py-spy", path=_path())


def _path() -> str:
    """Where py-spy is looked for: first beside this Python."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])


def _reason(err: bytes) -> str:
    """The error in one line, with its innermost cause, which tells most."""
    lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
    lines = lines[: next((i for i, line in enumerate(lines) if "tack backtrace" in line), None)]
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    causes = [line.partition(": ")[2] for line in lines if line.startswith(("0: ", "1: ", "2: "))]
    reason = errors[0] if errors else (lines[0] if lines else "it does not say why")
    return reason.rstrip(".") + (f" ({causes[-1]})" if causes else "")


def join(description: Description, spied: list[Description]) -> None:
    """Put the stacks that py-spy saw in the place of those which the process itself reported.

    A thread that it did not see keeps the other one.
    """
    by_native = {thread.get("os_thread_id"): thread for thread in spied}
    by_ident = {thread.get("thread_id"): thread for thread in spied}
    own = {
        frame["filename"]
        for thread in description["threads"]
        for frame in thread["stack"]
        if frame["own"]
    }
    for thread in description["threads"]:
        found = by_native.get(thread["native_id"] or -1) or by_ident.get(thread["ident"])
        if found and found["frames"]:
            thread["stack"] = _join_stack(thread["stack"], found["frames"], own)
            thread["active"] = found["active"]
            thread["owns_gil"] = found["owns_gil"]


def _join_stack(
    known: list[Description], seen: list[Description], own: set[str]
) -> list[Description]:
    marked = next((frame for frame in known if frame["site"]), None)
    stack = []
    for frame in seen:
        at_site = marked is not None and _is_same(frame, marked)
        marked = None if at_site else marked
        stack.append(_frame(frame, frame["filename"] in own, at_site))
    return stack


def _is_same(seen: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether both are one frame. Older Pythons do not tell py-spy in which class a method is."""
    if (seen["filename"], seen["line"]) != (known["filename"], known["lineno"]):
        return False
    names = (str(name).rpartition(".")[2] for name in (seen["name"], known["function"]))
    return len(set(names)) == 1


def _frame(seen: Mapping[str, Any], own: bool, at_site: bool) -> Description:
    filename = seen["filename"] or seen["module"] or "?"
    variables = seen.get("locals")
    if variables is not None:
        variables = tuple(
            Variable(one["name"], one["repr"] or "?", one["arg"]) for one in variables
        )
    frame: Description = to_json(
        Frame(seen["name"], filename, seen["line"], own, at_site, variables)
    )
    return frame
