"""Where the peers' cases have threads stopped."""

from __future__ import annotations

from typing import Any

import pytest

from machine import ANYWHERE, UNLOCKED


@pytest.fixture(params=["safepoint", UNLOCKED, ANYWHERE])
def where(request: pytest.FixtureRequest) -> Any:
    """Each place to stop threads: the case asks the same of all of them."""
    return request.param
