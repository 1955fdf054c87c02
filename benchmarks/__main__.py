"""Measures kb and compares the results with its targets."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import (
    answer_time,
    answers,
    asking,
    backups,
    burst,
    changing,
    documents,
    first_words,
    index_speed,
    large,
    meaning,
    memory,
    model_gpu,
    model_speed,
    no_change,
    peers,
    programs,
    quality,
    recall,
    refusals,
    resting,
    retrieval,
    reuse,
    rounds,
    saving,
    server,
    web,
)
from benchmarks.bench import MINUTES, Bench
from benchmarks.child import ROOT, progress
from benchmarks.machine import machine, machine_line
from benchmarks.table import Row, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BENCHMARKS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    module.NAME: module.rows
    for module in (
        *(index_speed, quality, memory, no_change, reuse, recall),
        *(asking, saving, burst, resting, rounds, documents),
    )
}
# Too slow, or too large, to run by default.
NAMED: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    **{
        module.NAME: module.rows
        for module in (
            *(retrieval, refusals, answers, answer_time, peers, model_speed, model_gpu, programs, web),
            *(backups, server, meaning, changing, first_words, large),
        )
    },
    **programs.PARTS,
}
DATA_VARIABLE: Final = "KB_BENCH_DATA"
_LONGEST: Final = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; returns 1 if one failed, and 0 even if targets are missed, since machines differ."""
    asked = _parser().parse_args(arguments)
    found = machine()
    rows: list[Row] = []
    broken = False
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
        data = data_folder(asked.data, os.environ.get(DATA_VARIABLE))
        stores = Path(asked.stores).expanduser().resolve() if asked.stores else None
        work = Bench(
            Path(folder).resolve(), data, asked.scale, asked.threads, minutes=asked.minutes, stores_folder=stores
        )
        for name in asked.only or BENCHMARKS:
            progress(f"{name} ...")
            try:
                rows += (BENCHMARKS | NAMED)[name](work)
            except Exception as error:  # noqa: BLE001  # reported; the results of the others must not be lost
                traceback.print_exc()
                rows.append(
                    Row(name, "broke off", f"{type(error).__name__}: {error}"[:_LONGEST], "finished", met=False)
                )
                broken = True
    if asked.json:
        report = {"machine": found, "scale": asked.scale, "rows": [row.as_dict() for row in rows]}
        print(json.dumps(report, indent=2))
    else:
        print(f"{machine_line(found)}\n{_conditions(work)}\n{table(rows)}")
    return int(broken)


def data_folder(named: str | None, variable: str | None) -> Path | None:
    """The directory of the collections: the option, the environment variable, or the default."""
    for place in (named, variable):
        if place:
            return Path(place).expanduser().resolve()
    beside = ROOT.parent / "shared" / "data"
    return beside if beside.is_dir() else None


def _conditions(work: Bench) -> str:
    """The conditions of the measurements."""
    data = f"collections from {work.data}" if work.data else "no collections: made-up documents"
    scale = f"; sizes divided by {work.scale}, and the targets are for whole ones" if work.scale > 1 else ""
    return f"{data}; model threads {work.threads or 'as torch finds right'}{scale}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = (*BENCHMARKS, *NAMED)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--data", metavar="DIR", help=f"the directory of the collections (default: ${DATA_VARIABLE})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--scale", type=_positive, default=1, metavar="N", help="divide all sizes by N, for a quick look"
    )
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads of the model; 0: torch's choice"
    )
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, metavar="N", help="how long to fuzz the HTTP port; 0: not at all"
    )
    parser.add_argument("--stores", metavar="DIR", help="keep the large stores there, and ask those that are there")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
