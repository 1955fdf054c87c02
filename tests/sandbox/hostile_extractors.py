"""A parser that a hostile document controls; a worker loads it by its name."""

from __future__ import annotations

import codecs
import ctypes
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits


def prepare() -> None:
    """Load the encoding of host names, so that connecting reaches the system call."""
    codecs.lookup("idna")


def extract(_name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:  # noqa: C901, PLR0912 - one case per mischief
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
            builder.add_text("x" * len(bytearray(2 * limits.memory)))
        case "text":
            while True:
                builder.add_text("many words " * 1000)
        case "deep":
            extract(_name, data, builder, limits)
        case "read":
            builder.add_text(Path("/etc/passwd").read_text("utf-8"))
        case "connect":
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        case "print":
            os.write(1, b"what a library prints")
            builder.add_text("kept apart")
        case words:
            builder.add_text(words)
