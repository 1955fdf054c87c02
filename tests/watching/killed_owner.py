"""An owner that does not end in order: a program that follows folders until a step of its own kills it, or a test does.

It is run with the store, "native" or "polling", the step, and the folders; it says "ready" once it has looked at all.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from watched import Watched

# The catalog's methods around which a run may die: nothing is written yet, or the vectors are and the catalog is not.
STEPS = {"begin": ("begin",), "finish": ("finish", "remove"), "": ()}


def main(store: str, how: str, step: str, *folders: str) -> None:
    """Watch the folders forever, or until a step."""
    with Watched([Path(folder) for folder in folders], Path(store), polling=how == "polling") as one:
        catalog: Any = one.parts.catalog
        for method in STEPS[step]:
            setattr(catalog, method, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
