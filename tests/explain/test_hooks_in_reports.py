"""A hook that hangs is named by dump, by a diagnosis, and to who looks from outside."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from freezethreads import Freezer
from freezethreads._explain import describe, render
from freezethreads._ground.jsonable import from_json, to_json
from freezethreads._report.reports import Description
from freezethreads.control._describe import describe_freezer
from freezing import Pause, actor, looping
from helpers import WAIT


@contextmanager
def hanging(which: str) -> Iterator[Freezer]:
    """A freezer with a hook that hangs in this block, in its controller's thread."""
    freezer = Freezer("hanging")
    pause = Pause()
    freezer.hook(**{which: pause}, name="flush")  # type: ignore[arg-type]
    with actor() as controller:
        freezing = controller.tell(lambda: freezer.freeze(timeout=WAIT).thaw())
        pause.wait()
        try:
            yield freezer
        finally:
            pause.go()
            freezing.result(WAIT)


WHICH = pytest.mark.parametrize("which", ["before", "after"])


@WHICH
def test_a_dump_names_it(which: str) -> None:
    with hanging(which) as freezer:
        file = io.StringIO()
        freezer.dump(file, timeout=WAIT)
    assert re.search(
        rf"a world by actor stands for .*; actor has been in the `{which}` of "
        rf"its hook 'flush' \({re.escape(__file__)}:\d+\) for ",
        file.getvalue(),
    )


@WHICH
def test_a_description_has_it_as_json_too(which: str) -> None:
    with hanging(which) as freezer:
        description = describe(freezer)
        (row,) = describe_freezer(freezer).freezes
    (freeze,) = description.freezes
    assert freeze.hook is not None
    assert (freeze.hook.name, freeze.hook.which, freeze.hook.by) == ("flush", which, "actor")
    assert row.hook is not None
    again = from_json(Description, json.loads(json.dumps(to_json(description))))
    assert again == description
    assert render(again) == render(description)


def test_where_no_hook_is_called_none_is_named() -> None:
    freezer = Freezer()
    freezer.hook(int)
    with looping(freezer, 1), freezer.freeze(timeout=WAIT):
        (freeze,) = describe(freezer).freezes
    assert freeze.hook is None
