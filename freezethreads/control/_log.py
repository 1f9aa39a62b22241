"""Where the server tells its own program of what went wrong."""

from __future__ import annotations

import logging

logger = logging.getLogger("freezethreads.control")
