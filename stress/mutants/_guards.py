"""Guarded forks without one of their rules."""

from __future__ import annotations

from freezethreads._install import _forks
from freezethreads._machine import contexts, sections
from stress.mutants._mutant import breaks, put, replace


@breaks("while a guard is in force every fork is made in a world of its own", "guarded")
def guard_not_in_force() -> None:
    put(_forks._Replacement, "begin", lambda self: None)


@breaks("nothing is forked while another thread owns a lock of sync", "guarded")
def owners_not_looked_for() -> None:
    replace(_forks._held_by_others, lambda where: ())


@breaks("from acquire() to release() is a section, without a try, too", "guarded")
def bare_section_forgotten() -> None:
    put(sections._Reader, "acquired", lambda self: iter(()))


@breaks("a block over a call that hands out a lock is a section", "guarded")
def call_taken_for_no_lock() -> None:
    replace(contexts.takes_a_lock, lambda *_: False)
