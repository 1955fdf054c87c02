"""Mails as programs keep them: mailboxes without a suffix, forms of one text, undeclared headers, invitations."""

# ruff: noqa: RUF001 - names and sentences in the languages themselves are what is tested

from __future__ import annotations

import base64
from pathlib import PurePosixPath

import pytest
from growth import is_linear

from kb.formats import mail
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.registry import REGISTRY
from kb.sandbox.protocol import Extracted, Limits

HEAD = b"From: Ana <ana@example.org>\nTo: Bo <bo@example.org>\nSubject: Receipt\nDate: Sat, 7 Jun 2025 22:30:00 -0700\n"
BOX = b"From ana@example.org Sat Jun  7 10:00:00 2025\n" + HEAD + b"Message-ID: <1@x>\n\nThe puffin nests.\n\n"


def extracted(name: str, data: bytes) -> Extracted:
    """What the extractor of a name's suffix, or of what it looks like, makes of a file."""
    import importlib

    path = PurePosixPath(name)
    one = REGISTRY.of_content(name, data)
    assert one is not None
    builder = TextBuilder(1_000_000)
    importlib.import_module(one.reader).extract(path.name, data, builder, Limits())
    return builder.build()


def mixed(kind: str, *parts: tuple[str, str]) -> bytes:
    """A mail of several parts of (type, text)."""
    said = "".join(f"--b\nContent-Type: {of}; charset=utf-8\n\n{text}\n" for of, text in parts)
    return HEAD + f"MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n{said}--b--\n".encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cur/1749312000.M1P2.host:2,S", HEAD + b"Message-ID: <8@x>\n\nThe puffin nests.\n"),
        ("new/1749312000.V801I2M33.mail.example.org", HEAD + b"MIME-Version: 1.0\n\nThe puffin nests.\n"),
        ("cur/1749312000.M1P2.ns.md:2,RS", HEAD + b"MIME-Version: 1.0\n\nThe puffin nests.\n"),
        ("from a windows editor.eml", b"\xef\xbb\xbf" + HEAD + b"\nThe puffin nests.\n"),
        ("kept", b"\xef\xbb\xbf" + HEAD + b"Message-ID: <8@x>\n\nThe puffin nests.\n"),
        ("new/1749312000.M1P2.host", HEAD + b"MIME-Version: 1.0\n\nThe puffin nests.\n"),
        ("inbox/42", b"Return-Path: <a@b.c>\r\n" + HEAD.replace(b"\n", b"\r\n") + b"\r\nThe puffin nests.\r\n"),
        ("Inbox", BOX),
        ("Mail/Archives.sbd/2024", BOX + BOX.replace(b"puffin", b"heron")),
        (
            "1042.emlx",
            b"%d      \n" % len(HEAD + b"\nThe puffin nests.\n") + HEAD + b"\nThe puffin nests.\n<?xml version='1.0'?>"
            b"<plist><dict><key>flags</key></dict></plist>",
        ),
    ],
)
def test_containers(name: str, data: bytes) -> None:
    """A mail is read as one, whatever its file is called."""
    found = extracted(name, data)

    assert "Receipt\n\nFrom: Ana <ana@example.org>" in found.text
    assert "The puffin nests." in found.text
    assert "plist" not in found.text
    assert found.places[0][1] == "mail: Receipt, 2025-06-07"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes", "From: here\n\nto there"),
        ("letter", "From Ana I heard on Sat 7 at 10:00 that\nthe puffin nests.\n"),
        ("mail.txt", HEAD.decode() + "Message-ID: <8@x>\n\nkept as text\n"),
        ("todo", "Subject: garden\nDate: 2025-06-07\n\ndig\n"),
        ("response", "HTTP/1.1 200 OK\nContent-Type: text/html\n\n<p>\n"),
    ],
)
def test_file_without_mail_headers_is_refused(name: str, text: str) -> None:
    """A text with a colon in its first line is no mail, nor is one whose suffix says that it is text."""
    one = REGISTRY.of_content(name, text.encode())

    assert one is None or not one.in_child


@pytest.mark.parametrize(
    ("plain", "html", "there", "gone"),
    [
        ("Your mail program cannot show HTML.", "<p>Order 88-1234: copper funnel.</p>", "copper funnel", "cannot show"),
        (
            "Si no ve este mensaje, abra su navegador.",
            "<p>Pedido 77: dos sacos de cal.</p>",
            "sacos de cal",
            "navegador",
        ),
        (
            "The boat leaves at nine. See https://example.org/a/b",
            "<p>The boat leaves at nine.</p><p>Gate 4.</p>",
            "Gate 4",
            "",
        ),
        ("The boat leaves at nine from pier two.", "<p>The boat leaves at nine from pier two.</p>", "pier two", ""),
        ("The boat leaves at nine.", "<p></p>", "leaves at nine", ""),
        ("Tea is at five in the blue room.", "<p>Sent from my telephone</p>", "blue room", ""),
    ],
)
def test_better_alternative_is_read(plain: str, html: str, there: str, gone: str) -> None:
    """Of the plain and the HTML form it is the one with more to say."""
    found = extracted("x.eml", mixed("alternative", ("text/plain", plain), ("text/html", html)))

    assert there in found.text
    assert not gone or gone not in found.text


@pytest.mark.parametrize(
    ("name", "charset", "encoding"),
    [
        ("Grüße aus Köln", "iso-8859-1", "latin-1"),
        ("Привет из Томска", "koi8-r", "koi8-r"),
        ("Größe", "utf-8", "utf-8"),
    ],
)
def test_undeclared_headers(name: str, charset: str, encoding: str) -> None:
    """Bytes beyond ASCII in a header are in the encoding of the mail, or in UTF-8; file names too."""
    head = f"From: {name} <a@b.c>\nSubject: {name}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    body = f"--b\nContent-Type: text/plain; charset={charset}\n\n{name}\n--b\nContent-Type: application/pdf\n"
    body += f'Content-Disposition: attachment; filename="{name}.pdf"\n\nx\n--b--\n'

    found = extracted("x.eml", (head + body).encode(encoding))

    assert found.title == name
    assert found.author == f"{name} <a@b.c>"
    assert f"Attachments: {name}.pdf" in found.text


@pytest.mark.parametrize(
    ("name", "subject", "body", "encoding"),
    [
        ("Jürgen", "Größe", "plain", "cp1252"),
        ("Анна", "Ключ", "Ключ под ковриком у двери.", "cp1251"),
        ("Анна", "Ключ от дома", "plain", "koi8-r"),
        ("Анна", "Ключ от дома под ковриком у двери", "Да", "koi8-r"),
        ("田中", "会議の件", "会議は明日の三時からです。", "cp932"),
        ("Ελένη", "Το κλειδί", "Το κλειδί είναι κάτω από το χαλί.", "cp1253"),
    ],
)
def test_mail_that_names_no_encoding(name: str, subject: str, body: str, encoding: str) -> None:
    """Headers and text are read in the encoding that fits all of them."""
    found = extracted("x.eml", f"From: {name} <a@b.c>\nSubject: {subject}\n\n{body}\n".encode(encoding))

    assert (found.title, found.author) == (subject, f"{name} <a@b.c>")
    assert body in found.text


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ("format=flowed", "The boat leaves at nine.\n> Which pier is it then?\nTwo.\n-- \nAda"),
        ("format=flowed; delsp=yes", "The boat leaves at nine.\n> Which pier is it then?\nTwo.\n-- \nAda"),
    ],
)
def test_folded_paragraphs_are_joined(parameters: str, text: str) -> None:
    """Lines that end with a space go on in the next one (RFC 3676); a signature and another writer's words do not."""
    space = "  " if "delsp" in parameters else " "
    body = f"The boat leaves{space}\nat nine.\n> Which pier is{space}\n> it then?\nTwo.\n-- \nAda\n"

    found = extracted("x.eml", f"Subject: Boat\nContent-Type: text/plain; {parameters}\n\n{body}".encode())

    assert "\n".join(line for line in found.text.splitlines()[2:] if line) == text


def test_a_signature_does_not_go_on_with_a_folded_line() -> None:
    """Its line stays one of its own, though the one above ends with a space."""
    body = "The boat leaves at nine. \n-- \nAda\n"
    found = extracted("x.eml", f"Subject: Boat\nContent-Type: text/plain; format=flowed\n\n{body}".encode())

    assert found.text.splitlines()[2:] == ["The boat leaves at nine. ", "-- ", "Ada"]


def test_joining_a_folded_paragraph_takes_time_in_proportion_to_its_length() -> None:
    """Sixteen times as many lines take about sixteen times as long, not some hundred times."""
    line = "The boat leaves from the long pier, and the next one from the short pier at \n"

    def read(lines: int) -> None:
        mail.extract(
            "x.eml",
            b"Subject: Boat\nContent-Type: text/plain; format=flowed\n\n" + line.encode() * lines,
            TextBuilder(10_000_000),
            Limits(),
        )

    assert is_linear(read, int, 12_800)


CALENDAR = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Budget round with the falc\r\n oner\r\nLOCATION:Tower\\, room 2\r\n"
    "DTSTART;TZID=Europe/Berlin:20250610T090000\r\nDTEND;TZID=Europe/Berlin:20250610T103000\r\n"
    'ORGANIZER;CN="Ana, Dr.":MAILTO:ana@example.org\r\nRRULE:FREQ=WEEKLY;UNTIL=20251224\r\nCATEGORIES:money,birds\r\n'
    "DESCRIPTION:Bring the honeyco\r\n\tmb.\\nSecond line\r\nBEGIN:VALARM\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\n"
    "END:VEVENT\r\nBEGIN:VTODO\r\nSUMMARY:Mow the meadow\r\nDUE;VALUE=DATE:20250701\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
)


def test_calendar() -> None:
    """Entries with their days, folded lines joined, alarms left out."""
    found = extracted("x.ics", CALENDAR.encode())

    assert [place[1] for place in found.places] == [
        "event: Budget round with the falconer, 2025-06-10",
        "task: Mow the meadow, 2025-07-01",
    ]
    assert "When: 2025-06-10 09:00 Europe/Berlin to 10:30 Europe/Berlin" in found.text
    assert "Organizer: Ana, Dr. <ana@example.org>" in found.text
    assert "Repeats: weekly until 2025-12-24" in found.text
    assert "Location: Tower, room 2" in found.text
    assert "Bring the honeycomb.\nSecond line" in found.text
    assert "Reminder" not in found.text
    assert found.tags == ["money", "birds"]
    with pytest.raises(Unreadable, match="is not a calendar"):
        extracted("x.ics", b"nothing\n")


def test_markup_of_old_mails_and_of_mails_for_programs() -> None:
    """Enriched text is read without its commands; the form for AMP is not read."""
    enriched = "<bold>Ur</bold>gent: the <color><param>red</param>weir</color> is 2 << 3.<nl>Call Ada."
    amp = "<!doctype html><html amp4email><style amp-custom>.a{}</style><p>The sluice is open."
    plain = ("text/plain", "The sluice is open.")
    found = extracted(
        "x.eml", mixed("mixed", ("text/enriched", enriched), ("text/richtext", "A <italic>g</italic>rebe"))
    )
    told = extracted(
        "y.eml", mixed("alternative", plain, ("text/x-amp-html", amp), ("text/html", "<p>The sluice is open."))
    )

    assert "Urgent: the weir is 2 < 3.\nCall Ada." in found.text
    assert "A grebe" in found.text
    assert told.text.count("sluice") == 1
    assert "amp4email" not in told.text


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize(
    "title", ["Große Runde der Möwe", "Réunion à l’étang", "会議は明日の午後です", "Журавли вернулись"]
)
def test_lines_folded_within_a_letter(title: str, end: str) -> None:
    """Programs that fold lines by bytes divide letters of UTF-8, and whole letters of other encodings."""
    data = title.encode()
    for at in range(1, len(data)):
        said = [
            b"BEGIN:VCALENDAR",
            b"BEGIN:VEVENT",
            b"SUMMARY:" + data[:at],
            b" " + data[at:],
            b"END:VEVENT",
            b"END:VCALENDAR",
        ]
        assert extracted("x.ics", end.encode().join(said)).title == " ".join(title.split())
    card = "BEGIN:VCARD\nFN:Jürgen Größe\nNOTE:schöne Grüße\nEND:VCARD".encode("cp1252").replace(b"\xdf", b"\n \xdf")
    assert extracted("x.vcf", card).title == "Jürgen Größe"


def test_quoted_printable_calendar() -> None:
    """Version 1.0, as old telephones wrote it."""
    said = "BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\n"
    said += "SUMMARY;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:B=C3=BCcher tau=\nschen\nEND:VEVENT\n"

    assert extracted("x.vcs", said.encode()).title == "Bücher tauschen"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            'DESCRIPTION:Bring <b>oak</b><br>and&nbsp\\;nails.\\nSee <a href="x">here</a>',
            "Bring oak\nand nails.\nSee here",
        ),
        ("DESCRIPTION:<html-blob><p>One.</p><ul><li>two</li></ul></html-blob>", "One.\n\n- two"),
        ("X-ALT-DESC;FMTTYPE=text/html:<html><body>See <i>manual</i></body></html>", "See manual"),
        ("DESCRIPTION:If a < b\\, write <ana@example.org>", "If a < b, write <ana@example.org>"),
    ],
)
def test_descriptions_of_calendars_in_html(lines: str, said: str) -> None:
    """Google writes HTML where others write text, Outlook beside it; signs and addresses are none."""
    found = extracted(
        "x.ics", f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Mill\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n".encode()
    )

    assert found.text == f"Mill\n\n{said}\n"


@pytest.mark.parametrize("kind", ["alternative", "mixed"])
def test_invitations(kind: str) -> None:
    """An invitation is told once, beside the text that comes with it."""
    encoded = base64.encodebytes(CALENDAR.encode()).decode()
    said = "--b\nContent-Type: text/plain\n\nPlease come.\n"
    for of in ("text/calendar; charset=utf-8; method=REQUEST", 'application/ics; name="invite.ics"'):
        said += f"--b\nContent-Type: {of}\nContent-Transfer-Encoding: base64\n\n{encoded}\n"
    mail = HEAD + f"MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n{said}--b--\n".encode()

    found = extracted("x.eml", mail).text

    assert "Please come." in found
    assert found.count("Budget round with the falconer") == 1
    assert "Mow the meadow\nDue: 2025-07-01" in found


def test_a_note_named_like_a_delivered_mail_is_a_note() -> None:
    """What looks like the suffix of a mail's name is one where the content is no mail."""
    one = REGISTRY.of_content("1749312000.M1P2.org", b"* A note about puffins\n")

    assert one is not None
    assert one.kind == "org"


@pytest.mark.parametrize(("name", "kind"), [("my calendar", "calendar"), ("contacts from the telephone", "contact")])
def test_calendars_and_contacts_without_a_suffix(name: str, kind: str) -> None:
    """Their first line tells what they are."""
    of = "VCALENDAR" if kind == "calendar" else "VCARD"

    one = REGISTRY.of_content(name, f"BEGIN:{of}\r\nVERSION:2.0\r\n".encode())
    other = REGISTRY.of_content(name, f"The line BEGIN:{of} begins one.\n".encode())

    assert one is not None
    assert one.kind == kind
    assert other is None


@pytest.mark.parametrize("kind", ["text/vcard; charset=utf-8", 'application/octet-stream; name="bo.vcf"'])
def test_attached_contacts(kind: str) -> None:
    """The name and the facts of an attached card are text of the mail."""
    card = base64.encodebytes("BEGIN:VCARD\nVERSION:3.0\nFN:Zoë Brandt\nTEL:0301 778899\nEND:VCARD\n".encode()).decode()
    said = "--b\nContent-Type: text/plain\n\nMy card.\n"
    said += f"--b\nContent-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{card}\n"
    mail = HEAD + f"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{said}--b--\n".encode()

    assert "My card.\n\nZoë Brandt\nPhone: 0301 778899" in extracted("x.eml", mail).text


def test_japanese_mails_without_a_declared_encoding() -> None:
    """Their escape sequences tell it, in headers and text."""
    text = f"{HEAD.decode()}\n倉庫の鍵\n".replace("Receipt", "会議の件")

    found = extracted("x.eml", text.encode("iso2022_jp"))

    assert found.title == "会議の件"
    assert "倉庫の鍵" in found.text


def test_calendars_in_other_encodings() -> None:
    """As spreadsheets and old programs write them."""
    calendar = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Kürbisfest\nEND:VEVENT\nEND:VCALENDAR\n"

    assert extracted("x.ics", calendar.encode("utf-16")).title == "Kürbisfest"
    assert extracted("x.ics", calendar.encode("latin-1")).title == "Kürbisfest"
