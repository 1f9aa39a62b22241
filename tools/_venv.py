"""The checkout's virtual environments: one in .venvs/ for each Python, made when first needed.

Until an environment stands only the standard library is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from _pythons import Interpreter, ask_own

ROOT = Path(__file__).resolve().parents[1]
VENVS = ROOT / ".venvs"


class SetUpError(Exception):
    """An environment cannot be made; the message says why, and what to do."""


class Environment:
    """One interpreter's environment, with the checkout in it, editable, and some of its extras."""

    def __init__(self, interpreter: Interpreter, extras: Sequence[str], lock: IO[str]) -> None:
        self._interpreter = interpreter
        self._extras = frozenset(extras)
        self._folder = folder_of(interpreter)
        self._stamp = self._folder / "freezethreads-stamp.json"
        self.python = str(self._folder / "bin" / "python")
        self.lock = lock

    def is_ready(self) -> bool:
        digest, extras = self._read_stamp()
        return digest == _digest_inputs(self._interpreter) and self._extras <= extras

    def set_up(self) -> None:
        """Make the environment anew. Called with its lock held exclusively.

        The stamp goes first and comes last: what was interrupted has none, and is not ready.
        """
        own = self._interpreter
        if own.missing:
            raise SetUpError(
                f"{own.executable} (Python {own.label}) cannot make a virtual environment, as it "
                f"lacks {' and '.join(own.missing)}; install what it lacks "
                f"(on Debian and Ubuntu: apt install python{own.release}-venv)"
            )
        print(f"setting up {self._folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
        digest = _digest_inputs(own)
        extras = self._extras | self._read_stamp()[1]
        self._stamp.unlink(missing_ok=True)
        self._create()
        self._install(extras)
        self._stamp.write_text(json.dumps({"digest": digest, "extras": sorted(extras)}))

    def _create(self) -> None:
        python = [self._interpreter.executable, "-I", "-m"]
        _run_silently([*python, "venv", "--clear", str(self._folder)], [self.lock])

    def _install(self, extras: frozenset[str]) -> None:
        requirement = f"{ROOT}[{','.join(sorted(extras))}]"
        # Rather an older release of what this needs than one that a compiler has to build.
        pip = [self.python, "-m", "pip", "install", "--prefer-binary"]
        # A line in a .pth, and no finder, with which each Python would take twice as long to start.
        pip += ["--config-settings", "editable_mode=compat"]
        # It writes beside setup.cfg as well, for whichever Python: one at a time.
        with open(VENVS / "install.lock", "w") as install_lock:
            _acquire(install_lock, fcntl.LOCK_EX)
            _run_silently([*pip, "--editable", requirement], [self.lock, install_lock])

    def _read_stamp(self) -> tuple[str, frozenset[str]]:
        try:
            stamp = json.loads(self._stamp.read_text())
            return stamp["digest"], frozenset(stamp["extras"])
        except (OSError, ValueError):
            return "", frozenset()


def folder_of(interpreter: Interpreter) -> Path:
    """Where the environment of `interpreter` lies."""
    return VENVS / f"{interpreter.implementation}-{interpreter.label}"


@contextmanager
def prepared(interpreter: Interpreter, extras: Sequence[str]) -> Iterator[Environment]:
    """Set the interpreter's environment up, unless it is ready; it stays so during the block.

    Any number of scripts may use an environment at once (its lock is shared), and who sets it up
    is alone with it (the lock is exclusive). Raises SetUpError.
    """
    VENVS.mkdir(exist_ok=True)
    with open(f"{folder_of(interpreter)}.lock", "w") as lock:
        environment = Environment(interpreter, extras, lock)
        _acquire(lock, fcntl.LOCK_SH)
        # A lock is not exchanged for the other kind in one step: look again after each.
        while not environment.is_ready():
            _acquire(lock, fcntl.LOCK_EX)
            if not environment.is_ready():
                environment.set_up()
            _acquire(lock, fcntl.LOCK_SH)
        yield environment


def become(extras: Sequence[str], arguments: Sequence[str]) -> NoReturn:
    """Replace this process by `python ARGUMENTS...` of the environment of the running Python.

    Replace, because a signal that is sent to the script is meant for the program.
    """
    with exiting_on_errors(), prepared(ask_own(), extras) as environment:
        os.set_inheritable(environment.lock.fileno(), True)
        os.execv(environment.python, [environment.python, *arguments])


@contextmanager
def exiting_on_errors() -> Iterator[None]:
    """End the script in one line, not a traceback, for what is no error of the script."""
    try:
        yield
    except SetUpError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _digest_inputs(interpreter: Interpreter) -> str:
    """Digest what an environment is made from: when this changes, it is out of date."""
    digest = hashlib.sha256(f"{ROOT} {interpreter}".encode())
    for name in ("setup.cfg", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _acquire(lock: IO[str], kind: int) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another script that uses {lock.name} ...", file=sys.stderr, flush=True)
        fcntl.flock(lock, kind)


def _run_silently(command: Sequence[str], locks: Sequence[IO[str]]) -> None:
    """Run one step of the set-up; show its output only if it fails.

    The step inherits the locks: should this script be killed, they are held until the step ends.
    """
    unwanted = ("PYTHONPATH", "PYTHONHOME")  # what lies there would count as installed
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if name not in unwanted},
        pass_fds=[lock.fileno() for lock in locks],
        check=False,
    )
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr, flush=True)
        raise SetUpError(f"status {result.returncode} of {' '.join(command)}; its output is above")
