"""The waits for encrypted sockets, in the manner of `install_waits`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack

from helpers import start
from install_waits import Maker, Wait, into
from install_waits_io import pair

TLS_WAITS: dict[str, Maker] = {}
wait = into(TLS_WAITS)


def tls_context(side: int) -> ssl.SSLContext:
    """Encryption with nobody's certificate."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def tls_pair(stack: ExitStack) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """A server's socket and its client's."""
    here, there = pair(stack)
    serving = start(
        lambda: tls_context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(here, server_side=True)
    )
    client = tls_context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(there)
    return stack.enter_context(serving.finish()), stack.enter_context(client)


def tls_receiving(call: Callable[[ssl.SSLSocket], object], result: object) -> Maker:
    def make(stack: ExitStack) -> Wait:
        server, client = tls_pair(stack)
        return Wait(lambda: call(server), lambda: client.send(b"xy"), result)

    return make


def tls_sending(call: Callable[[ssl.SSLSocket], object], result: object) -> Maker:
    def make(stack: ExitStack) -> Wait:
        server, client = tls_pair(stack)
        server.setblocking(False)
        try:
            while True:
                server.send(b"xy")
        except ssl.SSLWantWriteError:
            server.setblocking(True)
        client.setblocking(False)

        def receive() -> None:
            try:
                while client.recv(65536):
                    pass
            except ssl.SSLWantReadError:
                pass

        return Wait(lambda: call(server), receive, result)

    return make


TLS_WAITS["tls_recv"] = tls_receiving(lambda server: server.recv(3), b"xy")
TLS_WAITS["tls_read"] = tls_receiving(lambda server: server.read(3), b"xy")
TLS_WAITS["tls_file"] = tls_receiving(lambda server: server.makefile("rb").read(2), b"xy")
TLS_WAITS["tls_send"] = tls_sending(lambda server: server.send(b"xy"), 2)
TLS_WAITS["tls_write"] = tls_sending(lambda server: server.write(b"xy"), 2)
TLS_WAITS["tls_sendall"] = tls_sending(lambda server: server.sendall(b"xy"), None)


@wait
def tls_handshake(stack: ExitStack) -> Wait:
    here, there = pair(stack)
    context = tls_context(ssl.PROTOCOL_TLS_CLIENT)

    def shake_hands() -> str:
        try:
            with context.wrap_socket(here):
                return "done"
        except OSError:
            return "refused"

    return Wait(shake_hands, there.close, "refused")


@wait
def tls_unwrap(stack: ExitStack) -> Wait:
    server, client = tls_pair(stack)

    def unwrap() -> str:
        try:
            server.unwrap()
            return "done"
        except OSError:
            return "broken"

    return Wait(unwrap, client.close, "broken")
