"""Explaining where threads stand, and why one does not stop: for people, and as JSON.

Loaded when somebody asks, and not before. `_describe` has the one structure that all reports are
made of, `_text` its text, and `_diagnosis` the reasons why a thread does not stop.
"""

from freezethreads._explain._describe import describe, look
from freezethreads._explain._diagnosis import diagnose
from freezethreads._explain._dump import dump
from freezethreads._explain._text import render

__all__ = ["describe", "diagnose", "dump", "look", "render"]
