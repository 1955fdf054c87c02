"""After every kind of change to files, the store equals a new index of the folders.

Each row runs with the platform's own events and with polling. docs/watching.md is the list of the rows.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until
from watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Row = Callable[["Place"], None]

ROWS: list[Row] = []
TEXT = "# One\n\nalpha beta\n\n# Two\n\ngamma delta\n"


class Place:
    """Two watched folders with files, and a folder that is not watched."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "notes"
        self.second = root / "second"
        self.away = root / "away"
        for folder in (self.folder, self.second, self.away):
            folder.mkdir()
        (self.folder / "a.md").write_text(TEXT)
        (self.folder / "b.txt").write_text("plain text\n")
        (self.folder / "sub" / "deep").mkdir(parents=True)
        for number in range(4):
            (self.folder / "sub" / f"n{number}.md").write_text(f"# Note {number}\n\ntext {number}\n")
        (self.folder / "sub" / "deep" / "d.md").write_text("deep down\n")
        (self.second / "s.md").write_text("second folder\n")
        (self.away / "ready.md").write_text("# Ready\n\nwritten elsewhere\n")
        (self.away / "tree").mkdir()
        (self.away / "tree" / "t.md").write_text("tree\n")


def row(function: Row) -> Row:
    """Add a row to the matrix."""
    ROWS.append(function)
    return function


@pytest.fixture(params=["native", pytest.param("polling", marks=pytest.mark.slow)])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Watched, Place]]:
    """A running scheduler over a place."""
    place = Place(tmp_path)
    with Watched([place.folder, place.second], tmp_path / "store", polling=request.param == "polling") as one:
        yield one, place


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row."""
    if "happens" in metafunc.fixturenames:
        rows = [pytest.param(function, marks=getattr(function, "pytestmark", ())) for function in ROWS]
        metafunc.parametrize("happens", rows, ids=lambda function: function.__name__)


def test_row(watched: tuple[Watched, Place], happens: Row) -> None:
    """After the change of this row, the store equals a new index."""
    one, place = watched
    one.settle()

    happens(place)

    one.settle()


@row
def create(place: Place) -> None:
    """A file is created."""
    (place.folder / "new.md").write_text("# New\n\nnew text\n")


@row
def append(place: Place) -> None:
    """Text is appended to a file."""
    with (place.folder / "a.md").open("a") as file:
        file.write("\n# Three\n\nepsilon\n")


@row
def truncate_and_rewrite(place: Place) -> None:
    """A file is truncated and written again."""
    with (place.folder / "a.md").open("w") as file:
        file.flush()
        os.fsync(file.fileno())
        time.sleep(0.05)
        file.write("# Rewritten\n\nother text\n")


@row
def atomic_save_same_folder(place: Place) -> None:
    """A temporary file in the same folder is renamed over the note."""
    (place.folder / ".a.md.tmp").write_text("# Saved\n\natomically\n")
    (place.folder / ".a.md.tmp").replace(place.folder / "a.md")


@row
def atomic_save_from_elsewhere(place: Place) -> None:
    """A temporary file from another folder is renamed over the note."""
    (place.away / "ready.md").replace(place.folder / "a.md")


@row
def vim_with_backup(place: Place) -> None:
    """Vim: probe file, note renamed to its backup, written again, backup deleted."""
    (place.folder / "4913").write_text("")
    (place.folder / "4913").unlink()
    (place.folder / ".a.md.swp").write_bytes(b"b0VIM 8.2\x00\x00")
    (place.folder / "a.md").rename(place.folder / "a.md~")
    (place.folder / "a.md").write_text("# Vim\n\nsaved by vim\n")
    (place.folder / "a.md~").unlink()
    (place.folder / ".a.md.swp").unlink()


@row
def emacs_lock_file(place: Place) -> None:
    """Emacs: a dangling link as lock, an auto-save file, a backup with a tilde."""
    (place.folder / ".#a.md").symlink_to("user@host.123:456")
    (place.folder / "#a.md#").write_text("auto-saved\n")
    (place.folder / "a.md").rename(place.folder / "a.md~")
    (place.folder / "a.md").write_text("# Emacs\n\nsaved by emacs\n")
    (place.folder / "#a.md#").unlink()
    (place.folder / ".#a.md").unlink()


@row
def vs_code(place: Place) -> None:
    """VS Code: the file is written in place, twice with format on save."""
    (place.folder / "a.md").write_text("# Code\n\nsaved  by code\n")
    (place.folder / "a.md").write_text("# Code\n\nsaved by code\n")


@row
def obsidian(place: Place) -> None:
    """Obsidian: an untitled note is renamed and moved into a folder, with its settings next to it."""
    (place.folder / ".obsidian").mkdir()
    (place.folder / ".obsidian" / "workspace.json").write_text("{}")
    (place.folder / "Untitled.md").write_text("")
    (place.folder / "Untitled.md").write_text("an idea\n")
    (place.folder / "Untitled.md").rename(place.folder / "Idea.md")
    (place.folder / "Idea.md").rename(place.folder / "sub" / "Idea.md")


@row
def libre_office(place: Place) -> None:
    """LibreOffice: a lock file, a temporary file with a random name, a rename over the document."""
    (place.folder / ".~lock.b.txt#").write_text(",user,host,;\n")
    (place.folder / "lu12345abcde.tmp").write_text("from the office\n")
    (place.folder / "lu12345abcde.tmp").replace(place.folder / "b.txt")
    (place.folder / ".~lock.b.txt#").unlink()


@row
def rename_file(place: Place) -> None:
    """A file is renamed."""
    (place.folder / "a.md").rename(place.folder / "renamed.md")


@row
def rename_folder(place: Place) -> None:
    """A folder is renamed."""
    (place.folder / "sub").rename(place.folder / "other")


@row
def rename_folder_then_write_below(place: Place) -> None:
    """A renamed folder is still watched."""
    (place.folder / "sub").rename(place.folder / "other")
    (place.folder / "other" / "deep" / "later.md").write_text("later\n")


@row
def rename_case_only(place: Place) -> None:
    """Only the case of a name changes."""
    (place.folder / "a.md").rename(place.folder / "A.md")


@row
def move_file_in(place: Place) -> None:
    """A file is moved in from outside."""
    (place.away / "ready.md").rename(place.folder / "sub" / "ready.md")


@row
def move_file_out(place: Place) -> None:
    """A file is moved out."""
    (place.folder / "a.md").rename(place.away / "a.md")


@row
def move_file_between(place: Place) -> None:
    """A file is moved from one watched folder to another."""
    (place.folder / "a.md").rename(place.second / "a.md")


@row
def move_folder_in(place: Place) -> None:
    """A folder with files is moved in."""
    (place.away / "tree").rename(place.folder / "tree")


@row
def move_folder_out(place: Place) -> None:
    """A folder with files is moved out, and written to outside."""
    (place.folder / "sub").rename(place.away / "sub")
    (place.away / "sub" / "ghost.md").write_text("a ghost\n")


@row
def move_folder_between(place: Place) -> None:
    """A folder is moved from one watched folder to another."""
    (place.folder / "sub").rename(place.second / "sub")


@row
def delete_file(place: Place) -> None:
    """A file is deleted."""
    (place.folder / "a.md").unlink()


@row
def delete_tree(place: Place) -> None:
    """A folder with everything below it is deleted."""
    shutil.rmtree(place.folder / "sub")


@row
def file_replaced_by_folder_and_back(place: Place) -> None:
    """A file is replaced by a folder of the same name, and that by a file again."""
    (place.folder / "b.txt").unlink()
    (place.folder / "b.txt").mkdir()
    (place.folder / "b.txt" / "inside.md").write_text("inside\n")
    time.sleep(0.3)
    shutil.rmtree(place.folder / "b.txt")
    (place.folder / "b.txt").write_text("a file again\n")


@row
def copy_with_times_and_other_content_of_the_same_size(place: Place) -> None:
    """The content changes, but not size and modification time."""
    before = (place.folder / "b.txt").stat()
    (place.folder / "b.txt").write_text("plain tEXT\n")
    os.utime(place.folder / "b.txt", ns=(before.st_atime_ns, before.st_mtime_ns))


@row
def touch(place: Place) -> None:
    """Only the modification time changes."""
    (place.folder / "a.md").touch()


@row
def chmod_away_and_back(place: Place) -> None:
    """Permissions are removed and restored."""
    (place.folder / "a.md").chmod(0)
    (place.folder / "sub").chmod(0)
    time.sleep(0.3)
    (place.folder / "sub").chmod(0o755)
    (place.folder / "a.md").chmod(0o644)


@row
def symlinks_in_out_broken_and_looping(place: Place) -> None:
    """Links inside, out of the folder, broken and in a loop add nothing and break nothing."""
    (place.folder / "inside.md").symlink_to(place.folder / "a.md")
    (place.folder / "outside.md").symlink_to(place.away / "ready.md")
    (place.folder / "outer").symlink_to(place.away)
    (place.folder / "broken.md").symlink_to("nothing.md")
    (place.folder / "loop").symlink_to(place.folder)
    (place.folder / "after.md").write_text("after the links\n")


@row
def new_folder_filled_at_once(place: Place) -> None:
    """A deep new folder is filled before it can be watched."""
    for number in range(30):
        folder = place.folder / "new" / f"{number}" / "deeper"
        folder.mkdir(parents=True)
        (folder / "file.md").write_text(f"file {number}\n")


@row
def ignore_file_comes_changes_and_goes(place: Place) -> None:
    """Exclusions follow edits of .kbignore and .gitignore."""
    (place.folder / ".kbignore").write_text("b.txt\nsub/\n")
    time.sleep(0.4)
    (place.folder / ".kbignore").write_text("sub/deep/\n")
    (place.folder / "sub" / ".gitignore").write_text("n1.md\n")


@row
def strange_names(place: Place) -> None:
    """Newlines, emoji, both Unicode forms, 255 bytes, and bytes that are not UTF-8."""
    for name in ("new\nline.md", "🦊.md", "e\u0301.md", "\u00e9.md", f"{'x' * 252}.md", " spaces .md", "-dash.md"):
        (place.folder / name).write_text(f"named {len(name)} {name!r}\n")
    with open(os.path.join(os.fsencode(place.folder), b"latin-\xe9.md"), "wb") as file:  # noqa: PTH118, PTH123  # bytes
        file.write(b"latin name\n")


@row
def clock_set_back(place: Place) -> None:
    """Files with times in the past and in the future."""
    (place.folder / "a.md").write_text("# Past\n\nfrom 1971\n")
    os.utime(place.folder / "a.md", (31_536_000, 31_536_000))
    (place.folder / "b.txt").write_text("from the future\n")
    os.utime(place.folder / "b.txt", (4_102_444_800, 4_102_444_800))


@row
def branch_switch(place: Place) -> None:
    """Files appear with one branch, disappear with another, and return."""
    _switch_branches(place, 50)


@row
@pytest.mark.slow
def burst_and_branch_switch_of_500_files(place: Place) -> None:
    """Five hundred files appear with one branch, disappear with another, and return."""
    _switch_branches(place, 500)


def _switch_branches(place: Place, many: int) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(place.folder), *words], check=True, capture_output=True)  # noqa: S607

    git("init", "-q", "-b", "one")
    git("config", "user.email", "kb@example.org")
    git("config", "user.name", "kb")
    git("add", ".")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "two")
    for number in range(many):
        (place.folder / f"many{number}.md").write_text(f"# Many {number}\n\nbranch text {number}\n")
    git("add", ".")
    git("commit", "-qm", "two")
    time.sleep(0.3)
    git("checkout", "-q", "one")
    git("checkout", "-q", "two")


@row
def files_that_cannot_be_text(place: Place) -> None:
    """Binary, empty and special files appear, disappear and turn into text."""
    (place.folder / "binary.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (place.folder / "empty.md").write_bytes(b"")
    os.mkfifo(place.folder / "pipe.md")
    time.sleep(0.3)
    (place.folder / "binary.md").write_text("text now\n")
    (place.folder / "pipe.md").unlink()


def test_writes_through_a_hard_link_from_outside_are_noticed(watched: tuple[Watched, Place]) -> None:
    """No event tells of them: once a scan of everything met the second name, they are found with any other change."""
    one, place = watched
    one.settle()
    os.link(place.folder / "a.md", place.away / "twin.md")
    assert one.scheduler.sync(120)
    (place.away / "twin.md").write_text("# Through\n\nthe other name\n")
    (place.folder / "nudge.md").write_text("nudge\n")
    one.settle()


def test_touch_chmod_and_moves_embed_nothing(watched: tuple[Watched, Place]) -> None:
    """Changes without new text embed nothing."""
    one, place = watched
    one.settle()
    embedded = len(one.embedder.texts)

    for happens in (touch, chmod_away_and_back, rename_folder, rename_case_only, move_file_between):
        if happens is move_file_between:
            (place.folder / "A.md").rename(place.folder / "a.md")
        happens(place)
        one.settle()

    assert len(one.embedder.texts) == embedded


def test_writer_that_never_pauses_is_followed(watched: tuple[Watched, Place]) -> None:
    """A file that is written to without a pause is indexed before its writer ends, and delays no others."""
    one, place = watched
    one.settle()
    stop = threading.Event()

    def write() -> None:
        with (place.folder / "log.txt").open("w") as log:
            while not stop.wait(0.02):
                log.write("one more line of the log\n\n")
                log.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        (place.folder / "meanwhile.md").write_text("meanwhile\n")
        deadline = time.monotonic() + 120
        while not {"log.txt", "meanwhile.md"} <= {path for _, path, *_ in one.held()}:
            assert time.monotonic() < deadline, one.told
            time.sleep(0.05)
        assert writer.is_alive()
    finally:
        stop.set()
        writer.join()
    one.settle()


def test_folder_unmounted_and_back(watched: tuple[Watched, Place]) -> None:
    """While a folder is missing, nothing of it is dropped; once it is back it is watched, and nothing is embedded."""
    one, place = watched
    one.settle()
    before, embedded = one.held(), len(one.embedder.texts)

    place.folder.rename(place.away / "unmounted")
    time.sleep(1.2)
    assert one.held() == before
    (place.away / "unmounted").rename(place.folder)
    one.settle()
    assert len(one.embedder.texts) == embedded
    (place.folder / "sub" / "after.md").write_text("after it came back\n")

    one.settle()


def test_root_moved_and_another_in_its_place(watched: tuple[Watched, Place]) -> None:
    """A watched folder is moved away and another one takes its path, which counts."""
    one, place = watched
    one.settle()

    place.folder.rename(place.away / "moved")
    (place.away / "tree").rename(place.folder)
    (place.away / "moved" / "unseen.md").write_text("nobody looks here any more\n")
    one.settle()
    (place.folder / "fresh.md").write_text("fresh\n")

    one.settle()
    assert {path for folder, path, *_ in one.held() if folder == str(place.folder)} == {"t.md", "fresh.md"}


def test_file_being_written_is_read_when_it_is_stable(watched: tuple[Watched, Place]) -> None:
    """A file that is written in pieces without a pause is indexed once it is complete.

    With polling, a scan may find it in between; it is then indexed, and read again at the next scan. On a busy machine
    a pause of the writer, or between two reports of the system, may be as long as the quiet time.
    """
    one, place = watched
    one.settle()
    for attempt in range(20):
        before = len(one.embedder.texts)
        # Another text each time, since none is embedded twice.
        _write_pieces(place.folder / f"pieces-{attempt}.txt", f"piece of attempt {attempt}")
        one.settle()
        read = [text for text in one.embedder.texts[before:] if "piece" in text]
        assert f"piece of attempt {attempt}, 11" in read[-1]
        if one.polling or len(read) == 1:
            break
    assert one.polling or len(read) == 1


def _write_pieces(file: Path, piece: str) -> None:
    """Write a file in pieces."""
    with file.open("w") as stream:
        for number in range(12):
            stream.write(f"{piece}, {number} ")
            stream.flush()
            time.sleep(0.04)


def test_dead_observer_is_restarted(tmp_path: Path) -> None:
    """If the thread that reports changes dies, the heartbeat notices, reports and restarts it."""
    place = Place(tmp_path)
    with Watched([place.folder], tmp_path / "store", polling=False) as one:
        one.settle()
        watch: Any = one.scheduler._watcher._watches[str(place.folder)]
        watch._emitter.stop()
        watch._emitter.join()
        (place.folder / "unheard.md").write_text("nobody heard of this\n")

        one.settle()

        wait_until(lambda: any("had stopped" in sentence for sentence in one.told))
        (place.folder / "heard.md").write_text("heard again\n")
        one.settle()


def test_root_deleted_and_created_again(watched: tuple[Watched, Place]) -> None:
    """A folder that was deleted and created again is watched again."""
    one, place = watched
    one.settle()
    keep = place.away / "keep"
    shutil.copytree(place.folder, keep)

    shutil.rmtree(place.folder)
    time.sleep(0.5)
    shutil.copytree(keep, place.folder)
    one.settle()
    (place.folder / "again.md").write_text("again\n")

    one.settle()


def test_empty_root_is_held_until_files_are_back(watched: tuple[Watched, Place]) -> None:
    """A mount point without its disk drops nothing."""
    one, place = watched
    one.settle()
    before = one.held()

    shutil.move(str(place.folder), place.away / "disk")
    place.folder.mkdir()
    time.sleep(1.2)
    assert one.held() == before
    shutil.copytree(place.away / "disk", place.folder, dirs_exist_ok=True)

    one.settle()


def test_many_files_are_excluded_at_once(watched: tuple[Watched, Place]) -> None:
    """Notes excluded by an ignore file are removed from the index, even if they were most of the folder."""
    one, place = watched
    (place.folder / "private").mkdir()
    for number in range(30):
        (place.folder / "private" / f"{number}.md").write_text(f"secret {number}\n")
    one.settle()

    (place.folder / ".kbignore").write_text("private/\n")

    one.settle()
    assert not any("secret" in text for _, _, _, _, text, _ in one.held())
    assert one.parts.store.comparison()[0].pending == 0


@pytest.mark.slow
def test_event_queue_overflow_is_reported_and_handled(tmp_path: Path) -> None:
    """If events are lost, which watchdog only logs, it is reported and everything is scanned."""
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    if not limit.exists():
        pytest.skip("no inotify here")
    place = Place(tmp_path)
    flood = (
        "import sys\n"
        "one, two = open('b.txt', 'a', 1), open('a.md', 'a', 1)\n"
        f"for _ in range({int(limit.read_text()) // 2 + 1000}):\n"
        "    print(file=one); print(file=two)\n"
        "open('unseen.md', 'w').write('unseen\\n')\n"
    )
    with Watched([place.folder], tmp_path / "store", polling=False) as one:
        one.settle()
        with subprocess.Popen([sys.executable, "-c", flood], cwd=place.folder) as writer:
            # Nothing in this process runs meanwhile, as when ChromaDB writes much at once.
            ctypes.PyDLL(None).waitid(os.P_PID, writer.pid, None, os.WEXITED | os.WNOWAIT)

        one.settle()

        wait_until(lambda: any("overflow" in sentence for sentence in one.told))


@pytest.mark.slow
def test_full_watch_table_is_reported_and_polled(tmp_path: Path) -> None:
    """If not every directory can be watched, which watchdog does not report, kb reports it and polls."""
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    script = 'echo 12 > /proc/sys/user/max_inotify_watches && exec "$@"'
    probe = subprocess.run([*limited, script, "sh", "true"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("this system gives no user namespace with a watch table of its own")

    done = subprocess.run(
        [*limited, script, "sh", sys.executable, str(Path(__file__).with_name("full_table.py")), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.strip() == "polling", done.stderr
