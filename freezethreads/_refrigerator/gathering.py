"""At a safepoint, before anybody is asked: a thread that would begin more waits for the freeze.

A freeze that waits for what is outstanding (`_controller.settling`) stops nobody before the count
is 0, since anybody may be the one to finish it. If all went on, there might always be more. So at a
safepoint *gathers* who is known to begin things of that kind, and not to finish what others have
begun; and anybody while nothing is outstanding, since it is about to be asked::

                 only begins, or the count is 0                it has asked, or is over
    at a safepoint --------------------------> waits, as stopped ----------------> stops, or goes on
           |                                         |
           +-----------------------------------------+----> goes on
                 finishes, or nothing changes

That is a wait like any other. No promise rests on it: it only helps.

Why it does not wait for ever: it lists its bell with the freeze, and then looks; whoever changes a
count, asks, or ends the freeze does so, and then rings the bells that are listed. So it is rung
after what it has not seen. While the count is 0 the freeze asks or is over at some time: its
controller does not wait for this thread. While it is not, somebody may be waiting for this thread
all the same: it goes on when no count has changed for a while.
"""

from __future__ import annotations

from typing import Final

from freezethreads._ground.completion import Bell
from freezethreads._registry.outstanding import Outstanding
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze

_PATIENCE: Final = 0.2  # seconds without a change of what is outstanding


def about_to_ask(registry: Registry, record: Record) -> list[Freeze]:
    """The freezes that will ask this thread, and for which it has to wait. By it."""
    return [
        freeze
        for freeze in list(registry.settling)
        if freeze.asked.covers(record.group)
        and not freeze.asked.is_by(record)
        and _is_to_wait(freeze)
    ]


def wait_to_be_asked(freeze: Freeze) -> None:
    """Wait for that, as a thread that counts as stopped. Not for more: it has yet to look."""
    bell = Bell()
    freeze.gathered[bell] = None
    while _is_to_wait(freeze):
        if not bell.wait(_PATIENCE if _left(freeze) else -1):
            break
    freeze.gathered.pop(bell, None)


def _is_to_wait(freeze: Freeze) -> bool:
    """Whether it has yet to ask, and the calling thread finishes nothing that it waits for."""
    is_on_its_way = freeze in _registry_of(freeze).settling and freeze.bar is None
    if freeze.done or not is_on_its_way or freeze in _registry_of(freeze).active:
        return False
    return all([each._only_begins() for each in _left(freeze)])


def _left(freeze: Freeze) -> list[Outstanding]:
    return _registry_of(freeze).outstanding_for(freeze.asked)


def _registry_of(freeze: Freeze) -> Registry:
    registry = freeze.registry
    assert isinstance(registry, Registry)
    return registry
