"""How checks are run: in time, in order, and without a traceback."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kb.doctor.check import Check
from kb.doctor.finding import Fix, Plain, Skipped, failed, ok, warning, worst
from kb.doctor.run import fix, run
from kb.doctor.table import CHECKS
from kb.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from examined import World

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

pytest_plugins = ["examined"]


def check(name: str, examine: Callable[[Case], Finding], *needs: str, seconds: float = 60.0) -> Check:
    """A check that is made up."""
    return Check(name, examine, "", needs=needs, seconds=seconds, stuck="Look at the drive")


def raising(error: Exception) -> Callable[[Case], Finding]:
    """A check that raises."""

    def examine(_case: Case) -> Finding:
        raise error

    return examine


def found(world: World, *checks: Check) -> dict[str, Finding]:
    """What some checks find."""
    return {one.check.name: one.finding for one in run(checks, world.case())}


def test_check_that_hangs_fails_in_time(world: World) -> None:
    """One that never returns is a failure with its own remedy, and those after it are run."""
    never = threading.Event()
    world.closing.append(never.set)

    def hang(_case: Case) -> Finding:
        never.wait(120)
        return ok("late")

    begun = time.monotonic()
    results = found(world, check("hangs", hang, seconds=0.1), check("next", lambda _: ok("here")))

    assert time.monotonic() - begun < 60
    assert (results["hangs"].state, results["hangs"].message) == ("failed", "not done within 0.1 seconds")
    assert str(results["hangs"].remedy) == "Look at the drive"
    assert results["next"].state == "ok"


def test_exceptions_are_failures_with_a_sentence(world: World) -> None:
    """Kb's own errors keep their remedy, those of the system say what failed, and any other is told as a bug."""
    results = found(
        world,
        check("own", raising(StoreError("the store is gone", "Bring it back"))),
        check("system", raising(PermissionError(13, "Permission denied", "/a/file"))),
        check("bug", raising(ZeroDivisionError("by zero"))),
    )

    assert (results["own"].message, str(results["own"].remedy)) == ("the store is gone", "Bring it back")
    assert results["system"].message == "/a/file: permission denied"
    assert results["bug"].message == "the check itself failed: ZeroDivisionError: by zero"
    assert "kb doctor --report FILE" in str(results["bug"].remedy)
    assert dict(results["bug"].details)["error"] == "ZeroDivisionError"
    assert "kb/doctor/run.py:" in str(dict(results["bug"].details)["at"])
    assert {one.state for one in results.values()} == {"failed"}


def test_what_needs_a_failed_check_is_skipped(world: World) -> None:
    """The reason is the check that failed, also where another one lies between."""
    results = found(
        world,
        check("first", lambda _: failed("broken", "mend it")),
        check("second", lambda _: ok("never"), "first"),
        check("third", lambda _: ok("never"), "second"),
        check("warned", lambda _: warning("a little", "mend it")),
        check("fourth", lambda _: ok("asked"), "warned"),
        check("absent", raising(Skipped("there is nothing"))),
    )

    assert [results[name].state for name in ("second", "third", "fourth", "absent")] == [
        "skipped",
        "skipped",
        "ok",
        "skipped",
    ]
    assert results["third"].message == "first failed"
    assert results["absent"].message == "there is nothing"


def test_needs_are_checks_that_come_before() -> None:
    """Each check needs only earlier ones, and no two have one name."""
    names = [one.name for one in CHECKS]

    assert len(set(names)) == len(names) > 20
    for at, one in enumerate(CHECKS):
        assert set(one.needs) <= set(names[:at]), one.name


def test_worst_finding_tells_of_the_others_and_makes_their_changes() -> None:
    """Of several findings the failure is shown; the others are counted, and all changes are made."""
    made: list[str] = []
    first = warning("one {name}", "a", Fix("do a", lambda: made.append("a")), name="x")
    second = failed("two", "b", Fix("do b", lambda: made.append("b")))

    one = worst([first, second], ok("none"))

    assert (one.state, one.message) == ("failed", "two (and 1 more: kb doctor -v)")
    assert one.details == (("also", "one x"),)
    assert [fixing.what for fixing in one.fixes] == ["do b", "do a"]
    assert worst([], ok("none")).message == "none"


def test_change_that_fails_is_told_and_the_others_are_made(world: World) -> None:
    """A change that the system refuses does not keep the next from being made."""

    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/a")

    changed: list[int] = []
    one = check("x", lambda _: failed("y", "z", Fix("do it", refuse), Fix("do the other", lambda: changed.append(1))))

    fixed = list(fix(run([one], world.case())))

    assert [(each.what, each.problem) for each in fixed] == [("do it", "permission denied"), ("do the other", "")]
    assert changed == [1]


def test_sentence_without_names_keeps_numbers_and_own_words() -> None:
    """What a report shows of a finding: no text that may be the user's."""
    finding = failed(
        "{folder} has {count:,} files in {what}", "x", folder="/home/me", count=1200, what=Plain("the store")
    )

    assert finding.message == "/home/me has 1,200 files in the store"
    assert finding.anonymous() == "<folder> has 1,200 files in the store"


def test_each_check_says_what_is_so_if_nothing_is_wrong() -> None:
    """The documentation is made from it."""
    said = {one.name: str(one.examine.__doc__) for one in CHECKS}

    assert [name for name, text in said.items() if not text.startswith("Whether ") or "." not in text] == []
    assert next(one.about for one in CHECKS if one.name == "overlap").startswith("no folder lies in another")
