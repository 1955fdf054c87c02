"""Questions while passages wait to be embedded: words find them, cosine counts them, and no cosine is made up."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from worlds import World

from kb.cli.output.formats import answer_object, markdown, to_csv, to_json
from kb.cli.output.notices import notices
from kb.errors import NotIndexed
from kb.mcp.text import search_notices
from kb.records import Answer, Freshness, Mode, ResolvedRequest
from kb.search.search import Searcher, _judged
from kb.web.text import freshness_line

OLD = [f"apple berry {number} {word}" for number in range(20) for word in ("fig", "grape")]


def searcher(world: World) -> Searcher:
    """A searcher over a world."""

    def freshness() -> Freshness:
        waiting = world.catalog.queue_size().files
        return Freshness(datetime.now(UTC), 0, files=len(world.catalog.files()), words_only=waiting)

    return Searcher(world.embedder, lambda: nullcontext(world.vectors), world.catalog, world.files, freshness)


@pytest.fixture
def world() -> World:
    """Forty notes that are embedded, and two that wait."""
    world = World()
    for number, text in enumerate(OLD):
        world.write(f"{number:03}.md", text)
    world.run()
    world.write("new.md", "# Ladder\n\nthe ladder leans on the shed\n")
    world.write("other.md", "# Kettle\n\nthe kettle needs descaling\n")
    world.run(embed=False)
    return world


def found(world: World, question: str, mode: Mode, **options: float) -> Answer:
    """The answer in a mode."""
    return searcher(world).search(ResolvedRequest(question, mode=mode, **options))  # type: ignore[arg-type] # numbers


def paths(answer: Answer) -> list[str]:
    """The files of the hits, best first."""
    return [hit.passage.file.path for hit in answer.hits]


@pytest.mark.parametrize("mode", [Mode.HYBRID, Mode.KEYWORD])
def test_words_find_what_waits(world: World, mode: Mode) -> None:
    """As the first hit, without a cosine; once it is embedded, with one."""
    answer = found(world, "ladder shed", mode)
    first = answer.hits[0]

    assert (first.passage.file.path, first.score, first.l2) == ("new.md", None, None)
    assert (answer.index.words_only, answer.index.by_meaning, answer.index.files) == (2, 40, 42)
    world.run()
    again = found(world, "ladder shed", mode)
    assert (paths(again)[0], again.index.words_only) == ("new.md", 0)
    assert (again.hits[0].score or 0.0) > 0.5


def test_what_waits_with_the_words_is_before_what_is_near_with_few_of_them(world: World) -> None:
    """Its cosine is not known, which is not a low one."""
    world.write("near.md", "ladder and rope in the cellar")
    world.run()
    world.write("new.md", "# Ladder\n\nthe ladder by the shed leans on it\n")
    world.run(embed=False)

    assert paths(found(world, "ladder leans shed", Mode.HYBRID))[:2] == ["new.md", "near.md"]


def test_by_meaning_what_waits_is_counted(world: World) -> None:
    """It is no hit, and the answer says how many files are found by their words only, and how to find them."""
    answer = found(world, "ladder shed", Mode.COSINE)

    assert "new.md" not in paths(answer)
    assert answer.index.words_only == 2
    told = [str(one) for one in notices(answer, "")]
    assert "found so far: 40 of 42 files by meaning, all by words: --mode hybrid goes by both" in told
    assert "mode hybrid or keyword finds the others" in search_notices(answer, [], None)


def test_with_a_least_cosine_only_what_has_one_is_found(world: World) -> None:
    """Nobody knows whether the others reach it."""
    assert paths(found(world, "ladder shed", Mode.KEYWORD, min_score=-0.5)) == []


def test_most_words_are_an_answer_where_there_is_no_cosine(world: World) -> None:
    """As in a search by words; a passage with a few of them is no answer, and the refusal tells of what waits."""
    answered = found(world, "kettle needs descaling", Mode.HYBRID)
    refused = found(world, "kettle voltage frequency amplifier transistor", Mode.HYBRID)

    assert (answered.weak, paths(answered)[0]) == (False, "other.md")
    assert (refused.weak, refused.hits) == (True, ())
    assert refused.nearest is not None
    told = [str(one) for one in notices(refused, "")]
    assert "found so far: 40 of 42 files by meaning, all by words; the answer may be in the others" in told
    assert "the files probably do not say" not in search_notices(refused, [], None)
    assert "40 of 42 files by meaning so far, all by words" in search_notices(refused, [], None)
    assert "mode hybrid" not in search_notices(refused, [], None)


def test_what_waits_takes_no_place_of_those_that_are_judged() -> None:
    """However many passages wait above it, the thirtieth with a vector is among those that decide on an answer."""
    order = [*range(-50, 0), *range(40), *range(-80, -50)]

    assert list(_judged(order, lambda one: one >= 0)) == [*range(-50, -20), *range(30)]
    assert list(_judged(range(100), lambda one: one >= 0)) == list(range(30))


def test_while_hardly_anything_is_embedded_nothing_is_refused() -> None:
    """A handful of vectors says nothing about what is near."""
    world = World()
    for number, text in enumerate(OLD):
        world.write(f"{number:03}.md", text)
    world.run(embed=False)

    answer = found(world, "grape 7", Mode.HYBRID)

    assert not answer.weak
    assert paths(answer)[0] == "015.md"
    assert all(hit.score is None for hit in answer.hits)
    assert found(world, "grape", Mode.COSINE).hits == ()


def test_a_file_that_waits_is_compared_with_none(world: World) -> None:
    """The error says why, and what to do; a comparison of others names no mode, for it has none."""
    file = next(file for file in world.catalog.files() if file.path == "new.md")

    with pytest.raises(NotIndexed, match="by its words only so far"):
        searcher(world).similar(file, ResolvedRequest(like="new.md"))
    other = next(file for file in world.catalog.files() if file.path == "000.md")
    similar = searcher(world).similar(other, ResolvedRequest(like="000.md"))
    told = [str(one) for one in notices(similar, "")]
    assert "40 of 42 files by meaning, all by words" in " ".join(told)
    assert "--mode" not in " ".join(told)


def test_no_cosine_is_made_up_in_any_format(world: World) -> None:
    """JSON has null, a table nothing, and text says by what it was found."""
    answer = replace(found(world, "ladder shed", Mode.HYBRID, explain=True), nearest=None)
    answer = replace(answer, hits=answer.hits[:1])

    (hit,) = json.loads(to_json(answer_object(answer)))["hits"]
    assert (hit["score"], hit["l2"], hit["cosine_rank"]) == (None, None, None)
    assert hit["why"].startswith("fused ")
    assert "no cosine yet" in hit["why"]
    assert to_csv(answer).splitlines()[1].startswith("1,,,")
    assert " by words · " in markdown(answer)
    assert freshness_line(answer.index) == "40 of 42 files by meaning, all by words"
