"""What other tools are given, and vectors that another machine computed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from archives import units, write_archive

from kb.errors import BackupDamaged, BackupError, ModelMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from saved_store import Place, Saved

pytest_plugins = ["saved_store"]


def test_json_lines_have_everything(saved: Saved, tmp_path: Path) -> None:
    """Text, place, metadata and vector of each passage, one a line."""
    path = tmp_path / "notes.jsonl"
    with saved.here.open() as kb:
        report = kb.export(path, "jsonl")
        passages = list(kb._container.catalog.all_passages())
        fingerprint = kb._container.embedder.fingerprint
        vectors = kb._container.cache.peek(fingerprint, [one.digest for one in passages])
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    assert (report.passages, report.without_vector, report.size) == (6, 0, path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one["id"] for one in found] == [one.id for one in passages]
    for row, passage in zip(found, passages, strict=True):
        assert row["text"] == passage.text
        assert row["path"] == f"{passage.file.folder}/{passage.file.path}"
        assert row["heading"] == list(passage.heading)
        assert (row["first_line"], row["last_line"]) == (passage.first_line, passage.last_line)
        assert (row["model"], row["fingerprint"]) == (saved.here.model, fingerprint)
        assert np.array_equal(np.array(row["vector"], np.float32), vectors[passage.digest])


def test_parquet_has_the_same(saved: Saved, tmp_path: Path) -> None:
    """Row by row."""
    parquet = pytest.importorskip("pyarrow.parquet")
    with saved.here.open() as kb:
        kb.export(tmp_path / "notes.parquet", "parquet")
        kb.export(tmp_path / "notes.jsonl", "jsonl")
    table = parquet.read_table(tmp_path / "notes.parquet")
    lines = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text("utf-8").splitlines()]

    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert [about | row for row in table.to_pylist()] == lines


def test_without_pyarrow_parquet_says_how(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with saved.here.open() as kb, pytest.raises(BackupError, match="not installed") as raised:
        kb.export(tmp_path / "notes.parquet", "parquet")

    assert "localkb[parquet]" in raised.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_nothing_unasked(saved: Saved, tmp_path: Path) -> None:
    """A file of that name stays."""
    path = tmp_path / "notes.jsonl"
    path.write_text("a note")
    with saved.here.open() as kb:
        with pytest.raises(BackupError, match="there already"):
            kb.export(path, "jsonl")
        assert path.read_text() == "a note"
        kb.export(path, "jsonl", vectors=False, replace=True)

    assert {json.loads(line)["vector"] for line in path.read_text("utf-8").splitlines()} == {None}


def test_an_export_is_not_indexed(saved: Saved) -> None:
    """A file in a watched folder would double every note; one that the rules leave out would not."""
    with saved.here.open() as kb, pytest.raises(BackupError, match="would index it"):
        kb.export(saved.here.notes / "notes.jsonl", "jsonl")
    hidden = saved.here.notes / ".notes.jsonl"
    with saved.here.open() as kb:
        kb.export(hidden, "jsonl")
    hidden.unlink()
    assert not (saved.here.notes / "notes.jsonl").exists()


@pytest.mark.parametrize("of", ["vectors", "backup"])
def test_only_what_is_missing_is_embedded(saved: Saved, elsewhere: Place, of: str) -> None:
    """Vectors of a machine with a GPU; a note that only this one has is embedded here."""
    (elsewhere.notes / "new.md").write_text("# Bees\n\nThey winter in a ball.\n")
    with elsewhere.open() as kb:
        report = kb.import_vectors(getattr(saved, of))
        assert (report.vectors, report.new) == (6, 6)
        assert kb.import_vectors(getattr(saved, of)).new == 0

    assert elsewhere.embedded() == 1


def test_vectors_of_another_model_are_refused(saved: Saved, elsewhere: Place, tiny: Path) -> None:
    """In int8 too, which has a fingerprint of its own; the remedy is a setting."""
    with elsewhere.open(embed__precision="int8") as kb, pytest.raises(ModelMismatch) as raised:
        kb.import_vectors(saved.vectors)
    assert 'embed.precision = "auto"' in raised.value.remedy
    with elsewhere.open(embed__model=str(tiny)) as kb, pytest.raises(ModelMismatch, match="and embed"):
        kb.import_vectors(saved.vectors)
    assert not (elsewhere.store / "embeddings.sqlite3").exists()


def test_damaged_vectors_are_refused(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """None of them is stored, not even those before the damage."""
    path, whole = tmp_path / "v.kb", saved.vectors.read_bytes()
    path.write_bytes(whole[:4000] + bytes([whole[4000] ^ 1]) + whole[4001:])
    with elsewhere.open() as kb, pytest.raises(BackupDamaged):
        kb.import_vectors(path)
    assert not (elsewhere.store / "embeddings.sqlite3").exists()


def test_vectors_of_another_dimension_are_refused(
    elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they say of their model is not true, and the cache takes none of them."""
    with elsewhere.open() as kb:
        monkeypatch.setattr("archives.FINGERPRINT", kb._container.embedder.fingerprint)
        write_archive(tmp_path / "v.kb", catalog=None, rows=units(3, 100))
        with pytest.raises(BackupDamaged, match="have 100 numbers, and those of its model 384"):
            kb.import_vectors(tmp_path / "v.kb")


def test_vectors_that_no_model_gives_are_refused(
    elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checksums are correct in what somebody made up."""
    rows = units(3, 384)
    rows[2] = 0
    with elsewhere.open() as kb:
        monkeypatch.setattr("archives.FINGERPRINT", kb._container.embedder.fingerprint)
        write_archive(tmp_path / "v.kb", catalog=None, rows=rows)
        with pytest.raises(BackupDamaged, match="length"):
            kb.import_vectors(tmp_path / "v.kb")
        assert kb._container.cache.peek(kb._container.embedder.fingerprint, [bytes(32)]) == {}
