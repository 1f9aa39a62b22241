# /// script
# dependencies = ["watchdog"]
# ///
"""watchdog: an observer of files, by inotify."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from watchdog.events import FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

FILES = 100
seen: set[str] = set()
all_seen = threading.Event()


class Handler(FileSystemEventHandler):
    def on_created(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileCreatedEvent):
            seen.add(Path(str(event.src_path)).name)
            if len(seen) == FILES:
                all_seen.set()


with tempfile.TemporaryDirectory() as folder:
    observer = Observer()
    observer.schedule(Handler(), folder)
    observer.start()
    for number in range(FILES):
        Path(folder, str(number)).touch()
        time.sleep(0.005)
    all_seen.wait(60)
    observer.stop()
    observer.join()
print("seen", len(seen))
