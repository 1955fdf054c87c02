"""Files that have the system start the daemon at login: a systemd unit, a launchd agent, a scheduled task.

Nothing is run here.
"""

from __future__ import annotations

import plistlib
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """A file for the service manager of the system, where it belongs, and the command that enables it.

    Attributes:
        path: Where it belongs.
        text: What is in it.
        next: The command that has the system take it.
        encoding: How the text is encoded.
    """

    path: Path
    text: str
    next: str
    encoding: str = "utf-8"

    def write(self) -> None:
        """Write the file, and make its folder.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text, self.encoding)


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


_TASK: Final = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>kb, a folder of notes searchable by meaning</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>6</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def scheduled_task(
    name: str, command: Sequence[str], *, folder: str, environ: Mapping[str, str], user: str, place: Path
) -> Service:
    r"""Return a task for the Task Scheduler of Windows, which starts when the user logs on.

    A task has no environment of its own: it gets the variables of the user's account, so that the command to enable it
    sets them there.

    Args:
        name: The identifier of this daemon, in letters and digits.
        command: The whole command, with absolute paths. Its program should open no window.
        folder: Its working directory.
        environ: Its environment variables.
        user: The user, with the domain or machine: ``MACHINE\name``.
        place: The folder to keep the file in, from which the scheduler copies it.
    """
    path = place / f"kb-{name}.xml"
    program, *arguments = command
    text = _TASK.format(
        user=escape(user),
        program=escape(program),
        arguments=escape(subprocess.list2cmdline(arguments)),
        folder=escape(folder),
    )
    task = f"kb-{name}"
    steps = [shell.join(["setx", key, value], windows=True) for key, value in sorted(environ.items())]
    steps += [
        shell.join(["schtasks", "/Create", "/F", "/TN", task, "/XML", str(path)], windows=True),
        shell.join(["schtasks", "/Run", "/TN", task], windows=True),
    ]
    return Service(path, text, "; ".join(steps), "utf-16")
