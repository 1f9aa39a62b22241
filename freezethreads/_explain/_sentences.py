"""What a finding says: why the thread does not stop, and what would help, a sentence each."""

from __future__ import annotations

from typing import Final, NamedTuple

from freezethreads._explain._causes import (
    Cause,
    called_in,
    is_idle_worker,
    is_in_call,
    is_in_callback,
    is_job,
    is_of_nobody,
    is_target,
    runs_event_loop,
    takes_something,
    waits_in,
)
from freezethreads._explain._rewrite import Line
from freezethreads._explain._source import has_safepoint_around
from freezethreads._ground.files import remoteness
from freezethreads._ground.original import getpid
from freezethreads._report import ownership
from freezethreads._report.looks import Evidence
from freezethreads._report.stragglers import Straggler


class Place(NamedTuple):
    """The line that a finding is about; `is_loop` if a loop begins there."""

    filename: str
    lineno: int
    function: str
    is_loop: bool

    def __str__(self) -> str:
        return f"{self.filename}:{self.lineno}"


# Why a thread does not stop between two bytecodes, and what would help. (Whoever is merely in a
# call of C counts as stopped, unless somebody runs who may end that wait.)
_WAITS: Final = (
    "{name} waits in {wait}, and may come back while others run.",
    "It stops as soon as those others do.",
)
_AT_BAR: Final = {
    Cause.COMPUTING: (
        "{name} computes, and had not come to the next bytecode, or not for long enough.",
        "Give the freeze more time. Nobody is stopped inside a trace function or a profiler.",
    ),
    Cause.C_CALL: (
        "{name} computes inside a call of C, and comes to no bytecode.",
        "Split the call {at} into shorter ones.",
    ),
    Cause.WAITING: _WAITS,
    Cause.WAKER: _WAITS,
    Cause.JOIN: _WAITS,
    Cause.LOCK: _WAITS,
}


def explain(cause: Cause, straggler: Straggler, evidence: Evidence, place: Place | None) -> str:
    """Why the thread does not stop."""
    name = straggler.name
    stack = evidence.later
    wait = waits_in(stack, evidence.target)
    if cause is Cause.SECTION:
        return f"{name} is in {evidence.section}; {_activity(straggler, evidence)}."
    if evidence.where != "safepoint" and cause in _AT_BAR:
        return _AT_BAR[cause][0].format(name=name, wait=wait)
    if cause is Cause.LOCK:
        return f"{name} waits for {straggler.waits_for}."
    if cause is Cause.JOIN:
        frozen = ", which stands frozen" if evidence.joins_frozen else ""
        return f"{name} waits for the end of {evidence.joins}{frozen}, in {wait}."
    if cause is Cause.C_CALL:
        told = "at this line, and no look tells more" if evidence.calling is None else "there"
        call = called_in(stack, evidence.target)
        return f"{name} computes inside a call of C, {call}: each look found it {told}."
    if cause is Cause.NO_FREEZE:
        since = "" if evidence.inside_at is None else f", which it entered at {place}"
        return f"{name} is inside no_freeze(){since}; {_activity(straggler, evidence)}."
    if cause in _IN_CALLS and is_in_callback(stack):
        return (
            f"{name} waits in {wait}, in a callback of its event loop, which stops "
            "between two of these."
        )
    reasons = {
        Cause.COMPUTING: f"{name} computes, and passes no safepoint.",
        Cause.WAITING: f"{name} waits in {wait}, which is in no blocking region.",
        Cause.TODO: f"{name} makes a todo that is not done; {_activity(straggler, evidence)}.",
        Cause.WORLD: f"{name} has stopped others itself, or is about to, and stops for nobody "
        "until it thaws.",
        Cause.WAKER: f"{name} waits in {wait}; its waker was called, and has not woken it.",
        Cause.OUTSIDE: f"{name} runs no Python code, or is about to end.",
        Cause.SLOW: f"{name} stopped just after the deadline.",
    }
    return reasons[cause]


_IN_CALLS: Final = (Cause.C_CALL, Cause.JOIN, Cause.WAITING, Cause.WAKER)


def _activity(straggler: Straggler, evidence: Evidence) -> str:
    if evidence.busy or not is_in_call(straggler, evidence):
        return "it computes there"
    return f"it waits in {waits_in(evidence.later, evidence.target)}"


def advise(
    called: str, cause: Cause, evidence: Evidence, place: Place | None, loop: Place | None
) -> str:
    """What would help. `called` is what the program calls the freezer, `loop` a loop around a call
    of C that passes no safepoint, if any."""
    at = "there" if place is None or remoteness(place.filename) > 1 else f"at {place}"
    if cause is Cause.SECTION and str(evidence.section).startswith("pending("):
        return (
            f"Make that region {at} shorter, or freeze without asking for that kind to be settled."
        )
    if cause is Cause.SECTION and evidence.where == "unlocked":
        first = "Make that section shorter"
        if evidence.calling is not False and not evidence.busy:
            first = "Have what it waits for released"
        look = f"`freezethreads dump {getpid()} --where anywhere`"
        return f"{first}; or freeze with where='anywhere', also in sections, as {look} does."
    if cause is Cause.SECTION:
        return "Make that shorter: nobody is stopped there, wherever else a freeze stops threads."
    if evidence.where != "safepoint" and cause in _AT_BAR:
        return _AT_BAR[cause][1].format(at=at)
    if cause in (Cause.WAITING, Cause.C_CALL) and runs_event_loop(evidence.later):
        return (
            "Have that event loop stop, by freezethreads.integrations.asyncio_loop.enrol() in it."
        )
    if cause in _IN_CALLS and is_in_callback(evidence.later):
        return (
            f"Let the event loop go on meanwhile: await what does the same {at}, or have a thread "
            "do it, by `await asyncio.to_thread(...)`. (A blocking region does not count in there: "
            "other tasks run in the same thread.)"
        )
    if cause in _WANT_A_LINE and is_of_nobody(evidence.later):
        return _advise_without_a_line(called, cause, evidence)
    if cause is Cause.COMPUTING:
        return _advise_safepoint(called, place)
    if cause in (Cause.WAITING, Cause.JOIN):
        return _advise_wait(called, evidence, at)
    no_region = is_of_nobody(evidence.later) or Line(evidence.later).calls_back
    sentences = {
        Cause.C_CALL: f"Split the call {at} into shorter ones with {called}.safepoint() in "
        f"between{_or_wrap(called, evidence)}."
        + ("" if loop is None else f" If it is one of many, {_into_loop(called, loop)}."),
        Cause.LOCK: "Release the lock before the safepoint, blocking region or wait where its "
        f"owner stopped{by_debug_mode('finds such places')}.",
        Cause.NO_FREEZE: f"Make the no_freeze() region {at} shorter.",
        Cause.TODO: f"Make the todo shorter; it is {at}.",
        Cause.WORLD: "Thaw sooner, or give that freeze a lease.",
        Cause.WAKER: f"Have the waker end the wait {at} (write to the descriptor that it polls, "
        "say)." + ("" if no_region else f" Or: {_advise_wait(called, evidence, at)}"),
        Cause.OUTSIDE: "Unregister a thread before it leaves Python for long.",
        Cause.SLOW: "Give the freeze more time, or the thread more safepoints.",
    }
    return sentences[cause]


_WANT_A_LINE: Final = (Cause.COMPUTING, Cause.C_CALL, Cause.JOIN, Cause.WAITING)


def _advise_without_a_line(called: str, cause: Cause, evidence: Evidence) -> str:
    """What would help where no line of the program is in the stack: none that could be changed."""
    stack, target = evidence.later, evidence.target
    if is_idle_worker(stack):
        return (
            "Use freezethreads.ThreadPoolExecutor in the place of this pool: its workers are "
            "registered, and count as stopped while they wait for work."
        )
    if cause is Cause.JOIN:
        return (
            "Make the thread that it joins a freezethreads.Thread, whose join() is freezable: "
            f"{evidence.joins}."
        )
    if cause is Cause.WAITING and takes_something(stack, target):
        return (
            "Have it call that of a lock, event or queue of freezethreads.sync, whose waits are "
            "freezable, and let no thread stop while it owns a lock."
        )
    if cause is Cause.WAITING and (is_job(stack) or is_target(stack)):
        give = "Submit" if is_job(stack) else "Start it with"
        return (
            f"{give} a function of the program that makes this call in "
            f"`with {called}.blocking():`, if the call takes nothing shared, and calls nothing of "
            "the program."
        )
    if cause is Cause.C_CALL and is_target(stack):
        return (
            "Start it with a function of the program that makes several shorter calls, with "
            f"{called}.safepoint() in between."
        )
    return (
        "No line of the program is in its stack. Have what it runs call "
        f"{called}.safepoint() now and then, by a callback or a method that is overridden; or do "
        "not register it, if it touches nothing that has to stand still."
    )


def by_debug_mode(what: str) -> str:
    """That debug mode does so, at the end of a sentence; "" where it is on, and has been of use."""
    return "" if ownership.tracking else f"; FREEZETHREADS_DEBUG=1 in the environment {what}"


def _advise_safepoint(called: str, place: Place | None) -> str:
    if place is None:
        return f"Put {called}.safepoint() into its loop."
    if place.is_loop:
        return f"P{_into_loop(called, place)[1:]}."
    why = ""
    if has_safepoint_around(place.filename, place.lineno):
        why = ", whose loop has one, but takes long between two"
    return f"Put {called}.safepoint() into {place.function}() at {place}{why}."


def _into_loop(called: str, loop: Place) -> str:
    return f"put {called}.safepoint() into the loop at {loop}"


def _advise_wait(called: str, evidence: Evidence, at: str) -> str:
    if evidence.joins is None and takes_something(evidence.later, evidence.target):
        return (
            f"Use the lock, event or queue of freezethreads.sync {at}, whose waits are freezable, "
            "and let no thread stop while it owns a lock."
        )
    line = Line(evidence.later)
    region = f"`with {called}.blocking():`"
    if line.calls_back:
        return (
            f"Put no blocking region around the call {at}: it calls code of the program. Have it "
            f"call {called}.safepoint() now and then, by a timer of its own, or register the "
            f"thread with a waker that has it called there."
        )
    if line.is_end:
        return (
            f"Wait for the same in the last line of the block {at}, in {region}, and put nothing "
            "else in there: the end of the block has nothing to wait for then."
        )
    if line.is_loop:
        return (
            f"Have only the wait for each item in {region} {at}, and not the loop: what is done "
            "with the item comes after the region. (Of a generator, a `map` or the like, which "
            "runs code of the program, have that wait in the region.)"
        )
    what = "Wrap this call"
    if not line.is_alone:
        what = f"Wrap only the call that waits{', and not the block,' if line.is_block else ','}"
    said = f"{what} in {region} {at}"
    if not line.is_alone:
        said += ": what is done with what it returns comes after the region"
    if line.is_known:
        return f"{said}."
    return (
        "If it calls nothing of the program (no callback, handler or key function): "
        f"{said[0].lower()}{said[1:]}. Otherwise have it call {called}.safepoint() now and then."
    )


def rewrite(called: str, cause: Cause, evidence: Evidence) -> tuple[str, ...]:
    """How the line of a wait could be written, if there is more to change than to wrap it."""
    line = Line(evidence.later)
    if is_of_nobody(evidence.later):
        return ()
    if cause not in (Cause.WAITING, Cause.JOIN) or line.calls_back or line.is_alone:
        return ()
    if line.is_end or runs_event_loop(evidence.later) or evidence.where != "safepoint":
        return ()
    takes = evidence.joins is None and takes_something(evidence.later, evidence.target)
    return () if takes else line.rewritten(called)


def _or_wrap(called: str, evidence: Evidence) -> str:
    if Line(evidence.later).calls_back:
        return ""
    return (
        ", or, if it touches nothing shared and calls nothing of the program, wrap it, and nothing "
        f"else, in `with {called}.blocking():`"
    )
