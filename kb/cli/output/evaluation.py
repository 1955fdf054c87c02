"""Output of evaluations: a table of modes, differences between runs, and single questions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from kb.cli.output.terminal import OutputStyle, one_line, shown_path
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kb.evaluation.judged import Judged
    from kb.evaluation.known_items import KnownItem
    from kb.evaluation.measures import Difference, Measured
    from kb.evaluation.run import Result
    from kb.records import Hit, KnownFile

_SURE: Final = 0.05
_MISSED: Final = 20
_FOUND_WITHIN: Final = 10

# The differences of each pair of runs, as (earlier, later).
Pairs = dict[tuple[str, str], list["Difference"]]


def table_text(rows: Mapping[str, Measured]) -> str:
    """Return a table with a row per run and a column per measure; span measures in a table of their own."""
    measures = dict.fromkeys(measure for values in rows.values() for measure in values)
    by_span = [measure for measure in measures if measure.startswith("span ")]
    tables = [[measure for measure in measures if measure not in by_span], by_span]
    return "\n".join(_table(rows, columns) for columns in tables if columns)


def _table(rows: Mapping[str, Measured], columns: Sequence[str]) -> str:
    wide = max(4, *(len(name) for name in rows))
    lines = ["  ".join(["mode".ljust(wide), *columns])]
    for name, values in rows.items():
        cells = [
            f"{values[column]:.3f}".rjust(len(column)) if column in values else "-".rjust(len(column))
            for column in columns
        ]
        lines.append("  ".join([name.ljust(wide), *cells]))
    return "\n".join(lines) + "\n"


def pairs_text(pairs: Pairs) -> str:
    """Return the differences between pairs of runs, a line per measure that differs."""
    lines: list[str] = []
    for (earlier, later), differences in pairs.items():
        lines.append(f"\n{later} against {earlier}:\n")
        found = [one for one in differences if one.better or one.worse]
        for one in found:
            sure = "" if one.p < _SURE else ", may be chance"
            lines.append(
                f"  {one.measure:<18} {one.difference:+.3f}  better in {one.better:,}, worse in {one.worse:,} "
                f"(p = {one.p:.4f}{sure})\n"
            )
        if not found:
            lines.append("  no difference\n")
    return "".join(lines)


def questions_text(results: Iterable[Result], judged: Judged) -> str:
    """Return a line per question and mode, with fields separated by tabs, and measures in the order of the header."""
    lines: list[str] = []
    for result in results:
        columns = dict.fromkeys(measure for values in result.values.values() for measure in values)
        if not lines:
            lines.append("\t".join(["mode", "question", *columns, "text"]) + "\n")
        for id_, values in result.values.items():
            cells = [f"{values[column]:.3f}" if column in values else "" for column in columns]
            lines.append("\t".join([result.name, one_line(id_), *cells, one_line(judged.questions[id_])]) + "\n")
    return "".join(lines)


def heading_text(judged: Judged, missing: int, files: int) -> str:
    """Return the numbers of questions and files in one line."""
    left = f" ({judged.unjudged:,} without a relevant document left out)" if judged.unjudged else ""
    lacking = f"; {count(missing, 'judged document')} not in the index" if missing else ""
    return f"{count(len(judged.questions), 'question')}{left}, {count(files, 'file')}{lacking}\n"


def evaluation_object(
    results: Sequence[Result],
    rows: Mapping[str, Measured],
    pairs: Pairs,
    judged: Judged,
    *,
    files: int,
    missing: int,
    per_question: bool,
) -> dict[str, Any]:
    """Return an evaluation as a JSON object; the results of single questions only where requested."""
    found: dict[str, Any] = {
        "questions": len(judged.questions),
        "unjudged": judged.unjudged,
        "files": files,
        "missing": missing,
        "runs": {name: _rounded(values) for name, values in rows.items()},
        "differences": [
            {"earlier": earlier, "later": later, **asdict(one)}
            for (earlier, later), differences in pairs.items()
            for one in differences
        ],
    }
    if per_question:
        found["per_question"] = {
            result.name: {
                id_: {"text": judged.questions[id_], "ranking": list(result.rankings[id_]), **_rounded(values)}
                for id_, values in result.values.items()
            }
            for result in results
        }
    return found


def missed_text(
    results: Iterable[Result], judged: Judged, items: Sequence[KnownItem], style: OutputStyle, *, most: int = _MISSED
) -> str:
    """Return the known items that were not in the top ten: their place, their rank, and the first hit."""
    lines = []
    for result in results:
        missed = list(_missed(result, judged, items))
        lines.append(f"\n{result.name} missed {len(missed):,} of {len(items):,}:\n" if missed else "")
        for item, rank, first in missed[:most]:
            came = f"came {rank}." if rank else "did not come"
            instead = f", first {_place(first.passage.file, first.passage.first_line, style)}" if first else ""
            place = _place(item.file, item.line, style)
            lines.append(f"  {place}  {one_line(item.question)}  ({came}{instead})\n")
        if len(missed) > most:
            lines.append(f"  and {len(missed) - most:,} more: --json has them all\n")
    return "".join(lines)


def missed_object(results: Iterable[Result], judged: Judged, items: Sequence[KnownItem]) -> dict[str, Any]:
    """Return the known items that were not in the top ten as JSON objects; a rank beyond 100 is null."""
    return {
        "missed": {
            result.name: [
                {
                    "question": item.question,
                    "path": item.document,
                    "line": item.line,
                    "rank": rank,
                    "first": first.passage.file.absolute_path if first else None,
                }
                for item, rank, first in _missed(result, judged, items)
            ]
            for result in results
        }
    }


def _missed(
    result: Result, judged: Judged, items: Sequence[KnownItem]
) -> Iterator[tuple[KnownItem, int | None, Hit | None]]:
    for id_, item in zip(judged.questions, items, strict=True):
        ranking = result.rankings[id_]
        rank = ranking.index(item.document) + 1 if item.document in ranking else None
        if rank is None or rank > _FOUND_WITHIN:
            yield item, rank, result.best.get(id_)


def _place(file: KnownFile, line: int, style: OutputStyle) -> str:
    return f"{shown_path(file.absolute_path, style.cwd)}:{line}"


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
