"""Hooks: what a program does to itself when all stand, and undoes before the first thread runs.

Of each freeze that has them run, and of which there are any, an `Unwinding` knows which befores
have returned: each of these owes an `after`. ::

                    the controller                 whoever ends the freeze: claims
     (none) ----> BEFORE ----------> ALL RAN ----------------------------------> AFTER ---> THAWED
                    |                                                              ^
                    +--------------------------------------------------------------+
                     a `before` raises, the deadline or the lease passes, or any other end

* BEFORE: the controller calls one `before` after the other, by phase and then in the order in which
  the hooks were added.
* AFTER: whoever ended the freeze first has the claim, and calls what is owed, the last first. That
  may be the controller, any thread that thaws, the watchdog of a lease, or whoever the freezer
  thaws in. Then he lets everybody go.
* Nobody else calls one meanwhile. Who thaws as well waits for him, but for those who are there
  because somebody hangs: a lease that runs out in the middle, and the interpreter's end, let
  everybody go at once, and what is owed is called when, and if, the one who hangs goes on. A lease
  that has the claim itself is given its time once more: see `Controller.expire`.

Why each `after` is called exactly once, if its `before` has returned, and else never:

* `_owed` is a dict, and taking a hook out of it is one operation. Whoever has taken it makes the
  call.
* Nothing can come between a `before` that returns and its entry, nor between an entry that is taken
  and its call: each pair is one call of C (`call_and_note`, `take_and_call`), in which no
  exception arrives but what the function itself raises, or what arrives in it.
* The controller first notes what it owes, and then looks whether the freeze was ended; whoever ends
  it first says so (`Freeze.end_by`), and then looks for what is owed. So one of the two sees it. If
  it is the controller, in the middle of a `before` when the lease ran out, that one's `after` is
  called by the controller itself, when it comes to thaw.

A thread that runs hooks has its doors shut. It stops for nobody, as in a todo.

In the child of a fork nothing is owed any more. What a `before` did outside the process was done
once, and is undone once, by the parent. The hooks stay; the child's own freezes run them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import call, itemgetter
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeTimeout, HookFailed
from freezethreads._ground.original import get_ident, monotonic, note_call
from freezethreads._ground.uninterruptible import covered
from freezethreads._ground.unique import Given
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Place
from freezethreads._registry.registry import Registry

if TYPE_CHECKING:
    from freezethreads._registry.requests import Ending, Freeze

Call = Callable[[], object]

_first = itemgetter(0)


class Hook(Given):
    """A `before` and an `after` that freezes call. Got from `Freezer.hook`.

    A context manager: leaving the block removes it. ``name`` is for people, and ``phase`` says when
    it is called: the lowest first, and undone last.
    """

    _IS = "one that a freezer knows"
    _WRITE = "freezethreads.hook(before, after)"

    __slots__ = ("_after", "_before", "_place", "_registry", "name", "phase")

    def __init__(
        self,
        registry: Registry,
        before: Call | None,
        after: Call | None,
        phase: float,
        name: str | None,
        place: Place,
    ) -> None:
        self._registry = registry
        self._before = before
        self._after = after
        self.phase: float = phase
        self.name: str = _name_of(before or after) if name is None else name
        self._place = place

    def __repr__(self) -> str:
        return f"<Hook {self.name!r}, phase {self.phase:g}>"

    def remove(self) -> None:
        """Have no freeze call it from now on. From any thread; may be repeated.

        A freeze that has called its `before` still calls its `after`.
        """
        self._registry.hooks.pop(self, None)

    @covered
    def __enter__(self) -> Self:
        try:
            return self
        except BaseException:
            self.remove()
            raise

    @covered
    def __exit__(self, *_: object) -> None:
        try:
            self.remove()
        except BaseException:
            self.remove()
            raise


class Running(NamedTuple):
    """A call that a thread is making for a freeze: of which hook, ``"before"`` or ``"after"``."""

    hook: Hook
    which: str
    ident: int
    since: float


class Unwinding:
    """What the hooks of one freeze owe it. Made by its controller, when all stand."""

    __slots__ = (
        "_bells",
        "_claim",
        "_freeze",
        "_is_cancelled",
        "_owed",
        "_registry",
        "errors",
        "running",
    )

    def __init__(self, registry: Registry, freeze: Freeze) -> None:
        self._registry = registry
        self._freeze = freeze
        self._owed: dict[Hook, Call] = {}
        self._claim: dict[int, int] = {}
        self._bells: dict[Bell, None] = {}
        self._is_cancelled = False
        self.running: Running | None = None
        self.errors: list[BaseException] = []  # of afters that the freezer called by itself

    @property
    def is_begun(self) -> bool:
        """Whether somebody undoes it, or has. From any thread."""
        return bool(list(self._claim))

    def is_around(self) -> bool:
        """Whether the calling thread is in an `after` that was called here.

        Its stack tells. A mark could be left behind by an exception, and a thaw believe in it.
        """
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code is _CALLING and frame.f_locals.get("owed") is self._owed:
                return True
            frame = frame.f_back
        return False

    def enter(self, hooks: list[Hook], deadline: Deadline) -> None:
        """Call the befores, until the freeze is ended. By the controller, with its doors shut.

        Raises `HookFailed`, or `FreezeTimeout` at the deadline; what was called is owed.
        """
        for hook in hooks:
            if self._freeze.ended_by is not None:
                break
            if hook not in self._registry.hooks:
                continue  # removed meanwhile
            if deadline.passed():
                error = FreezeTimeout(
                    f"the time ran out before {hook!r} was called for {self._freeze!r}; what had "
                    "been called was undone, everybody was let go, and nothing stays armed"
                )
                error._advice = "Give the freeze a longer timeout, or have its hooks take less."
                raise error
            self._enter(hook)

    def _enter(self, hook: Hook) -> None:
        self._registry.recorder.visited(hook._place)
        if hook._before is None:
            self._owed[hook] = hook._after or int
            return
        began = self._begin(hook, "before")
        try:
            if hook._after is None:
                hook._before()
            else:
                call_and_note(hook._before, self._owed, hook, hook._after)
        except Exception as error:
            self._end(hook, began)
            raise HookFailed(
                f"the `before` of {hook!r} raised {error!r} in {self._freeze!r}; what had been "
                "called was undone, and everybody was let go",
                hook.name,
            ) from error
        self._end(hook, began)

    def end(self, ending: Ending, errors: list[BaseException], let_go: Callable[[], bool]) -> bool:
        """Call what is owed, and then `let_go`, whose result is returned; whether it was the first.

        From any thread; may be repeated. In an `after` it does nothing: that is what goes on. What
        afters raise is added to `errors`. Any other exception is raised when all is done.
        """
        try:
            return self._end_once(ending, errors, let_go)
        except BaseException:
            self._end_once(ending, errors, let_go)
            raise

    def _end_once(
        self, ending: Ending, errors: list[BaseException], let_go: Callable[[], bool]
    ) -> bool:
        if self.is_around():
            return False
        is_mine = self._claim.setdefault(0, get_ident()) == get_ident()
        if is_mine:
            call_shut(self._leave_all, errors)
        if is_mine or ending in ("lease", "exit"):
            return let_go()
        if ending == "thaw":
            self._wait()
            call_shut(self._leave_all, errors)  # what the controller has noted since
        return False

    def _wait(self) -> None:
        """Wait until whoever has the claim, or a lease, has let everybody go."""
        bell = Bell()
        self._bells[bell] = None  # and then look
        while not self._freeze.done:
            bell.wait()

    def tell(self) -> None:
        """Everybody is let go: wake who waits for that. By whoever has done it."""
        for bell in list(self._bells):
            bell.ring()

    def _leave_all(self, errors: list[BaseException]) -> None:
        while (owed := list(self._owed)) and not self._is_cancelled:
            self._leave(owed[-1], errors)

    def _leave(self, hook: Hook, errors: list[BaseException]) -> None:
        began = self._begin(hook, "after")
        try:
            take_and_call(self._owed, hook)
        except BaseException as error:  # noqa: BLE001 - raised when everybody has been let go
            errors.append(error)
        self._end(hook, began)

    def _begin(self, hook: Hook, which: str) -> float:
        note_call()
        began = monotonic()
        self.running = Running(hook, which, get_ident(), began)
        return began

    def _end(self, hook: Hook, began: float) -> None:
        running, self.running = self.running, None
        if running is not None:
            self._registry.recorder.hooked(hook.name, running.which, monotonic() - began)

    def cancel(self) -> None:
        """In the child of a fork: nothing is owed here, nor will be by the `before` that forked."""
        self._is_cancelled = True
        self._owed, self._claim = {}, {}
        self.running = None


def run_befores(registry: Registry, freeze: Freeze, deadline: Deadline) -> None:
    """Have the hooks that there are now called for a freeze that stands. By its controller.

    Not in a hook of the same freezer: one that freezes would call itself. Raises what
    `Unwinding.enter` does; it is for the thaw to undo what was done. Whoever has ended the freeze
    meanwhile is for the caller to notice.
    """
    hooks = sorted(list(registry.hooks), key=lambda hook: hook.phase)
    if hooks and not _is_in_a_hook(registry):
        freeze.unwinding = Unwinding(registry, freeze)
        call_shut(freeze.unwinding.enter, hooks, deadline)


def _is_in_a_hook(registry: Registry) -> bool:
    """Whether the calling thread is in a hook of that freezer."""
    unwindings = [freeze.unwinding for freeze in list(registry.active)]
    running = [one.running for one in unwindings if one is not None]
    return any(one is not None and one.ident == get_ident() for one in running)


def call_and_note(before: Call, owed: dict[Hook, Call], hook: Hook, after: Call) -> None:
    """``before()``, and if it has returned, ``owed[hook] = after``: in one call of C."""
    returned = zip((hook,), map(call, (before,)), strict=False)
    next(map(owed.setdefault, map(_first, returned), (after,)))


def take_and_call(owed: dict[Hook, Call], hook: Hook) -> None:
    """``owed.pop(hook)()``, unless somebody has taken it: in one call of C."""
    next(map(call, map(owed.pop, (hook,), (int,))))


_CALLING = take_and_call.__code__


def together(freeze: Freeze, errors: list[BaseException]) -> BaseExceptionGroup[Any]:
    """What afters have raised, as one exception."""
    one = "an `after`" if len(errors) == 1 else f"{len(errors)} afters"
    return BaseExceptionGroup(f"{one} of the hooks of {freeze!r} raised", errors)


def raise_errors(freeze: Freeze, errors: list[BaseException]) -> NoReturn:
    """Raise what afters have raised: an `ExceptionGroup`, or a KeyboardInterrupt and the like as
    itself, with the others in a note."""
    for error in errors:
        if not isinstance(error, Exception):
            others = [other for other in errors if other is not error]
            if others:
                note_errors(error, freeze, others)
            raise error
    raise together(freeze, errors)


def note_errors(error: BaseException, freeze: Freeze, others: list[BaseException]) -> None:
    """Tell of what afters have raised in a note of an exception that is raised instead."""
    what = ", ".join(f"{type(other).__name__}: {other}" for other in others)
    error.add_note(f"{together(freeze, others).message} as well: {what}")


def _name_of(fn: Any) -> str:
    return str(getattr(fn, "__qualname__", None) or repr(fn))
