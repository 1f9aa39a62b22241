"""Suites that others wrote, run while the freezer stops all their threads: `tools/storm`."""
