"""Service files that start the daemon at login: a systemd user unit, or a launchd agent. Nothing is run here."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """A file for the system's own supervisor, where it belongs, and what to run once it is there."""

    path: Path
    text: str
    next: str


def systemd_unit(
    name: str, command: Sequence[str], *, folder: str, environ: Mapping[str, str], config_home: Path
) -> Service:
    """A unit for ``systemd --user``.

    Args:
        name: Identifies this daemon, in letters and digits.
        command: The whole command, with absolute paths.
        folder: The folder it runs in.
        environ: The variables that belong to it.
        config_home: ``~/.config``, or what stands for it.
    """
    unit = f"kb-{name}.service"
    variables = "".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in sorted(environ.items()))
    text = (
        "[Unit]\n"
        "Description=kb, a folder of notes searchable by meaning\n"
        "\n"
        "[Service]\n"
        f"ExecStart={' '.join(_quoted(word, command=True) for word in command)}\n"
        f"WorkingDirectory={_escaped(folder)}\n"
        f"{variables}"
        "Restart=on-failure\n"
        "RestartSec=10\n"
        # Told to stop while it was starting.
        "SuccessExitStatus=143\n"
        "TimeoutStopSec=90\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )
    return Service(config_home / "systemd" / "user" / unit, text, f"systemctl --user enable --now {unit}")


def _escaped(text: str) -> str:
    """Text in which systemd replaces nothing."""
    return text.replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")


def _quoted(word: str, *, command: bool = False) -> str:
    """One word of a unit as systemd reads it back. Only in a command does a dollar sign mean anything."""
    escaped = _escaped(word).replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if command else escaped}"'


def launchd_agent(name: str, command: Sequence[str], *, folder: str, environ: Mapping[str, str], home: Path) -> Service:
    """A property list for ``launchd``; the arguments are as for ``systemd_unit``, and ``home`` is the user's."""
    label = f"org.kb.{name}"
    path = home / "Library" / "LaunchAgents" / f"{label}.plist"
    values = {
        "Label": label,
        "ProgramArguments": list(command),
        "WorkingDirectory": folder,
        "EnvironmentVariables": dict(environ),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background",
        "StandardErrorPath": str(home / "Library" / "Logs" / f"{label}.log"),
    }
    return Service(path, plistlib.dumps(values).decode(), f'launchctl bootstrap gui/$(id -u) "{path}"')
