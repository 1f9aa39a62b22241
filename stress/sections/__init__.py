"""Random functions with locks, and at each of their instructions: is one held, and is that seen?

`_source` writes them, `_truth` runs them and compares.
"""

from stress.sections._truth import Module

__all__ = ["Module"]
