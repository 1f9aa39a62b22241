"""What the verbs share that talk to a process: its number, the options, and how they end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, get_args

from freezethreads._ground.arguments import Where
from freezethreads._ground.files import short_paths
from freezethreads._ground.text import clean, clean_lines, encodable
from freezethreads.cli._parser import WrongUse, seconds

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = [
    "add_attach",
    "add_freezer",
    "add_json",
    "add_pid",
    "add_timeout",
    "add_where",
    "attaching",
    "in_words",
    "next_step",
    "print_json",
    "say",
    "talk",
    "unread",
    "where_in_words",
    "where_of",
]


def add_pid(parser: argparse.ArgumentParser) -> None:
    """The number of the process."""
    action = parser.add_argument("pid", type=process, metavar="PID", help="see freezethreads ps")
    action.completer = _complete_pid  # type: ignore[attr-defined] # argcomplete looks there


def add_attach(parser: argparse._ActionsContainer) -> None:
    """For processes that nobody prepared."""
    help = "attach before, unless the process serves already, and detach at the end"
    parser.add_argument("--attach", action="store_true", help=help)


def add_timeout(parser: argparse._ActionsContainer, help: str, default: float = 5.0) -> None:
    """How long to wait for the threads of the process."""
    help = f"{help} (default: {default:g})"
    parser.add_argument("--timeout", type=seconds, metavar="S", default=default, help=help)


def add_freezer(parser: argparse.ArgumentParser) -> None:
    """Which of its freezers."""
    help = "a freezer by its name, if the process serves several"
    parser.add_argument("--freezer", metavar="NAME", help=help)


def add_where(parser: argparse.ArgumentParser) -> None:
    """Where threads are to be stopped."""
    parser.add_argument(
        "--where",
        choices=get_args(Where),
        help="at a safepoint; or every thread between two bytecodes, unlocked, which is outside of "
        "sections with a lock, or anywhere (default: anywhere in a process that was attached to; "
        "else what the program's installation says, or safepoint)",
    )


def where_of(client: Client, arguments: argparse.Namespace) -> str | None:
    """What ``--where`` says, for a request. Raises `WrongUse` if the process does not know that."""
    where: str | None = arguments.where
    if where is not None and any("where" not in one for one in client.hello["freezers"]):
        raise WrongUse(
            f"process {client.pid} runs an older version, which stops threads at safepoints alone: "
            "leave out --where"
        )
    return where


def where_in_words(freeze: dict[str, Any]) -> str:
    """Where a freeze has stopped threads, to be put behind its name, or ""."""
    where = freeze.get("where") or "safepoint"
    return "" if where == "safepoint" else f" ({clean(where)})"


def next_step(arguments: argparse.Namespace) -> str:
    """What to do where not all have stopped."""
    where = getattr(arguments, "where", None)
    options = "" if where is None else f" --where {where}"
    if getattr(arguments, "attach", False):
        options += " --attach"
    if getattr(arguments, "settled", None):  # of what is unfinished that knows nothing
        return f"`freezethreads dump {arguments.pid}{options}` shows where its threads are"
    return f"`freezethreads stuck {arguments.pid}{options}` tells why, and what would help"


def add_json(parser: argparse._ActionsContainer) -> None:
    """For programs that read the output."""
    help = "print one JSON object, and nothing else"
    parser.add_argument("--json", action="store_true", help=help)


def process(text: str) -> int:
    """Return `text` as the number of a process, for `type=`."""
    if not text.isdecimal() or not 0 < int(text[:20]) < 2**31:
        raise argparse.ArgumentTypeError(f"must be the number of a process, not {text!r}")
    return int(text)


def talk(
    arguments: argparse.Namespace,
    act: Callable[[Client], int],
    unanswered: Callable[[str], int] | None = None,
    unserved: Callable[[str], int] | None = None,
) -> int:
    """Connect to the process, and return the status that `act` returns.

    Or 1 if it fails, with the reason on standard error, and with --json as an object besides; or
    what `unanswered` returns for the reason why there is no answer, and `unserved` for that why it
    does not serve. Raises `WrongUse` if there is no such process, or it does not serve.
    """

    def connected() -> int:
        from freezethreads.control import connect  # which no other verb should have to load

        with _served(arguments), connect(arguments.pid) as client:
            return act(client)

    return attaching(arguments, connected, unanswered, unserved)


@contextmanager
def _served(arguments: argparse.Namespace) -> Iterator[None]:
    """With ``--attach``: the process serves in here."""
    if not getattr(arguments, "attach", False):
        yield
        return
    from freezethreads._attach import TIMEOUT
    from freezethreads._attach.errors import ServesAlready
    from freezethreads._attach.outside import attached

    with ExitStack() as stack:
        with suppress(ServesAlready):
            # What `freeze` leaves standing keeps it served.
            lasting = arguments.parser.prog.endswith(" freeze") and not arguments.wait
            timeout = getattr(arguments, "timeout", TIMEOUT)
            stack.enter_context(attached(arguments.pid, lasting=lasting, timeout=timeout))
        yield


def unread(arguments: argparse.Namespace, why: str, error: Exception) -> WrongUse:
    """What to raise of a process that does not serve, `why` says, and that py-spy cannot read."""
    message = f"{why}; and {error}"
    if arguments.json:
        print_json({"error": {"kind": "not serving", "message": message}})
    return WrongUse(message)


def _from_outside(look: Callable[[str], int], told: str) -> int:
    """What that look returns, or the status after Ctrl-C."""
    try:
        return look(told)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def attaching(
    arguments: argparse.Namespace,
    act: Callable[[], int],
    unanswered: Callable[[str], int] | None = None,
    unserved: Callable[[str], int] | None = None,
) -> int:
    """What `talk` says, of a call that connects by itself, or attaches to a process."""
    from freezethreads._attach.errors import AttachError, Unreached
    from freezethreads.control import (
        ControlError,
        NoAnswer,
        NotServing,
        ProcessEnded,
        RequestRefused,
    )

    try:
        return act()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # the end of the connection ends what was asked for
    except Unreached as error:
        from freezethreads.cli._unreached import tell_unreached

        tell_unreached(arguments, error)
        return 1
    except AttachError as error:
        if arguments.json:
            print_json({"error": {"kind": "attach", "message": str(error)}})
        raise WrongUse(clean_lines(str(error))) from error
    except ControlError as error:
        whole = clean_lines(str(error))
        told = whole if getattr(arguments, "wide", False) else short_paths(whole)
        if unanswered is not None and isinstance(error, NoAnswer):
            return _from_outside(unanswered, told)
        if unserved is not None and isinstance(error, NotServing):
            return _from_outside(unserved, told)
        if arguments.json:
            details = error.details if isinstance(error, RequestRefused) else {}
            print_json({"error": {"kind": error.kind, "message": str(error), **details}})
        is_wrong = isinstance(error, RequestRefused) and error.kind == "wrong"
        if is_wrong or not isinstance(error, (RequestRefused, NoAnswer, ProcessEnded)):
            raise WrongUse(told) from error
        print(f"{arguments.parser.prog}: {told}", file=sys.stderr)
        is_late = isinstance(error, RequestRefused) and error.kind == "timeout"
        if is_late or isinstance(error, NoAnswer):
            print(next_step(arguments), file=sys.stderr)
        return 1


def print_json(value: object) -> None:
    """Print what a program is to read."""
    say(json.dumps(value, indent=2))


def say(text: str) -> None:
    """Print lines, unless who reads them has gone, as `head` does.

    What cannot be encoded is escaped. Raises SystemExit with the reason if they cannot be written.
    """
    try:
        print(encodable(text, sys.stdout), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # also for what is to come
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"freezethreads: cannot print: {error.strerror}")


def in_words(freezer: dict[str, Any]) -> str:
    """How many threads it has, and who has stopped them: a line for each freeze that stands."""
    count, others = freezer["threads"], freezer.get("others")
    threads = f"thread{'' if count == 1 else 's'}"
    who = f"{count} {threads}"  # of an older version
    if others is not None:
        who = f"{count} registered {threads}, {others} other{'' if others == 1 else 's'}"
    lines = [f"{who}, {freezer['state']}"]
    return "\n".join([*lines, *map(_freeze_in_words, freezer["freezes"])])


def _freeze_in_words(freeze: dict[str, Any]) -> str:
    groups = freeze["group"].split(", ")
    several = "s" if len(groups) > 1 else ""
    group = f" of group{several} {', '.join(map(repr, groups))}" if freeze["group"] else ""
    why = f", for {freeze['reason']!r}" if freeze["reason"] else ""
    how = "stands" if freeze["state"] == "frozen" else "is waited for"
    kind = freeze["kind"] + where_in_words(freeze)
    hook = freeze.get("hook")
    inside = f", in its hook {hook['name']!r} for {hook['seconds']:.1f} s" if hook else ""
    return f"  a {kind}{group} by {freeze['by']} {how}, {freeze['seconds']:.1f} s{why}{inside}"


def _complete_pid(**_: object) -> Iterable[str]:
    from freezethreads.control import find_processes

    return map(str, find_processes())
