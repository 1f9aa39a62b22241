"""The demo's shared index: what it holds, and the check that sees every disagreement in it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freezethreads.demo._documents import Document, Tokens, list_documents, standard_library
from freezethreads.demo._index import Index
from freezethreads.demo._snapshot import Recorder, TornSnapshot, take_snapshot


def make_index() -> Index:
    """Two finished documents, and one that is not."""
    index = Index()
    for path, text in {"a.py": "x = x", "b.py": "y = 1", "c.py": "x ( y"}.items():
        index.begin(path)
        index.add(path, text.split())
    index.finish("a.py", "")
    index.finish("b.py", "SyntaxError: no")
    return index


def check(index: Index) -> None:
    take_snapshot(index, {}, {}).check()


# What to break, and what the check is to say of it.
BREAKS: dict[str, tuple[Callable[[Index], object], str]] = {
    "posting counts too much": (
        lambda index: index.postings["x"].update({"a.py": 3}),
        "a.py: its words and their postings differ",
    ),
    "posting missing": (
        lambda index: index.postings["x"].pop("c.py"),
        "c.py: its words and their postings differ",
    ),
    "postings of a token missing": (
        lambda index: index.postings.pop("1"),
        "b.py: its words and their postings differ",
    ),
    "posting without a word": (
        lambda index: index.postings["1"].update({"a.py": 1}),
        "there are 8 words in documents, but 9 postings",
    ),
    "word missing": (
        lambda index: index.words["b.py"].pop("1"),
        "b.py: its words say 2 tokens, not 3",
    ),
    "word counts too much": (
        lambda index: index.words["a.py"].update({"=": 5}),
        "a.py: its words say 7 tokens, not 3",
    ),
    "document too short": (
        lambda index: index.lengths.update({"c.py": 2}),
        "c.py: its words say 3 tokens, not 2",
    ),
    "document without a length": (
        lambda index: index.lengths.pop("c.py"),
        "the documents have 6 tokens, not 9",
    ),
    "total of tokens": (
        lambda index: setattr(index, "tokens", 10),
        "the documents have 9 tokens, not 10",
    ),
    "total of documents": (
        lambda index: setattr(index, "documents", 3),
        "2 documents are finished, not 3",
    ),
    "finished, and not counted": (
        lambda index: index.finished.update({"c.py": ""}),
        "3 documents are finished, not 2",
    ),
    "finished, and never begun": (
        lambda index: index.finished.update({"d.py": index.finished.pop("a.py")}),
        "a document is finished that was never begun",
    ),
}


def test_a_whole_index_passes_the_check() -> None:
    check(make_index())


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_sees(name: str) -> None:
    change, expected = BREAKS[name]
    index = make_index()
    change(index)
    assert expected in list(take_snapshot(index, {}, {}).disagreements())
    with pytest.raises(TornSnapshot):
        check(index)


def test_the_check_sees_a_posting_of_a_document_that_has_not_changed() -> None:
    index = make_index()
    recorder = Recorder(index, {})
    index.add("c.py", [")"])
    recorder.take_whole()
    index.postings["1"]["a.py"] = 1
    with pytest.raises(TornSnapshot, match="9 words in documents, but 10 postings"):
        recorder.take_whole()


def test_an_index_disagrees_while_a_document_is_added_to() -> None:
    """1. The worker has counted one token of two in words and postings.
    2. A snapshot is taken. 3. The worker goes on to lengths and totals.
    """
    index = make_index()
    found: list[str] = []

    def tokens_with_a_snapshot_between() -> Iterator[str]:
        yield "x"
        found.extend(take_snapshot(index, {}, {}).disagreements())
        yield "y"

    index.add("c.py", tokens_with_a_snapshot_between())
    assert found == ["c.py: its words say 4 tokens, not 3"]
    check(index)


def test_a_recorder_takes_what_has_changed_since_it_was_kept() -> None:
    index = make_index()
    recorder = Recorder(index, {})
    assert recorder.take_whole().parts == {}
    index.add("c.py", ["z"])
    assert set(recorder.take_whole().parts) == {"c.py"}
    assert set(recorder.take_whole().parts) == {"c.py"}, "it was not kept"
    recorder.keep()
    assert recorder.take_whole().parts == {}
    index.finish("c.py", "")
    index.begin("d.py")
    assert set(recorder.take_whole().parts) == {"c.py", "d.py"}


def test_a_snapshot_is_a_copy() -> None:
    index = make_index()
    snapshot = take_snapshot(index, {}, {})
    index.add("c.py", ["x", "new"])
    index.finish("c.py", "")
    snapshot.check()
    assert snapshot.parts["c.py"].words == {"x": 1, "(": 1, "y": 1}
    assert snapshot.parts["c.py"].problem is None


def test_the_digest_depends_on_the_content_and_on_no_order() -> None:
    texts = {"a.py": "x = x", "b.py": "y = 1", "c.py": "x ( y"}
    shuffled = random.Random(1).sample(sorted(texts), len(texts))
    other = Index()
    for path in shuffled:
        other.begin(path)
        for token in texts[path].split():
            other.add(path, [token])
    other.finish("b.py", "SyntaxError: no")
    other.finish("a.py", "")
    assert other.digest() == make_index().digest()
    other.finish("c.py", "")
    assert other.digest() != make_index().digest()


@pytest.mark.parametrize("change", ["posting", "problem", "length", "tokens"])
def test_the_digest_sees_a_change(change: str) -> None:
    index = make_index()
    match change:
        case "posting":
            index.postings["x"]["c.py"] = 2
        case "problem":
            index.finished["b.py"] = ""
        case "length":
            index.lengths["c.py"] += 1
        case "tokens":
            index.tokens += 1
    assert index.digest() != make_index().digest()


def test_a_document_can_be_dropped() -> None:
    index = make_index()
    index.drop("b.py")
    index.drop("c.py")
    check(index)
    only = Index()
    only.begin("a.py")
    only.add("a.py", ["x", "=", "x"])
    only.finish("a.py", "")
    assert index.digest() == only.digest()
    assert set(index.postings) == {"x", "="}


# Source, its tokens, and how the problem begins.
SOURCES: dict[str, tuple[bytes, list[str], str]] = {
    "good": (b"if x:\n    y = 'a b'\n", ["if", "x", ":", "y", "=", "'a b'"], ""),
    "empty": (b"", [], ""),
    "unknown codec": (b"# coding: no-such-codec\nx\n", [], "SyntaxError: "),
    "codec of bytes": (b"# coding: zlib\nx\n", [], "LookupError: "),
    "codec that fails": (b"# coding: undefined\nx\n", [], "UnicodeError: "),
    "unclosed bracket": (b"x = (\n", ["x", "=", "("], "TokenError: "),
    "bad dedent": (b"if x:\n        y\n    z\n", ["if", "x", ":", "y"], "IndentationError: "),
}


@pytest.mark.parametrize("name", SOURCES)
def test_tokens(name: str) -> None:
    source, expected, problem = SOURCES[name]
    tokens = Tokens(source)
    assert list(tokens) == expected
    assert tokens.problem.startswith(problem)
    assert bool(tokens.problem) is bool(problem)


@pytest.mark.parametrize("source", [b"x = '\0'\n", b'# coding: utf-7\nx = "+2AA-"\n'])
def test_tokens_are_what_a_database_can_store(source: bytes) -> None:
    for token in Tokens(source):
        assert b"\0" not in token.encode()


def test_every_python_file_below_the_root_is_a_document(tmp_path: Path) -> None:
    for name in ("b.py", "a/c.py", "site-packages/d.py", "a/e.txt", "f.py/g.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    (tmp_path / "dangling.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    found = list_documents(tmp_path)
    assert {document.path for document in found} == {
        "b.py",
        "a/c.py",
        "site-packages/d.py",
        "f.py/g.py",
    }
    assert {document.size for document in found} == {2}
    assert found == list_documents(tmp_path), "the same order each time"


def test_a_name_that_is_no_text_is_a_path_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.py").write_text("1\n")
    (document,) = list_documents(tmp_path)
    assert document.path == "caf\\xe9.py"
    assert Path(document.file).read_text() == "1\n"


def test_the_standard_library_is_listed_without_what_is_installed_in_it() -> None:
    paths = {document.path for document in list_documents(standard_library())}
    assert {"threading.py", "json/__init__.py"} <= paths
    assert not any(path.startswith(("site-packages/", "dist-packages/")) for path in paths)


def test_a_document_that_was_changed_is_another_one() -> None:
    document = Document("a.py", 1, 2, "/x/a.py")
    assert document == Document("a.py", 1, 2)
    assert document != Document("a.py", 2, 2)
    assert document != Document("a.py", 1, 3)
