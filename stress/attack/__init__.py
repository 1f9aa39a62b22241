"""What the scenarios `stores` and `socket` attack with, each module one kind of it.

`_saver` is the program that saves, `_calls` runs it under strace and fails its system calls or
writes them down, `_disk` has the power fail in the middle of them. `_fuzz` makes messages, `_liar`
answers with lies, and `_footprint` tells what a process has open.
"""
