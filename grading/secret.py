"""Numbers that only the teacher can foresee: each student's data and hidden inputs."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import numpy as np

from grading.problemset import ROOT


def make(path: Path) -> None:
    """Write a new secret, which only its owner may read; refuse a place in the repository."""
    path = path.resolve()
    if path.is_relative_to(ROOT):
        raise ValueError(f"keep the secret out of the repository: {path} is inside {ROOT}")
    if path.exists():
        raise FileExistsError(f"{path} is there already and stays as it is")
    write_new(path)


def write_new(path: Path) -> None:
    """Write a new secret where none is yet."""
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(secrets.token_hex(32) + "\n")


def read(path: Path) -> bytes:
    """Return the secret that a file holds; refuse one that can be guessed."""
    secret = path.read_text(encoding="utf-8").strip().encode()
    if len(secret) < 32:
        raise ValueError(f"{path} holds {len(secret)} characters, at least 32 are expected")
    return secret


def seed_for(secret: bytes, set_name: str, student: str) -> int:
    """Return the SEED of a student's notebook, below 2**31."""
    return _number(secret, "seed", set_name, student) % 2**31


def hidden_inputs(secret: bytes, set_name: str, task: str, student: str) -> np.random.Generator:
    """Return what a student's hidden inputs are drawn from."""
    return np.random.default_rng(_number(secret, "inputs", set_name, task, student))


def _number(secret: bytes, *names: str) -> int:
    message = "\0".join(names).encode()
    return int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest()[:16], "big")
