"""The machine and versions of a measurement."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("torch", "sentence-transformers", "tokenizers", "chromadb", "numpy")


def machine() -> dict[str, str]:
    """Processor, cores, memory, load and versions."""
    load = os.getloadavg()[0]
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "load": f"{load:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    return found | {name: version(name) for name in _PACKAGES}


def machine_line(found: dict[str, str]) -> str:
    """The machine in one line."""
    hardware = "{processor}, {cores} cores, {memory}, load {load} at the start, {system}".format(**found)
    versions = ", ".join(f"{name} {found[name]}" for name in ("python", *_PACKAGES))
    return f"{hardware}; {versions}"


def _processor() -> str:
    """The name of the CPU, from /proc if available, since the platform module may only know its family."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
