"""The command ``kb doctor``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import file_names, json_option, refuse_conflicts
from kb.cli.output import examination
from kb.cli.output.terminal import sanitize
from kb.errors import KbError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.cli.session import Session
    from kb.config import Settings
    from kb.doctor.case import Case
    from kb.doctor.check import Check, Result
    from kb.doctor.run import Fixed
    from kb.embedding.encoder import Encoder
    from kb.service.login import Service


@command(short_help="Check everything kb depends on.", local=True)
@click.option("-v", "--verbose", is_flag=True, help="Show more facts below each check.")
@click.option("--fix", "fixes", is_flag=True, help="Make the safe changes, list them, and check again.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    shell_complete=file_names,
    help="Also write a new file to attach to a bug report: no paths, names or texts of yours. - is standard output.",
)
@json_option
@click.pass_obj
def doctor(session: Session, *, verbose: bool, fixes: bool, report_file: str | None, as_json: bool) -> int:
    """Check configuration, folders, daemon, store, model, sandbox and all else that kb depends on.

    The remedy is shown below each check that fails. Nothing is changed without --fix, which never touches notes or the
    configuration. The exit code is 1 if a check fails; warnings do not count.
    """
    refuse_conflicts({"--json": as_json, "--report": report_file is not None})
    if report_file not in {None, "-"} and os.path.lexists(session.place(str(report_file))):
        raise KbError(f"{session.place(str(report_file))} is there already", "Name a new file: kb doctor --report FILE")
    quiet = as_json or report_file == "-"
    case = _case(session)
    results = _examined(session, case, verbose=verbose, quiet=quiet)
    fixed: list[Fixed] = []
    if fixes:
        fixed = _fixed(session, results, quiet=quiet)
        if fixed:
            case = _case(session)
            results = _examined(session, case, verbose=verbose, quiet=quiet, again=True)
    if as_json:
        from kb import __version__

        session.write_json(examination.examination_object(results, fixed, __version__))
    elif not quiet:
        session.say(examination.summary_line(results))
        if not fixes and (fixable := sum(bool(one.finding.fixes) for one in results)):
            session.say(f"{case.command('doctor', '--fix')} fixes {fixable} of them\n")
    if report_file is not None:
        _write_report(session, report_file, case, results)
    return 1 if any(one.finding.state == "failed" for one in results) else 0


def _case(session: Session) -> Case:
    """What is examined for this command line."""
    from kb.doctor.case import Case

    client = session.client
    return Case(
        client.environ,
        client.cwd,
        home=Path.home(),
        make_encoder=_encoder,
        service=_service(session),
        now=time.time,
        config_file=session.config_file,
        overrides=session.overrides,
        found=session.found,
    )


def _encoder(settings: Settings) -> Encoder:
    """The configured model, without fetching it.

    Raises:
        ModelError: It is not on this machine.
    """
    from kb.embedding.locate import locate
    from kb.models import encoder_of

    wanted = settings.config.embed
    located = locate(settings.model(), wanted.revision, offline=wanted.offline, fetch=False)
    return encoder_of(settings, located)


def _service(session: Session) -> Callable[[Settings], Service] | None:
    """What makes the service file; None where this platform has none."""
    if sys.platform not in {"darwin", "win32"} and not sys.platform.startswith("linux"):
        return None
    from kb.cli.login_service import service_of

    return lambda settings: service_of(session, settings)


def _examined(session: Session, case: Case, *, verbose: bool, quiet: bool, again: bool = False) -> list[Result]:
    """Run all checks, and show each result as soon as it is there; the second time only what is not well."""
    from kb.doctor.run import run
    from kb.doctor.table import CHECKS

    style = session.style()
    results = []
    for result in run(CHECKS, case, _announcer(session, quiet=quiet)):
        results.append(result)
        if quiet or (again and result.finding.state in ("ok", "skipped")):
            continue
        session.say(examination.result_line(result, style), indent=examination.MESSAGE_COLUMN)
        session.write(examination.remedy_lines(result.finding.remedy, style))
        if verbose:
            session.say(examination.detail_lines(result), indent=examination.MESSAGE_COLUMN + 2)
        session.flush()
    return results


def _announcer(session: Session, *, quiet: bool) -> Callable[[Check], None]:
    """What shows on a terminal which check is running, on a line that the result takes."""
    if quiet or not (session.has_bar() and session.client.stdout_tty):
        return lambda _: None
    return lambda check: session.write_error(f"\x1b[K{check.name} ...\r", wrap=False)


def _fixed(session: Session, results: list[Result], *, quiet: bool) -> list[Fixed]:
    """Make the changes that are safe, and say which."""
    from kb.doctor.run import fix

    fixed = []
    for one in fix(results):
        fixed.append(one)
        if not quiet:
            session.say(examination.fixed_line(one))
    if not quiet:
        session.say("Checked again:\n" if fixed else "nothing was found that is safe to fix without you\n")
    return fixed


def _write_report(session: Session, file: str, case: Case, results: list[Result]) -> None:
    """Write the report.

    Raises:
        KbError: It cannot be written.
    """
    from kb.doctor.report import report

    text = sanitize(report(case, results))
    if file == "-":
        session.write(text)
        return
    target = session.place(file)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise KbError(
            f"{target} cannot be written: {reason_of(error)}", "Name another file: kb doctor --report FILE"
        ) from error
    session.say(f"Wrote {sanitize(str(target))}: no paths, names or texts of yours; read it before you attach it\n")
