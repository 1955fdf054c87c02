"""PDF files with damage in them."""

from __future__ import annotations

import made_documents as made
import pytest

from kb.extract.draft import Draft, Unreadable
from kb.extract.formats import installed
from kb.extract.pdf import extract
from kb.extract.wire import Limits

pytestmark = pytest.mark.skipif(not installed("pypdfium2"), reason="the extra 'documents' is not installed")


def text(data: bytes) -> str:
    """What comes out of a PDF."""
    draft = Draft(1_000_000)
    extract("x.pdf", data, draft, Limits())
    return draft.done().text


def damaged(data: bytes, *pages: int) -> bytes:
    """The file with these of its pages made useless, every byte at its place."""
    for at in reversed(pages):
        parts = data.split(b"/Type /Page ")
        data = b"/Type /Page ".join(parts[:at]) + b"/Type /Pxge " + b"/Type /Page ".join(parts[at:])
    return data


def test_a_damaged_page_does_not_cost_the_others() -> None:
    """The pages that can be read are; a file with none is damaged."""
    data = made.pdf([["First page."], ["Second page."], ["Third page."]])

    assert text(damaged(data, 2)) == "First page.\n\nThird page.\n"
    with pytest.raises(Unreadable, match="is damaged: none of its pages can be read"):
        text(damaged(data, 1, 2, 3))
