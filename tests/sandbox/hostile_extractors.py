"""Stands in for a parser that a document has got the better of; a worker loads it under its own name."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.formats.builder import Draft
    from kb.sandbox.protocol import Limits


def prepare() -> None:
    """Nothing to load."""


def extract(_name: str, data: bytes, draft: Draft, limits: Limits) -> None:  # noqa: C901, PLR0912 - one case per mischief
    """Do what the bytes say."""
    match data.decode():
        case "loop":
            while True:
                time.sleep(0.01)
        case "crash":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "leave":
            os._exit(3)
        case "memory":
            draft.text("x" * len(bytearray(2 * limits.memory)))
        case "text":
            while True:
                draft.text("many words " * 1000)
        case "deep":
            extract(_name, data, draft, limits)
        case "read":
            draft.text(Path("/etc/passwd").read_text("utf-8"))
        case "connect":
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        case "print":
            os.write(1, b"what a library prints")
            draft.text("kept apart")
        case words:
            draft.text(words)
