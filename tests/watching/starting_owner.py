"""A daemon whose start is slow at one step, which it names: a program that a test sends a signal to at that step.

It is run with the step, the folder and the store.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from watched import LoadedFake

import kb.container
import kb.models
import kb.service.listen
import kb.store.local_chroma
import kb.store.probe
from kb.cli.daemon import Daemon
from kb.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable

# Where each step begins, and whether it can be cut short.
STEPS = {
    "load": (LoadedFake, "load"),
    "open": (kb.store.local_chroma, "open_index"),
    "probe": (kb.store.probe, "probe"),
    "lock": (kb.container.Container, "own"),
    "listen": (kb.service.listen, "listen"),
    "follow": (Daemon, "_start_following"),
    "index": (LoadedFake, "embed_documents"),
}


def slow(step: str) -> None:
    """Let a step print its name and take a while, the first time."""
    owner, name = STEPS[step]
    original: Callable[..., Any] = getattr(owner, name)
    said: list[str] = []

    def call(*args: Any, **named: Any) -> Any:
        if not said:
            said.append(step)
            sys.stdout.write("here\n")
            sys.stdout.flush()
            for _ in range(10):
                time.sleep(0.1)
        return original(*args, **named)

    setattr(owner, name, call)


def main(step: str, folder: str, store: str) -> int:
    """Watch, slowly."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kb.models.encoder_of = lambda *_: LoadedFake()  # type: ignore[assignment]  # a fake in its place
    slow(step)
    return run(["-s", f'folders.paths=["{folder}"]', "--store", store, "watch"])


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    # Threads that a test has slowed down are not waited for.
    sys.stdout.flush()
    os._exit(code)
