"""A damaged vector index never gives wrong answers silently: one kind of damage at a time, on a real store.

A damaged store can crash whoever opens it, so this process never does; it asks the probe, and a child that compares.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from vector_stores import COLLECTION, make_store

from kb.store.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER: Final = 1_200
TIMEOUT: Final = 60.0
PAGE: Final = 4_096
HERE: Final = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store whose graph is on the disk."""
    directory = tmp_path_factory.mktemp("template") / "store"
    make_store(directory, NUMBER, sync_threshold=100)
    return directory


def segment(store: Path) -> Path:
    """The directory of the graph's files."""
    (header,) = store.glob("*/header.bin")
    return header.parent


def cut(path: Path, part: float) -> None:
    """Truncate a file."""
    os.truncate(path, int(path.stat().st_size * part))


def noise(path: Path, start: float, length: int, seed: int = 1) -> None:
    """Overwrite a part of a file with noise."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * start))
        file.write(random.Random(seed).randbytes(length))


def garbage_pages(store: Path) -> None:
    """Overwrite a tenth of the database's pages with noise, except the first ones."""
    path = store / "chroma.sqlite3"
    pages = range(20, path.stat().st_size // PAGE)
    with path.open("r+b") as file:
        for page in random.Random(2).sample(pages, len(pages) // 10):
            file.seek(page * PAGE)
            file.write(random.Random(page).randbytes(PAGE))


def zero(path: Path) -> None:
    """Fill a file with zeros."""
    path.write_bytes(bytes(path.stat().st_size))


# What is damaged, and whether it must be found; None: either it is found, or every answer is right in spite of it.
ROWS: Final[dict[str, tuple[Callable[[Path], object], bool | None]]] = {
    "graph directory removed": (lambda store: shutil.rmtree(segment(store)), True),
    "pickle truncated": (lambda store: cut(segment(store) / "index_metadata.pickle", 0.5), True),
    "header zeroed": (lambda store: zero(segment(store) / "header.bin"), True),
    "vectors truncated": (lambda store: cut(segment(store) / "data_level0.bin", 0.5), True),
    "links truncated": (lambda store: cut(segment(store) / "link_lists.bin", 0.5), None),
    "noise in vectors": (lambda store: noise(segment(store) / "data_level0.bin", 0.5, 1_024), True),
    "garbage in database": (garbage_pages, None),
    "database truncated": (lambda store: cut(store / "chroma.sqlite3", 0.3), True),
    "database is none": (lambda store: (store / "chroma.sqlite3").write_bytes(b"not a database" * 1_000), True),
    "database emptied": (lambda store: (store / "chroma.sqlite3").write_bytes(b""), True),
    "store deleted": (shutil.rmtree, True),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.slow
def test_damage_is_found_or_harmless(template: Path, tmp_path: Path, row: str) -> None:
    """The probe finds the damage, or every vector is as written."""
    damage, must_be_found = ROWS[row]
    store = tmp_path / "store"
    shutil.copytree(template, store)
    damage(store)

    reason = probe(str(store), COLLECTION, TIMEOUT)

    assert reason is not None or must_be_found is None
    assert reason is not None or answers_are_right(store)


@pytest.mark.slow
def test_the_undamaged_store_is_sound_and_right(template: Path) -> None:
    """The template of the damaged stores has nothing wrong with it."""
    assert probe(str(template), COLLECTION, TIMEOUT) is None
    assert answers_are_right(template)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    "name", ["data_level0.bin", "link_lists.bin", "length.bin", "index_metadata.pickle", "header.bin"]
)
def test_noise_anywhere_is_found_told_or_harmless(template: Path, tmp_path: Path, name: str, seed: int) -> None:
    """Noise of any length at any place in any file of the graph is found, or told by the question that meets it."""
    store = tmp_path / "store"
    shutil.copytree(template, store)
    choice = random.Random(seed)
    noise(segment(store) / name, choice.random(), choice.choice([1, 4, 64, 1_024]), seed)

    reason = probe(str(store), COLLECTION, TIMEOUT)

    assert reason is not None or answers(store) in {"right", "damage told"}


@pytest.mark.faults
@pytest.mark.parametrize("part", [0.0, 0.1, 0.9, 0.999])
@pytest.mark.parametrize(
    "name",
    ["data_level0.bin", "link_lists.bin", "length.bin", "index_metadata.pickle", "header.bin", "../chroma.sqlite3"],
)
def test_a_cut_anywhere_is_found_or_harmless(template: Path, tmp_path: Path, name: str, part: float) -> None:
    """Any file of the store that lost its end."""
    store = tmp_path / "store"
    shutil.copytree(template, store)
    cut(segment(store) / name, part)

    reason = probe(str(store), COLLECTION, TIMEOUT)

    assert reason is not None or answers_are_right(store)


def answers_are_right(store: Path) -> bool:
    """Whether every record is there with the vector that was written, as another process sees it."""
    return answers(store) == "right"


def answers(store: Path) -> str:
    """What another process gets that reads every record of a store and asks many questions."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    command = [sys.executable, str(HERE / "compare_store.py"), str(store), str(NUMBER)]
    status = subprocess.run(command, env=environment, timeout=TIMEOUT, check=False).returncode
    return {0: "right", 3: "wrong", 4: "damage told"}.get(status, f"ended with {status}")
