"""Folders of backups: each adds what changed, and each is whole by itself."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from archives import digests, manifest, units

from kb.backup.folder import FolderReader, FolderWriter
from kb.backup.manifest import CatalogPart, VectorPart
from kb.backup.reading import open_backup
from kb.backup.vectors import BlockWriter, read_vectors
from kb.errors import BackupDamaged, BackupError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROWS = units(200)


def add(
    folder: Path,
    wanted: Sequence[int],
    pages: Sequence[bytes] = (b"page",),
    keep: int = 7,
    step: Callable[[str], None] = lambda _: None,
) -> int:
    """Add a backup with the vectors of some texts, and return how many bytes it wrote."""
    needed = {digests(200)[number]: number for number in wanted}
    with FolderWriter(folder, step) as writer:
        chunks = tuple(writer.put(page, 3) for page in pages)
        kept = writer.kept_blocks("model", needed)
        new = BlockWriter(writer)
        for digest, number in needed.items():
            if digest not in kept.digests:
                new.add(digest, ROWS[number])
        new.flush()
        part = VectorPart("model", 8, (*kept.blocks, *new.blocks))
        writer.finish(manifest(CatalogPart(sum(map(len, pages)), chunks), part), keep)
        return writer.written


def found(path: Path) -> set[int]:
    """The texts whose vectors are in a backup, which is checked."""
    numbers = {digest: number for number, digest in enumerate(digests(200))}
    with open_backup(path) as backup:
        backup.verify()
        blocks = list(read_vectors(backup.manifest.vectors, backup, backup.place))
    return {numbers[digest] for block in blocks for digest in block}


def snapshots(folder: Path) -> list[Path]:
    """The backups in a folder, the newest last."""
    return sorted((folder / "snapshots").iterdir())


def test_only_what_changed_is_added(tmp_path: Path) -> None:
    """Pages and vectors of the last backup are used again; each backup still has all of its own."""
    folder = tmp_path / "backups"
    pages = [bytes([number]) * 5000 for number in range(20)]
    first, chunks = add(folder, range(100), pages), folder / "chunks"
    known = set(chunks.glob("*/*"))
    nothing = add(folder, range(100), pages)

    assert nothing < first
    assert set(chunks.glob("*/*")) == known
    add(folder, range(10, 120), [*pages[:19], b"new"])
    # The last page, and the digests and numbers of twenty vectors.
    assert len(set(chunks.glob("*/*")) - known) == 3
    assert found(folder) >= set(range(10, 120))
    assert found(snapshots(folder)[0]) == set(range(100))


def test_a_block_that_is_hardly_needed_is_written_anew(tmp_path: Path) -> None:
    """What was deleted does not stay in all later backups."""
    folder = tmp_path / "backups"
    add(folder, range(100))
    add(folder, range(40))

    assert found(folder) == set(range(40))


def test_older_backups_and_their_chunks_go(tmp_path: Path) -> None:
    """With --keep 1 the deleted text of a note is gone from the folder."""
    folder = tmp_path / "backups"
    add(folder, range(50), [b"deleted"])
    add(folder, range(100, 150), [b"kept"], keep=1)

    assert len(snapshots(folder)) == 1
    assert len(list((folder / "chunks").glob("*/*"))) == 3
    assert found(folder) == set(range(100, 150))


def test_a_damaged_chunk_is_found_and_written_again(tmp_path: Path) -> None:
    """The remedy is followed once."""
    folder = tmp_path / "backups"
    add(folder, range(50))
    for chunk in sorted((folder / "chunks").glob("*/*")):
        whole = chunk.read_bytes()
        chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(BackupDamaged) as raised:
            found(folder)
        assert str(chunk) in str(raised.value)
        chunk.unlink()
        with pytest.raises(BackupDamaged):
            found(folder)
        add(folder, range(50))
        assert found(folder) == set(range(50))


def test_a_damaged_snapshot_is_found(tmp_path: Path) -> None:
    """The next backup goes on from the one before it."""
    folder = tmp_path / "backups"
    add(folder, range(50))
    add(folder, range(60))
    snapshot = snapshots(folder)[-1]
    whole = snapshot.read_bytes()
    for place in range(0, len(whole), 7):
        snapshot.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BackupError):
            FolderReader(folder)

    add(folder, range(70))
    assert found(folder) == set(range(70))


def test_reading_takes_memory_for_what_is_there(tmp_path: Path) -> None:
    """Not for the largest backup there may be."""
    add(tmp_path / "backups", range(50))

    tracemalloc.start()
    try:
        FolderReader(tmp_path / "backups").verify()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 4 << 20


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A folder from elsewhere cannot have another file read."""
    folder, secret = tmp_path / "backups", tmp_path / "secret"
    add(folder, range(50))
    chunk = min((folder / "chunks").glob("*/*"))
    chunk.rename(secret)
    chunk.symlink_to(secret)

    with pytest.raises(BackupDamaged, match="missing"):
        found(folder)


def test_interrupted_at_each_step(tmp_path: Path) -> None:
    """The last complete backup stays whole, and the next one is complete."""
    steps: list[str] = []
    add(tmp_path / "count", range(50))
    add(tmp_path / "count", range(100, 150), keep=1, step=steps.append)
    assert len(set(steps)) >= 4

    for stop in range(len(steps)):
        folder = tmp_path / str(stop)
        add(folder, range(50))
        left = iter(range(stop))

        def step(_: str, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]  # an iterator
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            add(folder, range(100, 150), keep=1, step=step)
        assert found(folder) in (set(range(50)), set(range(100, 150)))
        add(folder, range(100, 150), keep=1)
        assert found(folder) == set(range(100, 150))
        assert not list(folder.rglob("*.part"))


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """Nothing is added to it, and nothing removed from it."""
    (tmp_path / "note.md").write_text("a note")
    with pytest.raises(BackupError, match="files that are not backups"):
        FolderWriter(tmp_path)
    with pytest.raises(BackupError, match="not a folder"):
        FolderWriter(tmp_path / "note.md")
    with pytest.raises(BackupError, match="no backups"):
        open_backup(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["note.md"]


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    """The second one is told to wait."""
    with FolderWriter(tmp_path / "backups"), pytest.raises(BackupError, match="another process"):
        FolderWriter(tmp_path / "backups")


def test_a_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds the text of the notes."""
    add(tmp_path / "backups", range(3))

    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "backups").rglob("*")} == {0}


def test_what_a_file_manager_leaves_is_let_alone(tmp_path: Path) -> None:
    """A folder that was looked at still takes backups."""
    folder = tmp_path / "backups"
    add(folder, range(3))
    left = [folder / "chunks" / ".DS_Store", folder / ".DS_Store", next((folder / "chunks").glob("*/")) / "Thumbs.db"]
    for path in left:
        path.write_text("icons")

    add(folder, range(4), keep=1)

    assert found(folder) == set(range(4))
    assert all(path.read_text() == "icons" for path in left)


def test_a_lock_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    """In a sentence, as what cannot be written is."""
    folder = tmp_path / "backups"
    add(folder, range(3))
    (folder / ".lock").unlink(missing_ok=True)
    (folder / ".lock").mkdir()

    with pytest.raises(StoreError, match="cannot be used"):
        FolderWriter(folder)


def test_a_backup_follows_one_of_a_clock_that_was_wrong(tmp_path: Path) -> None:
    """Otherwise the old one would stay the newest, and with --keep 1 the new one would be removed at once."""
    add(tmp_path, range(100))
    (former,) = snapshots(tmp_path)
    former.rename(former.with_name("20991231T235959.999999Z.json"))

    add(tmp_path, range(50, 150), keep=1)

    assert [path.name for path in snapshots(tmp_path)] == ["21000101T000000.000000Z.json"]
    assert found(tmp_path) >= set(range(50, 150))


def test_a_snapshot_whose_name_is_no_time_is_named(tmp_path: Path) -> None:
    """No backup can come after it."""
    add(tmp_path, range(100))
    (former,) = snapshots(tmp_path)
    former.rename(former.with_name("99999999T999999.999999Z.json"))

    with pytest.raises(BackupError, match="its name is no time"):
        add(tmp_path, range(100))


def test_a_folder_without_its_text_is_still_one_of_backups(tmp_path: Path) -> None:
    """The text is for people, and the next backup writes it again."""
    folder = tmp_path / "backups"
    add(folder, range(100))
    (folder / "kb-backup.txt").unlink()

    assert found(folder) == set(range(100))
    add(folder, range(150))

    assert found(folder) == set(range(150))
    assert (folder / "kb-backup.txt").is_file()
