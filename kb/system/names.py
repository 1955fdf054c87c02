"""Names of files that every system takes, Windows included."""

from __future__ import annotations

import re
from typing import Final

# Devices since MS-DOS, whatever the suffix: aux.txt is no file there.
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*|\s*)", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def why_not_portable(name: str) -> str:
    """Say why Windows has no file or folder of this name; empty if it can have one.

    Args:
        name: One name, not a path.
    """
    if found := _FORBIDDEN.search(name):
        return f"Windows has no names with {found[0]!r}"
    if name.endswith((" ", ".")) and name not in {".", ".."}:
        return "Windows drops spaces and dots at the end of a name"
    if _DEVICES.fullmatch(name):
        return f"{name.partition('.')[0]} is a device on Windows"
    return ""
