"""Finds a sentence of a document and its place independently of kb: from raw XML, JSON, pdfminer.six or a text file.

The readers share no code with kb, so that they do not make the same mistakes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import dataclass
from email import message_from_bytes, policy
from html import unescape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WORDS: Final = 24
CHARACTERS: Final = 300
_LEAST: Final = 4
_UNSURE: Final = re.compile("\\(cid:|[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Known:
    """A sentence in a file, and the expected place of the hit; empty if the format has no places."""

    sentence: str
    place: str = ""


def known_of(file: Path, expected: Path | None, strings: Sequence[str] = ()) -> Known | None:
    """A sentence of a file; None if no reader finds one.

    Args:
        file: The file.
        expected: The expected text according to the collection, as Markdown, if there is one.
        strings: Strings that must be in the text, if there is no expected text.
    """
    reader = _READERS.get(file.suffix.lower())
    found = list(reader(file)) if reader else []
    if not found and expected is not None:
        found = [Known(line) for line in _markdown(expected)] or [Known(line) for line in _cells(expected)]
    found = found or [Known(text) for text in strings]
    found = [Known(_some(one.sentence), one.place) for one in found if not _spelt(one.sentence)]
    # The longest one; a repeated sentence has two places.
    counts = [sum(one.sentence == other.sentence for other in found) for one in found]
    alone = [one for one, count in zip(found, counts, strict=True) if count == 1 and len(words(one.sentence)) >= _LEAST]
    alone = alone or [one for one in found if words(one.sentence)]
    return max(alone, key=lambda one: len(words(one.sentence)), default=None)


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def _spelt(text: str) -> bool:
    """Whether a text is a label drawn letter by letter in unknown order, not a sentence."""
    letters = [word for word in words(text) if word.isalpha()]
    return len(letters) >= _LEAST and all(len(word) == 1 for word in letters)


def _some(text: str) -> str:
    """The beginning of a text, with the length of a question."""
    return " ".join(text.split()[:WORDS])[:CHARACTERS]


def _markdown(file: Path) -> Iterator[str]:
    """The plain lines of Markdown."""
    for line in file.read_text("utf-8", "replace").splitlines():
        if not re.match(r"\s*(\||<!--|!\[|\[)", line):
            plain = re.sub(r"(?<!!)\[([^\]]*)\]\([^)]*\)", r"\1", line)
            yield unescape(re.sub(r"[*_`#\\]|^\s*(?:[-+]|\d+\.)\s", "", plain)).strip()


def _cells(file: Path) -> Iterator[str]:
    """The rows of the tables in Markdown."""
    for line in file.read_text("utf-8", "replace").splitlines():
        if re.match(r"\s*\|.*\w", line):
            yield " ".join(line.replace("|", " ").split())


def _texts(xml: str, paragraph: str, text: str) -> Iterator[str]:
    """The text of each paragraph, by the names of the elements."""
    for found in re.finditer(rf"<{paragraph}(?:\s[^>]*)?>(.*?)</{paragraph}>", xml, re.DOTALL):
        parts = re.findall(rf"<{text}(?:\s[^>]*)?>([^<]*)</{text}>", found[1])
        yield unescape("".join(parts))


def _word(file: Path) -> Iterator[Known]:
    with zipfile.ZipFile(file) as archive:
        xml = archive.read("word/document.xml").decode("utf-8", "replace")
    xml = re.sub(
        r"<w:del [^>]*>.*?</w:del>|<mc:Fallback>.*?</mc:Fallback>|<w:instrText.*?</w:instrText>",
        "",
        xml,
        flags=re.DOTALL,
    )
    yield from (Known(text) for text in _texts(xml, "w:p", "w:t"))


def _slides(file: Path) -> Iterator[Known]:
    with zipfile.ZipFile(file) as archive:
        listed = archive.read("ppt/presentation.xml").decode()
        links = archive.read("ppt/_rels/presentation.xml.rels").decode()
        for number, link in enumerate(re.findall(r"<p:sldId [^>]*r:id=\"([^\"]+)\"", listed), 1):
            entry = re.search(rf"<Relationship [^>]*Id=\"{link}\"[^>]*>", links)
            target = re.search(r'Target="/?(?:ppt/)?([^"]+)"', entry[0]) if entry else None
            if target:
                xml = archive.read(f"ppt/{target[1]}").decode("utf-8", "replace")
                yield from (Known(text, f"slide {number}") for text in _texts(xml, "a:p", "a:t"))


def _opendocument(file: Path) -> str:
    with zipfile.ZipFile(file) as archive:
        xml = archive.read("content.xml").decode("utf-8", "replace")
    body = xml[xml.index("<office:body") :]
    return re.sub(r"<text:(?:s|tab|line-break)(?:\s[^>]*)?/>", " ", body)


def _paragraphs(xml: str) -> Iterator[str]:
    for found in re.finditer(r"<text:(p|h)(?:\s[^>]*)?(?<!/)>(.*?)</text:\1>", xml, re.DOTALL):
        if "<text:note" not in found[2] and "<office:annotation" not in found[2] and "<draw:" not in found[2]:
            yield unescape(re.sub(r"<[^>]+>", "", found[2]))


def _odt(file: Path) -> Iterator[Known]:
    yield from (Known(text) for text in _paragraphs(_opendocument(file)))


def _odp(file: Path) -> Iterator[Known]:
    for number, page in enumerate(_opendocument(file).split("<draw:page ")[1:], 1):
        shown = re.sub(r"<presentation:notes.*?</presentation:notes>", "", page, flags=re.DOTALL)
        yield from (Known(text, f"slide {number}") for text in _paragraphs(shown))


def _ods(file: Path) -> Iterator[Known]:
    for sheet in _opendocument(file).split("<table:table ")[1:]:
        name = re.search(r'table:name="([^"]*)"', sheet)
        row = 1
        for found in re.finditer(r"<table:table-row([^>]*?)(?:/>|>(.*?)</table:table-row>)", sheet, re.DOTALL):
            text = " ".join(_paragraphs(found[2] or ""))
            yield Known(text, f"{unescape(name[1]) if name else ''} row {row}")
            repeated = re.search(r'number-rows-repeated="(\d+)"', found[1])
            row += int(repeated[1]) if repeated else 1


def _xlsx(file: Path) -> Iterator[Known]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        shared = archive.read("xl/sharedStrings.xml").decode() if "xl/sharedStrings.xml" in names else ""
        strings = list(_texts(re.sub(r"<rPh.*?</rPh>", "", shared, flags=re.DOTALL), "si", "t"))
        book = archive.read("xl/workbook.xml").decode()
        links = archive.read("xl/_rels/workbook.xml.rels").decode()
        for entry in re.findall(r"<sheet [^>]*>", book):
            name, link = re.search(r'name="([^"]*)"', entry), re.search(r'r:id="([^"]*)"', entry)
            relation = re.search(rf"<Relationship [^>]*Id=\"{link[1]}\"[^>]*>", links) if link else None
            target = re.search(r'Target="/?(?:xl/)?(worksheets/[^"]+)"', relation[0]) if relation else None
            if name is None or target is None:
                continue
            xml = archive.read(f"xl/{target[1]}").decode()
            for row, cells in re.findall(r"<row [^>]*?r=\"(\d+)\"[^>]*>(.*?)</row>", xml, re.DOTALL):
                said = [strings[int(at)] for at in re.findall(r't="s"[^>]*>\s*<v>(\d+)</v>', cells)]
                said += [unescape(text) for text in re.findall(r"<is>.*?<t[^>]*>([^<]*)</t>", cells, re.DOTALL)]
                yield Known(" ".join(said), f"{unescape(name[1])} row {row}")


def _pdf(file: Path) -> Iterator[Known]:
    from pdfminer.high_level import extract_pages
    from pdfminer.layout import LTTextContainer

    for number, page in enumerate(extract_pages(file), 1):
        for box in page:
            # It returns Arabic and Hebrew in visual order, from left to right.
            if isinstance(box, LTTextContainer) and not _UNSURE.search(text := box.get_text()):
                yield Known(re.sub(r"-\s*\n\s*", "", text), f"p. {number}")


def _notebook(file: Path) -> Iterator[Known]:
    notebook = json.loads(file.read_bytes())
    cells = notebook.get("cells") or [
        cell for sheet in notebook.get("worksheets", ()) for cell in sheet.get("cells", ())
    ]
    for number, cell in enumerate(cells, 1):
        source: Any = cell.get("source", cell.get("input", ""))
        for line in source if isinstance(source, list) else source.splitlines():
            yield Known(line.strip(), f"cell {number}")


def _book(file: Path) -> Iterator[Known]:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith("html"):
                xml = archive.read(name).decode("utf-8", "replace")
                heading = re.search(r"<h1[^>]*>(.*?)</h1>", xml, re.DOTALL)
                place = f"chapter: {unescape(re.sub('<[^>]+>', '', heading[1])).strip()}" if heading else ""
                for text in re.findall(r"<p[^>]*>(.*?)</p>", xml, re.DOTALL):
                    yield Known(unescape(re.sub("<[^>]+>", "", text)), place)


def _mail(file: Path) -> Iterator[Known]:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    for paragraph in str(body.get_content() if body else "").split("\n"):
        yield Known(paragraph, f"mail: {message['Subject']}")


def _csv(file: Path) -> Iterator[Known]:
    data = file.read_bytes()
    text = data.decode("utf-8" if _is_utf8(data) else "cp932").replace("\r\n", "\n")
    delimiter = max(",;\t|", key=text.count)
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), 1):
        yield Known(delimiter.join(row), f"row {number}")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _subtitles(file: Path) -> Iterator[Known]:
    for cue in file.read_text("utf-8").split("\n\n"):
        found = re.search(r"(?:(\d+):)?(\d\d):(\d\d)\.\d+ -->[^\n]*\n(.+)", cue, re.DOTALL)
        if found:
            place = f"{int(found[1] or 0)}:{found[2]}:{found[3]}"
            yield Known(re.sub("<[^>]*>", "", found[4]), place)


_READERS: Final = {
    ".docx": _word,
    ".docm": _word,
    ".pptx": _slides,
    ".odt": _odt,
    ".odp": _odp,
    ".ods": _ods,
    ".xlsx": _xlsx,
    ".xlsm": _xlsx,
    ".pdf": _pdf,
    ".ipynb": _notebook,
    ".epub": _book,
    ".eml": _mail,
    ".csv": _csv,
    ".vtt": _subtitles,
}
