"""c-call: one that computes for long, with the interpreter released."""

import hashlib

import stage


def work() -> None:
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 2_000_000_000)  # here


stage.start(work)
stage.wait_to_end()
