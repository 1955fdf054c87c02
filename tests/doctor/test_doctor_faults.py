"""Each fault, put in by hand, is found by one check alone, with the remedy that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults import FAULTS, closed, mistyped

from kb.doctor.configuration import unreachable
from kb.doctor.table import CHECKS
from kb.system import shell

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


def test_a_configuration_in_a_closed_folder_is_not_taken_for_none(world: World) -> None:
    """``kb init`` could not write one there either."""
    closed(lambda world: world.config.parent)(world)

    found = unreachable(world.config)

    assert found is not None
    assert found.remedy.command == f"chmod u+rwx {world.config.parent}"


def test_a_mistake_in_the_file_and_one_in_the_environment_have_one_remedy(world: World) -> None:
    """Both have to go, and neither alone would be enough."""
    mistyped(world)
    world.monkeypatch.setenv("KB_CHUNK__MAX_TOKENS", "many")

    remedy = str(world.finding("configuration").remedy)

    assert remedy == f"Correct it: {shell.edit(str(world.config))}, and unset KB_CHUNK__MAX_TOKENS"


def test_faults_are_of_most_checks() -> None:
    """There are faults for all checks, and many more than twenty."""
    assert {check.name for check in CHECKS} - {fault.check for fault in FAULTS.values()} == set()
    assert len(FAULTS) > 50
