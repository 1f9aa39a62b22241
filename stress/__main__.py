"""``python -m stress``."""

import sys

from stress._cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
