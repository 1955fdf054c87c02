"""Runs checks: each within its time limit, none after one that it needs and that failed, and none with a traceback.

The safe changes of what they found are made here too.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.doctor.check import Check, Result
from kb.doctor.finding import Finding, Plain, Remedy, Skipped, advice, failed
from kb.doctor.within import TookTooLong, within
from kb.errors import KbError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kb.doctor.case import Case

_DISK: Final = advice("Check that its disk is there and that you may read it")
_BUG: Final = Remedy("kb doctor --report FILE", "This is a bug in kb: attach what ", " writes to a report of it")


def run(checks: Sequence[Check], case: Case, on_begin: Callable[[Check], None] = lambda _: None) -> Iterator[Result]:
    """Run checks in order, telling before each, and yield each result as soon as it is there."""
    results: dict[str, Result] = {}
    for check in checks:
        on_begin(check)
        begun = time.monotonic()
        finding = _needed(check, results) or _examined(check, case)
        results[check.name] = result = Result(check, finding, time.monotonic() - begun)
        yield result


def _needed(check: Check, results: dict[str, Result]) -> Finding | None:
    """Why a check is not run, because of one that it needs; None if it is run."""
    for name in check.needs:
        before = results.get(name)
        if before is None or before.finding.state in ("ok", "warning"):
            continue
        if before.finding.state == "failed":
            return _skipped(f"{name} failed")
        return Finding("skipped", before.finding.template, before.finding.values)
    return None


def _examined(check: Check, case: Case) -> Finding:
    """What a check finds; an exception is a finding as well."""
    limit = min(check.seconds, case.patience)
    try:
        return within(limit, lambda: check.examine(case))
    except Skipped as error:
        return _skipped(error.reason)
    except TookTooLong:
        return failed("not done within {limit:g} seconds", advice(check.stuck), limit=limit)
    except KbError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message).with_details(*_where(error))
    except OSError as error:
        return failed("{reason}", _DISK, reason=_of_system(error)).with_details(*_where(error))
    except Exception as error:  # noqa: BLE001 - whatever a check trips over, the others are run
        reason = f"{type(error).__name__}: {error}"
        return failed("the check itself failed: {reason}", _BUG, reason=reason).with_details(*_where(error))


def _skipped(reason: str) -> Finding:
    return Finding("skipped", "{reason}", {"reason": Plain(reason)})


def _of_system(error: OSError) -> str:
    return f"{error.filename}: {reason_of(error)}" if error.filename else reason_of(error)


def _where(error: BaseException) -> tuple[tuple[str, object], ...]:
    """The class of an exception, and the lines of kb and of its libraries that it came through; no values."""
    lines = [
        f"{place}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (place := _place(frame.filename))
    ]
    return (("error", Plain(type(error).__name__)), ("at", Plain(" < ".join(reversed(lines)))))


def _place(file: str) -> str:
    """A source file below its package; empty for one that is neither kb's nor a library's."""
    parts = Path(file).parts
    package = Path(__file__).parents[1]
    if Path(file).is_relative_to(package):
        return f"kb/{Path(file).relative_to(package).as_posix()}"
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A change that was made, or could not be.

    Attributes:
        check: The check that found what it mends.
        what: What it does.
        problem: Why it could not be made; empty if it was.
    """

    check: str
    what: str
    problem: str = ""


def fix(results: Iterable[Result]) -> Iterator[Fixed]:
    """Make the changes of some results, in order, and yield each once it is made."""
    for result in results:
        for change in result.finding.fixes:
            try:
                change.do()
            except KbError as error:
                yield Fixed(result.check.name, change.what, error.message)
            except OSError as error:
                yield Fixed(result.check.name, change.what, reason_of(error))
            else:
                yield Fixed(result.check.name, change.what)
