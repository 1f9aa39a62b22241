"""Worker loops on sqlite3, each with a connection of its own to one file."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "shop.db")
    with sqlite3.connect(path) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table sold (worker int, item int)")
    connection.close()

    def sell(worker: int) -> None:
        connection = sqlite3.connect(path, timeout=60)
        for item in range(60):
            with connection:
                connection.execute("insert into sold values (?, ?)", (worker, item))
            connection.execute("select sum(item) from sold").fetchone()
        connection.close()

    threads = [threading.Thread(target=sell, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection = sqlite3.connect(path)
    print("sold", connection.execute("select count(*), sum(item) from sold").fetchone())
    connection.close()
