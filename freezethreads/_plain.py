"""Text that does no more than stand there."""

from __future__ import annotations


def clean(text: str) -> str:
    """Take out what would move the cursor, or worse, or end the line: names come from anywhere."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def clean_lines(text: str) -> str:
    """`clean`, line by line."""
    return "\n".join(map(clean, text.split("\n")))
