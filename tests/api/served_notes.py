"""A port for programs over real notes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from served import Client, Served, opened, write_notes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The notes, indexed; tests do not change them."""
    root = tmp_path_factory.mktemp("served")
    with opened(write_notes(root / "notes"), root / "store") as kb:
        kb.index()
        yield Served(root / "notes", kb)


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """A program that asks at a port of this test."""
    with served.at_port() as client:
        yield client


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this test alone, with a short name."""
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
