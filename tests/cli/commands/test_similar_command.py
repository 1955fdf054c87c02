"""``kb similar``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.records import SearchRequest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_similar_takes_a_file(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is meant from the client's folder, and the hits are written as those of a question."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "db.md").touch()

    assert command("similar", "db.md", "-n", "2") == (0, "/notes/db.md:5:Use ChromaDB.\n", "")
    assert command.kb.asked[0][1]["request"] == SearchRequest(like=str(tmp_path / "db.md"), limit=2)
