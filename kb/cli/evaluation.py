"""What an evaluation tells: a table of modes, what one does better than another, and question by question."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from kb.cli.reports import count
from kb.cli.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kb.evaluate.ask import Result
    from kb.evaluate.judged import Judged
    from kb.evaluate.measures import Difference, Measured

_SURE: Final = 0.05

# The differences of each pair of runs, as (earlier, later).
Pairs = dict[tuple[str, str], list["Difference"]]


def table_text(rows: Mapping[str, Measured]) -> str:
    """One row for each run, one column for each measure; measures of spans in a table of their own."""
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
    """What each later run does otherwise, a line for each measure that differs at all."""
    lines: list[str] = []
    for (earlier, later), differences in pairs.items():
        lines.append(f"\n{later} against {earlier}:\n")
        told = [one for one in differences if one.better or one.worse]
        for one in told:
            sure = "" if one.p < _SURE else ", may be chance"
            lines.append(
                f"  {one.measure:<18} {one.difference:+.3f}  better in {one.better:,}, worse in {one.worse:,} "
                f"(p = {one.p:.4f}{sure})\n"
            )
        if not told:
            lines.append("  no difference\n")
    return "".join(lines)


def questions_text(results: Iterable[Result], judged: Judged) -> str:
    """Each question of each mode as one line of fields divided by tabs, the measures in the order of the heading."""
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
    """What was asked of what, in one line."""
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
    """A whole evaluation for programs; what each question came to only where that is asked for."""
    told: dict[str, Any] = {
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
        told["per_question"] = {
            result.name: {
                id_: {"text": judged.questions[id_], "ranking": list(result.rankings[id_]), **_rounded(values)}
                for id_, values in result.values.items()
            }
            for result in results
        }
    return told


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
