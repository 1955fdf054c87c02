"""ChromaDB is imported without the current folder or the environment having a say."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from clean_environ import clean_environ

from kb.chroma_import import import_chromadb, safe_settings

ROOT = Path(__file__).resolve().parents[1]
EVIL = "open('ran', 'w').close()\nclass X: pass\n"

BAD = "CHROMA_SERVER_HTTP_PORT=abc\nMIGRATIONS=none\nCHROMA_SERVER_CORS_ALLOW_ORIGINS=no json\n"


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder, which is first on its path as with ``python -c``."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def open_and_count(folder: Path) -> str:
    """Code that opens a store, writes a record and counts."""
    return (
        "from kb.chroma_import import import_chromadb, safe_settings\n"
        f"client = import_chromadb().PersistentClient({str(folder / 'store')!r}, settings=safe_settings())\n"
        "collection = client.create_collection('notes', embedding_function=None)\n"
        "collection.upsert(ids=['a'], embeddings=[[1.0, 0.0]])\n"
        "print(collection.count())\n"
    )


# The C library gives out what was freed last where the size is the same, so this hangs on no chance.
GIVEN_OUT_AGAIN = """
import ctypes, os
from kb.chroma_import import import_chromadb

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
import_chromadb()
if os.environ["HOW"] == "as it was":
    libc.mallopt(-6, 0)
size = 60_000
blocks = [libc.malloc(size) for _ in range(20)]
for block in blocks:
    ctypes.memmove(block, b"deleted note " * 4_000, 52_000)
for block in blocks[::2]:
    libc.free(block)
again = [ctypes.string_at(libc.malloc(size), size) for _ in blocks[::2]]
print(any(b"deleted note" in one for one in again))
"""
GLIBC = platform.libc_ver()[0] == "glibc"


@dataclass(frozen=True)
class Misled:
    """What a process did with ChromaDB that was to be misled.

    Attributes:
        folder: The folder that it ran in.
        kept: Whether memory that was given out again held what was freed; empty where that cannot be told.
        counted: How many records it counted in its store.
        after: What the environment and the current folder were at its end.
        errors: What it wrote on standard error.
    """

    folder: Path
    kept: str
    counted: str
    after: str
    errors: str


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Misled:
    """One process for several tests, as each takes a second to import ChromaDB."""
    folder = tmp_path_factory.mktemp("misled")
    (folder / ".env").write_text(
        f"{BAD}CHROMA_PRODUCT_TELEMETRY_IMPL=evilmod.X\nCHROMA_API_IMPL=evilmod.X\n", encoding="utf-8"
    )
    (folder / "evilmod.py").write_text(EVIL, encoding="utf-8")
    code = (GIVEN_OUT_AGAIN if GLIBC else "print()\n") + open_and_count(folder)
    with pytest.MonkeyPatch.context() as patch:
        clean_environ(patch, folder / "home")
        found = run(
            f"{code}import os; print(os.environ['CHROMA_SERVER_HTTP_PORT'], os.getcwd())",
            folder,
            CHROMA_SERVER_HTTP_PORT="abc",
            CHROMA_PRODUCT_TELEMETRY_IMPL="evilmod.X",
            PERSIST_DIRECTORY="elsewhere",
            MIGRATIONS="none",
            HOW="as kb has it",
            MALLOC_ARENA_MAX="1",
        )
    kept, counted, after, *_ = [*found.stdout.splitlines(), "", "", ""]
    return Misled(folder, kept, counted, after, found.stderr)


def test_hostile_env_file_is_not_read(misled: Misled) -> None:
    """A .env in the current folder neither stops ChromaDB nor makes it run a module that lies there."""
    assert misled.counted == "1", misled.errors
    assert not (misled.folder / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(BAD, id="bad values"),
        pytest.param("CHROMA_PRODUCT_TELEMETRY_IMPL=evilmod.X\nCHROMA_API_IMPL=evilmod.X\n", id="foreign code"),
    ],
)
def test_hostile_env_file_alone_is_not_read(tmp_path: Path, lines: str) -> None:
    """The same without hostile variables beside it, and with either part of the file alone."""
    (tmp_path / ".env").write_text(lines, encoding="utf-8")
    (tmp_path / "evilmod.py").write_text(EVIL, encoding="utf-8")

    found = run(open_and_count(tmp_path), tmp_path)

    assert (found.returncode, found.stdout) == (0, "1\n"), found.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_plain_import_would_have_failed(tmp_path: Path) -> None:
    """The trap is real: without kb's import the same .env stops ChromaDB."""
    (tmp_path / ".env").write_text("CHROMA_SERVER_HTTP_PORT=abc\n", encoding="utf-8")

    assert "ValidationError" in run("import chromadb", tmp_path).stderr


def test_environment_is_not_read(misled: Misled) -> None:
    """Variables that ChromaDB would take its settings from change nothing, and are still there afterwards."""
    assert (misled.counted, misled.after) == ("1", f"abc {misled.folder}"), misled.errors
    assert not (misled.folder / "ran").exists()


@pytest.mark.slow
def test_other_users_of_chromadb_keep_their_settings(tmp_path: Path) -> None:
    """After kb's import, settings that a program makes for itself come from the environment as ever."""
    code = (
        "from kb.chroma_import import import_chromadb, safe_settings\n"
        "chromadb = import_chromadb()\n"
        "print(chromadb.Settings().tenant_id, safe_settings().tenant_id)"
    )

    assert run(code, tmp_path, TENANT_ID="mine").stdout == "mine default\n"


def test_safe_settings_are_chromadbs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are settings like any others, with telemetry off and the given values."""
    settings = safe_settings(persist_directory="/x", is_persistent=True)
    chromadb = import_chromadb()
    monkeypatch.delenv("ANONYMIZED_TELEMETRY", raising=False)

    expected = chromadb.Settings(_env_file=None, anonymized_telemetry=False, persist_directory="/x", is_persistent=True)

    assert settings == expected
    assert settings["chroma_api_impl"] == expected["chroma_api_impl"]


def test_unknown_setting_is_refused() -> None:
    """A setting that ChromaDB does not have is a mistake in the program."""
    with pytest.raises(TypeError, match="no setting persist_dir"):
        safe_settings(persist_dir="/x")


@pytest.mark.slow
def test_threads_may_import_at_once(tmp_path: Path) -> None:
    """Two threads that import ChromaDB in both ways at the same time both get it."""
    code = (
        "import threading, importlib\n"
        "from kb.chroma_import import import_chromadb\n"
        "from kb.embedding.registration import register_when_imported\n"
        "register_when_imported()\n"
        "got = []\n"
        "ways = [import_chromadb, lambda: importlib.import_module('chromadb')] * 3\n"
        "threads = [threading.Thread(target=lambda way=way: got.append(way())) for way in ways]\n"
        "[thread.start() for thread in threads]; [thread.join(60) for thread in threads]\n"
        "print(len(got), len(set(map(id, got))))"
    )

    found = run(code, tmp_path)

    assert found.stdout == "6 1\n", found.stderr


FREED = """
import ctypes
from kb.chroma_import import import_chromadb, safe_settings

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
client = import_chromadb().PersistentClient("store", settings=safe_settings())
hnsw = {"hnsw": {"sync_threshold": 3, "batch_size": 2}}
collection = client.create_collection("notes", embedding_function=None, configuration=hnsw)
blocks = [libc.malloc(180_000) for _ in range(200)]
for block in blocks:
    ctypes.memmove(block, b"deleted note " * 13_000, 169_000)
for block in blocks:
    libc.free(block)
for number in range(9):
    collection.upsert(ids=[str(number)], embeddings=[[float(number), 1.0] * 192])
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc can be told to hand out empty memory")
def test_allocated_memory_holds_nothing_that_was_freed(misled: Misled) -> None:
    """Once ChromaDB is imported, memory that is given out again is empty."""
    assert misled.kept == "False", misled.errors


@pytest.mark.skipif(not GLIBC, reason="only glibc can be told to hand out empty memory")
@pytest.mark.slow
def test_allocated_memory_would_hold_what_was_freed(tmp_path: Path) -> None:
    """As it does without kb: the test above would see it."""
    found = run(GIVEN_OUT_AGAIN, tmp_path, HOW="as it was", MALLOC_ARENA_MAX="1")

    assert found.stdout.split() == ["True"], found.stderr


@pytest.mark.skipif(not GLIBC, reason="only glibc can be told to hand out empty memory")
@pytest.mark.slow
def test_what_was_freed_does_not_reach_the_disk(tmp_path: Path) -> None:
    """The unused part of ChromaDB's arrays, which it writes whole, holds no text that was in memory before."""
    subprocess.run(
        [sys.executable, "-c", FREED],
        cwd=tmp_path,
        # One arena, so that ChromaDB's threads are given what this one freed.
        env=os.environ | {"PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "1"},
        check=True,
    )

    written = [file for file in (tmp_path / "store").rglob("*") if file.is_file()]
    assert any(file.name == "data_level0.bin" for file in written)
    assert not any(b"deleted note" in file.read_bytes() for file in written)
