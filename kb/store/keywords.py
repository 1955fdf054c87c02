"""What the catalog does for questions in words: it keeps the keyword index in step with the passages, and asks it."""

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
from kb.store.catalog_rows import text_of
from kb.store.terms import parts_of, version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    Described = dict[int, tuple[int, bytes, bytes, bytes, bytes, bytes]]

_MADE_BY: Final = "keywords"
_TOTAL: Final = "keywords checksum"
_REMEMBER: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_ROWS: Final = "files 2, plurals of abbreviations 1"
_PAGE: Final = 500
# A leaving passage answers nothing any more; one that is coming will in a moment, and is left out until then.
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
# Whoever asks whether there is a passage with the words of a question needs no more of them.
_SOME: Final = 16
# How many times as many as are wanted come where the last ones are equal.
_EQUAL: Final = 4
_SPACES: Final = re.compile(r"\s+")
_SPACED: Final = re.compile(rf"[^\W{SPACELESS}]|[{MARKS}]")


@contextmanager
def followed(connection: sqlite3.Connection, file_ids: Sequence[int]) -> Iterator[None]:
    """Keep the keyword index in step with what happens to some files meanwhile, in the same transaction."""
    if not ready(connection):
        make(connection)
    before = _described(connection, file_ids)
    yield
    after = _described(connection, file_ids)
    gone = (_passage(key, *what) for key, what in before.items() if after.get(key) != what)
    come = (_passage(key, *what) for key, what in after.items() if before.get(key) != what)
    _count(connection, -postings.remove(connection, gone))
    _count(connection, postings.add(connection, come))


def _described(connection: sqlite3.Connection, file_ids: Sequence[int]) -> Described:
    """What the keyword index holds of some files, by passage key."""
    return {row[0]: row[1:] for row in connection.execute(_OF_FILES, (json.dumps(list(file_ids)),))}


def ready(connection: sqlite3.Connection) -> bool:
    """Whether the keyword index is of this version of kb and its stemmer."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_MADE_BY,)).fetchone()
    return row is not None and bytes(row[0]).decode() == _made_by()


def make(connection: sqlite3.Connection) -> None:
    """Make the keyword index anew from the passages; needs no model."""
    connection.execute("DELETE FROM postings")
    last, total = -1, 0
    while page := connection.execute(_PAGE_OF_ALL, (last, _PAGE)).fetchall():
        total += postings.add(connection, (_passage(*row) for row in page))
        last = page[-1][0]
    connection.execute(_REMEMBER, (_MADE_BY, _made_by()))
    connection.execute(_REMEMBER, (_TOTAL, str(total % postings.MODULUS)))


def sound(connection: sqlite3.Connection) -> bool:
    """Whether the keyword index holds what was written into it; one without a checksum, of an earlier kb, gets it."""
    if not ready(connection):
        return True
    total = postings.total(connection)
    known = _known_total(connection)
    if known is None:
        connection.execute(_REMEMBER, (_TOTAL, str(total)))
    return known in {None, total}


def forget(connection: sqlite3.Connection) -> None:
    """Have the keyword index made anew before it is next asked."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_MADE_BY,))


def _count(connection: sqlite3.Connection, change: int) -> None:
    """Keep the checksum of the postings in step with them."""
    known = _known_total(connection)
    if known is not None and change:
        connection.execute(_REMEMBER, (_TOTAL, str((known + change) % postings.MODULUS)))


def _known_total(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_TOTAL,)).fetchone()
    return int(row[0]) if row else None


def _made_by() -> str:
    """Whatever changes a row of the index, as one line."""
    return f"{version()}, {_ROWS}"


def _passage(key: int, file_id: int, *described: bytes) -> postings.Indexed:
    text, heading, title, language, name = described
    trail = dict.fromkeys([text_of(title), *json.loads(heading)])
    return postings.Indexed(key, file_id, text_of(text), "\n".join(trail), text_of(language), os.fsdecode(name))


def matches(
    connection: sqlite3.Connection,
    question: str,
    count: int,
    *,
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
    also: Sequence[str],
    beside: float,
) -> KeywordMatches:
    """The best live passages for a question by BM25, and some others whatever they have.

    With ``beside`` the best are those of which their words and those of their whole file together say most.
    """
    bm25 = postings.Bm25(connection, question, whole=beside > 0)
    said = bm25.said(beside)
    best = np.where(bm25.scores > 0, said, 0) if beside else bm25.scores
    asked = _asked(connection, best, files, only, without)
    keys = _best_live(connection, asked, count)
    if beside:
        # A few long files may have all the best passages among them.
        firsts = json.dumps(bm25.best_of_files(asked, count // 2).tolist())
        keys |= {id_.decode(): key for key, id_ in connection.execute(_LIVE_IDS, (firsts,))}
    if also:
        others = connection.execute(_IDS_AND_KEYS, (json.dumps(list(also)),))
        keys |= {id_.decode(): key for key, id_ in others if key < len(asked)}
    return KeywordMatches(
        scores={id_: float(bm25.scores[key]) for id_, key in keys.items()},
        shares={id_: float(bm25.shares[key]) for id_, key in keys.items()},
        deviations={id_: float(said[key]) for id_, key in keys.items()},
    )


def holding(
    connection: sqlite3.Connection,
    question: str,
    share: float,
    *,
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
) -> Holding:
    """The best live passages, by BM25, of those that hold this share of a question by the weight of its words."""
    bm25 = postings.Bm25(connection, question)
    whole = np.where(bm25.shares >= share, bm25.scores, 0)
    ids = _best_live(connection, _asked(connection, whole, files, only, without), _SOME)
    return Holding(tuple(ids), bm25.rarest)


def _asked(
    connection: sqlite3.Connection,
    scores: NDArray[np.float64],
    files: Sequence[int] | None,
    only: Collection[str] | None,
    without: Collection[str],
) -> NDArray[np.float64]:
    """The scores by passage key, 0 for the passages that are not asked."""
    asked = scores.copy()
    for chosen in _chosen(connection, files, only):
        left = np.zeros_like(asked)
        kept = _within(chosen, len(asked))
        left[kept] = asked[kept]
        asked = left
    if without:
        asked[_within(_keys_of(connection, without), len(asked))] = 0
    return asked


def _chosen(
    connection: sqlite3.Connection, files: Sequence[int] | None, only: Collection[str] | None
) -> Iterator[NDArray[np.int64]]:
    if files is not None:
        rows = connection.execute(_KEYS_OF_FILES, (json.dumps(list(files)),))
        yield np.fromiter((row[0] for row in rows), np.int64)
    if only is not None:
        yield _keys_of(connection, only)


def _best_live(connection: sqlite3.Connection, bm25: NDArray[np.float64], count: int) -> dict[str, int]:
    """The ids and keys of the best passages, equal scores by key; those whose vector is not there yet make room."""
    scored = np.flatnonzero(bm25)
    wanted = count
    while True:
        top = scored
        if len(scored) > wanted:
            # Those equal to the last one come along, so that their places decide which is shown; but rows of a table
            # or a log are equal by the thousand.
            least = np.partition(bm25[scored], len(scored) - wanted)[len(scored) - wanted]
            above, equal = scored[bm25[scored] > least], scored[bm25[scored] == least]
            top = np.concatenate([above, equal[: _EQUAL * wanted - len(above)]])
        ids = {key: id_.decode() for key, id_ in connection.execute(_LIVE_IDS, (json.dumps(top.tolist()),))}
        if len(ids) >= count or len(top) == len(scored):
            order = top[np.argsort(-bm25[top], kind="stable")].tolist()
            return {ids[key]: key for key in order if key in ids}
        wanted *= 4


def _keys_of(connection: sqlite3.Connection, ids: Collection[str]) -> NDArray[np.int64]:
    rows = connection.execute(_IDS_AND_KEYS, (json.dumps(list(ids)),))
    return np.fromiter((key for key, _ in rows), np.int64)


def _within(keys: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return keys[keys < size]


def containing(connection: sqlite3.Connection, phrase: str) -> set[str]:
    """The ids of the passages with a phrase, as whole words, in text or headings, whatever its case and spacing."""
    pattern = phrase_pattern(phrase)
    keys: list[int] = []
    for page in _pages(_possible(connection, phrase)):
        rows = connection.execute(_TEXTS, (json.dumps(page.tolist()),))
        keys += [one.key for one in (_passage(*row) for row in rows) if pattern.search(folded(_whole(one)))]
    return {id_.decode() for _, id_ in connection.execute(_LIVE_IDS, (json.dumps(keys),))}


def _possible(connection: sqlite3.Connection, phrase: str) -> NDArray[np.int64]:
    """The keys of the passages that may hold a phrase: of all of them where no term tells."""
    words = parts_of(phrase, postings.stemmers(connection))
    if not words:
        return postings.every(connection)
    return reduce(np.intersect1d, (postings.holding(connection, word) for word in words))


def _pages(keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (keys[start : start + _PAGE] for start in range(0, len(keys), _PAGE))


def _whole(passage: postings.Indexed) -> str:
    # A phrase reaches from no heading into the text.
    return f"{passage.heading}\0{passage.text}"


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Finds a phrase in a folded text, as whole words where it begins and ends with one."""
    words = folded(phrase).strip()
    before = rf"(?<![\w{MARKS}])" if _SPACED.match(words) else ""
    after = rf"(?![\w{MARKS}])" if _SPACED.match(words[-1:]) else ""
    return re.compile(before + re.escape(words) + after)


def folded(text: str) -> str:
    """A text as it is compared: one form of each character, no case, no vowel points, nothing unseen, single spaces."""
    plain = unicodedata.normalize("NFKC", one_dash(one_sign(text)))
    return _SPACES.sub(" ", unpointed(seen(plain)).casefold())
