"""Tags, links, block ids and properties in the lines of Markdown notes."""

from __future__ import annotations

import pytest
from growth import is_linear
from hypothesis import given
from hypothesis import strategies as st

from kb.chunking.split import Chunker
from kb.formats.markdown import parse_markdown, read_inline
from kb.formats.text import extract
from kb.records import Link, Name
from kb.testing import FakeTokens


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#one and #two/three, #four-5 (#six) #sieben_ä", ("one", "two/three", "four-5", "six", "sieben_ä")),
        ("#日本語、と #हिन्दी #🚀launch #über", ("日本語", "हिन्दी", "🚀launch", "über")),
        ("#2026 #1-2 #12a #- #/ # alone ## two", ("12a",)),
        ('word#no \\#no a/#no "#no" [#no](x) &#35; #no-punct.rest', ("no-punct",)),
        ("# Heading #tag\n## Not#this\n#line-start\n", ("tag", "line-start")),
        ("`#no` ``#no ` #no`` `a\nb #no` #yes", ("yes",)),
        ("```\n#no\n```\n\n    #no\n\n#yes\n", ("yes",)),
        ("`unclosed #yes\n\n#also `", ("yes", "also")),
        ('https://x.y/#no [a](b.md#no) [[b#no]] <a href="#no">#yes</a> <#no>', ()),
        ("[a #no b](c.md) ![#no](d.png)\n\n[x]: #no", ()),
        ("text #[[Two words]] and #[[One]]", ("Two words", "One")),
        ("#a #b #a", ("a", "b")),
        (
            "#\u06a9\u062a\u0627\u0628\u200c\u0647\u0627 #gua\u200bnaco #mo\u2060a\u200b #👩\u200d🌾 #a\u2014b",
            (
                "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627",
                "gua\u200bnaco",
                "mo\u2060a\u200b",
                "👩\u200d🌾",
                "a",
            ),
        ),
        ("#`code` #b`code`", ("b",)),
        ("#tail/ #a//b", ("tail", "a//b")),
        ("> quoted #q\n- item #i\n\n| #t | x |\n|---|---|\n| #u | y |\n", ("q", "i", "t", "u")),
        ("#" + "x" * 201, ()),
    ],
)
def test_tags_follow_the_rules_of_obsidian(text: str, tags: tuple[str, ...]) -> None:
    """A tag begins a word and has a letter; code, links, addresses and headings hold none."""
    assert parse_markdown(text).tags == tags


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("[[A]] [[B|b]] ![[img.png|300]]", [("A", "wiki", False), ("B", "wiki", False), ("img.png", "wiki", True)]),
        (
            "[[A#Part|x]] [[#Here]] [[A#^id]]",
            [("A#Part", "wiki", False), ("#Here", "wiki", False), ("A#^id", "wiki", False)],
        ),
        ("| [[A\\|a]] |", [("A", "wiki", False)]),
        ("[x](../y.md#z) ![p](p%20q.png)", [("../y.md#z", "path", False), ("p%20q.png", "path", True)]),
        ('[x](<a b.md>) [x](a(1).md "title")', [("a b.md", "path", False), ("a(1).md", "path", False)]),
        ("[![alt](pic.png)](page.md)", [("pic.png", "path", True), ("page.md", "path", False)]),
        ("[over\ntwo lines](y.md)", [("y.md", "path", False)]),
        ("[ref]: sub/z.md 'T'\n[^1]: a footnote\n", [("sub/z.md", "path", False)]),
        ("[ref]: <a b.md> (T)\n[s]: y.md\n'of two\nlines'\n", [("a b.md", "path", False), ("y.md", "path", False)]),
        ("[t]: z.md \"of\ntwo lines\"\n[u]: w.md 'a \\'b'\n", [("z.md", "path", False), ("w.md", "path", False)]),
        ('[WARN]: disk full today\n[12:30]: hello there\n[x]: a "b" c\n[y]: <a> b\n[z]: a \'b\n', []),
        ('[sic](see the note) [x](a b.md) [x](a b "c") [x](a "b) [x](<a> b) [x](a"b" c)\n', []),
        ('[x](a "title") [x](b \'it\') [x](c (t)) [x](\n d\n"e \\" f" )', [(n, "path", False) for n in "abcd"]),
        ("![x](a.png =200x) ![x](b.png =10x20)", [("a.png", "path", True), ("b.png", "path", True)]),
        ("[w](https://x.y) <https://x.y> [m](mailto:a@b.c) [r]: //x.y\n", []),
        ("`[[no]]` [no]\n\n](no.md)\n\n    [[no]]\n", []),
        ('<img src="a b.png"> <a href=c.md>', [("a b.png", "path", True), ("c.md", "path", False)]),
        (
            "((5f1c2d3e-0000-4000-8000-123456789abc)) {{embed [[P]]}}",
            [("5f1c2d3e-0000-4000-8000-123456789abc", "id", False), ("P", "wiki", True)],
        ),
        ("[](empty) []() [[]] [[ ]]", [("empty", "path", False)]),
    ],
)
def test_every_link_style(text: str, links: list[tuple[str, str, bool]]) -> None:
    """Wikilinks, Markdown's own, HTML's and Logseq's are found as they are written; the web and code are left out."""
    found = parse_markdown(text).links

    assert sorted((link.target, link.style, link.embeds) for link in found) == sorted(links)


def test_links_have_their_lines_and_front_matter_has_links() -> None:
    """Properties of Obsidian link too; a tag in front matter's text is none."""
    text = '---\nup: "[[Index]]"\nnote: x #no\n---\n\nSee [[A]],\nand [b](b.md).\n'

    document = extract("n.md", text.encode())

    assert document.links == (Link("Index", 2, "wiki"), Link("A", 6, "wiki"), Link("b.md", 7, "path"))
    assert document.tags == ()


def test_tags_of_front_matter_and_text_are_joined() -> None:
    """Both count, each once, front matter first."""
    assert extract("n.md", b"---\ntags: [a, b]\n---\n#b #c/d\n").tags == ("a", "b", "c/d")


def test_block_ids_and_properties_name_lines_and_are_not_embedded() -> None:
    """What a note-taking program writes for itself stays in the passage and is kept from the model."""
    text = (
        "title:: The page\nalias:: One, [[Two]]\ntags:: x, [[y z]]\ndate:: [[2026-01-15]]\n\n"
        "- A thought\n  id:: 5f1c2d3e\n  collapsed:: true\n  :LOGBOOK:\n  CLOCK: [2026]\n  :END:\n- More ^abc-1\n"
    )

    document = extract("pages/p.md", text.encode())
    (passage,) = Chunker(FakeTokens(), 64).split(document)

    assert (document.title, document.aliases) == ("The page", ("One", "Two", "The page"))
    assert (document.tags, str(document.date)) == (("x", "y z"), "2026-01-15")
    assert document.names == (Name("block", "5f1c2d3e", 7), Name("block", "abc-1", 12))
    assert passage.text == text.rstrip("\n")
    assert [line.strip() for line in passage.embedded.split("\n") if line.strip()][-2:] == ["- A thought", "- More"]


@pytest.mark.parametrize("name", ["tags", "tag", "TAG", "Tags"])
def test_page_tags_from_both_properties(name: str) -> None:
    """Logseq takes the singular too, and whatever case."""
    assert extract("pages/p.md", f"{name}:: bread, [[sour dough]]\n\n- flour\n".encode()).tags == (
        "bread",
        "sour dough",
    )


def test_code_in_property_value_is_kept() -> None:
    """A title of Logseq is what stands there."""
    assert extract("p.md", b"title:: Using `jq`\n\ntext\n").title == "Using `jq`"


@pytest.mark.parametrize(
    ("path", "day", "aliases"),
    [
        ("journals/2026_01_15.md", "2026-01-15", ("2026-01-15", "Jan 15th, 2026")),
        ("journals/2026_01_01.md", "2026-01-01", ("2026-01-01", "Jan 1st, 2026")),
        ("journals/2026_01_12.md", "2026-01-12", ("2026-01-12", "Jan 12th, 2026")),
        ("daily/2026/01/15.md", "2026-01-15", ()),
        ("202601151230 Title.md", "2026-01-15", ("202601151230",)),
        ("20260115123059.md", "2026-01-15", ("20260115123059",)),
        ("pages/a___b.md", "None", ("a/b",)),
        ("pages/a%2Fb.md", "None", ("a/b",)),
        ("x/2026/13/45.md", "None", ()),
    ],
)
def test_names_from_path(path: str, day: str, aliases: tuple[str, ...]) -> None:
    """Daily notes are dated by their name; a Zettel is known by its id, a page of Logseq by its own name."""
    document = extract(path, b"text")

    assert (str(document.date), document.aliases) == (day, aliases)


PIECES = st.sampled_from(
    ["#", "`", "``", "[", "]", "[[", "]]", "(", ")", "](", "!", "|", "^a", "::", " ", "\n", "\n\n", "a", "1", "/", "<",
     ">", "\\", "((", "id:: ", ":END:", ":LOGBOOK:\n", "é", "\0", "- ", "    ",
     "`x[[y]]` ", " ^a\n", "[[b]]", "```\nx\n```\n", "#c "]
)  # fmt: skip


@given(text=st.lists(PIECES, min_size=4, max_size=40).map("".join))
def test_any_text_has_valid_inline_markup(text: str) -> None:
    """Tags, targets and names stand in the lines they are said to be on; noise lies in order inside the text."""
    outline = parse_markdown(text)
    lines = text.split("\n")

    assert all(f"#{tag}" in text or f"[[{tag}]]" in text or "::" in text for tag in outline.tags)
    assert all(link.target in "\n".join(lines[link.line - 1 :]) for link in outline.links)
    assert all(name.name in lines[name.line - 1] for name in outline.names)
    assert all(link.target in lines[link.line - 1] for link in outline.links if link.style == "wiki")
    noise = [text[start:end] for start, end in outline.noise]
    assert all(one.startswith("^") or "::" in one or one.strip().startswith(":LOGBOOK:") for one in noise)
    assert list(outline.noise) == sorted(outline.noise)


@given(words=st.lists(st.from_regex(r"[a-zé][a-zé0-9_/-]{0,8}[a-z]", fullmatch=True), max_size=8, unique=True))
def test_tags_round_trip(words: list[str]) -> None:
    """Every name with a letter is found between other words, in order and once."""
    text = " and ".join(f"#{word}" for word in words) + ", the end\n"

    assert parse_markdown(text).tags == tuple(words)


@given(
    target=st.text(
        st.characters(exclude_characters="[]|\n\r\\`#<>()\0", exclude_categories=("Cs", "Cc", "Z")), min_size=1
    )
)
def test_wikilinks_round_trip(target: str) -> None:
    """A target of any letters is found whole, on its line."""
    (link,) = parse_markdown(f"x\n\nsee [[{target}|label]] there\n").links or [None]

    assert link is None or (link.target, link.line) == (target, 3)
    assert link is not None or ":" in target or target.startswith("//")


@pytest.mark.parametrize(
    "piece",
    ["[", "[[", "](", "[a](", "#", "#a ", "`", "` ``", "<a ", "![", "((", "^a ", "a:: ", "<", "](<", "[a]: ",
     ":LOGBOOK:\n", "(#", "[x](a(", "!", '[a](b "', "[a](b ", "[a](b 'c' ", "[a]: b 'c\n", '[a]: b "c\\', "[a]: b (",
     "  ", "#[[", "\n", "- a:: b\n", ' src="', "{{embed "],
)  # fmt: skip
def test_long_text_is_read_in_linear_time(piece: str) -> None:
    """A hostile line costs a moment, whatever it repeats."""

    def read(text: str) -> None:
        read_inline(text, text.split("\n"), ())

    assert is_linear(read, lambda size: "<a " + piece * (size // len(piece)), 60_000)
