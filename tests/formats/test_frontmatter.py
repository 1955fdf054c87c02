"""Front matter: the metadata at the top of a note."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.formats.frontmatter import FrontMatter, date_in_name, date_of, read_front_matter


def test_yaml_values_are_read() -> None:
    """Title, tags, aliases and date come from YAML; the body begins after the closing fence."""
    text = "---\ntitle: A  note\ntags: [db, '#area/sub']\naliases:\n  - Other\ndate: 2026-11-22\n---\nBody\n"

    front = read_front_matter(text)

    assert front == FrontMatter("A note", ("db", "area/sub"), ("Other",), date(2026, 11, 22), 8, 8, says=True)


def test_toml_values_are_read() -> None:
    """Front matter between plus signs is TOML; Zola's taxonomies are tags too."""
    text = '+++\ntitle = "T"\ndate = 2026-11-22T10:00:00Z\n[taxonomies]\ntags = ["a", "b"]\n+++\nBody\n'

    front = read_front_matter(text)

    assert (front.title, front.tags, front.date, front.body_line) == ("T", ("a", "b"), date(2026, 11, 22), 7)


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("tags: a, b c, '#d'", ("a", "b c", "'#d'")),
        ("tags: a #comment", ("a",)),
        ("tags: #a #b/c", ("a", "b/c")),
        ("tags: #a, #b", ("a", "b")),
        ("tags:\n  - #a\n  - b\n  # no tag", ("a", "b")),
        ("tags: #a # no tag", ("a",)),
        ("tags:\n  - #no tag\n  - #b", ("b",)),
        ("tags: '#a #b/c'", ("a", "b/c")),
        ("tags: '#a, b'", ("a", "b")),
        ("keywords: [x, x, y]", ("x", "y")),
        ("tag: one\ncategories: [two]", ("one", "two")),
        ("Tags: [no, 2026, 1:30]", ("no", "2026", "1:30")),
        ("tags:", ()),
        ("tags: null", ()),
        ("tags: {a: b}", ()),
        ("tags: [[a, b], c]", ("c",)),
        ("tags: '[[Rose garden]], [[House]]'", ("Rose garden", "House")),
        ("tags:\n  - '[[Rose garden]]'\n  - b", ("Rose garden", "b")),
        ("tags: '[[Rose garden]]'", ("Rose garden",)),
        ("keywords: rose garden; b", ("rose garden", "b")),
    ],
)
def test_forms_of_tags(written: str, tags: tuple[str, ...]) -> None:
    """A list, or a string with commas or spaces; no word becomes a number or boolean."""
    assert read_front_matter(f"---\n{written}\n---\n").tags == tags


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("'Budget - #5 of 7'", "Budget - #5 of 7"),
        ('"Budget - #5"', "Budget - #5"),
        ("Budget - #5 of 7", "Budget -"),
        ("'On tags: #a and #b'", "On tags: #a and #b"),
    ],
)
def test_a_mark_in_a_title_is_no_tag(written: str, title: str) -> None:
    """It is text in quotes, and begins a comment outside of them."""
    front = read_front_matter(f"---\ntitle: {written}\n---\n")

    assert (front.title, front.tags, front.unread) == (title, (), ())


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-11-22", date(2026, 11, 22)),
        ("2026-11-22T10:11:12+02:00", date(2026, 11, 22)),
        ("2026-11-22 10:11", date(2026, 11, 22)),
        ("2026/1/2", date(2026, 1, 2)),
        ("20261122", date(2026, 11, 22)),
        (20261122, date(2026, 11, 22)),
        ("<2026-11-22 Sun>", date(2026, 11, 22)),
        ("22 November 2026", date(2026, 11, 22)),
        ("Nov 22, 2026 at noon", date(2026, 11, 22)),
        ("22.11.2026", date(2026, 11, 22)),
        ("5.1.2026", date(2026, 1, 5)),
        ("31/12/2024", date(2024, 12, 31)),
        ("6. März 2024", date(2024, 3, 6)),
        ("Mittwoch, 6. Nov. 2024", date(2024, 11, 6)),
        ("1er août 2024", date(2024, 8, 1)),
        ("mardi 7 mai 2024", date(2024, 5, 7)),
        ("7 de mayo de 2024", date(2024, 5, 7)),
        ("1º de março de 2024", date(2024, 3, 1)),
        ("7 maggio 2024", date(2024, 5, 7)),
        ("7 мая 2024", date(2024, 5, 7)),
        ("7-May-2024", date(2024, 5, 7)),
        ("Monday, May 6th, 2024", date(2024, 5, 6)),
        ("Mon, 06 May 2024 10:11:12 +0200", date(2024, 5, 6)),
        ("2024年5月6日", date(2024, 5, 6)),
        ("2024년 5월 6일", date(2024, 5, 6)),
        ("1714989072", date(2024, 5, 6)),
        (1714989072000, date(2024, 5, 6)),
        ("7 people 2024", None),
        ("May 2024", None),
        ("12 of 31 2024", None),
        ("17149890720", None),
        ("12/31/2024, 18:30", date(2024, 12, 31)),
        ("17-3-2025", date(2025, 3, 17)),
        ("04/04/2025", date(2025, 4, 4)),
        ("[[Jan 15th, 2026]]", date(2026, 1, 15)),
        ("[[2026_01_15]] in the evening", date(2026, 1, 15)),
        ("January 1st, 2026", date(2026, 1, 1)),
        ("2nd August 2026", date(2026, 8, 2)),
        ("202611221530", date(2026, 11, 22)),
        ("20261122T101112Z", date(2026, 11, 22)),
        ("2026-13-45", None),
        ("2024-12", None),
        ("2024-11", None),
        ("2024/11", None),
        ("2024.1", None),
        ("202412", None),
        (202412, None),
        ("2024-111", None),
        ("2024-1/12", None),
        ("2024", None),
        ("12/11/2026", None),
        ("1-2-2026", None),
        ("31/31/2026", None),
        ("12/13-2026", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_common_date_formats(written: object, day: date | None) -> None:
    """Unambiguous dates are parsed, others are ignored."""
    assert date_of(written) == day


def test_created_replaces_missing_or_invalid_date() -> None:
    """The first valid date counts, in the order date, created, updated."""
    assert read_front_matter("---\nupdated: 2026-03-03\ncreated: 2026-01-01\n---\n").date == date(2026, 1, 1)
    assert read_front_matter("---\ndate: 2026-99-99\ncreated: 2026-01-01\n---\n").date == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("stem", "day"),
    [
        ("2026-11-22", date(2026, 11, 22)),
        ("2026-11-22-foo", date(2026, 11, 22)),
        ("20261122", date(2026, 11, 22)),
        ("202611221530 zettel", date(2026, 11, 22)),
        ("2026_11_22_x", date(2026, 11, 22)),
        ("12345678", None),
        ("10101010", None),
        ("2026-1122", None),
        ("202611229", None),
        ("note 2026-11-22", None),
    ],
)
def test_date_from_start_of_name(stem: str, day: date | None) -> None:
    """Daily notes carry their date in their name; other numbers do not."""
    assert date_in_name(stem) == day


@pytest.mark.parametrize(
    "broken", ["a: b: c", "\t- x: {", "a: &b [*b, *b", "He said: wait: what?\nAnd then: *nothing* more"]
)
def test_broken_front_matter_stays_in_text(broken: str) -> None:
    """If no entry can be read and no key is known, the block is text but not markup."""
    front = read_front_matter(f"---\n{broken}\n---\nBody\n")

    assert front == FrontMatter(body_line=1, markup_line=broken.count("\n") + 4)


@pytest.mark.parametrize(
    ("bad", "unread"),
    [
        ("path: `C:\\notes`", "path"),
        ("summary: 50 % off: today", "summary"),
        ("author: @ana", "author"),
        ("rating: *****", "rating"),
        ("cover: [[attachments/a.png]", "cover"),
        ("quote: 'it's late", "quote"),
        ("no key at all, but words", "no key at all, but words"),
        ('up: "[[Home]]" and more', "up"),
        ("list:\n  - fine\n  - {broken", "list"),
        ("a b c d e f: x: y", "a b c d e f: x: y"),
    ],
)
def test_invalid_line_is_skipped_alone(bad: str, unread: str) -> None:
    """Title, tags and date are read despite invalid lines, which are named."""
    text = f"---\ntitle: 'Rye: a beginning'\n{bad}\ntags: [bread, oven]\ndate: 2025-02-06\n---\n# Rye\n"

    front = read_front_matter(text)

    assert (front.title, front.tags, front.date) == ("Rye: a beginning", ("bread", "oven"), date(2025, 2, 6))
    assert front.unread == (unread,)
    assert front.body_line == text.split("\n").index("# Rye") + 1


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Sourdough: a beginning", "Sourdough: a beginning"),
        ("*Moonlit* walk", "*Moonlit* walk"),
        ("[Draft] On rye", "[Draft] On rye"),
        ("`kb init` and after", "`kb init` and after"),
        ("@home", "@home"),
        ('"unclosed', "unclosed"),
        ("[unclosed", "unclosed"),
        ("100 % rye: why", "100 % rye: why"),
        ("!important rye", "!important rye"),
        ("'It's rye'", "It's rye"),
        ("'It's rye' and 'oats'", "'It's rye' and 'oats'"),
        ('"She said "no" twice"', 'She said "no" twice'),
        ('"Rye" and "oats"', '"Rye" and "oats"'),
        ('"On "rye"', '"On "rye"'),
    ],
)
def test_title_that_is_not_yaml_is_kept(written: str, title: str) -> None:
    """People write titles without quotes."""
    front = read_front_matter(f"---\ntitle: {written}\ntags:\n- a\n- b\n---\n")

    assert (front.title, front.tags, front.unread) == (title, ("a", "b"), ("title",))


@pytest.mark.parametrize(
    ("block", "title", "tags", "unread"),
    [
        (" title: Rye\n tags: [oven]\ndate: 2025-02-06", "Rye", ("oven",), ("title", "tags")),
        ("title: Rye bread\n  tags: [oven]\ndate: 2025-02-06", "Rye bread", ("oven",), ("tags",)),
        (
            " title: Rye\n tags:\n  - oven\n  - b: c: d\n date: 2025-02-06",
            "Rye",
            ("oven", "b: c: d"),
            ("title", "tags", "date"),
        ),
        ("title:Rye\ntags:[oven]\ndate: 2025-02-06", "Rye", ("oven",), ("title", "tags")),
        ("author:\n  title: Dr.\n  name: *x\ntitle: Rye\ndate: 2025-02-06", "Rye", (), ("author",)),
    ],
)
def test_keys_that_are_indented_or_lack_a_blank(
    block: str, title: str, tags: tuple[str, ...], unread: tuple[str, ...]
) -> None:
    """Known ones are read all the same, and named; one below a key without a value is not the note's."""
    front = read_front_matter(f"---\n{block}\n---\nBody\n")

    assert (front.title, front.tags, front.date) == (title, tags, date(2025, 2, 6))
    assert front.unread == unread


def test_lists_that_are_not_yaml_keep_items() -> None:
    """A tag with a mark of YAML in front, and a list whose bracket is never closed."""
    assert read_front_matter("---\ntags:\n  - bread\n  - @oven\ntitle: T\n---\n").tags == ("bread", "@oven")
    assert read_front_matter("---\ntags: [bread, oven\ntitle: T\n---\n").tags == ("bread", "oven")


def test_toml_with_mistake_keeps_other_values() -> None:
    """The invalid line is named, and the other values are read."""
    front = read_front_matter('+++\ntitle = "T"\ndate = 2026-99-99\nweight = ten\ntags = ["a"]\n+++\nBody\n')

    assert (front.title, front.tags, front.date, front.unread) == ("T", ("a",), None, ("date", "weight"))


@pytest.mark.parametrize(
    ("bad", "unread"),
    [("weight =", "weight"), ("list = [1,", "list"), ('about = """Rye', "about"), ("about = Rye", "about")],
)
@pytest.mark.parametrize("place", [0, 3])
def test_toml_with_one_mistake_anywhere(bad: str, unread: str, place: int) -> None:
    """Also if the parser notices it only at the end of the block."""
    lines = ['title = "T"', "date = 2026-01-02", 'tags = ["a"]']
    lines.insert(place, bad)

    front = read_front_matter("\n".join(("+++", *lines, "+++", "Body")))

    assert unread in front.unread
    assert (front.title, front.date, front.tags) == ("T", date(2026, 1, 2), ("a",))


def test_toml_values_without_quotes_are_kept() -> None:
    """As plain text, or as the items of a list."""
    front = read_front_matter("+++\ntitle = Rye: a beginning\ntags = [bread, oven]\n+++\n")

    assert (front.title, front.tags, front.unread) == ("Rye: a beginning", ("bread", "oven"), ("title", "tags"))


def test_second_front_matter_block_is_read() -> None:
    """A program that prepends its own block does not hide the note's; its own keys win."""
    text = (
        "---\npermalink: garden/x\ntags: [first]\n---\n\n---\nname: x\ntags: [garden]\ndate: 2025-04-05\n---\n# Heap\n"
    )

    front = read_front_matter(text)

    assert (front.tags, front.date, front.body_line) == (("first",), date(2025, 4, 5), 11)
    assert read_front_matter("---\ntitle: T\n---\n\n---\nText between rules.\n---\n").body_line == 4


@pytest.mark.parametrize(
    "text",
    ["", "Body", "---", "---\nno end", "----\na: b\n----\n", "text\n---\na: b\n---\n", "---\nA paragraph.\n---\nBody"],
)
def test_text_that_only_looks_like_front_matter(text: str) -> None:
    """A horizontal rule at the top of a text is not a fence."""
    assert read_front_matter(text) == FrontMatter()


def test_empty_front_matter_is_skipped() -> None:
    """Two fences with nothing between them are not text."""
    assert read_front_matter("---\n---\nBody").body_line == 3


def test_hostile_front_matter_is_harmless() -> None:
    """Deep nesting, multiplying aliases, objects and huge blocks give no metadata and no harm."""
    deep = "---\na: " + "[" * 30_000 + "\n---\n"
    bomb = "---\na: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    huge = "---\ntitle: x\nfill: " + "y" * 70_000 + "\n---\n"
    objects = "---\ntitle: !!python/object/apply:os.system ['exit 1']\ntags: [a]\n---\n"

    assert read_front_matter(deep) == FrontMatter(markup_line=4)
    assert read_front_matter(f"{bomb}---\n").tags == ()
    assert read_front_matter(huge) == FrontMatter()
    assert (read_front_matter(objects).title, read_front_matter(objects).tags) == ("", ("a",))


def test_values_are_single_clean_lines() -> None:
    """Escapes in YAML bring no control characters or line ends into a title."""
    assert read_front_matter('---\ntitle: "a\\x1b[31m\\nb\\u0085c"\n---\n').title == "a [31m b c"
    assert read_front_matter("---\ntitle: \ufeffSeed\u00ads\u200b\n---\n").title == "Seeds"


@given(st.text(alphabet="ab:-[]{}&*!|>#'\"\n \t,?%@`0", max_size=80), st.sampled_from(["---", "+++"]))
def test_any_front_matter_is_read_without_error(block: str, fence: str) -> None:
    """Whatever is between the fences, lines never point outside the text."""
    text = f"{fence}\n{block}\n{fence}\nBody"

    front = read_front_matter(text)

    assert 1 <= front.body_line <= front.markup_line <= text.count("\n") + 2


@pytest.mark.parametrize(
    ("text", "title", "tags", "day"),
    [
        ("% The Mill\n% Ada; Bob\n% 6 May 2024\n\nText", "The Mill", (), date(2024, 5, 6)),
        ("% The Mill\n\nText", "The Mill", (), None),
        (
            "Title: The Mill: a walk\nDate: 2024-05-06 10:20\nSlug: x\nTags: a, b\n\nText",
            "The Mill: a walk",
            ("a", "b"),
            date(2024, 5, 6),
        ),
        ("% a\ntext\n\nText", "", (), None),
        ("% a\n% b\n% c\n% d\n\nText", "", (), None),
        ("Title: The Mill\nwhich turns\nDate: 2024-05-06\n\nText", "", (), None),
        ("Title: The Mill\nNote: it turns\n\nText", "", (), None),
    ],
)
def test_metadata_without_fence(text: str, title: str, tags: tuple[str, ...], day: date | None) -> None:
    """Those of Pandoc, MultiMarkdown and Pelican are read, and stay part of the text."""
    front = read_front_matter(text)

    assert (front.title, front.tags, front.date, front.body_line, front.says) == (title, tags, day, 1, False)


@pytest.mark.parametrize(
    ("text", "title", "tags"),
    [
        ('---json\n{"title": "Mill", "tags": ["a", "b"]}\n---\nText', "Mill", ("a", "b")),
        ("---yaml\ntitle: Mill: a walk\ntags: [a]\n---\nText", "Mill: a walk", ("a",)),
        ("---yml  \ntitle: Mill\n...\nText", "Mill", ()),
        ('---toml\ntitle = "Mill"\ntags = ["a"]\n---\nText', "Mill", ("a",)),
        ('---toml\ntitle = "Mill\ntags = ["a"]\n---\nText', "Mill", ("a",)),
        ("---js\n{title: 'Mill'}\n---\nText", "", ()),
        ("---json and more\ntitle: Mill\n---\nText", "", ()),
    ],
)
def test_fences_that_name_their_language(text: str, title: str, tags: tuple[str, ...]) -> None:
    """As Eleventy takes them; JavaScript is not read."""
    front = read_front_matter(text)

    assert (front.title, front.tags) == (title, tags)
    assert text.split("\n")[front.body_line - 1] == ("Text" if title else text.split("\n", maxsplit=1)[0])


@pytest.mark.parametrize("above", ["", "\n\n"])
@pytest.mark.parametrize(
    ("text", "title", "tags", "line"),
    [
        ('{\n  "title": "Mill",\n  "Tags": ["a", "b"],\n  "weight": 3\n}\n\nText', "Mill", ("a", "b"), 6),
        ('{"title": "A } {b}", "tags": "a, b"}\nText', "A } {b}", ("a", "b"), 2),
        ('{"title": "Mill"}', "Mill", (), 2),
        ('{"title": "Mill"} and more\nText', "", (), 1),
        ('{"title": "Mill",}\nText', "", (), 1),
        ('{"note": "Mill"}\nText', "", (), 1),
        ("{{ title }}\nText", "", (), 1),
        ("{" * 20_000, "", (), 1),
        ('{"title":' * 20_000, "", (), 1),
    ],
)
def test_json_at_the_top(text: str, title: str, tags: tuple[str, ...], line: int, above: str) -> None:
    """An object with a key that is known is front matter, as Hugo takes it."""
    front = read_front_matter(above + text)

    assert (front.title, front.tags) == (title, tags)
    assert front.body_line == line + (len(above) if title else 0)


def test_front_matter_below_blank_lines() -> None:
    """It is read if it has a key that is known; else the rule above it is one."""
    front = read_front_matter("\n  \n---\ntitle: Mill\n---\nText")
    assert (front.title, front.body_line) == ("Mill", 6)
    assert read_front_matter("\n---\nnote: that\n---\nText").body_line == 1
