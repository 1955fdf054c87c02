"""What other programs export: pages of browsers, notes of Evernote, books, cards; pictures in them are no text."""

# ruff: noqa: RUF001 - Russian
from __future__ import annotations

import base64
import random
import textwrap
from datetime import date

import pytest

from kb.formats import enex, fb2, mhtml, vcard
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.text import extract
from kb.sandbox.protocol import Extracted, Limits

PICTURE = base64.b64encode(random.Random(7).randbytes(3_000)).decode()
LINES = textwrap.fill(PICTURE, 76)


def extracted(module: object, data: str | bytes, name: str = "x") -> Extracted:
    """What an extractor makes of a file."""
    builder = TextBuilder(1_000_000)
    module.extract(name, data.encode() if isinstance(data, str) else data, builder, Limits())  # type: ignore[attr-defined]
    return builder.build()


def _page(*parts: tuple[str, str], start: str = "") -> str:
    said = "".join(f"--B\nContent-Type: {kind}\nContent-Transfer-Encoding: 8bit\n{text}\n" for kind, text in parts)
    return (
        f"From: <Saved by Blink>\nSubject: The mill\nDate: Sat, 7 Jun 2025 10:00:00 -0000\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/related; type="text/html"; {start}boundary="B"\n\n{said}--B--\n'
    )


def test_saved_page() -> None:
    """The page and its frames, its title; no picture, no style."""
    found = extracted(
        mhtml,
        _page(
            ("text/html; charset=utf-8", "\n<title>Größe</title><h1>Die Mühle</h1><p>The miller keeps a ledger.</p>"),
            ("text/css", "\n.a { color: red }"),
            ("text/html; charset=utf-8", "\n<p>A frame about rye.</p>"),
            ("image/png", f"\n{LINES}"),
        ),
    )

    assert found.text.split("\n\n") == ["Die Mühle", "The miller keeps a ledger.", "A frame about rye.\n"]
    assert (found.title, found.date) == ("Größe", "2025-06-07")


def test_what_a_script_of_a_saved_page_showed_is_read() -> None:
    """Browsers leave scripts out of the file."""
    page = "<p>How long?</p><div style='display: none'>Nine days.</div>"

    assert extracted(mhtml, _page(("text/html", f"\n{page}"))).text == "How long?\n\nNine days.\n"


def test_saved_page_with_start_part() -> None:
    """The page that the header names comes first; its title falls back on the subject."""
    found = extracted(
        mhtml,
        _page(
            ("text/html", "Content-ID: <frame>\n\n<p>frame</p>"),
            ("text/html", "Content-ID: <main>\n\n<p>main</p>"),
            start='start="<main>"; ',
        ),
    )

    assert found.text == "main\n\nframe\n"
    assert found.title == "The mill"
    with pytest.raises(Unreadable, match="is not a saved web page"):
        extracted(mhtml, _page(("image/png", f"\n{LINES}")))


def test_evernote() -> None:
    """Each note with its day and tags; an attached file is named only."""
    note = (
        "<note><title>{}</title><content><![CDATA[<?xml version='1.0'?><en-note><div>{}</div></en-note>]]></content>"
        "<created>20250401T100000Z</created><tag>boat</tag><tag>{}</tag><note-attributes><author>Ada</author>"
        f"</note-attributes><resource><data encoding='base64'>{LINES}</data><resource-attributes>"
        "<file-name>keel.png</file-name></resource-attributes></resource></note>"
    )
    one, two = note.format("Repair", "Bolts &amp; rudder.&nbsp;Soon.", "wood"), note.format("Paint", "Blue.", "colour")

    alone, both = (
        extracted(enex, f"<!DOCTYPE en-export SYSTEM 'x.dtd'><en-export>{notes}</en-export>")
        for notes in (one, one + two)
    )

    assert (alone.title, alone.author, alone.date, alone.tags) == ("Repair", "Ada", "2025-04-01", ["boat", "wood"])
    assert "Bolts & rudder. Soon." in alone.text
    assert "Attachments: keel.png" in alone.text
    assert PICTURE[:20] not in alone.text
    assert [place[1] for place in both.places] == ["note: Repair, 2025-04-01", "note: Paint, 2025-04-01"]
    assert both.tags == ["boat", "wood", "colour"]
    with pytest.raises(Unreadable, match="it has no note"):
        extracted(enex, "<a/>")


def test_fictionbook() -> None:
    """Title, author, genre and language; chapters are places; pictures are left out; old encodings are read."""
    book = (
        "<?xml version='1.0' encoding='windows-1251'?><FictionBook xmlns='http://www.gribuser.ru/xml/fictionbook/2.0'>"
        "<description><title-info><genre>sea</genre><author><first-name>Анна</first-name><last-name>Орлова</last-name>"
        "</author><book-title>Лодка</book-title><date value='1924-01-05'>1924</date><lang>ru</lang>"
        "<sequence name='Море' number='2'/></title-info>"
        "</description><body><title><p>Лодка</p></title><section><title><p>Глава 1</p></title><p>Река <b>тихая</b>.</p>"
        "<section><title><p>Утро</p></title><poem><stanza><v>Раз</v><v>два</v></stanza></poem></section></section></body>"
        f"<body name='notes'><section><p>Сноска.</p></section></body><binary id='a'>{LINES}</binary></FictionBook>"
    )

    found = extracted(fb2, book.encode("windows-1251"))

    assert (found.title, found.author, found.date) == ("Лодка", "Анна Орлова", "1924-01-05")
    assert (found.tags, found.language) == (["sea"], "ru")
    assert [place[1] for place in found.places] == ["chapter: Глава 1", "chapter: notes"]
    assert [heading[:2] for heading in found.headings if heading[0]] == [("Глава 1", 1), ("Утро", 2)]
    assert found.text.startswith("Author: Анна Орлова\nSeries: Море 2\n\nЛодка")
    assert "Река тихая.\n\nУтро\n\nРаз\nдва\n\nСноска." in found.text
    assert PICTURE[:20] not in found.text
    with pytest.raises(Unreadable, match="is not a FictionBook"):
        extracted(fb2, "<a/>")


def test_column_names_of_a_fictionbook() -> None:
    """The rows of a table are told the names of its columns, what follows it is not."""
    rows = "".join(f"<tr><td>tern {at}</td><td>{at}</td></tr>" for at in range(3))
    table = f"<table><tr><th>Bird</th><th>Count</th></tr>{rows}</table><table>{rows}</table>"
    found = extracted(
        fb2,
        "<FictionBook xmlns='http://www.gribuser.ru/xml/fictionbook/2.0'><description/><body><section><p>Terns.</p>"
        f"{table}<p>After.</p></section></body></FictionBook>",
    )

    lines = found.text.split("\n")
    assert [(lines[first - 1], lines[last - 1], text) for first, last, text in found.context] == [
        ("tern 0 | 0", "tern 2 | 2", "Bird | Count")
    ]
    assert found.text.endswith("\n\nAfter.\n")


def test_cards() -> None:
    """Names, numbers and addresses of each card, of every version; no picture."""
    folded = textwrap.fill(PICTURE, 74).replace("\n", "\n ")
    data = (
        "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen=\n;;Dr.\n"
        f"TEL;CELL:+49 30 5550123\nPHOTO;ENCODING=BASE64;JPEG:{folded}\n\nEND:VCARD\n"
        "BEGIN:VCARD\nVERSION:4.0\nFN:Ada Lovelace\nORG:Analytical\\, Ltd;Engines\nEMAIL;TYPE=work:ada@example.org\n"
        "ADR;TYPE=home:;;12 Mill Lane;York;;YO1;UK\nBDAY:18151210\nCATEGORIES:maths,friends\nNOTE:Likes\\nducks\n"
        f"PHOTO:data:image/png;base64,{folded}\nitem1.URL:https://example.org\n"
        "item1.X-ABLabel:sailing club\nitem2.TEL:0700 5\nitem2.X-ABLabel:_$!<HomeFAX>!$_\nEND:VCARD\n"
    )

    found = extracted(vcard, data)

    assert [place[1] for place in found.places] == ["contact: Dr. Jürgen Müller", "contact: Ada Lovelace"]
    assert "Phone (cell): +49 30 5550123" in found.text
    assert "Organization: Analytical, Ltd, Engines\nE-mail (work): ada@example.org" in found.text
    assert "Address (home): 12 Mill Lane, York, YO1, UK\nBirthday: 1815-12-10" in found.text
    assert "Note: Likes\nducks\nWeb (sailing club): https://example.org\nPhone (HomeFAX): 0700 5" in found.text
    assert found.tags == ["maths", "friends"]
    assert PICTURE[:20] not in found.text
    with pytest.raises(Unreadable, match="is not a contact"):
        extracted(vcard, "nothing\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("mistake", ["", "Salt & pepper", "two&nbsp;words", "a\x0bcontrol"])
def test_mistakes_and_encodings_of_exports(encoding: str, mistake: str) -> None:
    """A bare ampersand, an entity of HTML, a control character: the rest is read, in every encoding."""
    content = "<content><![CDATA[<en-note>Keel</en-note>]]></content>"
    note = f"<en-export><note><title>Boat {mistake}</title>{content}</note></en-export>"
    book = f"<FictionBook><body><section><p>Keel {mistake}</p><p>Rudder</p></section></body></FictionBook>"
    head = f"<?xml version='1.0' encoding='{encoding}'?>"

    assert "Keel" in extracted(enex, (head + note).encode(encoding)).text
    assert "Rudder" in extracted(fb2, (head + book).encode(encoding)).text


def test_an_entity_that_grows_is_replaced_once() -> None:
    """None can make a text of gigabytes."""
    grows = "<!DOCTYPE a [<!ENTITY b 'keel'><!ENTITY c '&b;&b;&b;'>]>"

    found = extracted(fb2, f"{grows}<FictionBook><body><section><p>x &b; &c; y</p></section></body></FictionBook>").text

    assert found.count("keel") == 1


def test_notes_of_joplin_have_title_and_date() -> None:
    """In its own format, title and facts stand above and below the text; the facts are not embedded."""
    facts = "id: {0}\nparent_id: {0}\nauthor: \nuser_created_time: 2024-05-03T10:00:00.000Z\ntype_: ".format("0a" * 16)
    found = extract(f"{'0a' * 16}.md", f"Bees in May\n\nThe hive hums.\n\n{facts}1".encode())

    assert (found.title, found.date) == ("Bees in May", date(2024, 5, 3))
    assert [found.text[first:last].strip() for first, last in found.noise] == [f"{facts}1"]
    for text in (f"Bees\n\n{facts}2", f"Bees\n\n{facts}1\n\nmore", "Bees\n\nid: 5\ntype_: 1"):
        found = extract("x.md", text.encode())
        assert (found.title, found.date, found.noise) == ("x", None, ())


def test_a_note_of_joplin_may_repeat_a_fact() -> None:
    """As where two versions of a note were joined; the first day counts."""
    day = "user_created_time: {}\n"
    facts = f"id: {'0a' * 16}\n{day.format('2024-05-03')}{day.format('unknown')}type_: 1"

    assert extract("x.md", f"Bees\n\nThe hive hums.\n\n{facts}".encode()).date == date(2024, 5, 3)


def test_note_in_a_text_bundle_is_called_as_the_bundle() -> None:
    """Each is called text.md; a heading is the title, as in other notes."""
    assert extract("My cheese.textbundle/text.md", b"Cheddar.").title == "My cheese"
    assert extract("My cheese.textbundle/text.md", b"# Cheddar").title == "Cheddar"
