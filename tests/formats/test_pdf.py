"""PDF files with damage in them."""

from __future__ import annotations

import made_documents as made
import pytest

from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.pdf import extract
from kb.formats.registry import installed
from kb.sandbox.protocol import Limits

pytestmark = pytest.mark.skipif(not installed("pypdfium2"), reason="the extra 'documents' is not installed")


def text(data: bytes) -> str:
    """What comes out of a PDF."""
    builder = TextBuilder(1_000_000)
    extract("x.pdf", data, builder, Limits())
    return builder.build().text


def damaged(data: bytes, *pages: int) -> bytes:
    """The file with these of its pages made useless, every byte at its place."""
    for at in reversed(pages):
        parts = data.split(b"/Type /Page ")
        data = b"/Type /Page ".join(parts[:at]) + b"/Type /Pxge " + b"/Type /Page ".join(parts[at:])
    return data


def test_damaged_page_does_not_affect_others() -> None:
    """The pages that can be read are; a file with none is damaged."""
    data = made.pdf([["First page."], ["Second page."], ["Third page."]])

    assert text(damaged(data, 2)) == "First page.\n\nThird page.\n"
    with pytest.raises(Unreadable, match="is damaged: none of its pages can be read"):
        text(damaged(data, 1, 2, 3))


def unread(data: bytes) -> list[str]:
    """What is told not to be read of a PDF."""
    builder = TextBuilder(1_000_000)
    extract("x.pdf", data, builder, Limits())
    return builder.build().unread


def test_unread_pages_are_reported() -> None:
    """Damaged ones and those with only a picture are counted; a page that is empty lacks nothing."""
    data = made.pdf([["First page."], ["." * 80], [], ["Fourth page."], ["Fifth page."]])
    picture = b"q 9 0 0 9 9 9 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q"
    at = data.index(b"BT", data.index(b"...."[:4]) - 60)
    end = data.index(b"ET", at) + 2
    drawn = data[:at] + picture.ljust(end - at) + data[end:]

    assert unread(made.pdf([["All of it."], []])) == []
    assert unread(damaged(data, 4)) == ["1 of 5 pages is damaged"]
    assert unread(damaged(drawn, 4, 5)) == ["2 of 5 pages are damaged", "1 of 5 pages has no text, only images"]


_KEY = b"<" + b"5a" * 32 + b">"
_LONG = b"<" + b"5a" * 48 + b">"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (b"/Standard /V 1 /R 2 /P -4 /O %s /U %s" % (_KEY, _KEY), "it opens with a password only"),
        (b"/Standard /V 2 /R 3 /Length 128 /P -4 /O %s /U %s" % (_KEY, _KEY), "it opens with a password only"),
        (
            b"/Standard /V 5 /R 6 /Length 256 /P -4 /CF << /StdCF << /CFM /AESV3 >> >> /StmF /StdCF /StrF /StdCF "
            b"/O %s /U %s /OE %s /UE %s /Perms <%s>" % (_LONG, _LONG, _KEY, _KEY, b"5a" * 16),
            "it opens with a password only",
        ),
        (b"/Adobe.PubSec /SubFilter /adbe.pkcs7.s5 /V 4", "it opens with a certificate, or its own program, only"),
    ],
)
def test_encrypted_file_is_reported(how: bytes, reason: str) -> None:
    """By each generation of the format's encryption, and by a certificate."""
    known = b"<00112233445566778899aabbccddeeff>"
    locked = b"trailer << /ID [%s %s] /Encrypt << /Filter %s >> " % (known, known, how)
    with pytest.raises(Unreadable, match=f"is encrypted: {reason}"):
        text(made.pdf([["Hello."]]).replace(b"trailer << ", locked))
