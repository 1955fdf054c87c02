"""The passages of the keyword index in memory: in step with the catalog, by what changed alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from memory_catalog import memory_catalog
from test_keywords import change, stored

from kb.store import indexed_passages, noted_changes, postings
from kb.store.catalog import SqliteCatalog
from kb.store.indexed_passages import IndexedPassages

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

# Passages in a range: thousands take a second to be written.
RANGE = 64

# A change: the id of a file, the number of its passages (0 removes it), and its language.
STEPS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([0, 1, 2, 3]), st.sampled_from(["en", "en", "de"])),
    min_size=1,
    max_size=8,
)


@pytest.fixture(autouse=True, scope="module")
def small_ranges() -> Iterator[None]:
    """Ranges of a few passages."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postings, "RANGE", RANGE)
        yield


def applied(catalog: SqliteCatalog, file_id: int, passages: int, language: str, salt: int = 0) -> None:
    """Make or remove a file."""
    if passages:
        texts = [f"apple {'fig ' * (number % 7 + salt)}" for number in range(passages)]
        stored(catalog, change(file_id, f"{file_id}.md", texts, title="title", language=language))
    else:
        catalog.remove([file_id])


def passages_of(catalog: SqliteCatalog) -> IndexedPassages:
    """The passages in memory, in step."""
    return catalog._indexed_passages(catalog._database.connection)


def facts(passages: IndexedPassages) -> tuple[object, ...]:
    """What is known of the passages, without the room for more."""
    keys = np.flatnonzero(passages.lengths)
    there = passages.file_lengths > 0
    stemmers = passages.stemmers[keys] if len(passages.languages) > 1 else np.zeros(len(keys), int)
    return (
        dict(zip(keys.tolist(), passages.lengths[keys].tolist(), strict=True)),
        dict(zip(keys.tolist(), passages.file_ids[passages.files[keys]].tolist(), strict=True)),
        dict(zip(passages.file_ids[there].tolist(), passages.file_lengths[there].tolist(), strict=True)),
        passages.languages,
        stemmers.tolist(),
        (passages.count, passages.file_count, passages.terms),
    )


@given(STEPS)
@example([(1, RANGE, "en"), (2, 3, "en"), (2, 2, "en"), (3, RANGE, "en"), (1, 1, "en"), (4, 1, "en"), (2, 0, "en")])
@example([(1, 2, "de"), (2, 2, "en"), (3, RANGE, "de"), (3, 1, "en"), (4, 2, "de"), (2, 0, "en")])
@example([(4, 2, "en"), (2, 2, "en"), (3, 1, "en"), (2, 0, "en"), (2, 1, "en")])
def test_what_is_known_equals_what_is_read(steps: list[tuple[int, int, str]]) -> None:
    """After each change: new, changed and removed files, new languages, and ids that are not above all others."""
    catalog = memory_catalog()
    for salt, step in enumerate(steps):
        applied(catalog, *step, salt=salt)

        known = passages_of(catalog)
        assert facts(known) == facts(IndexedPassages.read(catalog._database.connection))
        assert len(known.files) == known.size


@given(STEPS)
@example([(1, 3, "en"), (1, 3, "en"), (1, 2, "de"), (2, 1, "de"), (1, 0, "en")])
def test_several_changed_ranges_are_read_again(steps: list[tuple[int, int, str]]) -> None:
    """Of many, so that not all are: also the last passage of a range, and a range that there was no room for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postings, "RANGE", 4)
        catalog = memory_catalog()
        for file_id, language in enumerate(["en", "de", "en"], 1):
            applied(catalog, file_id, 40, language)
        passages_of(catalog)
        for salt, (file_id, passages, language) in enumerate(steps):
            applied(catalog, 3 + file_id, passages, language, salt)

            known = passages_of(catalog)
            assert facts(known) == facts(IndexedPassages.read(catalog._database.connection))
            assert len(known.files) == len(known.stemmers) == known.size


def test_only_changed_ranges_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of one file among many ranges of passages, and nothing where nothing changed."""
    catalog = memory_catalog()
    for number in range(1, 6):
        applied(catalog, number, RANGE, "en")
    passages_of(catalog)
    parts: list[int] = []
    read = indexed_passages.IndexedPassages.read_range

    def noted(self: IndexedPassages, connection: sqlite3.Connection, part: int) -> bool:
        parts.append(part)
        return read(self, connection, part)

    monkeypatch.setattr(indexed_passages.IndexedPassages, "read_range", noted)
    monkeypatch.setattr(indexed_passages.IndexedPassages, "read", lambda _: pytest.fail("all passages are read"))

    passages_of(catalog)
    catalog.set_meta("a", "b")
    passages_of(catalog)
    assert parts == []
    applied(catalog, 7, 2, "en")
    passages_of(catalog)

    assert parts == [5]


def test_a_change_that_is_rolled_back_is_not_kept() -> None:
    """What a transaction sees is gone with it."""
    catalog = memory_catalog()
    applied(catalog, 1, 2, "en")
    before = facts(passages_of(catalog))

    with pytest.raises(RuntimeError, match="stop"), catalog._database.writing() as connection:  # noqa: PT012
        connection.execute("DELETE FROM postings")
        assert passages_of(catalog).count == 0
        raise RuntimeError("stop")

    assert facts(passages_of(catalog)) == before
    applied(catalog, 2, 1, "en")
    assert passages_of(catalog).count == 3


def test_after_an_error_on_the_way_everything_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as Ctrl-C in a conversation that goes on: passages that were taken out of the sums and not put back."""
    catalog = memory_catalog()
    applied(catalog, 1, 2, "en")
    passages_of(catalog)
    applied(catalog, 2, 3, "en")
    count = IndexedPassages._count

    def interrupted(self: IndexedPassages, keys: slice, times: int) -> None:
        count(self, keys, times)
        if times < 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(IndexedPassages, "_count", interrupted)
    with pytest.raises(KeyboardInterrupt):
        passages_of(catalog)
    monkeypatch.undo()

    assert facts(passages_of(catalog)) == facts(IndexedPassages.read(catalog._database.connection))


def test_changes_of_another_connection_are_seen(tmp_path: Path) -> None:
    """Another process may write the catalog between two questions."""
    path = str(tmp_path / "catalog.sqlite3")
    one, other = SqliteCatalog(path), SqliteCatalog(path)
    applied(one, 1, 2, "en")
    assert passages_of(other).count == 2
    applied(one, 2, 3, "en")

    assert passages_of(other).count == 5
    applied(other, 3, 1, "en")
    assert passages_of(other).count == passages_of(one).count == 6
    one.close()
    other.close()


def test_changes_of_another_connection_while_passages_are_read_are_seen_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may be from before the change, so it is not taken to be in step with it."""
    path = str(tmp_path / "catalog.sqlite3")
    one, other = SqliteCatalog(path), SqliteCatalog(path)
    applied(one, 1, 2, "en")
    read = IndexedPassages.read

    def slowly(connection: sqlite3.Connection) -> IndexedPassages:
        found = read(connection)
        applied(one, 2, 3, "en")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(IndexedPassages, "read", slowly)
        assert passages_of(other).count == 2

    assert passages_of(other).count == 5
    one.close()
    other.close()


def test_passages_without_a_word_are_known() -> None:
    """A line of dots in a file without a title is found as a phrase, and counts where passages are counted."""
    catalog = memory_catalog()
    applied(catalog, 1, 1, "en")
    passages_of(catalog)
    stored(catalog, change(2, "-.md", ["...", "***"], title="."))

    assert passages_of(catalog).count == 3
    assert facts(passages_of(catalog)) == facts(IndexedPassages.read(catalog._database.connection))


def test_leaving_passages_after_all_others_score_nothing() -> None:
    """Nothing is known of them any more, and no memory is kept for them; a search may still name them or their file."""
    catalog = memory_catalog()
    applied(catalog, 1, RANGE - 1, "en")
    applied(catalog, 2, 3, "en")
    leaving = list(catalog.passage_ids([2])[2])
    catalog.begin([change(2, "2.md", [])])
    assert passages_of(catalog).size == RANGE

    assert not set(leaving) & catalog.keyword_matches("apple", 3, also=leaving).scores.keys()
    assert catalog.keyword_matches("apple", 3, [2]).scores == {}
    assert len(catalog.keyword_matches("apple", 3, without=leaving).scores) >= 3


def test_notes_of_changes_are_forgotten_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a daemon runs, and a change right after that is followed too."""
    monkeypatch.setattr(noted_changes, "_MOST_NOTES", 3)
    catalog = memory_catalog()
    for salt in range(12):
        applied(catalog, 1 + salt % 2, 2, "en", salt)
        assert facts(passages_of(catalog)) == facts(IndexedPassages.read(catalog._database.connection))

    notes = catalog._database.connection.execute("SELECT count(*) FROM temp.changed_ranges").fetchone()[0]
    assert notes <= 6
