"""``kb completion``."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(command: CommandLine, shell: str) -> None:
    """The shell it is for reads it."""
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("bash is not installed, and its version is asked for")
    code, out, _ = command("completion", shell)

    assert code == 0
    assert "_KB_COMPLETE" in out
    if shutil.which(shell):
        assert subprocess.run([str(shutil.which(shell)), "-n"], input=out.encode(), check=False).returncode == 0
