"""What is asked of one thread."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from freezethreads import FreezeError, World
from freezethreads._controller.controller import Controller
from freezethreads._refrigerator.refrigerator import make, visit_safepoint
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.todos import Todo, TodoList, pending_todos
from stress.mutants._mutant import breaks, put, replace


@breaks("a todo is made by the thread that it was meant for", "todos", explored="todos")
def todo_by_another() -> None:
    post = Registry.post

    def post_to_another(self: Registry, record: Record, todo: Todo) -> None:
        others = [other for other in list(self.records.values()) if other is not record]
        post(self, others[0] if others else record, todo)

    put(Registry, "post", post_to_another)


@breaks("a todo is made once", "todos", explored="leave")
def todo_twice() -> None:
    def make_twice(registry: Registry, record: Record, todo: Todo) -> None:
        make(registry, record, todo)
        todo._fn(*todo._args)

    replace(make, make_twice)


@breaks(
    "a todo that its thread does not come to make fails with ThreadExited",
    "todos",
    explored="leave",
)
def todo_lost() -> None:
    def refuse(self: Registry, record: Record, todo: Todo) -> None:
        record.todo.pop(todo, None)
        self.settle(todo)

    put(Registry, "_refuse", refuse)


@breaks(
    "todos are made in order of arrival, those with a higher priority first",
    "todos",
    explored="todos",
)
def todos_out_of_order() -> None:
    def the_last_first(todo: TodoList) -> list[Todo]:
        return [item for item in reversed(list(todo)) if type(item) is Todo]

    replace(pending_todos, the_last_first)


@breaks("a todo is not made inside no_freeze()", "nofreeze", explored="todos")
def todo_in_no_freeze() -> None:
    def visit_all(registry: Registry, label: str | None, frame: FrameType) -> None:
        record = registry.own.record
        if record is not None and record.shut:
            for todo in pending_todos(record.todo):
                make(registry, record, todo)
        else:
            visit_safepoint(registry, label, frame)

    replace(visit_safepoint, visit_all)


@breaks("what a world calls is called by the frozen thread", "todos", explored="call-into-wait")
def call_by_controller() -> None:
    def call(self: World, thread: object, fn: Callable[..., Any], /, *args: object) -> object:
        return fn(*args)

    put(World, "call", call)


@breaks("who waits for a call is told when its world is over", explored="call-or-lease")
def call_waited_for_in_vain() -> None:
    thaw = Controller._thaw

    def thaw_without_a_word(self: Controller, freeze: Freeze) -> bool:
        freeze.calls = {}
        return thaw(self, freeze)

    put(Controller, "_thaw", thaw_without_a_word)


@breaks(
    "a freeze that ends refuses the calls of its own worlds alone", explored="call-and-time-out"
)
def calls_of_others_refused() -> None:
    thaw = Controller._thaw

    def thaw_and_refuse(self: Controller, freeze: Freeze) -> bool:
        for record in list(freeze.members):
            for call in list(record.parking.calls):
                call.refuse(FreezeError("the world was thawed before the call was made"))
        return thaw(self, freeze)

    put(Controller, "_thaw", thaw_and_refuse)
