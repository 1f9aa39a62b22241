"""What the control socket holds to, whatever a client does; and a client, whatever is answered."""

from __future__ import annotations

from freezethreads.control._arguments import Arguments, seconds, text
from freezethreads.control._channel import Channel
from freezethreads.control._protocol import Message, check_extent
from freezethreads.control._server import Server
from freezethreads.control._session import Session
from freezethreads.control._spoken import answer_of
from stress.mutants._mutant import breaks, put, replace


@breaks("what a client holds ends with its connection", "socket")
def hold_outlives_its_client() -> None:
    put(Session, "close", lambda self: None)


@breaks("the connection of a client that has gone is closed", "socket")
def connections_left_open() -> None:
    left: list[object] = []

    def forget(self: Server, channel: Channel) -> None:
        self._clients.pop(channel, None)
        left.append(channel)  # or its end would close it

    put(Server, "_drop", forget)


@breaks("the arguments of a request are checked", "socket")
def arguments_believed() -> None:
    def believed(arguments: Arguments, name: str, default: object, least: float = 0.0) -> object:
        return arguments.get(name, default)

    replace(seconds, believed)
    replace(text, lambda arguments, name, default="": arguments.get(name, default))


@breaks("what is nested too deeply is refused before it is decoded", "socket")
def depth_not_counted() -> None:
    replace(check_extent, lambda line: None)


@breaks("an answer is held against the protocol", "socket")
def answers_believed() -> None:
    def believed(name: str, message: Message) -> tuple[Message | None, Message]:
        return message.get("result"), message.get("error", {})

    replace(answer_of, believed)


@breaks("a line has a longest length", "socket")
def lines_of_any_length() -> None:
    receive = Channel.receive

    def receive_all(self: Channel, longest: int, idle: float, seconds: float) -> Message | None:
        return receive(self, 2**40, idle, seconds)

    put(Channel, "receive", receive_all)
