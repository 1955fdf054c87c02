"""Text and JSON of backups, restored stores, exports and imports."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kb.cli.output.reports import size
from kb.cli.output.terminal import one_line
from kb.records.wording import count

if TYPE_CHECKING:
    from kb.records import BackupReport, ExportReport, ImportReport, RestoreReport


def backup_text(report: BackupReport) -> str:
    """What was written."""
    written = f"{size(report.written)} written" if report.written != report.size else size(report.size)
    return f"{one_line(report.path)}: {_contents(report)}; {written}, {report.seconds:.1f} s\n{_without(report)}"


def verified_text(report: BackupReport) -> str:
    """What was checked."""
    folders = "".join(f"folder {one_line(folder)}\n" for folder in report.folders)
    return (
        f"{one_line(report.path)} is whole: {_contents(report)} of {one_line(report.model)}, written {report.created}; "
        f"{size(report.size)}, {report.seconds:.1f} s\n{folders}{_without(report)}"
    )


def vectors_text(report: BackupReport) -> str:
    """What was written for another machine."""
    return (
        f"{one_line(report.path)}: {count(report.vectors, 'vector')} of {one_line(report.model)}; {size(report.size)}, "
        f"{report.seconds:.1f} s\n{_without(report)}"
    )


def restore_text(report: RestoreReport) -> str:
    """What was restored, and what comes next."""
    lines = [f"{one_line(report.store)}: {_contents(report)}; {report.seconds:.1f} s\n"]
    if not report.index:
        lines.append("The model is not on this machine, so the first search makes the vector index.\n")
    if report.without_vector:
        lines.append(f"{count(report.without_vector, 'text')} without a vector: kb index embeds them.\n")
    lines.append("Next: kb index, which reads what changed since the backup\n")
    return "".join(lines)


def export_text(report: ExportReport) -> str:
    """What was exported."""
    lacking = f" ({report.without_vector:,} without a vector)" if report.without_vector else ""
    passages = count(report.passages, "passage")
    return f"{one_line(report.path)}: {passages}{lacking}; {size(report.size)}, {report.seconds:.1f} s\n"


def import_text(report: ImportReport) -> str:
    """What was brought in, and what comes next."""
    known = report.vectors - report.new
    what = f"{count(report.new, 'new vector')}, {known:,} known before"
    return f"{what}; {report.seconds:.1f} s\nNext: kb index, which embeds what is not among them\n"


def transfer_object(report: BackupReport | RestoreReport | ExportReport | ImportReport) -> dict[str, Any]:
    """What was done as a JSON object, whose keys are the names of the report's fields."""
    return asdict(report) | {"seconds": round(report.seconds, 3)}


def _contents(report: BackupReport | RestoreReport) -> str:
    return f"{count(report.files, 'file')}, {count(report.passages, 'passage')}, {count(report.vectors, 'vector')}"


def _without(report: BackupReport) -> str:
    if not report.without_vector:
        return ""
    return f"{count(report.without_vector, 'text')} without a vector: kb index embeds them after a restore.\n"
