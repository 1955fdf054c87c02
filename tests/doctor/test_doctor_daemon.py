"""``kb doctor`` beside a real ``kb watch``: one that answers, one that is suspended, and one that was killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import real_daemon

from kb.doctor.run import fix, run
from kb.doctor.table import CHECKS

if TYPE_CHECKING:
    from examined import World

pytest_plugins = ["examined"]
pytestmark = pytest.mark.slow


def test_daemon_that_answers_is_suspended_and_is_killed(world: World) -> None:
    """Through the daemon a known text finds itself; suspended and killed, it is told apart, and its remains go."""
    at = real_daemon.World(world.config.parent, world.notes, world.encoder.located.name)
    with at.watching() as daemon:
        answering = world.findings()
        os.kill(daemon.pid, signal.SIGSTOP)
        world.patience = 4.0
        suspended = world.findings()
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
    killed = list(run(CHECKS, world.case()))
    changes = list(fix(killed))
    world.index()

    assert {name: one.message for name, one in answering.items() if one.state != "ok"} == {}
    assert answering["question"].message.endswith("by the daemon")
    assert f"process {daemon.pid}" in answering["lock"].message
    assert (suspended["daemon"].state, suspended["question"].state) == ("failed", "skipped")
    assert suspended["daemon"].remedy.command == f"kill -9 {daemon.pid}"
    found = {one.check.name: one.finding for one in killed}
    assert [name for name, one in found.items() if one.state == "warning"] == ["lock", "daemon", "vectors"]
    assert [(one.check, one.problem) for one in changes] == [("lock", ""), ("daemon", "")]
    assert {name: one.message for name, one in world.findings().items() if one.state != "ok"} == {}
