"""Checks of the configuration: whether it is valid, and whether it may be used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from kb.config import load
from kb.config.find import user_config_path
from kb.doctor.finding import Remedy, advice, failed, ok
from kb.errors import ConfigError
from kb.location import environment_values
from kb.system import shell

if TYPE_CHECKING:
    from pathlib import Path

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

_SET_UP: Final = "kb init FOLDER"


def configuration(case: Case) -> Finding:
    """Whether there is a configuration, and its keys and values are valid."""
    try:
        settings = case.untrusted
        # The home folder of an unknown user is found where a path is resolved.
        settings.folder_paths()
        settings.store_path()
    except ConfigError as error:
        reason = error.message.replace(":\n  ", ": ", 1).replace("\n  ", "; ")
        return failed("{reason}", _correction(case, error), reason=reason)
    if not settings.config.folders.paths:
        if settings.file is None:
            return unreachable(user_config_path()) or failed("there is no configuration", _SET_UP)
        return failed("{file} names no folder", f"{case.command('init', '--add')} FOLDER", file=str(settings.file))
    given = len(settings.origins)
    details = ("file", str(settings.file)), ("values given", given)
    if settings.file is None:
        return ok("no file; {given} values from the environment and the command line", given=given)
    return ok("{file}", file=str(settings.file)).with_details(*details)


def unreachable(file: Path) -> Finding | None:
    """Why the user's own configuration is not found although something is there; None if nothing is."""
    for folder in reversed(file.parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return failed(
                "{folder} may not be entered", shell.let_into_folder(str(folder), "u+rwx"), folder=str(folder)
            )
    if not os.path.lexists(file):
        return None
    if os.path.isdir(file):  # noqa: PTH112 - False for a link that may not be followed
        remedy = shell.then(shell.move(str(file), f"{file}.old"), _SET_UP)
        return failed("{file} is a folder, not a configuration", remedy, file=str(file))
    return failed(
        "{file} is a link that leads to no file",
        Remedy(shell.then(shell.remove([str(file)]), _SET_UP), "Bring back the file it leads to, or begin anew: "),
        file=str(file),
    )


def _correction(case: Case, error: ConfigError) -> Remedy:
    """What corrects an invalid configuration: in its file, in the environment, or on the command line."""
    try:
        place = case.place
    except ConfigError:
        # A file that was named does not exist.
        return advice(error.remedy) if case.config_file else Remedy(shell.unset(["KB_CONFIG"]), after=", or correct it")
    file = str(place.file) if place else None
    variables = [name for name, *_ in environment_values(case.environ) if f"${name}:" in error.message]
    if _is_valid(case, file):
        typed = advice("Correct what was given with -s")
        return Remedy(shell.unset(variables), after=", or correct its value") if variables else typed
    if file is None or not os.access(file, os.R_OK):
        return Remedy(shell.let_in(file)) if file else advice(error.remedy)
    not_text = isinstance(error.__cause__, UnicodeDecodeError)
    also = f", and {shell.unset(variables)}" if variables else ""
    return Remedy(shell.edit(file), "Save it as UTF-8: " if not_text else "Correct it: ", also)


def _is_valid(case: Case, file: str | None) -> bool:
    """Whether a configuration is valid without what the environment and the command line say."""
    try:
        settings = load(file, {}, case.cwd)
        return bool(settings.store_path() and settings.folder_paths())
    except ConfigError:
        return False


def trust(case: Case) -> Finding:
    """Whether a configuration that was found, not named, stays in its own folder or is trusted."""
    try:
        settings = case.settings
    except ConfigError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message.replace("\n  ", "; "))
    if settings.found:
        return ok("found here; it stays in its own folder, or is trusted as it is")
    return ok("your own, or named")
