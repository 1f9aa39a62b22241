"""The library's main job on real input, and the contrast to doing it without the library.

For the command line, ``freezethreads demo``; what is in here may change at any time.
"""

from freezethreads.demo._demo import INDEX, Demo, Settings
from freezethreads.demo._documents import Document, list_documents, standard_library
from freezethreads.demo._job import Event, Result
from freezethreads.demo._plot import check_plot, draw_plot
from freezethreads.demo._report import Outcome, table_of
from freezethreads.demo._resume import WrongIndex
from freezethreads.demo._snapshot import TornSnapshot
from freezethreads.demo._view import View

__all__ = [
    "INDEX",
    "Demo",
    "Document",
    "Event",
    "Outcome",
    "Result",
    "Settings",
    "TornSnapshot",
    "View",
    "WrongIndex",
    "check_plot",
    "draw_plot",
    "list_documents",
    "standard_library",
    "table_of",
]
