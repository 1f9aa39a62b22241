"""What stands on Python alone, and knows nothing of freezing.

`original`, functions of Python as they were when this package was imported, which `install()` may
have replaced since; `errors`; `deadline`; `completion`, the bells at which threads wait;
`uninterruptible`, what an asynchronous exception cannot break; checks of arguments; text.

Whatever is here may be used anywhere in the package. Nothing here imports from another room.
"""
