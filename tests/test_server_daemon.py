"""``kb watch`` over a store whose vectors are on a Chroma server that goes and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from real_daemon import World

from kb import KnowledgeBase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chroma_server import RunningChroma

    from kb.embedding.spec import Located

QUESTION = "What tool should I use to store vector data locally?"


def waited(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The value of a function once it is true."""
    until = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return value


@pytest.mark.slow
def test_daemon_completes_the_index_by_itself(
    own_chroma: RunningChroma, onnx_minilm: Located, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a question, a change or a command; meanwhile everything is found, and ``kb status`` tells."""
    monkeypatch.setenv("KB_STORE__CHROMA", own_chroma.url)
    monkeypatch.setenv("KB_STORE__SERVER_SECONDS", "10")
    world = World(tmp_path, notes, onnx_minilm.name)
    world.configure()

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "kb", "--config", str(world.config), *words]
        return subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ)

    def vectors() -> int:
        names = [name for name in own_chroma.collections() if name.startswith("passages-0")]
        return len(own_chroma.records(names[0])) if names else 0

    with world.watching(), KnowledgeBase.open(world.config) as kb:
        assert kb.sync(120)
        before = kb.status().passages
        waited(lambda: vectors() == before)
        own_chroma.kill()
        (notes / "marmot.md").write_text("# Marmot\n\nThe marmot whistles when an eagle circles.\n", "utf-8")
        assert kb.sync(120)

        answer = kb.search("what does the marmot do when an eagle comes?")
        assert answer.hits[0].passage.file.path == "marmot.md"
        # All vectors are in memory, so the answer lacks nothing and has nothing to say of the server.
        assert answer.index.without_server == ""
        assert command("search", QUESTION).returncode == 0
        # What the server did not take is tried again after the index run, which is not waited for.
        waited(lambda: "server away" in command("status").stdout)
        status = command("status").stdout
        assert "vectors, paths and headings are sent there" in status

        own_chroma.start()
        waited(lambda: vectors() == before + 1)
        waited(lambda: "server away" not in command("status").stdout)
        own_chroma.empty()
        waited(lambda: vectors() == before + 1)
