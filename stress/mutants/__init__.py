"""Broken freezers: each breaks one rule, at run time, and some scenario has to notice.

A stress test that cannot fail is worthless. So ``python -m stress --mutants`` has each of these
tortured, and fails if a single one gets through.
"""

from __future__ import annotations

from stress.mutants import (
    _controllers,
    _deadlocks,
    _ends,
    _engine,
    _flags,
    _forks,
    _guards,
    _hooks,
    _in_a_row,
    _members,
    _programs,
    _sockets,
    _standing,
    _stores,
    _todos,
    _waits,
    _words,
)
from stress.mutants._mutant import MUTANTS, Mutant

__all__ = ["FAMILIES", "MUTANTS", "Mutant"]

FAMILIES = (
    _flags,
    _standing,
    _members,
    _ends,
    _todos,
    _controllers,
    _waits,
    _words,
    _programs,
    _stores,
    _sockets,
    _engine,
    _guards,
    _hooks,
    _forks,
    _in_a_row,
    _deadlocks,
)
"""The modules of this package that have filled the table."""
