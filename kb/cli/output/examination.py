"""Text and JSON for ``kb doctor``."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli.output.terminal import one_line
from kb.cli.output.wrap import breaks
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.cli.output.terminal import OutputStyle
    from kb.doctor.check import Result
    from kb.doctor.finding import Remedy, State
    from kb.doctor.run import Fixed

_COLORS: Final = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
_STATES: Final[tuple[State, ...]] = ("ok", "warning", "failed", "skipped")
_STATE_WIDTH: Final = 9
# Never narrower than this, so that long words are not broken on very narrow terminals.
_LEAST_WIDTH: Final = 40
_NAME_WIDTH: Final = 15
MESSAGE_COLUMN: Final = _STATE_WIDTH + _NAME_WIDTH
"""Where messages begin, and where their continuation lines do."""


def result_line(result: Result, style: OutputStyle) -> str:
    """The state, the name of the check, and what it found."""
    state = result.finding.state
    shown = f"{state:<{_STATE_WIDTH}}"
    if style.color:
        shown = click.style(shown, fg=_COLORS[state])
    return f"{shown}{result.check.name:<{_NAME_WIDTH}}{one_line(result.finding.message)}\n"


def remedy_lines(remedy: Remedy, style: OutputStyle) -> str:
    """The remedy below its check; empty if there is none. A command is never broken, so that it can be copied."""
    text = one_line(str(remedy))
    if not text:
        return ""
    indent = " " * _STATE_WIDTH
    if not style.laid_out:
        return f"{indent}{text}\n"
    before = one_line(remedy.before)
    end = len(before) + len(one_line(remedy.command))
    whole = before + text[len(before) : end].replace(" ", "_") + text[end:]
    room = max(_LEAST_WIDTH, style.width) - _STATE_WIDTH
    places = [0, *breaks(whole, room, room, len), len(text)]
    return "".join(f"{indent}{text[begin:stop].strip()}\n" for begin, stop in pairwise(places))


def detail_lines(result: Result) -> str:
    """Further facts, one a line."""
    rows = [*result.finding.details, ("seconds", f"{result.seconds:.2f}")]
    return "".join(f"{'':<{MESSAGE_COLUMN}}{name}: {one_line(str(value))}\n" for name, value in rows)


def summary_line(results: Sequence[Result]) -> str:
    """How many checks there were, by their states, and what can be done next."""
    states = Counter(one.finding.state for one in results)
    told = ", ".join(
        count(states[state], state) if state == "warning" else f"{states[state]} {state}"
        for state in _STATES
        if states[state]
    )
    return f"{count(len(results), 'check')}: {told}; {sum(one.seconds for one in results):.1f} s\n"


def fixed_line(fixed: Fixed) -> str:
    """A change that was made, or why it could not be."""
    if fixed.problem:
        return f"could not {one_line(fixed.what)}: {one_line(fixed.problem)}\n"
    return f"done: {one_line(fixed.what)}\n"


def examination_object(results: Sequence[Result], fixed: Sequence[Fixed], version: str) -> dict[str, Any]:
    """Return an examination as a JSON object. Keys and names of checks are a public interface."""
    states = Counter(one.finding.state for one in results)
    return {
        "version": version,
        "healthy": not states["failed"],
        "counts": {state: states[state] for state in _STATES},
        "checks": [_check_object(one) for one in results],
        "fixed": [{"check": one.check, "what": one.what, "problem": one.problem or None} for one in fixed],
    }


def _check_object(result: Result) -> dict[str, Any]:
    finding = result.finding
    return {
        "name": result.check.name,
        "state": finding.state,
        "message": finding.message,
        "remedy": str(finding.remedy) or None,
        "command": finding.remedy.command or None,
        "fixable": bool(finding.fixes),
        "details": [{"name": name, "value": _plain(value)} for name, value in finding.details],
        "seconds": round(result.seconds, 3),
    }


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)
