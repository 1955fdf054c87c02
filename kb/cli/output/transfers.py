"""Text and JSON of backups, restored stores, exports and imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kb.cli.output.reports import count, size
from kb.cli.output.terminal import one_line

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
    what = f"{count(report.files, 'file')}, {count(report.passages, 'passage')}, {count(report.vectors, 'vector')}"
    lines = [f"{one_line(report.store)}: {what}; {report.seconds:.1f} s\n"]
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


def backup_object(report: BackupReport) -> dict[str, Any]:
    """A backup as a JSON object."""
    return {
        "path": report.path,
        "files": report.files,
        "passages": report.passages,
        "vectors": report.vectors,
        "without_vector": report.without_vector,
        "model": report.model,
        "fingerprint": report.fingerprint,
        "folders": list(report.folders),
        "created": report.created,
        "size": report.size,
        "written": report.written,
        "seconds": round(report.seconds, 3),
    }


def restore_object(report: RestoreReport) -> dict[str, Any]:
    """A restored store as a JSON object."""
    return {
        "store": report.store,
        "files": report.files,
        "passages": report.passages,
        "vectors": report.vectors,
        "without_vector": report.without_vector,
        "index": report.index,
        "seconds": round(report.seconds, 3),
    }


def export_object(report: ExportReport) -> dict[str, Any]:
    """An export as a JSON object."""
    return {
        "path": report.path,
        "passages": report.passages,
        "without_vector": report.without_vector,
        "size": report.size,
        "seconds": round(report.seconds, 3),
    }


def import_object(report: ImportReport) -> dict[str, Any]:
    """An import as a JSON object."""
    return {"vectors": report.vectors, "new": report.new, "seconds": round(report.seconds, 3)}


def _contents(report: BackupReport) -> str:
    return f"{count(report.files, 'file')}, {count(report.passages, 'passage')}, {count(report.vectors, 'vector')}"


def _without(report: BackupReport) -> str:
    if not report.without_vector:
        return ""
    return f"{count(report.without_vector, 'text')} without a vector: kb index embeds them after a restore.\n"
