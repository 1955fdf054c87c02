"""Plain text for index runs, status, checks, rebuilds and listings."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kb.cli.output.terminal import OutputStyle, one_line, sanitize, shown_path
from kb.formats.registry import REGISTRY, install_command
from kb.records import SCANNED, absolute_path
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kb.records import (
        CheckReport,
        Confinement,
        Failure,
        FileEvent,
        Freshness,
        IndexProgress,
        IndexReport,
        KnownFile,
        RebuildReport,
        Status,
        VectorServer,
    )
    from kb.watching.scheduler import WatchState

_TOLD: Final = 20
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_THOUSAND: Final = 1000


def size(number: int) -> str:
    """Format a number of bytes: ``12.3 MB``."""
    value = float(number)
    for unit in _UNITS[:-1]:
        if value < _THOUSAND:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _THOUSAND
    return f"{value:.1f} {_UNITS[-1]}"


def index_text(report: IndexReport) -> str:
    """Return the report of an index run in one line."""
    changes = [
        f"{number:,} {word}"
        for number, word in (
            (report.added, "added"),
            (report.changed, "changed"),
            (report.moved, "moved"),
            (report.removed, "removed"),
        )
        if number
    ]
    nothing = "no file finished" if report.interrupted else "no changes"
    what = ", ".join(changes) if changes else nothing
    if report.reread:
        what += f"; {count(report.reread, 'unchanged file')} read again"
    if report.held:
        what += f"; {count(report.held, 'missing file')} kept (run kb index --accept-deletions to drop them)"
    if report.dry_run:
        return f"would index: {what}; {count(report.unchanged, 'file')} unchanged. Nothing was written.\n"
    if report.waiting:
        what += f"; {count(report.waiting, 'file')} left for the next run"
    if report.unembedded:
        left, files = count(report.unembedded, "passage"), count(report.words_only, "file")
        what += f"; {left} of {files} left to embed, found by their words until then"
    if report.unsent:
        what += f"; {count(report.unsent, 'passage')} to be sent to the Chroma server by a later run"
    passages = f"{count(report.embedded, 'passage')} embedded, {report.reused:,} reused, {report.total:,} in all"
    return f"{what}; {count(report.unchanged, 'file')} unchanged; {passages}; {report.seconds:.1f} s\n"


def words_only_text(index: Freshness) -> str:
    """Return how many files are found by meaning; empty where all are."""
    if not index.words_only:
        return ""
    return f"{index.by_meaning:,} of {count(index.files, 'file')} by meaning, all by words"


def failures_text(failures: Sequence[Failure], style: OutputStyle, *, standing: int = 0, most: int = _TOLD) -> str:
    """Return the files that could not be indexed, with reasons; of many only the first, and how to see the rest.

    ``standing`` failures, which were reported before, are only counted, as are files of kinds that kb does not read.
    """
    failed = [one for one in failures if not REGISTRY.unread(one.path, one.reason)]
    lines = [failure_line(one, style) for one in failed[:most]]
    if len(failed) > most:
        lines.append(f"and {count(len(failed) - most, 'more file')}: see kb status --problems\n")
    if unread := unread_text(failures):
        lines.append(f"not read: {unread}\n")
    if standing:
        lines.append(f"{count(standing, 'file')} still could not be indexed: see kb status --problems\n")
    return "".join(lines)


def unread_text(failures: Sequence[Failure]) -> str:
    """Return how many files are of kinds that kb does not read, by kind."""
    return REGISTRY.unread_kinds((one.path, one.reason) for one in failures)


def failure_line(failure: Failure, style: OutputStyle) -> str:
    """Return a file that could not be indexed, and why."""
    return f"{shown_path(failure.absolute_path, style.cwd)}: {one_line(failure.reason)}\n"


def problems_text(status: Status, style: OutputStyle) -> str:
    """Return the files that could not be indexed or were read only in part, with reasons; last those never read."""
    partly = (replace(one, reason=f"read in part: {one.reason}") for one in status.partly)
    failures = sorted(status.problems, key=lambda one: bool(REGISTRY.unread(one.path, one.reason)))
    split = status.failed
    return "".join(failure_line(one, style) for one in (*failures[:split], *partly, *failures[split:]))


def event_text(event: FileEvent, seconds: float, cwd: str) -> str:
    """Return what happened to a file, as a line of the log."""
    path = shown_path(absolute_path(event.folder, event.path), cwd)
    match event.kind:
        case "moved":
            return f"moved {shown_path(absolute_path(event.folder, event.before), cwd)} -> {path}"
        case "removed":
            return f"deleted {path}"
        case "failed":
            return f"failed {path}: {one_line(event.reason)}"
        case _:
            return f"{event.kind} {path} ({count(event.passages, 'passage')}, {event.reused:,} reused, {seconds:.2f} s)"


def daemon_status(
    state: WatchState,
    folders: Sequence[str],
    since: datetime,
    log: str,
    progress: IndexProgress | None = None,
    *,
    http: str = "",
    rescans: bool = False,
) -> dict[str, Any]:
    """Return the status of the daemon as a JSON object.

    Args:
        state: The state of the watcher.
        folders: The folders.
        since: When it was started.
        log: The log file; empty where there is none.
        progress: The progress of the current index run, if there is one and it has begun to read.
        http: The URL at which programs reach it; empty where there is none.
        rescans: Whether it has scanned everything before, so that it only starts anew with an edited configuration.
    """
    from kb import __version__
    from kb.service.address import PROTOCOL

    return {
        "pid": os.getpid(),
        "version": __version__,
        "protocol": PROTOCOL,
        "since": since.isoformat(timespec="seconds"),
        "folders": list(folders),
        "state": state.kind,
        "reason": state.reason,
        "watched": state.watched,
        "waiting": state.waiting,
        "last_sweep": state.last_sweep.isoformat(timespec="seconds") if state.last_sweep else None,
        "heartbeat": state.heartbeat.isoformat(timespec="seconds"),
        "errors": list(state.errors),
        "run": _run_object(progress) if progress else None,
        "log": log or None,
        "http": http or None,
        "reloaded": rescans and state.kind == "starting",
    }


def _run_object(progress: IndexProgress) -> dict[str, Any]:
    return {
        "doing": progress.doing,
        "files": progress.files_total,
        "read": progress.read,
        "indexed": progress.files,
        "passages": progress.embedded + progress.reused,
        "to_embed": progress.to_embed,
        "embedded": progress.embedded_of,
    }


def daemon_text(daemon: Mapping[str, Any]) -> str:
    """Return the status of the daemon in one line."""
    # Until the first scan is done, only that scan is pending.
    first = daemon["state"] == "starting"
    reason = f" ({one_line(daemon['reason'])})" if daemon["reason"] and not first else ""
    reloaded = bool(daemon.get("reloaded"))
    kind = "running" if reloaded else daemon["state"]
    scan = f", {_pending_scan(daemon)}" if first else ""
    waiting = f", {count(daemon['waiting'], 'place')} waiting" if daemon["waiting"] and not first else ""
    waiting += "" if first else _embedding(daemon)
    since = moment(datetime.fromisoformat(daemon["since"]))
    errors = "".join(f"; {one_line(error)}" for error in daemon["errors"])
    http = f", {daemon['http']}" if daemon.get("http") else ""
    return f"{kind}{reason}, process {daemon['pid']} since {since}{http}{scan}{waiting}{errors}"


def _embedding(daemon: Mapping[str, Any]) -> str:
    """Return how many passages the daemon has embedded of those that waited; empty where none wait."""
    run = daemon.get("run") or {}
    return f", embedding {run['embedded']:,} of {count(run['to_embed'], 'passage')}" if run.get("to_embed") else ""


def _pending_scan(daemon: Mapping[str, Any]) -> str:
    """Return the progress of the scan that a daemon starts with, or with which it reads the folders of an edit."""
    if daemon.get("reloaded"):
        return f"configuration reloaded and folders being read, {_scan(daemon)}"
    return f"first {_scan(daemon)}"


def _scan(daemon: Mapping[str, Any]) -> str:
    """Return the progress of the daemon's scan."""
    run = daemon.get("run")
    if not run:
        return "scan running: looking through the folders"
    files = count(run["files"], "file")
    return f"scan running: {files} to index, {run['read']:,} read, {run['indexed']:,} indexed"


def status_text(status: Status, daemon: Mapping[str, Any] | None = None, *, tesseract: bool = False) -> str:
    """Return the status of the index, one fact per line, paths in full.

    ``tesseract`` is whether that program is installed.
    """
    # A folder that is not there is no file that failed.
    unread = {one.folder: f": {one_line(one.reason)}" for one in status.problems if not one.path}
    number = status.failed - len(unread)
    notes = [
        *([f"{number:,} could not be indexed"] if number else []),
        *([f"{len(status.partly):,} read in part"] if status.partly else []),
    ]
    failed = f", {', '.join(notes)} (kb status --problems)" if notes else ""
    details = filter(None, (size(status.size), status.generation))
    facts = [
        *(("folder", f"{shown_path(folder, '')}{unread.get(folder, '')}") for folder in status.folders),
        ("files", f"{status.files:,}{failed}"),
        *([("not read", unread_text(status.problems))] if status.unread else []),
        ("passages", f"{status.passages:,}"),
        ("indexed", _as_of(status.index, daemon)),
        *([("found", _words_only(status))] if status.index.words_only else []),
        ("watcher", daemon_text(daemon) if daemon else "none: kb watch starts one"),
        ("model", one_line(status.model)),
        ("runtime", one_line(status.runtime)),
        ("fingerprint", one_line(status.fingerprint) or "none yet"),
        ("store", f"{shown_path(status.store, '')} ({', '.join(details)})"),
        *_server(status.server),
        ("cache", size(status.cache_size)),
    ]
    if status.set_aside:
        taken = size(sum(of for _, of in status.set_aside))
        names = ", ".join(one_line(name) for name, _ in status.set_aside)
        # A cache has no text, and without one a rebuild embeds everything again.
        only_caches = all(name.startswith("embeddings.") for name, _ in status.set_aside)
        remedy = "it can be deleted" if only_caches else "kb rebuild removes it and the text of deleted notes in it"
        facts.append(("set aside", f"{names} ({taken}), damaged: {remedy}"))
    facts += [
        (
            "held",
            f"{count(number, 'missing file')} of {shown_path(folder, '')}: kb index --accept-deletions drops them",
        )
        for folder, number in status.held
    ]
    facts += _could_be_read(status.problems, tesseract=tesseract)
    facts += _unconfined(status.confinement)
    if status.replaced:
        facts.append(("undecodable", f"{count(status.replaced, 'character')} replaced"))
    return "".join(f"{name + ':':<13}{fact}\n" for name, fact in facts)


def _server(server: VectorServer | None) -> list[tuple[str, str]]:
    """Return where the vectors are, what goes there, and what does not at the moment."""
    if server is None:
        return []
    collection = one_line(server.collection) or "no collection yet"
    facts = [("server", f"{one_line(server.url)} ({collection}): vectors, paths and headings are sent there")]
    if server.problem:
        facts.append(("server away", one_line(server.problem)))
    if server.unsent:
        facts.append(("unsent", f"{count(server.unsent, 'passage')}: sent once the server can be used"))
    return facts


def _words_only(status: Status) -> str:
    """Return how many files are found by meaning, and what is left for the others."""
    remedy = "" if status.index.watching else ": kb index"
    return f"{words_only_text(status.index)}; {count(status.unembedded, 'passage')} to embed{remedy}"


def _unconfined(confinement: Confinement | None) -> list[tuple[str, str]]:
    """Return which restrictions on parsing processes this system lacks."""
    # Limits on the number of threads never apply to root.
    missing = [one for one in confinement.missing if one != "threads"] if confinement else []
    return [("sandbox", f"documents are parsed without limits on {', '.join(missing)}")] if missing else []


def _could_be_read(problems: Sequence[Failure], *, tesseract: bool) -> list[tuple[str, str]]:
    """Return what could be read with another package, or with OCR."""
    facts = []
    for extra in REGISTRY.extras:
        command = install_command(extra)
        if lacking := sum(command in one.reason for one in problems):
            facts.append((extra, f"{count(lacking, 'file')} could be read after {command}"))
    scanned = sum(SCANNED in one.reason for one in problems)
    images = sum(one.reason.startswith(REGISTRY.scanned) for one in problems)
    if scanned or images:
        what = " and ".join(
            count(number, noun) for number, noun in ((scanned, "scanned document"), (images, "image")) if number
        )
        how = "documents.ocr = true" if tesseract else "tesseract-ocr installed and documents.ocr = true"
        facts.append(("scans", f"{what} could be searched with {how}"))
    return facts


def _as_of(index: Freshness, daemon: Mapping[str, Any] | None) -> str:
    if daemon and daemon["state"] == "starting":
        first = "" if daemon.get("reloaded") else "first "
        return f"{moment(index.as_of)}, {_scan(daemon)}" if index.as_of else f"never, {first}{_scan(daemon)}"
    noun = "change" if index.watching else "file"
    waiting = f", {count(index.pending, noun)} waiting" if index.pending else ""
    return (moment(index.as_of) if index.as_of else "never") + waiting


def moment(when: datetime) -> str:
    """Format a time in the local time zone, to the second."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def freshness_notice(index: Freshness, *, hits: int, index_command: str = "kb index") -> str:
    """Return the notice about how up to date the index is; empty where there is nothing to report.

    Args:
        index: How up to date it is.
        hits: The number of hits.
        index_command: The command that indexes what the question asked.
    """
    if index.as_of is None and index.watching:
        return "kb watch is still indexing the folders; the answer may be incomplete (--wait waits for it)"
    if index.as_of is None and not hits:
        return f"nothing is indexed yet: run {index_command}"
    if index.pending and index.watching:
        # A change may be that of a folder with any number of files.
        changes = f"at least {count(index.pending, 'change')} being indexed"
        return f"{changes}; the answer may be incomplete (--wait waits for it)"
    if index.pending:
        return f"{count(index.pending, 'file')} not indexed yet; the answer may be incomplete: run {index_command}"
    return ""


def check_text(report: CheckReport, *, repair: bool = False) -> str:
    """Return the differences between disk, catalog and vectors, then their number.

    Args:
        report: The report.
        repair: Whether differences were repaired where possible; what is left differs for another reason.
    """
    lines = []
    for one in report.differences:
        detail = f" ({one_line(one.detail)})" if one.detail else ""
        lines.append(f"{one.kind}: {one_line(one.where)}{detail}\n")
    compared = f"{count(report.files, 'file')}, {count(report.passages, 'passage')}, {count(report.vectors, 'vector')}"
    if report.unembedded:
        compared += f"; {count(report.unembedded, 'passage')} to embed, found by words until then"
    repaired = f"{count(report.repaired, 'difference')} repaired; " if report.repaired else ""
    if not report.differences:
        return f"{repaired}all in order: {compared}\n"
    found = f"{count(len(report.differences), 'difference')}{' left' if repair else ''} in {compared}"
    remedy = "kb rebuild makes the vector index anew" if repair else "repair with kb check --repair"
    return "".join(lines) + f"{repaired}{found}; {remedy}\n"


def rebuild_text(report: RebuildReport) -> str:
    """Return the report of a rebuild in one line."""
    total = count(report.reused + report.embedded, "vector")
    known = f"{report.reused:,} reused, {report.embedded:,} embedded"
    return f"{report.generation} built: {total}, {known}; {report.seconds:.1f} s\n"


def list_text(files: Iterable[KnownFile], style: OutputStyle) -> str:
    """Return a line per file: passages, size, date, language, path, title, tags; or why it could not be indexed."""
    lines = []
    for file in files:
        path = shown_path(file.absolute_path, style.cwd)
        if file.state == "failed":
            lines.append(f"{'failed':>8} {size(file.stat.size):>9} {'':14}  {path}: {one_line(file.reason)}\n")
            continue
        about = "  ".join(filter(None, (one_line(file.title), " ".join(f"#{one_line(tag)}" for tag in file.tags))))
        passages = "pending" if file.state == "pending" else f"{file.passages:,}"
        day = file.date.isoformat() if file.date else ""
        facts = f"{passages:>8} {size(file.stat.size):>9} {day:10} {file.language:3}"
        lines.append(f"{facts}  {path}{'  ' + about if about else ''}\n")
    return "".join(lines)


def settings_text(settings: Iterable[tuple[str, str, str]]) -> str:
    """Return the effective values, aligned, with where each came from."""
    rows = list(settings)
    wide = max((len(f"{key} = {value}") for key, value, _ in rows if len(value) <= _TOLD * 2), default=0)
    return "".join(sanitize(f"{f'{key} = {value}':<{wide}}  # {one_line(origin)}\n") for key, value, origin in rows)
