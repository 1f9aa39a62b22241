"""JSON lines: what is one, what is none, and how long it may be and take."""

from __future__ import annotations

import json
import math
import sys
from _socket import socketpair
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freezethreads.control import _channel
from freezethreads.control._channel import Channel, Socket
from freezethreads.control._protocol import (
    DEEPEST,
    VERSION,
    ProtocolError,
    decode,
    encode,
    request_of,
)
from freezethreads.control._spoken import answer_of
from helpers import run_python

texts = st.text('aé"\\\n\x00{[ \U0001f9ca\ud800', max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=5,
)
documents = values.map(lambda value: json.dumps(value).encode())


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    one, other = (Channel(Socket(fileno=end.detach())) for end in socketpair())
    yield one, other
    one.forget()
    other.forget()


@settings(max_examples=50)
@given(st.dictionaries(texts, values))
def test_what_is_encoded_is_one_line_and_can_be_decoded(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.index(b"\n") == len(line) - 1
    assert decode(line) == message


@settings(max_examples=100)
@given(st.binary() | documents)
def test_anything_else_is_refused_with_the_one_error(line: bytes) -> None:
    try:
        message = decode(line)
    except ProtocolError:
        return
    assert json.loads(line)["version"] == VERSION
    assert isinstance(message, dict)


WRONG = {
    b"": "no JSON line",
    b"\xff": "no JSON line",
    b"[" * 60_000: "nested too deeply",
    b"9" * 60_000: "no JSON line",
    b"[]": "a JSON object",
    b"{}": "version",
    b'{"version": true}': "version",
    b'{"version": 2}': "not 2",
    b'{"version": 1, "x": NaN}': "NaN is no JSON",
    b'{"version": 1, "x": -Infinity}': "-Infinity is no JSON",
    b'{"version": 1} {}': "no JSON line",
    b'{"version": 1, "x": 1e999}': "1e999 is too large",
    b'{"version": 1, "x": -1e999}': "-1e999 is too large",
    b'{"version": 1, "x": [' + 2_000_000 * b"1," + b"1]}": "more than 2000000 values",
}


@pytest.mark.parametrize("line", WRONG, ids=lambda line: repr(line[:30]))
def test_the_error_says_what_is_wrong(line: bytes) -> None:
    with pytest.raises(ProtocolError, match=WRONG[line]):
        decode(line)


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]", inner: bytes = b"") -> bytes:
    """A message with that many levels of brackets."""
    levels -= 1
    return b'{"version": 1, "x": ' + levels * opening + inner + levels * closing + b"}"


NESTED = {
    "lists": nested(DEEPEST + 1),
    "objects": nested(DEEPEST + 1, b'{"x":', b"}", b"0"),
    "after a string": nested(DEEPEST + 1, rb'["\\", "\"", ', b"]", b"0"),
    "without an end": b"[" * (DEEPEST + 1),
    "beyond a long string": nested(1, b'["' + b"[" * 200_000 + b'",', b"", b"[" * DEEPEST),
    "in a line that is no text": b"[" * 100 + b"\xff",
    "at great length": b"[" * 2_000_000,
}


@pytest.mark.parametrize("name", NESTED)
def test_what_is_nested_too_deeply_is_refused(name: str) -> None:
    """Before it is decoded, so whatever stack the thread has."""
    with pytest.raises(ProtocolError, match="nested too deeply, in more than 16 levels"):
        decode(NESTED[name])


def test_what_is_nested_enough_is_not() -> None:
    assert decode(nested(DEEPEST))
    for inner in ("[" * 200_000, '"' + "[" * 100, "\\" * 3 + "{" * 100):
        assert decode(nested(DEEPEST, inner=json.dumps(inner).encode()))


LARGE = """
import sys
from resource import RUSAGE_SELF, getrusage
from freezethreads.control._protocol import LONGEST_ANSWER, ProtocolError, decode
before = getrusage(RUSAGE_SELF).ru_maxrss
piece = sys.argv[1].encode()
head = b'{"version": 1, "x": ['
try:
    decode(head + piece * ((LONGEST_ANSWER - len(head) - 10) // len(piece)) + b'0]}')
except ProtocolError:
    pass
print((getrusage(RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is KiB that Linux counts")
@pytest.mark.parametrize("piece", ["[],", '"",', '"abcdefghijklmno",'])
def test_what_is_said_takes_a_memory_like_what_it_has_in_it(piece: str) -> None:
    """An answer as long as one can be, of many small values. They took forty times as much."""
    assert int(run_python(LARGE, piece).stdout) < 400


def test_the_depth_is_told_in_a_time_like_that_of_the_decoding() -> None:
    """Of what is made to take long: all brackets, all quotes, all escapes, one long string."""
    for piece in (b"[]", b'"', b"\\", b'\\"', b'["', b'"[]"'):
        with pytest.raises(ProtocolError):
            decode(piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"request": 1},
        {"request": "hello", "arguments": []},
        {"request": "hello", "arguments": {}, "more": 1},
    ],
)
def test_what_is_no_request(message: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="a request is"):
        request_of(message)


def test_a_request_and_an_answer() -> None:
    assert request_of({"request": "hello"}) == ("hello", {})
    assert answer_of("new", {"result": {}}) == ({}, {})
    error = {"kind": "wrong", "message": "no"}
    assert answer_of("new", {"error": error}) == (None, error)
    for answer in ({}, {"result": 1}, {"error": {"kind": "wrong"}}, {"result": {}, "error": error}):
        with pytest.raises(ProtocolError):
            answer_of("new", answer)


def test_what_is_not_json_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode({"x": math.nan})
    with pytest.raises(TypeError):
        encode({"x": object()})


Pair = tuple[Channel, Channel]


def test_messages_arrive_one_by_one_however_they_were_cut(pair: Pair) -> None:
    one, other = pair
    lines = encode({"a": 1}) + encode({"b": 2})
    one.socket.sendall(lines[:5])
    one.socket.sendall(lines[5:])
    assert [other.receive(99, 1, 1), other.receive(99, 1, 1)] == [{"a": 1}, {"b": 2}]
    one.end()
    assert other.receive(99, 1, 1) is None


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_not_read_to_its_end(pair: Pair, end: bytes) -> None:
    one, other = pair
    one.socket.sendall(b"x" * 1000 + end)
    with pytest.raises(ProtocolError, match="more than 999 bytes"):
        other.receive(999, 1, 1)


def test_a_line_that_has_no_end(pair: Pair) -> None:
    one, other = pair
    one.socket.sendall(b'{"version": 1')
    one.end()
    with pytest.raises(ProtocolError, match="in its middle"):
        other.receive(999, 1, 1)


def test_a_line_that_comes_too_slowly(pair: Pair) -> None:
    one, other = pair
    with pytest.raises(TimeoutError):
        other.receive(999, 0.01, 9)
    one.socket.sendall(b"{")
    with pytest.raises(TimeoutError):
        other.receive(999, 9, 0.01)
    with pytest.raises(TimeoutError):
        other.receive(999, 9, 0)


def test_an_answer_that_nobody_takes(pair: Pair) -> None:
    one, _ = pair
    with pytest.raises(TimeoutError):
        one.send(b"x" * 10_000_000, 0.01)


def test_of_one_that_talks_on_and_on_not_all_is_stored(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_channel, "_CHUNK", 100)
    one, other = pair
    other.socket.sendall(b"x" * 1000)
    assert one.is_closed()
    assert len(one._buffer) == 200


def test_whether_the_other_end_has_gone_is_told_without_waiting(pair: Pair) -> None:
    one, other = pair
    one.socket.settimeout(9)
    assert not one.is_closed()
    other.socket.sendall(encode({}))
    assert not one.is_closed()
    other.end()
    assert one.is_closed(), "whatever it has said before"
    assert one.receive(99, 9, 9) == {}
    assert one.is_closed()
    one.forget()
    assert one.is_closed()
