"""A question becomes hits, with as many candidates as filters, gone files and limits ask for."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import FOLDER, World

from kb.errors import NotIndexed
from kb.records import (
    MODES,
    Answer,
    Candidates,
    Filters,
    Freshness,
    Hit,
    KnownFile,
    LeftOut,
    Missing,
    Mode,
    ReadAs,
    ResolvedRequest,
    Searched,
    Unmatched,
)
from kb.search import filters
from kb.search.confidence import PROBES
from kb.search.rank import place
from kb.search.search import Searcher
from kb.search.syntax import narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINARY = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
# The modes that order passages and leave none out.
RANKING = [mode for mode, traits in MODES.items() if traits.answered_by != "any hit"]
WORDS = ["apple", "berry", "cherry", "date", "elder", "fig", "grape"]


def searcher(world: World) -> Searcher:
    """A searcher over a world."""
    return Searcher(
        world.embedder, lambda: nullcontext(world.vectors), world.catalog, world.files, lambda: Freshness(None, 0)
    )


def filled(texts: list[str]) -> World:
    """An indexed world of one file a text."""
    world = World()
    for number, text in enumerate(texts):
        world.write(f"{number:03}.md", text)
    world.run()
    return world


def score_of(hit: Hit) -> float:
    """The cosine of a hit that has one."""
    assert hit.score is not None
    return hit.score


def order(answer: Answer) -> list[tuple[str, float]]:
    """Paths and scores of an answer."""
    return [(hit.passage.file.path, score_of(hit)) for hit in answer.hits]


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=80),
    st.integers(1, 90),
    st.sampled_from([1, 5, 400]),
)
def test_hits_are_those_of_a_look_at_everything(texts: list[str], limit: int, candidates: int) -> None:
    """However few candidates come at once, the hits are the best of all passages, ties by place."""
    world = filled(texts)
    vector = world.embedder.embed_query("apple berry").astype(np.float64)
    everything = sorted(
        (
            (float(np.clip(world.vectors.records[one.id].vector @ vector, -1, 1)), one)
            for one in world.catalog.all_passages()
        ),
        key=lambda pair: (-round(pair[0], 6), place(pair[1])),
    )

    hits = searcher(world).search(ResolvedRequest("apple berry", limit=limit, candidates=candidates, weak=True)).hits

    assert [round(score_of(hit), 5) for hit in hits] == [round(score, 5) for score, _ in everything[:limit]]
    assert len({hit.passage.id for hit in hits}) == len(hits)
    if candidates >= len(texts):
        assert [hit.passage.file.path for hit in hits] == [one.file.path for _, one in everything[:limit]]


def test_a_file_with_some_of_its_hits_is_asked_again() -> None:
    """Its next passage is nearer than those of a file without any, behind many of one that has all of its hits."""
    world = World()
    world.write("many.md", "\n\n".join(f"# Part {part}\n\napple berry" for part in range(60)))
    world.write("some.md", "# Apple\n\napple berry\n\n# Berry\n\ncherry date fig")
    world.write("none.md", "elder fig grape date")
    world.run()

    answer = searcher(world).search(ResolvedRequest("apple berry", limit=4, per_file=2, candidates=1))

    assert sorted(path for path, _ in order(answer)) == ["many.md", "many.md", "some.md", "some.md"]


@given(
    st.lists(
        st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=12),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 12),
    st.integers(1, 3),
    st.sampled_from([1, 400]),
)
def test_so_many_hits_of_each_file_as_a_look_at_everything_gives(
    files: list[list[str]], limit: int, per_file: int, candidates: int
) -> None:
    """However few candidates come at once, and though a file with all its hits is not asked again."""
    world = World()
    for number, texts in enumerate(files):
        world.write(f"{number}.md", "\n\n".join(f"# {at}\n\n{text}" for at, text in enumerate(texts)))
    world.run()
    vector = world.embedder.embed_query("apple berry").astype(np.float64)
    taken: dict[str, list[float]] = {}
    for one in world.catalog.all_passages():
        cosine = float(np.clip(world.vectors.records[one.id].vector @ vector, -1, 1))
        taken.setdefault(one.file.path, []).append(cosine)
    every = sorted((cosine for own in taken.values() for cosine in sorted(own)[-per_file:]), reverse=True)

    wanted = ResolvedRequest("apple berry", limit=limit, per_file=per_file, candidates=candidates, weak=True)
    hits = searcher(world).search(wanted).hits

    assert [round(score_of(hit), 5) for hit in hits] == [round(cosine, 5) for cosine in every[:limit]]
    assert len({hit.passage.id for hit in hits}) == len(hits)


def read_vectors(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> list[int]:
    """How many vectors came from the vector index at each call of one of its methods."""
    read: list[int] = []
    ask = getattr(world.vectors, method)

    def counted(*arguments: Any) -> Candidates | dict[str, NDArray[np.float32]]:
        found: Candidates | dict[str, NDArray[np.float32]] = ask(*arguments)
        read.append(len(found.ids if isinstance(found, Candidates) else found))
        return found

    monkeypatch.setattr(world.vectors, method, counted)
    return read


@pytest.mark.parametrize(("mode", "method"), [("cosine", "query"), ("hybrid", "query"), ("keyword", "vectors")])
def test_few_large_files_are_not_read_to_the_end(mode: Mode, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has its one hit after the first candidates, or after those of the others."""
    world = World()
    for number in range(3):
        world.write(f"{number}.md", "\n\n".join(f"# {part}\n\napple {'berry ' * number}" for part in range(200)))
    world.run()
    asked = searcher(world)
    asked.measure()
    read = read_vectors(world, monkeypatch, method)

    wanted = ResolvedRequest("apple", mode=mode, limit=10, per_file=1, candidates=8)
    hits = asked.search(wanted).hits

    assert sorted(hit.passage.file.path for hit in hits) == ["0.md", "1.md", "2.md"]
    assert sum(read) < 400


def test_what_is_not_near_enough_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a least cosine, hybrid stops where the nearest passages end that have it."""
    world = filled(["apple", *(f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(3))])
    read = read_vectors(world, monkeypatch, "query")

    hits = (
        searcher(world).search(ResolvedRequest("apple", mode=Mode.HYBRID, limit=5, min_score=0.95, candidates=5)).hits
    )

    assert [path for path, _ in order(Answer("", "", Freshness(None, 0), hits))] == ["000.md"]
    assert read == [20]


@pytest.mark.parametrize("mode", RANKING)
def test_a_hit_that_is_exactly_near_enough_is_shown(mode: Mode) -> None:
    """The least cosine is the least that is shown."""
    asked = searcher(filled(["apple berry", "apple berry cherry", "apple date", "elder fig"]))
    scores = [score for _, score in order(asked.search(ResolvedRequest("apple berry", mode=mode, weak=True)))]
    least = sorted(scores)[-2]

    shown = [
        score for _, score in order(asked.search(ResolvedRequest("apple berry", mode=mode, weak=True, min_score=least)))
    ]

    assert sorted(shown) == sorted(score for score in scores if score >= least)
    assert least in shown


def test_all_that_are_exactly_near_enough_are_looked_for() -> None:
    """Where the candidates end among equals, there are more of them behind."""
    world = filled(["apple berry"] * 10 + ["elder fig"])
    asked = searcher(world)
    (first, *_) = asked.search(ResolvedRequest("apple berry", limit=1, weak=True)).hits
    for number in range(9):
        world.files.remove(FOLDER, f"{number:03}.md")

    wanted = ResolvedRequest("apple berry", limit=1, candidates=1, min_score=score_of(first), weak=True)

    assert [path for path, _ in order(asked.search(wanted))] == ["009.md"]


def test_a_limit_per_file_asks_for_more_candidates() -> None:
    """Where one file has all the near passages, others are found behind them."""
    world = World()
    world.write("many.md", "\n\n".join(f"# Part {part}\n\napple berry" for part in range(60)))
    world.write("other.md", "apple cherry date")
    world.run()

    answer = searcher(world).search(ResolvedRequest("apple berry", limit=2, per_file=1, candidates=1))

    assert [path for path, _ in order(answer)] == ["many.md", "other.md"]


def test_gone_files_and_unknown_vectors_make_room() -> None:
    """A file that vanished, and a vector the catalog does not know, are passed over, and the next ones shown."""
    world = filled(["apple berry", "apple berry", "apple berry cherry", "date"])
    world.files.remove(FOLDER, "000.md")
    stray = next(iter(world.vectors.records.values()))
    world.vectors.records["stray"] = type(stray)("stray", stray.vector, "", dict(stray.labels))

    answer = searcher(world).search(ResolvedRequest("apple berry", limit=2, candidates=1))

    assert [path for path, _ in order(answer)] == ["001.md", "002.md"]


@pytest.mark.parametrize("mode", RANKING)
def test_copies_are_folded_before_the_limit_is_taken(mode: Mode) -> None:
    """So many hits are so many different things, copies are named with their own cosine, gone ones are not."""
    world = filled(["apple berry", "apple  berry", "apple\nberry", "apple berry cherry", "apple fig date", "elder"])
    world.files.remove(FOLDER, "000.md")
    asked = searcher(world)

    answer = asked.search(ResolvedRequest("apple berry", mode=mode, limit=2, candidates=1, fold=True))
    unfolded = asked.search(ResolvedRequest("apple berry", mode=mode, limit=3, candidates=1))

    assert [path for path, _ in order(answer)] == ["001.md", "003.md"]
    assert [(one.passage.file.path, one.score) for one in answer.hits[0].duplicates] == order(unfolded)[1:2]
    assert [path for path, _ in order(unfolded)] == ["001.md", "002.md", "003.md"]
    assert not any(hit.duplicates for hit in unfolded.hits)


def test_a_folded_copy_does_not_count_for_its_file() -> None:
    """The file's own words are still shown under a limit per file."""
    world = World()
    world.write("a.md", "apple berry")
    world.write("b.md", "# One\n\napple berry\n\n# Two\n\napple cherry date")
    world.write("c.md", "# One\n\napple berry")
    world.run()

    hits = searcher(world).search(ResolvedRequest("apple berry", per_file=1, fold=True)).hits

    assert [(hit.passage.file.path, [one.passage.file.path for one in hit.duplicates]) for hit in hits] == [
        ("a.md", []),
        ("b.md", ["c.md"]),
    ]


def test_nothing_to_ask_of() -> None:
    """An empty question, an empty store and filters that leave no file give no hits and trouble no model."""
    world = filled(["apple"])

    assert searcher(world).search(ResolvedRequest("  ")).hits == ()
    assert searcher(World()).search(ResolvedRequest("apple")).hits == ()
    assert searcher(world).search(ResolvedRequest("apple", filters=Filters(tags=("none",)))).hits == ()
    assert world.embedder.questions == []


def test_similar_leaves_the_file_itself_out() -> None:
    """The middle of a file's passages is compared with those of the others."""
    world = filled(["apple berry", "apple berry cherry", "date fig"])
    file = world.catalog.files()[0]

    answer = searcher(world).similar(file, ResolvedRequest(like="000.md", limit=5))

    assert [path for path, _ in order(answer)] == ["001.md", "002.md"]


def test_similar_of_a_file_without_passages_is_told() -> None:
    """There is nothing to compare a blank file by."""
    world = filled([" \n", "apple"])

    with pytest.raises(NotIndexed, match=r"000\.md has no passages"):
        searcher(world).similar(world.catalog.files()[0], ResolvedRequest(like="000.md"))


@pytest.mark.parametrize("mode", RANKING)
def test_the_score_is_the_cosine_in_every_mode(mode: Mode) -> None:
    """Whatever orders the hits, the number beside them is the raw cosine, also of what only the words found."""
    world = filled(["apple berry", "berry cherry", "date fig grape", "apple apple fig"])
    question = world.embedder.embed_query("apple fig")

    answer = searcher(world).search(ResolvedRequest("apple fig", mode=mode, candidates=1, limit=1))

    assert answer.mode == mode
    for hit in answer.hits:
        vector = world.vectors.records[hit.passage.id].vector
        assert hit.score == pytest.approx(float(vector @ question), abs=1e-6)
    assert answer.hits[0].passage.file.path == "003.md"


@pytest.mark.parametrize("mode", RANKING)
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('"apple berry"', {"000.md", "003.md"}),
        ('"apple berry" -cherry', {"000.md"}),
        ("apple -cherry", {"000.md", "001.md"}),
        ("apple path:003.md", {"003.md"}),
        ("apple tag:none", set()),
    ],
)
def test_operators_hold_in_every_mode(mode: Mode, typed: str, expected: set[str]) -> None:
    """What has to stand there and what must not is decided before the best are taken, however few candidates come."""
    world = filled(["apple berry", "berry apple", "date", "apple berry cherry"])

    answer = searcher(world).search(ResolvedRequest(typed, mode=mode, candidates=1, limit=3, min_score=0.2))

    assert {hit.passage.file.path for hit in answer.hits} == expected


def test_an_answer_says_how_its_question_was_read() -> None:
    """With what the question left out; taken literally it leaves out nothing."""
    asked = searcher(filled(["apple berry", "apple berry cherry"]))

    read = asked.search(ResolvedRequest('apple "berry" -cherry path:*.md'))
    assert read.read_as == ReadAs(
        "apple berry",
        ("berry",),
        ("cherry",),
        ("path:*.md",),
        left_out=LeftOut(passages=1, files=1),
        asked=Searched(passages=1, files=1),
    )
    assert [path for path, _ in order(read)] == ["000.md"]
    assert asked.search(ResolvedRequest("-cherry tag:none")).read_as == ReadAs("", (), ("cherry",), ("tag:none",))
    literal = asked.search(ResolvedRequest("apple -cherry tag:none", literal=True))
    assert literal.read_as == ReadAs("apple -cherry tag:none")
    assert {path for path, _ in order(literal)} == {"000.md", "001.md"}


def test_why_tells_both_sides() -> None:
    """Explained, a hit says its cosine, its places and its BM25 score, in each mode."""
    world = filled(["apple berry", "cherry", "apple"])

    for mode in RANKING:
        first = searcher(world).search(ResolvedRequest("apple berry", mode=mode, explain=True)).hits[0]
        assert "cosine 1.000" in first.why
        assert "BM25" in first.why
        assert first.signals.bm25_rank == 1
        assert (first.signals.fused is not None) is (mode == "hybrid")


def crowd() -> World:
    """Two files with the same short section, of which one is about apples throughout, among many others."""
    world = filled([f"{one} {other} {number}" for one in WORDS[2:] for other in WORDS[2:] for number in range(2)])
    world.write("apples.md", "# How\n\napple apple date\n\n# Steps\n\nopen the lid and wait\n\n# More\n\napple berry")
    world.write("lids.md", "# How\n\nfig grape elder\n\n# Steps\n\nopen the lid and wait\n\n# More\n\ncherry fig")
    world.run()
    return world


def test_in_hybrid_a_passage_stands_beside_its_file() -> None:
    """Of two passages with the same words the one is first whose file is about the question; in the others not."""
    asked = searcher(crowd())

    def steps(mode: Mode) -> list[tuple[str, float]]:
        hits = asked.search(ResolvedRequest("apple open lid", mode=mode, limit=120, weak=True)).hits
        return [(hit.passage.file.path, score_of(hit)) for hit in hits if "open the lid" in hit.passage.text]

    (first, score), (second, other) = steps(Mode.HYBRID)
    assert (first, second) == ("apples.md", "lids.md")
    assert score == pytest.approx(other)
    cosine = asked.search(ResolvedRequest("apple open lid", limit=120, weak=True)).hits
    assert [hit.score for hit in cosine] == sorted((score_of(hit) for hit in cosine), reverse=True)


@pytest.mark.parametrize(("times", "first"), [(1, "apples.md"), (2, "lids.md")])
def test_the_words_of_a_file_count_more_than_those_of_a_passage(times: int, first: str) -> None:
    """Said once in a section it is less than a file about it, and twice more; the section leads in both files."""
    world = crowd()
    section = f"open the lid {'apple ' * times}and wait"
    apples = "# Steps\n\nopen the lid and wait\n\n# How\n\napple apple date\n\n# More\n\napple berry"
    world.write("apples.md", apples)
    world.write("lids.md", f"# Steps\n\n{section}\n\n# How\n\nfig grape elder\n\n# More\n\ncherry fig")
    world.run()

    hits = searcher(world).search(ResolvedRequest("apple open lid", mode=Mode.HYBRID, limit=120, weak=True)).hits

    assert next(hit.passage.file.path for hit in hits if "wait" in hit.passage.text) == first


def test_in_hybrid_a_file_about_the_question_leaves_room_for_another() -> None:
    """Its sections that say nothing of the question do not all come before a passage elsewhere that does."""
    world = crowd()
    others = "\n\n".join(f"# Part {part}\n\n{WORDS[part % 3 + 4]} {WORDS[part % 2 + 2]} {part}" for part in range(9))
    world.write("apples.md", f"# How\n\napple berry apple berry\n\n{others}\n\n# More\n\napple berry")
    world.write("note.md", "apple cherry elder fig grape")
    world.run()

    hits = searcher(world).search(ResolvedRequest("apple berry", mode=Mode.HYBRID, limit=11, weak=True)).hits

    paths = [hit.passage.file.path for hit in hits]
    assert paths[0] == "apples.md"
    assert paths.index("note.md") < len(paths) - 1 - paths[::-1].index("apples.md")


def test_a_store_without_centroids_gives_the_same_answers() -> None:
    """As an earlier kb left it: the vectors themselves say where the middle of a file is."""
    world = crowd()
    wanted = ResolvedRequest("apple open lid", mode=Mode.HYBRID, limit=20, weak=True, explain=True)
    kept = [(hit.passage.id, hit.signals.fused) for hit in searcher(world).search(wanted).hits]
    world.catalog._database.connection.execute("DELETE FROM middles")

    found = [(hit.passage.id, hit.signals.fused) for hit in searcher(world).search(wanted).hits]

    assert found == kept


def test_a_question_about_nothing_here_is_refused() -> None:
    """Where nothing is nearer than chance, no hit is given, unless weak ones are asked for."""
    world = filled([f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(2)])
    asked = searcher(world)

    refused = asked.search(ResolvedRequest("zebra"))
    weak = asked.search(ResolvedRequest("zebra", weak=True))

    assert (refused.hits, refused.weak) == ((), True)
    assert weak.weak
    assert len(weak.hits) == ResolvedRequest().limit
    assert not asked.search(ResolvedRequest("apple berry")).weak
    assert not asked.search(ResolvedRequest('"apple"')).weak


def test_a_refusal_names_the_nearest_and_what_is_missing() -> None:
    """No more is said than is known: how near the nearest one comes, and what the index lacks."""
    world = filled([f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(2)])
    lacking = Missing(waiting=1, held=144, failed=2)
    asked = Searcher(
        world.embedder,
        lambda: nullcontext(world.vectors),
        world.catalog,
        world.files,
        lambda: Freshness(None, 0),
        missing=lambda: lacking,
    )

    refused = asked.search(ResolvedRequest("zebra"))
    weak = asked.search(ResolvedRequest("zebra", weak=True))

    assert refused.nearest is not None
    assert refused.nearest.passage.id == weak.hits[0].passage.id
    assert (refused.missing, weak.missing, weak.nearest) == (lacking, lacking, None)
    assert asked.search(ResolvedRequest("apple berry")).missing is None
    none = asked.search(ResolvedRequest("apple", filters=Filters(tags=("none",))))
    assert none.missing == Missing(waiting=1, failed=2)
    assert asked.search(ResolvedRequest("apple", filters=Filters(paths=("none/",)))).missing == Missing(waiting=1)


@pytest.mark.parametrize(
    ("question", "filters", "failed", "held"),
    [
        ('"zebra"', Filters(), 4, 2),
        ('"zebra"', Filters(paths=("w/",)), 2, 1),
        ('"zebra"', Filters(paths=("v/",)), 3, 1),
        ('"zebra" path:v/', Filters(), 3, 1),
        ('"zebra"', Filters(paths=("v/", "w/a.md")), 4, 1),
        ('"zebra"', Filters(paths=("u/",)), 1, 0),
        ('"zebra"', Filters(paths=("*.png",)), 1, 0),
        ('"zebra"', Filters(paths=("none/",)), 0, 0),
        ('"zebra"', Filters(types=("pdf",)), 2, 0),
        ('"zebra"', Filters(types=("org",)), 1, 1),
        ('"zebra"', Filters(types=("!markdown",)), 2, 1),
        ('"zebra" tag:beach', Filters(types=("md",)), 3, 1),
        ('"zebra"', Filters(tags=("beach",), paths=("w/",)), 2, 0),
        ("zebra", Filters(), 4, 2),
        ("zebra", Filters(paths=("!v/",)), 2, 1),
        ("zebra", Filters(paths=("!v/", "!w/")), 1, 0),
        ("zebra", Filters(since=date(2199, 1, 1)), 4, 0),
    ],
)
def test_files_outside_the_filters_hold_no_answer(question: str, filters: Filters, failed: int, held: int) -> None:
    """Three files failed, and a folder, which may have any files; an image is none that failed. Two are held."""
    world = filled([f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(2)])
    for path in ("w/good.md", "v/good.md", "u/good.md"):
        world.write(path, "apple berry")
    for path in ("w/a.md", "v/a.md", "v/b.pdf", "v/c.png", "w/c.png"):
        world.files.write(FOLDER, path, BINARY)
    world.write("v/held.md", "---\ntags: [beach]\n---\napple fig")
    world.write("w/held.org", "apple cherry")
    world.run()
    for path in ("v/held.md", "w/held.org"):
        world.files.remove(FOLDER, path)
    lacking = Missing(waiting=1, held=2, failed=4)
    asked = Searcher(
        world.embedder,
        lambda: nullcontext(world.vectors),
        world.catalog,
        world.files,
        lambda: Freshness(None, 0),
        missing=lambda: lacking,
    )

    refused = asked.search(ResolvedRequest(question, filters=filters))

    assert not refused.hits
    assert refused.missing == Missing(waiting=1, held=held, failed=failed)


@pytest.mark.parametrize("mode", RANKING)
def test_the_nearest_is_named_by_its_cosine_in_each_mode(mode: Mode) -> None:
    """A passage with words of the question comes first in a search by words, and others may be nearer."""
    world = filled([f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(2)])
    asked = searcher(world)
    best = asked.search(ResolvedRequest("zebra 1", limit=1, weak=True)).hits[0]
    by_words = asked.search(ResolvedRequest("zebra 1", mode=Mode.KEYWORD, limit=1, weak=True)).hits[0]

    refused = asked.search(ResolvedRequest("zebra 1", mode=mode, limit=1))

    assert score_of(by_words) < score_of(best)
    assert refused.nearest is not None
    assert (refused.nearest.passage.id, refused.nearest.score) == (best.passage.id, best.score)


@pytest.mark.parametrize(
    ("typed", "left_out"),
    [
        ("apple fig -cherry", LeftOut(1, 1, ahead=1)),
        ("apple -berry", LeftOut(2, 2)),
        ("apple -berry path:00[02].md", LeftOut(1, 1)),
        ("apple -zebra", LeftOut(0, 0)),
        ('date -"apple berry"', LeftOut(1, 1)),
        ("apple -grape -cherry", LeftOut(2, 2)),
    ],
)
@pytest.mark.parametrize("mode", RANKING)
def test_what_an_exclusion_dropped_is_counted(mode: Mode, typed: str, left_out: LeftOut) -> None:
    """Passages and files, of those that were asked, and how many would have come first."""
    world = filled(["apple", "apple berry", "berry date", "apple fig cherry", "date date grape grape grape"])

    read = searcher(world).search(ResolvedRequest(typed, mode=mode, weak=True)).read_as

    assert read is not None
    assert read.left_out == left_out


def test_an_option_that_stands_in_the_notes_leaves_nothing_out() -> None:
    """The passage that has it is the answer."""
    world = filled(["Run ninja -quick for a build of few files.", "Quick bread", "- apple\n-slow\n", "slow food"])
    asked = searcher(world)

    assert order(asked.search(ResolvedRequest("ninja -quick", limit=1)))[0][0] == "000.md"
    slow = asked.search(ResolvedRequest("food -slow"))
    assert slow.read_as is not None
    assert slow.read_as.without == ("slow",)
    assert slow.read_as.left_out is not None
    assert slow.read_as.left_out.passages == 2


def test_a_filter_that_names_nothing_is_told() -> None:
    """Beside hits too, where another value has them."""
    asked = searcher(filled(["apple", "berry"]))

    assert asked.search(ResolvedRequest("apple type:pdf")).unmatched == (
        Unmatched("type", "pdf", ("markdown",), similar=False),
    )
    found = asked.search(ResolvedRequest("apple", filters=Filters(paths=("000.md", "00.md"))))
    assert [one.value for one in found.unmatched] == ["00.md"]
    assert [path for path, _ in order(found)] == ["000.md"]


def test_words_that_look_like_the_filter_of_another_program_are_searched_for() -> None:
    """Where no file matches it; a language by its name is told its code."""
    asked = searcher(filled(["apple", "berry"]))

    found = asked.search(ResolvedRequest("apple file:line"))
    assert order(found)[0][0] == "000.md"
    assert found.read_as is not None
    assert (found.read_as.text, found.read_as.as_words, found.unmatched) == ("apple file:line", ("file:line",), ())
    assert [path for path, _ in order(asked.search(ResolvedRequest("apple file:001")))] == ["001.md"]
    assert [one.value for one in asked.search(ResolvedRequest("apple language:german")).unmatched] == ["german"]


def many_files() -> World:
    """Many files that are asked about by few, in two folders."""
    world = World()
    for number in range(60):
        world.write(f"{number:03}.md", "apple berry" if number in {0, 2} else "fig")
    world.write("sub/c.md", "apple cherry")
    world.write("sub/d.txt", "apple date")
    world.run()
    return world


@pytest.mark.parametrize(
    ("question", "glob", "hits"),
    [
        ("apple file:002", "002", ["002.md"]),
        ("apple folder:sub ext:md", "sub", ["sub/c.md"]),
        ("apple until:2999-01-01 ext:txt file:sub/", "sub/", ["sub/d.txt"]),
        ("apple path:002", "002", ["002.md"]),
    ],
)
def test_a_path_is_looked_up_once(question: str, glob: str, hits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many files that takes long: whether it is a filter, what passes, and whether it matches nothing."""
    world = many_files()
    looked_up: list[str] = []
    matching = filters._matching

    def counted(glob: str, files: Sequence[KnownFile]) -> frozenset[tuple[str, str]]:
        if len(files) > 10:
            looked_up.append(glob)
        return matching(glob, files)

    monkeypatch.setattr(filters, "_matching", counted)
    answer = searcher(world).search(ResolvedRequest(question))

    assert sorted(path for path, _ in order(answer)) == hits
    assert looked_up == [glob]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("file:002", Filters(paths=("002",))),
        ("ext:md folder:sub", Filters(types=(".md",), paths=("sub",))),
        ("ext:txt -path:sub/", Filters(types=(".txt",), paths=("!sub/",))),
        ("file:002 file:c", Filters(paths=("002", "c"))),
    ],
)
@pytest.mark.parametrize(
    "chosen", [Filters(), Filters(paths=("000.md",)), Filters(types=("md",)), Filters(paths=("sub/",), types=("text",))]
)
def test_filters_in_a_question_join_those_beside_it(typed: str, meant: Filters, chosen: Filters) -> None:
    """The same files are searched as where all of them are beside it."""
    asked = searcher(many_files())

    found = asked.search(ResolvedRequest(f"apple {typed}", filters=chosen))

    beside = asked.search(ResolvedRequest("apple", filters=narrowed(chosen, meant)))
    assert (order(found), found.unmatched) == (order(beside), beside.unmatched)


def test_filters_without_a_file_are_named_wherever_they_were_given() -> None:
    """In the question, as an option and for files like one; where the file itself is all they match, there is none."""
    world = filled(["apple", "berry"])
    asked, first = searcher(world), world.catalog.files()[0]
    apart = Filters(paths=("000.md",))

    for answer in (
        asked.search(ResolvedRequest("apple path:001.md", filters=Filters(paths=("!001.md",)))),
        asked.search(ResolvedRequest("path:001.md -path:001.md")),
        asked.similar(first, ResolvedRequest(like="000.md", filters=Filters(paths=("!001.md", "001.md")))),
    ):
        assert ([one.filter for one in answer.unmatched], answer.hits) == (["all"], ())
    assert asked.similar(first, ResolvedRequest(like="000.md", filters=apart)).unmatched == ()
    assert asked.search(ResolvedRequest("apple", filters=apart, files=(first.id + 1,))).unmatched == ()


def test_a_handful_of_passages_is_never_held_back() -> None:
    """So few passages are no measure: the nearest one is shown whatever it is."""
    answer = searcher(filled(["apple", "berry"])).search(ResolvedRequest("zebra"))

    assert (len(answer.hits), answer.below, answer.weak) == (1, 1, False)


@pytest.mark.parametrize("mode", ["cosine", "hybrid"])
def test_a_short_list_ends_where_hits_are_no_nearer_than_unrelated_passages(mode: Mode) -> None:
    """The rest is counted; weak ones are shown on request, and what a phrase or the words choose is never cut."""
    texts = ["apple berry", "apple fig date", "elder fig", "grape date", "cherry grape elder", "fig"]
    asked = searcher(filled(texts))

    cut = asked.search(ResolvedRequest("apple berry", mode=mode))

    assert [path for path, _ in order(cut)] == ["000.md", "001.md"]
    assert cut.below == 4
    assert len(asked.search(ResolvedRequest("apple berry", mode=mode, weak=True)).hits) == 6
    assert asked.search(ResolvedRequest('"fig" berry', mode=mode)).below == 0
    assert asked.search(ResolvedRequest("apple berry", mode=Mode.KEYWORD)).below == 0


def test_an_inflected_word_is_the_same_word_whatever_the_language_of_the_note() -> None:
    """A note of names and few words is read by the stemmer of another language; its words are seen all the same."""
    world = World()
    world.embedder.dimension = 1024
    for number, text in enumerate(f"{one} {other} {number}" for one in WORDS for other in WORDS for number in range(3)):
        world.write(f"{number:03}.md", text)
    filler = "Nothing else of it is written down in any other place"
    world.write("boiler.md", f"---\nlang: de\n---\n# Furnace\n\nServiced by Dieter. {filler}.")
    world.run()
    asked = searcher(world)

    assert not asked.search(ResolvedRequest("who services the furnace", weak=True)).weak
    assert asked.search(ResolvedRequest("who services the zebra", weak=True)).weak


def test_a_long_question_says_in_how_many_parts_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the model tells it; a short one is one."""
    world = filled(["apple", "berry"])
    monkeypatch.setattr(world.embedder, "question_parts", lambda text: 1 + len(text) // 100)

    assert searcher(world).search(ResolvedRequest("apple")).parts == 1
    assert searcher(world).search(ResolvedRequest("apple " * 50)).parts == 3


def test_what_was_measured_is_kept_until_the_index_grows() -> None:
    """The probes are embedded once, by whichever searcher is first, and again when there is half as much more."""
    world = filled([f"{one} {other}" for one in WORDS for other in WORDS])
    first = searcher(world)
    first.search(ResolvedRequest("apple"))
    first.save_measurements()
    asked = len(world.embedder.questions)

    searcher(world).search(ResolvedRequest("berry"))
    assert world.embedder.questions[asked:] == ["berry"]

    for number in range(60):
        world.write(f"more{number}.md", f"fig grape {number}")
    world.run()
    before = len(world.embedder.questions)
    searcher(world).search(ResolvedRequest("berry"))
    assert len(world.embedder.questions) == before + 1 + len(PROBES)


def test_a_search_writes_nothing_to_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """In no mode, even where it is the first on its index; what it measured is kept when that is asked for, once."""
    world = filled([f"{one} {other}" for one in WORDS for other in WORDS])
    asked = searcher(world)
    written: list[str] = []
    changed = world.catalog._database.connection.total_changes
    monkeypatch.setattr(world.catalog, "set_meta", lambda key, _value: written.append(key))

    for mode in RANKING:
        assert asked.search(ResolvedRequest("apple berry", mode=mode, explain=True, weak=True)).hits
    asked.similar(world.catalog.files()[0], ResolvedRequest(like="000.md"))
    assert (written, world.catalog._database.connection.total_changes) == ([], changed)

    asked.save_measurements()
    asked.save_measurements()
    assert written == ["unrelated"]


LONG = " ".join(f"filler{number}" for number in range(14))
SERIAL = "The box under the desk. Serial number XK-4471-B, warranty until 2026; it came from the shop about the corner."


# Worlds that are asked and not changed are made once.
@cache
def diary() -> World:
    """Many notes, and one that has a number somewhere in it."""
    texts = [f"what is it about {one} {other} {number}" for one in WORDS for other in WORDS for number in range(3)]
    return filled([*texts, f"{SERIAL} {'Nothing else of it is written down in any other place. ' * 3}"])


@pytest.mark.parametrize("mode", RANKING)
@pytest.mark.parametrize("typed", ["XK-4471-B", "what is the XK-4471-B?", "warranty"])
def test_a_word_that_stands_in_the_notes_is_answered(mode: Mode, typed: str) -> None:
    """However low the cosine of the passage that holds all the words; in the modes that ask the words it is first."""
    answer = searcher(diary()).search(ResolvedRequest(typed, mode=mode, limit=1))

    assert not answer.weak
    assert answer.hits
    serial = SERIAL in answer.hits[0].passage.text.replace("\n", " ")
    assert serial or (mode == "cosine" and answer.elsewhere)
    assert not (serial and answer.elsewhere)


def test_a_word_in_a_passage_that_is_exactly_near_enough_is_answered() -> None:
    """What holds the words is judged by the same limit as what is shown."""
    asked = searcher(diary())
    hits = asked.search(ResolvedRequest("warranty", mode=Mode.KEYWORD, limit=1)).hits

    answer = asked.search(ResolvedRequest("warranty", mode=Mode.KEYWORD, limit=1, min_score=score_of(hits[0])))

    assert not answer.weak
    assert [hit.passage.id for hit in answer.hits] == [hits[0].passage.id]


@cache
def addresses() -> World:
    """Many notes, and one with what is joined from several parts."""
    text = "jo@mail.example.org has 10.0.0.17:8080, v2.14.3-rc1, sshd_config, Wi-Fi and a K\u00e4n\u00adguru"
    texts = [f"what is it about {one} {other} {number}" for one in WORDS for other in WORDS for number in range(3)]
    return filled([*texts, f"{text} {'Nothing else of it is written down in any other place. ' * 3}"])


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
@pytest.mark.parametrize(
    "typed", ["10.0.0.17", "2.14.3", "example.org", "where is example.org?", "WiFi", "sshd", "k\u00e4nguru"]
)
def test_a_part_of_something_joined_is_answered(mode: Mode, typed: str) -> None:
    """An address before its port, a version between its letters, what is written with a hyphen: none is refused."""
    answer = searcher(addresses()).search(ResolvedRequest(typed, mode=mode, limit=1))

    assert not answer.weak
    assert "10.0.0.17" in answer.hits[0].passage.text


@cache
def common_words() -> World:
    """Many notes with the words that questions are made of, some in each of them and some in every other."""
    often = f"nothing else was written in any other place {LONG}"
    return filled(
        [
            f"{one} {other} {number} {often if number < 2 else f'what was it about is not clear here {LONG}'}"
            for one in WORDS
            for other in WORDS
            for number in range(3)
        ]
    )


@pytest.mark.parametrize("mode", RANKING)
@pytest.mark.parametrize("typed", ["what is the zebra about?", "XK-4471-C", "nothing", "what about nothing?"])
def test_the_commonest_words_are_no_answer(mode: Mode, typed: str) -> None:
    """Nor is a passage with what half of the notes have, or with all but the one word that says what is asked."""
    assert searcher(common_words()).search(ResolvedRequest(typed, mode=mode)).hits == ()


@pytest.mark.slow
def test_the_verdict_does_not_hang_on_how_many_are_shown() -> None:
    """The same passages are judged whatever the limit, so that one more or less to show changes no answer."""
    asked = searcher(diary())

    for typed in ("XK-4471-B", "zebra", "apple berry", "fig elder", "fig cherry"):
        for mode in RANKING:
            verdicts = {asked.search(ResolvedRequest(typed, mode=mode, limit=limit)).weak for limit in (1, 3, 30, 120)}
            assert len(verdicts) == 1
