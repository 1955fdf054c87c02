"""Checks of the configuration: whether it is valid, and whether it may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.doctor.finding import Remedy, advice, failed, ok
from kb.errors import ConfigError
from kb.system import shell

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

_SET_UP: Final = "kb init FOLDER"


def configuration(case: Case) -> Finding:
    """Whether there is a configuration, and its keys and values are valid."""
    try:
        settings = case.untrusted
    except ConfigError as error:
        return failed("{reason}", _correction(case) or advice(error.remedy), reason=error.message)
    if not settings.config.folders.paths:
        if settings.file is None:
            return failed("there is no configuration", _SET_UP)
        return failed("{file} names no folder", f"{case.command('init', '--add')} FOLDER", file=str(settings.file))
    given = len(settings.origins)
    details = ("file", str(settings.file)), ("values given", given)
    if settings.file is None:
        return ok("no file; {given} values from the environment and the command line", given=given)
    return ok("{file}", file=str(settings.file)).with_details(*details)


def _correction(case: Case) -> Remedy | None:
    """How to correct the file in effect; None if the problem lies elsewhere."""
    try:
        place = case.place
    except ConfigError:
        return None
    return None if place is None else Remedy(shell.edit(str(place.file)), "Correct it: ")


def trust(case: Case) -> Finding:
    """Whether a configuration that was found, not named, stays in its own folder or is trusted."""
    try:
        settings = case.settings
    except ConfigError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message.replace("\n  ", "; "))
    if settings.found:
        return ok("found here; it stays in its own folder, or is trusted as it is")
    return ok("your own, or named")
