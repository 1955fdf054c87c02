"""A file system mounted in a watched folder is unmounted: its files are held until it is back."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from waiting import wait_until
from watched import Watched

from kb.config import load
from kb.files.scan import Disk
from kb.indexing.plan import compare, withheld
from kb.indexing.sync import mounted_before
from kb.reading import rules_of
from kb.records import FileStat, KnownFile, Scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(params=["another device", "the same device"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A watched folder with a file system mounted in it, and the place of that file system otherwise."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount file systems")
    folder, backing = tmp_path / "notes", tmp_path / "backing"
    point = folder / "disk 1"
    point.mkdir(parents=True)
    backing.mkdir()
    if request.param == "another device" and not _run("mount", "-t", "tmpfs", "tmpfs", str(backing)):
        pytest.skip("no file system may be mounted here")
    if not _run("mount", "--bind", str(backing), str(point)):
        _run("umount", str(backing))
        pytest.skip("no file system may be mounted here")
    (folder / "own.md").write_text("# Own\n\nof the folder itself\n")
    (folder / "goes.md").write_text("# Goes\n\nfor good\n")
    for number in range(3):
        (point / f"{number}.md").write_text(f"# Note {number}\n\non the disk {number}\n")
    yield folder, backing
    while _run("umount", str(point)):
        pass
    _run("umount", str(backing))


@pytest.mark.parametrize("polling", [False, True])
@pytest.mark.slow
def test_files_of_a_mount_that_goes_are_held_until_it_is_back(
    mounted: tuple[Path, Path], tmp_path: Path, polling: bool
) -> None:
    """However few they are; other missing files are dropped, and nothing is embedded afterwards."""
    folder, backing = mounted
    with Watched([folder], tmp_path / "store", polling=polling) as one:
        one.settle()
        held = [row for row in one.held() if row[1].startswith("disk 1/")]
        assert len(held) == 3

        assert _run("umount", str(folder / "disk 1"))
        (folder / "goes.md").unlink()
        wait_until(lambda: all(row[1] != "goes.md" for row in one.held()))
        assert one.scheduler.sync(120)
        assert [row for row in one.held() if row[1].startswith("disk 1/")] == held
        assert one.kb.status().held == ((str(folder), 3),)
        assert all(not hit.passage.file.path.startswith("disk") for hit in one.kb.search("disk", weak=True).hits)

        embedded = len(one.embedder.texts)
        assert _run("mount", "--bind", str(backing), str(folder / "disk 1"))
        (backing / "new.md").write_text("# New\n\nwritten before anybody watched\n")
        one.settle()
        assert one.kb.status().held == ()
        assert len(one.embedder.texts) == embedded + 1


@pytest.mark.slow
def test_deletions_of_a_mount_that_is_gone_for_good_are_accepted_on_request(
    mounted: tuple[Path, Path], tmp_path: Path
) -> None:
    """Afterwards it is a directory like any other."""
    folder, _ = mounted
    with Watched([folder], tmp_path / "store", polling=True) as one:
        one.settle()
        assert _run("umount", str(folder / "disk 1"))
        assert one.kb.index().held == 3
        assert one.kb.index(accept_deletions=True).removed == 3
        assert mounted_before(one.parts.catalog) == frozenset()
        (folder / "disk 1" / "a.md").write_text("in the directory itself\n")
        one.settle()
        (folder / "disk 1" / "a.md").unlink()
        one.settle()


def known(path: str, number: int) -> KnownFile:
    """A file of the catalog."""
    return KnownFile(number, "/notes", path, FileStat(1, 1, 1, number, 1), b"", 10**18, "done")


def test_files_below_the_lost_mount_are_held() -> None:
    """Neither files whose path only begins alike, nor those below an existing mount."""
    files = [known("disk/a.md", 1), known("disk2/a.md", 2), known("disk", 3), known("other/a.md", 4)]
    scan = Scan((), folders=("/notes",), mounts=(("/notes", "other"),))

    comparison = compare(scan, files, mounted_before=[("/notes", "disk"), ("/notes", "other"), ("/else", "disk2")])

    assert [file.path for file in withheld(comparison.gone, comparison)] == ["disk/a.md"]
    assert comparison.lost == {("/notes", "disk"), ("/else", "disk2")}


def test_mounts_are_found_by_the_table_of_the_system(tmp_path: Path) -> None:
    """A bind mount is on the same device as the folder around it."""
    (tmp_path / "notes" / "disk").mkdir(parents=True)
    folder = os.path.realpath(tmp_path / "notes")
    disk = Disk(
        [folder], rules_of(load(environ={}).config), mounted=lambda: [folder, f"{folder}/disk", f"{folder}disk", "/"]
    )

    assert disk.scan().mounts == ((folder, "disk"),)
