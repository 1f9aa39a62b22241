# /// script
# dependencies = ["ipykernel", "jupyter_client"]
# ///
"""A Jupyter kernel in the main thread, and its client in another one."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.blocking import BlockingKernelClient

CELLS = 20
counts: list[int] = []
out = sys.stdout


def ask(path: str) -> None:
    client = BlockingKernelClient(connection_file=path)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    for number in range(CELLS):
        reply = client.execute_interactive(f"x = sum(range({number}))", timeout=60)
        counts.append(reply["content"]["execution_count"])
    client.shutdown()
    client.stop_channels()


with tempfile.TemporaryDirectory() as folder:
    os.environ["IPYTHONDIR"] = os.environ["JUPYTER_RUNTIME_DIR"] = folder
    path = str(Path(folder, "kernel.json"))
    app = IPKernelApp.instance()
    app.initialize(["-f", path, "--no-stdout", "--no-stderr"])
    asking = threading.Thread(target=ask, args=(path,))
    asking.start()
    app.start()
    asking.join()
print("cells", len(counts), "in order:", counts == sorted(counts), file=out)
