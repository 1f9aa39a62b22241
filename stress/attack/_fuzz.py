"""Messages for a control socket: sound ones, odd ones, and what is no message."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from freezethreads._ground.arguments import Where
from freezethreads.control._protocol import DEEPEST, LONGEST_REQUEST
from freezethreads.control._spoken import SPOKEN

LONGEST_LEASE = 0.05
"""Seconds that a hold which does not end with its connection lasts, at most."""
LONGEST_TIMEOUT = 0.05
"""Seconds in which all have to stop for a message, at most."""

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    1e308,
    -1e308,
    5e-324,
    "",
    "x" * 201,
    "\x1b[31m",
    "\ud800",
    "\x00",
    [],
    {},
    [[]],
    {"a": 1},
]


@dataclass(frozen=True)
class Message:
    """Some bytes to be sent, and what has to come of them.

    ``request``: the name of the request that is asked, so that there is an answer to it. "": it is
    none, the answer is an error of the protocol, if there is one, and the connection ends.
    """

    data: bytes
    request: str = ""


def message(choose: random.Random) -> Message:
    """One at random, most of them requests."""
    made: Message = choose.choices(_MAKERS, _WEIGHTS)[0](choose)
    return made


def request(name: str, arguments: dict[str, Any], **more: Any) -> Message:
    """A request as it is written."""
    text = json.dumps({"version": 1, "request": name, "arguments": arguments, **more})
    return Message(text.encode() + b"\n", name)


def _arguments(name: str, choose: random.Random) -> dict[str, Any]:
    """Sound ones, with odd values, so that nobody stands for long."""
    values: dict[str, Callable[[], Any]] = {
        "freezer": lambda: choose.choice(["socket", "nobody's", "\x1b"]),
        "group": lambda: choose.choice(["", "witnesses", "nobody", "\ud800"]),
        "timeout": lambda: choose.choice([5e-324, 0.001, LONGEST_TIMEOUT]),
        "lease": lambda: choose.choice([5e-324, 1e-9, 0.001, LONGEST_LEASE]),
        "reason": lambda: choose.choice(["", "why not", "\x1b[31m", "é" * 200]),
        "where": lambda: choose.choice([None, *get_args(Where), "nowhere"]),
        "settled": lambda: choose.choice([[], "tx", ["tx", "a.b"], ["\ud800"], [""], ["x"] * 200]),
        "hooks": lambda: choose.random() < 0.5,
        "keep": lambda: choose.random() < 0.5,
        "own": lambda: choose.random() < 0.5,
    }
    given = [one for one in SPOKEN[name].arguments if choose.random() < 0.3]
    arguments = {one: values[one]() for one in given}
    if "timeout" in SPOKEN[name].arguments:
        arguments["timeout"] = values["timeout"]()
    ends_with_its_client = not (arguments.get("keep") or arguments.get("where"))  # who may stand
    if name == "freeze" and not (ends_with_its_client and choose.random() < 0.1):
        arguments["lease"] = values["lease"]()
    return arguments


def _sound(choose: random.Random) -> Message:
    name = choose.choice([*SPOKEN])
    return request(name, _arguments(name, choose))


def _cheap(choose: random.Random) -> Message:
    name = choose.choice(["hello", "threads", "statistics", "renew", "thaw"])
    return request(name, _arguments(name, choose))


def _odd(choose: random.Random) -> Message:
    """A value of the wrong type, or at the edge of the right one."""
    name = choose.choice([*SPOKEN])
    arguments = _arguments(name, choose)
    wrong = choose.choice([*SPOKEN[name].arguments, "no such"])
    if wrong != "timeout" or name != "freeze":
        arguments[wrong] = choose.choice(ODD)
    if arguments.get("keep") is True or arguments.get("where") or wrong == "timeout":
        arguments["lease" if name == "freeze" else "timeout"] = 0.001
    return request(name, arguments)


def _unknown(choose: random.Random) -> Message:
    return request(choose.choice(["no such", "__class__", "x" * 60_000]), {})


def _misshapen(choose: random.Random) -> Message:
    """JSON, and no request."""
    value = choose.choice([*ODD, {"version": 1}, {"version": 2, "request": "hello"}])
    if choose.random() < 0.5:
        value = {"version": 1, "request": "hello", "arguments": choose.choice([None, [], 1, "x"])}
    return Message(json.dumps(value).encode() + b"\n")


def _garbage(choose: random.Random) -> Message:
    data = choose.randbytes(choose.randrange(1, 500)).replace(b"\n", b"")
    return Message(b"\xff" + data + b"\n")


def _nested(choose: random.Random) -> Message:
    levels = choose.randrange(DEEPEST + 1, LONGEST_REQUEST - 40)
    return Message(b'{"version": 1, "x": ' + choose.choice([b"[", b"{"]) * levels + b"\n")


def _huge(choose: random.Random) -> Message:
    spaces = choose.randrange(LONGEST_REQUEST + 1, 4 * LONGEST_REQUEST)
    return Message(b" " * spaces + request("hello", {}).data)


def _spoiled(choose: random.Random) -> Message:
    """A sound one in which one byte is another, which makes it no text."""
    data = bytearray(_sound(choose).data)
    data[choose.randrange(len(data) - 1)] = 0xFF
    return Message(bytes(data))


_MAKERS, _WEIGHTS = zip(
    *(
        (_cheap, 60),
        (_sound, 10),
        (_odd, 20),
        (_unknown, 2),
        (_misshapen, 2),
        (_garbage, 2),
        (_nested, 1),
        (_huge, 1),
        (_spoiled, 2),
    ),
    strict=True,
)
