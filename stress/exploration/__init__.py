"""``python -m stress --explore``: every interleaving with few preemptions, of small scenarios.

Real code in real threads, of which one runs at a time: a trace function stops it before each access
to what threads may share, and hands over where the schedule says so. What waits, waits in the
explorer, so that a deadlock is a state in which nobody can go on. The ideas are those of CHESS
(few preemptions find most faults) and of partial-order reduction (a preemption makes a difference
only if the others meanwhile touch what comes next).
"""
