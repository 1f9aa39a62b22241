# /// script
# dependencies = ["grpcio"]
# ///
"""gRPC: a server and clients, all of which wait in its C."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

CALLS, CLIENTS = 60, 3
answers: list[bytes] = []


def reverse(request: bytes, context: Any) -> bytes:
    return request[::-1]


handlers = {"Reverse": grpc.unary_unary_rpc_method_handler(reverse)}
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Shop", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()


def ask(client: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/Shop/Reverse")
        for number in range(CALLS):
            answers.append(call(f"{client} {number}".encode(), timeout=60))


threads = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
server.stop(None).wait()
print("answers", len(answers), "different", len(set(answers)))
