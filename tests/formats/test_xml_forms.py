"""XML that people read: feeds, articles, books and outlines; other XML stays data."""

from __future__ import annotations

import time
from functools import partial

import pytest
from growth import is_linear

from kb.formats import feed, opml, xml_article
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.registry import REGISTRY
from kb.sandbox.protocol import Extracted, Limits


def extracted(module: object, data: str | bytes) -> Extracted:
    """What an extractor makes of a file."""
    builder = TextBuilder(100_000)
    module.extract("x.xml", data.encode() if isinstance(data, str) else data, builder, Limits())  # type: ignore[attr-defined]
    return builder.build()


def places(found: Extracted) -> list[str]:
    """The names of the places."""
    return [name for _, name, _, _, _ in found.places]


RSS = """<?xml version="1.0" encoding="UTF-8"?><!-- made by hand -->
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Orchard &amp; barn</title><language>en-GB</language>
<description>News of the &lt;b&gt;orchard&lt;/b&gt;.</description>
<item><media:title>A picture</media:title><title>Pears</title><link>http://example.org/pears</link>
<pubDate>Thu, 01 Feb 2024 10:00:00 GMT</pubDate><dc:creator>Jo</dc:creator><category>fruit</category>
<category>fruit</category><description>Short.</description>
<content:encoded><![CDATA[<h3>Why</h3><p>Pears <em>ripen</em> off the tree.<script>x()</script></p>]]>
</content:encoded></item>
<item><description>No title here.</description></item></channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de">
<title type="html">Mein &lt;i&gt;Garten&lt;/i&gt;</title>
<author><name>Ada</name></author><updated>2024-02-03T10:00:00Z</updated>
<entry><title>Birnen</title><published>2024-02-01T10:00:00Z</published><link rel="self" href="http://example.org/self"/>
<link href="http://example.org/birnen"/><category term="Obst"/><summary>kurz</summary><content type="xhtml">
<div xmlns="http://www.w3.org/1999/xhtml"><p>Birnen <em>reifen</em> im Keller.</p></div></content></entry>
<entry><title>Plain</title><content type="text">a &lt; b &amp; c</content></entry></feed>
"""


def test_rss() -> None:
    """Each entry is a place with its day; the whole text is read rather than its summary, and as text."""
    found = extracted(feed, RSS)

    assert (found.title, found.language) == ("Orchard & barn", "en")
    assert places(found) == ["entry: Pears, 2024-02-01", "entry: no title"]
    assert found.text.split("\n\n") == [
        "News of the orchard.",
        "Pears",
        "Author: Jo\nCategories: fruit\nLink: http://example.org/pears",
        "Why",
        "Pears ripen off the tree.",
        "No title here.\n",
    ]


WORDPRESS = """<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Mills</title>
<item><title>Home</title><wp:post_type>nav_menu_item</wp:post_type></item>
<item><title>The wheel</title><pubDate>Mon, 30 Nov -0001 00:00:00 +0000</pubDate>
<content:encoded><![CDATA[It turns.\r\n\r\nIt is\noak.<pre>a\n\nb</pre>]]></content:encoded>
<wp:post_date>2024-02-03 10:00:00</wp:post_date><wp:post_type>post</wp:post_type>
<wp:comment><wp:comment_author>Ben</wp:comment_author><wp:comment_date>2024-02-05 11:00:00</wp:comment_date>
<wp:comment_content><![CDATA[Ours was <b>elm</b>.\n\nAnd the axle?]]></wp:comment_content>
<wp:comment_approved>1</wp:comment_approved><wp:comment_type>comment</wp:comment_type></wp:comment>
<wp:comment><wp:comment_content>Buy</wp:comment_content><wp:comment_approved>spam</wp:comment_approved></wp:comment>
<wp:comment><wp:comment_content>[...]</wp:comment_content><wp:comment_approved>1</wp:comment_approved>
<wp:comment_type>pingback</wp:comment_type></wp:comment></item>
<item><title>Draft</title><pubDate>Mon, 30 Nov -0001 00:00:00 +0000</pubDate>
<content:encoded><p>x\n\ny</p></content:encoded>
<wp:post_date>0000-00-00 00:00:00</wp:post_date><wp:post_type>page</wp:post_type></item></channel></rss>
"""


def test_export_of_wordpress() -> None:
    """Published comments are read, paragraphs are those that its pages have, and menus are left out."""
    found = extracted(feed, WORDPRESS)

    assert places(found) == ["entry: The wheel, 2024-02-03", "entry: Draft"]
    assert found.text.split("\n\n") == [
        "The wheel", "It turns.", "It is oak.", "a", "b", "Comment by Ben, 2024-02-05", "Ours was elm.",
        "And the axle?", "Draft", "x y\n",
    ]  # fmt: skip


def test_feed_of_videos() -> None:
    """What describes the media is read where the entry has no text of its own, with its lines as they are."""
    media = "<media:group><media:title>x</media:title><media:description>Of oak\nand &lt;elm&gt;.</media:description>"
    feed_ = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/"><title>Mills</title>{}</feed>'
    entry = f"<entry><title>Wheel</title>{{}}{media}</media:group></entry>".format

    assert extracted(feed, feed_.format(entry(""))).text == "Wheel\n\nOf oak\nand <elm>.\n"
    assert extracted(feed, feed_.format(entry("<summary>Own.</summary>"))).text == "Wheel\n\nOwn.\n"


def test_atom() -> None:
    """Titles in HTML, content as elements and as plain text; the address is that of the page."""
    found = extracted(feed, ATOM)

    assert (found.title, found.author, found.date, found.language) == ("Mein Garten", "Ada", "2024-02-03", "de")
    assert places(found) == ["entry: Birnen, 2024-02-01", "entry: Plain"]
    assert "Link: http://example.org/birnen\n\nBirnen reifen im Keller.\n\nPlain\n\na < b & c\n" in found.text


def test_rdf_feed() -> None:
    """In RSS 1.0 the entries stand beside the channel."""
    found = extracted(
        feed,
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
        "<channel><title>Mills</title></channel><item><title>Rye</title><description>Dark.</description></item></r:RDF>",
    )

    assert (found.title, places(found), found.text) == ("Mills", ["entry: Rye"], "Rye\n\nDark.\n")


JATS = """<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.2//EN" "JATS-archivearticle1.dtd">
<article article-type="research-article" xml:lang="en"><front><journal-meta><journal-title>J. Mills</journal-title>
</journal-meta><article-meta><article-categories><subj-group><subject>Milling</subject></subj-group></article-categories>
<title-group><article-title>Rye in <italic>mills</italic></article-title></title-group><contrib-group>
<contrib contrib-type="author"><name><surname>Poe</surname><given-names>Ada</given-names></name></contrib>
<contrib contrib-type="editor"><name><surname>Roe</surname><given-names>Ed</given-names></name></contrib>
</contrib-group>
<pub-date><day>4</day><month>3</month><year>2021</year></pub-date><pub-date><year>2022</year></pub-date>
<abstract><p>We grind.</p></abstract><kwd-group><title>Words</title><kwd>rye</kwd></kwd-group></article-meta></front>
<body><sec><label>1</label><title>Results</title><p>H<sub>2</sub>O was used.<xref>[1]</xref></p>
<sec><title>Stones</title><p>Granite <inline-formula><tex-math>\\documentclass{x}</tex-math></inline-formula>lasts.</p>
<table-wrap><caption><title>Speeds</title></caption><table><tr><th>stone</th><th>rpm</th></tr><tr><td>upper</td><td>90</td></tr>
</table></table-wrap></sec></sec></body><back><ref-list><title>References</title><ref><element-citation><name><surname>Ole</surname>
<given-names>B</given-names></name><year>1999</year><article-title>Oats</article-title></element-citation></ref></ref-list></back>
</article>
"""
DOCBOOK = """<?xml version="1.0"?>
<!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "docbookx.dtd"
[<!ENTITY prod "Turbine"> <!ENTITY big "&prod;&prod;">]>
<book lang="en"><bookinfo><title>&prod; manual</title><author><firstname>Ada</firstname><surname>Poe</surname></author>
<pubdate>2021-03-04</pubdate></bookinfo><chapter><title>Install</title>
<para>Unpack&nbsp;it &mdash; then run <command>make</command>; see &big; and &unknown;.</para>
<itemizedlist><listitem><para>first</para></listitem><listitem><para>second</para>
<itemizedlist><listitem><para>inner</para></listitem></itemizedlist></listitem></itemizedlist><programlisting>make all
  make install</programlisting><section>
<info><title>Ports</title></info><note><title>Beware</title><para>Hot.</para></note>
</section></chapter></book>
"""
TEI = """<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="de"><teiHeader><fileDesc><titleStmt><title>Briefe</title>
<author><persName>Rahel V.</persName></author></titleStmt><publicationStmt><date when="1920-05-01"/></publicationStmt>
</fileDesc></teiHeader><text><body><div type="letter"><head>An Anna</head><p>Liebe Anna, <hi>heute</hi> regnet es.</p>
<lg><l>Die Rose</l><l>im Mai</l></lg></div></body></text></TEI>
"""


def test_jats() -> None:
    """Title, authors, day and keywords; the abstract, sections, tables and references; a formula is not read as TeX."""
    found = extracted(xml_article, JATS)

    assert (found.title, found.author, found.date, found.tags) == ("Rye in mills", "Ada Poe", "2021-03-04", ["rye"])
    assert [(text, level) for text, level, _, _ in found.headings] == [
        ("Abstract", 1),
        ("1 Results", 1),
        ("Stones", 2),
        ("References", 1),
    ]
    assert found.text.split("\n\n")[1::2][:2] == ["We grind.", "H2O was used.[1]"]
    assert "Granite lasts.\n\nSpeeds\n\nstone | rpm\nupper | 90\n" in found.text
    assert found.text.endswith("\n\nOle B 1999 Oats\n")


def test_docbook() -> None:
    """Chapters, lists and listings. Entities are replaced once, by what the file says or HTML knows."""
    found = extracted(xml_article, DOCBOOK)

    assert (found.title, found.author, found.date) == ("Turbine manual", "Ada Poe", "2021-03-04")
    assert [text for text, _, _, _ in found.headings] == ["Install", "Ports", "Beware"]
    assert "Unpack it — then run make; see big and unknown." in found.text
    assert "- first\n\n- second\n\n- inner\n\nmake all\n  make install\n" in found.text
    assert [text for _, _, text in found.context] == ["second"]


def test_tei() -> None:
    """Letters and verses."""
    found = extracted(xml_article, TEI)

    assert (found.title, found.author, found.date, found.language) == ("Briefe", "Rahel V.", "1920-05-01", "de")
    assert found.text == "An Anna\n\nLiebe Anna, heute regnet es.\n\nDie Rose\n\nim Mai\n"


OPML = """<opml version="2.0"><head><title>Plans</title><ownerName>Ada</ownerName>
<dateCreated>Sat, 18 Jun 2024 12:11:52 GMT</dateCreated></head><body><outline text="Boat">
<outline text="Paint the &lt;b&gt;keel&lt;/b&gt;"
_note="Blue, two coats"/></outline><outline text="Feeds"><outline text="Mills" xmlUrl="http://example.org/feed"/></outline></body></opml>
"""


def test_opml() -> None:
    """An entry stands below those that it belongs to, with its note or address."""
    found = extracted(opml, OPML)

    assert (found.title, found.author, found.date) == ("Plans", "Ada", "2024-06-18")
    assert found.text == (
        "- Boat\n\n- Paint the keel\nBlue, two coats\n\n- Feeds\n\n- Mills\nhttp://example.org/feed\n"
    )
    assert [text for _, _, text in found.context] == ["Boat", "Feeds"]


@pytest.mark.parametrize(("module", "data"), [(feed, RSS), (xml_article, JATS), (xml_article, DOCBOOK), (opml, OPML)])
def test_text_before_a_mistake_is_kept(module: object, data: str) -> None:
    """A file that is cut off gives what is there, and says what is missing."""
    found = extracted(module, data[: data.rindex("</")])

    assert len(found.text) > 20
    assert len(found.unread) == 1
    assert found.unread[0].startswith("what follows a mistake in its XML (")


def rss(items: str) -> str:
    """A feed with these entries."""
    return f"<rss version='2.0'><channel><title>F</title>{items}</channel></rss>"


@pytest.mark.parametrize(
    ("wrong", "read"),
    [
        ("AT&T, ?a=1&b=2 &amp; &#65;", "AT&T, ?a=1&b=2 & A"),
        ("a\x0bb\x00c", "abc"),
        ("a<odd:mark odd:of='1'>b</odd:mark>c", "abc"),
        ("<![CDATA[a &amp;&amp; b & c]]> & d", "a && b & c & d"),
    ],
)
def test_frequent_mistakes_are_mended(wrong: str, read: str) -> None:
    """What follows them is read, and nothing is told to be missing."""
    found = extracted(feed, rss(f"<item><title>{wrong}</title></item><item><title>Next</title></item>"))

    assert (found.text, found.unread) == (f"{read}\n\nNext\n", [])


def test_what_cannot_be_mended_gives_the_text_before_it() -> None:
    """Mended as far as it goes."""
    found = extracted(feed, rss("<item><title>A & B</title></item><item><title>C</item>"))

    assert found.text.startswith("A & B\n")
    assert found.unread[0].startswith("what follows a mistake in its XML (mismatched tag")


def test_cdata_is_taken_as_it_stands() -> None:
    """A listing of another markup language shows its references."""
    found = extracted(
        xml_article,
        '<article xmlns="http://docbook.org/ns/docbook"><title>T</title>'
        "<screen><![CDATA[a && &nbsp; <b>]]></screen></article>",
    )

    assert found.text == "a && &nbsp; <b>\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_wide_characters(encoding: str) -> None:
    """With a mark and without one, also in a file that only its content tells to be a feed."""
    data = ("<?xml version='1.0' encoding='utf-16'?>" + rss("<item><title>Zürich</title></item>")).encode(encoding)

    assert extracted(feed, data).text == "Zürich\n"
    row = REGISTRY.of_content("news.xml", data)
    assert row is not None
    assert row.kind == "feed"


def test_podcasts() -> None:
    """What is only there for podcasts is read, and what feeds say themselves goes before it."""
    space = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
    found = extracted(
        feed,
        f"<rss {space}><channel><itunes:author>Ada</itunes:author><title>Talks</title><item>"
        "<itunes:title>1</itunes:title><title>One</title><itunes:summary>On rye.</itunes:summary><enclosure url='http://e.org/1.mp3'/></item>"
        "</channel></rss>",
    )

    assert (found.title, found.author) == ("Talks", "Ada")
    assert found.text == "One\n\nLink: http://e.org/1.mp3\n\nOn rye.\n"


def test_words_of_neighbours_are_not_glued() -> None:
    """Breaks, notes, formulas, lists and listings amid a paragraph; what only changes the type joins its word."""
    found = extracted(
        xml_article,
        '<article dtd-version="1.2"><front><article-meta><title-group><article-title>First<break/>second'
        "</article-title></title-group></article-meta></front><body><p>H<sub>2</sub>O:<list><list-item><p>a</p></list-item><list-item>"
        "<p>b</p></list-item></list>and<fn><p>Note</p></fn> then<disp-formula>x</disp-formula>where"
        "<preformat>make\n  all</preformat>ends</p></body></article>",
    )

    assert found.title == "First second"
    assert found.text == "H2O:\n\n- a\n\n- b\n\nand Note then x where\n\nmake\n  all\n\nends\n"


def test_a_broken_word_is_one_word() -> None:
    """A line of a manuscript ends amid it."""
    found = extracted(xml_article, "<TEI><text><body><p>one<lb/>two hy<lb break='no'/>phen</p></body></text></TEI>")

    assert found.text == "one two hyphen\n"


def test_a_document_type_that_cannot_be_left_out_is_refused() -> None:
    """The parser is never given entities; a mark of an end within quotes is not one."""
    quoted = '<!DOCTYPE article [<!ENTITY % p "]>"><!ENTITY a "x">]>'
    long = f"<!DOCTYPE article [{'<!-- -->' * 200_000}<!ENTITY a 'x'>]>"
    article = "<article dtd-version='1'><body><p>&a;</p></body></article>"

    assert extracted(xml_article, quoted + article).text == "x\n"
    with pytest.raises(Unreadable, match="document type that is too long"):
        extracted(xml_article, long + article)


def test_many_blocks_take_linear_time() -> None:
    """A paragraph of many lists."""

    def lists(count: int) -> str:
        return f"<TEI><text><body><p>a{'<list><item>b</item></list>' * count}</p></body></text></TEI>"

    assert extracted(xml_article, lists(1_600)).text.count("- b") == 1_600
    assert is_linear(partial(extracted, xml_article), lists, 1_600)


@pytest.mark.parametrize("module", [feed, xml_article, opml])
@pytest.mark.parametrize("data", ["", "no XML", "<?xml version='1.0'?>", "<project><id>1</id></project>"])
def test_other_files_are_refused(module: object, data: str) -> None:
    """A file that is something else has a reason, and no text."""
    with pytest.raises(Unreadable, match=r"is not XML|is neither|is XML, but|is not an outline"):
        extracted(module, data)


def test_entities_cannot_grow() -> None:
    """Entities of entities are not replaced, so a small file gives a small text."""
    levels = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10))
    bomb = f'<!DOCTYPE rss [<!ENTITY e0 "lol"> {levels}]><rss><channel><title>&e9;</title></channel></rss>'

    assert len(extracted(feed, bomb).text) < 100


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("news.xml", RSS, "feed"),
        ("news.rss", "anything", "feed"),
        ("paper.xml", JATS, "article"),
        ("manual.xml", DOCBOOK, "article"),
        ("letters.XML", TEI, "article"),
        ("plans.xml", OPML, "outline"),
        ("pom.xml", "<project><article>1</article></project>", "data"),
        ("a.xml", "<article><headline>no JATS, no DocBook</headline></article>", "data"),
        ("graph.xml", '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "data"),
        ("index", ATOM, "feed"),
        ("page.html", RSS, "web"),
    ],
)
def test_format_of_xml(path: str, data: str, kind: str) -> None:
    """The content decides for .xml and unknown suffixes, the suffix for all others."""
    found = REGISTRY.of_content(path, data.encode())

    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    "piece", ["\n", " \n", "<", "<?", "<!--", "<!-- -->\n", "<!DOCTYPE x [", "<!DOCTYPE x []>", "<a:", "]", "\n<?x?> "]
)
def test_any_file_is_recognised_at_once(piece: str) -> None:
    """Files with an unknown suffix are tried, whatever they hold."""
    begun = time.thread_time()
    REGISTRY.of_content("noname", (piece * 70_000).encode())

    assert time.thread_time() - begun < 1
