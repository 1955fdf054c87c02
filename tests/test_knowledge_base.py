"""``KnowledgeBase`` beside a daemon and without one: where a call goes, and what happens as daemons come and go."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from real_daemon import World

from kb import AsyncKnowledgeBase, Filters, KnowledgeBase
from kb.api import transport
from kb.errors import ConfigError, NotIndexed, RequestError, StoreBusy, StoreError
from kb.store.lock import StoreLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.embedding.spec import Located


@pytest.fixture
def world(notes: Path, tmp_path: Path, onnx_minilm: Located, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The notes of the example, and a folder for sockets with a short name."""
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        world = World(tmp_path, notes, onnx_minilm.name)
        world.configure()
        yield world


def first(kb: KnowledgeBase, question: str = "sourdough") -> str:
    """The file of the best hit."""
    return kb.search(question).hits[0].passage.file.path


def test_a_program_works_without_a_daemon(world: World) -> None:
    """It opens the store itself, and holds it from the first index run on."""
    with KnowledgeBase.open(world.config) as kb:
        assert kb.index().added == 4
        passage = kb.search("sourdough").hits[0].passage
        assert kb.passage(passage.id) == passage
        assert passage.text in kb.read(passage.file.path).text
        assert kb.sync()
        assert kb.settings.config.store.wait_seconds == 30
        with KnowledgeBase.open(world.config) as other, pytest.raises(StoreBusy, match=f"process {os.getpid()} "):
            other.index()
    with KnowledgeBase.open(world.config) as kb:
        again = kb.passage(passage.id)
        assert (again.file.path, again.first_line, again.text) == (passage.file.path, 1, passage.text)


def test_a_store_that_is_held_by_something_else_is_an_error_at_once(world: World) -> None:
    """The error names the process and its command, and nothing is waited for."""
    with KnowledgeBase.open(world.config) as kb:
        kb.index()
    lock = StoreLock(world.store, "kb index").acquire()
    began = time.monotonic()
    try:
        with KnowledgeBase.open(world.config) as kb, pytest.raises(StoreBusy) as busy:
            kb.search("sourdough")
    finally:
        lock.release()

    assert time.monotonic() - began < 20
    assert busy.value.message.endswith(f"is in use by process {os.getpid()} (kb index)")


def test_a_store_that_is_held_is_waited_for(world: World) -> None:
    """As long as ``wait`` says, whatever the configuration says of commands."""
    lock = StoreLock(world.store, "kb index").acquire()
    threading.Timer(0.5, lock.release).start()

    with KnowledgeBase.open(world.config, wait=600) as kb:
        assert kb.index().added == 4


def test_nothing_that_is_excluded_or_outside_can_be_read(world: World) -> None:
    """Neither by a name that leads elsewhere, nor where the index does not know yet that it is excluded."""
    secret = world.root / "secret.md"
    secret.write_text("# Secret\n")
    (world.notes / "link.md").symlink_to(secret)
    name = "chromadb.md"
    with KnowledgeBase.open(world.config) as kb:
        kb.index()
        passage = kb.show(name).passages[0].id
        for path in ("link.md", "../secret.md", str(secret), f"{world.notes}/../secret.md", "", "/"):
            with pytest.raises(NotIndexed):
                kb.read(path)
        (world.notes / ".kbignore").write_text(f"{name}\n")
        with pytest.raises(NotIndexed, match="is excluded by the rules"):
            kb.read(name)
        with pytest.raises(NotIndexed, match="is excluded by the rules"):
            kb.passage(passage)


def test_a_file_is_read_as_it_is_now(world: World) -> None:
    """Exact lines of the disk, marked where they are not those of the index; lines that are not there are an error."""
    file = world.notes / "lines.md"
    file.write_bytes(b"# One\r\n\r\ntwo\r\nthree")
    with KnowledgeBase.open(world.config) as kb:
        kb.index()
        whole, part = kb.read("lines.md"), kb.read("lines", first_line=3, last_line=3)
        file.write_text("# Other\n")
        changed = kb.read("lines.md")
        with pytest.raises(RequestError, match="has 1 lines, no line 2"):
            kb.read("lines.md", first_line=2)
        with pytest.raises(RequestError, match="has no pages"):
            kb.read("lines.md", page=1)
        file.unlink()
        with pytest.raises(NotIndexed, match="is no longer there"):
            kb.read("lines.md")

    assert (whole.text, whole.last_line, whole.lines, whole.changed) == ("# One\n\ntwo\nthree", 4, 4, False)
    assert (part.text, part.first_line, part.last_line) == ("two", 3, 3)
    assert (changed.text, changed.changed) == ("# Other", True)


def test_a_question_after_the_first_says_when_the_folders_were_looked_at(world: World) -> None:
    """What waits is counted by the first question, and again after whatever this process changes."""
    with KnowledgeBase.open(world.config) as kb:
        kb.index()
        exact, kept = kb.search("a").index, kb.search("b").index
        (world.notes / "new.md").write_text("# New\n")
        status = kb.status().index

    assert (exact.counted, exact.pending) == (None, 0)
    assert kept.counted is not None
    assert (status.counted, status.pending) == (None, 1)


def test_coroutines_give_the_same(world: World) -> None:
    """Many calls at once, and one that is cancelled stops an index run."""

    async def ask() -> None:
        async with AsyncKnowledgeBase.open(world.config, threads=2) as kb:
            assert (await kb.index()).added == 4
            answers = await asyncio.gather(*(kb.search(f"sourdough {number}", limit=1) for number in range(6)))
            assert {len(one.hits) for one in answers} == {1}
            with pytest.raises(RequestError):
                await kb.search("sourdough", limit=0)
            with pytest.raises(NotIndexed):
                await kb.read("nothing.md")
            assert kb.settings.file == world.config
            started = asyncio.Event()
            loop = asyncio.get_running_loop()

            def begun(_: object) -> None:
                loop.call_soon_threadsafe(started.set)

            run = asyncio.ensure_future(kb.index(full=True, on_progress=begun))
            await started.wait()
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            await kb.close()

    asyncio.run(ask())


@pytest.mark.slow
def test_a_program_asks_the_daemon(world: World) -> None:
    """Without opening anything: what it imports stays small; results are those of its own store."""
    with KnowledgeBase.open(world.config) as kb:
        kb.index()
        alone = [(one.passage.id, one.score) for one in kb.search("sourdough", weak=True).hits]
    with world.watching(), KnowledgeBase.open(world.config) as kb:
        assert kb.sync()
        answer = kb.search("sourdough", weak=True)
        assert answer.index.watching
        assert [one.passage.id for one in answer.hits] == [passage for passage, _ in alone]
        assert [one.score for one in answer.hits] == pytest.approx([score for _, score in alone], abs=1e-5)
        (world.notes / "new.md").write_text("# A file that was written just now\n")
        assert kb.sync(600)
        assert kb.read("new.md").text == "# A file that was written just now"
        path, report = kb.note("A note by a program", tags=("made",))
        assert (Path(path).exists(), report.added) == (True, 1)
        assert [one.path for one in kb.documents(Filters(tags=("made",)))] == [Path(path).name]
        assert kb.check().differences == ()
        loaded = (
            "import sys; from kb import KnowledgeBase\n"
            f"with KnowledgeBase.open({str(world.config)!r}) as kb: assert kb.search('sourdough').hits\n"
            "heavy = ('kb.app', 'numpy', 'torch', 'chromadb', 'onnxruntime', 'starlette', 'uvicorn')\n"
            "print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


@pytest.mark.slow
def test_daemons_come_and_go_between_calls(world: World) -> None:
    """The program asks whoever has the store, and holds it itself where nobody has."""
    kb = KnowledgeBase.open(world.config)
    for _ in range(2):
        with world.watching():
            assert kb.sync()
            assert kb.search("sourdough").index.watching
    assert not kb.search("sourdough").index.watching
    with pytest.raises(TimeoutError), world.watching():
        pass
    assert first(kb)
    kb.close()
    with world.watching():
        assert kb.search("sourdough").index.watching
    kb.close()


@pytest.mark.slow
def test_a_daemon_that_is_killed_amid_a_call(world: World) -> None:
    """A question is answered by the program itself; a change is not made twice."""
    kb = KnowledgeBase.open(world.config)
    with world.watching() as daemon:
        assert kb.sync()
        daemon.send_signal(signal.SIGSTOP)
        threading.Timer(0.5, daemon.kill).start()
        assert first(kb)
    kb.close()
    with world.watching() as daemon:
        assert kb.sync()
        daemon.send_signal(signal.SIGSTOP)
        threading.Timer(0.5, daemon.kill).start()
        with pytest.raises(StoreError, match="the daemon stopped before it finished"):
            kb.note("Written once at most")
    kb.close()


@pytest.mark.slow
def test_a_suspended_daemon_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for without end; once it goes on, it is asked as before."""
    with world.watching() as daemon, KnowledgeBase.open(world.config) as kb:
        assert kb.sync()
        daemon.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as patched:
            patched.setattr(transport, "_ANSWER_SECONDS", 0.5)
            patched.setattr(transport, "_STATE_SECONDS", 0.5)
            silent = rf"process {daemon.pid} holds the store at .* but does not answer"
            with pytest.raises(StoreBusy, match=silent) as busy:
                kb.search("sourdough")
        daemon.send_signal(signal.SIGCONT)
        assert first(kb)

    assert f"kill -9 {daemon.pid}" in busy.value.remedy


@pytest.mark.slow
def test_a_daemon_with_other_values_is_not_asked(world: World) -> None:
    """Limits may differ; what decides over the content of the store may not."""
    with world.watching():
        with KnowledgeBase.open(world.config, overrides={"search.limit": "1"}) as kb:
            assert kb.sync()
            assert len(kb.search("sourdough", weak=True).hits) == 1
        with (
            KnowledgeBase.open(world.config, overrides={"chunk.max_tokens": "100"}) as kb,
            pytest.raises(ConfigError, match=r"uses other values for chunk\.max_tokens"),
        ):
            kb.search("sourdough")


@pytest.mark.slow
def test_a_starting_daemon_is_waited_for(world: World) -> None:
    """It holds the store before it answers; ``wait`` is the time that it has."""
    command = [sys.executable, "-P", "-m", "kb", "--config", str(world.config), "watch"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        while not Path(world.store, "owner.json").exists():
            assert daemon.poll() is None
            time.sleep(0.01)
        with KnowledgeBase.open(world.config, wait=600) as kb:
            assert kb.index().added in {0, 4}
            assert kb.search("sourdough").index.watching
        daemon.terminate()
