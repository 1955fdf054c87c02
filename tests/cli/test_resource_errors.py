"""What is told where the system gives no more: one sentence, one remedy, exit code 2."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from kb.cli.resource_errors import resource_error

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(
    ("error", "told", "remedy"),
    [
        (MemoryError(), "not enough memory", "smaller"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory", "smaller"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open", "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "too many files are open", "fs.file-max"),
        (RuntimeError("can't start new thread"), "no more threads", "ulimit -u"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no more threads", "ulimit -u"),
    ],
)
def test_what_is_short_is_told(command: CommandLine, error: Exception, told: str, remedy: str) -> None:
    """No traceback, and no bug in kb."""
    command.kb.error = error

    code, out, err = command("index", "-q")

    assert (code, out) == (2, "")
    assert told in err
    assert remedy in err
    assert "bug" not in err
    assert err.count("\n") == 2


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.ENOENT, "x"), RuntimeError("x")])
def test_other_errors_are_left_as_they_are(error: Exception) -> None:
    """They mean something else."""
    assert resource_error(error) is None
