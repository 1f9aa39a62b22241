"""What would help those who did not stop, in the message of a freeze whose time ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freezethreads._explain._diagnosis import find
from freezethreads._ground.text import HELPS, MOST_HELPS, helped
from freezethreads._report.stragglers import to_blame

if TYPE_CHECKING:
    from freezethreads._ground.errors import FreezeTimeout


def add_remedy(error: FreezeTimeout, called: str) -> None:
    """Say in its message why the first of them do not stop, and what would help: in the words of a
    diagnosis, each advice once. `called` is what the program calls the freezer.

    When everybody has been let go: it reads source files. From any thread; may be repeated.
    """
    if HELPS in str(error):
        return
    remedies = {error._advice: ""} if error._advice else {}
    for straggler in to_blame(error.stragglers):
        finding = find(straggler, called)
        remedies.setdefault(finding.advice, finding.why)
        if len(remedies) == MOST_HELPS:
            break
    if remedies:
        lines = [f"{why} {advice}".strip() for advice, why in remedies.items()]
        error.args = (helped(str(error), lines), error.stragglers)
