"""The folder that `freezethreads run` puts into PYTHONPATH, for the children of its program.

It has this one module to be found there, and nothing else: see `_children`.
"""
