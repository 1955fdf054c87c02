"""The keyword index: up to date with the passages, without deleted words, and scored by BM25."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_catalog import memory_catalog

from kb.indexing.plan import identify
from kb.records import Document, FileChange, FileStat, FoundFile, Holding, Passage
from kb.store import bm25, keywords
from kb.store.catalog import SqliteCatalog

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["apple", "berry", "cherry", "date", "elder", "fig", "grape"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), min_size=1, max_size=6)


def change(file_id: int, path: str, texts: list[str], title: str = "", language: str = "en") -> FileChange:
    """A change of a file to these passages."""
    found = FoundFile("/notes", path, FileStat(1, file_id, 1, file_id, 1))
    passages = identify(file_id, [Passage(text, text, 5, line, line) for line, text in enumerate(texts, 1)])
    document = Document("\n".join(texts), "text", title or path, language=language)
    return FileChange(file_id, found, b"hash", 0, document, passages)


def stored(catalog: SqliteCatalog, *changes: FileChange) -> None:
    """Index files."""
    catalog.begin(changes)
    catalog.finish([one.file_id for one in changes])


def found(catalog: SqliteCatalog, question: str, count: int = 10, **scope: object) -> list[str]:
    """The texts of the best passages."""
    matches = catalog.keyword_matches(question, count, **scope)  # type: ignore[arg-type]  # by name
    passages = catalog.passages(list(matches.scores))
    return [passages[id_].text for id_, score in matches.scores.items() if score > 0]


def rows(catalog: SqliteCatalog) -> dict[tuple[str, int], bytes]:
    """All rows of the index, with their postings in order."""
    found = catalog._database.connection.execute("SELECT term, part, data FROM postings")
    return {(bytes(term).decode(), part): np.sort(np.frombuffer(data, "<u4")).tobytes() for term, part, data in found}


def test_scores_are_those_of_the_formula() -> None:
    """BM25 as published, computed here word by word."""
    texts = ["apple apple berry", "apple cherry date elder", "berry"]
    catalog = memory_catalog()
    stored(catalog, *(change(number, f"t{number}.md", [text], title="x") for number, text in enumerate(texts, 1)))
    lengths = [len(text.split()) + 1 for text in texts]  # and the title

    def score(text: str, length: int) -> float:
        counts = Counter(text.split())
        total = 0.0
        for word in ("apple", "berry"):
            number = sum(word in one.split() for one in texts)
            idf = math.log(1 + (3 - number + 0.5) / (number + 0.5))
            norm = bm25.K1 * (1 - bm25.B + bm25.B * length / (sum(lengths) / 3))
            total += idf * counts[word] * (bm25.K1 + 1) / (counts[word] + norm)
        return total

    matches = catalog.keyword_matches("apple berry", 10)

    by_text = {catalog.passages([id_])[id_].text: value for id_, value in matches.scores.items()}
    assert by_text == pytest.approx({text: score(text, length) for text, length in zip(texts, lengths, strict=True)})
    values = np.array(list(by_text.values()))
    deviations = np.maximum((values - values.mean()) / values.std(), 0)
    assert [matches.deviations[id_] for id_ in matches.scores] == pytest.approx(deviations.tolist())
    assert next(iter(by_text)) == "apple apple berry"
    assert max(matches.shares.values()) == 1.0


@pytest.mark.parametrize("question", ["apple berry", "apple berry berry", "apple", "none"])
def test_no_text_reaches_the_upper_bound(question: str) -> None:
    """However often the words occur; the bound leaves room for one more word, which no passage has."""
    catalog = memory_catalog()
    texts = ["apple " * 60_000 + "berry " * 60_000, *(["fig"] * 9)]
    stored(catalog, *(change(number, f"t{number}.md", [text], title="x") for number, text in enumerate(texts)))

    matches = catalog.keyword_matches(question, 10)

    missing = (bm25.K1 + 1) * math.log(1 + (10 + 0.5) / 0.5)
    best = max(matches.scores.values(), default=0.0)
    assert 0 <= best < matches.most - missing + 1e-9 if question != "none" else best == 0
    assert matches.most - missing == pytest.approx(best if question != "none" else missing, rel=0.02)


@pytest.mark.parametrize(("words", "filler", "first"), [(22, 26, "short"), (18, 30, "long")])
def test_a_long_passage_needs_a_word_more_often(words: int, filler: int, first: str) -> None:
    """A passage three times as long needs the word about twice for the same score."""
    short, long = "apple" + " fig" * 6, "apple apple" + " fig" * words
    catalog = memory_catalog()
    texts = {"short": short, "long": long, "other": " ".join(["grape"] * filler)}
    stored(
        catalog,
        *(change(number, f"{name}.md", [text], title="x") for number, (name, text) in enumerate(texts.items(), 1)),
    )

    assert found(catalog, "apple")[0] == texts[first]


@pytest.mark.parametrize(("times", "first"), [(8, "both"), (16, "often")])
def test_repeated_words_count_less_and_less(times: int, first: str) -> None:
    """Two words of a question are worth more than one word eight times, and less than one sixteen times."""
    texts = {
        "often": "apple " * times + "fig " * (20 - times),
        "both": "apple berry " + "fig " * 18,
        "other": "berry " + "fig " * 19,
    }
    catalog = memory_catalog()
    stored(catalog, *(change(number, f"{number}.md", [text], title="x") for number, text in enumerate(texts.values())))

    assert found(catalog, "apple berry")[0] == texts[first]


def test_a_word_is_worth_more_than_one_inside_another() -> None:
    """Of two passages of equal length, in a language with compounds."""
    catalog = memory_catalog()
    texts = ["Das Gericht tagt heute.", "Das Bundesverfassungsgericht tagt heute.", "Der Verein tagt morgen."]
    stored(catalog, *(change(number, f"{number}.md", [text], "x", "de") for number, text in enumerate(texts)))

    assert found(catalog, "Gericht") == texts[:2]


def test_a_word_beside_one_with_most_of_its_letters_counts_once() -> None:
    """A passage has no larger share of the question for a compound that looks like a word that it has anyway."""
    catalog = memory_catalog()
    texts = ["Das Gericht tagt.", "Das Gericht tagt, die Berichterstattungskommission auch.", "Der Verein tagt."]
    stored(catalog, *(change(number, f"{number}.md", [text], "x", "de") for number, text in enumerate(texts)))

    shares = catalog.keyword_matches("Gericht Verein", 10).shares
    by_text = {catalog.passages([id_])[id_].text: share for id_, share in shares.items()}
    assert by_text[texts[1]] == by_text[texts[0]] < 0.5


def test_a_heading_that_is_the_title_counts_once() -> None:
    """As in most notes, whose title is their first heading."""
    catalog = memory_catalog()
    one = change(1, "a.md", ["apple"], title="cherry")
    stored(catalog, replace(one, passages=tuple(replace(each, heading=("cherry",)) for each in one.passages)))

    assert np.frombuffer(rows(catalog)["cherri", 0], "<u2")[1] == 1


def test_a_long_word_that_shares_a_few_letters_is_no_match() -> None:
    """Half of a word does not match the word."""
    catalog = memory_catalog()
    texts = ["Die Landesverfassung gilt.", "Das Bundesverfassungsgericht tagt.", "Der Verein tagt."]
    stored(catalog, *(change(number, f"{number}.md", [text], "x", "de") for number, text in enumerate(texts)))

    assert found(catalog, "Verfassungsgericht") == [texts[1]]


def test_compounds_do_not_make_a_text_longer() -> None:
    """Neither letter runs inside long words nor the name of the file count as words of the text."""
    catalog = memory_catalog()
    texts = ["Hund Donaudampfschifffahrtsgesellschaft", "Hund Haus", "Verein tagt"]
    names = ["a.md", "one/two/three four five six.md", "b.md"]
    changes = (change(at, name, [text], "x", "de") for at, (name, text) in enumerate(zip(names, texts, strict=True)))
    stored(catalog, *changes)

    one, other = catalog.keyword_matches("Hund", 10).scores.values()
    assert one == pytest.approx(other)


def test_a_name_is_worth_less_than_a_text() -> None:
    """A file with the word in its name ranks below one with the word in a paragraph."""
    catalog = memory_catalog()
    page = "oldzebra" + " fig" * 20
    stored(catalog, change(1, "oldzebra.md", ["wool"], title="x"), change(2, "b.md", [page], title="x"))
    stored(catalog, *(change(number, f"{number}.md", ["grape elder"], title="x") for number in range(3, 12)))

    assert found(catalog, "oldzebra") == [page, "wool"]


def test_a_name_adds_nothing_to_a_text_with_the_word() -> None:
    """Passages that say the same rank alike, whatever their files are called."""
    catalog = memory_catalog()
    stored(catalog, *(change(at, f"{name}.md", ["zebra fig"], "x") for at, name in enumerate(["zebra", "grape"], 1)))

    one, other = catalog.keyword_matches("zebra", 10).scores.values()
    assert one == pytest.approx(other)


@pytest.mark.parametrize(("question", "first"), [("apple berry berry", "berry"), ("apple berry apple", "apple")])
def test_a_word_that_occurs_twice_in_a_question_counts_twice(question: str, first: str) -> None:
    """The question weights its words."""
    catalog = memory_catalog()
    stored(catalog, *(change(number, f"{number}.md", [word], title="x") for number, word in enumerate(WORDS)))

    assert found(catalog, question)[0] == first


def test_counts_over_two_bytes_are_limited() -> None:
    """A word that fills a book has the largest count."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple " * 65_536], title="x"), change(2, "b.md", ["fig"], title="x"))

    assert [len(text) for text in found(catalog, "apple")] == [6 * 65_536]


def test_passages_of_all_ranges_are_distinguished() -> None:
    """Positions are relative to a range of some thousand passages."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple", *["fig"] * 2_100, "apple berry"], title="x"))

    assert found(catalog, "berry") == ["apple berry"]
    assert found(catalog, "apple") == ["apple", "apple berry"]


def test_files_with_large_ids_are_distinguished() -> None:
    """Two files whose ids end alike are scored by their own words."""
    catalog = memory_catalog()
    texts = {5: ["apple date", "berry"], 65_541: ["apple date", "fig"], 6: ["grape", "elder"]}
    texts |= {id_: ["grape", "elder"] for id_ in range(10, 40)}
    stored(catalog, *(change(id_, f"{id_}.md", some, title="x") for id_, some in texts.items()))

    matches = catalog.keyword_matches(
        "apple berry", 10, also=[one.id for one in catalog.all_passages()], file_weight=1.0
    )
    deviations = {int(id_.split("-")[0], 16): value for id_, value in matches.deviations.items()}
    assert deviations[5] > deviations[65_541] > deviations[6] == 0


def test_stems_are_not_searched_in_texts_of_other_languages() -> None:
    """The German word for goods has the stem of an English word."""
    catalog = memory_catalog()
    texts = [("en", "the war was long"), ("de", "die Waren im Laden"), ("en", "peace"), ("de", "der Hof")]
    stored(catalog, *(change(at, f"{at}.md", [text], "x", language) for at, (language, text) in enumerate(texts)))

    assert found(catalog, "Waren") == ["die Waren im Laden"]


def test_two_spellings_are_one_word() -> None:
    """In a passage with both spellings the more frequent one counts, as in a passage with that one only."""
    catalog = memory_catalog()
    texts = ["wifi wi-fi key", "key wi-fi key", "fig grape elder"]
    stored(catalog, *(change(number, f"{number}.md", [text], title="x") for number, text in enumerate(texts)))

    one, other = catalog.keyword_matches("wi-fi", 10).scores.values()
    assert one == pytest.approx(other)


def test_a_whole_file_is_scored_as_if_it_were_one_text() -> None:
    """The words of its other passages raise the score of a passage by the given weight; file ids may be large."""
    texts = {70_000: ["apple berry", "cherry date", "apple"], 70_001: ["apple cherry", "date"], 131_072: ["fig"]}
    catalog = memory_catalog()
    stored(catalog, *(change(id_, f"{id_}.md", some, title="x") for id_, some in texts.items()))
    whole = {id_: " ".join(f"{text} x" for text in some) for id_, some in texts.items()}
    alone = memory_catalog()
    stored(alone, *(change(id_, f"{id_}.md", [text], title=" ") for id_, text in whole.items()))

    def by_file(one: SqliteCatalog, weight: float) -> dict[int, set[float]]:
        passages = [passage.id for passage in one.all_passages()]
        deviations: dict[int, set[float]] = {}
        for id_, value in one.keyword_matches("apple date", 10, also=passages, file_weight=weight).deviations.items():
            deviations.setdefault(int(id_.split("-")[0], 16), set()).add(round(value, 9))
        return deviations

    assert by_file(catalog, 1.0) == by_file(alone, 0.0)
    both = catalog.keyword_matches("apple date", 10, file_weight=0.7)
    own, file = (catalog.keyword_matches("apple date", 10, file_weight=share) for share in (0.0, 1.0))
    assert both.deviations == pytest.approx(
        {id_: 0.3 * own.deviations[id_] + 0.7 * file.deviations[id_] for id_ in both.deviations}
    )
    assert both.scores == own.scores


def test_passages_of_better_files_come_first() -> None:
    """Of two passages with the same words, that of the file with more of the question comes first."""
    catalog = memory_catalog()
    others = [change(number, f"{number}.md", ["fig fig", "grape"]) for number in range(3, 20)]
    stored(catalog, change(1, "a.md", ["apple date", "fig"]), change(2, "b.md", ["apple date", "berry"]), *others)

    assert found(catalog, "apple berry", 1, file_weight=0.7) == ["berry"]
    assert "apple date" in found(catalog, "apple berry", 2, file_weight=0.7)
    best = catalog.keyword_matches("apple berry", 3, file_weight=0.7).deviations
    assert [id_.split("-")[0] for id_ in best] == ["2", "2", "1"]


@given(st.lists(st.tuples(st.integers(1, 4), TEXTS, st.sampled_from(["", "Title"])), min_size=1, max_size=8))
def test_after_any_change_the_index_equals_a_rebuilt_one(steps: list[tuple[int, list[str], str]]) -> None:
    """Added, changed, renamed and removed files leave the same rows as a rebuild, and the checksum of these rows."""
    catalog = memory_catalog()
    for number, (file_id, texts, title) in enumerate(steps):
        stored(catalog, change(file_id, f"{file_id}.md", texts, title))
        if number % 3 == 2:
            catalog.remove([file_id])

    kept = rows(catalog)
    assert keywords.is_intact(catalog._database.connection)
    catalog._database.connection.execute("DELETE FROM meta WHERE key = 'keywords'")
    catalog.keyword_matches("apple", 1)

    assert rows(catalog) == kept


def test_passages_that_are_not_live_are_not_found() -> None:
    """A passage is not found before its vector is written, and a leaving one no longer."""
    catalog = memory_catalog()
    catalog.begin([change(1, "a.md", ["apple"])])
    assert found(catalog, "apple") == []
    catalog.finish([1])
    assert found(catalog, "apple") == ["apple"]
    catalog.begin([change(1, "a.md", ["berry"])])
    assert found(catalog, "apple") == []


def test_filters_apply_before_the_best_are_chosen() -> None:
    """The best passage within the filter is found, however many better ones are outside."""
    catalog = memory_catalog()
    stored(catalog, *(change(number, f"{number}.md", [f"apple {'berry ' * number}"]) for number in range(1, 9)))
    ids = {number: next(iter(catalog.passage_ids([number])[number])) for number in range(1, 9)}

    assert len(found(catalog, "apple", 1, files=[8])) == 1
    assert catalog.keyword_matches("apple", 1, only={ids[7]}).scores.keys() == {ids[7]}
    best = catalog.keyword_matches("apple", 1, without=[ids[1]]).scores
    assert ids[1] not in best
    assert ids[2] in best
    assert set(catalog.keyword_matches("apple", 1, also=[ids[8]]).scores) >= {ids[1], ids[8]}


def test_the_number_of_equal_passages_is_limited() -> None:
    """Thousands of rows of a table may be equal: a few more than requested are returned, always the same."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple"] * 300, title="x"), change(2, "b.md", ["apple apple"], title="x"))

    best = catalog.keyword_matches("apple", 10).scores

    assert len(best) == 40
    assert [catalog.passages([id_])[id_].file.path for id_ in list(best)[:2]] == ["b.md", "a.md"]
    assert len(catalog.keyword_matches("apple", 200).scores) == 301
    assert catalog.keyword_matches("apple", 10).scores == best


def test_long_files_do_not_displace_others() -> None:
    """However many of the best passages are of one file, those of the next files are included."""
    catalog = memory_catalog()
    long = [f"apple berry apple number{number}" for number in range(40)]
    others = [change(number, f"{number}.md", ["apple cherry", "fig fig"]) for number in range(2, 6)]
    stored(catalog, change(1, "long.md", long), *others)
    stored(catalog, *(change(number, f"{number}.md", ["grape", "elder"]) for number in range(16, 96)))

    files = {id_.split("-")[0] for id_ in catalog.keyword_matches("apple berry", 10, file_weight=0.8).deviations}

    assert files == {"1", "2", "3", "4", "5"}


def test_the_stem_of_one_language_is_no_word_of_another() -> None:
    """A few notes in another language do not change what a question means in all others."""
    catalog = memory_catalog()
    texts = {"en": ["a new house", "the news of today"], "de": ["das neue Haus", "die Häuser der Stadt"]}
    for number, (language, some) in enumerate(texts.items(), 1):
        stored(catalog, change(number, f"{number}.md", some, title="x", language=language))

    assert found(catalog, "news") == ["the news of today"]
    assert set(found(catalog, "Haus")) == {"das neue Haus", "die Häuser der Stadt"}


@pytest.mark.parametrize(("question", "there"), [("RXR", True), ("RXRs", True), ("rxrs", True), ("GPU", False)])
def test_the_plural_of_an_abbreviation_matches_the_abbreviation(question: str, there: bool) -> None:
    """In the question as in the text."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["the RXRs bind", "an RXR binds", "glass"], title="x"))

    holds = found(catalog, question)

    assert ("the RXRs bind" in holds) is there
    assert ("an RXR binds" in holds) is (there and question != "rxrs")
    assert "glass" not in holds


def test_a_word_is_found_inside_a_compound() -> None:
    """In German, not in English."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["Das Bundesverfassungsgericht tagt heute."], language="de"))
    stored(catalog, change(2, "b.md", ["Der Sportverein tagt morgen."], language="de"))

    assert found(catalog, "Gericht")[:1] == ["Das Bundesverfassungsgericht tagt heute."]
    assert found(catalog, "Verfassungsgericht")[:1] == ["Das Bundesverfassungsgericht tagt heute."]
    assert found(catalog, "Verein") == ["Der Sportverein tagt morgen."]


@pytest.mark.parametrize(
    ("phrase", "text", "there"),
    [
        ("exact phrase", "An Exact\n  phrase.", True),
        ("exact phrase", "exact phrases", False),
        ("phrase exact", "exact phrase", False),
        ("1.5", "version 1.5.9", True),
        ("京", "東京都", True),
        ("->", "a -> b", True),
        ("max_tokens", "the max_tokens of it", True),
        ("tokens", "max_tokens", False),
        ("x" * 80, f"so long: {'x' * 80}.", True),
        ("x" * 79, "x" * 80, False),
        ("\u0915\u093f\u0924\u093e", "\u0915\u093f\u0924\u093e\u092c", False),  # Hindi: kita in kitab
        ("\u0924\u093e\u092c", "\u0915\u093f\u0924\u093e\u092c", False),
        ("\u0915", "\u0915\u093f\u0924\u093e\u092c", False),
        ("\u0915\u093f\u0924\u093e\u092c", "\u090f\u0915 \u0915\u093f\u0924\u093e\u092c\u0964", True),
        (
            "\u0643\u062a\u0627\u0628",
            "\u0647\u0630\u0627 \u0643\u0650\u062a\u064e\u0627\u0628\u064c",
            True,
        ),  # vocalised
        ("\u0643\u0650\u062a\u064e\u0627\u0628", "\u0643\u062a\u0627\u0628", True),
        ("don't trust", "don\u2019t trust", True),
        ("don\u2019t trust", "don't trust", True),
        ("don't trust", "don\u02bct trust", True),
        ("rock'n'roll", "rock\u2018n\u2019roll", True),
        ("it's", "its", False),
        ("self-employed", "self\u2011employed", True),
        ("self-employed", "self\u2010employed", True),
        ("self\u2011employed", "self-employed", True),
        ("state of the art", "a state-of-the-art oven", True),
        ("follow up", "the follow\u2010up", True),
        ("self-employed", "self employed", False),
        ("self-employed", "a self-\n  employed baker", True),
        ("10 20", "pages 10-20", False),
        ("follow up", "a follow -up", False),
        ("10-20", "pages 10\u201320", True),
        ("-5", "minus \u22125 degrees", True),
        ("now-never", "now\u2014never", True),
        ("XY-77", "order XY\u201077.", True),
        ("pelican", "a pel\u200bican", True),
        ("versicherungsnummer", "Ver\u00adsicherungs\u00adnummer", True),
        ("the st\u2060ork", "the\ufeff stork", True),
        ("pelican", "pel ican", False),
    ],
)
def test_phrases_are_whole_words_whatever_case_and_spacing(phrase: str, text: str, there: bool) -> None:
    """A quoted phrase is found as it is written, or with hyphens in place of spaces."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", [text, "something else"], title="t"))

    assert bool(catalog.containing(phrase)) is there


def test_phrases_are_sought_in_all_passages_with_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages of them are read."""
    monkeypatch.setattr(keywords, "_PAGE", 2)
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", [f"{number} apple berry" for number in range(7)]))

    assert len(catalog.containing("apple berry")) == 7


def test_a_part_of_a_token_contains_a_question() -> None:
    """A part of an address, a version or a compound counts as a word; scattered letters do not."""
    texts = ["The box answers at 10.0.0.17:8080 since v2.14.3-rc1", "10 boxes, 0 failures, 17 racks", "Wi-Fi key"]
    catalog = memory_catalog()
    stored(catalog, *(change(number, f"t{number}.md", [text], title="x") for number, text in enumerate(texts, 1)))
    german = "Er repariert die Haust\u00fcrschl\u00f6sser und die Kellerfenster"
    stored(catalog, change(9, "h.md", [german], title="x", language="de"))

    def held(question: str) -> list[str]:
        return [one.text for one in catalog.passages(list(catalog.holding(question, 0.999, None).ids)).values()]

    assert held("10.0.0.17") == texts[:1]
    assert held("2.14.3 box") == texts[:1]
    assert held("10.0.17") == []
    assert held("WiFi key") == texts[2:]
    assert held("Haust\u00fcr") == held("haustur") == [german]
    assert held("Haust\u00fcren") == []


def test_the_name_of_a_file_is_among_the_words_of_its_passages() -> None:
    """The path counts too; a word in the text counts more, and a new name replaces the old one."""
    catalog = memory_catalog()
    stored(catalog, change(1, "farm/oldzebra-plan.md", ["wool prices", "sheep"], title="Different"))
    stored(catalog, change(2, "b.md", ["an oldzebra grazes beside many other animals in a long text"], title="x"))

    assert found(catalog, "oldzebra")[0].startswith("an oldzebra grazes")
    assert sorted(found(catalog, "oldzebra plan"))[1:] == ["sheep", "wool prices"]
    assert sorted(found(catalog, "farm")) == ["sheep", "wool prices"]
    assert len(catalog.holding("oldzebra-plan.md", 0.999, None).ids) == 2

    stored(catalog, change(1, "field/ewes.md", ["wool prices", "sheep"], title="Different"))
    assert found(catalog, "farm") == []
    assert sorted(found(catalog, "ewes")) == ["sheep", "wool prices"]


def test_words_are_taken_from_the_searched_text(tmp_path: Path) -> None:
    """If a passage is read differently than it is shown; a catalog of an older kb has no such text."""
    path = tmp_path / "catalog.sqlite3"
    one = change(1, "a.tex", ['K\\"oln am Rhein', "plain words"], title="x")
    first, second = one.passages
    read = replace(first, searched="K\u00f6ln am Rhein")
    with closing(SqliteCatalog(str(path))) as catalog:
        stored(catalog, replace(one, passages=(read, second)))
        assert found(catalog, "k\u00f6ln") == found(catalog, "rhein") == ['K\\"oln am Rhein']
        assert len(catalog.containing("k\u00f6ln am rhein")) == 1
        stored(catalog, one)
        assert found(catalog, "k\u00f6ln") == []
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE passages DROP COLUMN searched")
        connection.execute("ALTER TABLE files DROP COLUMN unread")
        connection.execute("DROP TABLE unembedded")
        connection.execute("DROP INDEX files_by_state")
        connection.execute("DROP INDEX files_by_size")
        connection.execute("DROP TABLE unsent")
        connection.execute("PRAGMA user_version = 7")
    with closing(SqliteCatalog(str(path))) as catalog:
        assert found(catalog, "plain") == ["plain words"]


def test_a_name_does_not_make_a_text_longer() -> None:
    """Passages of files with long names are scored like others."""
    scores = []
    for path in ("a.md", "one/very/long_name-of_a/file-in_many.parts.md"):
        catalog = memory_catalog()
        stored(catalog, change(1, path, ["apple berry", "cherry"], title="x"))
        scores.append(sorted(catalog.keyword_matches("apple", 10).scores.values()))

    assert scores[0] == scores[1]


def test_deleted_words_are_gone_from_the_file(tmp_path: Path) -> None:
    """The bytes of the catalog contain nothing of a deleted text."""
    path = tmp_path / "catalog.sqlite3"
    with closing(SqliteCatalog(str(path))) as catalog:
        stored(catalog, change(1, "a.md", ["the xylophonist plays"]), change(2, "b.md", ["an apple"]))
        catalog.remove([1])
        catalog._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        assert b"xylophonist" not in path.read_bytes()
        assert b"appl" in path.read_bytes()


def test_deleted_words_are_gone_though_a_row_was_lost() -> None:
    """The other words of a passage are deleted with it all the same."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple berry grape"], title="cherry"))
    catalog._database.connection.execute("DELETE FROM postings WHERE term = 'appl'")

    catalog.remove([1])

    assert rows(catalog) == {}


def test_an_older_catalog_is_filled_from_its_passages(tmp_path: Path) -> None:
    """A catalog without an index, or with one of another stemmer, is indexed on the first keyword search."""
    path = tmp_path / "catalog.sqlite3"
    with closing(SqliteCatalog(str(path))) as catalog:
        stored(catalog, change(1, "a.md", ["an apple"]))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM postings")
        connection.execute("UPDATE meta SET value = 'another stemmer' WHERE key = 'keywords'")
    with closing(SqliteCatalog(str(path))) as catalog:
        assert found(catalog, "apples") == ["an apple"]


def test_holding_returns_passages_with_a_share_of_the_question() -> None:
    """By the weight of words, within the filters, with the rarity of the rarest word; without leaving passages."""
    catalog = memory_catalog()
    texts = ["apple berry", "apple", "apple cherry", "berry berry apple", "date"]
    stored(catalog, *(change(number, f"t{number}.md", [text], title="x") for number, text in enumerate(texts, 1)))

    def held(share: float, **scope: object) -> set[str]:
        found = catalog.holding("apple berry", share, **scope)  # type: ignore[arg-type]  # by name
        return {one.text for one in catalog.passages(list(found.ids)).values()}

    assert held(0.999) == {"apple berry", "berry berry apple"}
    assert held(0.2) == set(texts[:4])
    assert held(0.999, files=[1, 2]) == {"apple berry"}
    assert catalog.holding("apple berry", 0.5).rarest == pytest.approx(2 / 5)
    assert catalog.holding("zebra", 0.5) == Holding((), 0.0)
    catalog.remove([1])
    assert held(0.999) == {"berry berry apple"}


@pytest.mark.parametrize("data", ["substr(data, 1, 3)", "x'ff7f0100'", "7"])
def test_a_damaged_index_is_rebuilt(data: str) -> None:
    """A page that SQLite accepts may hold anything; the words follow from the passages."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple berry"]), change(2, "b.md", ["cherry"]))
    whole = rows(catalog)
    catalog._database.connection.execute(f"UPDATE postings SET data = {data} WHERE term LIKE 'appl%'")  # noqa: S608 - constants

    assert found(catalog, "apple") == ["apple berry"]
    assert rows(catalog) == whole
    assert catalog.audit() == 0


def test_broken_characters_in_a_question_rebuild_nothing() -> None:
    """They are no words, and no damage."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple berry"]))
    before = catalog._database.connection.total_changes

    assert found(catalog, "apple \udce9 caf\ud83d") == ["apple berry"]
    assert catalog.containing("\udce9") == set()
    assert catalog._database.connection.total_changes == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE postings SET data = x'00000100' WHERE term = 'berri'",
        "UPDATE postings SET data = data || x'00' WHERE term = 'berri'",
        "UPDATE postings SET data = data || x'00000000' WHERE term = 'berri'",
        "UPDATE postings SET term = 'bery' WHERE term = 'berri'",
        "UPDATE postings SET part = 1 WHERE term = 'berri'",
        "DELETE FROM postings WHERE term = 'berri'",
    ],
)
def test_damage_that_still_makes_sense_is_seen_from_the_checksum(damage: str) -> None:
    """Another passage, a part of a posting or a whole one more, another word, another range, and a row that is gone."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple", "berry"]))
    connection = catalog._database.connection
    assert keywords.is_intact(connection)

    assert connection.execute(damage).rowcount

    assert not keywords.is_intact(connection)


@pytest.mark.parametrize("data", ["substr(data, 1, 3)", "7"])
def test_a_change_of_a_file_mends_a_damaged_index(data: str) -> None:
    """An index run goes on, and the index is that of the passages."""
    catalog = memory_catalog()
    stored(catalog, change(1, "a.md", ["apple berry"]), change(2, "b.md", ["cherry"]))
    catalog._database.connection.execute(f"UPDATE postings SET data = {data} WHERE term LIKE 'appl%'")  # noqa: S608 - constants

    stored(catalog, change(1, "a.md", ["date"]))

    assert found(catalog, "date") == ["date"]
    assert found(catalog, "apple") == []
    assert catalog.audit() == 0
