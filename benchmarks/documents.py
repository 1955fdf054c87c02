"""Office documents and PDFs: whether each is found at its place, and the cost of reading them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.corpora import write_small_notes
from benchmarks.daemon import json_output, program, succeeded, waiting
from benchmarks.made_pdf import pdf
from benchmarks.table import Row, at_least, at_most, skipped
from kb.evaluation.bench import Times
from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

NAME: Final = "documents"
SUFFIXES: Final = frozenset((*REGISTRY.documents, ".csv", ".vtt"))
MANY: Final = 1000
PAGES: Final = 300
_MEGABYTE: Final = 1_000_000
_LIBRARIES: Final = ("xberg", "pypdfium2", "python_calamine", "pdfminer")


def rows(work: Bench) -> list[Row]:
    """Find each file of the collection by a known sentence, and measure the cost of reading."""
    formats = work.data / "formats" if work.data else None
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        return [skipped(NAME, "all of it", f"{', '.join(missing)} not installed: pip install -e '.[dev]'", "")]
    if formats is None or not formats.is_dir():
        return [skipped(NAME, "files by their known sentence", "no collection of formats", "all"), *_beside(work)]
    folder = work.folder / "formats"
    files = _copied(formats, folder, work.scale)
    progress(f"{NAME}: {files} files by their known sentence")
    found = call(
        "documents_run:found", docs=str(folder), formats=str(formats), store=str(work.folder / "formats-store")
    )
    progress(f"{NAME}: extraction of {work.scaled(MANY)} documents")
    cost = call("documents_run:cost", docs=str(folder), count=work.scaled(MANY))
    progress(f"{NAME}: memory over {work.scaled(MANY)} documents")
    memory = call(
        "documents_run:memory",
        docs=str(folder),
        work=str(work.folder),
        store=str(work.folder / "formats-store"),
        count=work.scaled(MANY),
    )
    return [*_found_rows(found), *_cost_rows(cost, found, memory), *_beside(work)]


def _copied(formats: Path, folder: Path, scale: int) -> int:
    """Copy the documents of the collection into a separate folder with the same paths."""
    chosen = sorted(
        file
        for part in ("docling", "markitdown", "odfpy", "python-docx", "ipynb")
        for file in (formats / part).rglob("*")
        if file.suffix.lower() in SUFFIXES
    )[::scale]
    for file in chosen:
        target = folder / file.relative_to(formats)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return len(chosen)


def _found_rows(found: dict[str, Any]) -> list[Row]:
    wrong = found["wrong"]
    good = found["right"]
    return [
        Row(
            NAME,
            "known sentence is its file's first hit, with the right place",
            f"{good} of {good + len(wrong)}",
            "all",
            not wrong,
        ),
        Row(NAME, "the same with --mode hybrid", f"{found['hybrid']} of {good + len(wrong)}"),
        Row(NAME, "the sentence is kept at its place", f"{found['kept']} of {good + len(wrong)}"),
        Row(NAME, "its file comes first among all files at once", f"{found['first']} of {good + len(wrong)}"),
        *(Row(NAME, f"  {kind}", f"{right} of {of}") for kind, (right, of) in sorted(found["kinds"].items())),
        *(Row(NAME, f"  not: {path}", why) for path, why in wrong),
        Row(NAME, "without a sentence to ask for", ", ".join(found["blank"]) or "none"),
        *(Row(NAME, f"  told: {path}", reason) for path, reason in found["refused"]),
    ]


def _cost_rows(cost: dict[str, float], found: dict[str, Any], memory: dict[str, float]) -> list[Row]:
    embedding = found["embedding"] / found["files"] * cost["documents"]
    share = 100 * cost["seconds"] / embedding
    speed = cost["pages"] / cost["pdf_seconds"] / (cost["pages"] / cost["pdfminer_seconds"])
    grown = memory["most"] - memory["first"]
    return [
        at_most(NAME, f"extraction of {cost['documents']:.0f} documents / embedding them", share, 15, "%", digits=1),
        Row(NAME, "seconds", f"extraction {cost['seconds']:.1f}, embedding {embedding:.1f}, model {found['model']}"),
        at_least(NAME, f"pages a second of {cost['pages']:.0f} / pdfminer.six", speed, 3, "x", digits=1),
        at_most(
            NAME,
            f"growth of memory over {memory['files']:.0f} documents",
            max(0.0, grown) / _MEGABYTE,
            100,
            "MB",
            digits=0,
        ),
    ]


def _beside(work: Bench) -> list[Row]:
    """Index a PDF of 300 pages with a daemon that keeps answering."""
    docs, store = work.folder / "beside", work.folder / "beside-store"
    write_small_notes(docs, 200)
    kb = program(docs, store, work.threads)
    succeeded(kb("index"))
    count = work.scaled(PAGES)
    middle = count // 2 + 1
    pages = [[f"Page {number}.", *_LINES, *([_KEY] if number == middle else [])] for number in range(1, count + 1)]
    progress(f"{NAME}: a PDF of {len(pages)} pages with a daemon")
    with kb.daemon(work.folder / "beside.log"):
        idle = [succeeded(kb("search", "what is it about", "--weak", "-n", "1")).seconds for _ in range(20)]
        (docs / "book.pdf").write_bytes(pdf(pages))
        busy = []
        while not waiting(kb):
            pass
        while waiting(kb):
            busy.append(succeeded(kb("search", "what is it about", "--weak", "-n", "1")).seconds)
        # Its words are found already; the question is compared with vectors.
        succeeded(kb("sync"))
        hit = json_output(kb, "search", "Where did the silver key lie?", "--weak", "-n", "1")["hits"][0]
    return [
        Row(NAME, "questions answered while the book is read", str(len(busy)), "all", len(busy) > 0),
        Row(NAME, "p95 while / at rest", f"{Times(tuple(busy)).p95 / Times(tuple(idle)).p95:.1f} x"),
        Row(NAME, "the page asked for is the first hit", hit["place"], f"p. {middle}", hit["page"] == middle),
    ]


_KEY: Final = "Under the third beehive lay the silver key that the daughter of the miller had hidden."
_LINES: Final = (
    "The pond lies behind the mill, and in winter the ducks gather where the water does not freeze.",
    "Nobody has counted them for years, though the miller says that there were more when he was young.",
    "A path leads around it to the orchard, whose apples are pressed in October.",
)
