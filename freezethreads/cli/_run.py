"""``freezethreads run``: a program that knows nothing of freezing, with all its threads enrolled.

The program is to notice as little of this as possible. It runs in a `__main__` of its own, which
stays there until the interpreter ends, for the threads and exit handlers that come after its last
line; so do the installation, and what it raises, which goes the interpreter's own way to the end.
"""

from __future__ import annotations

import argparse
import builtins
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Iterator
from importlib.machinery import (
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import CodeType, ModuleType, TracebackType

from freezethreads import FreezeError
from freezethreads._ground.names import check_name, look_up
from freezethreads.cli._children import begin, hand_on, hand_on_nothing
from freezethreads.cli._marks import add_marks, check_marks
from freezethreads.cli._parser import WrongUse

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "run"
SUMMARY = "run a Python program with all its threads freezable"

DESCRIPTION = """\
Runs a program as `python SCRIPT [ARG ...]` or `python -m MODULE [ARG ...]` would. Options go before
SCRIPT or -m: what follows is the program's own. All threads that
it starts, and its main thread, are enrolled with the default freezer, and the standard library's
waits are freezable. So a thread in the program can freeze all others: freezethreads.freeze(). With
FREEZETHREADS_CONTROL=1 in the environment another process can: freezethreads freeze PID. If that
cannot be, a warning says why, and the program runs all the same. The same holds for each process of
this Python that the program starts. With --unpatched no wait of the standard library is replaced,
and the program is as fast as without this command; a freeze stops all threads of it between two
bytecodes then, where they hold no lock (where="unlocked").
"""
EPILOG = """\
examples:
  freezethreads run server.py --port 8000
  freezethreads run -m http.server
  FREEZETHREADS_CONTROL=1 freezethreads run server.py
  FREEZETHREADS_CONTROL=1 freezethreads run --unpatched server.py
  freezethreads run --unpatched --atomic shop.ledger:Book.move -m shop
  FREEZETHREADS_CONTROL=1 freezethreads run --unpatched --atomic shop.ledger=tx -m shop
  freezethreads run --unpatched --guard-forks prefork_server.py
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.usage = f"{parser.prog} [-h] [OPTION ...] (SCRIPT | -m MODULE) [ARG ...]"
    add = parser.add_argument
    add(
        "--unpatched",
        dest="patch",
        action="store_false",
        help="replace nothing in the standard library; needs CPython 3.12",
    )
    add_marks(parser, "; needs CPython 3.12")
    add(
        "--guard-forks",
        dest="guard",
        action="store_true",
        help="make each os.fork() of the program while no other thread holds a lock, as far as can "
        "be seen; where one is held for 5 s, os.fork() raises ForkUnsafe",
    )
    add(
        "--no-children",
        dest="children",
        action="store_false",
        help="leave alone the processes that the program starts, except those that it forks",
    )
    add("program", nargs=argparse.REMAINDER, metavar="SCRIPT", help="a file, a directory or a zip")
    add("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="a module's name")


def run(arguments: argparse.Namespace) -> int:
    """Run the program, and return 0 if it ends without an exception. Raises `WrongUse`.

    What the program raises is raised. For the main thread, once in the life of a process.
    """
    argv = [*(arguments.module or ()), *arguments.program]
    if not argv:
        raise WrongUse("which program? Give a SCRIPT, or -m MODULE (try --help)")
    if arguments.module is None:
        _check_script(argv[0])
    program = argv[0] if arguments.module is None else "."
    check_marks(arguments, lambda name: _check_name(name, program))
    options = {
        "patch": arguments.patch,
        "atomic": arguments.atomic,
        "freezable": arguments.freezable,
        "guard": arguments.guard,
    }
    try:
        begin(**options)
    except (FreezeError, ValueError) as error:
        raise WrongUse(str(error)) from error
    if arguments.children:
        hand_on(**options)
    else:
        hand_on_nothing()
    sys.modules["__main__"] = main = ModuleType("__main__")
    if "__mp_main__" in sys.modules:  # where multiprocessing, once imported, finds the program
        sys.modules["__mp_main__"] = main
    vars(main).update(__builtins__=builtins)
    if sys.version_info < (3, 14):
        vars(main).update(__annotations__={})
    try:
        _run(argv, main, arguments.module is not None)
    except (SystemExit, WrongUse):
        raise
    except BaseException:
        _hide_own_frames()
        raise
    return 0


def _check_script(path: str) -> None:
    try:
        os.stat(path)  # and not open(): what is read from a pipe is gone
        why = "" if os.access(path, os.R_OK) else "Permission denied"
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:
        why = str(error)
    if why:
        raise WrongUse(f"cannot open {path!r}: {why}")


def _check_name(name: str, program: str) -> None:
    """Refuse a mark in a module that the program cannot import; nothing is imported for that.

    Raises ValueError.
    """
    check_name(name)
    stem = os.path.splitext(os.path.basename(program))[0]
    if name.partition(":")[0] in ("__main__", "__mp_main__", stem):
        return  # the program itself
    path = os.path.realpath(program)
    _, problem = look_up(name, [path, os.path.dirname(path), *sys.path])
    if problem:
        raise ValueError(problem)


def _run(argv: list[str], main: ModuleType, is_module: bool) -> None:
    if is_module:
        _set_first_path(os.getcwd())
        sys.argv = ["-m", *argv[1:]]  # as the interpreter has it while it looks for the module
        details = runpy._get_module_details  # type: ignore[attr-defined]
        code = _make_module(main, details(argv[0], WrongUse))
        sys.argv = [main.__file__ or argv[0], *argv[1:]]
    else:
        sys.argv = argv
        code = _load(argv[0], main)
    exec(code, vars(main))


def _load(path: str, main: ModuleType) -> CodeType:
    """The code of a script, or of `__main__` in a directory or zip file."""
    file = os.path.join(os.getcwd(), path)  # not normalized, as the interpreter has it
    if pkgutil.get_importer(file) is not None:
        sys.path[: not sys.flags.safe_path] = [file]
        details = runpy._get_main_module_details  # type: ignore[attr-defined]
        return _make_module(main, details(WrongUse))
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    _set_file(main, file, None)
    if path.endswith(".pyc"):
        main.__loader__ = loader = SourcelessFileLoader("__main__", file)
        compiled = loader.get_code("__main__")
        assert compiled is not None  # it raises what is wrong
        return compiled
    main.__loader__ = SourceFileLoader("__main__", file)
    with io.open_code(file) as stream:
        return compile(stream.read(), file, "exec", dont_inherit=True)


def _set_file(main: ModuleType, file: str | None, cached: str | None) -> None:
    vars(main).update(__file__=file)
    if sys.version_info < (3, 15):
        vars(main).update(__cached__=cached)


def _make_module(main: ModuleType, details: tuple[str, ModuleSpec, CodeType]) -> CodeType:
    """Make `main` the module that was found as `python -m` does it, for which no name is public."""
    _, spec, code = details
    main.__spec__, main.__loader__, main.__package__ = spec, spec.loader, spec.parent
    _set_file(main, spec.origin, spec.cached)
    return code


def _set_first_path(folder: str) -> None:
    """Where the program's own modules are, instead of this command's."""
    if not sys.flags.safe_path:
        sys.path[:1] = [folder]


def _hide_own_frames() -> None:
    """The interpreter, which shows what is raised at the end, is to leave out this command."""
    hook = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        own = [tb for tb in _walk(traceback) if tb.tb_frame.f_code.co_filename == __file__]
        error.__traceback__ = own[-1].tb_next if own else traceback
        hook(kind, error, error.__traceback__)

    sys.excepthook = show


def _walk(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
