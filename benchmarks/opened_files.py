"""Which files a process and its children opened, from what strace wrote."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# "1764.25 openat(AT_FDCWD</a>, "b", O_RDONLY) = 5</a/b>": the time, and the file that was really opened.
_OPENED: Final = re.compile(r"^(?P<time>\d+\.\d+) \w*(?:open|creat)\w*\(.*\)\s+= \d+<(?P<path>/[^>]*)>")
# Libraries and the kernel's own files. /etc is not among them.
_SYSTEM: Final = ("/usr/lib", "/usr/local/lib", "/usr/share/zoneinfo", "/lib", "/lib64", "/proc", "/sys", "/dev")


def tracer(prefix: Path) -> list[str] | None:
    """The beginning of a command line that traces a program and its children; None if strace is missing.

    Args:
        prefix: Where the traces go, a file for each thread: ``PREFIX.1234``.
    """
    strace = shutil.which("strace")
    if strace is None:
        return None
    calls = "openat,openat2,?open,?creat"
    return [
        strace,
        *("-I2", "-f", "-ff", "--seccomp-bpf", "-ttt", "-yy", "-s", "4096", "-qqq"),
        "-e",
        f"trace={calls}",
        "-o",
        str(prefix),
    ]


def opened(prefix: Path) -> Iterator[tuple[float, str]]:
    """The time, in seconds since the epoch, and the real path of each file that was opened."""
    for file in sorted(prefix.parent.glob(f"{prefix.name}.*")):
        for line in file.read_text("utf-8", "surrogateescape").splitlines():
            if found := _OPENED.match(line):
                yield float(found["time"]), found["path"].removesuffix(" (deleted)")


def outside(
    files: Iterable[tuple[float, str]], since: float, inside: Sequence[str], forbidden: Sequence[str]
) -> list[str]:
    """The files that a program opened after a moment and that are none of its business.

    Args:
        files: What it opened, with the time.
        since: The moment; what was opened before is taken as needed.
        inside: Folders in which it may open files.
        forbidden: Files and folders in which it may not, even though they are below ``inside``.
    """
    opened_files = list(files)
    before = {path for when, path in opened_files if when < since}
    python = {*(str(Path(one).resolve()) for one in (sys.prefix, sys.base_prefix)), *_package_folders()}
    allowed = (*inside, *_SYSTEM, *python)
    reached = {path for when, path in opened_files if when >= since}
    return sorted(path for path in reached if below(path, forbidden) or not (path in before or below(path, allowed)))


def below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these folders, or in one of them."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _package_folders() -> set[str]:
    return {str(Path(path).resolve()) for path in (*sysconfig.get_paths().values(), *sys.path) if path}
