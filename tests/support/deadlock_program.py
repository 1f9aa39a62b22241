"""A program of threads that wait for each other, and of some that only look so, in one process.

Prints what `deadlocks()` says, one a line: the names of the threads in the order of the circle, the
first in the alphabet first, with "probably" before them if it is not certain, and with those behind
it after a bar, and "ended" if its owner has. The names begin with that of the case. With `sync`,
the locks are those of `freezethreads.sync`. With `unaware` it knows nothing of this library, says
when all are in their places, and stays there.
"""

from __future__ import annotations

import builtins
import multiprocessing
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

make_lock: Any = threading.Lock
make_rlock: Any = threading.RLock
make_condition: Any = threading.Condition
if sys.argv[1] == "sync":
    from freezethreads import sync

    make_lock, make_rlock, make_condition = sync.Lock, sync.RLock, sync.Condition
begun: list[threading.Event] = []
in_reach: list[object] = []  # of every thread


def start(*calls: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, name=call.__name__, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def crossing(count: int) -> Callable[[], None]:
    """Called by `count` threads, each with its first lock: returns when all have it."""
    barrier = threading.Barrier(count)
    begun.append(over := threading.Event())

    def cross() -> None:
        barrier.wait()
        over.set()

    return cross


def two_locks() -> None:
    a, b, cross = make_lock(), make_lock(), crossing(2)

    def two_a() -> None:
        with a:
            cross()
            with b:
                pass

    def two_b() -> None:
        with b:
            cross()
            b_then_a()

    def b_then_a() -> None:
        a.acquire()

    start(two_a, two_b)


def reentrant() -> None:
    """Nobody but its owner can release such a lock."""
    a, b, cross = make_rlock(), make_rlock(), crossing(2)

    def reentrant_a() -> None:
        with a, a:
            cross()
            b.acquire(True)

    def reentrant_b() -> None:
        with b:
            cross()
            with a:
                pass

    start(reentrant_a, reentrant_b)


def own() -> None:
    """Acquired twice by the same thread, in two `with` blocks."""
    a = make_lock()

    def own_a() -> None:
        with a:
            inner()

    def inner() -> None:
        with a:
            pass

    start(own_a)


def condition() -> None:
    """The wait of a condition is over, and does not get the condition's lock back."""
    notified, a = make_condition(), make_lock()
    begun.append(over := threading.Event())

    def condition_a() -> None:
        with a, notified:
            started.set()
            notified.wait()

    def condition_n() -> None:
        started.wait()
        with notified:
            notified.notify()
            over.set()
            with a:
                pass

    started = threading.Event()
    start(condition_a, condition_n)


def between_processes() -> None:
    a, b, cross = multiprocessing.Lock(), multiprocessing.RLock(), crossing(2)

    def shared_a() -> None:
        with a:
            cross()
            with b:
                pass

    def shared_b() -> None:
        with b:
            cross()
            a.acquire()

    start(shared_a, shared_b)


def three_locks() -> None:
    a, b, c, cross = make_lock(), make_lock(), make_lock(), crossing(3)

    def three_a() -> None:
        with a:
            cross()
            b.acquire()

    def three_b() -> None:
        with b:
            cross()
            with c:
                pass

    def three_c() -> None:
        with c:
            cross()
            with a:
                pass

    start(three_a, three_b, three_c)


def mixed() -> None:
    a, r, cross = make_lock(), make_rlock(), crossing(2)

    def mixed_a() -> None:
        with a:
            cross()
            with r:
                pass

    def mixed_r() -> None:
        with r, r:
            cross()
            a.acquire()
            try:
                pass
            finally:
                a.release()

    start(mixed_a, mixed_r)


def joins() -> None:
    threads: list[threading.Thread] = []
    ready = threading.Event()

    def join_a() -> None:
        ready.wait()
        threads[1].join()

    def join_b() -> None:
        threads[0].join()

    def join_outside() -> None:  # waits for a thread of the cycle, and is in none
        threads[0].join()

    threads += start(join_a)
    time.sleep(0.05)
    threads += start(join_b, join_outside)
    ready.set()


def imports() -> None:
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "deadlock_module.py"), "w", encoding="utf-8") as file:
        file.write("import builtins\nbuiltins.import_hook()\n")
    sys.path.insert(0, folder)
    r, cross = make_rlock(), crossing(2)

    def hook() -> None:
        cross()
        with r:
            pass

    def import_a() -> None:
        import deadlock_module  # type: ignore[import-not-found] # noqa: F401

    def import_r() -> None:
        with r:
            cross()
            import deadlock_module  # noqa: F401

    vars(builtins)["import_hook"] = hook
    start(import_a, import_r)


def time_out() -> None:
    a, b, cross = make_lock(), make_lock(), crossing(2)

    def timed_a() -> None:
        with a:
            cross()
            b.acquire(timeout=1000)

    def timed_b() -> None:
        with b:
            cross()
            a.acquire()

    start(timed_a, timed_b)


def elsewhere() -> None:
    """Acquired in a function that has returned: no stack tells who has a plain lock."""
    a, b, cross = make_lock(), make_lock(), crossing(2)

    def elsewhere_a() -> None:
        take(a)
        cross()
        take(b)

    def elsewhere_b() -> None:
        take(b)
        cross()
        take(a)

    start(elsewhere_a, elsewhere_b)


def ended() -> None:
    """Threads that have ended with what others wait for. (Nobody begins afterwards, who could get
    the same ident.)"""
    a, r = make_lock(), make_rlock()
    taken = threading.Event()

    def ended_owner() -> None:
        r.acquire()
        a.acquire()

    def ended_lock() -> None:
        taken.wait()
        a.acquire()

    def ended_rlock() -> None:
        taken.wait()
        with r:
            pass

    def ended_behind() -> None:
        taken.wait()
        threads[1].join()

    threads = start(ended_lock, ended_rlock, ended_behind)
    start(ended_owner)[0].join()
    taken.set()


def by_hand() -> None:
    """A condition written by hand, which has its lock released within a `with` block over it. One
    waits for that lock while a thread has it of which no stack tells so."""
    a, b = make_lock(), make_lock()
    released, kept, wanted = (threading.Event() for _ in range(3))
    begun.append(wanted)

    def healthy_by_hand() -> None:
        with a:
            a.release()
            released.set()
            wanted.wait()
            with b:
                pass
            a.acquire()

    def healthy_keeps() -> None:
        released.wait()
        take(a)
        kept.set()
        time.sleep(3600)

    def healthy_wants() -> None:
        kept.wait()
        with b:
            wanted.set()
            with a:
                pass

    start(healthy_by_hand, healthy_keeps, healthy_wants)


def take(lock: Any) -> None:
    lock.acquire()


def pool() -> None:
    """Each worker has a job that waits for another job of the pool."""
    executor = ThreadPoolExecutor(2, "pool")
    in_reach.append(executor)
    cross = crossing(2)

    def wait_for_another() -> None:
        cross()
        executor.submit(time.sleep, 0).result()

    jobs = [executor.submit(wait_for_another) for _ in range(2)]

    def poolbehind() -> None:
        jobs[0].result()

    start(poolbehind)


def signs() -> None:
    """An event that nobody sets, and a queue whose producer has ended."""
    items: queue.Queue[int] = queue.Queue()

    def sign_event() -> None:
        threading.Event().wait()

    def sign_queue() -> None:
        while True:
            items.get()

    def produce() -> None:
        items.put(1)

    start(sign_event, sign_queue)
    start(produce)[0].join()


class ReadWriteLock:
    """As one finds it in many programs: built on a condition, and of nobody."""

    def __init__(self) -> None:
        self.condition = make_condition()
        self.readers = 0

    def read(self) -> None:
        with self.condition:
            self.readers += 1

    def write(self) -> None:
        with self.condition:
            while self.readers:
                self.condition.wait()


def read_write() -> None:
    """Two readers that both want to write."""
    lock, cross = ReadWriteLock(), crossing(2)

    def write_a() -> None:
        lock.read()
        cross()
        lock.write()

    def write_b() -> None:
        lock.read()
        cross()
        lock.write()

    start(write_a, write_b)


def healthy_waits() -> None:
    """Waits that somebody ends, in an hour or so."""
    items: queue.Queue[int] = queue.Queue()
    done: Future[None] = Future()
    executor = ThreadPoolExecutor(1, "healthy_pool")
    job = executor.submit(time.sleep, 3600)
    queued = executor.submit(time.sleep, 3600)
    in_reach.extend([executor, done])

    def healthy_producer() -> None:
        time.sleep(3600)
        items.put(1)

    def healthy_eater() -> None:
        items.get()

    def healthy_asks() -> None:
        job.result()

    def healthy_queues_up() -> None:
        queued.result()

    def healthy_hopes() -> None:
        done.result()

    def healthy_by_the_clock() -> None:
        threading.Event().wait(3600)

    start(healthy_producer, healthy_eater, healthy_asks, healthy_queues_up)
    start(healthy_hopes, healthy_by_the_clock)


def healthy() -> None:
    """One sleeps with a lock, for which others queue up; one waits for what nobody has done yet."""
    a, condition, signal = make_lock(), threading.Condition(), make_lock()
    in_reach.append(condition)
    signal.acquire()

    def healthy_sleeps() -> None:
        with a:
            time.sleep(3600)

    def healthy_waits() -> None:
        with a:
            pass

    def healthy_consumer() -> None:
        with condition:
            condition.wait()

    def healthy_listens() -> None:
        signal.acquire()

    def healthy_waits_for_a_sign() -> None:
        own = make_lock()
        own.acquire()
        own.acquire()
        own.release()

    start(healthy_sleeps, healthy_waits, healthy_consumer, healthy_listens)
    start(healthy_waits_for_a_sign)


CASES = (
    *(two_locks, between_processes, three_locks, reentrant, mixed, own, condition, joins),
    *(
        imports,
        time_out,
        elsewhere,
        by_hand,
        pool,
        signs,
        read_write,
        healthy,
        healthy_waits,
        ended,
    ),
)
for case in CASES:
    case()
for event in begun:
    event.wait(20)
time.sleep(0.3)  # for the last step of each, which nobody can see from outside
if sys.argv[1] == "unaware":
    print("ready", flush=True)
    while True:
        time.sleep(0.02)

import freezethreads  # noqa: E402

found = []
for deadlock in freezethreads.deadlocks():
    names = [edge.name for edge in deadlock.edges]
    first = names.index(min(names))
    words = [] if deadlock.certain else ["probably"]
    words += names[first:] + names[:first] + ["ended"] * deadlock.owner_ended
    if deadlock.behind:
        words += ["|", *sorted(edge.name for edge in deadlock.behind)]
    found.append(" ".join(words))
    if "two_a" in names:
        print("\n".join(f"# {line}" for line in str(deadlock).splitlines()))
print("\n".join(sorted(found)))
sys.stdout.flush()
os._exit(0)
