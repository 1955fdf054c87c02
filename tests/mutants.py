"""Small faults put into the code one at a time: the nearest tests must fail on each of them.

Run by ``make test-mutants``. Each change is made in a copy of the tree, so the tree itself is never touched. Prints who
noticed what, and ends with 1 where a change survived or no longer applies.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hypothesis.stateful  # noqa: F401 - imported here once for all children
import numpy as np  # noqa: F401
import pytest

ROOT: Final = Path(__file__).parents[1]
# Tests run on every mutant: quick ones of the modules beside it. A test that hangs on a mutant has noticed it too.
SECONDS: Final = 3600
_COPIED: Final = ("kb", "tests", "docs", "benchmarks", "examples", "config.toml", "pyproject.toml", "README.md")
_QUIETLY: Final = ("-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
_NOTICED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Attributes:
        path: The file, from the root of the repository.
        before: A text that stands exactly once in it.
        after: What takes its place.
        tests: The test files that must notice, separated by spaces.
    """

    path: str
    before: str
    after: str
    tests: str


ENCODER: Final = "kb/embedding/encoder.py"
GATE: Final = "kb/cli/read_write_lock.py"
VECTORS: Final = "kb/store/local_vectors.py"
CONTAINER: Final = "kb/container.py"
OPEN_STORE: Final = "kb/open_store.py"
RETRIEVE: Final = "kb/search/retrieve.py"
FUSE: Final = "kb/search/rank.py"
CANDIDATES: Final = "kb/search/candidates.py"
RANK: Final = "kb/search/rank.py"
EXACT: Final = "kb/search/exact.py"
FILTER: Final = "kb/search/filters.py"
CONFIDENCE: Final = "kb/search/confidence.py"
POSTINGS: Final = "kb/store/postings.py"
BM25: Final = "kb/store/bm25.py"
INDEXED: Final = "kb/store/indexed_passages.py"
GENERATIONS: Final = "kb/store/generations.py"
LOCK: Final = "kb/store/lock.py"
PLAN: Final = "kb/indexing/plan.py"
WRITE: Final = "kb/indexing/write.py"
EMBED: Final = "kb/indexing/embed.py"
SYNC: Final = "kb/indexing/sync.py"
SECTIONS: Final = "kb/chunking/sections.py"
CHUNK: Final = "kb/chunking/split.py"

T_ENCODER: Final = "tests/embedding/test_encoder.py"
T_GATE: Final = "tests/cli/test_read_write_lock.py"
T_PARTS: Final = "tests/test_container.py"
T_FUSE: Final = "tests/search/test_fuse.py"
T_QUERY: Final = "tests/search/test_query.py"
T_RANK: Final = "tests/search/test_rank.py"
T_EXACT: Final = "tests/search/test_exact.py tests/search/test_exact_in_step.py"
T_FILTER: Final = "tests/search/test_filter.py"
T_CONFIDENCE: Final = "tests/search/test_calibrate.py"
T_POSTINGS: Final = "tests/store/test_keywords.py"
T_BM25: Final = "tests/store/test_bm25.py"
T_INDEXED: Final = "tests/store/test_indexed_passages.py"
T_GENERATIONS: Final = "tests/store/test_generations.py"
T_LOCK: Final = "tests/store/test_lock.py"
T_PLAN: Final = "tests/indexing/test_plan.py"
T_EMBED: Final = "tests/indexing/test_embed.py tests/indexing/test_sync.py"
T_SYNC: Final = f"{T_PLAN} tests/indexing/test_sync.py tests/indexing/test_centroids.py tests/indexing/test_check.py"
T_MOUNTS: Final = "tests/watching/test_nested_mounts.py"
T_CHUNK: Final = "tests/chunking/test_chunk.py"

MUTANTS: Final = (
    # int8: sums that no processor saturates, and large channels made alike.
    Mutant(
        "kb/embedding/quantization.py",
        "_MOST_OF_PAIR: Final = 128",
        "_MOST_OF_PAIR: Final = 254",
        "tests/embedding/test_quantization.py",
    ),
    Mutant(
        "kb/embedding/calibration.py",
        "_SHARE: Final = 0.65",
        "_SHARE: Final = 0.0",
        "tests/embedding/test_calibration.py",
    ),
    # A failed export is not tried again.
    Mutant(
        "kb/embedding/takeover.py",
        "if not encoder.lacks_form() or read_failure(encoder.located, encoder.models):",
        "if not encoder.lacks_form():",
        "tests/embedding/test_takeover.py",
    ),
    # The model is used by one thread at a time, and a question is next.
    Mutant(
        ENCODER,
        "            with self._next:\n"
        "                self._busy.acquire()\n"
        "            try:\n"
        "                model = self._loaded_model(question=question) or self._load(question=question)\n"
        "                if not model.shared:\n"
        "                    yield model\n"
        "                    return\n"
        "            finally:\n"
        "                self._busy.release()\n",
        "            model = self._loaded_model(question=question) or self._load(question=question)\n",
        T_ENCODER,
    ),
    Mutant(
        ENCODER,
        "            with self._next:\n                self._busy.acquire()\n            try:\n                model",
        "            self._busy.acquire()\n            try:\n                model",
        T_ENCODER,
    ),
    # What each side of a question counts.
    Mutant(FUSE, "KEYWORD_WEIGHT: Final = 2.0", "KEYWORD_WEIGHT: Final = 1.0", T_FUSE),
    Mutant(FUSE, "KEYWORD_WEIGHT: Final = 2.0", "KEYWORD_WEIGHT: Final = 3.0", T_FUSE),
    Mutant(FUSE, "CENTROID_WEIGHT: Final = 0.5", "CENTROID_WEIGHT: Final = 0.3", T_FUSE),
    Mutant("kb/records/centroid.py", "1 / place for place", "1.0 for place", "tests/indexing/test_centroids.py"),
    Mutant(
        "kb/search/centroids.py",
        "[own[id_] for id_ in live if id_ in own]",
        "list(own.values())",
        "tests/indexing/test_centroids.py",
    ),
    Mutant(FUSE, "FILE_WEIGHT: Final = 0.8", "FILE_WEIGHT: Final = 0.4", f"{T_FUSE} {T_QUERY}"),
    Mutant(FUSE, "FURTHER_WEIGHT: Final = 0.9", "FURTHER_WEIGHT: Final = 1.0", T_FUSE),
    Mutant(FUSE, "** 2 / 2", "** 2", T_FUSE),
    Mutant(FUSE, "among.mean())) / deviation, 0)", "among.mean())) / deviation, -9)", T_FUSE),
    # Refusals: both sides of the evidence, and texts whose language is not calibrated.
    Mutant(CONFIDENCE, "above**2 / 2 +", "above +", T_CONFIDENCE),
    Mutant(CONFIDENCE, "return self.usual", 'return ""', T_CONFIDENCE),
    Mutant(CONFIDENCE, "known.fingerprint != self._embedder.fingerprint or ", "", T_CONFIDENCE),
    Mutant(CONFIDENCE, "if 2 * len(found) > len(near)", "if found.size", T_CONFIDENCE),
    # BM25.
    Mutant(BM25, "B: Final = 0.75", "B: Final = 0.3", T_POSTINGS),
    Mutant(BM25, "K1: Final = 1.2", "K1: Final = 2.4", T_POSTINGS),
    Mutant(BM25, "_INSIDE_WEIGHT: Final = 0.5", "_INSIDE_WEIGHT: Final = 1.5", T_POSTINGS),
    Mutant(BM25, "_INSIDE_SHARE: Final = 0.6", "_INSIDE_SHARE: Final = 0.1", T_POSTINGS),
    Mutant(BM25, "_NAME_WEIGHT: Final = 0.25", "_NAME_WEIGHT: Final = 1.0", T_POSTINGS),
    Mutant(BM25, "self._add(word, times)", "self._add(word, 1)", T_POSTINGS),
    Mutant(POSTINGS, "min(count, _MOST) for term", "count & _MOST for term", T_POSTINGS),
    Mutant(BM25, "(self._weight + _rarity(0, self._passages.count))", "self._weight", T_POSTINGS),
    Mutant(POSTINGS, "part * RANGE for", "0 * part for", T_POSTINGS),
    Mutant(POSTINGS, "if not term.startswith(_UNCOUNTED)", "", T_POSTINGS),
    Mutant(
        BM25,
        "            held.append(inside[shares >= 1])\n",
        "            held.append(inside)\n",
        T_POSTINGS,
    ),
    Mutant(BM25, "np.maximum.reduceat(times", "np.add.reduceat(times", T_POSTINGS),
    Mutant(BM25, "zeros = (count - len(scores)) * self._mean**2", "zeros = 0.0", T_BM25),
    Mutant(BM25, "wanted *= _PASSAGES_A_FILE", "return keys[best[np.sort(firsts)[:count]]]", T_POSTINGS),
    Mutant(BM25, "self._scored |= held > 0", "", T_BM25),
    Mutant(INDEXED, "self._count(slice(start, end), -1)", "", T_INDEXED),
    Mutant(INDEXED, "new[0] < self.file_ids[-1]", "new[-1] < 0", T_INDEXED),
    Mutant(INDEXED, "!= known.languages", "is None", T_INDEXED),
    Mutant(INDEXED, "for part in changed)", "for part in changed[:1])", T_INDEXED),
    Mutant(POSTINGS, "(count << 16 | at) + 1", "(count << 16 | at)", T_POSTINGS),
    Mutant(
        "kb/store/catalog_files.py",
        "            self._totals = Totals()\n            for",
        "            for",
        "tests/store/test_catalog_files.py",
    ),
    Mutant(
        "kb/store/noted_changes.py",
        "if self._followed is not None and version == self._followed[0] else None",
        "",
        T_INDEXED,
    ),
    Mutant(POSTINGS, "counts[_FILE_HIGH] = passage.file >> _HALF", "", T_POSTINGS),
    Mutant(BM25, "if not languages:\n", "if languages or not languages:\n", T_POSTINGS),
    # Logseq.
    Mutant("kb/formats/markdown.py", 'name in {"tags", "tag"}', 'name in {"tags"}', "tests/formats/test_inline.py"),
    # The least cosine.
    Mutant(
        CANDIDATES,
        "if self.cosines.get(id_, -np.inf) >= cosine]",
        "if self.cosines.get(id_, -np.inf) > cosine]",
        T_QUERY,
    ),
    Mutant(RETRIEVE, "found.beyond < min_cosine", "found.beyond <= min_cosine", T_QUERY),
    Mutant(CANDIDATES, "if cosine >= min_cosine)", "if cosine > min_cosine)", T_QUERY),
    # Commands stay outside while what they use is replaced.
    Mutant(GATE, "self._condition.wait_for(lambda: not self._closed)", "", T_GATE),
    Mutant(GATE, "            self._closed = True\n", "", T_GATE),
    Mutant(GATE, "self._closed = alone\n", "self._closed = True\n", T_GATE),
    # A rebuild that dies leaves its mark.
    Mutant(
        VECTORS,
        "        self._generations.mark_unclean()\n        old = self",
        "        old = self",
        "tests/store/test_local_vectors.py",
    ),
    Mutant(
        VECTORS,
        "            self._close_index()\n            self._generations.mark_unclean()\n",
        "            self._close_index()\n",
        "tests/store/test_local_vectors.py",
    ),
    # Questions go first while a daemon indexes.
    Mutant(CONTAINER, "            self.embedder.share(self.query_priority.wait)\n", "            pass\n", T_PARTS),
    Mutant(OPEN_STORE, "Pace(batch, self.query_priority.wait)", "Pace(batch, lambda: None)", T_PARTS),
    Mutant(OPEN_STORE, "Pace() if batch is None else Pace(", "Pace() if batch else Pace(", T_PARTS),
    # What has to be done.
    Mutant(PLAN, 'old.state == "pending" or ', "", T_PLAN),
    Mutant(PLAN, "or old.stat != found.stat", "or old.stat.mtime_ns != found.stat.mtime_ns", T_PLAN),
    Mutant(PLAN, "is_racy(old.stat, old.read_ns) or ", "", T_PLAN),
    Mutant(PLAN, "2 * now[folder] < before[folder]", "2 * now[folder] <= before[folder]", T_SYNC),
    Mutant(PLAN, "count > FEW", "count >= FEW", T_SYNC),
    Mutant(PLAN, "folder in comparison.empty or ", "", T_SYNC),
    Mutant(PLAN, "lost=frozenset(mounted_before) - frozenset(scan.mounts)", "lost=frozenset()", T_MOUNTS),
    Mutant(
        PLAN,
        'path.startswith(f"{path}/") for folder, path in places',
        "path.startswith(path) for folder, path in places",
        T_MOUNTS,
    ),
    Mutant(PLAN, 'path in {"", "."} or ', "", T_SYNC),
    Mutant(PLAN, 'file.path == path or file.path.startswith(f"{path}/")', "file.path.startswith(path)", T_SYNC),
    Mutant(PLAN, 'file.path.rpartition("/")[2] != name', "False", T_PLAN),
    Mutant(PLAN, "        twins.remove(best)\n", "", T_PLAN),
    Mutant(PLAN, "if not present.get(passage.id)),", "if passage.id not in present),", T_PLAN),
    Mutant(PLAN, "-{before[digest]}", "-0", T_PLAN),
    Mutant(
        PLAN,
        'return tuple(file for file in self.files if file.state != "done" or file.id in unclaimed)',
        "return tuple(file for file in self.files if file.id in unclaimed)",
        T_SYNC,
    ),
    Mutant("kb/indexing/places.py", "| last.postponed | again", "| again", "tests/indexing/test_changed_places.py"),
    # Catalog and vectors in their order.
    Mutant(WRITE, "        self._catalog.mark_pending(file_ids)\n", "", T_SYNC),
    Mutant(
        EMBED, "        self._cache.put(self._embedder.fingerprint, self._made)\n        made", "        made", T_EMBED
    ),
    Mutant(EMBED, "key=lambda one: -one.tokens", "key=lambda one: one.tokens", T_EMBED),
    Mutant(WRITE, "            if change.relabel:\n", "            if False:\n", T_SYNC),
    Mutant(WRITE, "        if leaving:\n            self._index().delete(leaving)\n", "", T_SYNC),
    Mutant(
        EMBED,
        "            if self._should_stop():\n                raise Stopped\n            part",
        "            part",
        T_EMBED,
    ),
    Mutant(EMBED, "self.reused += len(found) - new", "self.reused += len(found)", T_EMBED),
    Mutant(WRITE, "full = self._passages + len(change.passages) > WRITTEN_AT_ONCE or", "full =", T_SYNC),
    Mutant(WRITE, "        if len(change.passages) > 1 and all(", "        if all(", T_SYNC),
    Mutant(WRITE, "        self.dropped += len(gone)\n", "", T_SYNC),
    Mutant(WRITE, "        self.dropped += len(leaving)\n", "", T_SYNC),
    Mutant(WRITE, "or len(self._changes) >= _FILES_AT_ONCE", "", T_SYNC),
    Mutant(
        SYNC,
        "            self._catalog.mark_pending(unread)\n",
        "            pass\n",
        T_SYNC,
    ),
    Mutant(SYNC, "            writer.flush()\n", "", T_SYNC),
    Mutant(SYNC, "            self._catalog.refresh(change_reader.refreshed)\n", "            pass\n", T_SYNC),
    Mutant(SYNC, "        self._catalog.completed(datetime.now(UTC))\n", "", T_SYNC),
    Mutant(SYNC, "            self._catalog.set_meta(_READING, self._reading.version)\n", "", T_SYNC),
    Mutant(SYNC, "        note_mounts(self._catalog, comparison.mounts | comparison.lost)\n", "", T_SYNC),
    Mutant(SYNC, "if any(lies_below(one, {place}) for one in kept)", "", T_SYNC),
    Mutant(SYNC, '            change_reader.tally.files["removed"] += len(page)\n', "", T_SYNC),
    Mutant(SYNC, "held = [] if accept_deletions else", "held =", T_SYNC),
    # The order of hits.
    Mutant(RANK, "astype(np.float64)\n    target", "astype(np.float32)\n    target", T_RANK),
    Mutant(RANK, "count >= per_file", "count > per_file", T_RANK),
    Mutant(RANK, "return (passage.file.folder, passage.file.path,", "return (passage.file.path,", T_RANK),
    Mutant(RANK, "        if not there(passage):\n            continue\n", "", T_RANK),
    Mutant(RANK, "        if same is None and len(hits) == limit:\n            break\n", "", f"{T_RANK} {T_QUERY}"),
    Mutant(RANK, "            hits[same].append(passage)\n", "            pass\n", f"{T_RANK} {T_QUERY}"),
    Mutant(RANK, "    products = np.vecdot(vectors, target)\n", "    products = vectors @ target\n", T_RANK),
    # The vectors in memory.
    Mutant(EXACT, "            self._out_of_step()\n", "            pass\n", T_EXACT),
    Mutant(EXACT, "            self._exact.delete(ids)\n", "            pass\n", T_EXACT),
    Mutant(EXACT, "            live = rows.live.copy()\n", "            live = rows.live\n", T_EXACT),
    Mutant(EXACT, "(-exact[at], ids[at])", "-exact[at]", T_EXACT),
    Mutant(EXACT, "scores >= last - _ROUNDING", "scores >= last", T_EXACT),
    Mutant(OPEN_STORE, "exact is not None and not exact.full else None", "exact is not None else None", T_EXACT),
    Mutant(OPEN_STORE, "(self._too_many or cache_filled)", "cache_filled", T_EXACT),
    Mutant(OPEN_STORE, "(self._too_many or cache_filled)", "self._too_many", T_EXACT),
    Mutant("kb/indexing/check.py", "in_memory.ids() if in_memory is not None else ()", "()", T_EXACT),
    # Filters.
    Mutant(FILTER, "day <= filters.until", "day < filters.until", T_FILTER),
    Mutant(FILTER, "day >= filters.since", "day > filters.since", T_FILTER),
    Mutant(FILTER, "and own.isdisjoint(unwanted)", "", T_FILTER),
    Mutant(FILTER, "for above in _with_those_above(tag))", "for above in [tag])", T_FILTER),
    Mutant(FILTER, 'folded(tag.removeprefix("#").strip("/"))', 'tag.removeprefix("#").strip("/")', T_FILTER),
    Mutant(FILTER, " and not _literally(glob, files)]", "]", T_FILTER),
    Mutant(FILTER, "or absolute.match_file(", "or False and (", T_FILTER),
    Mutant(FILTER, "and file.key not in left_out", "", T_FILTER),
    # Generations.
    Mutant(GENERATIONS, "            self._sync_tree(Path(self.path(name)))\n", "", T_GENERATIONS),
    Mutant(
        GENERATIONS,
        "            for old in self._damaged()[:-1]:",
        "            for old in self._damaged()[:-2]:",
        T_GENERATIONS,
    ),
    Mutant(GENERATIONS, "max(self._begun, *(int", "max(0, *(int", T_GENERATIONS),
    Mutant(GENERATIONS, "[*self._names(), self._current_name() or", "[*self._names(), None or", T_GENERATIONS),
    Mutant(GENERATIONS, "            self.sweep()\n", "", T_GENERATIONS),
    Mutant(GENERATIONS, "            if name != self._current_name():\n", "            if True:\n", T_GENERATIONS),
    # The lock.
    Mutant(
        LOCK,
        "        except BaseException:\n            self._lock.release()\n            raise\n        self._ident",
        "        except BaseException:\n            raise\n        self._ident",
        T_LOCK,
    ),
    Mutant(LOCK, "            self._lock_directory()\n", "            pass\n", T_LOCK),
    Mutant(LOCK, "            if self.held and self.in_place():\n", "            if self.held:\n", T_LOCK),
    Mutant(LOCK, "holder, until = now, time.monotonic() + seconds", "holder = now", T_LOCK),
    Mutant(LOCK, "                    warn = None\n", "", T_LOCK),
    Mutant(LOCK, "return owner if is_alive(owner.pid) else None", "return owner", T_LOCK),
    Mutant("kb/system/processes.py", "    if pid < 1:\n        return False\n", "", T_LOCK),
    Mutant(LOCK, "        if self.held and not self.in_place():", "        if False:", T_LOCK),
    Mutant(LOCK, "                os.close(self._locked)\n", "                pass\n", T_LOCK),
    # Passages.
    Mutant(CHUNK, "if tokens > self.max_tokens:", "if tokens > self.max_tokens + 1:", T_CHUNK),
    Mutant(CHUNK, "elif tokens > leads[span.lead].tokens:", "else:", T_CHUNK),
    Mutant(
        "kb/chunking/sections.py",
        "return self.outer if self.start < self.body else self.inner",
        "return self.inner",
        T_CHUNK,
    ),
    Mutant(CHUNK, "lines = text.line_at(span.start),", "lines = text.line_at(span.start) + 1,", T_CHUNK),
    Mutant(CHUNK, "key=lambda item: item[0])", "key=lambda item: -item[0])", T_CHUNK),
    Mutant(CHUNK, "            parts = parts[1:]  #", "            parts = parts[0:]  #", T_CHUNK),
    Mutant(CHUNK, "        if time.thread_time() > until:", "        if False:", T_CHUNK),
    Mutant(CHUNK, "if count > (most :=", "if -1 > (most :=", T_CHUNK),
    Mutant(CHUNK, "                del lines[0]\n", "                del lines[-1]\n", T_CHUNK),
    Mutant(CHUNK, "                del parts[len(parts) // 2]\n", "                del parts[0]\n", T_CHUNK),
    Mutant(CHUNK, 'searched = "" if searched == body else searched', "", T_CHUNK),
    Mutant(CHUNK, "len(text) <= most or _characters(text) <= most]", "len(text) <= most]", T_CHUNK),
    Mutant(CHUNK, "min(max_tokens, counter.limit)", "max_tokens", T_CHUNK),
    Mutant(CHUNK, "if self._special else text", "if False else text", T_CHUNK),
)


def noticed_by(mutant: Mutant, tree: Path) -> str | None:
    """The first test that fails on a mutant in a copy of the tree; None where all pass.

    Raises:
        ValueError: The mutant does not apply: its text stands nowhere or more than once, or one of its tests is gone.
    """
    file = tree / mutant.path
    whole = file.read_text("utf-8")
    if (count := whole.count(mutant.before)) != 1:
        raise ValueError(f"its text stands {count} times in {mutant.path}")
    if gone := [name for name in mutant.tests.split() if not (tree / name).exists()]:
        raise ValueError(f"there is no {', '.join(gone)}")
    file.write_text(whole.replace(mutant.before, mutant.after), "utf-8")
    output = tree / "output"
    try:
        code = _tested(mutant.tests.split(), tree, output)
    finally:
        file.write_text(whole, "utf-8")
    if code == 0:
        return None
    if code is None:
        return "a test that never ends"
    said = output.read_text("utf-8", "replace")
    named = _NOTICED.search(said)
    if named is None:
        raise ValueError(f"pytest ends with {code}: {said[-600:]}")
    return named[1]


def _tested(tests: list[str], tree: Path, output: Path) -> int | None:
    """Run tests until one fails, in a child that has heavy libraries already.

    Returns:
        The exit code of pytest; None where it never ends.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(tree)
        sys.path[:] = [str(tree), *(path for path in sys.path if path != str(Path(__file__).parent))]
        os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        code = 70
        try:
            code = int(pytest.main(["-x", "-q", "--tb=no", *_QUIETLY, *tests]))
        except BaseException:  # noqa: BLE001 - the child must not go on as its parent would
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
    finally:
        # What the tests started and left behind too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> int:
    """Try the mutants, all or those whose path holds a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only these: parts of paths, or numbers")
    words = parser.parse_args().words
    chosen = [
        (number, one)
        for number, one in enumerate(MUTANTS, 1)
        if not words or any(word == str(number) or (not word.isdigit() and word in one.path) for word in words)
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="kb-mutants-") as directory:
        tree = Path(directory)
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, tree / name)
        for number, mutant in chosen:
            began = time.monotonic()
            try:
                who = noticed_by(mutant, tree)
            except ValueError as error:
                who, bad = f"DOES NOT APPLY: {error}", bad + 1
            else:
                bad += who is None
            change = " ".join(f"{mutant.before.strip()} -> {mutant.after.strip() or 'nothing'}".split())
            print(  # noqa: T201
                f"{number:3} {mutant.path}: {change[:160]}\n    {who or 'SURVIVED'} ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    print(  # noqa: T201
        f"{len(chosen) - bad} of {len(chosen)} changes were noticed"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
