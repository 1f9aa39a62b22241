"""The threads' side: the refrigerator, in which they stand, and the doors to it.

`refrigerator` is the protocol; `blocking`, `no_freeze` and `waits` are the regions whose ends are
doors, and `membership` is the way in and out of the freezer. `flat` waits where the stack has no
room for more.

What runs here runs in the thread that is to stop, and an exception may arrive at any instruction.
"""
