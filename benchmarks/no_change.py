"""An index run without changes: a whole process over many files, without the model's libraries."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.child import ROOT, clean_environment, progress
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

NAME: Final = "no-change"
HEAVY: Final = ("torch", "transformers", "sentence_transformers", "chromadb", "onnxruntime", "tokenizers")
RUNS: Final = 3
_COMMAND: Final = "from kb.__main__ import main; main()"
_IMPORTED: Final = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)


def rows(work: Bench) -> list[Row]:
    """The fastest of several runs, and another one whose imports are listed."""
    work.first_run  # noqa: B018 - fills the store
    files = sum(1 for _ in work.notes.rglob("*.md"))
    progress(f"{NAME}: indexing {files} unchanged files again")
    runs = [_index(work)[0] for _ in range(RUNS)]
    imported = heavy_imports(_index(work, "-X", "importtime")[1])
    return [
        at_most(NAME, f"kb index, {files} files, whole process", min(runs), 1.5, "s"),
        Row(NAME, "all runs", ", ".join(f"{seconds:.2f} s" for seconds in runs)),
        Row(NAME, "torch loaded", "yes" if "torch" in imported else "no", "no", "torch" not in imported),
        Row(NAME, "other heavy libraries loaded", ", ".join(sorted(imported - {"torch"})) or "none"),
    ]


def heavy_imports(listing: str) -> set[str]:
    """The heavy libraries in the output of ``python -X importtime``."""
    return {module.partition(".")[0] for module in _IMPORTED.findall(listing)} & set(HEAVY)


def _index(work: Bench, *flags: str) -> tuple[float, str]:
    """Run ``kb index``; returns seconds and standard error.

    Raises:
        RuntimeError: It failed or found changes.
    """
    command: Sequence[str] = (
        *(sys.executable, *flags, "-c", _COMMAND),
        *("--config", f"{work.notes_store}.toml", "index", "--json"),
    )
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"kb index ended with code {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    if any(found["files"][kind] for kind in ("added", "changed", "moved", "removed", "failed")):
        raise RuntimeError(f"kb index found something to do: {found}")
    return seconds, done.stderr
