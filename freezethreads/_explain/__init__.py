"""Explaining where threads stand, and why one does not stop: for people, and as JSON.

Loaded when somebody asks, and not before. `_describe` makes a `Description` of all threads, and
`_text` its text; `_diagnosis` makes a `Diagnosis` of why a thread does not stop, `_verdict` its
text, and `_remedy` a few lines of it for an error. Both classes are in `_report.reports`.
"""

from freezethreads._explain._describe import describe, look
from freezethreads._explain._diagnosis import diagnose
from freezethreads._explain._dump import dump
from freezethreads._explain._remedy import add_remedy
from freezethreads._explain._silent import diagnose_silent, diagnose_unserved
from freezethreads._explain._text import render
from freezethreads._explain._verdict import render_diagnosis

__all__ = [
    "add_remedy",
    "describe",
    "diagnose",
    "diagnose_silent",
    "diagnose_unserved",
    "dump",
    "look",
    "render",
    "render_diagnosis",
]
