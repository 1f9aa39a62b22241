"""The second engine: stopping threads between two bytecodes, outside sections, by `sys.monitoring`.

Read `bar` for the protocol: who stops, who looks, and why nobody slips through. `trap` is what the
interpreter calls, and when it does; `monitoring` is all that touches the interpreter. `stacks`
tells whether a thread is in a section, `sections` where those are in a code object, `values` what
the names there lead to, and `marks` are what the program has declared.

It needs CPython 3.12. Nothing of it is there, neither a callback nor an event, while no freeze of
its kind is asked for.
"""
