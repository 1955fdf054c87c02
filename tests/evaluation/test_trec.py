"""Runs are written and read in the form of TREC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.errors import KbError
from kb.evaluation.run import read_run, run_text

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Order and names with spaces are kept; a question without hits has no line."""
    rankings = {"1": ("my notes/b.md", "a.md", "c.md"), "2": (), "3": ("a.md",)}
    file = tmp_path / "run"
    file.write_text(run_text(rankings, "kb-cosine"), "utf-8")

    assert read_run(str(file)) == {"1": ("my notes/b.md", "a.md", "c.md"), "3": ("a.md",)}
    assert file.read_text("utf-8").splitlines()[1] == "1\tQ0\ta.md\t2\t0.500000\tkb-cosine"


def test_runs_of_other_tools(tmp_path: Path) -> None:
    """Divided by spaces, in any order; the score decides, not the rank."""
    file = tmp_path / "run"
    file.write_text("1 Q0 a 1 0.1 x\n1 Q0 b 2 0.9 x\n", "utf-8")

    assert read_run(str(file)) == {"1": ("b", "a")}


@pytest.mark.parametrize("line", ["1 Q0 a 1 high x", "1 Q0 a 1 0.5"])
def test_no_run(tmp_path: Path, line: str) -> None:
    """The line is named."""
    file = tmp_path / "run"
    file.write_text(f"1 Q0 b 1 0.9 x\n{line}\n", "utf-8")

    with pytest.raises(KbError, match="line 2"):
        read_run(str(file))
