"""Reads PDF files with pypdfium2.

A document has the text of each page, headings from the bookmarks, and the metadata of the file. Pages in columns
are read column by column, words divided at the end of a line are joined, and annotations and form values are added
after the text of their page. A page without text is read by Tesseract where that is enabled.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, clean, line
from kb.formats.dates import pdf_date
from kb.formats.scanned import read_page
from kb.records import SCANNED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

# --- Annotations and form values ----------------------------------------------------------------------------------

_MOST: Final = 2_000
_LONGEST: Final = 1 << 20
_MOST_OPTIONS: Final = 500
# Values of a checkbox that is not ticked, and of a list without a choice.
_UNSET: Final = frozenset({"", "off"})


def annotation_texts(document: PdfDocument, page: PdfPage) -> Iterator[str]:
    """Yield the annotations and form values of a page, each as a paragraph, in the order of the file.

    Args:
        document: The document, with its forms initialized.
        page: A page of it.
    """
    import pypdfium2.raw as pdfium

    seen = set()
    for at in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page, at)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetFlags(annotation) & pdfium.FPDF_ANNOT_FLAG_HIDDEN:
                continue
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                text = _value(document, annotation)
            elif kind in {pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP}:
                text = ""
            else:
                text = clean(_string(annotation, b"Contents")).strip()
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
        if text and text not in seen:
            seen.add(text)
            yield text


def _value(document: PdfDocument, annotation: object) -> str:
    """Return the value of a form field, with its name in front; empty if it is not filled in."""
    import pypdfium2.raw as pdfium

    form = document.formenv
    if form is None:
        value, name = _string(annotation, b"V"), _string(annotation, b"T")
        return f"{line(name)}: {line(value)}" if line(value) and name else line(value)
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in {pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE}:
        return ""
    if kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON} and not pdfium.FPDFAnnot_IsChecked(
        form, annotation
    ):
        return ""
    flags = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation)
    if kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and flags & pdfium.FPDF_FORMFLAG_TEXT_PASSWORD:
        return ""
    value = clean(_field(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)).strip()
    if kind in {pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}:
        value = ", ".join(_chosen(form, annotation)) or value
    # The alternate name is meant for people.
    name = line(_field(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)) or line(
        _field(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)
    )
    if value.lower() in _UNSET:
        return ""
    return f"{name}: {value}" if name else value


def _chosen(form: object, annotation: object) -> Iterator[str]:
    """Yield what is chosen of a list, as it is shown; the value may be a number for programs."""
    import pypdfium2.raw as pdfium

    for at in range(min(pdfium.FPDFAnnot_GetOptionCount(form, annotation), _MOST_OPTIONS)):
        if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, at):

            def read(buffer: object, size: int, at: int = at) -> int:
                return int(pdfium.FPDFAnnot_GetOptionLabel(form, annotation, at, buffer, size))

            if label := line(_annotation_text(read)):
                yield label


def _string(annotation: object, key: bytes) -> str:
    import pypdfium2.raw as pdfium

    return _annotation_text(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def _field(function: object, form: object, annotation: object) -> str:
    return _annotation_text(lambda buffer, size: function(form, annotation, buffer, size))  # type: ignore[operator]


def _annotation_text(read: object) -> str:
    """Read a UTF-16 text through PDFium's convention of asking for the size first."""
    import pypdfium2.raw as pdfium

    size = min(read(None, 0), _LONGEST)  # type: ignore[operator]
    if size <= 2:  # noqa: PLR2004 - the terminating zero
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)  # type: ignore[operator]
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


# --- Words divided at the end of a line ---------------------------------------------------------------------------
# The hyphen may be part of the word or not. PDFium replaces it by a mark. The other words of the document decide which
# form is right; if they do not, both forms are put into the text, so that either is found.

# The marks that PDFium leaves in place of the hyphen.
MARK: Final = re.compile("[\x02\ufffe]")
_DIVIDED: Final = re.compile("(?P<before>[\\w\u2010-]*)[\x02\ufffe]\r?\n?(?P<after>[\\w\u2010-]*)")
# PDFium leaves the hyphen of Unicode as it is.
_UNMARKED: Final = re.compile("(?P<before>\\w[\\w\u2010-]*)\u2010\r?\n(?P<after>[^\\W\\d_][\\w\u2010-]*)")
# Nor does it mark a hyphen or a dash behind a digit, which is typed.
_NUMBER: Final = re.compile("(?<=\\d)[-\u2010\u2013]\r?\n(?=[^\\W_])")
_LINE_HYPHEN: Final = re.compile("[\x02\ufffe]|[-\u2010]\\s*(?:\r?\n|$)")
# The least length of a line that is divided there, as a share of the usual one.
_DIVIDED_LINE: Final = 0.4
# What stands around a part of an address, which is divided where it has a hyphen.
_IN_ADDRESS: Final = re.compile(r"[@/_]|[.:]\w")
# A hyphen before these stands for the end of the word after them.
_CONNECTIVES: Final = frozenset(
    {"und", "oder", "bzw", "sowie", "and", "or", "en", "of", "och", "og", "eller", "ja", "tai"}
)
_WORD: Final = re.compile(r"\w[\w-]*\w")
_MARKS: Final = frozenset({0x02, 0xFFFE})
# In line heights. A line further below the previous one belongs to a footer or to another text.
_NEAR: Final = 2.5


def gaps(page: PdfTextPage) -> list[bool]:
    """Return, for each mark of a page, whether the next text is far below, so that no word is divided there."""
    import pypdfium2.raw as pdfium

    count = page.count_chars()
    codes = [pdfium.FPDFText_GetUnicode(page, at) for at in range(count)]
    found = []
    for at, code in enumerate(codes):
        if code not in _MARKS:
            continue
        after = next((other for other in range(at + 1, count) if codes[other] > ord(" ")), None)
        if not at or after is None:
            found.append(True)
            continue
        _, bottom, _, top = page.get_charbox(at - 1, loose=True)
        _, low, _, high = page.get_charbox(after, loose=True)
        found.append(bottom - high > _NEAR * max(top - bottom, high - low))
    return found


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """Return the words of a document in lower case, with hyphenated compounds as one."""
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


def join_divided_words(text: str, far: Sequence[bool], words: Collection[str]) -> str:
    """Join the divided words of a page.

    Args:
        text: The text of the page, with PDFium's marks.
        far: For each mark, whether no word is divided there, as ``gaps`` returns.
        words: The words of the document, as ``words_of`` returns.
    """
    at = iter(far)

    def one(found: re.Match[str]) -> str:
        before, after = found["before"], found["after"]
        if next(at, False) or not (before and after):
            return f"{before}-\n{after}"
        return _joined(found, words)

    def unmarked(found: re.Match[str]) -> str:
        return _joined(found, words) if found["after"][0].islower() else found[0]

    usual = median(lengths) if (lengths := [len(line) for line in text.splitlines() if line.strip()]) else 0

    def number(found: re.Match[str]) -> str:
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        return found[0].rstrip() if " " in line.strip() and len(line) >= _DIVIDED_LINE * usual else found[0]

    text = _NUMBER.sub(number, text)
    # A word may be divided twice, but each mark is handled once.
    return _DIVIDED.sub(one, _UNMARKED.sub(unmarked, text))


def _joined(found: re.Match[str], words: Collection[str]) -> str:
    """Join a divided word as the other words of the document have it; both forms if they do not tell."""
    before, after = found["before"], found["after"]
    joined, typed = before + after, f"{before}-{after}"
    last = re.split("[-\u2010]", before)[-1]
    text = found.string
    if _IN_ADDRESS.match(text, found.end()) or text[max(0, found.start() - 1) : found.start()] in {"/", "@", "_"}:
        return typed
    in_capitals = last.isupper() and after.isupper()
    begins_word = not after[0].islower() or last.isupper()
    if (begins_word and not in_capitals) or last[-1:].isdigit() or len(last) == 1 or last != before:
        return typed
    is_known, is_compound = joined.lower() in words, typed.lower() in words
    if in_capitals or is_known != is_compound:
        return joined if is_known and not is_compound else typed
    return f"{before}- {after}" if after in _CONNECTIVES else f"{joined} ({typed})"


# In lines: how many headers, footers and page numbers may stand above or below the text of a page.
_MARGIN: Final = 3
_PAGE_NUMBER: Final = re.compile(
    r"\W*(?:(?:page|seite|p\.|s\.)\s*)?(?:\d+|[ivxlc]+)(?:\s*\w*\s*\d+)?\W*", re.IGNORECASE
)
_NUMBERS: Final = re.compile(r"\d+")
_ENDS_DIVIDED: Final = re.compile("(?<=[^\\W\\d_])[-\u2010]$")


def join_pages(pages: Sequence[list[str]], words: Collection[str]) -> None:
    """Join the words that are divided between two pages, at the end of the first one.

    Headers, footers and page numbers may stand between: lines at an edge of several pages, but for their numbers.

    Args:
        pages: The lines of each page, which are changed.
        words: The words of the document, as ``words_of`` returns.
    """
    edges = Counter(name for lines in pages for name in {*map(_running, (*lines[:_MARGIN], *lines[-_MARGIN:]))})

    def body(lines: Sequence[str], order: Iterable[int]) -> int:
        """Return the first of some lines that is neither a running title nor a page number; -1 if all are."""
        texts = (at for at in order if lines[at].strip() and not _PAGE_NUMBER.fullmatch(lines[at].strip()))
        return next((at for at in texts if edges[_running(lines[at])] == 1), -1)

    for lines, following in pairwise(filter(None, pages)):
        last = body(lines, range(len(lines) - 1, max(-1, len(lines) - 2 - _MARGIN), -1))
        first = body(following, range(min(len(following), _MARGIN + 1)))
        if last < 0 or first < 0 or not _ENDS_DIVIDED.search(lines[last].rstrip()):
            continue
        both = f"{lines[last].rstrip()[:-1]}\x02{following[first].lstrip()}"
        found = _DIVIDED.search(both)
        if found and found["before"] and found["after"][:1].islower() and found["after"] not in _CONNECTIVES:
            sign, _, rest = both[found.end() :].partition(" ")
            lines[last] = both[: found.start()] + _joined(found, words) + sign
            following[first] = rest


def _running(line: str) -> str:
    """Return a line without its numbers, which are others on each page."""
    return _NUMBERS.sub("0", line.strip())


# --- Pages in columns ---------------------------------------------------------------------------------------------
# If the program that wrote the file stored a page row by row, PDFium returns lines across all columns. They are
# reordered only if every column is running text; the columns of a table are read row by row.

# The least width of a gap between columns, in line heights, and the least number of rows that have it.
_WIDE: Final = 1.0
_FEWEST: Final = 4
# In points. The lines of a column begin within this distance, indented paragraphs aside.
_ALIGNED: Final = 3.0
_INDENTED: Final = 30.0
# The least share of the lines with gaps that go on at the edge of a column, and at that of a further one, which may be
# shorter.
_SHARE: Final = 0.6
_FURTHER: Final = 0.25
_MOST_COLUMNS: Final = 8
# The largest share of the lines of running text that begin with a capital or a digit.
_BEGINS: Final = 0.8
_BEGIN_ALIKE: Final = 0.4
# The least mean number of words in a line of running text, and its least median width as a share of the widest.
_COLUMN_WORDS: Final = 3.0
_FULL: Final = 0.6
_ALIKE: Final = 0.3
_SURELY: Final = 0.8
_COLUMN_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SPACE: Final = ord(" ")
_LINE_END: Final = ord("\n")
_ENDS: Final = frozenset({_LINE_END, 0x02, 0xFFFE})
_SAMPLE: Final = 12


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with its edges, in points.

    Attributes:
        text: Its text.
        left: Its left edge.
        right: Its right edge.
        gaps: Its wide gaps, as (right edge of the word before, left edge of the word after, offset in the text).
    """

    text: str
    left: float
    right: float
    gaps: tuple[tuple[float, float, int], ...]


def in_columns(page: PdfTextPage, text: str) -> str | None:
    """Return the text of a page column by column, or None if its text is not in several mixed columns.

    A word divided at the end of a line has one of PDFium's marks in place of the hyphen.

    Args:
        page: The page.
        text: Its text, as PDFium returns it.
    """
    codes = _codes(page, text)
    spans = list(_spans(codes))
    # Asking for positions is slow, so check a sample of the lines first.
    some = spans[:: max(1, len(spans) // _SAMPLE)]
    if sum(bool(_line(page, codes, *span).gaps) for span in some) < len(some) // _FEWEST:
        return None
    lines = [_line(page, codes, *span) for span in spans]
    edges = _edges(lines)
    divided = [_divided(line, edges) for line in lines]
    if not edges or not _are_columns(lines, divided, len(edges) + 1):
        return None
    parts: list[str] = []
    for crosses, group in groupby(divided, lambda pieces: pieces[0][0] < 0):
        rows = list(group)
        if crosses:
            parts += [piece.text for pieces in rows for _, piece in pieces]
            continue
        for column in range(len(edges) + 1):
            texts = [piece.text for pieces in rows for at, piece in pieces if at == column]
            parts += [f"{one[:-1]}\x02" if one.endswith("-") else one for one in texts[:-1]] + texts[-1:]
    return "\n".join(parts)


def _codes(page: PdfTextPage, text: str) -> list[int]:
    """Return the characters of a page by PDFium's index; the text is not indexed like that if it omits some."""
    import pypdfium2.raw as pdfium

    count = page.count_chars()
    # A character beyond 16 bits may have two indices.
    if len(text) == count and max(text, default="") <= "\uffff":
        return list(map(ord, text))
    return [pdfium.FPDFText_GetUnicode(page, at) for at in range(count)]


def _spans(codes: Sequence[int]) -> Iterator[tuple[list[int], str]]:
    """Yield the lines that are not blank: the indices of their characters, and a hyphen if a word is divided."""
    characters: list[int] = []
    for at, code in enumerate((*codes, _LINE_END)):
        if code in _ENDS:
            if characters:
                # PDFium leaves out the hyphen of a divided word.
                yield characters, "" if code == _LINE_END else "-"
            characters = []
        elif code > _SPACE:
            characters.append(at)


def _line(page: PdfTextPage, codes: Sequence[int], characters: Sequence[int], end: str) -> _Line:
    text = _line_text(codes[characters[0] : characters[-1] + 1])
    first, last = (page.get_charbox(at, loose=True) for at in (characters[0], characters[-1]))
    wide = _WIDE * max(first[3] - first[1], 1.0)
    found = []
    for before, after in pairwise(characters):
        if after > before + 1:
            ends, begins = page.get_charbox(before, loose=True)[2], page.get_charbox(after, loose=True)[0]
            if begins - ends > wide:
                found.append((ends, begins, len(_line_text(codes[characters[0] : after]))))
    return _Line(text + end, first[0], last[2], tuple(found))


def _line_text(codes: Sequence[int]) -> str:
    """Join characters as PDFium returns them; those beyond 16 bits may be two surrogates."""
    return "".join(map(chr, codes)).encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _edges(lines: Sequence[_Line]) -> list[float]:
    """Return the left edges of all columns but the first, where many lines go on after a gap."""
    begins = sorted(begins for line in lines for _, begins, _ in line.gaps)
    count = sum(bool(line.gaps) for line in lines)
    found: list[float] = []
    while begins and len(found) < _MOST_COLUMNS:
        best = max(([one for one in begins if 0 <= one - first <= _ALIGNED] for first in begins), key=len)
        if len(best) < max(_FEWEST, (_FURTHER if found else _SHARE) * count):
            break
        found.append(best[0])
        begins = [one for one in begins if abs(one - best[0]) > _INDENTED]
    return sorted(found)


def _divided(line: _Line, edges: Sequence[float]) -> list[tuple[int, _Line]]:
    """Divide a line at the gaps between columns; return the parts with their columns, -1 for what crosses several."""
    # The first line of a paragraph may be indented.
    cuts = [
        (ends, begins, at)
        for ends, begins, at in line.gaps
        if any(ends < edge <= begins + _ALIGNED and begins - edge <= edge - ends + _INDENTED for edge in edges)
    ]
    starts = [(line.left, 0), *((begins, at) for _, begins, at in cuts)]
    stops = [*((ends, at) for ends, _, at in cuts), (line.right, len(line.text))]
    parts = [
        _Line(line.text[start:stop].rstrip(), left, right, ())
        for (left, start), (right, stop) in zip(starts, stops, strict=True)
    ]
    columns = [_column_of(part, edges) for part in parts]
    return [(-1, line)] if -1 in columns else list(zip(columns, parts, strict=True))


def _column_of(line: _Line, edges: Sequence[float]) -> int:
    """Return the column that a line is in, from 0; -1 for one that crosses several, such as a heading."""
    column = sum(edge <= line.left + _ALIGNED for edge in edges)
    return -1 if column < len(edges) and line.right >= edges[column] else column


def _are_columns(lines: Sequence[_Line], divided: Sequence[Sequence[tuple[int, _Line]]], count: int) -> bool:
    """Whether all columns are running text, with no gap but those between them."""
    several = [parts for parts in divided if len(parts) > 1]
    alone = sum(len(line.gaps) == len(parts) - 1 for line, parts in zip(lines, divided, strict=True) if len(parts) > 1)
    if alone < _SURELY * len(several):
        return False
    columns = [[part for parts in several for at, part in parts if at == column] for column in range(count)]
    if not all(map(_is_prose, columns)):
        return False
    widths = [max(line.right - line.left for line in column) for column in columns]
    return min(widths) >= _ALIKE * max(widths)


def _is_prose(column: Sequence[_Line]) -> bool:
    """Whether the lines of a column are running text."""
    if len(column) < _FEWEST:
        return False
    widths = [line.right - line.left for line in column]
    # In a table every cell is a sentence or a name of its own, or all are written to one pattern.
    alike = Counter(line.text.partition(" ")[0] for line in column).most_common(1)[0][1]
    capitals = sum(line.text[:1].isupper() or line.text[:1].isdigit() for line in column)
    if capitals > _BEGINS * len(column) or alike > max(2, _BEGIN_ALIKE * len(column)):
        return False
    words = sum(len(_COLUMN_WORD.findall(line.text)) for line in column) / len(column)
    return words >= _COLUMN_WORDS and median(widths) >= _FULL * max(widths)


# --- Titles -------------------------------------------------------------------------------------------------------
# Where the property is nothing that a person wrote, the title is what stands in the largest type on the first page with
# text. The first line is often the head of a form, such as ``UNITED STATES``, or a running title.

_LONGEST_TITLE: Final = 120
_FEWEST_LETTERS: Final = 3
# The least height of a title relative to the median of its page, and of its lines relative to the highest.
_HIGHER: Final = 1.15
_EQUAL: Final = 0.97
# The name of a form and that of who filled it in may stand apart; more lines in one type are headings.
_MOST_APART: Final = 2
# In characters of a line. Asking for all their heights is slow.
_SAMPLED: Final = 8


def _is_title(text: str) -> bool:
    """Whether a line of the first page may be the title: it has words and is no longer than a title."""
    return len(text) <= _LONGEST_TITLE and len(re.findall(r"[^\W\d_]", text)) >= _FEWEST_LETTERS


def _largest_lines(document: PdfDocument, number: int) -> str:
    """Return the lines of a page in its largest type, as one line.

    Args:
        document: The document.
        number: The number of the page, from 1.

    Returns:
        Both lines if there are two, else the first with those right below it; nothing if no type is larger than others.
    """
    import pypdfium2

    try:
        page = document[number - 1]
        content = page.get_textpage()
    except pypdfium2.PdfiumError:
        return ""
    codes = _codes(content, content.get_text_range())
    heights: list[float] = []
    lines: list[tuple[float, str]] = []
    for characters, _ in _spans(codes):
        boxes = (content.get_charbox(at, loose=True) for at in characters[:: max(1, len(characters) // _SAMPLED)])
        height = median(top - bottom for _, bottom, _, top in boxes)
        heights += [height] * len(characters)
        lines.append((height, line(_line_text(codes[characters[0] : characters[-1] + 1]))))
    content.close()
    page.close()
    largest = max((height for height, text in lines if _is_title(text)), default=0.0)
    if not heights or largest < _HIGHER * median(heights):
        return ""
    runs = [
        " ".join(text for _, text in run)
        for found, run in groupby(lines, lambda one: _is_title(one[1]) and one[0] >= _EQUAL * largest)
        if found
    ]
    return " ".join(runs) if len(runs) <= _MOST_APART else runs[0]


# --- Documents ----------------------------------------------------------------------------------------------------

# PDFium's error codes for an encrypted file.
_LOCKS: Final[dict[int | None, str]] = {4: "a password", 5: "a certificate, or its own program,"}
_MOST_BOOKMARKS: Final = 5_000
_SENTENCE_END: Final = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")
_SHORT: Final = 0.8
_WORDS: Final = re.compile(r"\w+")


def prepare() -> None:
    """Load PDFium."""
    import pypdfium2

    pypdfium2.PdfDocument.new().close()


def extract(_name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the text of each page to the builder.

    Raises:
        Unreadable: The file is encrypted, damaged, or has no text.
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
    builder.set_properties(properties["Title"], properties["Author"], pdf_date(properties["CreationDate"]))
    bookmarks = _bookmarks(document)
    has_text = False
    damaged = images = 0
    count = len(document)
    pages = [_read(document, number, builder, limits) for number in range(1, count + 1)]
    divided = any(page and _LINE_HYPHEN.search(page[0]) for page in pages)
    words = words_of([page[0] for page in pages if page]) if divided else frozenset()
    texts = [clean(join_divided_words(*page, words)).split("\n") if page else [] for page in pages]
    join_pages(texts, words)
    for number, (page, text) in enumerate(zip(pages, texts, strict=True), 1):
        damaged += page is None
        images += page is not None and not page[0].strip() and _has_image(document, number)
        lines = list(_paragraphs(text))
        for note in _notes(document, number) if page else ():
            lines += ["", *note.split("\n")] if lines else note.split("\n")
        if lines:
            if not has_text and properties["Title"].strip() and not builder.has_title and not bookmarks:
                # The file has a title that its program made up; take one from the text.
                titles = (_largest_lines(document, number), *lines)
                builder.set_default_title(next((one for one in titles if _is_title(one)), ""))
            has_text = True
            builder.add_place(f"p. {number}", page=number)
            builder.add_lines(lines)
            _mark(builder, lines, bookmarks.get(number, ()))
            builder.add_blank_line()
    document.close()
    if has_text:
        _report_unread(builder, damaged, images, count)
        return
    if damaged == count:
        raise Unreadable("is damaged: none of its pages can be read", "Open it with a PDF viewer")
    if limits.ocr:
        raise Unreadable("has no text, and none was recognised in its images")
    raise Unreadable(SCANNED, "Have its pages read by Tesseract: documents.ocr = true")


def _report_unread(builder: TextBuilder, damaged: int, images: int, count: int) -> None:
    """Report the pages of a readable file that gave no text."""
    if damaged:
        builder.add_unread(f"{damaged} of {count} pages {'is' if damaged == 1 else 'are'} damaged")
    if images:
        builder.add_unread(f"{images} of {count} pages {'has' if images == 1 else 'have'} no text, only images")


def _read(document: PdfDocument, number: int, builder: TextBuilder, limits: Limits) -> tuple[str, list[bool]] | None:
    """Return the text of a page and its ``gaps``, read by Tesseract if it is an image; None if the page is damaged."""
    import pypdfium2

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return None
    try:
        text, far = _text(page)
        if not text.strip() and limits.ocr:
            text = read_page(page, builder)
    except pypdfium2.PdfiumError:
        return None
    else:
        return text, far
    finally:
        page.close()


def _has_image(document: PdfDocument, number: int) -> bool:
    """Whether a page has an image, which may hold text that was not read."""
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


def _notes(document: PdfDocument, number: int) -> Iterator[str]:
    """Yield the annotations and form values of a page; none if the page is damaged."""
    import pypdfium2

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return
    try:
        yield from annotation_texts(document, page)
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
    """Return the bookmarks by page number, as (level, title)."""
    found: dict[int, list[tuple[int, str]]] = {}
    for count, item in enumerate(document.get_toc(max_depth=6)):
        if count >= _MOST_BOOKMARKS:
            break
        target = item.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            found.setdefault(page + 1, []).append((item.level + 1, item.get_title()))
    return found


def _mark(builder: TextBuilder, lines: Sequence[str], bookmarks: Sequence[tuple[int, str]]) -> None:
    """Mark the lines of a page that match one of its bookmarks as headings."""
    start = 0
    for level, title in bookmarks:
        wanted = _WORDS.findall(title.lower())
        for at in range(start, len(lines)):
            words = _WORDS.findall(lines[at].lower())
            # The section number may be in the bookmark only, or on the page only.
            if wanted and (words == wanted or words[1:] == wanted or words == wanted[1:]):
                builder.mark_heading(line(title), level, len(lines) - at)
                start = at + 1
                break


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines, with a blank one after a line that ends a sentence and is clearly shorter than the others."""
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
