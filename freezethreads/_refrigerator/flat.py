"""The refrigerator of a thread that has no room for it, at the limit of recursion or of the memory.

Whatever such a thread calls fails, so that a loop which tries again would do so for ever; and it
must not run on, if a freeze has counted on it. So it waits in one function that calls nothing in
Python.
"""

from __future__ import annotations

from freezethreads._ground.original import get_ident
from freezethreads._registry.places import Place
from freezethreads._registry.record import Parking

_PAUSE = 0.01  # seconds between two looks, where nobody can wake it


def have_room() -> None:
    """Raise RecursionError now unless `come_back` could be called, and could `wait_flat`.

    For whoever is going to be marked as away: once it is, it must be able to wait.
    """
    _have_room_within()


def _have_room_within() -> None:
    get_ident()


def wait_flat(parking: Parking, place: Place) -> None:
    """`come_back` where the stack, or the memory, has no room for it: by itself, in one frame.

    The thread counts as stopped, and tells so. It makes no calls of worlds, and is not woken by the
    thaw but looks for it, since nothing below can be done by a function in Python. By its thread,
    for all of its freezers; may be repeated. Raises RecursionError at once where not even a
    function of C can be called (CPython 3.11, at the very limit), so that it cannot be left
    in the middle: see `have_room`.
    """
    get_ident()
    before = parking.away
    kept: BaseException | None = None
    is_away, is_back = True, False
    while not is_back:
        try:
            closed: tuple[object, ...] = ()
            for registry, record in parking.members:
                if record.shut:
                    closed = (*closed, registry)
            parking.away = (*place[:7], (*closed, *parking.unfinished)) if is_away else None
            is_asked = False
            hint = link = parking.word._last  # from here on as in `Word.value`
            while link[1] and (following := link[1].get(0)) is not None:
                link = following
                if parking.word._last is not hint:
                    hint = link = parking.word._last
            status = link[0]
            for registry, record in parking.members:
                is_closed: object = record.shut  # no comparison, which counts as a call in 3.11
                for freeze in status.commands:
                    is_closed = is_closed or (freeze.registry is registry and not freeze.done)
                for freeze in () if is_closed else status.freezes:
                    is_spared = False
                    is_looked_at = freeze.asked.settled and freeze.bar is None  # as `Freeze.spares`
                    for one in parking.unfinished if is_looked_at else ():
                        if one.registry is registry:
                            is_spared = is_spared or not freeze.asked.settled.isdisjoint(one.kinds)
                    if freeze.registry is registry and not (freeze.done or is_spared):
                        is_asked = True
                        if is_away and record in freeze.awaited:
                            del freeze.awaited[record]
                        if is_away and not freeze.awaited:
                            try:
                                freeze.bell._lock.release()
                            except RuntimeError:
                                pass  # it rings already
            if is_asked and is_away:
                parking.bell._lock.acquire(True, _PAUSE)
            is_back = not is_asked and not is_away
            is_away = is_asked  # what is found with `away` cleared sets it again
        except BaseException as error:  # noqa: BLE001 - raised below
            kept = kept or error
    parking.away = before
    bells, entered = [parking.bell], parking.entered  # its own: for a call that this one interrupts
    if entered is not None:
        entered._waiting.pop(parking.bell, None)
        bells += list(entered._waiting) if entered.done else ()
    for bell in bells:
        try:
            bell._lock.release()
        except RuntimeError:
            pass
    parking.entered = None
    if kept is not None:
        raise kept
