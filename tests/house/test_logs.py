"""What is logged is on one page of the docs, with its logger and level; and it can be silenced."""

from __future__ import annotations

import ast
import logging
import re

from helpers import ROOT

PACKAGE = ROOT / "freezethreads"
PAGE = ROOT / "docs" / "reference" / "settings.md"

# How each message begins in the source, and what the page says of it.
SAID = {
    "%r was thawed by the freezer": "a freeze was thawed by the freezer",
    "%r is not thawed": "its controller waits for a lock",
    "no thread could be had": "looks out for controllers",
    "%s": "a freeze stops nobody",
    "%s was replaced by somebody else since install()": "a name that `install()` replaced",
    "forking all the same": "a fork is made although a lock is held",
    "%s was replaced by somebody else since": "was replaced by somebody else",
    "at the thaw of %r": "afters of hooks raised at a thaw",
    "if a hook of %r hangs now": "no thread could be had",
    "%r was thawed": "afters of hooks raised as a hold",
    "the waker of thread %r raised": "a waker, or",
    "%r, which was to be told of a freeze, raised": "tells, raised",
    "the observer %r raised": "an observer raised",
    "the control socket is left behind": "the control socket could not be removed",
    "freezethreads run: FREEZETHREADS_CONTROL is set, but": "`freezethreads run` could not open",
    "the request %r failed": "a request failed",
    "%s: checkpoint %s is missing": "a checkpoint is missing or damaged",
    "%s: checkpoint %s is damaged": "a checkpoint is missing or damaged",
    "%s is damaged and is passed over": "a checkpoint is missing or damaged",
    "%s cannot be read and is passed over": "a checkpoint is missing or damaged",
    "%s can be loaded from": "a store can be loaded from, and not be saved to",
    "%s has mode %04o": "a database that others may read or write",
    "%s is left where it is": "an old file could not be removed",
    "forked while unregistered threads were running": "threads that are not registered",
    "a checkpoint in the background failed": "a checkpoint in the background failed",
    "%r": "a guarded fork was made",
}


def calls() -> list[tuple[str, str, str]]:
    """Every logger, level and message of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        texts = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="logger"), attr=level), args=[first, *_]
                ):
                    text = (
                        texts[first.id] if isinstance(first, ast.Name) else ast.literal_eval(first)
                    )
                    found.append((logger_of(path.parent.name), level, str(text)))
    return found


def logger_of(room: str) -> str:
    """Who logs what is logged in that room."""
    if room == "cli":
        return "freezethreads.control"
    return f"freezethreads.{room}" if room in ("checkpoint", "control") else "freezethreads"


def test_each_message_is_on_the_page_with_its_logger_and_level() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    unsaid = set(rows)
    for logger, level, text in calls():
        words = next((words for begin, words in SAID.items() if is_begin(begin, text)), None)
        assert words, f"a new message: {text!r}"
        wanted = "ERROR" if level == "exception" else level.upper()
        found = [row for row in rows if row[:2] == (logger, wanted) and words in row[2]]
        assert found, f"{PAGE.name} does not say that {text!r} is logged by {logger} as {wanted}"
        unsaid -= set(found)
    # What `warn_if_quiet` is given has one message in the source, and several rows.
    several = (
        "was made and never entered",
        "what is marked as atomic or freezable",
        "waits for nothing to be settled",
    )
    others = [row for row in unsaid if not any(words in row[2] for words in several)]
    assert not others, "is that logged?"


def is_begin(begin: str, text: str) -> bool:
    """Whether a message begins so. One that is nothing but another text is that alone."""
    return text == begin if begin == "%s" else text.startswith(begin)


def test_the_loggers_are_named_as_they_are_said_to_be() -> None:
    names = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"getLogger\((.*?)\)", path.read_text())
    }
    assert names == {f'"{logger}"' for logger, _, _ in calls()}


def test_one_line_silences_them_all() -> None:
    root = logging.getLogger("freezethreads")
    before = root.level
    (line,) = re.findall(r"^logging\.getLogger.*$", PAGE.read_text(), re.MULTILINE)
    try:
        exec(line, {"logging": logging})
        for name, _, _ in calls():
            assert not logging.getLogger(name).isEnabledFor(logging.ERROR)
    finally:
        root.setLevel(before)
