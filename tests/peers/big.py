"""The scenarios that name numbers, with the numbers of their origin; the tests take small ones.

Each returns, or raises what was wrong. `python -m stress --peers [WORD ...]` runs those whose names
have all these words in them, one after the other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from peers import bombs, cgroup, direct, exits, floods, handshakes, oracle, trees
from peers.walks import Means, walk_stacks, walk_stacks_async

# As LTP names them: how wide each level is, and how many levels there are.
_TREES: Final = {
    "200_1": (200, 1),
    "1_200": (1, 200),
    "2_9": (2, 9),
    "4_4": (4, 4),
    "10_3": (10, 3),
}

BIG: dict[str, Callable[[], object]] = {
    "cgroup simple": partial(cgroup.simple, threads=100),
    "cgroup forkbomb": partial(bombs.fork_bomb, most=200, births=2000),
    "ltp fork_freeze": partial(bombs.fork_freeze, most=200, seconds=4.0, held_at=0.5),
    "hotspot HandshakeWalkStack": partial(walk_stacks, Means(), rounds=300),
    "hotspot AsyncHandshakeWalkStack": partial(walk_stacks_async, Means(), rounds=1000),
    "hotspot HandshakeWalkExit": partial(handshakes.walk_exit, askers=20, threads=128),
    "hotspot HandshakeWalkOneExit": partial(handshakes.walk_one_exit, askers=20, rounds=128),
    "hotspot HandshakeSuspendExit": partial(
        handshakes.suspend_exit, suspenders=16, threads=128, holds=20
    ),
    "hotspot HandshakeDirect": partial(direct.direct, workers=32, todos=300_000),
    "report todos for a parked thread": partial(floods.flood_parked, todos=1000, visits=20),
    "report todos for a waiting thread": partial(floods.flood_waiting, todos=1000),
    "report threads that register": partial(floods.register_during_freeze, threads=2000),
    "report exit under a freeze": partial(exits.exit_while_frozen, "freeze", threads=100),
    "report exit under a hold": partial(exits.exit_while_frozen, "hold", threads=100),
    "oracle": partial(oracle.run, seed=1, threads=16, freezes=5000),
}
if sys.version_info >= (3, 12):  # between two bytecodes
    BIG |= {
        "cgroup simple anywhere": partial(cgroup.simple, 100, "anywhere"),
        "cgroup forkbomb anywhere": partial(bombs.fork_bomb, 200, 2000, "anywhere"),
        "ltp fork_freeze anywhere": partial(bombs.fork_freeze, 200, 4.0, 0.5, "anywhere"),
        "ltp cgroup_fj_stress 3_3 each anywhere": partial(trees.stress_each, 3, 3, "anywhere"),
        "hotspot HandshakeDirect anywhere": partial(direct.direct, 32, 30_000, "anywhere"),
        "report threads that register anywhere": partial(
            floods.register_during_freeze, 200, "anywhere"
        ),
    }
for _name, (_wide, _deep) in _TREES.items():
    for _stress in trees.stress_empty, trees.stress_one, trees.stress_each:
        _what = _stress.__name__.removeprefix("stress_")
        BIG[f"ltp cgroup_fj_stress {_name} {_what}"] = partial(_stress, _wide, _deep)


def main(words: list[str]) -> int:
    """Run those that are meant, and print what each took. Returns the exit status."""
    meant = [name for name in BIG if all(word in name for word in words)]
    if not meant:
        print(f"no case has {' and '.join(words)} in its name; there are {', '.join(BIG)}")
        return 2
    for name in meant:
        began = time.monotonic()
        result = BIG[name]()
        print(f"{name}: {time.monotonic() - began:.1f} s, {result}", flush=True)
    return 0
