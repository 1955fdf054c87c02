"""Keyword search in the catalog: keeps the keyword index up to date with the passages, and queries it."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Holding, KeywordMatches
from kb.records.characters import MARKS, SPACELESS, one_dash, one_sign, seen, unpointed
from kb.store import postings
from kb.store.bm25 import Bm25
from kb.store.catalog_rows import text_of
from kb.store.terms import parts_of, version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from kb.store.indexed_passages import IndexedPassages

    Described = dict[int, tuple[int, bytes, bytes, bytes, bytes, bytes]]

_VERSION: Final = "keywords"
_TOTAL: Final = "keywords checksum"
# In place of one that cannot be read; checksums are not negative.
_NO_CHECKSUM: Final = -1
_REMEMBER: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_ROWS: Final = "files 2, plurals of abbreviations 1"
_PAGE: Final = 500
# Leaving passages are not indexed. Coming ones are, but are left out of results until they are live.
_DESCRIBED: Final = """
    SELECT p.key, p.file_id,
           CASE p.searched WHEN '' THEN p.text ELSE p.searched END, p.heading, f.title, f.language, f.name
    FROM passages p JOIN files f ON f.id = p.file_id
    WHERE p.state != 'leaving' AND """
_OF_FILES: Final = _DESCRIBED + "p.file_id IN (SELECT value FROM json_each(?))"  # noqa: S608  (only constants are put in)
_PAGE_OF_ALL: Final = _DESCRIBED + "p.key > ? ORDER BY p.key LIMIT ?"
_TEXTS: Final = _DESCRIBED + "p.key IN (SELECT value FROM json_each(?))"  # noqa: S608  (only constants are put in)
_KEYS_OF_FILES: Final = "SELECT key FROM passages WHERE file_id IN (SELECT value FROM json_each(?))"
_IDS_AND_KEYS: Final = "SELECT key, id FROM passages WHERE id IN (SELECT value FROM json_each(?))"
_LIVE_IDS: Final = "SELECT key, id FROM passages WHERE state = 'live' AND key IN (SELECT value FROM json_each(?))"
# The most passages returned by ``holding``.
_SOME: Final = 16
# The most passages returned if the last scores are equal, as a multiple of those wanted.
_EQUAL: Final = 4
_SPACES: Final = re.compile(r"\s+")
_SPACED: Final = re.compile(rf"[^\W{SPACELESS}]|[{MARKS}]")


@contextmanager
def updating(connection: sqlite3.Connection, file_ids: Sequence[int]) -> Iterator[None]:
    """Update the keyword index after changes to some files in the context, in the same transaction."""
    if not is_current(connection):
        rebuild(connection)
    before = _indexed_rows(connection, file_ids)
    yield
    after = _indexed_rows(connection, file_ids)
    gone = (_passage(key, *what) for key, what in before.items() if after.get(key) != what)
    come = (_passage(key, *what) for key, what in after.items() if before.get(key) != what)
    try:
        _add_to_checksum(connection, -postings.remove(connection, gone))
        _add_to_checksum(connection, postings.add(connection, come))
    # A damaged page that SQLite accepts may contain values of any type.
    except (ValueError, TypeError, LookupError):
        rebuild(connection)


def _indexed_rows(connection: sqlite3.Connection, file_ids: Sequence[int]) -> Described:
    """The columns of the passages of some files that the keyword index depends on, by passage key."""
    return {row[0]: row[1:] for row in connection.execute(_OF_FILES, (json.dumps(list(file_ids)),))}


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the keyword index was made by this version of kb and of its stemmer."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_VERSION,)).fetchone()
    return row is not None and bytes(row[0]).decode() == _version()


def rebuild(connection: sqlite3.Connection) -> None:
    """Rebuild the keyword index from the passages; needs no model."""
    connection.execute("DELETE FROM postings")
    last, total = -1, 0
    while page := connection.execute(_PAGE_OF_ALL, (last, _PAGE)).fetchall():
        total += postings.add(connection, (_passage(*row) for row in page))
        last = page[-1][0]
    connection.execute(_REMEMBER, (_VERSION, _version()))
    connection.execute(_REMEMBER, (_TOTAL, str(total % postings.MODULUS)))


def is_intact(connection: sqlite3.Connection) -> bool:
    """Whether the keyword index has the right checksum; an index of an earlier version of kb gets one."""
    if not is_current(connection):
        return True
    total = postings.total(connection)
    known = _stored_checksum(connection)
    if known is None:
        connection.execute(_REMEMBER, (_TOTAL, str(total)))
    return known in {None, total}


def invalidate(connection: sqlite3.Connection) -> None:
    """Let the keyword index be rebuilt before its next use."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_VERSION,))


def _add_to_checksum(connection: sqlite3.Connection, change: int) -> None:
    """Add a change to the stored checksum of the postings."""
    known = _stored_checksum(connection)
    if known is not None and known != _NO_CHECKSUM and change:
        connection.execute(_REMEMBER, (_TOTAL, str((known + change) % postings.MODULUS)))


def _stored_checksum(connection: sqlite3.Connection) -> int | None:
    """The stored checksum of the postings; None without one, and where its row is damaged a number that none has."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_TOTAL,)).fetchone()
    try:
        return int(row[0]) if row else None
    except ValueError:
        return _NO_CHECKSUM


def _version() -> str:
    """Everything that affects the rows of the index, as one line."""
    return f"{version()}, {_ROWS}"


def _passage(key: int, file_id: int, *described: bytes) -> postings.Indexed:
    text, heading, title, language, name = described
    trail = dict.fromkeys([text_of(title), *json.loads(heading)])
    return postings.Indexed(key, file_id, text_of(text), "\n".join(trail), text_of(language), os.fsdecode(name))


def matches(
    connection: sqlite3.Connection,
    passages: IndexedPassages,
    question: str,
    count: int,
    *,
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
    also: Sequence[str],
    file_weight: float,
) -> KeywordMatches:
    """The best live passages for a question by BM25, and the scores of those in ``also``.

    With ``file_weight``, the weight of the score of the whole file in 0..1, passages rank by both scores together.
    """
    bm25 = Bm25(connection, question, passages, whole=file_weight > 0)
    scored = _filtered(connection, bm25.keys, passages.size, files=files, only=only, without=without)
    best = bm25.deviations(scored, file_weight) if file_weight else bm25.scores(scored)
    positive = best > 0
    scored, best = scored[positive], best[positive]
    keys = _best_live(connection, scored, best, count)
    if file_weight:
        # The best passages may all be of a few long files.
        firsts = json.dumps(bm25.best_of_files(scored, best, count // 2).tolist())
        keys |= {id_.decode(): key for key, id_ in connection.execute(_LIVE_IDS, (firsts,))}
    if also:
        others = connection.execute(_IDS_AND_KEYS, (json.dumps(list(also)),))
        keys |= {id_.decode(): key for key, id_ in others if key < passages.size}
    found = np.fromiter(keys.values(), np.int64, len(keys))
    return KeywordMatches(
        scores=dict(zip(keys, bm25.scores(found).tolist(), strict=True)),
        shares=dict(zip(keys, bm25.shares(found).tolist(), strict=True)),
        deviations=dict(zip(keys, bm25.deviations(found, file_weight).tolist(), strict=True)),
        most=bm25.most,
    )


def holding(
    connection: sqlite3.Connection,
    passages: IndexedPassages,
    question: str,
    share: float,
    *,
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
) -> Holding:
    """The best live passages, by BM25, that contain a share of a question, by the weight of its words."""
    bm25 = Bm25(connection, question, passages)
    keys = bm25.keys[bm25.shares(bm25.keys) >= share]
    keys = _filtered(connection, keys, passages.size, files=files, only=only, without=without)
    ids = _best_live(connection, keys, bm25.scores(keys), _SOME)
    return Holding(tuple(ids), bm25.rarest)


def _filtered(
    connection: sqlite3.Connection,
    keys: NDArray[np.int64],
    size: int,
    *,
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
) -> NDArray[np.int64]:
    """Those of some passage keys below ``size`` that the filters leave."""
    for chosen in _restrictions(connection, files, only):
        keys = keys[_marked(chosen, size)[keys]]
    if without:
        keys = keys[~_marked(_keys_of(connection, without), size)[keys]]
    return keys


def _marked(keys: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """For each key below ``size`` whether it is one of these."""
    marked = np.zeros(size, bool)
    marked[keys[keys < size]] = True
    return marked


def _restrictions(
    connection: sqlite3.Connection, files: Sequence[int] | None, only: Collection[str] | None
) -> Iterator[NDArray[np.int64]]:
    if files is not None:
        rows = connection.execute(_KEYS_OF_FILES, (json.dumps(list(files)),))
        yield np.fromiter((row[0] for row in rows), np.int64)
    if only is not None:
        yield _keys_of(connection, only)


def _best_live(
    connection: sqlite3.Connection, keys: NDArray[np.int64], scores: NDArray[np.float64], count: int
) -> dict[str, int]:
    """The ids and keys of the best live passages, best first; equal scores are ordered by key.

    Args:
        connection: The connection to the catalog.
        keys: The keys of the passages to choose from, ascending.
        scores: Their scores.
        count: How many of the best.
    """
    wanted = count
    while True:
        top = np.arange(len(keys))
        if len(keys) > wanted:
            # Include those equal to the last one, so that the caller can order them by place; but limit their number,
            # since thousands of rows of a table or a log may have equal scores.
            least = np.partition(scores, len(keys) - wanted)[len(keys) - wanted]
            above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
            top = np.concatenate([above, equal[: _EQUAL * wanted - len(above)]])
        listed = json.dumps(keys[top].tolist())
        ids = {key: id_.decode() for key, id_ in connection.execute(_LIVE_IDS, (listed,))}
        if len(ids) >= count or len(top) == len(keys):
            order = keys[top[np.argsort(-scores[top], kind="stable")]].tolist()
            return {ids[key]: key for key in order if key in ids}
        wanted *= 4


def _keys_of(connection: sqlite3.Connection, ids: Collection[str]) -> NDArray[np.int64]:
    rows = connection.execute(_IDS_AND_KEYS, (json.dumps(list(ids)),))
    return np.fromiter((key for key, _ in rows), np.int64)


def containing(connection: sqlite3.Connection, phrase: str) -> set[str]:
    """The ids of the passages with a phrase in text or headings, as whole words, ignoring case and spacing."""
    pattern = phrase_pattern(phrase)
    keys: list[int] = []
    for page in _pages(_candidates(connection, phrase)):
        rows = connection.execute(_TEXTS, (json.dumps(page.tolist()),))
        keys += [one.key for one in (_passage(*row) for row in rows) if pattern.search(folded(_searched_text(one)))]
    return {id_.decode() for _, id_ in connection.execute(_LIVE_IDS, (json.dumps(keys),))}


def _candidates(connection: sqlite3.Connection, phrase: str) -> NDArray[np.int64]:
    """The keys of the passages that may contain a phrase: all of them if no term of it is indexed."""
    words = parts_of(phrase, postings.stemmers(connection))
    if not words:
        return postings.read(connection, postings.LENGTHS)[0]
    return reduce(np.intersect1d, (postings.holding(connection, word) for word in words))


def _pages(keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (keys[start : start + _PAGE] for start in range(0, len(keys), _PAGE))


def _searched_text(passage: postings.Indexed) -> str:
    # The NUL keeps a phrase from matching across a heading and the text.
    return f"{passage.heading}\0{passage.text}"


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """A pattern that finds a phrase in a folded text; at a letter or digit it begins and ends with a whole word.

    Words that are typed apart may be joined by hyphens in the text, and a line may end after a hyphen.
    """
    words = folded(phrase).strip()
    before = rf"(?<![\w{MARKS}])" if _SPACED.match(words) else ""
    after = rf"(?![\w{MARKS}])" if _SPACED.match(words[-1:]) else ""
    return re.compile(before + _HYPHEN.sub("- ?", _SPACE.sub("[ -]", re.escape(words))) + after)


_SPACE: Final = re.compile(r"(?<=[^\W\d_])\\ (?=[^\W\d_])")
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])\\-(?=[^\W\d_])")


def folded(text: str) -> str:
    """Fold a text for comparison: normal form, no case, no vowel points, no invisible characters, single spaces."""
    plain = unicodedata.normalize("NFKC", one_dash(one_sign(text)))
    return _SPACES.sub(" ", unpointed(seen(plain)).casefold())
