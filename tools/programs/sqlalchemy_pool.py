# /// script
# dependencies = ["sqlalchemy"]
# ///
"""SQLAlchemy's QueuePool, smaller than its number of users."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import sqlalchemy
from sqlalchemy import text

with tempfile.TemporaryDirectory() as folder:
    engine = sqlalchemy.create_engine(
        f"sqlite:///{Path(folder, 'shop.db')}",
        poolclass=sqlalchemy.QueuePool,
        pool_size=2,
        max_overflow=0,
        pool_timeout=60,
        connect_args={"timeout": 60, "check_same_thread": False},
    )
    with engine.begin() as connection:
        connection.execute(text("create table sold (worker int, item int)"))

    def sell(worker: int) -> None:
        for item in range(20):
            with engine.begin() as connection:
                connection.execute(text(f"insert into sold values ({worker}, {item})"))

    threads = [threading.Thread(target=sell, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.begin() as connection:
        print("sold", connection.execute(text("select count(*), sum(item) from sold")).one())
    engine.dispose()
