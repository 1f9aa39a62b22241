"""A server with a thread for each client, and four clients."""

from __future__ import annotations

import socket
import threading

MESSAGES, CLIENTS = 1000, 4
counts: list[int] = []
listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)


def answer(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)


def serve() -> None:
    for _ in range(CLIENTS):
        threading.Thread(target=answer, args=(listener.accept()[0],)).start()


def ask() -> None:
    with (
        socket.create_connection(listener.getsockname()) as connection,
        connection.makefile("rwb") as file,
    ):
        right = 0
        for number in range(MESSAGES):
            message = f"message {number}\n".encode()
            file.write(message)
            file.flush()
            right += file.readline() == message
        counts.append(right)


threads = [threading.Thread(target=serve), *(threading.Thread(target=ask) for _ in range(CLIENTS))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
listener.close()
print("right answers", counts)
