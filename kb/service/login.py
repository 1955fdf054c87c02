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
    """A file for the service manager of the system, where it belongs, and the command that enables it."""

    path: Path
    text: str
    next: str


def systemd_unit(
    name: str, command: Sequence[str], *, folder: str, environ: Mapping[str, str], config_home: Path
) -> Service:
    """Return a unit for ``systemd --user``.

    Args:
        name: The identifier of this daemon, in letters and digits.
        command: The whole command, with absolute paths.
        folder: Its working directory.
        environ: Its environment variables.
        config_home: ``~/.config``, or the folder configured instead.
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
        # The exit code when it is stopped while starting.
        "SuccessExitStatus=143\n"
        "TimeoutStopSec=90\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )
    return Service(config_home / "systemd" / "user" / unit, text, f"systemctl --user enable --now {unit}")


def _escaped(text: str) -> str:
    """Return text escaped against systemd's specifiers."""
    return text.replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")


def _quoted(word: str, *, command: bool = False) -> str:
    """Return one word quoted for a unit. A dollar sign is special only in a command."""
    escaped = _escaped(word).replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if command else escaped}"'


def launchd_agent(name: str, command: Sequence[str], *, folder: str, environ: Mapping[str, str], home: Path) -> Service:
    """Return a property list for ``launchd``; arguments as for ``systemd_unit``, ``home`` is the user's home."""
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
