"""A control socket and its clients, all of which are hostile."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from freezethreads import State, World
from freezethreads.cli import main
from freezethreads.control import (
    Client,
    ControlError,
    NoAnswer,
    ProcessEnded,
    RequestRefused,
    connect,
)
from freezethreads.control._protocol import LONGEST_REQUEST, ProtocolError, decode
from freezethreads.control._spoken import answer_of
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress.attack._footprint import Footprint
from stress.attack._fuzz import LONGEST_LEASE, LONGEST_TIMEOUT, Message, message, request
from stress.attack._liar import Answers, Liar, changed, encoded, nonsense

ATTACKERS = 6
"""Two less than the clients that a server has at once."""
CROWD = 40
"""Clients that come together, at most."""
REST = 0.001
"""Seconds between two steps of a witness."""
LONG = 0.1
"""Seconds of standing that are looked into."""
PATIENCE = 0.3
"""Seconds that a client which is lied to waits."""
logger = logging.getLogger("freezethreads")

COMMANDS = {
    "hello": ["threads"],
    "threads": ["threads"],
    "sites": ["sites"],
    "thaw": ["thaw"],
    "stacks": ["dump", "--no-freeze"],
    "stuck": ["stuck"],
}
"""Requests, and the commands that make them."""


class Asked:
    """A freeze that somebody has asked for, and until when it may stand."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.end: float | None = None


class Socket(Scenario):
    """Clients that fuzz, crowd, fall silent and go; servers that lie; and witnesses.

    Whatever is sent, there is an answer, as the protocol has it, or the connection ends, in time.
    Whatever is answered, a client says what is wrong in a line, in time. No witness stands for
    longer than was asked for, nobody stands in the end, and nothing has grown.
    """

    def setup(self) -> None:
        logger.disabled = True  # it warns of each lease that runs out
        self.footprint = Footprint()
        self.environment = os.environ.get("XDG_RUNTIME_DIR")
        self.folder = Path(tempfile.mkdtemp(prefix="ft-"))
        os.environ["XDG_RUNTIME_DIR"] = str(self.folder)
        self.serving = self.freezer.serve()
        self.asked: deque[Asked] = deque(maxlen=10_000)
        self.lock = threading.Lock()  # of what was asked, alone
        self.messages: dict[Actor, int] = {}
        self.connections: dict[Actor, int] = {}
        self.frozen: dict[Actor, int] = {}
        self.longest: dict[Actor, float] = {}
        self.longest_unasked: dict[Actor, float] = {}
        self.lies = 0
        # A process whose socket somebody else has.
        code = "import sys; sys.stdin.read()"
        self.victim = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.witness, self.threads, group="witnesses"),
            Role(self.believe, registered=False, main=True),
            Role(self.attack, ATTACKERS, registered=False),
            Role(self.crowd, registered=False),
        ]

    # The witnesses.

    def witness(self, actor: Actor) -> None:
        """Go on, and look back at each time that one stood."""
        seen = time.monotonic()
        self.longest[actor] = self.longest_unasked[actor] = 0.0
        while not actor.over:
            self.freezer.safepoint("witness")
            time.sleep(REST)
            now = time.monotonic()
            if now - seen > LONG:
                unasked = self.unasked(seen, now)
                self.longest_unasked[actor] = max(self.longest_unasked[actor], unasked)
                if unasked > self.freeze_timeout:
                    raise Violation(
                        f"stood for {now - seen:.1f} s, {unasked:.1f} s longer than was asked for"
                    )
            self.longest[actor] = max(self.longest[actor], now - seen)
            seen = now
            actor.step()

    def unasked(self, begin: float, end: float) -> float:
        """Seconds in that time in which no freeze that was asked for may have stood."""
        unasked = 0.0
        with self.lock:
            all_asked = list(self.asked)
        for asked in sorted(all_asked, key=lambda asked: asked.begin):
            unasked += max(0.0, min(asked.begin, end) - begin)
            begin = max(begin, end if asked.end is None else asked.end)
        return unasked + max(0.0, end - begin)

    @contextlib.contextmanager
    def asking(self) -> Iterator[Asked]:
        """A block in which freezes are asked for that end with it, or a little later."""
        asked = Asked()
        with self.lock:
            self.asked.append(asked)
        try:
            yield asked
        finally:
            asked.end = time.monotonic() + LONGEST_LEASE + LONGEST_TIMEOUT

    # Hostile clients.

    def attack(self, actor: Actor) -> None:
        """Talk to the server, in one connection after the other."""
        self.messages[actor] = self.connections[actor] = self.frozen[actor] = 0
        ways = [self.converse] * 6 + [self.freeze_and_go, self.talk_and_go]
        ways += [self.turn_deaf, self.close_half]
        while not actor.over:
            self.connections[actor] += 1
            with self.asking(), self.connected() as connection:
                actor.random.choice(ways)(actor, connection)
            actor.step()

    @contextlib.contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection, which is reset when the server wants no more."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(3 * self.freeze_timeout)
            try:
                connection.connect(str(self.serving.path))
                yield connection
            except TimeoutError:
                raise Violation(
                    "the server has neither answered nor ended the connection"
                ) from None
            except (BrokenPipeError, ConnectionResetError):
                pass

    def converse(self, actor: Actor, connection: socket.socket) -> None:
        """Message and answer, until one of the messages ends it."""
        with connection.makefile("rb") as lines:
            for _ in range(actor.random.randrange(1, 30)):
                sent = message(actor.random)
                self.messages[actor] += 1
                connection.sendall(sent.data)
                answer = lines.readline()
                if not check_answer(sent, answer):
                    return
                self.frozen[actor] += sent.request == "freeze" and b'"result"' in answer

    def freeze_and_go(self, actor: Actor, connection: socket.socket) -> None:
        """Freeze for as long as the connection lasts, which is not long."""
        sent = request("freeze", {"timeout": self.freeze_timeout / 4})
        self.messages[actor] += 1
        connection.sendall(sent.data)
        with connection.makefile("rb") as lines:
            answer = lines.readline()
        self.frozen[actor] += check_answer(sent, answer) and b'"result"' in answer

    def talk_and_go(self, actor: Actor, connection: socket.socket) -> None:
        """Go without an answer, at the end of a message or in its middle."""
        self.messages[actor] += 1
        data = message(actor.random).data
        connection.sendall(data[: actor.random.randrange(1, len(data) + 1)])

    def turn_deaf(self, actor: Actor, connection: socket.socket) -> None:
        """Ask and ask, and read nothing of what is answered."""
        asked = [request("threads", {}), request("freeze", {"timeout": 0.01, "lease": 0.01})]
        connection.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            for _ in range(actor.random.randrange(1, 200)):
                connection.sendall(actor.random.choice(asked).data)
                self.messages[actor] += 1

    def close_half(self, actor: Actor, connection: socket.socket) -> None:
        """Say that nothing more comes, and read what is answered: all is, and then it ends."""
        messages = [message(actor.random) for _ in range(actor.random.randrange(3))]
        for sent in messages:
            self.messages[actor] += 1
            connection.sendall(sent.data)
        connection.sendall(b'{"version": 1, '[: actor.random.randrange(16)])
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as lines:
            answers = list(lines)
        if len(answers) > len(messages) + 1:
            raise Violation(f"{len(messages)} messages have had {len(answers)} answers")

    def crowd(self, actor: Actor) -> None:
        """Come all together, and be let in or turned away."""
        while not actor.over:
            with contextlib.ExitStack() as stack:
                stack.enter_context(self.asking())
                clients = [
                    stack.enter_context(socket.socket(socket.AF_UNIX))
                    for _ in range(actor.random.randrange(1, CROWD))
                ]
                for client in clients:
                    client.settimeout(3 * self.freeze_timeout)
                    client.connect(str(self.serving.path))
                for client in actor.random.sample(clients, len(clients) // 2):
                    with contextlib.suppress(BrokenPipeError):
                        client.sendall(request("hello", {}).data)
                        client.recv(65536)
            actor.step()
            actor.pause(0.05)

    # Servers that lie.

    def believe(self, actor: Actor) -> None:
        """Ask a server that lies, as a client and as a command."""
        liar = Liar(self.serving.path.with_name(f"{self.victim.pid}.sock"), self.truth())
        try:
            while not actor.over:
                if actor.random.random() < 0.8:
                    self.hear_lie(actor, liar)
                else:
                    self.hear_nonsense(actor, liar)
                self.lies += 1
                actor.step()
        finally:
            liar.close()

    def truth(self) -> Answers:
        """What the server answers, as soon as it lets one more client in."""
        with self.asking(), self.client() as client:
            return {
                name: {"result": client.request(name, **arguments)}
                for name, arguments in (
                    *((name, {}) for name in ("hello", "threads", "sites", "statistics")),
                    ("freeze", {"lease": 1.0}),
                    ("thaw", {}),
                    ("stacks", {}),
                    ("stuck", {"timeout": 1.0}),
                )
            }

    def client(self) -> Client:
        while True:
            try:
                return connect(os.getpid())
            except (RequestRefused, NoAnswer, ProcessEnded):
                time.sleep(REST)  # the fuzz has all places: nothing tells when one is free

    def hear_lie(self, actor: Actor, liar: Liar) -> None:
        """Run a command to which one thing is a lie: it says so in a line, and its JSON is JSON."""
        name = actor.random.choice([*COMMANDS])
        lie = encoded(changed(liar.truth[name], actor.random))
        liar.lies = {name: lambda connection: connection.sendall(lie)}
        command = [COMMANDS[name][0], str(self.victim.pid), *COMMANDS[name][1:]]
        command += actor.random.choice([[], ["--json"]])
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main(command)
        except SystemExit as ended:
            status = int(ended.code or 0)
        except Exception as error:
            raise Violation(f"{command} ended in {error!r}, being told {lie!r:.1000}") from error
        printed = out.getvalue() + err.getvalue()
        if status not in (0, 1, 2) or err.getvalue().count("\n") > 1 or "\x1b" in printed:
            raise Violation(f"{command} ended with {status}, being told {lie!r:.1000}:\n{printed}")
        if "--json" in command:
            json.loads(out.getvalue(), parse_constant=refuse_constant)

    def hear_nonsense(self, actor: Actor, liar: Liar) -> None:
        """Be told too much, too little, nothing, or nothing that there is."""
        name = actor.random.choice(["hello", "thaw"])
        liar.lies = {name: nonsense(actor.random)}
        began = time.monotonic()
        try:
            with connect(self.victim.pid, patience=PATIENCE) as client:
                client.request("thaw")
        except ControlError:
            pass
        else:
            raise Violation("nonsense was taken for an answer")
        if (took := time.monotonic() - began) > PATIENCE + self.freeze_timeout:
            raise Violation(f"a client with {PATIENCE} s of patience took {took:.1f} s")

    # What holds in each world, and in the end.

    def control(self, actor: Actor) -> None:
        with self.asking():
            super().control(actor)
        self.footprint.look()

    def invariant(self, world: World) -> None:
        running = [info.name for info in world.threads if info.state is not State.FROZEN]
        if running:
            raise Violation(f"{', '.join(running)} run in a world")

    def teardown(self) -> None:
        logger.disabled = False
        self.serving.close()
        assert self.victim.stdin is not None
        self.victim.stdin.close()
        self.victim.wait()
        shutil.rmtree(self.folder)
        if self.environment is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = self.environment
        counts = (self.messages, self.connections, self.frozen)
        messages, connections, frozen = (sum(count.values()) for count in counts)
        longest = max(self.longest.values(), default=0.0)
        print(f"{messages} messages over {connections} connections, {frozen} freezes by them")
        unasked = max(self.longest_unasked.values(), default=0.0)
        print(f"{self.lies} lies; a witness stood for {longest:.2f} s, {unasked:.2f} s unasked")
        self.asked.clear()  # what it notes itself is no leak
        print(self.footprint.check(2 * self.freeze_timeout))


def check_answer(sent: Message, line: bytes) -> bool:
    """Raise `Violation` unless that may be answered; return whether the connection goes on."""
    if not line:
        if len(sent.data) > LONGEST_REQUEST:
            return False  # which was not read to its end
        raise Violation(f"{sent.data!r:.200} ended the connection without a word")
    try:
        result, error = answer_of(sent.request or "hello", decode(line[:-1]))
    except ProtocolError as problem:
        raise Violation(f"{sent.data!r:.200} was answered wrongly: {problem}") from problem
    kind = error.get("kind", "")
    if kind == "busy" and "clients" in error["message"]:
        return False
    if sent.request and kind not in ("internal", "protocol", "slow"):
        return True
    if not sent.request and kind == "protocol":
        return False
    raise Violation(f"{sent.data!r:.200} was answered with {error or result!r:.200}")


def refuse_constant(name: str) -> None:
    """For `json.loads`."""
    raise Violation(f"{name} is no JSON")
