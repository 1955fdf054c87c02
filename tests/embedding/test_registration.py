"""After ``import kb``, any ChromaDB client can query by text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kb.chroma_import import import_chromadb
from kb.embedding.registration import register_when_imported

ROOT = Path(__file__).resolve().parents[2]
REGISTER = "from kb.embedding.registration import register_when_imported; register_when_imported(); "
KNOWN = (
    "from chromadb.utils.embedding_functions import known_embedding_functions as known; "
    "import sys; print('kb-bge-m3' in known, {'torch', 'transformers'} & set(sys.modules))"
)


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code with kb on its path and warnings as errors."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "code",
    [
        REGISTER + "import chromadb; " + KNOWN,
        pytest.param("import chromadb; " + REGISTER + KNOWN, marks=pytest.mark.slow),
        pytest.param(REGISTER + REGISTER + KNOWN, marks=pytest.mark.slow),
        pytest.param(REGISTER + "import kb.embedding.bge_m3; " + KNOWN, marks=pytest.mark.slow),
        pytest.param("import kb.embedding.bge_m3; " + REGISTER + KNOWN, marks=pytest.mark.slow),
    ],
    ids=["kb first", "chromadb first", "twice", "by name", "by name first"],
)
def test_function_is_known_in_every_order(code: str, tmp_path: Path) -> None:
    """Whichever is imported first, ChromaDB knows the function afterwards, and torch is still not imported."""
    found = run(code, tmp_path)

    assert (found.stdout, found.stderr) == ("True set()\n", "")


def test_function_is_known_where_chromadb_was_imported_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, in a process that already has ChromaDB."""
    known = import_chromadb().utils.embedding_functions.known_embedding_functions
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    # As if nothing had imported kb's function yet; both are put back, and so is what the package calls by its name.
    from kb.embedding import bge_m3

    monkeypatch.setattr("kb.embedding.bge_m3", bge_m3)
    monkeypatch.delitem(sys.modules, bge_m3.__name__)
    monkeypatch.delitem(known, "kb-bge-m3")

    register_when_imported()

    assert "kb-bge-m3" in known


def test_waiting_imports_nothing_heavy(tmp_path: Path) -> None:
    """Waiting for ChromaDB imports neither ChromaDB, numpy nor torch."""
    code = REGISTER + "import sys; print({'chromadb', 'numpy', 'torch', 'huggingface_hub'} & set(sys.modules))"

    assert run(code, tmp_path).stdout == "set()\n"


@pytest.mark.slow
def test_failure_never_stops_chromadb(tmp_path: Path) -> None:
    """If the function cannot be registered, ChromaDB is still imported, and the reason is logged."""
    code = "import sys; sys.modules['kb.embedding.bge_m3'] = None; " + REGISTER + "import chromadb; " + KNOWN

    found = run(code, tmp_path)

    assert found.stdout.startswith("False ")
    assert "could not be registered" in found.stderr
