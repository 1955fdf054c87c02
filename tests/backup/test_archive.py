"""Backups in one file: what is written is read, and nothing else is taken for it."""

from __future__ import annotations

import errno
import os
import tarfile
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from archives import CATALOG, digests, manifest, put_vectors, units, write_archive

from kb.backup import archive as module
from kb.backup.archive import ArchiveReader, ArchiveWriter, is_archive
from kb.backup.chunks import Chunk, compress, name_of
from kb.backup.manifest import CatalogPart, VectorPart
from kb.backup.manifest import encoded as encode
from kb.backup.target import replacing
from kb.backup.vectors import read_vectors
from kb.errors import BackupDamaged, BackupError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from kb.backup.manifest import Manifest


def verify(path: Path) -> None:
    """Check a whole backup."""
    with ArchiveReader(path) as backup:
        backup.verify()
        for _ in read_vectors(backup.manifest.vectors, backup, backup.place):
            pass


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Catalog and vectors come back to the bit."""
    path, rows = tmp_path / "b.kb", units(3)
    write_archive(path, rows=rows)

    verify(path)
    with ArchiveReader(path) as backup:
        assert backup.manifest.catalog is not None
        assert b"".join(backup.read(chunk) for chunk in backup.manifest.catalog.chunks) == CATALOG
        (found,) = read_vectors(backup.manifest.vectors, backup, backup.place)
    assert list(found) == digests(3)
    assert np.array_equal(np.stack(list(found.values())), rows)


def test_tar_reads_it(tmp_path: Path) -> None:
    """Without kb, the members are there for anyone."""
    path = tmp_path / "b.kb"
    written = write_archive(path)

    with tarfile.open(path) as found:
        names = found.getnames()
        about = found.extractfile("kb-backup.txt")
        assert about is not None
        assert b"kb restore FILE" in about.read()
    assert names[1:-2] == [f"chunks/{chunk.sha256}.zst" for chunk in written.chunks()]


def test_equal_chunks_are_stored_once(tmp_path: Path) -> None:
    """The empty pages of a database take no room."""
    path = tmp_path / "b.kb"
    with path.open("wb") as file:
        archive = ArchiveWriter(file)
        chunks = tuple(archive.put(bytes(1000), 1) for _ in range(50))
        archive.finish(manifest(CatalogPart(50_000, chunks), VectorPart("model", 0, ())))

    verify(path)
    with ArchiveReader(path) as backup:
        assert [backup.read(chunk) for chunk in chunks] == [bytes(1000)] * 50
        assert len(list(backup.manifest.chunks())) == 1


def test_every_damaged_byte_is_found(tmp_path: Path) -> None:
    """One flipped bit anywhere is an error, and none of the program."""
    path = tmp_path / "b.kb"
    write_archive(path)
    whole = path.read_bytes()
    undetected = []
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            verify(path)
        except BackupError:
            continue
        undetected.append(place)

    assert undetected == []


def test_an_incomplete_file_is_no_backup(tmp_path: Path) -> None:
    """A copy that broke off is damaged, wherever it broke off."""
    path = tmp_path / "b.kb"
    write_archive(path)
    whole = path.read_bytes()
    for size in (0, 100, 512, 1024, len(whole) // 2, len(whole) - 512, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(BackupError):
            verify(path)


def forged(path: Path, stored: bytes, size: int) -> None:
    """An archive whose catalog is one chunk with these compressed bytes, which its manifest gives a size."""
    with path.open("wb") as file:
        archive = ArchiveWriter(file)
        vectors = put_vectors(archive, units(1))
        chunk = Chunk(name_of(b"x" * size), size, len(stored))
        archive._member(f"chunks/{chunk.sha256}.zst", stored)
        ordered = manifest(CatalogPart(size, (chunk,)), vectors)
        archive.finish(ordered)


def test_a_chunk_never_gets_larger_than_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of 64 MB in two kilobytes is given up after the ten bytes that were announced."""
    path = tmp_path / "b.kb"
    bomb = compress(bytes(64 << 20), 3)
    monkeypatch.setattr("kb.backup.manifest.Manifest.chunks", _catalog_last)
    forged(path, bomb, 10)

    with ArchiveReader(path) as backup, pytest.raises(BackupDamaged, match="not what it was"):
        backup.verify()


def _catalog_last(written: Manifest) -> list[Chunk]:
    of_vectors = [chunk for block in written.vectors.blocks for chunk in (block.digests, block.rows)]
    return [*of_vectors, *(written.catalog.chunks if written.catalog else ())]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "newer kb"),
        ({"format": "1"}, "makes no sense"),
        ({"kind": "vectors"}, "makes no sense"),
        ({"catalog": None}, "makes no sense"),
        ({"catalog": {"size": 10**12, "chunks": []}}, "another size"),
        ({"catalog": {"size": 3, "chunks": [{"sha256": "../../etc/passwd", "size": 3, "stored": 9}]}}, "no sense"),
        ({"catalog": {"size": 1 << 30, "chunks": [{"sha256": "0" * 64, "size": 1 << 30, "stored": 9}]}}, "no sense"),
        ({"vectors": {"fingerprint": "m", "dimension": 10**9, "blocks": []}}, "makes no sense"),
        ({"extra": 1}, "makes no sense"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], message: str
) -> None:
    """Before anything is read by what it says."""
    path = tmp_path / "b.kb"

    def changed(written: Manifest) -> bytes:
        return msgspec.json.encode({**msgspec.json.decode(encode(written)), **change})

    monkeypatch.setattr(module, "encoded", changed)
    write_archive(path)

    with pytest.raises(BackupError, match=message):
        ArchiveReader(path)


def test_names_in_the_archive_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member under another name is not the chunk, even with the right content and checksum."""
    path = tmp_path / "b.kb"
    monkeypatch.setattr(module, "_chunk_name", lambda chunk: f"../../{chunk.sha256}.zst")
    write_archive(path)
    monkeypatch.undo()

    with ArchiveReader(path) as backup, pytest.raises(BackupDamaged, match="something else"):
        backup.verify()
    assert [file.name for file in tmp_path.iterdir()] == ["b.kb"]


@pytest.mark.parametrize("number", [np.nan, np.inf, 0.0, 1e30])
def test_vectors_have_length_1(tmp_path: Path, number: float) -> None:
    """Numbers that no model of kb gives are refused."""
    path, rows = tmp_path / "b.kb", units(3)
    rows[1] = number
    write_archive(path, rows=rows)

    with pytest.raises(BackupDamaged, match="length"):
        verify(path)


def test_only_files_are_opened(tmp_path: Path) -> None:
    """A pipe does not block; a note is no backup."""
    pipe, note = tmp_path / "pipe", tmp_path / "note.md"
    os.mkfifo(pipe)
    note.write_text("kb-backup.txt")

    for path in (pipe, note, tmp_path / "missing"):
        with pytest.raises(BackupError):
            ArchiveReader(path)


def write(path: Path, content: bytes = b"kb-backup.txt\0new", *, killed_at: str = "") -> None:
    """Replace a backup; ``killed_at`` is the step at which that ends."""

    def step(name: str) -> None:
        if name == killed_at:
            raise KeyboardInterrupt

    with replacing(path, is_archive, step) as file:
        file.write(content)


def test_a_backup_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds the text of the notes."""
    write(tmp_path / "b.kb")

    assert (tmp_path / "b.kb").stat().st_mode & 0o777 == 0o600


def test_no_other_file_is_replaced(tmp_path: Path) -> None:
    """A mistyped name costs no note, and a folder is no file."""
    note, draft = tmp_path / "note.md", tmp_path / ".b.kb.part"
    note.write_text("a note")
    draft.write_text("not of kb")

    for path in (note, tmp_path, tmp_path / "missing" / "b.kb", tmp_path / "b.kb"):
        with pytest.raises(BackupError):
            write(path)
    assert note.read_text() == "a note"
    assert draft.read_text() == "not of kb"


def test_the_remedy_for_a_missing_folder_can_be_copied(tmp_path: Path) -> None:
    """With a space in its name, too."""
    with pytest.raises(BackupError) as raised:
        write(tmp_path / "my backups" / "b.kb")

    assert raised.value.remedy.endswith(f"mkdir -p '{tmp_path}/my backups'")


@pytest.mark.parametrize("step", ["flush the file", "rename the file"])
def test_the_old_backup_stays_until_the_new_one_is_there(tmp_path: Path, step: str) -> None:
    """Interrupted, nothing of the new one is left; the next one is not in its way."""
    path = tmp_path / "b.kb"
    write(path, b"kb-backup.txt\0old")

    with pytest.raises(KeyboardInterrupt):
        write(path, killed_at=step)
    assert path.read_bytes() == b"kb-backup.txt\0old"
    assert [file.name for file in tmp_path.iterdir()] == ["b.kb"]

    (tmp_path / ".b.kb.part").write_bytes(b"kb-backup.txt\0 of a process that was killed")
    write(path)
    assert path.read_bytes() == b"kb-backup.txt\0new"


def test_two_at_once_do_not_write_one_file(tmp_path: Path) -> None:
    """The second one is told to wait."""
    with (
        replacing(tmp_path / "b.kb", is_archive) as file,
        pytest.raises(BackupError, match="another process"),
        replacing(tmp_path / "b.kb", is_archive),
    ):
        file.write(b"")


@pytest.mark.parametrize(("number", "remedy"), [(errno.EROFS, "or name another folder"), (errno.ENOSPC, "Free some")])
def test_the_remedy_is_for_a_backup_and_not_for_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    """Another place for the store would not help."""

    def refuse(_source: str, _target: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("kb.backup.target.replace_file", refuse)
    with pytest.raises(StoreError, match=remedy), replacing(tmp_path / "b.kb", is_archive) as file:
        ArchiveWriter(file)
