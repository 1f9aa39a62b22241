"""A signal that has the process say where its threads stand, as `faulthandler.register` does.

The handler is Python's, so it runs in the main thread, between two of its instructions: also while
that stands frozen, but not while it is in a call of C that does not come back.
"""

from __future__ import annotations

from _signal import SIGQUIT  # type: ignore[import-not-found]  # `signal` takes its time to load
from collections.abc import Callable
from types import FrameType
from typing import IO, Any

from freezethreads._default import default_freezer
from freezethreads._freezer import Freezer, check_freezer
from freezethreads._ground.original import current_thread, getpid, main_thread

_TIMEOUT = 1.0  # seconds

# The signals that are registered, and the handlers that they had before. By the main thread alone.
_before: dict[int, Any] = {}


def register_signal(
    signum: int = SIGQUIT, *, freezer: Freezer | None = None, file: IO[str] | None = None
) -> None:
    """Have `Freezer.dump` write its report to `file` whenever this signal comes.

    `freezer` None is the default freezer. `file` None is what `sys.stderr` is now; it must have a
    ``fileno()``, is kept, and is written to past its buffer. The report works while threads
    stand frozen, the main thread too. What the file cannot encode is escaped; what cannot be
    written is lost, as is all once the file is
    closed. Calling this again replaces the arrangement; `unregister_signal` ends it.

    From the main thread alone; raises `RuntimeError` in any other, ValueError or OSError for a
    signal that cannot be handled, TypeError or ValueError for a file without a descriptor,
    TypeError for a `freezer` that is none, and `FreezeError` if there is no `sys.stderr` that could
    be meant. Nothing was changed then.
    """
    _check_thread("register_signal")
    import signal

    # Whoever stands when the signal comes may be in the middle of an import.
    from freezethreads._explain._dump import check_file, dump_to_descriptor, encoding_of

    chosen = check_freezer(freezer) or default_freezer
    file = check_file(file)
    descriptor, encoding = file.fileno(), encoding_of(file)
    handler = _Handler(lambda: dump_to_descriptor(chosen, descriptor, encoding, _TIMEOUT), file)
    before = signal.signal(signum, handler)
    if not isinstance(before, _Handler):
        _before[signum] = before


def unregister_signal(signum: int = SIGQUIT) -> bool:
    """Give the signal back the handler that it had; returns whether it had been registered.

    From the main thread alone; raises `RuntimeError` in any other. A handler that somebody else has
    put there since stays.
    """
    _check_thread("unregister_signal")
    import signal

    if signum not in _before:
        return False
    before = _before.pop(signum)
    if isinstance(signal.getsignal(signum), _Handler):
        signal.signal(signum, signal.SIG_DFL if before is None else before)
    return True


class _Handler:
    """Reports. A signal that comes while it does is not reported by itself.

    It keeps the file: the number of a file that was dropped, or closed, is soon another one's.
    """

    def __init__(self, report: Callable[[], None], file: IO[str]) -> None:
        self._report = report
        self._file = file
        self._busy = 0  # the process in which it reports: a child of a fork does not go on with it

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if self._busy == getpid() or self._file.closed:
            return
        try:
            self._busy = getpid()
            self._report()
        except OSError:
            pass  # nobody reads what it writes, which is no reason to end the program
        finally:
            self._busy = 0


def _check_thread(name: str) -> None:
    if current_thread() is not main_thread():
        raise RuntimeError(
            f"{name}() must be called in the main thread, in which Python runs signal handlers; "
            "nothing was changed"
        )
