"""The files that start a daemon at login."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from kb.service.login import launchd_agent, scheduled_task, systemd_unit
from kb.system.shell import split_windows

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "http://schemas.microsoft.com/windows/2004/02/mit/task"
COMMAND = ["/opt/my py/bin/python", "-m", "kb", "--config", '/notes 100%/"a"$HOME\\.toml', "watch"]


def test_a_systemd_unit_has_absolute_paths_and_restarts(tmp_path: Path) -> None:
    """It ends in order, comes back after a failure, and everything systemd would replace is escaped."""
    service = systemd_unit("ab12", COMMAND, folder="/notes 100%", environ={"KB_A__B": "c $d"}, config_home=tmp_path)

    assert service.path == tmp_path / "systemd" / "user" / "kb-ab12.service"
    assert service.next == "systemctl --user enable --now kb-ab12.service"
    assert service.text.splitlines() == [
        "[Unit]",
        "Description=kb, a folder of notes searchable by meaning",
        "",
        "[Service]",
        'ExecStart="/opt/my py/bin/python" "-m" "kb" "--config" "/notes 100%%/\\"a\\"$$HOME\\\\.toml" "watch"',
        "WorkingDirectory=/notes 100%%",
        'Environment="KB_A__B=c $d"',
        "Restart=on-failure",
        "RestartSec=10",
        "SuccessExitStatus=143",
        "TimeoutStopSec=90",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Its own checker finds nothing to complain of."""
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("systemd is not installed")
    service = systemd_unit("ab12", ["/bin/true", "a b"], folder="/", environ={}, config_home=tmp_path)
    service.path.parent.mkdir(parents=True)
    service.path.write_text(service.text)

    done = subprocess.run([checker, "--user", "verify", service.path], capture_output=True, text=True, check=False)

    assert str(service.path.name) not in done.stderr


def test_a_launchd_agent_is_a_property_list(tmp_path: Path) -> None:
    """Every word of the command is kept as it is."""
    agent = launchd_agent("ab12", COMMAND, folder="/notes", environ={"KB_A__B": "c"}, home=tmp_path)

    told = plistlib.loads(agent.text.encode())
    assert (told["Label"], told["ProgramArguments"]) == ("org.kb.ab12", COMMAND)
    assert (told["RunAtLoad"], told["WorkingDirectory"]) == (True, "/notes")
    assert told["EnvironmentVariables"] == {"KB_A__B": "c"}
    assert told["StandardErrorPath"] == str(tmp_path / "Library" / "Logs" / "org.kb.ab12.log")
    assert agent.path.name == "org.kb.ab12.plist"


def test_a_scheduled_task_is_xml_that_keeps_the_command(tmp_path: Path) -> None:
    """The scheduler starts it when this user logs on, without rights of an administrator, and never ends it."""
    task = scheduled_task(
        "ab12", COMMAND, folder=r"C:\notes & more", environ={"HF_HOME": r"D:\models"}, user=r"PC\ann", place=tmp_path
    )
    task.write()
    root = ET.parse(task.path).getroot()  # noqa: S314 - written by the line before

    def text(path: str) -> str | None:
        return root.findtext("/".join(f"{{{SCHEMA}}}{step}" for step in path.split("/")))

    assert task.path.read_bytes().startswith((b"\xff\xfe", b"\xfe\xff"))
    assert text("Actions/Exec/Command") == COMMAND[0]
    assert split_windows(text("Actions/Exec/Arguments") or "") == COMMAND[1:]
    assert text("Actions/Exec/WorkingDirectory") == r"C:\notes & more"
    assert text("Triggers/LogonTrigger/UserId") == text("Principals/Principal/UserId") == r"PC\ann"
    assert text("Principals/Principal/RunLevel") == "LeastPrivilege"
    assert text("Settings/ExecutionTimeLimit") == "PT0S"
    assert task.next.split("; ") == [
        r"setx HF_HOME D:\models",
        f"schtasks /Create /F /TN kb-ab12 /XML {task.path}",
        "schtasks /Run /TN kb-ab12",
    ]
