"""A model of bge-m3's size on a GPU: the model relative to the card's peak rate, and an index run relative to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.table import Row, at_least, skipped

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "model-gpu"
PASSAGES: Final = 4096
LENGTH: Final = 512


def rows(work: Bench) -> list[Row]:
    """Measure both; without a GPU the same on the CPU, without targets."""
    progress(f"{NAME}: building a model of bge-m3's size")
    twin, docs, count = work.folder / "twin", work.folder / "gpu-passages", work.scaled(PASSAGES)
    call("modelling:build", directory=str(twin), scale=work.scale)
    call("modelling:write_passages", model=str(twin), folder=str(docs), count=count, length=LENGTH)
    progress(f"{NAME}: {count} passages of {LENGTH} tokens")
    alone = call("modelling:on_gpu", model=str(twin), folder=str(docs))
    whole = call("modelling:whole_on_gpu", model=str(twin), docs=str(docs), store=str(work.folder / "gpu-store"))
    ratio = whole["rate"] / alone["passages"]
    what = "model alone, bfloat16, part of the card's dense rate"
    return [
        Row(NAME, "runs on", f"{alone['card']}, {alone['where']}"),
        skipped(NAME, what, f"no rate is known of {alone['card']}", "at least 0.45")
        if alone["peak"] is None
        else at_least(NAME, what, alone["rate"] / alone["peak"], 0.45, digits=2),
        Row(NAME, "model alone", f"{alone['rate'] / 1e12:.2f} TFLOP/s, {alone['passages']:.1f} passages per second"),
        at_least(NAME, "pipeline / model alone", ratio, 0.9, "x", digits=2),
    ]
