"""Compares document extraction libraries, each in its own environment, by known sentences of files.

``python -m benchmarks.extractors known FORMATS OUT`` writes the sentences; ``python extractors.py NAME OUT``, run by
the Python of an environment with the library, prints the files with the right text by suffix, seconds and megabytes.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARE: Final = 0.6
_WORD: Final = re.compile(r"\w+")


def write_known(formats: Path, out: Path) -> None:
    """Write a known sentence for each file of the collection."""
    from benchmarks.documents import SUFFIXES
    from benchmarks.documents_run import _known

    found = {}
    for part in ("docling", "markitdown", "odfpy", "python-docx", "ipynb"):
        for file in sorted((formats / part).rglob("*")):
            if file.suffix.lower() in SUFFIXES:
                known = _known(file, formats, str(file.relative_to(formats)))
                if known is not None and len(_WORD.findall(known.sentence)) > 1:
                    found[str(file)] = known.sentence
    out.write_text(json.dumps(found), "utf-8")


def measure(name: str, known: dict[str, str]) -> None:
    """Print how many files contain the words of their sentence, and the cost."""
    extract = _LIBRARIES[name]()
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    begun = time.perf_counter()
    for path, sentence in known.items():
        try:
            text = extract(Path(path))
        except Exception:  # noqa: BLE001 - a file that is refused is not right
            text = ""
        there = set(_WORD.findall(text.lower()))
        wanted = _WORD.findall(sentence.lower())
        counts = right[Path(path).suffix.lower()]
        counts[0] += sum(word in there for word in wanted) >= _SHARE * len(wanted)
        counts[1] += 1
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    total = sum(one for one, _ in right.values())
    print(f"{name}: {total} of {len(known)} right, {seconds:.1f} s, {peak} MB of memory")
    print("  " + ", ".join(f"{suffix} {one}/{of}" for suffix, (one, of) in sorted(right.items())))


def _kb() -> Callable[[Path], str]:
    from kb.formats.registry import REGISTRY
    from kb.formats.text import extract as plain
    from kb.sandbox.pool import Sandbox
    from kb.sandbox.protocol import Limits

    sandbox = Sandbox(Limits())

    def text(file: Path) -> str:
        suffix = file.suffix.lower()
        data = file.read_bytes()
        if suffix in REGISTRY.documents:
            return sandbox.extract(REGISTRY.by_suffix[suffix].reader, file.name, data).text
        return plain(file.name, data).text

    return text


def _kreuzberg() -> Callable[[Path], str]:
    import kreuzberg

    config = kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True)
    return lambda file: str(kreuzberg.extract_file_sync(str(file), config=config).content)


def _xberg() -> Callable[[Path], str]:
    from xberg import _xberg

    config = _xberg.ExtractionConfig(use_cache=False, disable_ocr=True, max_archive_depth=0)
    loop = asyncio.new_event_loop()

    async def found(file: Path) -> Any:  # noqa: ANN401 - the library's own
        return await _xberg.extract(_xberg.ExtractInput.from_uri(str(file)), config)

    return lambda file: str(loop.run_until_complete(found(file)).results[0].content)


def _markitdown() -> Callable[[Path], str]:
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda file: str(converter.convert(str(file)).text_content)


def _pypdfium2() -> Callable[[Path], str]:
    import pypdfium2

    def text(file: Path) -> str:
        document = pypdfium2.PdfDocument(file)
        return "\n".join(document[at].get_textpage().get_text_range() for at in range(len(document)))

    return text


_LIBRARIES: Final = {
    "kb": _kb,
    "kreuzberg": _kreuzberg,
    "xberg": _xberg,
    "markitdown": _markitdown,
    "pypdfium2": _pypdfium2,
}


if __name__ == "__main__":
    if sys.argv[1] == "known":
        write_known(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        measure(sys.argv[1], json.loads(Path(sys.argv[2]).read_text("utf-8")))
