"""Refuses a Python that is too old, as soon as a script in tools/ imports this.

Every script does so first. Whatever `python3` a machine has reads the script and this file, so
both must parse on Python 3.6, which what they import afterwards need not.
"""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    script = sys.argv[0]
    sys.exit(
        f"{script} needs Python {NEEDED[0]}.{NEEDED[1]} or newer, and {sys.executable} is "
        f"{sys.version_info[0]}.{sys.version_info[1]}; name a newer one, as in: python3.13 {script}"
    )
