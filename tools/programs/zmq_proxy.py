# /// script
# dependencies = ["pyzmq"]
# ///
"""pyzmq: a proxy that waits in C for ever, as in every Jupyter kernel, and its clients."""

from __future__ import annotations

import threading

import zmq

MESSAGES, CLIENTS = 100, 3
context = zmq.Context()
front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
front.bind("inproc://front")
back.bind("inproc://back")
counts: list[int] = []


def proxy() -> None:
    try:
        zmq.proxy(front, back)
    except zmq.ContextTerminated:
        front.close(0)
        back.close(0)


def answer() -> None:
    with context.socket(zmq.REP) as socket:
        socket.connect("inproc://back")
        try:
            while True:
                socket.send(socket.recv())
        except zmq.ContextTerminated:
            pass


def ask(client: int) -> None:
    with context.socket(zmq.REQ) as socket:
        socket.connect("inproc://front")
        right = 0
        for number in range(MESSAGES):
            message = f"{client} {number}".encode()
            socket.send(message)
            right += socket.recv() == message
        counts.append(right)


others = [threading.Thread(target=proxy), *(threading.Thread(target=answer) for _ in range(2))]
clients = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
for thread in (*others, *clients):
    thread.start()
for thread in clients:
    thread.join()
context.term()
for thread in others:
    thread.join()
print("right answers", counts)
