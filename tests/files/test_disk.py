"""Scanning and loading real folders, with everything that may be in them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import unicodedata
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_user import bound_by_rights

import kb.files.scan
from kb.errors import DocumentError
from kb.files.rules import Rules, Scope, is_temporary
from kb.files.scan import Disk, Walk
from kb.records import FileStat, FoundFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from kb.ports import Files
    from kb.records import Source

RULES = Rules(include=(), exclude=(), gitignore=True, hidden=False, follow_symlinks=True, max_bytes=1_000_000)
needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
linux_names = pytest.mark.skipif(
    os.name != "posix" or os.uname().sysname != "Linux", reason="this system changes names"
)


def disk(*folders: Path, rules: Rules = RULES, never: Sequence[Path] = ()) -> Disk:
    """A disk with these folders."""
    return Disk([str(folder) for folder in folders], rules, [str(path) for path in never])


def fill(folder: Path, *paths: str) -> Path:
    """Write files with their path as text."""
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path, encoding="utf-8")
    return folder


def paths(scanned: Disk) -> list[str]:
    """The paths that a scan finds."""
    return [file.path for file in scanned.scan().files]


def found(folder: Path, path: str) -> FoundFile:
    """A file as a scan returns it."""
    return FoundFile(str(folder), path, FileStat(0, 0, 0, 0, 0))


def reason(folder: Path, path: str, rules: Rules = RULES) -> str:
    """Why a file cannot be loaded."""
    with pytest.raises(DocumentError) as caught:
        disk(folder, rules=rules).load(found(folder, path))
    assert caught.value.remedy
    return caught.value.message


def problems(scanned: Disk) -> dict[str, str]:
    """The problems of a scan by path."""
    return {problem.path: problem.reason for problem in scanned.scan().problems}


def test_a_scan_lists_files_in_order_of_folder_and_path(tmp_path: Path) -> None:
    """Files come sorted by folder and whole path, with the stat that the disk gives."""
    one = fill(tmp_path / "1", "b/x.md", "b-c/x.md", "a.md")
    two = fill(tmp_path / "2", "z.md")

    scan = disk(two, one).scan()

    assert [file.key for file in scan.files] == [
        (str(one), "a.md"), (str(one), "b-c/x.md"), (str(one), "b/x.md"), (str(two), "z.md"),
    ]  # fmt: skip
    stat = (one / "a.md").stat()
    assert scan.files[0].stat == FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
    assert (scan.problems, scan.missing, scan.unread, scan.excluded) == ((), (), (), 0)


def test_disk_implements_port(tmp_path: Path) -> None:
    """An empty folder gives an empty scan."""
    files: Files = disk(tmp_path)

    assert files.scan().files == ()


def test_rules_and_ignore_files_exclude(tmp_path: Path) -> None:
    """Excluded, hidden and ignored files are only counted; an excluded folder counts once."""
    fill(tmp_path, "a.md", "a.log", ".hidden.md", "build/x.md", "build/y.md", "sub/keep.log", "sub/z.tmp")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "sub/.kbignore").write_text("!keep.log\n")

    scan = disk(tmp_path, rules=replace(RULES, exclude=("build/", "*.tmp"))).scan()

    assert [file.path for file in scan.files] == ["a.md", "sub/keep.log"]
    assert scan.excluded == len({"a.log", ".hidden.md", "build", "z.tmp", ".gitignore", ".kbignore"})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed, so there is nothing to compare with")
def test_folder_in_repository_follows_its_rules(tmp_path: Path) -> None:
    """Ignore files above the folder and .git/info/exclude apply, as in git."""
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}
    fill(tmp_path, "repo/docs/a.md", "repo/docs/b.log", "repo/docs/c.bak", "repo/docs/sub/d.md", "repo/docs/sub/e.md")
    repository = tmp_path / "repo"
    command = ["git", "-C", str(repository)]
    subprocess.run([*command, "init", "--quiet"], check=True, env={**os.environ, **quiet})
    (repository / ".gitignore").write_text("*.log\n/docs/sub/d.md\n")
    (repository / ".git/info/exclude").write_text("*.bak\n")
    (tmp_path / ".gitignore").write_text("*.md\n")

    listed = subprocess.run(
        [*command, "ls-files", "-z", "--others", "--exclude-standard", "docs"],
        check=True, capture_output=True, env={**os.environ, **quiet},
    )  # fmt: skip

    expected = sorted(path.removeprefix("docs/") for path in listed.stdout.decode().split("\0") if path)
    assert paths(disk(repository / "docs")) == expected == ["a.md", "sub/e.md"]


def test_configured_folder_is_read_though_repository_ignores_it(tmp_path: Path) -> None:
    """A watched folder itself is never excluded."""
    fill(tmp_path, ".git/HEAD", "private/a.md")
    (tmp_path / ".gitignore").write_text("private/\n")

    assert paths(disk(tmp_path / "private")) == ["a.md"]


def test_the_store_is_never_read(tmp_path: Path) -> None:
    """Neither by a scan, nor as the target of a link, nor by a load."""
    fill(tmp_path, "a.md", "index/catalog.md", "deep/index/b.md")
    (tmp_path / "link.md").symlink_to(tmp_path / "index/catalog.md")
    guarded = disk(tmp_path, never=[tmp_path / "index"])

    assert paths(guarded) == ["a.md", "deep/index/b.md"]
    with pytest.raises(DocumentError, match="belongs to the store"):
        guarded.load(found(tmp_path, "index/catalog.md"))
    assert paths(disk(tmp_path / "index", never=[tmp_path / "index"])) == []


def test_overlapping_folders_yield_each_file_once(tmp_path: Path) -> None:
    """A folder that is listed twice, under another name or inside another one, is read once."""
    fill(tmp_path / "out", "a.md", "in/b.md")
    (tmp_path / "alias").symlink_to(tmp_path / "out")

    scan = disk(tmp_path / "out/in", tmp_path / "out", tmp_path / "alias", tmp_path / "out").scan()

    assert [file.key for file in scan.files] == [(str(tmp_path / "out"), "a.md"), (str(tmp_path / "out"), "in/b.md")]


def test_inner_folder_excluded_by_outer_is_read(tmp_path: Path) -> None:
    """A hidden folder inside another one is read if it is listed too."""
    fill(tmp_path, "a.md", ".notes/b.md")

    scan = disk(tmp_path, tmp_path / ".notes").scan()

    assert [file.key for file in scan.files] == [(str(tmp_path), "a.md"), (str(tmp_path / ".notes"), "b.md")]


def test_a_missing_folder_and_one_that_is_a_file_are_missing(tmp_path: Path) -> None:
    """They are reported, and the other folders are read."""
    fill(tmp_path, "file.md", "notes/a.md")

    scan = disk(tmp_path / "gone", tmp_path / "file.md", tmp_path / "notes").scan()

    assert scan.missing == (str(tmp_path / "file.md"), str(tmp_path / "gone"))
    assert [file.path for file in scan.files] == ["a.md"]


def moved_away(folder: Path) -> None:
    """A disk is unplugged."""
    folder.rename(folder.with_name("away"))


def replaced(folder: Path) -> None:
    """A file system is unmounted, which leaves the directory that it was mounted at."""
    moved_away(folder)
    folder.mkdir()


@pytest.mark.parametrize("happens", [moved_away, replaced])
def test_a_folder_that_goes_amid_a_scan_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Path], None]
) -> None:
    """Its files were not deleted, though they are no longer found; nor is anything said of some places in it."""
    folder, other = fill(tmp_path / "notes", "a.md", "sub/b.md"), fill(tmp_path / "other", "c.md")
    here = disk(folder, other)
    basis = here.scan().basis
    assert basis is not None
    listed = Walk._with_ignores

    def amid(walk: Walk, scope: Scope, prefix: str, directory: str, names: Collection[str]) -> Scope:
        if directory == str(folder) and (folder / "a.md").exists():
            happens(folder)
        return listed(walk, scope, prefix, directory, names)

    monkeypatch.setattr(Walk, "_with_ignores", amid)
    scan = here.scan()

    assert scan.missing == (str(folder),)
    assert [file.path for file in scan.files] == ["c.md"]
    if happens is replaced:
        folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert here.scan_places([(str(folder), "a.md")], basis) is None


@pytest.mark.parametrize("left", [0, 1], ids=["no directory", "the directory below"])
def test_a_mount_that_goes_amid_a_scan_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """What is no longer found below it is kept, as below any mount that is lost."""
    folder = fill(tmp_path / "notes", "a.md", "disk/b.md", "disk/below/c.md")
    devices = {str(folder / "disk"): 2, str(folder / "disk" / "below"): 2}
    monkeypatch.setattr(kb.files.scan, "device_of", lambda directory: devices.get(directory, 1))
    here = disk(folder)
    assert here.scan().mounts == ((str(folder), "disk"), (str(folder), "disk/below"))
    listed = Walk._with_ignores

    def amid(walk: Walk, scope: Scope, prefix: str, directory: str, names: Collection[str]) -> Scope:
        if directory == str(folder / "disk" / "below"):
            devices.update(dict.fromkeys(devices, left))
        return listed(walk, scope, prefix, directory, names)

    monkeypatch.setattr(Walk, "_with_ignores", amid)

    assert here.scan().mounts == ()


@bound_by_rights
def test_a_directory_that_cannot_be_listed_is_unread(tmp_path: Path) -> None:
    """It is reported, and nothing is concluded about the files below."""
    fill(tmp_path, "a.md", "locked/b.md")
    (tmp_path / "locked").chmod(0)
    try:
        scan = disk(tmp_path).scan()
    finally:
        (tmp_path / "locked").chmod(0o700)

    assert scan.unread == ((str(tmp_path), "locked"),)
    assert scan.problems[0].reason == "cannot be read: permission denied, so nothing below is known"
    assert [file.path for file in scan.files] == ["a.md"]


def test_a_directory_that_goes_amid_a_scan_is_unread_and_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next scan says what became of its files."""
    fill(tmp_path, "a.md", "gone/b.md")
    scandir = os.scandir

    def listed(place: str | int) -> object:
        if isinstance(place, str) and place.endswith("gone"):
            shutil.rmtree(place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", listed)
    scan = disk(tmp_path).scan()

    assert (scan.unread, scan.problems) == (((str(tmp_path), "gone"),), ())
    assert [file.path for file in scan.files] == ["a.md"]


@bound_by_rights
def test_an_unreadable_file_is_found_and_refused_when_loaded(tmp_path: Path) -> None:
    """Only this file fails."""
    fill(tmp_path, "a.md")
    (tmp_path / "a.md").chmod(0)

    assert paths(disk(tmp_path)) == ["a.md"]
    assert reason(tmp_path, "a.md") == "cannot be read: permission denied"


@linux_names
def test_a_directory_too_deep_to_be_listed_is_unread(tmp_path: Path) -> None:
    """A path over the system's limit is a problem of that directory, for root too."""
    fill(tmp_path, "a.md")
    home = os.open(tmp_path, os.O_RDONLY)
    depth = os.pathconf(tmp_path, "PC_PATH_MAX") // 250 + 1
    here = home
    for _ in range(depth):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        scan = disk(tmp_path).scan()
    finally:
        shutil.rmtree(tmp_path / ("d" * 250))

    assert [file.path for file in scan.files] == ["a.md"]
    assert len(scan.unread) == 1
    assert "File name too long, so nothing below is known" in scan.problems[0].reason


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """It is found and loads as no bytes."""
    (tmp_path / "a.md").touch()

    source = disk(tmp_path).load(disk(tmp_path).scan().files[0])

    assert (source.data, source.content_hash) == (b"", sha256(b"").digest())


def test_huge_file_is_reported_and_not_read(tmp_path: Path) -> None:
    """A sparse terabyte is a problem in the scan, and refused when loaded."""
    with (tmp_path / "big.md").open("wb") as file:
        file.truncate(10**12)
    limited = replace(RULES, max_bytes=10_000_000)

    expected = "is 1,000,000 MB, over the limit of 10 MB (folders.max_file_mb)"
    assert problems(disk(tmp_path, rules=limited)) == {"big.md": expected}
    assert reason(tmp_path, "big.md", limited) == expected


def test_a_file_of_the_largest_size_is_found_and_read(tmp_path: Path) -> None:
    """One byte more is too much."""
    fill(tmp_path, "a.md", "bb.md")
    limited = disk(tmp_path, rules=replace(RULES, max_bytes=len("a.md")))

    assert paths(limited) == ["a.md"]
    assert list(problems(limited)) == ["bb.md"]
    assert limited.load(found(tmp_path, "a.md")).data == b"a.md"


def test_a_link_to_a_file_that_is_reported_is_skipped(tmp_path: Path) -> None:
    """It is one file, whatever it is called."""
    fill(tmp_path, "big.md")
    (tmp_path / "a.md").symlink_to("big.md")

    assert list(problems(disk(tmp_path, rules=replace(RULES, max_bytes=3)))) == ["big.md"]


@needs_fifo
@pytest.mark.timeout(10)
def test_fifo_is_reported_and_does_not_block(tmp_path: Path) -> None:
    """A FIFO without a writer is reported and refused at once; as an ignore file it is skipped."""
    os.mkfifo(tmp_path / "pipe.md")
    os.mkfifo(tmp_path / ".gitignore")

    assert problems(disk(tmp_path)) == {"pipe.md": "is a FIFO, not a file"}
    assert reason(tmp_path, "pipe.md") == "is a FIFO, not a file"
    assert disk(tmp_path).stat(str(tmp_path), "pipe.md") is None


def test_socket_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket in the folder is not a file."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        # The name is relative because a socket's path may hold only about a hundred bytes.
        listener.bind("s.md")

        assert problems(disk(tmp_path)) == {"s.md": "is a socket, not a file"}
        assert reason(tmp_path, "s.md") == "is a socket, not a file"


def test_excluded_special_files_are_not_reported(tmp_path: Path) -> None:
    """Only files that belong to the index can be problems."""
    with (tmp_path / "big.iso").open("wb") as file:
        file.truncate(RULES.max_bytes + 1)

    assert problems(disk(tmp_path, rules=replace(RULES, exclude=("*.iso",)))) == {}


@linux_names
@pytest.mark.parametrize(
    "name",
    [
        "line\nend.md", "emoji 🗒️.md", "x" * 252 + ".md", os.fsdecode(b"latin-\xe9.md"),
        "-rf.md", "tail .md ", "\x1b[31m.md", "שלום.md",
    ],
    ids=["line end", "emoji", "255 bytes", "not UTF-8", "dash", "blanks", "escape", "right to left"],
)  # fmt: skip
def test_any_name_is_found_and_read(tmp_path: Path, name: str) -> None:
    """Names of all kinds are returned unchanged and can be loaded, also in folders with such names."""
    for place in (tmp_path / name, tmp_path / f"d{name[1:]}" / name):
        place.parent.mkdir(exist_ok=True)
        place.write_text("here")
    here = disk(tmp_path)

    files = here.scan().files

    assert {file.path for file in files} == {name, f"d{name[1:]}/{name}"}
    assert {here.load(file).data for file in files} == {b"here"}
    assert [here.stat(*file.key) for file in files] == [file.stat for file in files]


@linux_names
def test_nfc_and_nfd_are_two_files(tmp_path: Path) -> None:
    """Names that look the same but differ stay separate."""
    names = {unicodedata.normalize(form, "café.md") for form in ("NFC", "NFD")}
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")
    here = disk(tmp_path)

    assert {here.load(file).data.decode() for file in here.scan().files} == names


def test_link_to_found_file_is_skipped(tmp_path: Path) -> None:
    """Links to files and folders inside, broken ones, loops and links out of the folder are skipped."""
    fill(tmp_path / "out", "secret.md", "dir/secret.md")
    folder = fill(tmp_path / "notes", "a.md", "sub/b.md")
    for name, target in {
        "same.md": "a.md",
        "again.md": "same.md",
        "sub/up": "..",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "gone.md": "nowhere.md",
        "out.md": str(tmp_path / "out/secret.md"),
        "outdir": str(tmp_path / "out/dir"),
        "dir": "sub",
    }.items():
        (folder / name).symlink_to(target)

    scan = disk(folder).scan()

    assert [file.path for file in scan.files] == ["a.md", "sub/b.md"]
    assert (scan.problems, scan.excluded) == ((), 10)


def test_link_to_file_not_found_otherwise_is_read(tmp_path: Path) -> None:
    """A hidden file of the same folder is read once, under the first link's name, with its stat."""
    fill(tmp_path, ".objects/1f3a")
    for name in ("b.md", "a.md"):
        (tmp_path / name).symlink_to(".objects/1f3a")
    here = disk(tmp_path)

    files = here.scan().files

    assert [file.path for file in files] == ["a.md"]
    assert here.load(files[0]).data == b".objects/1f3a"
    assert here.stat(*files[0].key) == files[0].stat == here.load(files[0]).file.stat


def test_links_are_skipped_if_not_followed(tmp_path: Path) -> None:
    """With follow_symlinks off, no link is listed, read or known."""
    fill(tmp_path, ".objects/1f3a")
    (tmp_path / "a.md").symlink_to(".objects/1f3a")
    strict = replace(RULES, follow_symlinks=False)

    assert paths(disk(tmp_path, rules=strict)) == []
    assert reason(tmp_path, "a.md", strict) == "is a symbolic link, not a file"
    assert disk(tmp_path, rules=strict).stat(str(tmp_path), "a.md") is None


def test_folder_above_becomes_a_link(tmp_path: Path) -> None:
    """The files of a folder that was looked at are still read after a folder above it moved and a link leads there."""
    folder = fill(tmp_path / "home/notes", "a.md", "deep/b.md")
    (folder / "link.md").symlink_to("deep/b.md")
    seen = disk(folder)
    assert [seen.load(found(folder, path)) is not None for path in ("a.md", "deep/b.md", "link.md")] == [True] * 3

    (tmp_path / "home").rename(tmp_path / "moved")
    (tmp_path / "home").symlink_to("moved")

    for path, text in (("a.md", "a.md"), ("deep/b.md", "deep/b.md"), ("link.md", "deep/b.md")):
        loaded = seen.load(found(folder, path))
        assert loaded is not None
        assert loaded.data.decode() == text


def test_a_link_into_another_listed_folder_is_left_out(tmp_path: Path) -> None:
    """Its target is found only in its own folder."""
    fill(tmp_path, "notes/a.md", "notes/.inner/b.md", "other/c.md")
    (tmp_path / "notes/b.md").symlink_to(tmp_path / "notes/.inner/b.md")
    (tmp_path / "notes/c.md").symlink_to(tmp_path / "other/c.md")

    here = disk(tmp_path / "notes", tmp_path / "notes/.inner", tmp_path / "other")

    assert sorted(paths(here)) == ["a.md", "b.md", "c.md"]
    assert (tmp_path / "notes/b.md").is_symlink()
    assert here.scan().excluded == len({".inner", "b.md", "c.md"})


def test_link_out_of_folder_is_not_loaded(tmp_path: Path) -> None:
    """A file or directory that became a link out of the folder after the scan is refused."""
    fill(tmp_path, "out/secret.md", "notes/a.md", "notes/sub/secret.md")
    notes = tmp_path / "notes"
    (notes / "a.md").unlink()
    (notes / "a.md").symlink_to("../out/secret.md")
    shutil.rmtree(notes / "sub")
    (notes / "sub").symlink_to("../out")

    assert reason(notes, "a.md") == "is a symbolic link that leads out of the folder"
    assert reason(notes, "sub/secret.md") == "is behind a symbolic link"
    assert reason(notes, "../out/secret.md") == "is behind a symbolic link"
    assert disk(notes).stat(str(notes), "a.md") is None
    assert disk(notes).stat(str(notes), "sub/secret.md") is None


def test_a_folder_that_another_one_replaces_is_looked_at_where_it_is_now(tmp_path: Path) -> None:
    """Neither the files nor the place of a watched folder are remembered once something else is at its path."""
    fill(tmp_path, "notes/sub/a.md", "notes/old.md", "other/sub/a.md", "other/new.md")
    notes, moved = tmp_path / "notes", tmp_path / "moved"
    here = disk(notes)
    before = here.stat(str(notes), "sub/a.md")
    assert before is not None
    assert here.stat(str(notes), "sub/a.md") == before

    notes.rename(moved)
    assert here.stat(str(notes), "sub/a.md") is None
    notes.symlink_to(moved)
    assert here.stat(str(notes), "old.md") is not None
    notes.unlink()
    notes.symlink_to(tmp_path / "other")
    assert here.stat(str(notes), "old.md") is None
    assert here.stat(str(notes), "new.md") is not None
    assert here.stat(str(notes), "sub/a.md") not in {None, before}


def test_a_file_that_vanishes_or_turns_into_a_folder_is_refused(tmp_path: Path) -> None:
    """A file may be removed between scan and load, which is one failure."""
    fill(tmp_path, "a.md", "sub/b.md", "c.md")
    here = disk(tmp_path)
    a, c, b = here.scan().files
    (tmp_path / "a.md").unlink()
    shutil.rmtree(tmp_path / "sub")
    (tmp_path / "sub").touch()
    (tmp_path / "c.md").unlink()
    (tmp_path / "c.md").mkdir()

    assert reason(tmp_path, a.path) == "is no longer there"
    assert reason(tmp_path, b.path) == "is no longer there"
    assert reason(tmp_path, c.path) == "is a folder, not a file"
    assert [here.stat(*file.key) for file in (a, b, c)] == [None, None, None]


def test_a_file_changed_after_the_scan_loads_as_it_is_now(tmp_path: Path) -> None:
    """The source has the stat of its bytes, and a time before the read."""
    fill(tmp_path, "a.md")
    here = disk(tmp_path)
    file = here.scan().files[0]
    (tmp_path / "a.md").write_text("something longer")

    source = here.load(file)

    assert source.data == b"something longer"
    assert source.content_hash == sha256(source.data).digest()
    assert source.file.key == file.key
    assert source.file.stat == here.stat(*file.key) != file.stat
    assert source.read_ns > source.file.stat.mtime_ns - 10**9


@pytest.mark.timeout(30)
def test_a_growing_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    """While another thread appends, a load returns bytes that match their stat, or fails."""
    place = tmp_path / "log.md"
    place.write_bytes(b"x" * 200_000)
    done = threading.Event()

    def grow() -> None:
        with place.open("ab", buffering=0) as stream:
            while not done.wait(0.0002):
                stream.write(b"y" * 50)

    writer = threading.Thread(target=grow)
    writer.start()
    outcomes = set()
    try:
        for _ in range(50):
            try:
                source = disk(tmp_path).load(found(tmp_path, "log.md"))
            except DocumentError as error:
                outcomes.add(error.message)
            else:
                assert len(source.data) == source.file.stat.size
    finally:
        done.set()
        writer.join()

    assert outcomes <= {
        "is being written: it changed while it was read",
        "is 1.0 MB, over the limit of 1 MB (folders.max_file_mb)",
    }


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "", ".", "..", "/etc/passwd", "sub/../../x"])
def test_invalid_path_has_no_stat(tmp_path: Path, path: str) -> None:
    """For any path of a damaged record, stat stays in the folder and load refuses."""
    (tmp_path / "sub").mkdir()

    assert disk(tmp_path).stat(str(tmp_path), path) is None
    assert reason(tmp_path, path)


@linux_names
@given(
    st.sets(
        st.lists(
            st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 0x2F} & {*name} and name[:1] != b"."),
            min_size=1,
            max_size=3,
        ).map(b"/".join),
        max_size=6,
    )
)
def test_exactly_matching_files_are_found(tmp_path_factory: pytest.TempPathFactory, names: set[bytes]) -> None:
    """Without rules a scan lists exactly the existing files, with any bytes in their names."""
    folder = tmp_path_factory.mktemp("any")
    made = set()
    for name in sorted(names):
        place = folder / os.fsdecode(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        except (FileExistsError, NotADirectoryError):
            continue
        made.add(os.fsdecode(name))
    here = disk(folder)

    files = here.scan().files

    expected = {path for path in made if (folder / path).is_file() and not is_temporary(path.rpartition("/")[2])}
    assert [file.path for file in files] == sorted(expected)
    assert all(here.stat(*file.key) == file.stat for file in files)


class Restless(Disk):
    """A disk on which a file changes during the first reads."""

    changes = 0

    def _load(self, file: FoundFile) -> Source | None:
        """Report a change during a number of reads."""
        source = super()._load(file)
        self.changes -= 1
        return None if self.changes >= 0 else source


@pytest.mark.parametrize(("changes", "expected"), [(0, b"a.md"), (1, b"a.md"), (2, None)])
def test_file_changed_while_read_is_read_again(tmp_path: Path, changes: int, expected: bytes | None) -> None:
    """After one change it is read again; after a second one it fails."""
    here = Restless([str(fill(tmp_path, "a.md"))], RULES)
    here.changes = changes

    if expected is None:
        with pytest.raises(DocumentError, match="changed while it was read"):
            here.load(found(tmp_path, "a.md"))
    else:
        assert here.load(found(tmp_path, "a.md")).data == expected


def test_file_in_unconfigured_folder_is_not_loaded(tmp_path: Path) -> None:
    """A catalog that came with a folder may name any file, but only watched folders are read."""
    read, other = fill(tmp_path / "read", "a.md"), fill(tmp_path / "other", "b.md", "read/c.md")
    scanned = disk(read)

    assert scanned.stat(str(read), "a.md") is not None
    for folder, path in (
        (other, "b.md"),
        (tmp_path, "read/a.md"),
        (read, "../other/b.md"),
        (read, str(other / "b.md")),
    ):
        assert scanned.stat(str(folder), path) is None
        with pytest.raises(DocumentError):
            scanned.load(found(folder, path))


def test_a_file_belongs_as_a_scan_says(tmp_path: Path) -> None:
    """Ignore files on the way to it, the configuration and repositories count as in a scan of everything."""
    files = {
        ".gitignore": "*.log\n/build/\n",
        "a.md": "a",
        "a.log": "a",
        "build/b.md": "b",
        "deep/.kbignore": "secret*\n!kept.log\n",
        "deep/secret.md": "c",
        "deep/kept.log": "c",
        "deep/further/secret.md": "d",
        "deep/further/open.md": "d",
        "inner/.git/HEAD": "",
        "inner/e.log": "e",
        ".hidden/f.md": "f",
        "out/g.md": "g",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    rules = replace(RULES, exclude=("out/",), gitignore=True)
    watched = disk(tmp_path, rules=rules)
    found = {file.path for file in watched.scan().files}

    assert {name for name in files if watched.belongs(os.path.realpath(tmp_path), name)} == found
    assert {"a.md", "deep/kept.log", "deep/further/open.md", "inner/e.log"} <= found
    assert not watched.belongs("/elsewhere", "a.md")
    assert not watched.belongs(os.path.realpath(tmp_path), "deep/../a.md")
