"""In the process that was attached to: the library, installed and serving, until `end()`.

    nothing --begin()--> attached --end()--> ending --the last thread of ours has ended--> nothing

`begin()` is called by the thread that the script has started, and `end()` by a client's. Both are
under one lock, which a fork waits for. `end()` returns while its client's thread has still to
answer. So a thread is left that waits for all others of ours, and takes the modules away at last.
"""

from __future__ import annotations

import _thread
import atexit
import logging
import os
import select
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import freezethreads
from freezethreads import FreezeError, Freezer, Installation
from freezethreads._controller.standing import standing, usual_where
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.names import check_name, look_up
from freezethreads._ground.original import OwnThread, RLock, get_native_id, own_idents, sleep
from freezethreads._machine.marks import all_marks
from freezethreads.control._errors import RequestError
from freezethreads.control._requests import REQUESTS
from freezethreads.control._serving import Serving, clients, is_serving
from freezethreads.control._session import Session

__all__ = ["begin", "end", "note_modules"]

REQUEST: Final = "detach"
_lock = RLock()
_attached: _Attached | None = None  # guarded by the lock, as what follows
_before: Collection[str] | None = None  # the modules of ours that the program had itself
_kept = _busy = ""
_PAUSE: Final = 0.01  # seconds between two looks at what ends soon
_PATIENCE: Final = 5.0  # seconds that a client who asks to detach may stay


@dataclass
class _Attached:
    freezer: Freezer
    serving: Serving
    installation: Installation | None  # None where the program has this library itself
    folder: str | None  # what came along, and goes with this
    pid: int


def note_modules(before: Collection[str], kept: str, busy: str) -> None:
    """Say which modules of ours the program had itself; and the attributes of `sys` in which the
    others are put away, and in which it says who attaches just now."""
    global _before, _kept, _busy
    with _lock:
        _before, _kept, _busy = before, kept, busy


def begin(folder: str, wanted: Mapping[str, Any], answer: int) -> dict[str, Any]:
    """Install and serve; return what the one who asked is told.

    If it is wanted so, all that ends with the one who has the other end of the pipe `answer`, which
    is closed then. Raises `FreezeError` or ValueError, and nothing was changed.
    """
    ident = _thread.get_ident()
    own_idents[ident] = get_native_id()  # nothing stops this thread: it has done nothing yet
    try:
        with _lock:
            try:
                said = _begin(folder, wanted)
            except BaseException:
                _put_away()
                raise
        said["last"] = None
        if wanted["bound"]:
            try:
                said["last"] = _when(lambda: _wait_for_end_of(answer))
            except BaseException:
                _take_back()
                raise
        return said
    finally:
        own_idents.pop(ident, None)


def _take_back() -> None:
    """Undo what `_begin()` has done, as nobody can be found who does it later."""
    global _attached
    with _lock:
        attached, _attached = _attached, None
        if attached is not None:
            REQUESTS.pop(REQUEST, None)
            attached.serving.close()
            if attached.installation is not None:
                _uninstall(attached.installation)
        _put_away()


def _begin(folder: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Called with the lock held."""
    global _attached
    if is_serving():
        raise FreezeError("the process serves already")
    if _attached is not None:  # this is the child of a fork, which is not served
        freezer, installation = _attached.freezer, _attached.installation
    elif _is_programs():
        if wanted["atomic"] or wanted["freezable"]:
            raise FreezeError(
                "the program has freezethreads itself, and what is atomic or freezable in it is "
                "for the program to say: leave out --atomic and --freezable"
            )
        freezer, installation = freezethreads.default_freezer, None
    else:
        freezer = Freezer("attached")
        installation = freezethreads.install(freezer, patch=False)
        installation._members.set_where("anywhere")
    try:
        for name in (*(name for name, _ in wanted["atomic"]), *wanted["freezable"]):
            _check(name)
        for name, kind in wanted["atomic"]:
            freezer.atomic(name, kind=kind)
        for name in wanted["freezable"]:
            freezer.freezable(name)
        folder_of_files = tempfile.tempdir
        serving = freezer.serve()
        tempfile.tempdir = folder_of_files  # the program has yet to ask for it
    except BaseException:
        if installation is not None:
            _uninstall(installation)
        _attached = None
        raise
    _silence(True)
    is_copy = wanted["copied"] and freezethreads.__path__[0] == wanted["package"]
    comes_along = is_copy or wanted["bound"]  # else the one who asked removes it
    _attached = _Attached(
        freezer, serving, installation, folder if comes_along else None, os.getpid()
    )
    REQUESTS[REQUEST] = _detach
    return {
        "python": sys.version.partition(" ")[0],
        "version": freezethreads.__version__,
        "where": usual_where(freezer),
        "threads": len(sys._current_frames().keys() - own_idents.keys()),
        "copied": is_copy,
    }


def _check(name: str) -> None:
    """Refuse a mark in a module that the program cannot import; nothing is imported for that."""
    check_name(name)
    if name.partition(":")[0] in sys.modules:
        return
    _, problem = look_up(name, sys.path)
    if problem:
        raise ValueError(problem)


def end(is_answered: Callable[[], object] = lambda: True) -> int:
    """Serve no more, take everything away, and thaw what was frozen from outside.

    From any thread. Returns the native id of the thread that does it, which waits for `is_answered`
    before, though not for ever. Raises `FreezeError` if the process was not attached to.
    """

    def wait() -> None:
        deadline = Deadline(_PATIENCE)
        while not is_answered() and not deadline.passed():
            sleep(_PAUSE)

    return _when(wait)


def _wait_for_end_of(answer: int) -> None:
    """Until nobody has the other end of a pipe, nothing that was frozen from outside stands any
    more, and nobody else is connected."""
    other_end = select.poll()
    other_end.register(answer, 0)  # which an error alone ends
    other_end.poll()
    os.close(answer)
    with _lock:
        attached = _attached
    while attached is not None and (clients() or _is_frozen_from_outside(attached.freezer)):
        sleep(_PAUSE)
        with _lock:
            attached = _attached


def _is_frozen_from_outside(freezer: Freezer) -> bool:
    """Whether a hold stands that a client has asked for: a world is the program's own."""
    stand = [one for one in standing(freezer) if not one.done]
    return any(isinstance(one.asked.thread, OwnThread) for one in stand)


def _when(wait: Callable[[], None]) -> int:
    """End it all when `wait` returns, in a thread of its own, whose native id this returns."""
    with _lock:
        attached = _attached
    if attached is None:
        raise FreezeError("the process was not attached to: whoever has it serve can end that")
    ids: list[int] = []
    known = _thread.allocate_lock()
    known.acquire()

    def finish() -> None:
        ident = _thread.get_ident()
        own_idents[ident] = get_native_id()
        try:
            ids.append(get_native_id())
            known.release()
            wait()
            _end(attached)
        finally:
            own_idents.pop(ident, None)

    _thread.start_new_thread(finish, ())
    known.acquire()
    return ids[0]


def _end(attached: _Attached) -> None:
    """In a thread of its own. Nobody attaches meanwhile."""
    global _attached
    me = f"{os.getpid()} {_thread.get_ident()}"
    while vars(sys).setdefault(_busy, me) != me:
        sleep(_PAUSE)  # somebody attaches, and will be told that it serves
    try:
        with _lock:
            if _attached is not attached:
                return  # somebody else has ended it
            _attached = None
            REQUESTS.pop(REQUEST, None)
            attached.serving.close()
            if attached.installation is not None:
                _uninstall(attached.installation)
        while any(map(_is_ours, threading.enumerate())):
            sleep(_PAUSE)
        with suppress(OSError):  # somebody else has a socket in it
            attached.serving.path.parent.rmdir()
        _remove(attached)
        with _lock:
            _put_away()
    finally:
        delattr(sys, _busy)


def _is_ours(thread: threading.Thread) -> bool:
    """Whether a thread came with this. The program may have others of the library's, if it has it
    itself."""
    if not isinstance(thread, OwnThread):
        return False
    return not _is_programs() or thread.name.startswith("freezethreads-control")


def _is_programs() -> bool:
    """Whether the program has the library itself."""
    return _before is not None and "freezethreads" in _before


def _remove(attached: _Attached) -> None:
    """Remove the files that came along."""
    folder = attached.folder
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        for path in [path for path in sys.path_importer_cache if path.startswith(folder)]:
            sys.path_importer_cache.pop(path, None)


@atexit.register
def _at_exit() -> None:
    if _attached is not None and _attached.pid == os.getpid():
        _remove(_attached)


def _put_away() -> None:
    """Take the library's modules away, unless it is attached, or the program had them itself.

    Called with the lock held, by the one who is busy.
    """
    if _attached is None and not _is_programs():
        _silence(False)
        names = [name for name in sys.modules if name.partition(".")[0] == "freezethreads"]
        if names:
            setattr(sys, _kept, {name: sys.modules.pop(name) for name in names})


def _uninstall(installation: Installation) -> None:
    installation.uninstall()
    for marks in all_marks():  # all are ours: the program does not know this library
        marks.clear()


def _silence(on: bool) -> None:
    """Have nothing of ours be logged by a program that does not know this library."""
    if not _is_programs():
        logging.getLogger("freezethreads").disabled = on
        logging.getLogger("freezethreads.control").disabled = on


def _detach(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """The request of that name: the last one that is answered."""
    try:
        return {"native_id": end(session.is_gone)}
    except FreezeError as error:
        raise RequestError("wrong", str(error)) from error


def _after_fork_in_child() -> None:
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
    )
