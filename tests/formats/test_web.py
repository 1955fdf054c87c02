"""Web pages as people save them: tables that lay out, tags left open, old encodings, teasers beside the text."""

from __future__ import annotations

import random
import re
from functools import partial
from operator import mul

import pytest
from growth import is_linear

from kb.formats.builder import TextBuilder
from kb.formats.html import extract, parsed
from kb.sandbox.protocol import Limits

SOUP = "p div table tr td th li ul ol b font a h1 pre dl dt dd caption tbody thead article hr br center span"


def text(page: str | bytes) -> str:
    """What a page says, its pieces with a slash between them."""
    builder = TextBuilder(10_000_000)
    extract("x.html", page.encode() if isinstance(page, str) else page, builder, Limits())
    return " / ".join(line for line in builder.build().text.split("\n") if line)


def row(cells: str) -> str:
    """A table of one row."""
    return f"<table><tr>{cells}</tr></table>"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("<td><p>Name</p></td><td><p>Value</p></td>", "Name | Value"),
        (
            "<td>Left</td><td><font size=2>Hello dear friend,<p>the meeting is moved</font></td>",
            "Left | Hello dear friend, the meeting is moved",
        ),
        ("<td>1</td><td><b>Order number 4711<ul><li>x</li></ul></b></td>", "1 | Order number 4711 / - x"),
        ("<td>1</td><td><h2>Order</h2>of <i>May</i></td><td>paid</td>", "1 / Order / of May | paid"),
        (
            f"<td>logo</td><td>Dear Anna, {row('<td>inner</td><td>table</td>')} after</td><td>third</td>",
            "logo | Dear Anna, / inner | table / after | third",
        ),
        (
            f"<td>menu</td><td><p>{'One word. ' * 15}</p><p>{'Two words. ' * 15}</p></td><td>end</td>",
            f"menu / {('One word. ' * 15).strip()} / {('Two words. ' * 15).strip()} / end",
        ),
    ],
)
def test_all_words_of_cells_are_kept(cells: str, said: str) -> None:
    """Paragraphs stay in their row; headings, lists, other tables and prose end it and stand alone."""
    assert text(row(cells)) == said
    assert " / ".join(piece.text for piece in parsed(row(cells)).pieces) == said


def test_invalid_byte_does_not_change_encoding_of_page() -> None:
    """A page is read in the encoding it names."""
    page = '<meta charset="utf-8"><p>Grüße, Größe'.encode() + b"\xff</p>"
    assert text(page) == "Grüße, Größe\ufffd"
    assert text(b'<meta charset="iso-8859-1"><p>it\x92s \x80 5</p>') == "it\u2019s € 5"


def test_teaser_articles_are_not_main_text() -> None:
    """What calls itself the main text is it where most of the text stands in it."""
    teaser, body = "A teaser. " * 30, "The page itself. " * 40
    assert text(f"<p>{body}</p><article>{teaser}</article>") == f"{body.strip()} / {teaser.strip()}"
    assert text(f"<p>{teaser}</p><article>{body}</article>") == body.strip()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<table><tr><td>Name<td>Value<tr><td>alpha<td>beta</table>after", "Name | Value / alpha | beta / after"),
        ("<table><thead><tr><th>A<th>B<tbody><tr><td>1<td>2</table>", "A | B / 1 | 2"),
        ("<table><caption>Ducks<tr><td>1<td>2</table>", "Ducks / 1 | 2"),
        ("<table><td>1<td>2<tr><td>3</table>", "1 | 2 / 3"),
        (f"<table><tr><td>1<td>a{row('<td>in<td>ner')}b<td>c</table>", "1 | a / in | ner / b | c"),
        ("<td>no table</td><td>around</td>", "no table | around"),
        ("<p hidden>x<p>visible", "visible"),
        ("<p>one<p>two<div>three</div>four", "one / two / three / four"),
        ("<p>one<noscript><p>unseen</noscript> two<hr>three", "one two / three"),
        ("<p>a<ul><li>one<li>two<ul><li>deep</ul><li>three</ul>b", "a / - one / - two / - deep / - three / b"),
        ("<dl><dt>Duck<dd>A bird<dt>Dog<dd>No bird</dl>", "Duck / A bird / Dog / No bird"),
        ("<h1>One<h2>Two</h2>three", "One / Two / three"),
        # An end tag in a cell ends nothing around the table.
        ("<font><table><tr><td>x</font>y<td>z</table></font>", "xy | z"),
        (
            "".join(f"<p><a name=p{at}>Paragraph {at}</p>" for at in range(6)),
            " / ".join(f"Paragraph {at}" for at in range(6)),
        ),
        ("".join(f"<p><a href=/{at}>Menu {at}" for at in range(6)) + "<p><a>Text", "Text"),
    ],
)
def test_omitted_end_tags(page: str, said: str) -> None:
    """Elements end where browsers have them end."""
    assert text(page) == said


def test_unclosed_elements_take_linear_time() -> None:
    """The time does not grow with the square of what was left open."""
    for piece in ("<p>a", "<b><p>a</p>"):
        assert text(piece * 1_000) == " / ".join(["a"] * 1_000)
        assert is_linear(text, partial(mul, piece), 3_200)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ('<math alttext="E=mc^2"><mi>E</mi></math>', "E=mc^2"),
        (
            "<math><mi>E</mi><annotation encoding='application/x-tex'>E = mc^2</annotation></math>",
            "E = mc^2",
        ),
        ("<math><mi>E</mi> <mo>=</mo> <mi>m</mi><annotation encoding=text/x>no</annotation></math>", "E = m"),
        ("<span hidden><math alttext=x></math></span>", ""),
    ],
)
def test_formulas(formula: str, said: str) -> None:
    """A formula is told as its author wrote it, where the page has that, else by its signs."""
    assert text(f"<p>Energy is {formula}.") == f"Energy is {said}."


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("<img src=x alt='A heron on the weir'>", "Ponds: A heron on the weir."),
        ("<img src=x alt='A heron&#10; on the weir'/>", "Ponds: A heron on the weir."),
        ("<a href=/><img alt=Heron></a>", "Ponds: Heron."),
        ("<img src=x alt='weir.jpg'>", "Ponds: ."),
        ("<img src=x alt='Image 12'>", "Ponds: ."),
        ("<img src=x alt=''>", "Ponds: ."),
        ("<img src=x alt>", "Ponds: ."),
        ("<img alt=Heron hidden>", "Ponds: ."),
        ("<img alt=Heron aria-hidden=true>", "Ponds: ."),
        ("<noscript><img alt=Heron></noscript>", "Ponds: ."),
    ],
)
def test_alternative_texts(picture: str, said: str) -> None:
    """A picture says what its alternative text says, where it is one and the picture is seen."""
    assert re.sub(r"\s+(?=\.)", "", text(f"<p>Ponds: {picture}.")).replace(":.", ": .") == said


def test_aside_in_main_is_kept() -> None:
    """What stands aside in the main element belongs to it; beside it, it is a menu."""
    aside = "<aside>Mind the ducks.</aside>"
    assert text(f"{aside}<main><p>Ponds.</p>{aside}</main>") == "Ponds. / Mind the ducks."
    assert text("<article><p>Ponds.</p><div role=complementary>Mind.</div></article>") == "Ponds. / Mind."


@pytest.mark.parametrize("seed", range(300))
def test_tag_soup_keeps_all_words(seed: int) -> None:
    """Whatever is opened and closed in whatever order, every word is there once and in its place."""
    pick = random.Random(seed)
    tags = re.findall(r"\w+", SOUP)
    words = [f"w{at}" for at in range(12)]
    soup = "".join(
        "".join(f"<{pick.choice(['', '/'])}{pick.choice(tags)}>" for _ in range(pick.randrange(5))) + f" {word} "
        for word in words
    )
    assert [word for piece in parsed(soup).pieces for word in re.findall(r"w\d+", piece.text)] == words


@pytest.mark.parametrize(
    ("page", "title", "said"),
    [
        ("<svg><title>Close menu</title></svg><h1>Prune a quince</h1>", "", "Prune a quince"),
        ("<body><svg><g><title>Icon</title></g></svg><title>Quince</title><p>Cut.</p>", "Quince", "Cut."),
        ("<title>Forum</title><x-a><template shadowrootmode=open><h1>Canoe</h1></template>", "Forum", "Canoe"),
        ("<body><math><title>Sum</title></math><h1>Medlar</h1>", "", "Medlar"),
        ("<template><title>Card</title></template><noscript><title>No</title></noscript><p>Sloe", "", "Sloe"),
        ("<p>now</p><template><p>later</p></template>", "", "now"),
        ("<x-a><template shadowmode=open><p>saved</p></template></x-a>", "", "saved"),
        ("<svg:svg><svg:title>Search</svg:title></svg:svg><h1>Medlar</h1>", "", "Medlar"),
        ("<p>a <x-a><template shadowrootmode=open><b>tip</b></template>slot</x-a>ted", "", "a tip slotted"),
        (
            "<x-a><template shadowrootmode=closed><p>outer</p><x-b><template shadowroot=open>inner</template></x-b>",
            "",
            "outer / inner",
        ),
    ],
)
def test_icons_and_shadow_roots(page: str, title: str, said: str) -> None:
    """The title of an icon is none of the page; what stands in a shadow root is part of it, other templates are not."""
    builder = TextBuilder(10_000)
    extract("x.html", page.encode(), builder, Limits())
    found = builder.build()

    assert " / ".join(line for line in found.text.split("\n") if line) == said
    assert found.title == title


def context(page: str) -> list[tuple[int, int, str]]:
    """The names of columns that a page tells its rows."""
    builder = TextBuilder(1_000_000)
    extract("x.html", page.encode(), builder, Limits())
    return builder.build().context


def test_header_row_is_context_of_rows() -> None:
    """Up to the end of their table; a row that begins with its own name has none, and neither has a table without."""
    head = "<tr><th>Article<th>Price</tr>"
    rows = "".join(f"<tr><td>bolt {number}<td>{number}</tr>" for number in range(3))
    page = (
        f"<h1>S</h1><table>{head}{rows}</table><p>After.</p><table>{rows}</table>"
        f"<table>{head}</table><table>{rows}</table>"
    )

    assert context(page) == [(4, 6, "Article | Price")]
    assert context(f"<table><tr><th>a<td>b</tr>{rows}</table>") == []


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("<thead><tr><td>Article<td>Price</tr></thead>", [(2, 4, "Article | Price")]),
        ("<tr><td><b>Article</b><td><p><strong>Net</strong> <b>price</b></p></tr>", [(2, 4, "Article | Net price")]),
        ("<tr><th>Article<th colspan=2>Price</tr><tr><th>No.<th>net</tr>", [(3, 5, "Article | Price | No. | net")]),
        ("<tr><th rowspan=2>Article<th>Price</tr><tr><th>net</tr>", [(3, 5, "Article | Price | Article | net")]),
        ("<tr><td><b>Article</b><td>Price</tr>", []),
        (
            "<tr><td style='font-weight: 700'>Article<td><p style='font-weight:bold'>Price</p></tr>",
            [(2, 4, "Article | Price")],
        ),
        ("<tr><td style='font-weight:400'>Article<td>Price</tr>", []),
        ("<tr><td><th>Net<th>Gross</tr>", [(2, 4, "Net | Gross")]),
        ("<tr><td>2024<th>Net<th>Gross</tr>", []),
    ],
)
def test_header_rows_without_header_cells(head: str, said: list[tuple[int, int, str]]) -> None:
    """Rows in the head of a table, a first row in bold, and several rows that are one header."""
    rows = "".join(f"<tr><td>bolt {number}<td><b>{number}</b></tr>" for number in range(3))

    assert context(f"<table>{head}{rows}</table>") == said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "<tr><td rowspan=3>Glen<td>Upper<tr><td>Middle<tr><td>Lower<tr><td>Strath<td>End",
            "Glen | Upper / Glen | Middle / Glen | Lower / Strath | End",
        ),
        ("<tr><td>a<td rowspan=2>b<td>c<tr><td>d<td>e", "a | b | c / d | b | e"),
        ("<tr><td rowspan=0>all<td>1<tr><td>2</table><table><tr><td>3", "all | 1 / all | 2 / 3"),
        ("<tr><td colspan=2 rowspan=2>wide<td>1<tr><td>2<tr><td>x<td>y<td>z", "wide | 1 / wide | 2 / x | y | z"),
        ("<tr><td rowspan=2><td>1<tr><td>2", "1 / 2"),
        (f"<tr><td rowspan=2>{'long ' * 90}<td>1<tr><td>2", f"{('long ' * 90).strip()} | 1 / 2"),
        ("<tr><td rowspan=x>a<td>1<tr><td>2", "a | 1 / 2"),
    ],
)
def test_cells_over_several_rows(rows: str, said: str) -> None:
    """A value stands in each row that it covers, at its column; prose that lays out does not."""
    assert text(f"<table>{rows}</table>") == said


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            "<p><ruby>\u56f3<rp>(</rp><rt>\u3068</rt><rp>)</rp>\u66f8<rt>\u3057\u3087</rt></ruby>\u3078</p>",
            "\u56f3\u66f8\u3078 (\u3068\u3057\u3087)",
        ),
        (
            "<p><ruby>\u6771<rt>tou<rb>\u4eac<rt>kyou</ruby> is <ruby>\u57ce<rt>shiro</ruby>.",
            "\u6771\u4eac is \u57ce. (toukyou shiro)",
        ),
        ("<table><tr><td><ruby>\u6771<rt>tou</ruby><td>b</table>", "\u6771 (tou) | b"),
        (
            "<p><ruby><rb>\u65e7<rb>\u91d1<rtc><rt>ji<rt>jin</rtc><rtc>Old gold</rtc></ruby>\u5c71",
            "\u65e7\u91d1\u5c71 (jijinOld gold)",
        ),
    ],
)
def test_ruby_readings_follow_words(page: str, said: str) -> None:
    """Not inside them; end tags may be left out."""
    assert text(page) == said


def test_parent_items_are_context_of_nested_items() -> None:
    """However deep they are nested; what stands beside or below the list is told nothing."""
    html = (
        "<p>Our boats.<ul><li>Rowing boats<p>They lie at the pier.</p><ul><li>Heron<ol><li>oars of ash</ol>"
        "<li>Grebe</ul><li>Canoes<ul><li>Otter</ul></ul><p>Ask before you go."
    )
    builder = TextBuilder(1_000_000)
    extract("x.html", html.encode(), builder, Limits())
    found = builder.build()
    lines = found.text.split("\n")

    above = {
        text: [said for first, last, said in found.context if first <= at <= last]
        for at, text in enumerate(lines, 1)
        if text
    }
    assert above == {
        "Our boats.": [],
        "- Rowing boats": [],
        "They lie at the pier.": ["Rowing boats"],
        "- Heron": ["Rowing boats"],
        "- oars of ash": ["Rowing boats", "Heron"],
        "- Grebe": ["Rowing boats"],
        "- Canoes": [],
        "- Otter": ["Canoes"],
        "Ask before you go.": [],
    }


def test_context_of_deep_lists_is_limited() -> None:
    """What is told of each line has an end where its depth has none."""
    builder = TextBuilder(10_000_000)
    extract("x.html", b"<ul><li>a" * 3_000, builder, Limits())
    found = builder.build()

    assert len(found.context) <= 20
    assert found.text.count("- a") == 3_000


@pytest.mark.parametrize(
    ("meta", "day"),
    [
        ('itemprop="created" content="20240506T101112Z"', "2024-05-06"),
        ('property="article:published_time" content="2024-05-06T10:11:12Z"', "2024-05-06"),
        ('name="created" content="May"', ""),
    ],
)
def test_day_of_a_page(meta: str, day: str) -> None:
    """As publishers write it, and as Evernote exports it."""
    builder = TextBuilder(1_000_000)
    extract("x.html", f"<title>t</title><meta {meta}><p>Quince</p>".encode(), builder, Limits())

    assert builder.build().date == day
