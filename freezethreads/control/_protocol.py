"""JSON lines: one request, one answer, each a line with the version of this protocol in it.

::

    {"version": 1, "request": "freeze", "arguments": {"group": "io", "timeout": 5}}
    {"version": 1, "result": {"threads": 12, "waited": 0.002, "lease": 60.0}}
    {"version": 1, "error": {"kind": "timeout", "message": "1 of 12 ...", "stragglers": [...]}}

Nothing that arrives is evaluated or unpickled, and what is not exactly this is an error. A line has
a longest length, and has to be there within a time, for whoever reads it. Its brackets are counted
before it is decoded: the decoder calls itself for each level, and ends the process where the stack
of its thread is too small for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final, NoReturn, TypeAlias

Message: TypeAlias = dict[str, Any]

VERSION: Final = 1
LONGEST_REQUEST: Final = 64 * 1024
LONGEST_ANSWER: Final = 64 * 1024 * 1024
DEEPEST: Final = 16
"""Levels of brackets in a message. The requests and answers that there are have 7 at most."""

_STRING = re.compile(rb'"[^"]*"?')  # when no quote in it is escaped; one without an end as well
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class ProtocolError(ValueError):
    """What came is no message of this protocol. Nothing was done."""


def encode(message: Mapping[str, object]) -> bytes:
    """Return the line of a message. Raises TypeError or ValueError for what is not JSON."""
    text = json.dumps({"version": VERSION, **message}, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line, without its version. Raises `ProtocolError`."""
    _check_depth(line)
    try:
        message = json.loads(line.decode(), parse_constant=_refuse_constant)
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


def result_of(message: Message) -> tuple[Message | None, Message]:
    """Return the result of an answer, or None, and its error. Raises `ProtocolError`."""
    result, error = message.get("result"), message.get("error")
    if isinstance(result, dict):
        return result, {}
    if isinstance(error, dict) and isinstance(error.get("message"), str) and "kind" in error:
        return None, error
    raise ProtocolError("an answer has a result or an error")


def _check_depth(line: bytes) -> None:
    """Refuse a line that is nested too deeply, as far as it can be JSON, without a recursion.

    Up to the first byte that is no JSON, where the decoder stops, a quote begins or ends a string.
    """
    unescaped = line.replace(rb"\\", b"").replace(rb"\"", b"")
    brackets = _STRING.sub(b"", unescaped).translate(None, _NO_BRACKETS)
    levels = accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
    if any(level > DEEPEST for level in levels):
        raise ProtocolError(f"no JSON line: it is nested too deeply, in more than {DEEPEST} levels")


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is no JSON")
