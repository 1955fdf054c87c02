"""Texts without a vector are queued, found by their words, and embedded: the newest first, in turns, after a death."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from worlds import FOLDER, World, fresh

from kb.errors import ModelError
from kb.indexing.embed import QueueEmbedder
from kb.indexing.rebuild import refill
from kb.testing import MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import FoundFile, IndexProgress, Source

TEXT = "# One\n\nalpha beta\n\n# Two\n\ngamma delta\n"


class Death(Exception):
    """The process dies here."""


@pytest.fixture
def world() -> World:
    """Three notes, found by their words and not by meaning."""
    world = World()
    world.write("a.md", TEXT)
    world.write("b.md", "# Three\n\nepsilon\n")
    world.write("c.md", "# Four\n\nzeta\n")
    world.run(embed=False)
    return world


def words_of(world: World, *questions: str) -> list[set[str]]:
    """The files that words find, for each question."""
    found = (world.catalog.passages(list(world.catalog.keyword_matches(one, 9).scores)) for one in questions)
    return [{passage.file.path for passage in passages.values()} for passages in found]


def in_order(world: World) -> list[str]:
    """The last word of each text that was embedded."""
    return [text.split()[-1] for text in world.embedder.texts]


def test_words_need_neither_model_nor_vector_index() -> None:
    """Everything on the disk is found by its words, the run is complete, and it says what is left."""
    world = World()
    world.write("a.md", TEXT)
    world.write("b.md", "# Three\n\nepsilon\n")

    report = world.run(embed=False)

    assert words_of(world, "gamma", "epsilon") == [{"a.md"}, {"b.md"}]
    assert (world.opened, world.embedder.texts) == (0, [])
    assert world.catalog.as_of() is not None
    assert (report.added, report.embedded, report.unembedded, report.words_only) == (2, 0, 3, 2)
    assert world.indexer.compare()[0].pending == 0


def test_the_next_run_embeds_without_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue holds the texts, also of files that cannot be read any more."""

    def load(file: FoundFile) -> Source:
        raise AssertionError(file.path)

    monkeypatch.setattr(world.files, "load", load)
    report = world.run()

    assert (report.unchanged, report.embedded, report.unembedded) == (3, 4, 0)
    monkeypatch.undo()
    assert world.held() == fresh(world.files).held()
    assert world.checker().check().differences == ()
    assert world.catalog.files_without_centroid() == []


def test_the_newest_files_are_embedded_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows hold the files that were modified last."""
    monkeypatch.setattr("kb.indexing.embed._FIRST_WINDOW", 1)
    monkeypatch.setattr("kb.indexing.embed._SMALLEST_SLICE", 1)
    monkeypatch.setattr("kb.indexing.embed._LARGEST_WINDOW", 1)

    world.run()

    assert in_order(world) == ["zeta", "epsilon", "delta", "beta"]


def test_just_changed_files_go_before_those_that_wait(world: World) -> None:
    """Whatever their time: a file that was copied keeps an old one."""
    world.write("copied.md", "copied")
    stat, data = world.files._files[FOLDER, "copied.md"]
    world.files._files[FOLDER, "copied.md"] = (replace(stat, mtime_ns=5), data)

    world.run()

    assert in_order(world)[0] == "copied"


def test_texts_that_are_the_same_are_embedded_once(world: World) -> None:
    """In one window and after it; each passage has the vector."""
    world.write("copy of a.md", TEXT)
    report = world.run()

    assert (report.embedded, report.reused) == (4, 2)
    assert world.vectors.count() == 6


def test_a_queued_file_that_changes_is_embedded_as_it_is_now(world: World) -> None:
    """Its old text is never embedded; an unchanged passage stays queued, and a deleted file leaves the queue."""
    world.write("a.md", TEXT.replace("gamma", "omega"))
    world.files.remove(FOLDER, "b.md")
    world.files.move(FOLDER, "c.md", "sub/c.md")
    report = world.run()

    assert sorted(in_order(world)) == ["beta", "delta", "zeta"]
    assert not any("gamma" in text or "epsilon" in text for text in world.embedder.texts)
    assert (report.changed, report.removed, report.moved, report.embedded) == (1, 1, 1, 3)
    assert world.held() == fresh(world.files).held()
    assert {record.labels["path"] for record in world.vectors.records.values()} == {"a.md", "sub/c.md"}


def test_the_index_is_opened_before_vectors_are_cached(world: World) -> None:
    """A new one is filled from the cache, and would be given them a second time."""
    opened: list[int] = []
    world.before = lambda step: opened.append(world.opened) if step == "put" else None

    world.run()

    assert opened
    assert all(opened)


def test_a_file_with_some_known_vectors_is_found_by_these(world: World) -> None:
    """Only what is new waits; the file counts as found by its words until then, and has no centroid."""
    world.run()
    world.write("a.md", f"{TEXT}\n# New\n\nnew text\n")

    report = world.run(embed=False)

    assert (report.reused, report.unembedded, report.words_only) == (2, 1, 1)
    assert world.catalog.passage_ids([1])[1] == {
        id_: id_ in world.vectors.records for id_ in world.catalog.passage_ids([1])[1]
    }
    assert (world.catalog.centroids([1]), world.catalog.files_without_centroid()) == ({}, [])
    assert world.run().embedded == 1
    assert list(world.catalog.centroids([1])) == [1]


def test_a_run_that_was_stopped_among_the_words_is_reported_so(world: World) -> None:
    """Also with what was embedded after it."""
    world.write("d.md", "new")
    words, embedding = world.indexer.run(should_stop=lambda: True)
    embedding.turn(lambda: False)

    assert (words.interrupted, embedding.interrupted, embedding.report(words).interrupted) == (True, False, True)


def test_progress_counts_on_from_that_of_the_words(world: World) -> None:
    """What was reused without the model is reused, whatever is embedded after it."""
    world.run()
    world.write("a.md", f"{TEXT}\n# New\n\nnew text\n")
    _, embedding = world.indexer.run()
    embedding.turn(lambda: False)

    assert (embedding.progress.embedded, embedding.progress.reused) == (1, 2)


def test_embedding_in_turns_lets_changes_go_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn makes some progress and no more than a batch; progress and report are of all turns together."""
    monkeypatch.setattr("kb.indexing.embed._SMALLEST_TURN", 1)
    monkeypatch.setattr("kb.indexing.embed._LARGEST_WINDOW", 1)
    seen: list[IndexProgress] = []
    words, embedding = world.indexer.run(on_progress=seen.append)
    seconds = embedding.progress.seconds

    assert embedding.turn(lambda: False, lambda: True, turn_seconds=0.1)
    assert embedding.progress.seconds > seconds
    world.write("late.md", "late")
    late, _ = world.indexer.run()
    while embedding.turn(lambda: False, lambda: True, turn_seconds=0.1):
        pass

    assert (words.unembedded, late.unembedded) == (4, 4)
    assert in_order(world)[1] == "late"
    report = embedding.report(words)
    assert (report.embedded, report.reused, report.unembedded, report.words_only) == (5, 0, 0, 0)
    assert report.seconds > seconds
    assert [(one.embedded_of, one.to_embed) for one in seen if one.doing == "embedding"] == [
        (1, 4), (2, 5), (3, 5), (4, 5), (5, 5),
    ]  # fmt: skip
    assert seen[-1].tokens == seen[-1].tokens_total > 0
    assert world.held() == fresh(world.files).held()


def test_a_run_can_embed_its_own_texts_alone(world: World) -> None:
    """As a note does, which is not to wait for thousands of others."""
    world.write("note.md", "note")
    _, embedding = world.indexer.run()

    assert not embedding.turn(lambda: False, leave_earlier=True)
    assert in_order(world) == ["note"]
    assert world.catalog.queue_size().files == 3


def test_a_death_loses_no_vector_that_was_cached(world: World) -> None:
    """A process that dies at any step after the words goes on where it was, and reads nothing again."""
    for step in ("embed_documents", "put", "upsert", "embedded"):
        for hook in ("before", "after"):
            world = World()
            world.write("a.md", TEXT)
            world.write("b.md", "# Three\n\nepsilon\n")
            world.run(embed=False)
            setattr(world, hook, _dying_at(step))
            with pytest.raises(Death):
                world.run()
            setattr(world, hook, lambda _: None)
            texts = len(world.embedder.texts)

            report = world.run()

            assert (report.unchanged, report.unembedded) == (2, 0), step
            assert report.embedded == len(world.embedder.texts) - texts
            cached = step in {"upsert", "embedded"} or (step, hook) == ("put", "after")
            assert report.embedded == (0 if cached else 3), (step, hook)
            assert world.held() == fresh(world.files).held()
            assert world.checker().check().differences == ()


def test_a_turn_after_an_error_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed before the error is kept, whatever the next window holds: a daemon tries again."""
    monkeypatch.setattr("kb.indexing.embed._SMALLEST_SLICE", 1)
    monkeypatch.setattr("kb.indexing.embed._FIRST_WINDOW", 4)
    _, embedding = world.indexer.run()
    embed_documents, calls = world.embedder.embed_documents, [0]

    def fails_once(texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        calls[0] += 1
        if calls[0] == 2:
            raise ModelError("the model failed")
        return embed_documents(texts, tokens)

    monkeypatch.setattr(world.embedder, "embed_documents", fails_once)
    # In the order of the queue, the text that was embedded first is not among the first two.
    with pytest.raises(ModelError):
        embedding.turn(lambda: False)
    monkeypatch.setattr("kb.indexing.embed._LARGEST_WINDOW", 1)
    monkeypatch.setattr(QueueEmbedder, "_window_size", lambda _: 1)

    assert not embedding.turn(lambda: False)
    assert sorted(in_order(world)) == ["beta", "delta", "epsilon", "zeta"]
    assert world.held() == fresh(world.files).held()


def _dying_at(step: str) -> Callable[[str], None]:
    """A hook that dies at a step."""

    def die(name: str) -> None:
        if name == step:
            raise Death

    return die


def test_what_waits_is_no_difference(world: World) -> None:
    """A check counts it, and a repair does not embed it."""
    report = world.checker().check(repair=True)

    assert (report.differences, report.vectors, report.unembedded) == ((), 0, 4)
    assert world.embedder.texts == []


def test_a_rebuild_keeps_what_waits(world: World) -> None:
    """It writes the vectors that are known, and asks for no file to be read again."""
    world.run()
    world.write("d.md", "# Five\n\neta\n")
    world.run(embed=False)
    new = MemoryVectorIndex()

    written, lacking = refill(world.catalog, world.cache, new, world.embedder.fingerprint)

    assert (written, lacking, new.count()) == (4, [], 4)
    assert list(world.catalog.unembedded([1, 2, 3, 4])) == [4]
    assert world.catalog.queue_size().files == 1


def test_another_model_queues_everything_again(world: World) -> None:
    """Files are marked, read again, found by their words, and embedded anew."""
    world.run()
    world.catalog.mark_pending()
    world.vectors.records.clear()
    world.embedder.fingerprint = "another model"

    words = world.run(embed=False)
    report = world.run()

    assert (words.unembedded, words.words_only, report.embedded) == (4, 3, 4)
    assert world.held() == fresh(world.files).held()


def test_a_queued_text_that_was_changed_on_the_disk_is_not_embedded(world: World) -> None:
    """Its file is read again by the next run."""
    world.catalog._database.connection.execute("UPDATE unembedded SET text = 'other' WHERE file_id = 2")

    world.run()
    report = world.run()

    assert (report.embedded, "other" in world.embedder.texts) == (1, False)
    assert world.held() == fresh(world.files).held()
