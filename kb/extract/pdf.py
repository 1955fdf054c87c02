"""PDF by pypdfium2: the text of each page, its sections from the bookmarks, its properties."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING, Final

from kb.extract.annotations import written_on
from kb.extract.clean import clean, line
from kb.extract.columns import in_columns
from kb.extract.dates import pdf_date
from kb.extract.draft import Unreadable
from kb.extract.hyphens import MARK, gaps, whole, words_of
from kb.extract.scan import read_page
from kb.records import SCANNED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypdfium2 import PdfDocument, PdfPage

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

# PDFium's own codes for a file that is locked.
_LOCKS: Final[dict[int | None, str]] = {4: "a password", 5: "a certificate, or its own program,"}
_MOST_BOOKMARKS: Final = 5_000
_SENTENCE_END: Final = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")
_SHORT: Final = 0.8
_LONGEST_TITLE: Final = 120
_FEWEST_LETTERS: Final = 3
_WORDS: Final = re.compile(r"\w+")


def prepare() -> None:
    """Load PDFium."""
    import pypdfium2

    pypdfium2.PdfDocument.new().close()


def extract(_name: str, data: bytes, draft: Draft, limits: Limits) -> None:
    """Put each page's text into the draft.

    Raises:
        Unreadable: It is encrypted, damaged, or has no text.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if lock := _LOCKS.get(getattr(error, "err_code", None)):
            raise Unreadable(f"is encrypted: it opens with {lock} only", "Keep an open copy beside it") from error
        raise Unreadable("is damaged: it is not a PDF that can be opened", "Open it with a PDF viewer") from error
    document.init_forms()
    properties = document.get_metadata_dict()
    draft.describe(properties["Title"], properties["Author"], pdf_date(properties["CreationDate"]))
    bookmarks = _bookmarks(document)
    said = False
    damaged = images = 0
    count = len(document)
    pages = [_read(document, number, draft, limits) for number in range(1, count + 1)]
    divided = any(page and page[1] for page in pages)
    words = words_of([page[0] for page in pages if page]) if divided else frozenset()
    for number, page in enumerate(pages, 1):
        damaged += page is None
        images += page is not None and not page[0].strip() and _has_image(document, number)
        text = whole(*page, words) if page else None
        lines = list(_paragraphs(clean(text or "").split("\n")))
        for note in _notes(document, number) if text is not None else ():
            lines += ["", *note.split("\n")] if lines else note.split("\n")
        if lines:
            if not said and properties["Title"].strip() and not draft.is_titled and not bookmarks:
                # A title was wished for, and what its program put there is none.
                draft.entitle(next((one for one in lines if _is_title(one)), ""))
            said = True
            draft.place(f"p. {number}", page=number)
            draft.lines(lines)
            _mark(draft, lines, bookmarks.get(number, ()))
            draft.gap()
    document.close()
    if said:
        _tell_unread(draft, damaged, images, count)
        return
    if damaged == count:
        raise Unreadable("is damaged: none of its pages can be read", "Open it with a PDF viewer")
    if limits.ocr:
        raise Unreadable("has no text, and none was recognised in its images")
    raise Unreadable(SCANNED, "Have its pages read by Tesseract: documents.ocr = true")


def _tell_unread(draft: Draft, damaged: int, images: int, count: int) -> None:
    """How many pages of a file that can be read have given nothing, and why."""
    if damaged:
        draft.unread(f"{damaged} of {count} pages {'is' if damaged == 1 else 'are'} damaged")
    if images:
        draft.unread(f"{images} of {count} pages {'has' if images == 1 else 'have'} no text, only images")


def _read(document: PdfDocument, number: int, draft: Draft, limits: Limits) -> tuple[str, list[bool]] | None:
    """The text of a page and its divided words, recognised where it is an image; none where the page is damaged."""
    import pypdfium2

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return None
    try:
        text, far = _text(page)
        if not text.strip() and limits.ocr:
            text = read_page(page, draft)
    except pypdfium2.PdfiumError:
        return None
    else:
        return text, far
    finally:
        page.close()


def _has_image(document: PdfDocument, number: int) -> bool:
    """Whether a picture is on a page, which may have words that nobody has recognised."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return False
    try:
        return any(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=4))
    finally:
        page.close()


def _is_title(text: str) -> bool:
    """Whether a line of the first page may be the title: words, and not a whole paragraph of them."""
    return len(text) <= _LONGEST_TITLE and len(re.findall(r"[^\W\d_]", text)) >= _FEWEST_LETTERS


def _notes(document: PdfDocument, number: int) -> Iterator[str]:
    """What is written on a page beside its text."""
    import pypdfium2

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return
    try:
        yield from written_on(document, page)
    finally:
        page.close()


def _text(page: PdfPage) -> tuple[str, list[bool]]:
    content = page.get_textpage()
    try:
        text = str(content.get_text_range())
        if (divided := in_columns(content, text)) is not None:
            return divided, [False] * len(MARK.findall(divided))
        return text, gaps(content) if MARK.search(text) else []
    finally:
        content.close()


def _bookmarks(document: PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """The titles of the table of contents with their levels, by page number."""
    found: dict[int, list[tuple[int, str]]] = {}
    for count, item in enumerate(document.get_toc(max_depth=6)):
        if count >= _MOST_BOOKMARKS:
            break
        target = item.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            found.setdefault(page + 1, []).append((item.level + 1, item.get_title()))
    return found


def _mark(draft: Draft, lines: Sequence[str], bookmarks: Sequence[tuple[int, str]]) -> None:
    """Make headings of the lines that say what a bookmark of their page says."""
    start = 0
    for level, title in bookmarks:
        wanted = _WORDS.findall(title.lower())
        for at in range(start, len(lines)):
            words = _WORDS.findall(lines[at].lower())
            # The number of a section stands now in the bookmark, now in the page alone.
            if wanted and (words == wanted or words[1:] == wanted or words == wanted[1:]):
                draft.headed(line(title), level, len(lines) - at)
                start = at + 1
                break


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """The lines with a blank one where a sentence ends in a line that is clearly shorter than the others."""
    lines = [one.rstrip() for one in lines]
    lengths = [len(one) for one in lines if one]
    if not lengths:
        return
    usual = median(lengths)
    while lines and not lines[-1]:
        lines.pop()
    for at, text in enumerate(lines):
        yield text
        if text and len(text) < _SHORT * usual and _SENTENCE_END.search(text) and at + 1 < len(lines):
            yield ""
