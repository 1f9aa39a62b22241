"""Handing on what `freezethreads run` does to each Python that its program starts.

Children that are forked have all of it already. One that begins anew, by `spawn` or `forkserver`,
by a reloader or as a process of its own, reads the environment: a folder in `PYTHONPATH` has a
`sitecustomize` that Python imports before anything of the program. It takes that folder out of its
`sys.path` again, and leaves it in its environment, for its own children. Nothing is written down,
so nothing stays behind. A program that gives a child another environment, or the option `-I`, `-E`
or `-S`, starts one that knows nothing of this.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any, Final

import freezethreads
from freezethreads._ground.names import split_mark
from freezethreads.cli import _startup

_FOLDER: Final = os.path.dirname(os.path.abspath(_startup.__file__))
_VARIABLE: Final = "FREEZETHREADS_RUN"


def begin(
    atomic: Iterable[str] = (),
    freezable: Iterable[str] = (),
    guard: bool = False,
    **options: Any,
) -> None:
    """Mark what has these names, install, with the other arguments, enrol the calling thread, guard
    forks and serve if that is asked for."""
    for name, kind in map(split_mark, atomic):
        freezethreads.atomic(name, kind=kind)
    for name in freezable:
        freezethreads.freezable(name)
    freezethreads.install(**options).enrol()
    if guard:
        freezethreads.guard_forks().__enter__()  # in force until the process ends
    if os.environ.get("FREEZETHREADS_CONTROL", "0") not in ("", "0"):
        _serve()


def hand_on(**options: Any) -> None:
    """Have each Python that this process starts, and those that they start, begin like that."""
    hand_on_nothing()
    # What is only for children of the same Python: another one need not have this library.
    python = f"{sys.hexversion:x}:{sys.prefix}"
    os.environ[_VARIABLE] = f"{python} {json.dumps(options)}"
    paths = filter(None, [_FOLDER, os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def hand_on_nothing() -> None:
    """Have them begin as ever, also if this process is such a child itself."""
    if os.environ.pop(_VARIABLE, None) is None:
        return
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    left = [path for path in paths if path != _FOLDER]
    os.environ["PYTHONPATH"] = os.pathsep.join(left)
    if left in ([], [""]):
        del os.environ["PYTHONPATH"]


def begin_child(options: str) -> None:
    """In a child, at its start: begin as its parent did, if it has a program of its own."""
    # What multiprocessing, or a package like it, starts to look after its semaphores has none; and
    # the command `freezethreads` begins by itself, if it runs a program.
    command, arguments = sys.orig_argv, sys.argv
    program = "".join(command[-len(arguments) :][:1])
    own = os.path.basename(program) in ("freezethreads", "-mfreezethreads")
    if not own and "resource_tracker" not in " ".join(command):
        begin(**json.loads(options))


def _serve() -> None:
    """Open the control socket, here and in each child that the program forks."""
    if _is_served() and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_is_served)


def _is_served() -> bool:
    """Open it, or say why that cannot be: somebody else's doing is no reason not to run."""
    try:
        freezethreads.serve()
    except freezethreads.FreezeError as error:
        from freezethreads.control._log import logger

        logger.warning("freezethreads run: FREEZETHREADS_CONTROL is set, but %s", error)
        return False
    return True
