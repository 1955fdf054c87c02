"""Mails as programs put them together: texts between pictures, mails in mails, bodies without an encoding."""

from __future__ import annotations

from base64 import b64encode
from email.message import EmailMessage, MIMEPart

import pytest

from kb.formats.builder import TextBuilder
from kb.formats.mail import extract
from kb.sandbox.protocol import Limits

HEAD = b"From: Ada <a@b.c>\nSubject: Trip\nMIME-Version: 1.0\n"


def text(mail: bytes | EmailMessage, name: str = "x.eml") -> str:
    """What stands below the headers of a mail, its pieces with a slash between them."""
    builder = TextBuilder(2_000_000)
    extract(name, mail if isinstance(mail, bytes) else bytes(mail), builder, Limits())
    lines = [line for line in builder.build().text.split("\n") if line]
    return " / ".join(lines[2:] if name == "x.eml" else lines)


def part(content: str, subtype: str = "plain", name: str = "") -> MIMEPart:
    """A part of a mail with text."""
    made = MIMEPart()
    made.set_content(content, subtype=subtype, charset="utf-8")
    if name:
        made.add_header("Content-Disposition", "attachment", filename=name)
    return made


def picture(name: str = "duck.png") -> MIMEPart:
    """A part of a mail that is no text."""
    made = MIMEPart()
    made.set_content(b"\x89PNG", "image", "png", disposition="inline", filename=name)
    return made


def mail(kind: str, *parts: MIMEPart) -> EmailMessage:
    """A mail of several parts."""
    made = EmailMessage()
    made["From"], made["Subject"] = "Ada <a@b.c>", "Trip"
    made["Content-Type"] = f"multipart/{kind}"
    made.set_payload(list(parts))
    return made


def test_long_attachments_are_only_named() -> None:
    """A log of megabytes would hide the mail that it is attached to; the body may be of any length."""
    long = mail("mixed", part("Body."), part("entry\n" * 200_000, name="a.log"))

    assert text(long) == "Body. / Attachments: a.log"
    assert text(mail("mixed", part("entry\n" * 150_000))).count("entry") == 150_000


def forwarded() -> EmailMessage:
    """A mail with another one inside."""
    made = EmailMessage()
    made["From"], made["Subject"] = "Ada <a@b.c>", "Trip"
    made.set_content("See below.")
    inner = EmailMessage()
    inner["From"], inner["Subject"] = "Bob <b@b.c>", "Tickets"
    inner.set_content("Seats 7 and 8.")
    inner.add_attachment(b"x", "application", "pdf", filename="tickets.pdf")
    made.add_attachment(inner)
    return made


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            mail("mixed", part("Before."), picture(), part("Between."), picture("b.png"), part("After.")),
            "Before. / Between. / After. / Attachments: duck.png, b.png",
        ),
        (mail("alternative", part(" \n"), part("<p>In HTML.</p>", "html")), "In HTML."),
        (mail("alternative", part("Plain."), part("<p>In HTML.</p>", "html")), "Plain."),
        (mail("alternative", part("<p>In HTML.</p>", "html"), part("Plain.")), "Plain."),
        (mail("mixed", part("Body."), part("<p>A list's footer.</p>", "html")), "Body. / A list's footer."),
        (mail("mixed", part("Body."), part("Attached.", name="a.txt")), "Body. / Attached. / Attachments: a.txt"),
        (
            mail("mixed", part("Body."), part("<p>Attached<br>page.", "html", name="a.html")),
            "Body. / Attached / page. / Attachments: a.html",
        ),
        (
            forwarded(),
            "See below. / Subject: Tickets / From: Bob <b@b.c> / Seats 7 and 8. / Attachments: tickets.pdf",
        ),
    ],
)
def test_all_texts_of_mail_are_read(message: EmailMessage, said: str) -> None:
    """Texts between pictures, forwarded mails, the one of several alternatives that says something."""
    assert text(message) == said


def test_body_with_file_name() -> None:
    """Some programs give even the text of a mail a file name."""
    body = (
        HEAD
        + b'Content-Type: text/plain; name="mail.txt"\nContent-Disposition: inline; filename="mail.txt"\n\nHello.\n'
    )
    assert text(body) == "Hello. / Attachments: mail.txt"


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        (b"", "Grüße".encode(), "Grüße"),
        (b"", b"Gr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=us-ascii\n", "Grüße".encode(), "Grüße"),
        (b"Content-Type: text/plain; charset=iso-8859-1\n", b"it\x92s", "it\u2019s"),
        (b"Content-Type: text/plain; charset=gb2312\n", "朱镕基".encode("gbk"), "朱镕基"),
        (b"Content-Type: text/html\n", b'<meta charset="shift_jis">' + "①番".encode("cp932"), "①番"),
        (b"Content-Type: text/plain; charset=nonsense\n", "Grüße".encode(), "Grüße"),
    ],
)
def test_encoding_of_body(head: bytes, body: bytes, said: str) -> None:
    """What it names, as browsers understand it; without a name UTF-8, else that of Windows."""
    assert text(HEAD + head + b"Content-Transfer-Encoding: 8bit\n\n" + body + b"\n") == said


@pytest.mark.parametrize(
    ("envelope", "mails"),
    [
        (b"\nFrom bob@example.com Wed Nov  4 10:00:00 2026\n", 2),
        (b"\nFrom - Wed Nov  4 10:00:00 2026\n", 2),
        (b"\nFrom bob at example.com  Wed Nov  4 10:00:00 2026\n", 2),
        (b"\nFrom 1789@xxx Wed Nov 04 10:00:00 +0000 2026\r\n", 2),
        (b"\nFrom 12:30 on we meet\n", 1),
        (b"\nFrom Monday, Wed at 12:30, we meet\n\n", 1),
        (b"From bob@example.com Wed Nov  4 10:00:00 2026\n", 1),
    ],
)
def test_start_of_mail_in_mailbox(envelope: bytes, mails: int) -> None:
    """After a blank line, with sender and day, and headers below."""
    box = b"From a@b.c Tue Nov  3 10:00:00 2026\nSubject: One\n\nFirst.\n" + envelope + b"Subject: Two\n\nSecond.\n"
    builder = TextBuilder(2_000_000)
    extract("x.mbox", box, builder, Limits())
    document = builder.build()
    assert len(document.places) == mails
    assert "First." in document.text
    assert "Second." in document.text


def test_column_names_and_parent_items_in_html_mails() -> None:
    """They are the context of the rows and items below them, up to the end of their table or list."""
    head = "<tr><th>Article<th>Price</tr>"
    rows = "".join(f"<tr><td>bolt {number}<td>{number}</tr>" for number in range(3))
    html = (
        f"<p>Our stock:</p><table>{head}{rows}</table><table>{rows}</table>"
        "<ul><li>Bath<ul><li>tiles<li>taps</ul></ul><p>Yours</p>"
    )
    builder = TextBuilder(2_000_000)
    extract("x.eml", bytes(mail("alternative", part("Open it in a browser."), part(html, "html"))), builder, Limits())
    found = builder.build()
    lines = found.text.split("\n")

    assert [(" / ".join(filter(None, lines[first - 1 : last])), said) for first, last, said in found.context] == [
        ("bolt 0 | 0 / bolt 1 | 1 / bolt 2 | 2", "Article | Price"),
        ("- tiles / - taps", "Bath"),
    ]
    assert found.text.endswith("\nbolt 2 | 2\n\n- Bath\n\n- tiles\n\n- taps\n\nYours\n")


def test_rows_of_a_layout_are_paragraphs() -> None:
    """A table without column names may only place the texts of a newsletter."""
    html = "<table><tr><td>The boats are out.</tr><tr><td>The sails are<td>in the loft.</tr></table>"

    builder = TextBuilder(2_000_000)
    extract("x.eml", bytes(mail("mixed", part(html, "html"))), builder, Limits())

    assert builder.build().text.endswith("\n\nThe boats are out.\n\nThe sails are | in the loft.\n")


@pytest.mark.parametrize(("status", "is_read"), [("0001", True), ("0008", False), ("0009", False), ("x9", True)])
def test_deleted_mails_of_thunderbird(status: str, is_read: bool) -> None:
    """They stay in the mailbox until it is compacted, and are in no list any more."""
    one = f"From - Tue Nov  3 10:00:00 2026\nX-Mozilla-Status: {status}\nSubject: One\n\nFirst.\n\n"
    builder = TextBuilder(2_000_000)
    extract(
        "Inbox.mbox", f"{one}From - Tue Nov  3 11:00:00 2026\nSubject: Two\n\nSecond.\n".encode(), builder, Limits()
    )

    text = builder.build().text
    assert ("First." in text) == is_read
    assert "Second." in text


@pytest.mark.parametrize("boundary", ["Apple-Mail=_1", "----=_Part_1:x", "x", '"x"', '"a=b"'])
def test_boundary_that_should_be_quoted(boundary: str) -> None:
    """The parts are read whether it is or not."""
    line = "--" + boundary.strip('"')
    body = f"{line}\nContent-Type: text/plain\n\nFirst.\n{line}\nContent-Type: text/plain\n\nSecond.\n{line}--\n"

    assert text(HEAD + f"Content-Type: multipart/mixed; boundary={boundary}\n\n{body}".encode()) == "First. / Second."


def test_parts_without_a_boundary_are_text() -> None:
    """What cannot be told apart is read as it stands."""
    assert text(HEAD + b"Content-Type: multipart/mixed\n\nAll of it.\n") == "All of it."
    assert text(HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--y\n\nAll of it.\n") == "--y / All of it."


def test_encoded_words_between_others_in_a_subject() -> None:
    """The others may be in UTF-8 without saying so."""
    head = "From: a@b.c\nSubject: Rück =?utf-8?B?ZnLDvGg=?= im März, 日本\n\nText.\n"
    builder = TextBuilder(2_000_000)
    extract("x.eml", head.encode(), builder, Limits())

    assert builder.build().title == "Rück früh im März, 日本"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("=?utf-8?Q?J=C3=B6rg_M?=\n =?utf-8?Q?=C3=BCller?= <j@example.org>", "Jörg Müller <j@example.org>"),
        ("=?utf-8?B?TcO8aMM=?= =?utf-8?B?vGxlLCBuZXc=?= <m@example.org>", "Mühüle, new <m@example.org>"),
        ("=?iso-8859-1?Q?M=FChl?= =?utf-8?Q?=C3=A4?= <m@example.org>", "Mühlä <m@example.org>"),
        ("=?utf-8?Q?M=C3=BChle?= am Fluss <m@example.org>", "Mühle am Fluss <m@example.org>"),
    ],
)
def test_words_encoded_in_several_pieces(value: str, said: str) -> None:
    """A name goes on without a blank from one encoded word to the next, which may divide a letter."""
    builder = TextBuilder(10_000)
    extract("x.eml", f"From: {value}\nSubject: Mill\n\nText.\n".encode(), builder, Limits())

    assert builder.build().author == said


@pytest.mark.parametrize(
    ("encoding", "inner"),
    [
        ("base64", "RnJvbTogYUBiLmMKU3ViamVjdDogSW5uZXIKCklubmVyIG9hay4K"),
        ("quoted-printable", "From: a@b.c\nSubject: Inner\nContent-Type: text/plain; charset=3Dutf-8\n\nInner o=61k."),
        ("7bit", "From: a@b.c\nSubject: Inner\n\nInner oak."),
    ],
)
def test_forwarded_mail_that_is_encoded(encoding: str, inner: str) -> None:
    """It is decoded as a whole, which the standard forbids and programs do."""
    kind = f"Content-Type: message/rfc822\nContent-Transfer-Encoding: {encoding}"
    mail = f"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nSee below.\n--x\n{kind}\n\n{inner}\n--x--\n"

    assert text(HEAD + mail.encode()).endswith("See below. / Subject: Inner / From: a@b.c / Inner oak.")


@pytest.mark.parametrize("lost", [1, 2, 3, 5])
def test_encoded_mail_that_is_cut_off_leaves_the_others(lost: int) -> None:
    """What is left of it is read, and the mail that it is forwarded in."""
    inner = b64encode(b"From: a@b.c\nSubject: Inner\n\nThe ferry leaves at noon, says the harbour.").decode()[:-lost]
    kind = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64"
    mail = f"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nSee below.\n--x\n{kind}\n\n{inner}\n--x--\n"

    assert "See below. / Subject: Inner / From: a@b.c / The ferry leaves at noon" in text(HEAD + mail.encode())
