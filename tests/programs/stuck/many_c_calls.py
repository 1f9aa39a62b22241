"""c-call: one of many, of which no look sees the end: each takes longer than this program runs."""

import hashlib

import stage


def work() -> None:
    while True:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 100_000_000)  # here


stage.start(work)
stage.wait_to_end()
