"""What the suites of systems that do the same job demand, restated for Python threads.

Each test is named after its origin: the Linux kernel's cgroup v2 freezer selftests, LTP's freezer
tests, HotSpot's handshake and safepoint tests, the bug reports of such systems, and liburcu's
rcutorture. Where the origin names large numbers, the scenario is a function of them in a module
beside the tests, which call it with small ones; `peers.big` has the large ones.
"""
