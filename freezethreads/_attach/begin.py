"""What the first thread that was asked begins, in the process: the library, and what is wanted.

It runs in a thread of its own, since the one that was asked may have any lock. It stands alone: its
text is run before the library is there, from a copy of this file. Nothing that the process has is
changed but `sys.modules`, and `sys.path` is not looked at twice.
"""

from __future__ import annotations

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
    try:
        answer = os.open(folder + "/answer", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # nobody listens any more
        return
    is_bound = False
    try:
        with open(folder + "/wanted") as file:
            wanted = json.load(file)
        try:
            # One operation on a dict: of two who come at once, one finds the other's.
            if vars(sys).setdefault(_BUSY, folder) != folder:
                raise RuntimeError("somebody else is attaching to it now: try again")
            try:
                inside = _load(wanted)
                said = inside.begin(folder, wanted, answer)
            finally:
                delattr(sys, _BUSY)
            is_bound = wanted["bound"]
        except Exception as error:  # noqa: BLE001 - it is told to the one who asked
            said = {"problem": str(error) or type(error).__name__}
        try:
            os.write(answer, json.dumps(said).encode() + b"\n")
        except OSError:
            if "problem" not in said and not is_bound:
                inside.end()
    finally:
        if not is_bound:
            os.close(answer)


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
    try:
        if "freezethreads" not in sys.modules and not _put_back(wanted):
            _import(wanted)
        from importlib import import_module

        try:
            inside = import_module(_INSIDE)
        except ModuleNotFoundError:
            raise RuntimeError(
                "it has an older freezethreads of its own, which cannot be attached to: update it "
                "there, or have the program call freezethreads.serve()"
            ) from None
    except BaseException:
        for name in [name for name in sys.modules if _is_own(name) and name not in before]:
            del sys.modules[name]
        raise
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
