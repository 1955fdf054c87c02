"""The file that has the system start the daemon at login, and the environment that what starts kb has to give it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.cli.background_daemon import daemon_command
from kb.errors import KbError
from kb.system import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.cli.session import Session
    from kb.config import Settings
    from kb.service.login import Service

# Where models are kept and downloaded from; without them, a service would download them again.
_MODEL_VARIABLES: Final = frozenset({"KB_MODELS", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"})


def service_of(session: Session, settings: Settings) -> Service:
    """Return the file that has the system start the daemon of these settings at login.

    Raises:
        KbError: This system has none.
    """
    from kb.service.background import daemon_name
    from kb.service.login import launchd_agent, scheduled_task, systemd_unit

    command, cwd = daemon_command(session, settings), session.client.cwd
    name = daemon_name(settings.store_path())
    environ = own_environment(session, settings)
    if sys.platform == "darwin":
        return launchd_agent(name, command, folder=cwd, environ=environ, home=Path.home())
    if WINDOWS:
        user = "\\".join(filter(None, (session.client.environ.get(key, "") for key in ("USERDOMAIN", "USERNAME"))))
        task = _without_window(command, environ, settings.store_path())
        models = {key: value for key, value in environ.items() if key in _MODEL_VARIABLES}
        return scheduled_task(name, task, folder=cwd, environ=models, user=user, place=_task_folder())
    if sys.platform.startswith("linux"):
        config_home = Path(session.client.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return systemd_unit(name, command, folder=cwd, environ=environ, config_home=config_home)
    raise KbError("service files are not supported on this system", "Start kb watch --background at login")


def own_environment(session: Session, settings: Settings) -> dict[str, str]:
    """The variables that a kb needs which something else starts with an environment of its own."""
    return {
        key: value
        for key, value in sorted(session.client.environ.items())
        if key in _MODEL_VARIABLES
        or (key.startswith("KB_") and "__" in key)
        # Where it is remembered that a file which was found is trusted.
        or (settings.found and key == "XDG_STATE_HOME")
    }


def _without_window(command: Sequence[str], environ: Mapping[str, str], store: str) -> list[str]:
    """The command of a task, which has a log since it has no console, and values of the environment as options."""
    from kb.location import environment_values
    from kb.service.background import log_file

    program, *options, watch = command
    values = [
        word for _, section, key, text in environment_values(environ) for word in ("-s", f"{section}.{key}={text}")
    ]
    without_window = str(Path(program).with_name("pythonw.exe"))
    return [without_window, *options, *values, watch, "--log", str(log_file(store))]


def _task_folder() -> Path:
    """The folder in which files of scheduled tasks are kept."""
    import platformdirs

    return Path(platformdirs.user_data_dir("kb", appauthor=False)) / "tasks"
