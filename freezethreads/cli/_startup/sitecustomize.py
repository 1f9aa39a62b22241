"""What a Python runs at its start if it is a child of a program under `freezethreads run`.

Any Python may find this in its path, of any version, with or without this library. So nothing is
written here that an old one would not take, and unless it is the parent's Python nothing is done:
the folder is taken out of the path, and the `sitecustomize` runs in whose place this one is.
"""

import os
import sys

if __name__ == "sitecustomize":
    _folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != _folder]
    _this = sys.modules.pop(__name__)
    try:
        import sitecustomize  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError as error:
        sys.modules[__name__] = _this  # whoever imports this one wants to find it
        if getattr(error, "name", None) != __name__:
            raise
    finally:
        _python, _, _options = os.environ.get("FREEZETHREADS_RUN", "").partition(" ")
        if _python == "%x:%s" % (sys.hexversion, sys.prefix):  # noqa: UP031
            _name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
            _interpreters = __import__(_name)
            if _interpreters.get_current() == _interpreters.get_main():  # each one runs this
                # Behind all others: by this nothing is to be found but the library.
                _root = os.path.dirname(os.path.dirname(os.path.dirname(_folder)))
                _is_found = _root in sys.path
                if not _is_found:
                    sys.path.append(_root)
                try:
                    from freezethreads.cli._children import begin_child

                    begin_child(_options)
                finally:
                    if not _is_found:
                        sys.path.remove(_root)
