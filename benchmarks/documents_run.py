"""The work of the document benchmark, each part in a separate process."""

from __future__ import annotations

import io
import json
import os
import time
from collections import defaultdict
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.indexing import settings
from benchmarks.known import Known, known_of, words
from kb.app import LocalKnowledgeBase
from kb.errors import DocumentError
from kb.formats.registry import REGISTRY
from kb.records import Filters, Mode
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import StoredPassage

# The number of words required of a sentence that may be cut at the end of a passage.
_SHARE: Final = 0.6
_SAME: Final = 1e-6


def found(docs: str, formats: str, store: str) -> dict[str, Any]:
    """Index the files, search for a known sentence of each, and return which were found at their place."""
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    wrong, blank = [], []
    first = kept = hybrid = 0
    with LocalKnowledgeBase.open(settings(docs, store)) as kb:
        embedder = kb._container.embedder  # noqa: SLF001 - its time is what is measured
        spent = [0.0]
        plain = embedder.embed_documents

        def timed(texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
            begun = time.perf_counter()
            vectors = plain(texts, tokens)
            spent[0] += time.perf_counter() - begun
            return vectors

        embedder.embed_documents = timed  # type: ignore[method-assign]  # the one way to be between
        embedder.load()
        report = kb.index()
        refused = {failure.path: failure.reason for failure in report.failures}
        for file in sorted(Path(docs).rglob("*")):
            path = str(file.relative_to(docs))
            if not file.is_file() or path in refused:
                continue
            known = _known(file, Path(formats), path)
            if known is None:
                blank.append(path)
                continue
            why = _judged(kb, path, known, Mode.COSINE)
            hybrid += not _judged(kb, path, known, Mode.HYBRID)
            first += _first(kb, path, known)
            kept += _kept(kb, path, known, docs)
            kinds[file.suffix.lower()][0] += not why
            kinds[file.suffix.lower()][1] += 1
            if why:
                wrong.append((path, why))
    return {
        "right": sum(right for right, _ in kinds.values()),
        "wrong": wrong,
        "first": first,
        "kept": kept,
        "hybrid": hybrid,
        "kinds": kinds,
        "blank": blank,
        "refused": sorted(refused.items()),
        "files": report.added,
        "embedding": spent[0],
        "model": kb.settings.config.embed.model,
    }


def _known(file: Path, formats: Path, path: str) -> Known | None:
    collection, _, rest = path.partition("/")
    expected = formats / f"{collection}-expected" / f"{rest}.md"
    shorter = (formats / f"{collection}-expected" / rest).with_suffix(".md")
    beside = next((one for one in (expected, shorter) if one.is_file()), None)
    try:
        return known_of(file, beside, _strings(formats / collection).get(rest, ()))
    except Exception as error:  # noqa: BLE001 - another program's view of a broken file
        return Known(f"(no second reader: {error})")


@cache
def _strings(collection: Path) -> dict[str, list[str]]:
    """The text that a collection expects in its files, without Markdown markup."""
    listed = collection / "expected.json"
    if not listed.is_file():
        return {}
    return {
        one["filename"]: [" ".join(words(text)) for text in one["must_include"] if "](" not in text]
        for one in json.loads(listed.read_text("utf-8"))
    }


def _judged(kb: LocalKnowledgeBase, path: str, known: Known, mode: Mode) -> str:
    """Why a sentence was not found; empty if it was."""
    only = Filters(paths=(f"/{path}",))
    hits = kb.search(known.sentence, literal=True, limit=1, mode=mode, filters=only).hits
    if not hits:
        return f"nothing is found: {known.sentence[:60]}"
    passage = hits[0].passage
    if not _at(passage.place, known.place):
        return f"at {passage.place!r}, not at {known.place!r}: {known.sentence[:60]}"
    share = _share(passage, known)
    return "" if share >= _SHARE else f"only {share:.0%} of its words: {known.sentence[:60]}"


def _kept(kb: LocalKnowledgeBase, path: str, known: Known, docs: str) -> bool:
    """Whether the file has the words of the sentence at its place, regardless of the search."""
    passages = kb.show(f"{docs}/{path}").passages
    return any(_at(one.place, known.place) and _share(one, known) >= _SHARE for one in passages)


def _share(passage: StoredPassage, known: Known) -> float:
    """The number of words of a sentence in a passage, including headings."""
    wanted = words(known.sentence)
    there = set(words(passage.text)) | set(words(" ".join(passage.heading)))
    return sum(word in there for word in wanted) / max(1, len(wanted))


def _first(kb: LocalKnowledgeBase, path: str, known: Known) -> bool:
    """Whether the file, or an equally similar one, is ranked first."""
    hits = kb.search(known.sentence, literal=True, limit=20).hits
    scores = [hit.score or 0.0 for hit in hits]
    return any(
        hit.passage.file.path == path and own >= scores[0] - _SAME for hit, own in zip(hits, scores, strict=True)
    )


def _at(place: str, wanted: str) -> bool:
    """Whether a place is the expected one; it may be a range of rows."""
    sheet, _, row = wanted.rpartition("row ")
    if row.isdigit() and " rows " in f" {place}":
        named, _, span = f" {place}".rpartition(" rows ")
        low, high = span.split("-")
        return named.strip() == sheet.strip() and int(low) <= int(row) <= int(high)
    # A cue stands in a passage that begins with an earlier one; a mail's place goes on with its date.
    return not wanted or place.startswith(wanted) or (wanted.count(":") == 2 and place <= wanted)


def cost(docs: str, count: int) -> dict[str, float]:
    """The time to extract documents, some of them repeatedly; PDFs with pdfminer.six too."""
    files = [file for file in sorted(Path(docs).rglob("*")) if file.suffix.lower() in REGISTRY.documents]
    loaded = [(file, file.read_bytes()) for file in files]
    sandbox = Sandbox(Limits())
    _extracted(sandbox, *loaded[0])
    begun = time.perf_counter()
    for file, data in islice(cycle(loaded), count):
        _extracted(sandbox, file, data)
    seconds = time.perf_counter() - begun
    papers = [one for one in loaded if one[0].suffix.lower() == ".pdf"]
    begun = time.perf_counter()
    for file, data in papers:
        _extracted(sandbox, file, data)
    pdf_seconds = time.perf_counter() - begun
    sandbox.close()
    begun = time.perf_counter()
    pages = sum(_pdfminer_pages(data) for _, data in papers)
    return {
        "documents": count,
        "seconds": seconds,
        "pages": pages,
        "pdf_seconds": pdf_seconds,
        "pdfminer_seconds": time.perf_counter() - begun,
    }


def _extracted(sandbox: Sandbox, file: Path, data: bytes) -> None:
    try:
        sandbox.extract(REGISTRY.by_suffix[file.suffix.lower()].reader, file.name, data)
    except DocumentError:
        return


def _pdfminer_pages(data: bytes) -> int:
    from pdfminer.high_level import extract_pages
    from pdfminer.layout import LTTextContainer

    count = 0
    for page in extract_pages(io.BytesIO(data)):
        count += 1
        "".join(box.get_text() for box in page if isinstance(box, LTTextContainer))
    return count


def memory(docs: str, work: str, store: str, count: int) -> dict[str, float]:
    """The growth of the indexing process while it reads documents, distinct ones first."""
    folder = Path(work) / "many"
    files = [file for file in sorted(Path(docs).rglob("*")) if file.is_file()]
    first = most = 0
    for turn, some in enumerate(_turns(files, count)):
        for file in some:
            target = folder / str(turn) / file.relative_to(docs)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    with LocalKnowledgeBase.open(settings(str(folder), store)) as kb:
        seen = [0]

        def look(_: object) -> None:
            nonlocal first, most
            seen[0] += 1
            # Libraries are loaded after the first quarter.
            if seen[0] == count // 4:
                first = _resident()
            most = max(most, _resident()) if first else 0

        kb.index(accept_deletions=True, on_event=look)
    return {"files": count, "first": first, "most": most}


def _turns(files: list[Path], count: int) -> Iterator[list[Path]]:
    while count > 0:
        yield files[:count]
        count -= len(files)


def _resident() -> int:
    with open("/proc/self/statm", "rb") as told:  # noqa: PTH123 - the system's own file
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
