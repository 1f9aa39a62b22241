"""``python -m stress --explore``: every interleaving with few preemptions, of small scenarios.

Real code in real threads, of which one runs at a time: a call put into its source stops it before
each access to what threads may share, and hands over where the schedule says so. What waits, waits
in the explorer, so that a deadlock is a state in which nobody can go on. The ideas are those of
CHESS (few preemptions find most faults) and of partial-order reduction (two schedules differ only
if steps that touch the same thing come in another order).

What it takes for granted: memory that is sequentially consistent, operations of C that are one step
each, and a clock that is no shared thing (a time-out comes whenever it may, but two deadlines are
not compared with each other in every order).
"""
