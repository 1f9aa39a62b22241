"""http.server with a thread for each request, under load."""

from __future__ import annotations

import http.server

from _web import Echo, ask_all, serving

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
with serving(server):
    answers = ask_all(server.server_port, requests=30)
print(answers)
