"""Hostile texts: none takes far longer than a plain one, and long ones are parsed under limits."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from hostile_texts import HOSTILE, PLAIN

from kb.chunking import split
from kb.chunking.split import Chunker
from kb.config import Config
from kb.errors import DocumentError
from kb.formats import isolated
from kb.formats.isolated import LONG, LongTexts
from kb.formats.reader import DocumentReader
from kb.formats.registry import REGISTRY
from kb.formats.text import extract
from kb.reading import sandboxes_of
from kb.records import FileStat, FoundFile, Source
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 8_000
LARGE = 1_500_000
# What the costliest text takes is some fifteen times what a plain one takes; more than twice that is a fault.
MOST = 40
MODULE = "kb.formats.isolated"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Where long texts are parsed."""
    made = Sandbox(Limits(seconds=20.0), [MODULE])
    yield made
    made.close()


@pytest.fixture
def all_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every text as a long one."""
    monkeypatch.setattr(isolated, "LONG", 0)


def cost(path: str, text: str) -> float:
    """The processor time for reading and splitting a text."""
    chunker = Chunker(FakeTokens(limit=256), 200)
    begun = time.thread_time()
    chunker.split(extract(path, text.encode("utf-8", "surrogatepass")))
    return time.thread_time() - begun


@pytest.fixture(scope="module")
def plain_cost() -> float:
    """The least processor time for a plain text."""
    return max(min(cost("x.md", PLAIN(SIZE)) for _ in range(3)), 0.002)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_little_more_than_plain_text(name: str, plain_cost: float) -> None:
    """The time does not grow with the square of what is nested, opened or repeated."""
    try:
        # Another process may have had the caches of the processor: it may take longer once or twice.
        quick = any(cost(name, HOSTILE[name](SIZE)) < MOST * plain_cost for _ in range(3))
    except DocumentError:
        return

    assert quick


def test_every_format_has_hostile_text() -> None:
    """No parser of text is left out."""
    covered = {one.reader for name in HOSTILE if (one := REGISTRY.of(name))}

    assert {one.reader for one in REGISTRY.rows if one.how in {"text", "document"}} <= covered


@pytest.mark.faults
@pytest.mark.parametrize("name", HOSTILE)
def test_long_texts_are_bounded_in_time(name: str) -> None:
    """A text of a megabyte or more ends within the limits, as passages or with a reason."""
    config = Config()
    boxes = sandboxes_of(config)
    reader = DocumentReader(Chunker(FakeTokens(limit=256), 200, seconds=20.0), long=LongTexts(boxes.texts))
    data = HOSTILE[name](LARGE).encode("utf-8", "surrogatepass")
    found = FoundFile("/notes", name, FileStat(len(data), 0, 0, 0, 0))
    begun = time.thread_time()
    try:
        _, passages = reader.read(Source(found, data, b"", 0))
    except DocumentError:
        pass
    else:
        assert len(passages) <= 10_000 + len(data) // 100
    finally:
        boxes.close()

    assert time.thread_time() - begun < 40.0


# --- the child gives what the parser gives ------------------------------------------------------------------------


@pytest.mark.usefixtures("all_long")
@pytest.mark.parametrize("name", [*HOSTILE])
def test_child_returns_same_document(sandbox: Sandbox, name: str) -> None:
    """A document is the same in whichever process it is parsed."""
    data = HOSTILE[name](1_500).encode("utf-8", "surrogatepass")
    try:
        expected = extract(name, data)
    except DocumentError as error:
        with pytest.raises(DocumentError, match=error.message.split("(")[0]):
            LongTexts(sandbox).read(name, data)
        return

    assert LongTexts(sandbox).read(name, data) == expected


@pytest.mark.usefixtures("all_long")
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("notes/2020-01-02 day.md", b"---\ndate: 3 May 2021\ntags: [a, b]\n---\n# One\n\n[a](b.md) [[c#d|e]] #t ^id\n"),
        ("journals/2020_01_02.md", b"title:: x\n- a\n"),
        ("a.md", b"+++\ntitle = 'x'\ndate = 2020-01-02\n+++\nbody\n"),
        ("a.txt", "Grüße aus Köln, schöne Größe".encode("cp1252")),
        ("a.txt", "Привет, как дела сегодня".encode("koi8_r")),
        ("a.txt", "Привіт світе, їжак".encode("koi8_u")),
        ("a.txt", "こんにちは世界、お元気ですか".encode("cp932")),
        ("a.txt", "中文文本的一个例子写给测试".encode("gb18030")),
        ("a.txt", "words in sixteen bits".encode("utf-16")),
        ("a.txt", b"broken \xff\xfe\xfd utf-8 \xe4"),
        (os.fsdecode(b"b\xff/\xe4.md"), b"# a\n"),
        ("Zettel/a%2Fb.org", b"* TODO a :b:\n<2020-01-02 Thu>\n"),
    ],
)
def test_child_reads_names_dates_and_encodings(sandbox: Sandbox, path: str, data: bytes) -> None:
    """Parsers need nothing that the child can no longer load."""
    assert LongTexts(sandbox).read(path, data) == extract(path, data)


@pytest.mark.usefixtures("all_long")
def test_lone_surrogate_is_replaced(sandbox: Sandbox) -> None:
    """JSON can contain lone surrogates, text cannot."""
    data = b'{"nodes":[{"id":"1","type":"text","text":"a \\ud800 b"}]}'

    assert LongTexts(sandbox).read("a.canvas", data).text == "a ? b"


@pytest.mark.usefixtures("all_long")
def test_binary_file_is_refused_by_child(sandbox: Sandbox) -> None:
    """The child returns reasons unchanged."""
    with pytest.raises(DocumentError, match="is not text") as caught:
        LongTexts(sandbox).read("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "folders.exclude" in caught.value.remedy


def test_short_texts_start_no_process() -> None:
    """A note is parsed in this process, a long text in a child."""
    made = Sandbox(Limits(), [MODULE])
    try:
        texts = LongTexts(made)
        texts.read("a.md", b"x" * LONG)
        assert made.process is None
        texts.read("a.md", b"x" * (LONG + 1))
        assert made.process is not None
    finally:
        made.close()


@pytest.mark.parametrize(
    ("limits", "name", "reason"),
    [
        (Limits(seconds=0.1), "headings.md", "takes longer than 0.1 seconds"),
        (Limits(memory=10_000_000), "deep in lines.json", "memory"),
        (Limits(text=2_000_000), "keys.json", "more structure than text"),
    ],
)
def test_long_text_over_limit_is_reported(limits: Limits, name: str, reason: str) -> None:
    """Time, memory and structure are limited, and the next text is read."""
    made = Sandbox(limits, [MODULE])
    try:
        with pytest.raises(DocumentError, match=reason):
            LongTexts(made).read(name, HOSTILE[name](300_000).encode())
        assert LongTexts(made).read("a.txt", b"fine") == extract("a.txt", b"fine")
    finally:
        made.close()


# --- splitting ----------------------------------------------------------------------------------------------------


def test_splitting_time_is_limited() -> None:
    """A text that takes too long to split fails with a reason."""
    document = extract("a.md", PLAIN(SIZE).replace("\n", " ").encode())

    with pytest.raises(DocumentError, match="takes longer than 0 seconds to split"):
        Chunker(FakeTokens(limit=256), 32, seconds=0.0).split(document)


def test_text_of_headings_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of passages has a limit that no written text reaches."""
    monkeypatch.setattr(split, "MOST_PASSAGES", 1_000)
    with pytest.raises(DocumentError, match=r"falls into 3,001 passages, over the limit of 1,120"):
        Chunker(FakeTokens(limit=256), 200).split(extract("a.md", b"# a\n" * 3_000))


def test_glossary_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of some words each are a dictionary."""
    monkeypatch.setattr(split, "MOST_PASSAGES", 1_000)
    glossary = "".join(f"# entry {at}\n\nwhat entry {at} means, in a few words\n\n" for at in range(1_500))

    assert len(Chunker(FakeTokens(limit=256), 200).split(extract("a.md", glossary.encode()))) == 1_500


def test_endless_heading_is_cut() -> None:
    """A line of a megabyte is not searched for markup."""

    def parsing(text: str) -> float:
        begun = time.thread_time()
        extract("a.md", text.encode())
        return time.thread_time() - begun

    size = 300_000
    usual = max(min(parsing(PLAIN(size)) for _ in range(3)), 0.02)

    assert parsing(HOSTILE["long underlined heading.md"](size)) < 20 * usual
