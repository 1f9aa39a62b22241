"""Walks through the verbs on programs that run, and shows what each prints: `tools/transcript`.

The walks are the demo, and a waitress server under load, started by `freezethreads run`. With
`--write`, what is between the marks in docs/how-to/outside.md is made anew. A moment in which the
demo has just stopped its threads itself shows more than another one: make the walk again then,
since the test wants every line that is shown to be printed each time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "outside.md"
MARKS = ("<!-- transcript: made by tools/transcript --write -->", "<!-- end of the transcript -->")
LONGEST = 10
"""Lines of an output that are shown."""
WIDEST = 118
"""Characters of a line that are shown."""

_COMMAND = (sys.executable, "-m", "freezethreads")

_SERVER = """\
import time
from waitress import create_server

def answer(environ, start_response):
    time.sleep(0.002)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

server = create_server(answer, host="127.0.0.1", port=0, threads=2)
print(server.effective_port, flush=True)
server.run()
"""


Start = Callable[[str, dict[str, str]], AbstractContextManager[int]]


@dataclass(frozen=True)
class Step:
    """A command as a person gives it, its status, and all that it printed."""

    command: str
    status: int
    output: str


@dataclass(frozen=True)
class Walk:
    """What is walked through, and the steps."""

    program: str
    steps: Sequence[Step]


VERBS = (
    "ps",
    "threads PID",
    "freeze PID --reason 'to look at it'",
    "dump PID",
    "thaw PID",
    "stuck PID",
    "sites PID",
)


PROGRAMS = (
    "freezethreads demo --serve --threads 2",
    "FREEZETHREADS_CONTROL=1 freezethreads run server.py",
)


def walk_all() -> list[Walk]:
    """Start the programs, each in a world of its own, and give each verb to each."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_walk, PROGRAMS, (_demo, _server)))


def _walk(program: str, start: Start) -> Walk:
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:  # a short path, for a socket
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": folder,
            "TMPDIR": folder,
        }
        (Path(folder) / "server.py").write_text(_SERVER)
        with start(folder, environment) as pid:
            return Walk(program, [_step(verb, pid, environment, folder) for verb in VERBS])


@contextmanager
def _running(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, threads: int
) -> Iterator[subprocess.Popen[str]]:
    """A process, from when so many threads of it are registered. It ends with the block."""
    with subprocess.Popen(
        [*_COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            while _count_threads(process.pid, environment) < threads:
                if process.poll() is not None:
                    raise RuntimeError(f"{arguments} ended before it was ready")
            yield process
        finally:
            process.kill()


def _count_threads(pid: int, environment: Mapping[str, str]) -> int:
    """How many threads it has registered by now, as `ps` says."""
    found = subprocess.run(
        [*_COMMAND, "ps", "--json"], env=environment, capture_output=True, check=True
    )
    processes = json.loads(found.stdout)["processes"]
    return sum(one["threads"] or 0 for one in processes if one["pid"] == pid)


@contextmanager
def _demo(folder: str, environment: dict[str, str]) -> Iterator[int]:
    arguments = ["demo", "--serve", "--threads", "2", "--no-compare"]
    with _running(arguments, environment, folder, 2) as process:
        yield process.pid


@contextmanager
def _server(folder: str, environment: dict[str, str]) -> Iterator[int]:
    environment = {**environment, "FREEZETHREADS_CONTROL": "1"}
    with _running(["run", "server.py"], environment, folder, 3) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        over = threading.Event()
        asked = threading.Event()
        clients = [threading.Thread(target=_ask, args=(port, asked, over)) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            asked.wait(30)
            yield process.pid
        finally:
            over.set()
            for client in clients:
                client.join()


def _ask(port: int, asked: threading.Event, over: threading.Event) -> None:
    """The load: one request after another. Who stands frozen answers when it is thawed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    while not over.is_set():
        connection.request("GET", "/")
        connection.getresponse().read()
        asked.set()
    connection.close()


def _step(verb: str, pid: int, environment: Mapping[str, str], folder: str) -> Step:
    command = verb.replace("PID", str(pid))
    result = subprocess.run(
        [*_COMMAND, *shlex.split(command)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=60,
        check=False,
    )
    output = (result.stdout + result.stderr).rstrip("\n")
    return Step(f"freezethreads {command}", result.returncode, output)


def render(walks: Sequence[Walk]) -> str:
    """The walks as Markdown, long outputs and long lines cut."""
    parts = []
    for walk in walks:
        lines = []
        for step in walk.steps:
            lines += [f"$ {step.command}", *_shortened(step.output)]
        body = "\n".join(lines)
        parts.append(f"`{walk.program}`:\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


def _shortened(output: str) -> list[str]:
    lines = [_cut(line) for line in output.rstrip("\n").split("\n")]
    return lines if len(lines) <= LONGEST else [*lines[: LONGEST - 1], "..."]


def _cut(line: str) -> str:
    return line if len(line) <= WIDEST else line[: WIDEST - 3].rstrip() + "..."


def shape_of(line: str) -> str:
    """A line without what differs from run to run: numbers, names, states, places, frames."""
    if re.match(r"(-->|   ) \S+ \(\S+\)$|    \(\d+ frames? of freezethreads\)$", line):
        return "a frame"
    if re.match(r"[\w-]+ \(ident \d+, native \d+(, group \S+)?\): ", line):
        return "a thread"
    if re.match(r"[\w-]+ +(running|blocked|frozen|unregistered) ", line):
        return "a thread's row"
    if re.match(r" *\d+  (safepoint|blocking|wait) ", line):
        return "a site's row"
    # Whether the thread that is not registered has moved just now.
    line = re.sub(r"healthy, with \d+ warnings?\.", "healthy.", line)
    line = re.sub(r"\d+(\.\d+)?(e-\d+)?( ms| s)?\b", "#", line)
    line = re.sub(r"\b(running|blocked|frozen|freezing)\b", "*", line)
    return re.sub(r" +", " ", line).strip()


def shown(page: str) -> str:
    """What the page has between the marks."""
    return page.partition(MARKS[0])[2].partition(MARKS[1])[0]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/transcript",
        description="Walk through the verbs of freezethreads on the demo, and on a waitress server "
        "under load, and print what each says, as Markdown.",
    )
    parser.add_argument("--write", action="store_true", help="write it into its page instead")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Print the walks, or write them into their page."""
    options = parse(arguments)
    text = render(walk_all())
    if options.write:
        before = PAGE.read_text()
        head, rest = before.split(MARKS[0])
        PAGE.write_text(f"{head}{MARKS[0]}\n\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
