"""A full disk costs nothing but time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.usefixtures("onnx_minilm")
@pytest.mark.slow
def test_full_disk_is_told_and_made_good_when_there_is_room(tmp_path: Path) -> None:
    """Indexing says so in a sentence, and with room again the next run completes; searches need no room."""
    probe = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("this system gives no mount namespace for a small disk")
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(250):
        (notes / f"n{number}.md").write_text(f"# Note {number}\n\nIt is about topic {number}. " + "More text. " * 12)

    done = subprocess.run(
        [*NAMESPACE, sys.executable, str(Path(__file__).with_name("full_disk.py")), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    first, second, last, searched = done.stdout.splitlines() or ["", "", done.stderr, ""]
    assert "disk is full" in first
    assert "disk is full" in second
    assert last.split()[:3] == ["250", "0", "0"]
    assert searched == "3 250", done.stderr
