"""What the first thread that was asked begins, in the process: the library, and what is wanted.

It runs in a thread of its own, since the one that was asked may have any lock. It stands alone: its
text is run before the library is there, from a copy of this file. Nothing that the process has is
changed but `sys.modules`, and `sys.path` is not looked at twice.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import json
import os
import sys

if __name__ != "freezethreads":  # there it is the text of this file
    from types import ModuleType
    from typing import Any

# Attributes of `sys`: what `detach()` has put away, for the next time, and who attaches just now.
_KEPT = "_freezethreads"
_BUSY = "_freezethreads_busy"
_INSIDE = "freezethreads._attach.inside"


def _main(folder: str) -> None:
    # A program may have SIGPIPE end it; the one who asked may go at any moment. Threads that this
    # one starts have it from this one.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGPIPE])
    try:
        answer = os.open(folder + "/answer", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # nobody listens any more
        return
    inside = None
    is_bound = False
    try:
        try:
            with open(folder + "/wanted") as file:
                wanted = json.load(file)
            with _Busy(folder):
                inside = _load(wanted)
                said = inside.begin(folder, wanted, answer)
            is_bound = wanted["bound"]
        except Exception as error:  # noqa: BLE001 - it is told to the one who asked
            said = {"problem": str(error) or type(error).__name__}
        try:
            os.write(answer, json.dumps(said).encode() + b"\n")
        except OSError:
            if inside is not None and "problem" not in said and not is_bound:
                inside.end()
    finally:
        if not is_bound:
            os.close(answer)


class _Busy:
    """One attaches, or detaches, at a time. In the child of a fork that is nobody."""

    def __init__(self, folder: str) -> None:
        self._me = f"{os.getpid()} {folder}"

    def __enter__(self) -> None:
        # One operation on a dict: of two who come at once, one finds the other's.
        other = vars(sys).setdefault(_BUSY, self._me)
        if other != self._me and other.split()[0] == self._me.split()[0]:
            raise RuntimeError("somebody else is attaching to it now, or detaching: try again")
        if other != self._me:  # forked in the middle
            setattr(sys, _BUSY, self._me)
            own = [name for name in sys.modules if _is_own(name)]
            if any(getattr(sys.modules[name].__spec__, "_initializing", False) for name in own):
                for name in own:
                    del sys.modules[name]

    def __exit__(self, *exc_info: object) -> None:
        delattr(sys, _BUSY)


def _load(wanted: dict[str, Any]) -> ModuleType:
    """The module that does it: of the library that is there, or else of the one that came along."""
    for name in ("start_new_thread", "allocate_lock"):
        if type(getattr(_thread, name)) is not type(len):
            raise RuntimeError(
                f"the program has replaced _thread.{name}, as gevent and eventlet do: threads that "
                "are none cannot be frozen"
            )
    before = {name for name in sys.modules if _is_own(name)}
    is_first = _INSIDE not in before
    has_threading = "threading" in sys.modules
    try:
        if "freezethreads" not in sys.modules and not _put_back(wanted):
            _import(wanted)
        from importlib import import_module

        try:
            inside = import_module(_INSIDE)
        except ModuleNotFoundError as error:
            if not _is_own(error.name or ""):
                raise
            raise RuntimeError(
                "it has an older freezethreads of its own, which cannot be attached to: update it "
                "there, or have the program call freezethreads.serve()"
            ) from None
    except BaseException:
        for name in [name for name in sys.modules if _is_own(name) and name not in before]:
            del sys.modules[name]
        raise
    if not has_threading:  # it took the thread that has loaded it for the main one
        sys.modules["threading"].main_thread()._native_id = os.getpid()
    if is_first:
        inside.note_modules(before, _KEPT, _BUSY)
    return inside


def _is_own(name: str) -> bool:
    return name.partition(".")[0] == "freezethreads"


def _put_back(wanted: dict[str, Any]) -> bool:
    """Have the modules again that were put away. False if there are none."""
    kept = getattr(sys, _KEPT, None)
    if kept is None:
        return False
    delattr(sys, _KEPT)
    sys.modules.update(kept)
    old = os.path.dirname(kept["freezethreads"].__file__)
    if not os.path.exists(old):  # a copy, which went with the last time
        for module in kept.values():
            if hasattr(module, "__path__"):
                module.__path__[:] = [
                    wanted["package"] + path[len(old) :] for path in module.__path__
                ]
    return True


def _import(wanted: dict[str, Any]) -> None:
    from importlib.machinery import PathFinder
    from importlib.util import find_spec, module_from_spec

    spec = find_spec("freezethreads")
    if spec is None or spec.loader is None:
        spec = PathFinder.find_spec("freezethreads", [os.path.dirname(wanted["package"])])
    if spec is None or spec.loader is None:
        raise RuntimeError("there is no freezethreads in " + wanted["package"])
    module = sys.modules["freezethreads"] = module_from_spec(spec)
    spec.loader.exec_module(module)


if "FOLDER" in globals():
    _main(globals()["FOLDER"])
