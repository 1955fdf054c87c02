"""The short form of ``kill_rounds.py``; ``make test-faults`` runs the long one too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="what makes ONNX forms is not installed: pip install 'localkb[export]'")


@pytest.mark.faults
def test_kb_killed_at_random_leaves_what_the_next_run_mends() -> None:
    """Passage by passage as a fresh index, nothing embedded again, no hit of a file that is gone."""
    program = Path(__file__).with_name("kill_rounds.py")

    done = subprocess.run(
        [sys.executable, program, "--kills", "20", "--seed", "1"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 kills" in done.stdout
