"""Backups as they are made every day: by the command, while a real daemon watches and indexes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from real_daemon import World

from kb.open_store import CATALOG_FILE
from kb.transfer import verify_backup

if TYPE_CHECKING:
    from kb.embedding.spec import Located


def kb(world: World, *arguments: str, code: int = 0) -> str:
    """Run a command, and return what it wrote."""
    command = [sys.executable, "-P", "-m", "kb", "--config", str(world.config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=world.root)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def kb_json(world: World, *arguments: str) -> dict[str, Any]:
    """Run a command, and return its JSON."""
    value: dict[str, Any] = json.loads(kb(world, *arguments, "--json"))
    return value


@pytest.mark.slow
def test_backup_while_notes_are_written(
    tmp_path: Path, minilm: Located, forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each backup is whole and of one moment; the daemon's store is not replaced, and a clone embeds nothing."""
    monkeypatch.setenv("KB_MODELS", str(forms))
    here, clone = (
        World(tmp_path, tmp_path / "notes", minilm.name),
        World(tmp_path / "home", tmp_path / "home" / "docs", minilm.name),
    )
    here.notes.mkdir()
    for number in range(20):
        (here.notes / f"{number:02}.md").write_text(f"# Note {number}\n\nAbout the number {number}.\n")
    here.configure()
    written = threading.Event()

    def write() -> None:
        for number in range(60):
            # In one step: a file that is empty for a moment has no passage.
            (tmp_path / "next.md").write_text(f"# Note {number}\n\nChanged to {number}.\n")
            (tmp_path / "next.md").replace(here.notes / f"{number % 25:02}.md")
            if written.wait(0.02):
                return

    with here.watching() as daemon:
        kb(here, "sync")
        writer = threading.Thread(target=write)
        writer.start()
        reports = [kb_json(here, "backup", "first.kb"), kb_json(here, "backup", "--incremental", "backups")]
        written.set()
        writer.join()
        kb(here, "sync")
        last = kb_json(here, "backup", "last.kb")
        assert (last["without_vector"], last["passages"]) == (0, len(list(here.notes.iterdir())))
        refused = kb(here, "restore", "last.kb", "--force", code=2)
        assert f"process {daemon.pid}" in refused
        assert "kb watch" in refused

    for report in reports:
        # No two texts are alike. One that the daemon had not embedded yet is counted as such; passages of files that it
        # was just changing are not counted.
        assert report["vectors"] + report["without_vector"] == report["passages"]
        assert verify_backup(Path(report["path"])).passages == report["passages"]
    clone.root.mkdir()
    shutil.copytree(here.notes, clone.notes, copy_function=shutil.copy)
    clone.configure()
    monkeypatch.setenv("HOME", str(tmp_path / "another"))
    kb_json(clone, "restore", "../first.kb", "--folder", f"{here.notes}=docs")
    with closing(sqlite3.connect(Path(clone.store, CATALOG_FILE))) as catalog:
        (passages,) = catalog.execute("SELECT count(*) FROM passages WHERE state != 'leaving'").fetchone()
    assert passages >= 20
    kb(clone, "index")
    assert kb_json(clone, "check")["differences"] == []
    restored = kb_json(clone, "restore", "../last.kb", "--force", "--folder", f"{here.notes}=docs")
    assert restored["index"]
    indexed = kb_json(clone, "index")
    assert indexed["passages"]["embedded"] == 0
    assert indexed["files"]["changed"] + indexed["files"]["added"] + indexed["files"]["removed"] == 0
