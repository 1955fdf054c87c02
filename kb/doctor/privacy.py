"""Checks of what keeps the notes to this machine: the sandbox for documents, and the switches of libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.doctor.finding import Plain, advice, failed, ok, warning, worst
from kb.errors import DocumentError
from kb.formats.registry import REGISTRY
from kb.reading import sandboxes_of
from kb.sandbox.confine import confinement
from kb.sandbox.syscalls import SYSTEM_CALLS
from kb.silence import SWITCHES

if TYPE_CHECKING:
    from kb.config import Config
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

SANDBOX_SECONDS: Final = 60.0
# Documents that need no library of another project, so that every installation reads them.
_NAME: Final = "doctor.eml"
_DOCUMENT: Final = b"Subject: kb\n\nThis is read by kb doctor.\n"
_TEXT: Final = "This is read by kb doctor."
_REINSTALL: Final = "pip install --force-reinstall 'localkb[documents]'"


def sandbox(case: Case) -> Finding:
    """Whether the process that parses documents starts, is confined, and reads one."""
    try:
        text = parsed(case.settings.config)
    except DocumentError as error:
        return failed("no document can be read: {reason}", _REINSTALL, reason=error.message)
    if _TEXT not in text:
        return failed("a document is read wrongly", _REINSTALL)
    measures = confinement()
    if SYSTEM_CALLS not in measures.in_force:
        return warning(
            "works, but this system filters no system calls: a parser that a document takes over could open files",
            advice("Leave documents of strangers out: folders.exclude in the configuration"),
        )
    details = [("in force", Plain(", ".join(measures.in_force))), ("Landlock", measures.landlock)]
    lacking = Plain(", ".join(measures.missing) or "none")
    return ok("works, {count} measures in force", count=len(measures.in_force)).with_details(
        *details, ("not offered here", lacking)
    )


def parsed(config: Config) -> str:
    """The text of a small document, read as all others are.

    Raises:
        DocumentError: The process that parses it does not start, cannot be confined, or does not read it.
    """
    parser = REGISTRY.of(_NAME)
    sandboxes = sandboxes_of(config)
    try:
        return sandboxes.documents.extract(parser.reader if parser else "", _NAME, _DOCUMENT).text
    finally:
        sandboxes.close()


def telemetry(_: Case) -> Finding:
    """Whether every library that would send something by itself is told not to."""
    found = [
        failed(
            "{library} may send {what}: {variable} is not {value} in this process",
            f"export {switch.variable}={switch.value}",
            library=Plain(switch.library.partition(".")[0]), what=Plain(switch.what),
            variable=Plain(switch.variable), value=Plain(switch.value),
        )
        for switch in SWITCHES
        if not switch.off()
    ]  # fmt: skip
    return worst(found, ok("off in all libraries, {count} switches", count=len(SWITCHES)))
