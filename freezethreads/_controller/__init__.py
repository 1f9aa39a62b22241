"""The controllers' side: who stops the others, in which order, and how it ends.

`controller` asks, waits and thaws; `turns` is the queue of those who want to; `world` is what they
get, `lease` ends it in their place, and `nowait` is the same for threads that must not wait.
`fork` is about the child of a fork and the end of the interpreter.

Everything that ends a freeze comes through `Controller.thaw`.
"""
