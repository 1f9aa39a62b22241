"""The command line: ``freezethreads VERB ...``. Each verb has a module of its own.

Exit status: 0 done, 1 failed, 2 wrong use (nothing was touched), 128 + N ended by signal N.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from freezethreads.cli import (
    _attach,
    _demo,
    _detach,
    _dump,
    _freeze,
    _ps,
    _run,
    _sites,
    _stuck,
    _thaw,
    _threads,
)
from freezethreads.cli._parser import Parser, WrongUse
from freezethreads.cli._remote import say

__all__ = ["main"]

# Each has `NAME`, `SUMMARY`, `describe(parser)`, and `run(arguments)`, which returns the status.
_VERBS = (
    _demo,
    _run,
    _ps,
    _attach,
    _threads,
    _freeze,
    _thaw,
    _dump,
    _stuck,
    _sites,
    _detach,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. `argv` of None: the process's own arguments.

    For the main thread, which alone can be told of signals. Wrong arguments and ``--help`` raise
    SystemExit.
    """
    parser = _make_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how a command line could go on
        _complete(parser)
    words = sys.argv[1:] if argv is None else list(argv)
    _check_verb(parser, words)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(arguments.parser, unknown)
    try:
        status: int = arguments.run(arguments)
    except WrongUse as error:
        arguments.parser.exit(2, f"{arguments.parser.prog}: {error}\n")
    return status


def _make_parser() -> Parser:
    parser = Parser(
        prog="freezethreads",
        description="Stop every thread of a program at a safe point, look, and let them go on.",
        epilog="example: freezethreads demo --threads 4",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in _VERBS:
        subparser = verbs.add_parser(verb.NAME, help=verb.SUMMARY)
        verb.describe(subparser)
        subparser.set_defaults(run=verb.run, parser=subparser)
    return parser


def _check_verb(parser: Parser, words: Sequence[str]) -> None:
    """Refuse a word that is no verb, with the one that may have been meant."""
    names = [verb.NAME for verb in _VERBS]
    if not words or words[0].startswith("-") or words[0] in names:
        return
    if words[0] == "help":
        verb = words[1] if words[1:] and words[1] in names else "VERB"
        parser.error(f"there is no 'help': write `{parser.prog} {verb} --help`")
    close = get_close_matches(words[0], names, 1)
    meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    parser.error(f"no such verb: {words[0]!r}; {meant}")


def _refuse(parser: Parser, unknown: Sequence[str]) -> NoReturn:
    """Refuse what the verb's parser does not know, in the verb's name."""
    options = [option for action in parser._actions for option in action.option_strings]
    close = get_close_matches(unknown[0].partition("=")[0], options, 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")


def _complete(parser: Parser) -> None:
    try:
        import argcomplete
    except ModuleNotFoundError:
        return  # the shell gets nothing to choose from
    argcomplete.autocomplete(parser, always_complete_options=False)


class _Version(argparse.Action):
    """Looks the version up when it is asked for, which takes a while."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("freezethreads")
        except PackageNotFoundError:
            found = "(not installed: this is a checkout)"
        say(f"freezethreads {found}")
        parser.exit()
