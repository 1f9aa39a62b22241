"""The end of an enrolment: by the block, with the loop, too early, too late, or never."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asyncio_loops import LoopThread, run_in_default, running_loop
from freezethreads import FreezeError, Freezer, FreezeTimeout, State, default_freezer
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, run_python, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def loop(freezer: Freezer) -> Iterator[LoopThread]:
    with running_loop(freezer, "io") as thread:
        yield thread


def states(freezer: Freezer) -> dict[str, State]:
    return {info.name: info.state for info in freezer.threads()}


def test_the_end_of_the_block_unregisters(freezer: Freezer) -> None:
    async def main() -> None:
        with asyncio_loop.enrol(freezer, group="io", name="net") as enrolment:
            assert (enrolment.registration.name, enrolment.registration.group) == ("net", "io")
            assert states(freezer) == {"net": State.RUNNING}
            enrolment.registration.move("other")
            assert freezer.threads()[0].group == "other"
        assert not freezer.threads()
        enrolment.close()
        with asyncio_loop.enrol(freezer):
            enrolment.close()
            assert freezer.threads()

    asyncio.run(main())
    assert not freezer.threads()


def test_none_is_the_default_freezer() -> None:
    async def main() -> bool:
        with asyncio_loop.enrol():
            return threading.get_ident() in {info.ident for info in default_freezer.threads()}

    assert asyncio.run(main())


def test_a_request_that_comes_with_the_close_stops_nobody(
    freezer: Freezer, loop: LoopThread
) -> None:
    """
    1. A callback runs while a freeze asks, and the loop is told to look.
    2. The callback closes the enrolment. So the freeze covers nobody any more, and stands.
    3. What the loop was told to do must not stop it, although the root group is frozen.
    """
    inside, asked = threading.Event(), threading.Event()

    def close() -> None:
        inside.set()
        wait_for(asked)
        assert loop.enrolment is not None
        loop.enrolment.close()

    closing = loop.tell(close)
    wait_for(inside)
    with pytest.MonkeyPatch.context() as patch:
        wake = loop.loop.call_soon_threadsafe

        def note(*args: Any, **kwargs: Any) -> Any:
            handle = wake(*args, **kwargs)
            asked.set()
            return handle

        patch.setattr(loop.loop, "call_soon_threadsafe", note)
        world = freezer.freeze(timeout=WAIT)
    with world:
        closing.result(WAIT)
        loop.settle()


def test_only_the_loops_thread_closes(freezer: Freezer, loop: LoopThread) -> None:
    assert loop.enrolment is not None
    with pytest.raises(FreezeError, match="another thread"):
        loop.enrolment.close()
    assert list(states(freezer)) == ["loop"]
    assert loop.run(run_in_default()) == "asyncio_0"
    assert len(freezer.threads()) == 2


def test_the_end_of_a_loop_ends_its_enrolment(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> asyncio_loop.Enrolment:
        enrolment = asyncio_loop.enrol(freezer)
        await run_in_default()
        return enrolment

    enrolment = asyncio.run(main())
    assert "closed" in repr(enrolment).split(", ")[-1]
    wait_until(lambda: not freezer.threads())
    with freezer.freeze(timeout=0):
        pass
    enrolment.close()
    assert not caplog.records


def test_a_loop_that_is_stopped_stays_enrolled_and_can_run_again(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    async def enrol() -> asyncio_loop.Enrolment:
        return asyncio_loop.enrol(freezer, name="stopped")

    async def stand() -> None:
        await asyncio.to_thread(freezer.run_frozen, int, timeout=WAIT)

    loop = asyncio.new_event_loop()
    enrolment = loop.run_until_complete(enrol())
    with pytest.raises(FreezeTimeout, match="stopped"):
        start(lambda: freezer.freeze(timeout=0)).finish()
    freezer.safepoint()
    loop.run_until_complete(stand())
    enrolment.close()
    assert not states(freezer).keys() & {"stopped"}
    loop.close()
    assert not caplog.records


async def enrol(freezer: Freezer) -> asyncio_loop.Enrolment:
    return asyncio_loop.enrol(freezer)


def test_an_enrolment_may_outlive_its_loop(
    freezer: Freezer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio_loop, "_at_close", lambda loop, call: int)  # not noticed
    loop = asyncio.new_event_loop()
    enrolment = loop.run_until_complete(enrol(freezer))
    loop.close()
    future = start(lambda: freezer.todo(threading.main_thread(), int)).finish()
    freezer.safepoint()
    assert future.result(0) == 0
    enrolment.close()
    assert not freezer.threads()
    assert not caplog.records


def test_another_thread_may_close_the_loop(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    enrolment = loop.run_until_complete(enrol(freezer))
    start(loop.close).finish()
    enrolment.close()
    assert not freezer.threads()
    assert not caplog.records


def test_a_loop_that_nobody_closes_disturbs_no_exit() -> None:
    code = """
import asyncio, threading
import freezethreads
from freezethreads.integrations import asyncio_loop

async def main():
    asyncio_loop.enrol()
    block = asyncio_loop.freeze()
    blocks.append(block)
    await block.__aenter__()

def work():
    with freezethreads.register():
        ready.set()
        while not over.wait(0.01):
            freezethreads.safepoint()
    print("ended")

ready, over, blocks = threading.Event(), threading.Event(), []
threading.Thread(target=work).start()
ready.wait()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
over.set()
"""
    result = run_python("import warnings; warnings.simplefilter('ignore')\n" + code)
    assert result.stdout == "ended\n"
    assert "Traceback" not in result.stderr
