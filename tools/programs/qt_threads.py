# /// script
# dependencies = ["PySide6-Essentials"]
# ///
"""PySide6: an event loop of Qt in the main thread, and threads that Qt has started."""

from __future__ import annotations

import sys
import time

from PySide6.QtCore import QCoreApplication, QThread, QTimer

TURNS, THREADS = 100, 2
ticks = 0


class Worker(QThread):
    turns = 0

    def run(self) -> None:
        while self.turns < TURNS:
            self.turns += 1
            time.sleep(0.005)


def tick() -> None:
    global ticks
    ticks += 1
    if ticks >= TURNS and all(worker.isFinished() for worker in workers):
        app.quit()


app = QCoreApplication(sys.argv[:1])
workers = [Worker() for _ in range(THREADS)]
for worker in workers:
    worker.start()
timer = QTimer()
timer.timeout.connect(tick)
timer.start(5)
app.exec()
print("ticked", ticks >= TURNS, "turns", [worker.turns for worker in workers])
