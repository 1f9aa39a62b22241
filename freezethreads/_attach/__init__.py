"""Reaching a process that nobody prepared, from outside.

CPython 3.14 and newer run a script in a running process for whoever may trace it (PEP 768).
`outside` is our side of that: `target` says whether a process can be reached, `tracer` stops it for
the moment in which `poke` asks its threads to run the script, `layout` knows where that is written,
and `drop` has the files for it. In the process `begin` loads the library, from wherever it is to be
had, and `inside` has it serve, and takes it away again. It loads nothing of the other side.
"""

from typing import Final

TIMEOUT: Final = 5.0
"""Seconds within which some thread of the process has to run Python."""
