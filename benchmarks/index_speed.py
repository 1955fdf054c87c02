"""Indexing speed relative to the bare model in the same runtime over the same texts.

The difference is kb's overhead. The time of sentence-transformers in torch is shown for comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "index-speed"
ROUNDS: Final = 2
_QUIET: Final = 0.15


def rows(work: Bench) -> list[Row]:
    """Run both alternately in new processes; the faster run of each counts."""
    docs, texts = str(work.documents), str(work.folder / "texts.json")
    count = call("indexing:texts_of", docs=docs, store=str(work.folder / "texts-store"), file=texts)
    progress(f"{NAME}: looking for the best batch size")
    batch = call("indexing:best_batch", file=texts, threads=work.threads)
    bare: list[dict[str, Any]] = []
    kb: list[dict[str, Any]] = []
    for number in range(1, ROUNDS + 1):
        progress(f"{NAME}: round {number} of {ROUNDS}, {count} texts, bare encode of {batch} tokens at once")
        bare.append(call("indexing:bare_encode", file=texts, batch=batch, threads=work.threads))
        progress(f"{NAME}: round {number} of {ROUNDS}, kb index (bare encode took {bare[-1]['wall']:.1f} s)")
        store = work.folder / f"speed-store-{number}"
        kb.append(call("indexing:kb_index", docs=docs, store=str(store), threads=work.threads))
        work.stores.setdefault(docs, store)
    return [
        *compare(bare, kb, count),
        beside_torch(NAME, "kb index", min(run["wall"] for run in kb), texts, work.threads),
    ]


def beside_torch(name: str, what: str, wall: float, texts: str, threads: int) -> Row:
    """The time of sentence-transformers in torch for the same texts."""
    progress(f"{name}: the same texts in sentence-transformers")
    size = call("indexing:best_torch_batch", file=texts, threads=threads)
    torch = call("indexing:torch_encode", file=texts, threads=threads, batch_size=size)
    told = f"{wall / torch['wall']:.2f} x ({torch['wall']:.1f} s in batches of {size})"
    return Row(name, f"{what} / encode of sentence-transformers in torch", told)


def compare(bare: list[dict[str, Any]], kb: list[dict[str, Any]], texts: int) -> list[Row]:
    """The rows for a comparison.

    Raises:
        ValueError: The runs differ in texts, runtime or number of threads.
    """
    ways = {(run["runtime"], run["threads"]) for run in (*bare, *kb)}
    if any(run["passages"] != texts for run in kb) or len(ways) != 1:
        raise ValueError(f"{texts} texts, and runs that differ in texts, runtime or threads: {bare}, {kb}")
    fast, slow = (min(runs, key=lambda run: run["wall"]) for runs in (bare, kb))
    walls = ["bare " + _seconds(run) for run in bare] + ["kb " + _seconds(run) for run in kb]
    spent = sorted(slow["spent"].items(), key=lambda item: -item[1])
    rest = slow["wall"] - sum(slow["spent"].values())
    return [
        at_most(NAME, "kb index / bare encode, wall time", slow["wall"] / fast["wall"], 1.10, "x"),
        Row(NAME, "the same in processor time", f"{_least(kb, 'processor') / _least(bare, 'processor'):.2f} x"),
        Row(NAME, f"{texts} texts, {fast['threads']} threads of {fast['runtime']}", ", ".join(walls)),
        Row(NAME, "where kb's time went", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent)),
        Row(NAME, "kb's time outside these", f"{rest:.1f} s"),
        Row(NAME, "runs of the same work differ by", _spread(bare, kb)),
    ]


def _least(runs: list[dict[str, Any]], key: str) -> float:
    return float(min(run[key] for run in runs))


def _spread(*kinds: list[dict[str, Any]]) -> str:
    """The ratio of the slowest to the fastest run, which is high on a busy machine."""
    most = max(max(run["wall"] for run in runs) / _least(runs, "wall") for runs in kinds) - 1
    return f"{most:.0%}{': the machine is busy, and the ratio is not to be relied on' if most > _QUIET else ''}"


def _seconds(run: dict[str, Any]) -> str:
    return f"{run['wall']:.1f} s"
