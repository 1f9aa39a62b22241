"""Whether a thread may run other code before a function of it goes on: greenlets.

A greenlet that waits lets others run in its thread, which then is not where the greenlet is. So a
region of a greenlet says nothing of its thread.
"""

from __future__ import annotations

from sys import modules


def may_switch() -> bool:
    """Whether the calling code runs in a greenlet, or in a thread that an event hub of gevent or
    eventlet shares out among greenlets.

    A greenlet that a thread did not begin with has a parent. The one that it began with has none,
    whether or not there are others, and greenlet does not tell; so it is asked for a hub. From any
    thread; False where greenlet is not imported.
    """
    getcurrent = getattr(modules.get("greenlet"), "getcurrent", None)
    if getcurrent is None:
        return False
    if getcurrent().parent is not None:
        return True
    get_hub = getattr(modules.get("gevent._hub_local"), "get_hub_if_exists", None)
    if get_hub is not None and get_hub() is not None:
        return True
    hubs = getattr(modules.get("eventlet.hubs"), "_threadlocal", None)
    return getattr(hubs, "hub", None) is not None
