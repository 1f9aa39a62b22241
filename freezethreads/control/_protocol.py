"""JSON lines: one request, one answer, each a line with the version of this protocol in it.

::

    {"version": 1, "request": "freeze", "arguments": {"group": "io", "timeout": 5}}
    {"version": 1, "result": {"threads": 12, "waited": 0.002, "lease": 60.0}}
    {"version": 1, "error": {"kind": "timeout", "message": "1 of 12 ...", "stragglers": [...]}}

Nothing that arrives is evaluated or unpickled, and what is not exactly this is an error. A line has
a longest length, and has to be there within a time, for whoever reads it. Its values and brackets
are counted before it is decoded: of three bytes an object of a hundred may be made, and the decoder
calls itself for each level, and ends the process where the stack of its thread is too small for
that. What requests and answers have in them is in `_spoken`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

Message: TypeAlias = dict[str, Any]

VERSION: Final = 1
LONGEST_REQUEST: Final = 64 * 1024
LONGEST_ANSWER: Final = 32 * 1024 * 1024
MOST_VALUES: Final = 2_000_000
"""In a message; as many as the stacks of a program with some ten thousand threads have."""
DEEPEST: Final = 16
"""Levels of brackets in a message. The requests and answers that there are have 7 at most."""

_PIECE: Final = 64 * 1024
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class ProtocolError(ValueError):
    """What came is no message of this protocol. Nothing was done."""


def encode(message: Mapping[str, object]) -> bytes:
    """Return the line of a message. Raises TypeError or ValueError for what is not JSON."""
    text = json.dumps({"version": VERSION, **message}, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line, without its version. Raises `ProtocolError`."""
    check_extent(line)
    try:
        message = json.loads(
            line.decode(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except ValueError as error:  # the decoding of UTF-8 as well
        raise ProtocolError(f"no JSON line: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("a message is a JSON object")
    version = message.pop("version", None)
    if type(version) is not int or version != VERSION:
        raise ProtocolError(
            f"version {VERSION} of the protocol is spoken here, not {version!r:.50}"
        )
    return message


def request_of(message: Message) -> tuple[str, dict[str, object]]:
    """Return the name and the arguments of a request. Raises `ProtocolError`."""
    name, arguments = message.pop("request", None), message.pop("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or message:
        raise ProtocolError('a request is {"version": ..., "request": "name", "arguments": {...}}')
    return name, arguments


def check_extent(line: bytes) -> None:
    """Refuse a line that has too many values or levels, as far as it can be JSON.

    Up to the first byte that is no JSON, where the decoder stops, a quote begins or ends a string.
    It is looked at in pieces, since there may be millions of strings. Raises `ProtocolError`.
    """
    unescaped = line.replace(rb"\\", b"").replace(rb"\"", b"")
    values = level = in_string = 0
    for start in range(0, len(unescaped), _PIECE):
        parts = unescaped[start : start + _PIECE].split(b'"')
        bare = b"".join(parts[in_string::2])
        in_string = (in_string + len(parts) - 1) % 2
        values += bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        if values > MOST_VALUES:
            raise ProtocolError(f"it has more than {MOST_VALUES} values")
        for bracket in bare.translate(None, _NO_BRACKETS):
            level += 1 if bracket in b"[{" else -1
            if level > DEEPEST:
                raise ProtocolError(f"it is nested too deeply, in more than {DEEPEST} levels")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ProtocolError(f"{text:.50} is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is no JSON")
