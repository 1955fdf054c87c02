"""The check of the service file that starts the daemon at login: whether what it starts is still there."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import unescape

from kb.doctor.finding import Fix, Plain, Skipped, failed, ok, warning
from kb.system import shell
from kb.system.paths import expand_home

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding
    from kb.service.login import Service

_EXEC: Final = "ExecStart="
# What systemd takes before a command.
_PREFIXES: Final = "@-:+!| "
_IN: Final = "WorkingDirectory="
_TASK_PART: Final = {name: re.compile(f"<{name}>([^<]*)</{name}>") for name in ("Command", "Arguments")}
_WANTS: Final = "default.target.wants"


def service(case: Case) -> Finding:
    """Whether the service file starts a kb and a configuration that exist, and is enabled."""
    if case.service is None:
        raise Skipped("this platform has no service file")
    if case.settings.file is None:
        raise Skipped("a service needs a configuration file")
    unit = case.service(case.settings)
    install = case.command("watch", "--install-service")
    if not unit.path.is_file():
        return ok("none: kb watch is not started at login").with_details(
            ("to have one", Plain("kb watch --install-service"))
        )
    words = _command(unit.path)
    mend = f"{install} && systemctl --user daemon-reload" if _is_systemd(unit) else shell.then(install, unit.next)
    rewrite = Fix("write the service file again, for this kb and its configuration", unit.write)
    if not words:
        return failed("{file} does not say what to start", mend, rewrite, file=str(unit.path))
    if broken := broken_start(words) or _lost_folder(unit.path):
        what, path = broken
        return failed(
            "{file} starts a {what} that does not exist: {path}",
            mend,
            rewrite,
            file=str(unit.path), what=Plain(what), path=path,
        )  # fmt: skip
    if _is_systemd(unit) and not os.path.lexists(unit.path.parent / _WANTS / unit.path.name):
        return warning("{file} is there, but not enabled: it does not start at login", unit.next, file=str(unit.path))
    return ok("{file}", file=str(unit.path))


def _is_systemd(unit: Service) -> bool:
    return unit.path.suffix == ".service"


def _command(file: Path) -> list[str]:
    """What a service file starts, as words; empty if that cannot be read."""
    if file.suffix == ".plist":
        try:
            return [str(word) for word in plistlib.loads(file.read_bytes())["ProgramArguments"]]
        except (plistlib.InvalidFileException, KeyError, TypeError, ValueError):
            return []
    if file.suffix == ".xml":
        return _command_of_task(file)
    lines = file.read_text("utf-8", "replace").splitlines()
    found = next((line.removeprefix(_EXEC) for line in lines if line.startswith(_EXEC)), "")
    try:
        return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(found.lstrip(_PREFIXES))]
    except ValueError:
        return []


def _lost_folder(file: Path) -> tuple[str, str] | None:
    """The folder in which a systemd unit starts kb, as ``broken_start`` says it; None if it is there."""
    lines = file.read_text("utf-8", "replace").splitlines() if file.suffix == ".service" else []
    named = next((line.removeprefix(_IN) for line in lines if line.startswith(_IN)), "/").replace("%%", "%")
    return None if os.path.isdir(named) or not os.path.isabs(named) else ("kb in a folder", named)  # noqa: PTH112, PTH117 - a string


def _command_of_task(file: Path) -> list[str]:
    """What a scheduled task starts, as words; empty if that cannot be read."""
    try:
        text = file.read_text("utf-16")
    except ValueError:
        return []
    parts = [_TASK_PART[name].search(text) for name in ("Command", "Arguments")]
    words = [unescape(part[1]) for part in parts if part]
    return [words[0], *shell.split_windows(words[1])] if len(words) == len(parts) else []


def broken_start(words: Sequence[str]) -> tuple[str, str] | None:
    """What is missing of a command that starts kb, as (program or configuration, path); None if nothing is.

    Variables of its environment may follow, as ``NAME=value``.
    """
    program = words[0]
    if not (os.access(program, os.X_OK) if os.path.isabs(program) else shutil.which(program)):  # noqa: PTH117 - a string
        return "program", program
    pairs = (*pairwise(words), *(word.split("=", 1) for word in words if "=" in word))
    for option, value in pairs:
        if option in ("--config", "--found", "KB_CONFIG") and not os.path.isfile(expand_home(value)):  # noqa: PTH113 - a string
            return "configuration", value
    return None
