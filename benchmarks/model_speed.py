"""The model: runtimes relative to sentence-transformers, accuracy, a cold question, the whole pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import MODELS, ROOT, call, clean_environment, progress
from benchmarks.corpora import write_small_notes
from benchmarks.indexing import MODEL, settings
from benchmarks.table import Row, at_least, at_most, skipped

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "model"
ROUNDS: Final = 2
_TEXTS: Final = 400
_AGREEING: Final = 2000
_COLD: Final = 3
_LARGE_TEXTS: Final = 12
_MEGABYTE: Final = 1_000_000


def rows(work: Bench) -> list[Row]:
    """Everything except the GPU."""
    models = str(work.folder / "models")
    # Children use the forms that are exported here, not the user's.
    os.environ[MODELS] = models
    call("modelling:export", model=MODEL, models=models)
    texts = _some_texts(work)
    return [
        *_bundled(work, models, texts),
        *_exactness(work, models, texts),
        *_quality(work),
        *_twin(work),
        *_cold(work),
        *_pipeline(work, models),
    ]


def _some_texts(work: Bench) -> str:
    """Write a part of kb's embedded texts of the documents to a file."""
    every, some = work.folder / "every.json", work.folder / "some.json"
    call("indexing:texts_of", docs=str(work.documents), store=str(work.folder / "texts-store"), file=str(every))
    texts = json.loads(every.read_text("utf-8"))
    some.write_text(json.dumps(texts[:: max(1, len(texts) // work.scaled(_TEXTS))]), "utf-8")
    return str(some)


def _bundled(work: Bench, models: str, file: str) -> list[Row]:
    """Run the bundled model in ONNX Runtime and sentence-transformers alternately; the faster run of each counts."""
    runs: dict[str, list[dict[str, Any]]] = {"torch": [], "float32": [], "int8": []}
    for number in range(1, ROUNDS + 1):
        progress(f"{NAME}: bundled model, round {number} of {ROUNDS}")
        runs["torch"].append(call("modelling:plain", model=MODEL, file=file, threads=work.threads))
        for form in ("float32", "int8"):
            found = call(
                "modelling:kb_way", model=MODEL, models=models, file=file, precision=form, threads=work.threads
            )
            runs[form].append(found)
    rates = {form: max(run["count"] / run["wall"] for run in found) for form, found in runs.items()}
    return [
        at_least(NAME, "bundled model, int8 / torch float32", rates["int8"] / rates["torch"], 1.5, "x", digits=2),
        at_least(NAME, "bundled model, float32 / torch float32", rates["float32"] / rates["torch"], 1.0, "x", digits=2),
        Row(NAME, "passages per second", ", ".join(f"{form} {rate:.0f}" for form, rate in rates.items())),
        Row(
            NAME, "passages per processor second", ", ".join(f"{f} {_per_cpu(r, 'count'):.0f}" for f, r in runs.items())
        ),
    ]


def _exactness(work: Bench, models: str, file: str) -> list[Row]:
    progress(f"{NAME}: agreement")
    count = work.scaled(_AGREEING)
    found = call("modelling:agreement", model=MODEL, models=models, file=file, count=count)
    worst = found["difference"]
    return [
        Row(NAME, f"largest difference, ONNX and torch, {count} texts", f"{worst:.1e}", "at most 1e-05", worst <= 1e-5),
        at_least(NAME, f"mean cosine, int8 and float32, {found['sample']} passages", found["mean"], 0.998, digits=4),
        Row(NAME, "first percentile and least cosine of these", f"{found['first']:.4f}, {found['least']:.4f}"),
    ]


def _quality(work: Bench) -> list[Row]:
    """The loss of nDCG@10 with int8, for each collection."""
    made = []
    for name in ("til-simonw", "cranfield"):
        what = f"loss of nDCG@10 by int8, {name}"
        collection = work.collection(name)
        if collection is None:
            made.append(skipped(NAME, what, f"there is no {name}", "at most 0.005"))
            continue
        progress(f"{NAME}: quality, {name}")
        found = {
            form: call(
                "quality:measure",
                folder=str(collection.docs.parent),
                store=str(work.folder / f"{form}-{name}"),
                threads=work.threads,
                more={"embed.precision": form},
            )
            for form in ("float32", "int8")
        }
        made.append(at_most(NAME, what, found["float32"] - found["int8"], 0.005, digits=4))
        made.append(Row(NAME, f"nDCG@10, {name}", ", ".join(f"{form} {score:.4f}" for form, score in found.items())))
    return made


def _twin(work: Bench) -> list[Row]:
    """A model of bge-m3's size."""
    progress(f"{NAME}: building a model of bge-m3's size")
    twin, models, file = work.folder / "twin", str(work.folder / "twin-models"), work.folder / "twin.json"
    call("modelling:build", directory=str(twin), scale=work.scale)
    call("modelling:export", model=str(twin), models=models)
    call("modelling:texts", model=str(twin), file=str(file), count=_LARGE_TEXTS, length=128)
    runs: dict[str, list[dict[str, Any]]] = {"torch": [], "int8": []}
    for number in range(1, ROUNDS + 1):
        progress(f"{NAME}: large model, round {number} of {ROUNDS}")
        runs["torch"].append(call("modelling:plain", model=str(twin), file=str(file), threads=work.threads))
        runs["int8"].append(
            call(
                "modelling:kb_way",
                model=str(twin),
                models=models,
                file=str(file),
                precision="int8",
                threads=work.threads,
            )
        )
    tokens = runs["int8"][0]["tokens"]
    rates = {form: max(tokens / run["wall"] for run in found) for form, found in runs.items()}
    held = max(run["resident"] for run in runs["int8"]) / _MEGABYTE
    return [
        at_least(
            NAME, "bge-m3's size, int8 / torch float32, tokens", rates["int8"] / rates["torch"], 1.8, "x", digits=2
        ),
        at_most(NAME, "its resident memory in int8", held, 800, "MB", digits=0),
        Row(NAME, "tokens per second", ", ".join(f"{form} {rate:.0f}" for form, rate in rates.items())),
    ]


def _cold(work: Bench) -> list[Row]:
    """The CPU time of one question in a new process without a daemon."""
    notes, count = work.folder / "cold-notes", work.scaled(10_000)
    progress(f"{NAME}: a cold question over {count} passages")
    write_small_notes(notes, count)
    store = work.folder / "cold-store"
    call("indexing:first_run", docs=str(notes), store=str(store), threads=work.threads)
    settings(str(notes), str(store), work.threads)
    spent = []
    for number in range(_COLD):
        question = f"which note says {number}?"
        command = [sys.executable, "-m", "kb", "--config", f"{store}.toml", "search", "--weak", question]
        with subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"the cold question ended with code {process.returncode}")
        spent.append(used.ru_utime + used.ru_stime)
    return [at_most(NAME, f"cold question, {count} passages, processor time", min(spent), 1.2, "s")]


def _pipeline(work: Bench, models: str) -> list[Row]:
    """A whole index run relative to the bare model over the same texts, both in ONNX Runtime."""
    every = str(work.folder / "every.json")
    bare, whole = [], []
    for number in range(1, ROUNDS + 1):
        progress(f"{NAME}: pipeline, round {number} of {ROUNDS}")
        bare.append(
            call("modelling:kb_way", model=MODEL, models=models, file=every, precision="float32", threads=work.threads)
        )
        store = str(work.folder / f"pipeline-{number}")
        whole.append(call("indexing:kb_index", docs=str(work.documents), store=store, threads=work.threads))
    fast, slow = (min(run["wall"] for run in runs) for runs in (bare, whole))
    return [at_least(NAME, "pipeline / bare model, passages per second", fast / slow, 0.95, "x", digits=2)]


def _per_cpu(runs: list[dict[str, Any]], what: str) -> float:
    return max(float(run[what]) / float(run["processor"]) for run in runs)
