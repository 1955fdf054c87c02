"""Finds Debian's Chromium, or installs it where that is possible. Run as a program, it says where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 600


def chromium() -> str:
    """The path of a Chromium; empty where there is none and none can be installed."""
    return _found() or (_installed() if _can_install() else "")


def _found() -> str:
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def _can_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _installed() -> str:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=_SECONDS)
        if done.returncode:
            return ""
    return _found()


if __name__ == "__main__":
    where = chromium()
    sys.stdout.write(f"{where}\n" if where else "no Chromium, and none can be installed: run apt install chromium\n")
    sys.exit(0 if where else 1)
