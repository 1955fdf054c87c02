"""A daemon whose store or lock is removed while it runs."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from waiting import wait_until
from watched import LoadedFake

from kb.app import LocalKnowledgeBase
from kb.cli import daemon
from kb.config import load
from kb.errors import KbError, StoreBusy
from kb.service.client import ask
from kb.store.lock import LOCK_FILE, OWNER_FILE, StoreLock, read_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.ports import EmbeddingRun
    from kb.records import IndexReport


class Daemon:
    """A complete daemon in a thread of this process, with a fake model."""

    def __init__(self, folder: Path, store: Path) -> None:
        overrides = {
            "folders.paths": str([str(folder)]),
            "store.path": str(store),
            "store.wait_seconds": "0",
            "watch.quiet_ms": "50",
        }
        self.said: list[str] = []
        self.error: KbError | None = None
        self.owner = daemon.Daemon(
            lambda: load(environ={}, overrides=overrides),
            folders_given=True,
            say=self.said.append,
            run=lambda _args, _session: 0,
        )
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        try:
            self.owner.serve(self._ready.set)
        except KbError as error:
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(120), self.said
        self.owner.sync(120, lambda: False)
        return self

    def __exit__(self, *_: object) -> None:
        self.owner.stop()
        self._thread.join(120)
        assert not self._thread.is_alive()

    def alive(self) -> bool:
        """Whether the daemon runs."""
        return self._thread.is_alive()

    def says(self, text: str) -> bool:
        """Whether the daemon wrote something."""
        return any(text in line for line in self.said)

    def whole(self) -> None:
        """Check that everything on the disk is in the store, passage by passage."""
        wait_until(lambda: self.owner.sync(10, lambda: False))
        kb = self.owner._kb
        assert kb.check().differences == ()
        assert kb.status().files == 3


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A folder of three notes, and the path of its store."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setattr("kb.models.encoder_of", lambda _settings: LoadedFake())
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\ntext {number}\n")
    yield folder, tmp_path / "home" / "store"
    shutil.rmtree(runtime)


def removed(store: Path) -> None:
    """``rm -rf`` of the store."""
    shutil.rmtree(store)


def emptied(store: Path) -> None:
    """``rm -rf`` of the store's content."""
    for path in store.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def moved_away(store: Path) -> None:
    """The store is renamed."""
    store.rename(store.with_name("elsewhere"))


def replaced_by_a_copy(store: Path) -> None:
    """A copy replaces the store, like a restored backup."""
    shutil.copytree(store, store.with_name("copy"))
    moved_away(store)
    store.with_name("copy").rename(store)


def replaced_by_nothing(store: Path) -> None:
    """An empty folder replaces the store."""
    moved_away(store)
    store.mkdir()


def without_catalog(store: Path) -> None:
    """The catalog is deleted."""
    (store / "catalog.sqlite3").unlink()


def without_cache(store: Path) -> None:
    """The embedding cache is deleted."""
    (store / "embeddings.sqlite3").unlink()


def with_another_catalog(store: Path) -> None:
    """Another file replaces the catalog."""
    shutil.copy2(store / "catalog.sqlite3", store / "new")
    (store / "new").replace(store / "catalog.sqlite3")


def without_vectors(store: Path) -> None:
    """ChromaDB's files are deleted."""
    for path in store.glob("generation-*"):
        shutil.rmtree(path)


def without_name(store: Path) -> None:
    """The file that names the current generation is deleted."""
    (store / "current").unlink()


LOSSES = (
    removed, emptied, moved_away, replaced_by_a_copy, replaced_by_nothing, without_catalog, without_cache,
    with_another_catalog, without_vectors, without_name,
)  # fmt: skip
QUICK = (removed, with_another_catalog)


@pytest.mark.parametrize(
    "happens",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in LOSSES],
    ids=lambda one: one.__name__,
)
def test_a_lost_store_is_rebuilt_from_the_folders(place: tuple[Path, Path], happens: Callable[[Path], None]) -> None:
    """Without any change in the folder, everything is in the store again within seconds."""
    folder, store = place
    with Daemon(folder, store) as one:
        happens(store)

        wait_until(lambda: one.says("rebuilding it from the folders"))
        one.whole()
        (folder / "2.md").write_text("another text\n")
        one.whole()
        owner = read_owner(str(store))
        assert owner is not None
        assert owner.pid == os.getpid()
    assert one.error is None
    assert one.said[-1] == "stopped"
    assert one.said[0].startswith("loading ")
    assert not (store / "unclean").exists()


def test_a_moved_store_is_left_unchanged(place: tuple[Path, Path]) -> None:
    """Its daemon records nothing in it, so it is probed when it is opened again."""
    folder, store = place
    with Daemon(folder, store) as one:
        moved_away(store)
        wait_until(lambda: one.says("rebuilding it from the folders"))
        one.whole()
        assert (store.with_name("elsewhere") / "unclean").exists()
    assert not (store / "unclean").exists()


def test_a_store_without_its_parent_folder_ends_the_daemon(place: tuple[Path, Path]) -> None:
    """As after unplugging its disk: nothing is created at the mount point."""
    folder, store = place
    with Daemon(folder, store) as one:
        shutil.rmtree(store.parent)
        wait_until(lambda: not one.alive())
    assert one.error is not None
    assert one.error.message == f"the store at {store} was removed, and so was its parent folder"
    assert one.error.remedy
    assert not store.parent.exists()
    assert ask(str(store), "/status") is None


def test_a_store_lost_during_shutdown_is_no_error(place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed while its daemon ends."""
    # The daemon looks for its store every second, and would make it again.
    monkeypatch.setattr(daemon, "_HEARTBEAT_SECONDS", 600.0)
    folder, store = place
    with Daemon(folder, store) as one:
        removed(store)
        one.owner.stop()
        wait_until(lambda: not one.alive())
    assert one.error is None
    assert not store.exists()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((LOCK_FILE,), marks=pytest.mark.slow),
        pytest.param((OWNER_FILE,), marks=pytest.mark.slow),
        (LOCK_FILE, OWNER_FILE),
    ],
)
def test_a_deleted_lock_keeps_others_out(place: tuple[Path, Path], names: tuple[str, ...]) -> None:
    """The store's directory is locked too, so a second process is refused; then the files are restored."""
    folder, store = place
    with Daemon(folder, store) as one:
        for name in names:
            (store / name).unlink()
        for _ in range(20):
            with pytest.raises(StoreBusy):
                StoreLock(str(store), "kb watch").acquire(0.1)

        wait_until(lambda: one.says("the lock file of the store was deleted"))
        owner = read_owner(str(store))
        assert owner is not None
        assert owner.pid == os.getpid()
        with pytest.raises(StoreBusy, match=str(os.getpid())):
            StoreLock(str(store), "kb watch").acquire(0.1)
        one.whole()
    with StoreLock(str(store), "kb index"):
        pass


def test_a_deleted_socket_is_restored(place: tuple[Path, Path]) -> None:
    """With its folder; no other process can own the store in the meantime."""
    folder, store = place
    with Daemon(folder, store) as one:
        shutil.rmtree(Path(os.environ["XDG_RUNTIME_DIR"]) / "kb")
        with pytest.raises(StoreBusy):
            StoreLock(str(store), "kb watch").acquire(0.1)
        wait_until(lambda: one.says("listening on a new one"))
        status = ask(str(store), "/status")
        assert status is not None
        assert status["pid"] == os.getpid()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pytest.param(OSError(errno.EMFILE, "Too many open files"), marks=pytest.mark.slow),
        pytest.param(RuntimeError("can't start new thread"), marks=pytest.mark.slow),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_shortage_is_reported_once_and_overcome(
    place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The daemon continues, and indexes the folder once there are resources again."""
    folder, store = place
    short = True
    update = LocalKnowledgeBase.update

    def run(self: LocalKnowledgeBase, **options: Any) -> tuple[IndexReport, EmbeddingRun]:
        if short:
            raise error
        return update(self, **options)

    monkeypatch.setattr(LocalKnowledgeBase, "update", run)
    with Daemon(folder, store) as one:
        wait_until(lambda: one.says("ulimit") or one.says("smaller one"))
        time.sleep(1.5)
        assert one.alive()
        assert sum("ulimit" in line or "smaller one" in line for line in one.said) == 1
        assert not one.says("the watcher had died")
        short = False
        one.whole()
