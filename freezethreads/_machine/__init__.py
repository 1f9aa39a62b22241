"""The second engine: stopping threads between two bytecodes, outside sections, by `sys.monitoring`.

Read `bar` for the protocol: who stops, who looks, and why nobody slips through. `sections` reads
from a code object where a lock is held, `stacks` whether a thread is in such a section, `marks` are
what the program has declared, and `monitoring` is all that touches the interpreter.

It needs CPython 3.12. Nothing of it is there, neither a callback nor an event, while no freeze of
its kind is asked for.
"""
