"""c-call: one of many, each of which takes long enough to be met by every look."""

import hashlib

import stage


def work() -> None:
    while True:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 300_000)  # here


stage.start(work)
stage.wait_to_end()
