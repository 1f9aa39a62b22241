# /// script
# dependencies = ["prometheus-client"]
# ///
"""prometheus_client: counters that threads increment, and the server that shows them."""

from __future__ import annotations

import threading
import urllib.request

from prometheus_client import CollectorRegistry, Counter, start_http_server

registry = CollectorRegistry()
sold = Counter("sold", "What was sold.", ["shop"], registry=registry)
server, serving = start_http_server(0, "127.0.0.1", registry=registry)
url = f"http://127.0.0.1:{server.server_port}/metrics"
sizes: list[bool] = []


def sell(shop: int) -> None:
    for _ in range(2000):
        sold.labels(shop).inc()


def look() -> None:
    for _ in range(20):
        with urllib.request.urlopen(url, timeout=60) as answer:
            sizes.append(b"sold_total" in answer.read())


threads = [
    *(threading.Thread(target=sell, args=(s,)) for s in range(3)),
    threading.Thread(target=look),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
server.shutdown()
serving.join()
print(
    "sold",
    [registry.get_sample_value("sold_total", {"shop": str(s)}) for s in range(3)],
    len(sizes),
)
