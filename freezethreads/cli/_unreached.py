"""What to say of a process none of whose threads has run Python in time to be attached to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from freezethreads._attach.errors import Unreached
from freezethreads._ground.text import HELPS, clean
from freezethreads.cli._pyspy import find_pyspy
from freezethreads.cli._remote import print_json

__all__ = ["tell_unreached"]


def tell_unreached(arguments: argparse.Namespace, error: Unreached) -> None:
    """Say what each of its threads waits in, and what would help."""
    advice = [*_advice(arguments.pid, error)]
    if arguments.json:
        threads = [{"native_id": i, "name": n, "wait": w} for i, n, w, _ in error.threads]
        told = {"message": str(error), "threads": threads, "advice": advice}
        print_json({"error": {"kind": "unreached", **told}})
    print(f"{arguments.parser.prog}: {error}", file=sys.stderr)
    for native, name, wait, _ in error.threads:
        print(f"  thread {native} ({clean(name)}) {wait}", file=sys.stderr)
    print(HELPS, *(f"  {one}" for one in advice), sep="\n", file=sys.stderr)


def _advice(pid: int, error: Unreached) -> Iterator[str]:
    look = f"`freezethreads dump {pid}`"
    if find_pyspy() is None:
        yield f"py-spy, which is not installed: `pip install py-spy`, then {look} shows the stacks"
    else:
        yield f"{look}, without attaching: it shows the stacks, by py-spy"
    if error.caught:
        yield (
            "a signal that the program handles in Python, sent while this command waits: it has "
            f"handlers, in Python or in C, for {', '.join(error.caught)}; choose one that does no "
            "harm"
        )
    if any(thread.ends for thread in error.threads):
        yield f"a longer time: `freezethreads attach {pid} --timeout 60`"
