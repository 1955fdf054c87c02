"""BM25 of the passages with a word of the question, beside the formula over all passages and files."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_catalog import memory_catalog
from test_keywords import change, stored

from kb.store import bm25
from kb.store.postings import RANGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.store.catalog import SqliteCatalog

WORDS = ["apple", "berry", "cherry", "date", "elder", "fig", "grape"]
# Many more passages without a word of the question than with one, and some without any of the usual words.
PASSAGES = st.lists(st.sampled_from([*WORDS, "quince", "quince", "quince"]), min_size=1, max_size=12).map(" ".join)
FILES = st.lists(st.lists(PASSAGES, min_size=1, max_size=4), min_size=1, max_size=12)
QUESTIONS = st.lists(st.sampled_from([*WORDS, "nowhere"]), min_size=1, max_size=5)
WEIGHTS = st.sampled_from([0.0, 0.3, 0.8, 1.0])


def of_all(texts: Sequence[Sequence[str]], question: Sequence[str]) -> NDArray[np.float64]:
    """The scores of all texts, by the published formula."""
    counts = [Counter(text) for text in texts]
    mean = sum(map(len, texts)) / len(texts)
    total = np.zeros(len(texts))
    for word, times in Counter(question).items():
        held = sum(word in one for one in counts)
        idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
        for at, (one, text) in enumerate(zip(counts, texts, strict=True)):
            saturation = bm25.K1 * (1 - bm25.B + bm25.B * len(text) / mean)
            total[at] += times * idf * (bm25.K1 + 1) * one[word] / (one[word] + saturation)
    return total


def above_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviations above the mean of all scores."""
    deviation = scores.std()
    return np.zeros_like(scores) if deviation <= 1e-9 else np.maximum((scores - scores.mean()) / deviation, 0)


def expected(
    files: Mapping[int, Sequence[str]], question: Sequence[str], weight: float
) -> dict[tuple[int, int], float]:
    """The deviation of each passage, by file and place in it, over arrays of all passages and files."""
    passages = [(id_, at, f"{text} title".split()) for id_, texts in files.items() for at, text in enumerate(texts)]
    whole: defaultdict[int, list[str]] = defaultdict(list)
    for id_, _, words in passages:
        whole[id_] += words
    own = above_mean(of_all([words for *_, words in passages], question))
    of_files = dict(zip(whole, above_mean(of_all(list(whole.values()), question)), strict=True))
    alone = len(whole) == len(passages)
    return {
        (id_, at): own[number] if alone else (1 - weight) * own[number] + weight * of_files[id_]
        for number, (id_, at, _) in enumerate(passages)
    }


def answered(
    catalog: SqliteCatalog, question: Sequence[str], weight: float, count: int
) -> dict[tuple[int, int], float]:
    """The deviations that the catalog gives for all passages."""
    places = {one.id: (one.file.id, one.ordinal) for one in catalog.all_passages()}
    found = catalog.keyword_matches(" ".join(question), count, also=list(places), file_weight=weight)
    return {places[id_]: value for id_, value in found.deviations.items()}


@pytest.mark.parametrize(("many", "few"), [(0.0, 16), (2.0, 0)], ids=["frequent words", "rare words"])
@given(FILES, QUESTIONS, WEIGHTS)
def test_scores_equal_those_over_all_passages(
    many: float, few: int, texts: list[list[str]], question: list[str], weight: float
) -> None:
    """Mean and deviation are those of all passages and of all files, though few of them are looked at."""
    files = dict(enumerate(texts, 1))
    catalog = memory_catalog()
    stored(catalog, *(change(id_, f"{id_}.md", some, title="title") for id_, some in files.items()))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bm25, "_MANY", many)
        patched.setattr(bm25, "_FEW", few)
        found = answered(catalog, question, weight, 100)

    assert found == pytest.approx(expected(files, question, weight), abs=1e-9)


@given(FILES, QUESTIONS, st.integers(2, 6))
def test_the_best_are_the_best_of_all(texts: list[list[str]], question: list[str], count: int) -> None:
    """The passages that are returned first, and the best passage of each of the best files."""
    files = dict(enumerate(texts, 1))
    catalog = memory_catalog()
    stored(catalog, *(change(id_, f"{id_}.md", some, title="title") for id_, some in files.items()))
    places = {one.id: (one.file.id, one.ordinal) for one in catalog.all_passages()}
    all_ = {place: value for place, value in expected(files, question, 0.8).items() if value > 1e-9}
    scored = {
        place: value for place, value in all_.items() if not set(question).isdisjoint(files[place[0]][place[1]].split())
    }

    found = {
        places[id_]: value
        for id_, value in catalog.keyword_matches(" ".join(question), count, file_weight=0.8).deviations.items()
    }

    best = sorted(scored.values(), reverse=True)[:count]
    assert sorted(found.values(), reverse=True)[: len(best)] == pytest.approx(best)
    of_files: dict[int, float] = {}
    for (id_, _), value in scored.items():
        of_files[id_] = max(value, of_files.get(id_, 0.0))
    wanted = sorted(of_files.values(), reverse=True)[: count // 2]
    assert sorted({id_: value for (id_, _), value in sorted(found.items(), key=lambda one: one[1])}.values())[::-1][
        : len(wanted)
    ] == pytest.approx(wanted)


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.lists(PASSAGES, min_size=1, max_size=3), st.sampled_from("asr")),
        min_size=1,
        max_size=8,
    ),
    QUESTIONS,
)
def test_the_passages_in_memory_follow_each_change(
    steps: list[tuple[int, list[str], str]], question: list[str]
) -> None:
    """After files were added, changed, swapped and removed, a catalog that was asked before scores as a new one."""
    catalog, files = memory_catalog(), dict[int, list[str]]()
    for file_id, texts, kind in steps:
        if kind == "r":
            files.pop(file_id, None)
            catalog.remove([file_id])
        else:
            # Files whose ids are not above all others, and ranges beyond the first, are read in other ways.
            files[file_id] = [*["quince"] * (RANGE if kind == "s" and file_id == 6 else 0), *texts]
            stored(catalog, change(file_id, f"{file_id}.md", files[file_id], title="title"))
        if files:
            assert answered(catalog, question, 0.8, 5) == pytest.approx(expected(files, question, 0.8), abs=1e-9)
