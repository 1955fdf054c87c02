"""A store whose vectors are on a Chroma server: what a user sees of it, while it works and while it does not."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from server_stores import assert_whole, forget_problem, in_service

from kb.errors import ChromaServerError, ForeignStore, StoreBusy
from kb.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chroma_server import RunningChroma

    from kb.app import LocalKnowledgeBase

    Open = Callable[..., tuple[LocalKnowledgeBase, list[str]]]

QUESTION = "What tool should I use to store vector data locally?"


def ask(kb: LocalKnowledgeBase, question: str = QUESTION, **named: Any) -> list[str]:
    """The files of the hits, asked of the server rather than of a small store's cache."""
    kb._container.index()
    return [hit.passage.file.path for hit in kb.search(question, weak=True, **named).hits]


def test_answers_are_those_of_a_local_store(
    chroma: RunningChroma, on_server: Open, open_kb: Callable[..., LocalKnowledgeBase], notes: Path, tmp_path: Path
) -> None:
    """Indexing, asking, renaming and deleting; the same hits with the same cosines in each mode."""
    local = open_kb(notes, tmp_path / "local")
    remote, told = on_server(chroma, notes)

    for change in ("none", "rename", "delete"):
        if change == "rename":
            first = min(notes.glob("*.md"))
            first.rename(notes / f"renamed-{first.name}")
        elif change == "delete":
            max(notes.glob("*.md")).unlink()
        local.index()
        remote.index()
        assert_whole(remote, chroma)
        remote._container.index()
        for mode in ("cosine", "hybrid", "keyword"):
            ours, theirs = (kb.search(QUESTION, mode=mode, weak=True) for kb in (remote, local))
            assert [hit.passage.file.path for hit in ours.hits] == [hit.passage.file.path for hit in theirs.hits]
            assert [hit.score for hit in ours.hits] == pytest.approx([hit.score for hit in theirs.hits], abs=1e-6)
            assert ours.index.without_server == ""
    assert told == []
    assert not list((tmp_path / "store").glob("generation-*"))


def test_a_server_that_is_away_stops_neither_questions_nor_indexing(
    own_chroma: RunningChroma, on_server: Open, notes: Path
) -> None:
    """Answers come from the cache and say so; what changes meanwhile is sent once it is back, and embedded once."""
    kb, told = on_server(own_chroma, notes)
    kb.index()
    before = ask(kb)
    own_chroma.kill()

    answer = kb.search(QUESTION, weak=True)
    assert [hit.passage.file.path for hit in answer.hits] == before
    assert own_chroma.url in answer.index.without_server
    assert "taken from this machine" in answer.index.without_server
    (notes / "new.md").write_text("# Marmot\n\nThe marmot whistles when an eagle circles.\n", "utf-8")
    max(notes.glob("*.md")).unlink()
    report = kb.index()
    assert (report.added, report.removed, report.embedded) == (1, 1, 1)
    assert report.unsent > 0
    assert ask(kb, "what does the marmot do when an eagle comes?")[0] == "new.md"
    assert any("cannot be reached" in one and "kb index" in one for one in told)
    server = kb.status().server
    assert server is not None
    assert "cannot be reached" in server.problem
    assert server.unsent == report.unsent

    own_chroma.start()
    forget_problem(kb)
    report = kb.index()
    assert (report.embedded, report.unsent) == (0, 0)
    assert_whole(kb, own_chroma)
    assert any("is back" in one for one in told)
    answer = kb.search(QUESTION, weak=True)
    assert answer.index.without_server == ""
    server = kb.status().server
    assert server is not None
    assert (server.problem, server.unsent) == ("", 0)


def test_first_run_without_the_server(own_chroma: RunningChroma, on_server: Open, notes: Path) -> None:
    """Everything is found, by words and by meaning; the server is filled later, from the cache."""
    own_chroma.kill()
    kb, _ = on_server(own_chroma, notes)

    report = kb.index()

    assert report.embedded == report.unsent == report.total > 0
    assert ask(kb)[0] == "chromadb.md"
    own_chroma.start()
    forget_problem(kb)
    assert kb.index().embedded == 0
    assert_whole(kb, own_chroma)


def test_a_server_that_hangs_is_waited_for_once(own_chroma: RunningChroma, on_server: Open, notes: Path) -> None:
    """The first question waits for the time of one call, and those after it do not."""
    kb, _ = on_server(own_chroma, notes, store__server_seconds="3")
    kb.index()
    hits = ask(kb)
    own_chroma.pause()

    took = []
    for _ in range(3):
        began = time.monotonic()
        answer = kb.search(QUESTION, weak=True)
        took.append(time.monotonic() - began)
        assert [hit.passage.file.path for hit in answer.hits] == hits
        assert "does not answer within 3 seconds" in answer.index.without_server
    own_chroma.go_on()

    assert took[0] >= 3.0
    assert max(took[1:]) < 3.0


def test_an_emptied_server_is_filled_again_without_embedding(
    own_chroma: RunningChroma, on_server: Open, notes: Path
) -> None:
    """A question notices it and is answered meanwhile; the next run fills it."""
    kb, told = on_server(own_chroma, notes)
    kb.index()
    hits = ask(kb)
    own_chroma.empty()

    answer = kb.search(QUESTION, weak=True)
    assert [hit.passage.file.path for hit in answer.hits] == hits
    assert "not at" in answer.index.without_server
    assert kb.index().embedded == 0
    assert_whole(kb, own_chroma)
    assert any("filled from the catalog" in one for one in told)
    assert kb.search(QUESTION, weak=True).index.without_server == ""


@pytest.mark.parametrize("what", ["some deleted", "one added", "one changed", "all deleted"])
def test_what_another_program_changed_on_the_server_is_mended(
    own_chroma: RunningChroma, on_server: Open, notes: Path, what: str
) -> None:
    """The next process notices it by count and sample, and embeds nothing."""
    kb, _ = on_server(own_chroma, notes)
    kb.index()
    name = in_service(own_chroma, kb.settings.config.store.collection)
    kb.close()
    with own_chroma.client() as client:
        collection = client.get_collection(name, embedding_function=None)
        collection.get_model()["serialized_schema"] = None
        ids = collection.get(include=[])["ids"]
        if what == "one added":
            collection.upsert(ids=["stranger"], embeddings=[np.full(384, 384**-0.5)], metadatas=[{"file": 1}])
        elif what == "one changed":
            collection.update(ids=ids[:1], embeddings=[np.full(384, 384**-0.5)])
        else:
            collection.delete(ids=ids if what == "all deleted" else ids[::2])

    kb, _ = on_server(own_chroma, notes)
    assert kb.index().embedded == 0

    assert_whole(kb, own_chroma)


def test_another_store_is_refused_the_same_collections(
    chroma: RunningChroma, on_server: Open, notes: Path, tmp_path: Path
) -> None:
    """Its index stays; with another name, or where the other store is given up, there is a way."""
    first, _ = on_server(chroma, notes)
    first.index()
    second, _ = on_server(chroma, notes, tmp_path / "second")

    with pytest.raises(ForeignStore, match=r"another store of kb's.*store.collection.*--take-over"):
        second.index()

    assert_whole(first, chroma)
    # It renews its lease as long as it is open.
    first.close()
    second.index(take_over=True)
    assert_whole(second, chroma)


def test_two_processes_with_one_catalog_do_not_write_at_once(
    chroma: RunningChroma, on_server: Open, notes: Path, tmp_path: Path
) -> None:
    """A copy of the store on another machine is refused while the first one holds the lease."""
    first, _ = on_server(chroma, notes)
    first.index()
    shutil.copytree(tmp_path / "store", tmp_path / "copy", ignore=shutil.ignore_patterns("kb.lock", "owner.json"))
    second, _ = on_server(chroma, notes, tmp_path / "copy")
    server = second._container.store.server
    assert server is not None
    server._lease._seconds = 3.0
    lease = first._container.store.server._lease  # type: ignore[union-attr]
    lease._seconds = 3.0
    (notes / "new.md").write_text("# New\n\nSomething new.\n", "utf-8")
    stop = threading.Event()
    renewing = threading.Thread(target=lambda: [lease._renew() for _ in iter(lambda: stop.wait(0.3), True)])
    renewing.start()

    with pytest.raises(StoreBusy, match="writes to the collections"):
        second.index()
    stop.set()
    renewing.join()
    first.close()

    second.index()
    assert_whole(second, chroma)


def test_rebuild_makes_another_collection(chroma: RunningChroma, on_server: Open, notes: Path) -> None:
    """The old one is deleted after the switch; one that was not filled to the end is deleted by the next run."""
    kb, _ = on_server(chroma, notes)
    kb.index()
    prefix = kb.settings.config.store.collection
    before = in_service(chroma, prefix)

    report = kb.rebuild()

    assert report.embedded == 0
    assert in_service(chroma, prefix) == report.generation != before
    assert chroma.collections()[report.generation]["kb_state"] == "in service"
    assert_whole(kb, chroma)

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    server = kb._container.store.server
    assert server is not None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server._source, "refill", refuse)
        patched.setattr(server._server, "delete", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            kb.rebuild()
    assert len([name for name in chroma.collections() if name.startswith(f"{prefix}-0")]) == 2
    kb.close()
    kb, _ = on_server(chroma, notes)
    kb.index()
    assert in_service(chroma, prefix) == report.generation
    assert_whole(kb, chroma)


def test_check_and_backup_work(
    chroma: RunningChroma, on_server: Open, open_kb: Callable[..., LocalKnowledgeBase], notes: Path, tmp_path: Path
) -> None:
    """A check finds a record that is missing; a backup restored into a local store embeds nothing."""
    kb, _ = on_server(chroma, notes)
    kb.index()
    assert kb.check().differences == ()
    name = in_service(chroma, kb.settings.config.store.collection)
    with chroma.client() as client:
        collection = client.get_collection(name, embedding_function=None)
        collection.delete(ids=collection.get(include=[])["ids"][:1])
    assert [one.kind for one in kb.check().differences] == ["vector missing"]
    assert kb.check(repair=True).repaired == 1
    assert_whole(kb, chroma)
    backup = kb.backup(tmp_path / "backup.kb")
    assert backup.without_vector == 0
    kb.close()

    local = open_kb(notes, tmp_path / "local")
    restore(local.settings, tmp_path / "backup.kb", warn=print)
    assert local.index().embedded == 0
    local.close()
    remote, _ = on_server(chroma, notes)
    assert restore(remote.settings, tmp_path / "backup.kb", force=True, warn=print).index is False
    assert remote.index().embedded == 0
    assert_whole(remote, chroma)


def test_a_store_moves_to_a_server_and_back(
    chroma: RunningChroma, on_server: Open, open_kb: Callable[..., LocalKnowledgeBase], notes: Path, tmp_path: Path
) -> None:
    """Nothing is embedded again, and no index is left in the folder."""
    store = tmp_path / "store"
    local = open_kb(notes, store)
    assert local.index().embedded > 0
    hits = ask(local)
    local.close()
    remote, _ = on_server(chroma, notes, store)
    assert remote.index().embedded == 0
    assert ask(remote) == hits
    assert not [path.name for path in store.iterdir() if path.name.startswith("generation") or path.name == "current"]
    remote.close()

    local = open_kb(notes, store)
    assert local.index().embedded == 0
    assert ask(local) == hits


def test_another_model_makes_another_collection(
    chroma: RunningChroma, on_server: Open, notes: Path, tiny: Path
) -> None:
    """``kb index --full`` after a change of the model."""
    kb, _ = on_server(chroma, notes)
    kb.index()
    kb.close()
    kb, _ = on_server(chroma, notes, embed__model=str(tiny))

    assert kb.index(full=True).embedded > 0

    assert_whole(kb, chroma)


def test_an_unreachable_server_fails_what_needs_it(own_chroma: RunningChroma, on_server: Open, notes: Path) -> None:
    """A check and a rebuild say why they cannot be made."""
    kb, _ = on_server(own_chroma, notes)
    kb.index()
    own_chroma.kill()

    for work in (kb.rebuild, kb.check):
        with pytest.raises(ChromaServerError, match="cannot be reached"):
            work()
