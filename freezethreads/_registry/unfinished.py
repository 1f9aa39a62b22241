"""What a thread has unfinished: the `pending()` regions that it is in, each of some kind.

`Parking.unfinished` has them, innermost last. It is one tuple, and its thread alone writes it,
while it runs: never while it counts as stopped for a freeze that minds. So a place and a stay can
say once and for all what was unfinished there, and a freeze that is to find its kinds *settled*
counts neither (see `requests.Freeze.spares`). This is `no_freeze()` of one kind, for the freezes
that ask for it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from freezethreads._registry.places import Place
    from freezethreads._registry.record import Parking


class Unfinished(NamedTuple):
    """One region: whose freezer's it is, its kind with all above that, and where it began."""

    registry: object
    kinds: tuple[str, ...]
    place: Place

    @property
    def kind(self) -> str:
        """The kind itself."""
        return self.kinds[-1]


# The threads that have anything unfinished and are enrolled with no freezer, by ident: there is no
# record to find them by. Each writes its own entry.
strangers: dict[int, Parking] = {}


def with_all_above(kind: str) -> tuple[str, ...]:
    """``("tx", "tx.write")`` for ``"tx.write"``: what a freeze may call it.

    Made once for each region, so that a look at it calls nothing in Python: see `flat`.
    """
    return tuple(accumulate(kind.split("."), "{}.{}".format))
