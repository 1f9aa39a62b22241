"""Freezing programs that were written without it: `install()`, and its undoing.

`_table` has every name that is replaced; `_wrappers`, `_stand_ins`, `_descriptors`, `_members` and
`_raw` have what goes in its place, and `_patches` the putting and the taking away. Where nothing is
replaced, `_beginnings` sees to it that threads are enrolled. `_forks` replaces `os.fork`, while a
guard is in force.
"""

from freezethreads._install._forks import ForkGuard, GuardedFork
from freezethreads._install._installation import Installation, install

__all__ = ["ForkGuard", "GuardedFork", "Installation", "install"]
