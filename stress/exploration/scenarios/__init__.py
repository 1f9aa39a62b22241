"""The scenarios, by what they are about. Each has filled its part of the table.

Which steps come between which, in every order that the bound allows: those of one line with each
other. A *thaw* twice in a line is one thaw and another of the same freeze.

======================== ==========================================================
`park`                   park, arm, thaw
`double-thaw`            park, thaw, thaw, arm
`overlap`                park, hold, thaw, arm
`hold-and-world`         park, hold, arm, thaw
`two-worlds`             park, arm, thaw, turns
`time-out`               park, arm, time-out
`lease`                  park, arm, lease, thaw
`hooks-and-lease`        park, arm, lease, thaw, undo
`hooks-and-thaw`         park, arm, thaw, thaw, undo
`abandoned`              park, hold, thaw, thaw
`call-in-region`         call, block, arm, thaw
`call-or-lease`          call, lease
`call-and-lease`         call, lease, hold, arm, thaw
`call-and-time-out`      call, park, arm, time-out, two freezers
`call-for-two`           call, park, arm, two freezers
`call-into-wait`         call, wait, arm, two freezers
`move`                   move, arm, thaw
`moved`                  move (by another), park, arm, thaw
`moved-out`              move (by another), park, hold
`moved-and-lease`        move (by another), park, lease
`moved-by-two`           move (by another), move (by another), park, arm
`moved-back`             move (by another), twice, park, arm
`register`               register, arm, thaw, exit
`leave`                  exit, todo, park, arm, thaw
`unregister`             exit (by another), park, arm, thaw
`region`                 block, arm, thaw
`notify`                 wait, notify, arm, thaw: of a lock
`item`                   wait, notify, arm, thaw: of a queue
`notification`           wait, notify, arm, thaw: of a condition
`todo-in-wait`           wait, todo, notify
`wait-in-no-freeze`      wait, notify, no_freeze, arm, two freezers
`no-freeze`              no_freeze, park, arm, thaw
`nested`                 arm, thaw, park, arm again inside
`two-members`            block, park, arm, of two threads
`controllers`            arm, turns, park, thaw, by threads that are asked as well
`controller-and-hold`    hold, arm, turns, park, thaw, likewise
`todo`                   todo, park, arm, thaw
`pending`                pending, park, arm, thaw
`wait-in-pending`        pending, wait, notify, arm, thaw
`region-in-pending`      pending, region, arm, thaw
`pending-in-region`      region, pending, arm, thaw
`pending-under-hold`     pending, hold, arm, thaw
`outstanding`            add, done, park, arm, thaw
`added-meanwhile`        add, done, park, arm, thaw, of two threads
`gathered`               add, done, gather, arm, thaw
`in-order`               park, arm, park, arm, thaw, of two groups
`held-in-order`          hold, likewise
`crossed`                arm, hold, thaw, thaw, of two groups in both orders
`timed-out-in-order`     park, arm, arm, time-out
`settled-in-order`       add, done, park, arm, arm, thaw
`todos`                  todo, todo, no_freeze
`region-and-lease`       block, lease, arm, thaw
`leases`                 lease, arm again inside, thaw, park
`leave-and-lease`        exit, lease, arm, thaw
`todo-and-lease`         todo, lease, park, arm, thaw
`region-and-time-out`    block, hold, time-out
`move-and-time-out`      move, arm, time-out
`leave-and-time-out`     exit, time-out, arm
`register-and-move`      register, move, hold, arm, thaw
`request`                a request of a loop, park, arm, thaw
`request-and-freeze`     a request of a loop, todo's wake-up, park, arm, thaw, turns
`todo-and-exception`     todo, exception
`freeze-and-exception`   arm, thaw, park, exception
`park-and-exception`     park, arm, thaw, exception
`latch-and-handler`      notify, wait, park, arm, signal handler
`chain-and-handler`      thaw, four parked, signal handler
`foreign-lock`           wait, notify, hold, exception
`turn-and-exception`     hold, arm, turns, thaw, exception
`thaw-in-handler`        thaw, thaw, park, signal handler
`park-and-exceptions`    park, arm, thaw, exception, exception
`region-and-exceptions`  block, arm, thaw, exception, exception
`wait-and-exceptions`    wait, notify, arm, thaw, exception, exception
`freeze-and-exceptions`  arm, thaw, park, exception, exception
`lock-and-exceptions`    wait, notify of a lock, exception, exception
`rlock-and-exceptions`   the same of a re-entrant lock
`fork-in-wait`           wait, fork's reset, arm
`fork-and-park`          block, park, fork's reset, arm
`fork-and-call`          call, fork's reset, arm
`fork-in-call`           call, wait, fork's reset, notify, arm
`fork-of-caller`         call, fork's reset of the other thread
======================== ==========================================================
"""

from __future__ import annotations

from stress.exploration._stage import SCENARIOS
from stress.exploration.scenarios import (
    calls,
    forks,
    groups,
    in_a_row,
    interruptions,
    members,
    pairs,
    requests,
    thaws,
    unfinished,
    waits,
)

__all__ = ["FAMILIES", "SCENARIOS"]

FAMILIES = (
    thaws,
    calls,
    members,
    pairs,
    unfinished,
    groups,
    waits,
    requests,
    interruptions,
    in_a_row,
    forks,
)
