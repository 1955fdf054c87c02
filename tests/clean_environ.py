"""An environment that is nobody's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def clean_environ(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Take the configuration, store and caches of whoever runs the tests out of the environment.

    Args:
        patch: What undoes it.
        home: The home folder instead; it is made.
    """
    for name in list(os.environ):
        if name.startswith(("KB_", "CHROMA_")):
            patch.delenv(name)
    home.mkdir(mode=0o700)
    patch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
