"""Runs over the changed places alone: what they leave in the catalog, and report, is what runs over everything do."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memory_catalog import memory_catalog

from kb.chunking.split import Chunker
from kb.errors import DocumentBusy
from kb.files.rules import Rules
from kb.files.scan import Disk, outermost, widened
from kb.formats.reader import DocumentReader
from kb.indexing.sync import Indexer
from kb.records import FileEvent, FoundFile, IndexReport, KnownFile, Missing, Source, Subtree
from kb.testing import FakeEmbedder, FakeTokens, MemoryVectorCache, MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RULES = Rules(
    include=(),
    exclude=("*.log",),
    gitignore=True,
    hidden=False,
    follow_symlinks=True,
    max_bytes=60,
    max_document_bytes=60,
)


class Unchanged:
    """The version of reading, which never changes."""

    version = "1"

    def formats(self) -> str:
        """Nothing is told apart by format."""
        return ""

    def changed(self, _before: str | None) -> Any:
        """Nothing changed."""
        return lambda _: False

    def common(self, _before: str | None) -> str:
        """The same."""
        return ""


class Counted(Disk):
    """The disk, which counts how often everything was scanned."""

    def __init__(self, folders: Iterable[str], rules: Rules = RULES) -> None:
        super().__init__(tuple(folders), rules)
        self.whole = 0

    def scan(self) -> Any:
        """Scan everything."""
        self.whole += 1
        return super().scan()


class Store:
    """A store over real files: real catalog, fake model and vectors."""

    def __init__(self, *folders: Path, rules: Rules = RULES) -> None:
        self.disk = Counted(map(str, folders), rules)
        self.catalog = memory_catalog()
        self.indexer = Indexer(
            files=self.disk,
            reader=DocumentReader(Chunker(FakeTokens(), 32)),
            embedder=FakeEmbedder(dimension=8),
            cache=MemoryVectorCache(),
            catalog=self.catalog,
            index=MemoryVectorIndex,
            reading=Unchanged(),
        )

    def run(self, places: Iterable[Subtree] | None = None) -> Outcome:
        """Index, and embed nothing: words are all that differs between files."""
        events: list[FileEvent] = []
        report, _ = self.indexer.run(places=None if places is None else frozenset(places), on_event=events.append)
        # A file changes its ctime with the number of its names too, which is looked at when everything is scanned.
        files = [replace(one, read_ns=0, stat=replace(one.stat, ctime_ns=0)) for one in self.catalog.files()]
        return Outcome(files, replace(report, seconds=0.0), sorted(events, key=str), self.indexer.left_out)


class Outcome(NamedTuple):
    """What a run left, and what it said."""

    files: list[KnownFile]
    report: IndexReport
    events: list[FileEvent]
    left_out: Missing | None


DIRECTORIES = ("", "a", "a/b", "c")
NAMES = ("one.md", "two.md", "x.tmp", "three.txt", "big.md", ".hidden.md", "s.log", "n.ipynb")
TEXTS = ("alpha\n", "beta\n", "# Head\n\ngamma\n", "", "\0\1\2", "long " * 30)
IGNORES = ("", "one.md\n", "b/\n", "!x.tmp\n", "a/*.md\n", "/two.md\n")

directories = st.sampled_from(DIRECTORIES)
paths = st.builds(lambda directory, name: f"{directory}/{name}".lstrip("/"), directories, st.sampled_from(NAMES))
ignored = st.sampled_from([".gitignore", "a/.kbignore", "a/b/.gitignore", ".git/info/exclude", "a/.git"])
edits = st.one_of(
    st.tuples(st.just("write"), paths, st.sampled_from(TEXTS)),
    st.tuples(st.just("write"), paths, st.sampled_from(TEXTS)),
    st.tuples(st.just("delete"), paths, st.just("")),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("move"), directories, st.sampled_from(["c", "a/d", "c/b"])),
    st.tuples(st.just("remove"), directories, st.just("")),
    st.tuples(st.just("write"), ignored, st.sampled_from(IGNORES)),
    st.tuples(st.just("delete"), ignored, st.just("")),
    st.tuples(st.just("link"), paths, paths),
    st.tuples(st.just("hard link"), paths, paths),
    st.tuples(st.just("lock"), directories, st.just("")),
    st.tuples(st.just("unlock"), directories, st.just("")),
    st.tuples(st.just("touch"), paths, st.just("")),
)
Edit = tuple[str, str, str]


class Locked:
    """Directories that cannot be listed; the user of the tests may list any."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directories: set[str] = set()
        self._scandir, self._listdir = os.scandir, os.listdir
        monkeypatch.setattr(os, "scandir", lambda path: self._scandir(self._allowed(path)))
        monkeypatch.setattr(os, "listdir", lambda path: self._listdir(self._allowed(path)))

    def _allowed(self, path: str) -> str:
        if str(path) in self.directories:
            raise PermissionError(13, "Permission denied", path)
        return path


def apply(root: Path, locked: Locked, edit: Edit) -> set[str]:
    """Make an edit where it is possible; returns at least the paths that a watcher reports."""
    kind, path, other = edit
    place, target = root / path, root / other
    if kind in {"move", "remove"} and not path:
        return set()
    if kind == "move" and target.exists():
        return set()
    changed = {path, other} if kind == "move" else {path}
    real = os.path.realpath(place)
    if real.startswith(f"{root}/"):
        # Through a link, the file is reported where it is.
        changed.add(real.removeprefix(f"{root}/"))
    above = target.parent if kind == "move" else place.parent
    if kind in {"write", "move"} and not above.exists():
        with suppress(OSError):
            above.mkdir(parents=True)
            changed.add(str(above.relative_to(root)))
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: place.write_bytes(other.encode()),
        "delete": place.unlink,
        "remove": lambda: shutil.rmtree(place),
        "move": lambda: place.rename(target),
        "link": lambda: place.symlink_to(target),
        "hard link": lambda: place.hardlink_to(target),
        "touch": lambda: os.utime(place),
        "lock": lambda: locked.directories.add(str(place)),
        "unlock": lambda: locked.directories.discard(str(place)),
    }
    with suppress(OSError):
        acts[kind]()
    return changed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rounds=st.lists(st.lists(edits, min_size=1, max_size=4), max_size=8))
@example(rounds=[[("write", "one.md", "alpha\n")], [("move", "one.md", "a/two.md")], [("write", ".gitignore", "b/\n")]])
@example(rounds=[[("write", "a/one.md", "alpha\n"), ("link", "c/two.md", "a/x.tmp")], [("write", "a/x.tmp", "beta\n")]])
@example(
    rounds=[[("write", "one.md", "alpha\n"), ("hard link", "a/two.md", "one.md")], [("write", "one.md", "beta\n")]]
)
@example(
    rounds=[
        [("write", "a/one.md", "alpha\n")],
        [("lock", "a", "")],
        [("write", "c/one.md", "alpha\n")],
        [("unlock", "a", "")],
    ]
)
def test_changed_places_give_what_everything_gives(rounds: list[list[Edit]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with their ids and states, the report with its failures, the events, and what is missing."""
    with TemporaryDirectory() as temporary, monkeypatch.context() as patched:
        root = Path(temporary).resolve()
        locked = Locked(patched)
        (root / "a" / "b").mkdir(parents=True)
        (root / "a" / "b" / "one.md").write_text("first\n")
        (root / "stays.md").write_text("stays\n")
        whole, partly = Store(root), Store(root)
        assert partly.run() == whole.run()
        for edited in rounds:
            changed = set[str]().union(*(apply(root, locked, edit) for edit in edited))
            assert partly.run((str(root), path) for path in changed) == whole.run()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a few notes."""
    folder = tmp_path.resolve() / "notes"
    for path in ("a/one.md", "a/b/two.md", "c/three.md", "four.md"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{path}\n")
    return folder


def at(root: Path, *paths: str) -> list[Subtree]:
    """Places in a folder."""
    return [(str(root), path) for path in paths]


def test_a_changed_file_is_found_without_a_scan_of_everything(root: Path) -> None:
    """Changed, new, moved and removed ones; the others are counted as they were."""
    store = Store(root)
    store.run()
    (root / "a" / "one.md").write_text("changed\n")
    (root / "new.md").write_text("new\n")
    (root / "c" / "three.md").rename(root / "moved.md")
    (root / "four.md").unlink()
    found = store.run(at(root, "a/one.md", "new.md", "c/three.md", "moved.md", "four.md")).report

    assert (found.changed, found.added, found.moved, found.removed, found.unchanged) == (1, 1, 1, 1, 1)
    assert store.disk.whole == 1


def test_a_file_that_was_moved_from_an_unreported_place_is_moved(root: Path) -> None:
    """Two folders are watched apart from one another, and report a move between them one after the other."""
    store = Store(root / "a", root / "c")
    store.run()
    (root / "a" / "one.md").rename(root / "c" / "one.md")
    found = store.run([(str(root / "c"), "one.md")])

    assert (found.report.moved, found.report.added, found.report.removed) == (1, 0, 0)
    assert store.disk.whole == 1


@pytest.mark.parametrize(
    "happen",
    [
        lambda root: (root / "a" / "link.md").symlink_to(root / "four.md"),
        lambda root: (root / "a" / "hard.md").hardlink_to(root / "four.md"),
        lambda root: [path.unlink() for path in root.rglob("*.md")],
        lambda root: root.rename(root.with_name("away")),
    ],
    ids=["a link", "a file with two names", "an empty folder", "a missing folder"],
)
def test_what_may_depend_on_other_places_is_left_to_a_whole_scan(root: Path, happen: Any) -> None:
    """Whatever place was reported."""
    folder = root / "watched"
    folder.mkdir()
    for name in ("a", "c"):
        (root / name).rename(folder / name)
    (root / "four.md").rename(folder / "four.md")
    store = Store(folder)
    store.run()
    happen(folder)
    store.run(at(folder, "a", "c", "four.md"))

    assert store.disk.whole == 2


def test_a_file_with_several_names_is_looked_at_after_any_change(root: Path) -> None:
    """It may be written through a name that no event tells of."""
    (root.parent / "outside.md").hardlink_to(root / "four.md")
    store = Store(root)
    store.run()
    (root.parent / "outside.md").write_text("through the other name\n")
    (root / "a" / "one.md").write_text("changed\n")

    assert store.run(at(root, "a/one.md")).report.changed == 2
    assert store.disk.whole == 1


def test_folders_inside_one_another_are_always_scanned_whole(root: Path) -> None:
    """The inner one is part of the outer one, or apart, as the rules of the outer one say."""
    store = Store(root, root / "a")
    store.run()
    (root / "four.md").write_text("changed\n")

    assert store.run(at(root, "four.md")).report.changed == 1
    assert store.disk.whole == 2


def test_ignore_files_above_the_folder_are_noticed(root: Path) -> None:
    """They are not watched: where they changed, everything is scanned."""
    (root / ".git").mkdir()
    store = Store(root / "a")
    store.run()
    (root / ".gitignore").write_text("two.md\n")
    (root / "a" / "one.md").write_text("changed\n")
    found = store.run([(str(root / "a"), "one.md")]).report

    assert (found.changed, found.removed, store.disk.whole) == (1, 1, 2)


def test_a_mount_in_a_folder_leaves_everything_to_whole_scans(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is mounted there may be the same directory as another one."""
    store = Store(root)
    store.run()
    monkeypatch.setattr(store.disk, "_mounted", lambda: [str(root / "c")])
    (root / "four.md").write_text("changed\n")

    assert store.run(at(root, "four.md")).report.changed == 1
    assert store.disk.whole == 2


def test_a_run_that_was_stopped_is_followed_by_a_whole_one(root: Path) -> None:
    """Nobody knows how far it came."""
    store = Store(root)
    store.run()
    (root / "four.md").write_text("changed\n")
    report, _ = store.indexer.run(places=at(root, "four.md"), should_stop=lambda: True)
    assert report.interrupted

    assert store.run(at(root, "a")).report.changed == 1
    assert store.disk.whole == 2


def test_failures_elsewhere_stay_in_the_report(root: Path) -> None:
    """Those that the catalog knows, and those that only the scan meets."""
    (root / "big.md").write_text("long " * 30)
    (root / "a" / "bad.ipynb").write_text("no notebook\n")
    store = Store(root)
    before = store.run()
    (root / "four.md").write_text("changed\n")
    after = store.run(at(root, "four.md"))

    assert (
        [one.path for one in after.report.failures]
        == ["a/bad.ipynb", "big.md"]
        == [one.path for one in before.report.failures]
    )
    assert after.left_out == before.left_out == Missing(failed=1)
    assert store.disk.whole == 1


def test_a_failure_that_was_mended_in_a_place_is_gone_from_the_report(root: Path) -> None:
    """One that the catalog knows, and one that only the scan meets; the files elsewhere are counted as they were."""
    (root / "big.md").write_text("long " * 30)
    (root / "a" / "bad.md").write_bytes(b"\0\1\2")
    store = Store(root)
    assert len(store.run().report.failures) == 2
    (root / "big.md").write_text("short\n")
    (root / "a" / "bad.md").write_text("good\n")
    report = store.run(at(root, "big.md", "a/bad.md")).report

    assert (report.failures, report.added, report.changed, report.unchanged) == ((), 1, 1, 4)
    assert store.disk.whole == 1


def test_files_that_every_run_tries_again_are_looked_at_elsewhere_too(root: Path) -> None:
    """One that was left half done, and one that failed and may have been written again within a tick of the clock."""
    bad = root / "c" / "bad.md"
    bad.write_bytes(b"\0\1\2")
    store = Store(root)
    store.run()
    ids = {file.path: file.id for file in store.catalog.files()}
    store.catalog.mark_pending([ids["four.md"]])
    bad.write_text("good\n")
    (found,) = (file for file in store.disk.scan().files if file.path == "c/bad.md")
    store.catalog.refresh([(ids["c/bad.md"], found, found.stat.mtime_ns)])

    report = store.run(at(root, "a/one.md")).report

    assert (report.changed, report.failures) == (2, ())


@pytest.mark.parametrize("part", ["load", "read"])
def test_a_file_that_is_being_written_is_tried_again_elsewhere_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Nothing in the catalog tells of it, whether it was noticed when the file was opened or when it was read."""
    store = Store(root)
    owner: Any = store.disk if part == "load" else store.indexer._reader
    real = getattr(owner, part)
    busy = [True]

    def once(one: FoundFile | Source) -> object:
        file = one if isinstance(one, FoundFile) else one.file
        if busy and file.path == "four.md":
            busy.clear()
            raise DocumentBusy("is being written", "Wait")
        return real(one)

    monkeypatch.setattr(owner, part, once)
    assert [one.path for one in store.run().report.failures] == ["four.md"]

    assert store.run(at(root, "a/one.md")).report.added == 1
    assert store.disk.whole == 1


def test_a_file_that_went_before_it_was_read_is_looked_for_elsewhere_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be back by then, as one that an editor replaces."""
    store = Store(root)
    load = store.disk.load

    def gone(file: FoundFile) -> Source:
        if file.path == "four.md":
            (root / "four.md").unlink()
        return load(file)

    with monkeypatch.context() as patched:
        patched.setattr(store.disk, "load", gone)
        store.run()
    (root / "four.md").write_text("back\n")

    assert store.run(at(root, "a/one.md")).report.added == 1
    assert store.disk.whole == 1


@pytest.mark.parametrize("option", [{"full": True}, {"accept_deletions": True}])
def test_what_is_asked_for_everything_looks_at_everything(root: Path, option: dict[str, Any]) -> None:
    """Whatever place was reported beside it."""
    store = Store(root)
    store.run()
    store.indexer.run(places=at(root, "four.md"), **option)

    assert store.disk.whole == 2


def test_missing_files_that_are_kept_are_looked_for_in_each_run(root: Path) -> None:
    """They may be back at any time, with the disk that they are on."""
    for number in range(30):
        (root / f"{number}.md").write_text(f"{number}\n")
    store = Store(root)
    store.run()
    for number in range(30):
        (root / f"{number}.md").unlink()
    assert store.run().report.held == 30

    assert store.run(at(root, "four.md")).report.held == 30


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/.gitignore", "a"),
        (".kbignore", ""),
        ("a/.git", "a"),
        ("a/.git/info/exclude", "a"),
        (".git/info", ""),
        ("a/.git/index", "a/.git/index"),
        ("a/one.md", "a/one.md"),
        ("", ""),
    ],
)
def test_an_ignore_file_stands_for_its_directory(path: str, expected: str) -> None:
    """Whatever it says now, nothing above it is concerned."""
    assert widened(("/f", path)) == ("/f", expected)


def test_only_the_outermost_places_are_scanned() -> None:
    """Those in them are part of them; a name that begins like another one is not."""
    places = {("/f", "a"), ("/f", "a/b"), ("/f", "ab"), ("/g", "a/b")}
    assert outermost(places) == places - {("/f", "a/b")}
    assert outermost({*places, ("/f", "")}) == {("/f", ""), ("/g", "a/b")}
