"""Restoring with the real ChromaDB and the bundled model: nothing is embedded, and no half store is left."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from archives import write_archive
from filelock import FileLock

from kb import transfer
from kb.backup.archive import ArchiveReader, ArchiveWriter
from kb.backup.manifest import CatalogPart
from kb.errors import BackupDamaged, BackupError, ForeignStore, ModelMismatch, StoreBusy, StoreError
from kb.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from saved_store import Place, Saved

pytest_plugins = ["saved_store"]


def moved(saved: Saved, place: Place) -> dict[str, str]:
    """The notes are elsewhere now."""
    return {str(saved.here.notes): str(place.notes)}


def altered(saved: Saved, path: Path, change: Callable[[sqlite3.Connection], object]) -> Path:
    """The backup with a change in its catalog, and correct checksums."""
    catalog = path.with_suffix(".sqlite3")
    with ArchiveReader(saved.backup) as backup, path.open("wb") as file:
        old = backup.manifest
        assert old.catalog is not None
        catalog.write_bytes(b"".join(backup.read(chunk) for chunk in old.catalog.chunks))
        with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
            change(connection)
        archive = ArchiveWriter(file)
        data = catalog.read_bytes()
        part = CatalogPart(len(data), (archive.put(data, 3),))
        for chunk in old.chunks():
            if chunk not in old.catalog.chunks:
                archive.put(backup.read(chunk), 1)
        archive.finish(type(old)(**{**{name: getattr(old, name) for name in old.__struct_fields__}, "catalog": part}))
    return path


def test_a_clone_on_another_machine_embeds_nothing(saved: Saved, elsewhere: Place) -> None:
    """Inode, device and time of each file differ, and the folder too; its content decides."""
    report = elsewhere.restore(saved.backup, folders=moved(saved, elsewhere))

    assert (report.files, report.passages, report.index) == (5, 6, True)
    assert elsewhere.hits() == saved.here.hits()
    assert elsewhere.embedded() == 0
    assert elsewhere.store.stat().st_mode & 0o777 == 0o700
    files = [path for path in elsewhere.store.rglob("*") if path.is_file() and path.parent == elsewhere.store]
    assert {path.name for path in files if path.stat().st_mode & 0o077} <= {".gitignore"}
    assert not (elsewhere.store / "restoring").exists()


def test_incremental_backups_are_restored(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """Each of a chain is a store: what was added and deleted between them too."""
    backups = tmp_path / "backups"
    elsewhere.restore(saved.backup, folders=moved(saved, elsewhere))
    with elsewhere.open() as kb:
        kb.backup(backups, incremental=True)
        (elsewhere.notes / "gardens.md").unlink()
        (elsewhere.notes / "new.md").write_text("# Bees\n\nThey winter in a ball.\n")
        kb.index()
        kb.backup(backups, incremental=True)
        expected = [one.path for one in kb.documents()]
    first, second = sorted((backups / "snapshots").iterdir())

    assert elsewhere.restore(backups, force=True).files == 5
    with elsewhere.open() as kb:
        assert [one.path for one in kb.documents()] == expected
    assert elsewhere.embedded() == 0
    (elsewhere.notes / "new.md").unlink()
    elsewhere.restore(first, force=True)
    with elsewhere.open() as kb:
        assert "gardens.md" in [one.path for one in kb.documents()]
    assert second.exists()


def test_a_store_is_replaced_only_with_force(saved: Saved, elsewhere: Place) -> None:
    """And then its files and vectors are gone."""
    for file in elsewhere.notes.iterdir():
        file.write_text(f"Something else, called {file.name}.\n")
    with elsewhere.open() as kb:
        kb.index()
    before = elsewhere.hits()

    with pytest.raises(StoreError, match="not empty") as raised:
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere))
    assert "--force" in raised.value.remedy
    assert elsewhere.hits() == before

    elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), force=True)
    shutil.copytree(saved.here.notes, elsewhere.notes, dirs_exist_ok=True)
    assert elsewhere.embedded() == 0
    assert elsewhere.hits() == saved.here.hits()


STEPS = (
    "bring the vectors",
    "move the generation",
    "replace the catalog",
    "switch to the vector index",
    "write the name",
)


@pytest.fixture
def other(elsewhere: Place) -> Place:
    """A store with other notes than the backup has."""
    (elsewhere.notes / "gardens.md").unlink()
    (elsewhere.notes / "bees.md").write_text("# Bees\n\nThey winter in a ball.\n")
    with elsewhere.open() as kb:
        kb.index()
    return elsewhere


def test_stopped_at_each_step_leaves_a_whole_store(saved: Saved, other: Place, tmp_path: Path) -> None:
    """The old one until the catalog is replaced, and from then on the new one; neither embeds anything again."""
    old = tmp_path / "old"
    shutil.copytree(other.store, old)
    for name in STEPS:
        shutil.rmtree(other.store)
        shutil.copytree(old, other.store)

        def step(now: str, name: str = name) -> None:
            if now == name:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            other.restore(saved.backup, folders=moved(saved, other), force=True, step=step)
        with other.open() as kb:
            paths = {one.path for one in kb.documents()}
            checked = kb.check()
        assert ("bees.md" in paths) is (STEPS.index(name) <= STEPS.index("replace the catalog")), name
        assert ("gardens.md" in paths) is ("bees.md" not in paths)
        assert all(one.kind in {"file gone", "file not indexed", "file changed"} for one in checked.differences)
        assert other.embedded() == 0


_KILLED = """
import os, sys
from pathlib import Path
from kb.config import load
from kb.restore import restore
stop, backup, old, new, store, model = sys.argv[1:]
def step(name):
    if name == stop:
        os.kill(os.getpid(), 9)
values = {"embed.model": model, "embed.offline": "true", "folders.paths": f'["{new}"]', "store.path": store}
settings = load(overrides=values)
restore(settings, Path(backup), folders={old: new}, force=True, warn=print, step=step)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["replace the catalog", "switch to the vector index"])
def test_killed_leaves_a_whole_store(saved: Saved, other: Place, stop: str) -> None:
    """What the killed process had begun is removed by the next command."""
    arguments = [stop, saved.backup, saved.here.notes, other.notes, other.store, other.model]
    done = subprocess.run([sys.executable, "-c", _KILLED, *map(str, arguments)], check=False, timeout=120)
    assert done.returncode == -9
    assert (other.store / "restoring").is_dir()

    with other.open() as kb:
        paths = {one.path for one in kb.documents()}
    assert ("gardens.md" in paths) is (stop != "replace the catalog")
    assert other.embedded() == 0
    assert not (other.store / "restoring").exists()


def test_the_damaged_are_refused_before_anything_changes(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """One byte of the catalog, of the vectors and of the manifest."""
    whole = saved.backup.read_bytes()
    for place in (2000, len(whole) // 2, len(whole) - 3000):
        damaged = tmp_path / "damaged.kb"
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(BackupDamaged):
            elsewhere.restore(damaged, folders=moved(saved, elsewhere))
    assert not (elsewhere.store / "catalog.sqlite3").exists()
    assert not (elsewhere.store / "restoring").exists()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM files; END", "not those of kb"),
        ("CREATE VIEW v AS SELECT 1", "not those of kb"),
        ("ALTER TABLE files ADD COLUMN more TEXT", "not those of kb"),
        ("PRAGMA user_version = 0", "not those of kb"),
        ("PRAGMA application_id = 7", "header"),
        ("UPDATE files SET name = CAST('../../etc/passwd' AS BLOB) WHERE id = 1", "outside"),
        ("UPDATE files SET name = CAST('a/../../b' AS BLOB) WHERE id = 1", "outside"),
        ("UPDATE files SET name = CAST('/etc/passwd' AS BLOB) WHERE id = 1", "outside"),
        ("UPDATE files SET name = 7 WHERE id = 1", "outside"),
    ],
)
def test_hostile_catalogs_are_refused(
    saved: Saved, elsewhere: Place, tmp_path: Path, statement: str, message: str
) -> None:
    """They have correct checksums; what they define is never run, and what they name never read."""
    hostile = altered(saved, tmp_path / "hostile.kb", lambda connection: connection.execute(statement))

    with pytest.raises(BackupError, match=message):
        elsewhere.restore(hostile, folders=moved(saved, elsewhere))
    assert not (elsewhere.store / "catalog.sqlite3").exists()


def test_texts_that_were_changed_in_the_backup_are_read_again(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """The checksum of each row is compared, and the file is the truth."""
    forged = altered(
        saved, tmp_path / "forged.kb", lambda connection: connection.execute("UPDATE passages SET text = 'Forged.'")
    )
    told: list[str] = []
    restore(elsewhere.settings(), forged, folders=moved(saved, elsewhere), warn=told.append)

    assert any("changed by something else" in text for text in told)
    assert elsewhere.embedded() == 0
    assert elsewhere.hits() == saved.here.hits()


def test_older_catalogs_are_migrated(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """A backup of an earlier kb is one of this kb."""

    def older(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE files DROP COLUMN unread")
        connection.execute("DROP TABLE unembedded")
        connection.execute("DROP INDEX files_by_state")
        connection.execute("DROP INDEX files_by_size")
        connection.execute("DROP TABLE unsent")
        connection.execute("PRAGMA user_version = 8")

    elsewhere.restore(altered(saved, tmp_path / "old.kb", older), folders=moved(saved, elsewhere))

    assert elsewhere.embedded() == 0


def test_newer_catalogs_are_refused(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """The remedy is an update."""
    newer = altered(saved, tmp_path / "new.kb", lambda connection: connection.execute("PRAGMA user_version = 99"))

    with pytest.raises(StoreError, match="newer kb") as raised:
        elsewhere.restore(newer, folders=moved(saved, elsewhere))
    assert raised.value.remedy.startswith("Update kb")


def test_folders_have_to_be_configured(saved: Saved, elsewhere: Place) -> None:
    """Otherwise the next run would drop their files; the message has the option that helps."""
    with pytest.raises(BackupError) as raised:
        elsewhere.restore(saved.backup)
    assert f"--folder {saved.here.notes}={elsewhere.notes}" in raised.value.remedy
    with pytest.raises(BackupError, match="has no files of /other"):
        elsewhere.restore(saved.backup, folders={"/other": str(elsewhere.notes)})


@pytest.fixture(scope="module")
def home_and_work(tmp_path_factory: pytest.TempPathFactory, saved: Saved, forms: Path) -> Path:
    """A folder with the backup ``b.kb`` of two folders, ``old/home`` and ``old/work``. Not to be written to."""
    root = tmp_path_factory.mktemp("two")
    for name in ("home", "work"):
        (root / "old" / name).mkdir(parents=True)
        (root / "old" / name / f"{name}.md").write_text(f"# {name}\n", "utf-8")
    folders = [str(root / "old" / name) for name in ("home", "work")]
    place = replace(saved.here, store=root / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KB_MODELS", str(forms))
        with place.open(folders__paths=str(folders)) as kb:
            kb.index()
            kb.backup(root / "b.kb")
    return root


@pytest.mark.parametrize(
    ("configured", "given", "options", "first"),
    [
        (["b", "a"], {}, {"home": "b", "work": "a"}, ""),
        (["work", "a"], {}, {"home": "a", "work": "work"}, ""),
        (["a"], {}, {"home": "a", "work": "FOLDER"}, "work"),
        (["a"], {"home": "a"}, {"home": "a", "work": "FOLDER"}, "work"),
        (["a", "b"], {"work": "a"}, {"home": "b", "work": "a"}, ""),
        (["a", "b"], {"work": "c"}, {"home": "a", "work": "b"}, ""),
    ],
)
def test_the_message_has_an_option_for_each_folder(
    elsewhere: Place,
    home_and_work: Path,
    tmp_path: Path,
    *,
    configured: list[str],
    given: dict[str, str],
    options: dict[str, str],
    first: str,
) -> None:
    """No folder is named twice, one of the same name comes first, and for what is lacking one has to be added."""
    old = {name: str(home_and_work / "old" / name) for name in ("home", "work")}
    new = {name: str(tmp_path / name) for name in configured} | {"FOLDER": "FOLDER", "c": str(tmp_path / "c")}

    with pytest.raises(BackupError) as raised:
        elsewhere.restore(
            home_and_work / "b.kb",
            folders={old[name]: new[to] for name, to in given.items()},
            folders__paths=str([str(tmp_path / name) for name in configured]),
        )

    remedy = shlex.split(raised.value.remedy)
    assert {one for one in remedy if "=" in one} == {f"{old[name]}={new[to]}" for name, to in options.items()}
    assert (
        (f"First add a folder for {old[first]}: kb init --add" in raised.value.remedy)
        if first
        else "init" not in remedy
    )


def test_another_model_is_refused(saved: Saved, elsewhere: Place, tiny: Path) -> None:
    """Before the store is touched, with the way to the right one."""
    with pytest.raises(ModelMismatch) as raised:
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), embed__model=str(tiny))
    assert f"model use {saved.here.model}" in raised.value.remedy
    with pytest.raises(ModelMismatch, match="floating point"):
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), embed__precision="int8")
    assert not elsewhere.store.exists()


def test_vectors_alone_are_no_backup(saved: Saved, elsewhere: Place) -> None:
    """The remedy is the command that takes them."""
    with pytest.raises(BackupError, match="no catalog") as raised:
        elsewhere.restore(saved.vectors)
    assert raised.value.remedy.endswith(f"kb import {saved.vectors}")
    assert not elsewhere.store.exists()


def test_the_name_of_a_model_is_one_word_in_the_remedy(saved: Saved, tmp_path: Path) -> None:
    """A backup from elsewhere has no other command run than the one that is meant."""
    write_archive(tmp_path / "b.kb", model="a model; rm notes")

    with ArchiveReader(tmp_path / "b.kb") as backup, pytest.raises(ModelMismatch) as raised:
        transfer.require_model(backup, saved.here.settings(), None)
    assert raised.value.remedy.endswith("model use 'a model; rm notes'")


def test_a_model_that_is_not_here_is_not_fetched(
    saved: Saved, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is made when it is first needed."""
    monkeypatch.setattr("kb.restore.encoder_if_here", lambda _: None)

    assert not elsewhere.restore(saved.backup, folders=moved(saved, elsewhere)).index
    assert elsewhere.hits() == saved.here.hits()
    assert elsewhere.embedded() == 0


def test_a_store_in_use_is_not_replaced(saved: Saved, elsewhere: Place) -> None:
    """Not even with force."""
    elsewhere.store.mkdir()
    with FileLock(elsewhere.store / "kb.lock"), pytest.raises(StoreBusy):
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), force=True)


def test_a_store_of_another_program_is_not_replaced(saved: Saved, elsewhere: Place) -> None:
    """Not even with force."""
    elsewhere.store.mkdir()
    with closing(sqlite3.connect(elsewhere.store / "catalog.sqlite3")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")

    with pytest.raises(ForeignStore):
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), force=True)


def test_a_damaged_store_is_replaced(saved: Saved, elsewhere: Place) -> None:
    """A catalog that is no database is set aside."""
    elsewhere.store.mkdir()
    (elsewhere.store / "catalog.sqlite3").write_bytes(b"not a database at all" * 500)

    elsewhere.restore(saved.backup, folders=moved(saved, elsewhere), force=True)
    assert elsewhere.embedded() == 0


def test_a_backup_that_needs_more_than_the_disk_has_is_refused(
    saved: Saved, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))

    with pytest.raises(BackupError, match="GB"):
        elsewhere.restore(saved.backup, folders=moved(saved, elsewhere))
    assert not (elsewhere.store / "restoring").exists()


def test_vectors_that_the_cache_dropped_come_from_the_index(saved: Saved, elsewhere: Place, tmp_path: Path) -> None:
    """A cache of two vectors, and a backup of all."""
    with elsewhere.open(embed__cache_vectors="2") as kb:
        kb.index()
        report = kb.backup(tmp_path / "b.kb")

    assert (report.vectors, report.without_vector) == (6, 0)
    shutil.rmtree(elsewhere.store)
    elsewhere.restore(tmp_path / "b.kb")
    assert elsewhere.embedded() == 0
    assert elsewhere.hits() == saved.here.hits()


def test_a_vector_that_is_nowhere_is_counted_and_embedded_later(
    saved: Saved, elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup has its passage all the same."""
    elsewhere.restore(saved.backup, folders=moved(saved, elsewhere))
    with elsewhere.open() as kb:
        lost = kb._container.catalog.with_vectors()[0]
        monkeypatch.setattr(transfer, "_indexed", lambda _kb, _ids: {})
        known = kb._container.cache.peek
        monkeypatch.setattr(
            kb._container.cache, "peek", lambda name, wanted: known(name, [one for one in wanted if one != lost[2]])
        )
        report = kb.backup(tmp_path / "b.kb")
    monkeypatch.undo()
    assert (report.vectors, report.without_vector) == (5, 1)

    shutil.rmtree(elsewhere.store)
    assert elsewhere.restore(tmp_path / "b.kb").without_vector == 1
    assert elsewhere.embedded() == 1
    assert elsewhere.hits() == saved.here.hits()


def test_texts_that_wait_to_be_embedded_are_counted_and_embedded_after_a_restore(
    saved: Saved, elsewhere: Place, tmp_path: Path
) -> None:
    """The backup has their words, and their place in the queue; the vector index is not asked for them."""
    with elsewhere.open() as kb:
        words, _ = kb.update()
        report = kb.backup(tmp_path / "b.kb")
    assert (report.passages, report.vectors) == (words.unembedded, 0)
    assert report.without_vector == words.unembedded > 0

    shutil.rmtree(elsewhere.store)
    assert elsewhere.restore(tmp_path / "b.kb").without_vector == words.unembedded
    assert elsewhere.embedded() == words.unembedded
    assert elsewhere.hits() == saved.here.hits()


def test_a_store_without_an_index_run_has_no_backup(elsewhere: Place, tmp_path: Path) -> None:
    """And a backup is not written into the store."""
    with elsewhere.open() as kb:
        with pytest.raises(StoreError, match="nothing is indexed"):
            kb.backup(tmp_path / "b.kb")
        with pytest.raises(BackupError, match="in the store itself"):
            kb.backup(elsewhere.store / "b.kb")
    assert not os.path.lexists(tmp_path / "b.kb")
