"""Each fault, put in by hand, is found by one check alone, with the remedy that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults import FAULTS

from kb.doctor.table import CHECKS

if TYPE_CHECKING:
    from examined import World
    from faults import Fault

pytest_plugins = ["examined"]


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    """In a home folder in which everything is well, every check is, the sandbox among them."""
    world.in_full()

    states = {name: (one.state, one.message) for name, one in world.findings().items() if one.state != "ok"}

    assert states == {}


def test_files_of_kinds_that_are_never_read_are_no_fault(world: World) -> None:
    """Images lie in most folders of notes, and nothing could be done about a warning."""
    (world.notes / "picture.png").write_bytes(b"\x89PNG\r\n")
    world.index()

    found = world.finding("files")

    assert (found.state, dict(found.details)["not read"]) == ("ok", 1), found.message


# Its remedy has the index probed in a process of its own.
_SLOW = {"vectors not closed"}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=name, marks=[pytest.mark.slow] if name in _SLOW else []) for name, fault in FAULTS.items()],
)
def test_fault_is_found_and_mended(fault: Fault, world: World) -> None:
    """The one check that is meant to find a fault does, names the remedy, and is well once that was followed."""
    fault.put(world)

    found = world.findings()
    unwell = {name: one.state for name, one in found.items() if one.state in ("warning", "failed")}

    assert unwell == {fault.check: fault.state}, [found[name].message for name in unwell]
    finding = found[fault.check]
    assert fault.says in finding.message
    assert fault.remedy in str(finding.remedy)
    if fault.mend is not None:
        fault.mend(world)
        again = world.finding(fault.check)
        assert again.state == "ok", again.message


def test_faults_are_of_most_checks() -> None:
    """There are faults for all checks, and many more than twenty."""
    assert {check.name for check in CHECKS} - {fault.check for fault in FAULTS.values()} == set()
    assert len(FAULTS) > 50
