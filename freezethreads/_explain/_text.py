"""The text of a description: for people, with the most recent call first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from freezethreads._ground.text import clean
from freezethreads._report.reports import (
    INSIDE,
    AwaitedLock,
    Description,
    Frame,
    FreezeReport,
    HookReport,
    SiteReport,
    TaskReport,
    ThreadReport,
)

_NAMES: Final = 3  # of those that are at one line


def render(description: Description) -> str:
    """Everything in a description, as text that ends in a line's end."""
    lines = [_head(description)]
    lines += [f"  {freeze_in_words(freeze)}" for freeze in description.freezes]
    if description.problem:
        lines.append(f"  {description.problem}")
    lines += [f"  {line}" for line in (*(description.deadlocks or ()), *(description.ended or ()))]
    if description.note:
        lines.append(f"  {description.note}")
    for thread in description.threads:
        lines += ["", *render_thread(thread, thread.ident in description.late)]
    return "\n".join([*map(clean, lines), ""])


def _head(description: Description) -> str:
    threads = description.threads
    enrolled = sum(thread.registered for thread in threads)
    strangers = len(threads) - enrolled
    count = f"{enrolled} registered thread{_s(enrolled)}"
    if strangers:
        count += f", {strangers} other{_s(strangers)}"
    return (
        f"Process {description.pid}, Python {description.python}, "
        f"freezer {description.freezer!r}: {count}; {_outcome(description)}. "
        "Most recent call first."
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _outcome(description: Description) -> str:
    waited = description.waited
    if description.frozen:
        return "frozen" if waited is None else f"frozen within {duration(waited)}"
    if waited is None:
        return "not frozen"
    late = len(description.late)
    who = f"{late} did not stop" if late else "not frozen"
    return f"{who} within {duration(waited)}"


def duration(seconds: float) -> str:
    """A duration with a unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def freeze_in_words(freeze: FreezeReport) -> str:
    """Who has asked for a freeze, why, and how long ago."""
    why = f" for {freeze.reason!r}" if freeze.reason else ""
    group = f" of group {freeze.group!r}" if freeze.group else ""
    state = "stands for" if freeze.stands else "has been asked for since"
    name = "world" if freeze.kind == "freeze" else "hold"
    where = "" if freeze.where in (None, "safepoint") else f" ({freeze.where})"
    since = duration(freeze.seconds)
    return f"a {name}{where}{group} by {freeze.by}{why} {state} {since}{_hook(freeze.hook)}"


def _hook(hook: HookReport | None) -> str:
    """Which hook is being called, by whom, and for how long it has been."""
    if hook is None:
        return ""
    call = f"the `{hook.which}` of its hook {hook.name!r} ({hook.filename}:{hook.lineno})"
    return f"; {hook.by} has been in {call} for {duration(hook.seconds)}"


def render_thread(thread: ThreadReport, late: bool) -> Iterator[str]:
    """The lines about one thread."""
    yield f"{_title(thread)}: {_standing(thread, late)}"
    for lock in thread.owns:
        acquired = f", acquired at {lock.acquired}" if lock.acquired else ""
        yield f"  owns {lock.lock}{acquired}"
    if thread.awaits:
        yield f"  waits for {_lock(thread.awaits)}"
    if thread.joins:
        yield f"  waits for the end of {thread.joins}"
    yield from frames(thread.stack)
    if thread.tasks is not None:
        yield from _tasks(thread.tasks)


def _tasks(tasks: Sequence[TaskReport]) -> Iterator[str]:
    """Those of a loop, a line for all that await at the same one."""
    yield f"  {len(tasks)} task{_s(len(tasks))} of its event loop{':' if tasks else ''}"
    groups: dict[str, list[str]] = {}
    for task in tasks:
        groups.setdefault(_awaits(task), []).append(task.name)
    for where, names in groups.items():
        yield f"    {some(names)}: {where}"


def _awaits(task: TaskReport) -> str:
    line, inside = task.line, task.inside
    if line is None or inside is None:
        return "runs, see above" if task.state == "running" else "nobody can tell where"
    what = "has not begun" if task.state == "new" else "awaits"
    where = f"{what} in {line.function} ({line.filename}:{line.lineno})"
    return where if line == inside else f"{where}, by {inside.function} ({inside.filename})"


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def _title(thread: ThreadReport) -> str:
    native = f", native {thread.native_id}" if thread.native_id else ""
    group = f", group {thread.group}" if thread.group else ""
    return f"{thread.name} (ident {thread.ident}{native}{group})"


def _standing(thread: ThreadReport, late: bool) -> str:
    words = [] if thread.registered else ["not registered"]
    if thread.registered or thread.site:
        words.append(thread.state.upper())
        if thread.site and thread.seconds is not None:
            words[-1] += f" for {duration(thread.seconds)} at {site(thread.site)}"
    if late:
        words.append("DID NOT STOP")
    if thread.current:
        words.append("makes this report")
    if thread.inside:
        words.append(INSIDE[thread.inside])
    if thread.last and thread.last_seconds is not None:
        words.append(f"seen {duration(thread.last_seconds)} ago at {site(thread.last)}")
    if thread.todo_pending:
        words.append(f"{thread.todo_pending} todo{_s(thread.todo_pending)} pending")
    return ", ".join(words)


def site(place: SiteReport) -> str:
    """A site in a few words."""
    label = f" {place.label!r}" if place.label is not None else ""
    return f"{place.kind}{label} ({place.filename}:{place.lineno})"


def _lock(awaited: AwaitedLock) -> str:
    owner = f", held by {awaited.owner}" if awaited.owner else ""
    acquired = f", acquired at {awaited.acquired}" if awaited.acquired else ""
    return f"{awaited.lock}{owner}{acquired}"


def frames(stack: Sequence[Frame]) -> Iterator[str]:
    """One line a frame. Frames of this library that follow each other are one line."""
    if not stack:
        yield "    (no stack: it runs no Python, or nobody can tell)"
    folded = 0
    for frame in stack:
        if frame.own and not frame.site:
            folded += 1
            continue
        yield from _fold(folded)
        folded = 0
        yield from _frame(frame)
    yield from _fold(folded)


def _fold(count: int) -> Iterator[str]:
    if count:
        yield f"    ({count} frame{_s(count)} of freezethreads)"


def _frame(frame: Frame) -> Iterator[str]:
    mark = "-->" if frame.site else "   "
    line = f":{frame.lineno}" if frame.lineno else ""  # what is in C has none
    yield f"{mark} {frame.function} ({frame.filename}{line})"
    for variable in frame.locals or ():
        yield f"        {variable.name} = {variable.value}"
