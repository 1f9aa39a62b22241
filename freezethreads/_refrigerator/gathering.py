"""At a safepoint, before anybody is asked: a thread that would begin more waits for the freeze.

A freeze that waits for what is outstanding (`_controller.settling`) stops nobody before the count
is 0, since anybody may be the one to finish it. If all went on, there might always be more. So at a
safepoint *gathers* who is known to begin things of that kind, and not to finish what others have
begun; and anybody while nothing is outstanding, since it is about to be asked::

                 only begins, or the count is 0                it has asked, or is over
    at a safepoint --------------------------> waits, as stopped ----------------> stops, or goes on
           |                                         |
           +-----------------------------------------+----> goes on
                 finishes, or nothing happens

Who has a world does not wait so, nor anybody while another one has the turn: that may last for
long, and need the thread. It is a wait like any other. No promise rests on it: it only helps.

It lists its bell with the freeze, and then looks; whoever changes a count, asks, or ends the freeze
does so, and then rings the bells that are listed. So it is rung after what it has not seen. It does
not wait for ever for what does not happen: somebody may be waiting for this thread all the same, or
the controller be stopped itself. After a while it goes on, and leaves its bell listed. It waits no
more for that freeze before that has rung. Nor does it wait with a todo to make, which may be what
somebody waits for; of one that comes meanwhile it learns as of all that happens.
"""

from __future__ import annotations

from typing import Final

from freezethreads._ground.completion import Bell
from freezethreads._ground.original import get_ident
from freezethreads._registry.record import Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze

_PATIENCE: Final = 0.2  # seconds in which nothing happens


def about_to_ask(registry: Registry, record: Record) -> list[Freeze]:
    """The freezes that will ask this thread, and for which it has to wait. By it."""
    return [
        freeze
        for freeze in list(registry.settling)
        if not record.commands
        and freeze.covers(record.group)
        and not freeze.asked.is_by(record)
        and _is_patient(freeze)
        and _is_to_wait(registry, freeze)
    ]


def wait_to_be_asked(registry: Registry, freeze: Freeze) -> None:
    """Wait for that, as a thread that counts as stopped. Not for more: it has yet to look."""
    here.parking.gathering = bell = freeze.gathered.setdefault(get_ident(), Bell())
    record = registry.own.record
    while _is_to_wait(registry, freeze) and not (record and record.todo):
        if not bell.wait(_PATIENCE):
            return
    freeze.gathered.pop(get_ident(), None)


def _is_patient(freeze: Freeze) -> bool:
    """Whether the calling thread has not waited for it in vain, or something has happened since."""
    bell = freeze.gathered.get(get_ident())
    return bell is None or bell.wait(0)


def _is_to_wait(registry: Registry, freeze: Freeze) -> bool:
    """Whether it has yet to ask, and the calling thread finishes nothing that it waits for."""
    is_on_its_way = freeze in registry.settling and freeze.bar is None
    if freeze.done or not is_on_its_way or freeze in registry.active:
        return False
    if registry.turns[freeze.asked.kind].current not in (None, freeze):
        return False  # another world may last for long, and may need the calling thread
    return all([each._only_begins() for each in registry.outstanding_for(freeze.asked)])
