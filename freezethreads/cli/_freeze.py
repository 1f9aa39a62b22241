"""``freezethreads freeze PID`` stops the threads of a process, and leaves them stopped."""

from __future__ import annotations

import argparse
import signal
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from freezethreads._ground.text import clean_lines
from freezethreads.cli._parser import seconds
from freezethreads.cli._remote import (
    add_attach,
    add_freezer,
    add_json,
    add_pid,
    add_timeout,
    add_where,
    print_json,
    say,
    talk,
    where_in_words,
    where_of,
)
from freezethreads.cli._signals import signals_to
from freezethreads.cli._wide import add_wide, shown

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "freeze"
SUMMARY = "stop the threads of a process"

DESCRIPTION = """\
Stops all registered threads of a process at their safepoints, or those of a group, and returns when
they stand. With --where unlocked or anywhere it stops every thread, registered or not, between two
bytecodes, which needs CPython 3.12; with a group, the registered ones of that. With --hooks the
hooks that the program has added are called: to flush a cache before its files are copied, say. They
stand until 'freezethreads thaw PID', or until the lease ends: so whoever forgets them leaves a
running program behind. Freezing again starts the lease anew. With --wait the command stays, and
renews the lease, until Ctrl-C; the threads go on when it ends, however it ends. If some thread does
not stop in time, the report says which and where, everybody is let go, and the status is 1.
"""
EPILOG = """\
examples:
  freezethreads freeze 4711 --reason "to look at the queues"
  freezethreads freeze 4711 --group io --timeout 5 --lease 600
  freezethreads freeze 4711 --group compute --group log
  freezethreads freeze 4711 --wait
  freezethreads freeze 4711 --where unlocked
  freezethreads freeze 4711 --settled tx --settled reply
"""
_MOST_CAUGHT = 5  # that are told
_MAY_BE_TORN = (
    "What they do may be half done: --settled KIND stops nobody inside pending(KIND), and --where "
    "unlocked nobody with a lock in hand"
)
_RENEWAL = 5.0  # seconds between two renewals, or a third of the lease if that is less


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_attach(parser)
    add = parser.add_argument
    add(
        "--group",
        metavar="G",
        action="append",
        default=[],
        help="only this group, a dotted name (default: all); where it is repeated, each is stopped "
        "when the one before stands, and they are let go in reverse",
    )
    add_timeout(parser, "give up if not all stand within S seconds", 20.0)
    add(
        "--lease",
        type=seconds,
        metavar="S",
        default=60.0,
        help="let them go by themselves S seconds after they stand (default: 60)",
    )
    add_where(parser)
    add(
        "--settled",
        metavar="KIND",
        action="append",
        default=[],
        help="stop no thread inside pending() of this kind, a dotted name, and nobody before what "
        "is outstanding() of it is done; may be repeated",
    )
    add(
        "--hooks",
        action="store_true",
        help="have the program's hooks called when all stand, and undone at the thaw",
    )
    add("--reason", metavar="TEXT", default="", help="shown to whoever looks meanwhile")
    add("--wait", action="store_true", help="stay, and thaw at the end")
    add_freezer(parser)
    add_json(parser)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """Freeze, and return the status. Raises `WrongUse`."""
    act = _freeze_and_wait if arguments.wait else _freeze
    return talk(arguments, lambda client: act(client, arguments))


def _freeze(client: Client, arguments: argparse.Namespace) -> int:
    _tell(client, arguments, _ask(client, arguments))
    return 0


def _freeze_and_wait(client: Client, arguments: argparse.Namespace) -> int:
    """Hold on until a signal comes."""
    answer = _ask(client, arguments)
    every = min(_RENEWAL, answer["lease"] / 3)
    signals: SimpleQueue[signal.Signals] = SimpleQueue()
    with signals_to(signals.put):
        _tell(client, arguments, answer)  # who reads it may send one at once
        arguments.json = False  # that was the object: what goes wrong now is told in words
        while _is_empty(signals, every):
            client.request("renew")
    client.request("thaw", own=True)  # as if it had been killed: others' stays
    return 0


def _ask(client: Client, arguments: argparse.Namespace) -> dict[str, Any]:
    return client.request(
        "freeze",
        freezer=arguments.freezer,
        group=_groups(arguments),
        timeout=arguments.timeout,
        lease=arguments.lease,
        reason=arguments.reason,
        where=where_of(client, arguments),
        settled=arguments.settled or None,  # these two an older version does not know
        hooks=arguments.hooks or None,
        keep=not arguments.wait,
    )


def _groups(arguments: argparse.Namespace) -> str | list[str]:
    """A single one as a string: an older version does not know several."""
    groups: list[str] = arguments.group
    return groups if len(groups) > 1 else "".join(groups)


def _tell(client: Client, arguments: argparse.Namespace, answer: dict[str, Any]) -> None:
    if arguments.json:
        print_json(answer)
        return
    end = "until Ctrl-C" if arguments.wait else f"for {answer['lease']:g} s, or until a thaw"
    who = _who_stands(arguments, answer) + where_in_words(answer)
    say(clean_lines(f"process {client.pid}: {who} {end}{_who_goes_on(arguments, answer)}"))
    if answer.get("unknown"):
        say(clean_lines(f"  {_what_is_unknown(answer)}"))
    caught = sorted(answer.get("caught") or (), key=lambda one: str(one["kind"]))  # sections first
    for one in shown(caught[:_MOST_CAUGHT], arguments):
        where = "a " * (one["kind"] == "wait") + one["what"]
        say(clean_lines(f"  {one['name']} stands in {where}"))
    if len(caught) > _MOST_CAUGHT:
        say(f"  {len(caught) - _MOST_CAUGHT} more stand in sections or waits (--json names them)")
    if caught:
        say(f"  {_MAY_BE_TORN}")


def _who_stands(arguments: argparse.Namespace, answer: dict[str, Any]) -> str:
    count = answer["threads"]
    if count:
        return f"{count} thread{' stands' if count == 1 else 's stand'}"
    if not any(arguments.group):
        return "no thread is registered; who comes stands"
    groups = answer.get("groups") or []
    there = _there_are(groups)
    if groups == [""]:
        there = "; all threads are in the group ''"
    named = " or ".join(map(repr, arguments.group))
    who = f"no thread is registered in group {named}{there if groups else ''}"
    return f"{who}; who comes stands"


def _there_are(names: list[str]) -> str:
    return f"; there {'is' if len(names) == 1 else 'are'} {', '.join(map(repr, names))}"


def _what_is_unknown(answer: dict[str, Any]) -> str:
    """That it waited for nothing: a name that is misspelled, perhaps."""
    kinds = answer.get("kinds") or []
    there = _there_are(kinds) if kinds else ""
    unknown = " or ".join(map(repr, answer["unknown"]))
    return f"nothing of {unknown} was ever pending or outstanding, so it waited for nothing{there}"


def _who_goes_on(arguments: argparse.Namespace, answer: dict[str, Any]) -> str:
    """Those that are not registered, if all were to stand."""
    others = answer.get("others") or 0
    if "" not in (arguments.group or [""]) or not others:
        return ""
    who = "other" if answer["threads"] else "thread"
    which, go = ("which is", "goes") if others == 1 else ("which are", "go")
    who += "" if others == 1 else "s"
    who += f", {which} not registered with freezer {answer['freezer']!r}, {go}"
    them = "it" if others == 1 else "them"
    how = f" (`--where unlocked`, from CPython 3.12 on, stops {them} too)"
    return f"; {others} {who} on{how if answer.get('where') == 'safepoint' else ''}"


def _is_empty(signals: SimpleQueue[signal.Signals], wait: float) -> bool:
    """Whether no signal comes for so many seconds."""
    try:
        signals.get(timeout=wait)
        return False
    except Empty:
        return True
