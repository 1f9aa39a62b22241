"""``freezethreads demo``: what it checks first, what it does and prints, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue

from freezethreads import FreezeError
from freezethreads.cli._parser import WrongUse
from freezethreads.cli._signals import signals_to
from freezethreads.demo import (
    INDEX,
    Demo,
    Document,
    Event,
    Outcome,
    Settings,
    TornSnapshot,
    View,
    WrongIndex,
    check_plot,
    draw_plot,
    list_documents,
    standard_library,
    table_of,
)

__all__ = ["run_demo", "status_of"]

COMPARISON = 10.0
"""Seconds that the run without freezing may last, if it is not the only one."""


def run_demo(arguments: argparse.Namespace) -> int:
    """Run the demo as `arguments` say, and return the exit status. Raises `WrongUse`."""
    root = (arguments.root or standard_library()).resolve()
    documents = _check(arguments, root)
    settings = Settings(
        root, _make_out(arguments), arguments.threads, arguments.every, arguments.serve
    )
    view = View(quiet=arguments.json, verbose=arguments.verbose)
    events: SimpleQueue[Event] = SimpleQueue()
    demo = Demo(settings, documents, view, events)
    try:
        with signals_to(events.put):
            _run(demo, arguments, view)
        if arguments.out is None and demo.outcome.digest:
            _remove(demo.outcome, view)
        _print(demo.outcome, arguments, view)
    except WrongIndex as error:
        raise WrongUse(str(error)) from error
    except (FreezeError, OSError, TornSnapshot) as error:
        print(f"freezethreads demo: {error}", file=sys.stderr)
        return 1
    return status_of(demo.outcome)


def _check(arguments: argparse.Namespace, root: Path) -> list[Document]:
    """Return the documents. Raises `WrongUse`, with nothing touched."""
    for path in filter(None, (root, arguments.out)):
        if not str(path).isprintable():
            raise WrongUse(f"{str(path)!a}: a name that cannot be printed; choose another one")
    if not root.is_dir():
        raise WrongUse(f"--root {root}: there is no such directory")
    documents = list_documents(root)
    if not documents:
        raise WrongUse(f"--root {root}: there is no .py file below it")
    if arguments.plot:
        if arguments.no_freeze:
            raise WrongUse("--plot draws freezes, and with --no-freeze there are none")
        if problem := check_plot(arguments.plot):
            raise WrongUse(f"--plot {arguments.plot}: {problem}")
    if arguments.out:
        _check_out(arguments.out)
    return documents


def _check_out(out: Path) -> None:
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise WrongUse(f"--out {out}: {existing} is a file; name a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise WrongUse(f"--out {out}: no permission to write in {existing}")


def _make_out(arguments: argparse.Namespace) -> Path:
    """Return the directory of the index, made if need be, and without an old index if so asked."""
    try:
        if arguments.out is None:
            if arguments.no_freeze:  # which makes one of its own, and removes it
                return Path(tempfile.gettempdir())
            return Path(tempfile.mkdtemp(prefix="freezethreads-demo-"))
        out: Path = arguments.out.absolute()
        out.mkdir(parents=True, exist_ok=True)
        if arguments.fresh:
            for name in (INDEX, f"{INDEX}-journal"):
                (out / name).unlink(missing_ok=True)
    except OSError as error:
        where = arguments.out or "DIRECTORY is needed, as there is no temporary one"
        raise WrongUse(f"--out {where}: {error.strerror}") from error
    return out


def _run(demo: Demo, arguments: argparse.Namespace, view: View) -> None:
    if arguments.no_freeze:
        demo.run_unfrozen()
        return
    demo.run_freezing()
    run = demo.outcome.freezing
    if run and run.stopped_by is None and not arguments.no_compare:
        view.say(f"now without freezing, to compare, for up to {COMPARISON:.0f} seconds ...")
        demo.run_unfrozen(COMPARISON)


def _remove(outcome: Outcome, view: View) -> None:
    """Leave no temporary index that nobody goes on with, since it is complete."""
    assert outcome.out is not None  # where the complete index is
    shutil.rmtree(outcome.out)
    outcome.out = None
    view.say("the index was temporary, and is gone; with --out DIR it stays")


def _print(outcome: Outcome, arguments: argparse.Namespace, view: View) -> None:
    if outcome.freezing or outcome.no_freeze:
        view.say(f"\n{table_of(outcome)}")
    if arguments.plot:
        freezes = outcome.freezing.freezes if outcome.freezing else []
        if freezes:
            draw_plot(arguments.plot, freezes, outcome.threads)
            view.say(f"\npicture: {arguments.plot}")
        else:
            view.say("\nno picture: nobody was frozen")
    if arguments.json:
        print(json.dumps(outcome.as_json(), indent=2))


def status_of(outcome: Outcome) -> int:
    """The exit status for a demo that came to its end."""
    if outcome.freezing and outcome.freezing.torn:
        return 1
    for run in (outcome.freezing, outcome.no_freeze):
        if run and run.stopped_by:
            return 128 + run.stopped_by
    return 0
