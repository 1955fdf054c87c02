"""Daemons that are killed at any moment, and several at once; these rows belong to test_matrix too."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from killed_owner import STEPS
from test_matrix import ROWS, Place, append, create, delete_tree, rename_folder
from watched import Watched

from kb.store.lock import read_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from test_matrix import Row

    from kb.embedding.spec import Located

HERE = Path(__file__).resolve().parent
# ChromaDB puts its graph on the disk after so many writes.
PERSISTED = 1_000
FILES = 3 * PERSISTED + 200
FEW = (create, append, rename_folder, delete_tree)


@contextmanager
def owner(store: Path, folders: list[Path], *, how: str = "native", step: str = "") -> Iterator[subprocess.Popen[str]]:
    """An owner in a process of its own, killed at the end."""
    command = [sys.executable, str(HERE / "killed_owner.py"), str(store), how, step, *map(str, folders)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as child:
        try:
            yield child
        finally:
            child.kill()


def killed_amid(happens: Row, root: Path, *, how: str, step: str) -> None:
    """Apply a change while the owner is killed; the next one repairs the store."""
    place = Place(root)
    folders = [place.folder, place.second]
    with owner(root / "store", folders, how=how, step=step) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        happens(place)
        try:
            child.wait(random.Random(happens.__name__).uniform(0, 0.5) if not step else 1.0)
        except subprocess.TimeoutExpired:
            # Nothing had to be written, or the moment was not to be chosen by a step.
            child.kill()
        assert child.wait() == -signal.SIGKILL

    with Watched(folders, root / "store", polling=how == "polling") as one:
        one.settle()
        assert one.kb.search("alpha beta gamma").index.pending == 0


@pytest.mark.slow
def test_owner_killed_amid_a_change_and_started_again(tmp_path: Path) -> None:
    """An owner is killed with -9 after it has written vectors and before it recorded that; the next one repairs it."""
    killed_amid(create, tmp_path, how="native", step="finish")


# What the next owner finds does not depend on how the killed one noticed it, so polling has a few rows only.
CASES = [
    *((happens, "native", step) for happens in ROWS for step in ("", "finish")),
    *((happens, "native", "begin") for happens in FEW),
    *((happens, "polling", step) for happens in FEW for step in STEPS),
]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("happens", "how", "step"), CASES, ids=lambda one: getattr(one, "__name__", one) or "at any moment"
)
def test_owner_killed_amid_each_row_and_started_again(tmp_path: Path, happens: Row, how: str, step: str) -> None:
    """During each row above, the owner is killed with -9 at a step of its work or at any moment."""
    killed_amid(happens, tmp_path, how=how, step=step)


@pytest.mark.faults
@pytest.mark.parametrize("time_of", [1, 2, 3])
@pytest.mark.parametrize("name", ["link_lists.bin", "index_metadata.pickle", "data_level0.bin", "header.bin"])
def test_owner_killed_inside_a_persist_of_chromadb(tmp_path: Path, name: str, time_of: int) -> None:
    """ChromaDB writes its graph in place: killed right after a file of it changed, nothing is lost."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.md").write_text(f"note {number} says {number * 7919 % 10007} and {number * 31 % 997}\n")
    with owner(tmp_path / "store", [folder]) as child:
        _wait_for_changes(child, tmp_path / "store", name, time_of)
        child.kill()
        assert child.wait() == -signal.SIGKILL

    again = Watched([folder], tmp_path / "store", polling=False)
    cache: Any = again.parts.cache
    kept = cache.count()
    with again as one:
        one.settle()
        assert one.parts.catalog.count() == FILES
        # The killed owner kept its vectors before they went to ChromaDB: no text is embedded twice.
        assert kept > 0
        assert len(one.embedder.texts) == FILES - kept


def _wait_for_changes(child: subprocess.Popen[str], store: Path, name: str, times: int) -> None:
    """Return as soon as a file of the graph has changed this many times."""
    before: tuple[int, int] | None = None
    deadline = time.monotonic() + 200
    while times:
        assert child.poll() is None
        assert time.monotonic() < deadline, f"{name} never changed"
        for path in store.glob(f"generation-*/*/{name}"):
            found = path.stat()
            now = (found.st_mtime_ns, found.st_size)
            if found.st_size and now != before:
                # ChromaDB makes the files empty, and writes each of them in one go.
                times -= before is not None or name == "index_metadata.pickle"
                before = now


@pytest.mark.slow
def test_second_owner_is_refused_with_the_process_of_the_first(tmp_path: Path, onnx_minilm: Located) -> None:
    """The second one names the process that has the store, and changes nothing."""
    place = Place(tmp_path)
    with Watched([place.folder], tmp_path / "store", polling=False) as one:
        done = _kb(tmp_path, onnx_minilm, "-s", "store.wait_seconds=0", "watch")

        assert done.wait(120) == 2
        assert f"in use by process {os.getpid()} (" in _said(done)
        (place.folder / "after.md").write_text("after the second one came\n")
        one.settle()


@pytest.mark.faults
def test_twenty_commands_at_once_without_an_owner(tmp_path: Path, minilm: Located) -> None:
    """Each does its work in turn or names the process that has the store, which is sound afterwards."""
    Place(tmp_path)
    commands = [("index",), ("search", "alpha"), ("note", "a note"), ("check",), ("rebuild",)] * 4
    running = [_kb(tmp_path, minilm, *command) for command in commands]
    ended = [(command, one.wait(900), _said(one)) for command, one in zip(commands, running, strict=True)]

    # A check that comes before the first index run, or before a note is taken in, finds that and says so with 1.
    wrong = [
        (command, code, said)
        for command, code, said in ended
        if code and not (code == 1 and command[0] in {"check", "search"}) and "in use by process" not in said
    ]
    assert wrong == []
    assert read_owner(str(tmp_path / "store")) is None
    for command in (("index",), ("check",)):
        last = _kb(tmp_path, minilm, *command)
        code, said = last.wait(200), _said(last)
        assert code == 0, said
    notes = list((tmp_path / "notes").glob("*a-note*.md"))
    assert len(notes) == sum(command[0] == "note" and code == 0 for command, code, _ in ended)


def _kb(root: Path, model: Located, *args: str) -> subprocess.Popen[str]:
    """Run a command over the folder of a place."""
    config = root / "config.toml"
    # A command that is running already may read it.
    if not config.exists():
        config.write_text(
            f'[folders]\npaths = ["notes"]\n[embed]\nmodel = "{model.name}"\noffline = true\n[store]\npath = "store"\n'
        )
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "kb", "--config", str(config), *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _said(done: subprocess.Popen[str]) -> str:
    """The standard error of a command."""
    assert done.stderr is not None
    with done.stderr as stream:
        return stream.read()
