"""The standard library's tests of its thread pool, run on ours. For a process of its own.

Its test modules take the class from `concurrent.futures`, so ours is put there before they are
imported. All that they test of thread pools is run; the rest of them is about process pools, and
about futures without a pool. Most of these tests sleep, so several processes can share them:
`python -m pool_standard INDEX COUNT` runs each COUNTth test, beginning with number INDEX.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import json
import sys
import unittest
import warnings
from collections.abc import Iterator
from typing import Any, Final

from freezethreads._pool import ThreadPoolExecutor

PACKAGE: Final = "test.test_concurrent_futures"
MODULES: Final = (
    "test_thread_pool",
    "test_shutdown",
    "test_wait",
    "test_as_completed",
    "test_init",
)

# What the fresh interpreters that some tests start run first.
PRELUDE: Final = f"""
import sys
sys.path[:] = {sys.path!r}
import pool_standard
pool_standard.put_in_place()
"""


def put_in_place() -> None:
    """Make ours the class that the tests find, here and in the interpreters they start."""
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[misc]
    helper: Any = importlib.import_module("test.support.script_helper")
    real = helper.assert_python_ok
    helper.assert_python_ok = lambda flag, code: real(flag, PRELUDE + code)


def find_classes() -> Iterator[type[unittest.TestCase]]:
    """The test cases that are about thread pools. Up to Python 3.11, one module has them all."""
    in_parts = hasattr(importlib.import_module(PACKAGE), "__path__")
    for name in [f"{PACKAGE}.{part}" for part in MODULES] if in_parts else [PACKAGE]:
        for found in vars(importlib.import_module(name)).values():
            if isinstance(found, type) and issubclass(found, unittest.TestCase):
                pool = getattr(found, "executor_type", object)
                assert pool is not ThreadPoolExecutor.__base__, "it has the standard class"
                if pool is ThreadPoolExecutor:
                    yield found


def main(index: int, count: int) -> None:
    """Run a share of the tests, and print what came of them as JSON."""
    warnings.simplefilter("default")  # as when they are run alone
    put_in_place()
    classes = list(find_classes())
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    tests = [test for each in classes for test in load(each)]
    result = unittest.TestResult()
    unittest.TestSuite(tests[index::count]).run(result)
    outcome = {
        "classes": sorted(each.__name__ for each in classes),
        "tests": len(tests),
        "ran": result.testsRun,
        "failed": [f"{test}\n{text}" for test, text in (*result.failures, *result.errors)],
        "skipped": {test.id().rpartition(".")[2]: reason for test, reason in result.skipped},
    }
    print("\n" + json.dumps(outcome))  # they print how long they took, and no end of a line


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
