"""Work for child processes: kb's index run, and the bare model over the same texts, with time and memory."""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.app import LocalKnowledgeBase
from kb.config import Settings, load
from kb.container import Container
from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.embedding.onnx_runtime import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentence_transformers import SentenceTransformer

    from kb.lazy import Lazy

MODEL: Final = "all-MiniLM-L6-v2"
BATCH_SIZES: Final = (4, 8, 16, 32, 64)
BATCH_TOKENS: Final = (2048, 4096, 16_384, 65_536)
_SAMPLE: Final = 256


def settings(docs: str, store: str, threads: int = 0, **more: str) -> Settings:
    """Settings with kb's defaults and the bundled model."""
    config = Path(f"{store}.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f"[folders]\npaths = [{json.dumps(docs)}]\n"
        f'[embed]\nmodel = "{MODEL}"\noffline = true\nthreads = {threads}\n'
        f"[store]\npath = {json.dumps(store)}\n",
        "utf-8",
    )
    return load(str(config), environ={}, overrides=more)


class Clocked:
    """Wraps a component and measures the time in its methods.

    Args:
        part: The component.
        name: The name for its time.
        spent: Seconds by name.
        inner: Methods that return a component to be measured too, with its name.
    """

    def __init__(
        self, part: object, name: str, spent: dict[str, float], inner: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._part = part
        self._name = name
        self._spent = spent
        self._inner = dict(inner)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it stands for parts of any kind
        value = getattr(self._part, name)
        if not callable(value):
            return value

        def timed(*args: object, **named: object) -> object:
            began = time.perf_counter()
            try:
                result = value(*args, **named)
            finally:
                self._spent[self._name] = self._spent.get(self._name, 0.0) + time.perf_counter() - began
            return Clocked(result, self._inner[name], self._spent) if name in self._inner else result

        return timed


def kb_index(docs: str, store: str, threads: int) -> dict[str, Any]:
    """Index documents into a new store with a loaded model; returns the seconds in total and by component."""
    parts = Container(settings(docs, store, threads), _warn)
    parts.embedder.load()
    runs = _runs(parts.embedder, threads)
    spent: dict[str, float] = {}
    parts.own()
    opened, shared = parts.store, parts._environment  # noqa: SLF001 - what is timed is put in the place of what is used
    timed: list[tuple[Lazy[Any], str, tuple[tuple[str, str], ...]]] = [
        (shared.files, "reading files", ()),
        (shared.reader, "parsing and splitting", ()),
        (shared.embedder, "model", ()),
        (opened.cache, "embedding cache", ()),
        (opened.catalog, "catalog", ()),
        (opened.vectors, "opening and closing ChromaDB", (("index", "writing to ChromaDB"),)),
    ]
    for part, name, inner in timed:
        part._built = (Clocked(part.get(), name, spent, inner),)  # noqa: SLF001 - the same
    clock = _Clock()
    knowledge = LocalKnowledgeBase(parts)
    report = knowledge.index()
    knowledge.close()
    return {**clock.read(), "passages": report.embedded, "spent": spent, **runs}


def texts_of(docs: str, store: str, file: str) -> int:
    """Write the embedded texts of documents, longest last; returns their number."""
    parts = Container(settings(docs, store), _warn)
    passages = [one for found in parts.files.scan().files for one in parts.reader.read(parts.files.load(found))[1]]
    # Equal texts are embedded once.
    tokens = {one.embedded: one.tokens for one in passages}
    texts = sorted(tokens, key=tokens.__getitem__)
    Path(file).write_text(json.dumps(texts), "utf-8")
    return len(texts)


def best_batch(file: str, threads: int) -> int:
    """The batch size in tokens with which the bare model is fastest on a sample."""
    texts = _sample(file)
    seconds: dict[int, float] = {}
    for size in BATCH_TOKENS:
        model = _bare_encoder(threads, size)
        tokens = model.tokens.count(texts)
        began = time.perf_counter()
        model.embed_documents(texts, tokens)
        seconds[size] = time.perf_counter() - began
    return min(seconds, key=seconds.__getitem__)


def bare_encode(file: str, batch: int, threads: int) -> dict[str, Any]:
    """Embed all texts with the loaded model in kb's runtime, in batches sorted by length.

    Args:
        file: The texts.
        batch: The batch size in tokens; 0 for kb's default.
        threads: Threads of the model; 0 for the number of cores.
    """
    texts = _texts(file)
    model = _bare_encoder(threads, batch)
    tokens = model.tokens.count(texts)
    clock = _Clock()
    model.embed_documents(texts, tokens)
    return {**clock.read(), "peak": peak_memory(), **_runs(model, threads)}


def best_torch_batch(file: str, threads: int) -> int:
    """The batch size with which sentence-transformers is fastest on a sample."""
    texts = _sample(file)
    model = _torch_model(threads)
    seconds: dict[int, float] = {}
    for size in BATCH_SIZES:
        began = time.perf_counter()
        model.encode(texts, batch_size=size, show_progress_bar=False)
        seconds[size] = time.perf_counter() - began
    return min(seconds, key=seconds.__getitem__)


def torch_encode(file: str, threads: int, batch_size: int) -> dict[str, Any]:
    """Embed all texts with sentence-transformers in torch, sorted by length, with a loaded model."""
    texts = _texts(file)
    model = _torch_model(threads)
    clock = _Clock()
    model.encode(texts, batch_size=batch_size, show_progress_bar=False)
    return {**clock.read(), "peak": peak_memory()}


def first_run(docs: str, store: str, threads: int) -> dict[str, Any]:
    """Run the equivalent of ``kb index`` with nothing loaded; returns seconds and peak memory."""
    clock = _Clock()
    with LocalKnowledgeBase.open(settings(docs, store, threads), warn=_warn) as knowledge:
        report = knowledge.index()
    return {**clock.read(), "peak": peak_memory(), "passages": report.embedded}


def peak_memory() -> int:
    """The peak memory of this process, in bytes.

    On Linux ``ru_maxrss`` includes the parent's memory at the fork; ``VmHWM`` does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Clock:
    """Wall and CPU time from now on."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"wall": time.perf_counter() - self._wall, "processor": time.process_time() - self._processor}


def _bare_encoder(threads: int, batch: int) -> Encoder:
    """The bundled model as kb runs it, loaded."""
    model = Encoder(locate(MODEL, offline=True), threads=threads, batch_tokens=batch)
    model.embed_documents(["warm"], model.tokens.count(["warm"]))
    return model


def _torch_model(threads: int) -> SentenceTransformer:
    """The bundled model in sentence-transformers, with the same length limit as in kb."""
    import torch
    from sentence_transformers import SentenceTransformer

    from kb.embedding.tokens import ModelTokens

    if threads:
        torch.set_num_threads(threads)
    directory = locate(MODEL, offline=True).directory
    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    model.max_seq_length = ModelTokens(directory).limit
    model.encode(["warm"], show_progress_bar=False)
    return model


def _sample(file: str) -> Sequence[str]:
    """Some of the texts, the same ones every time."""
    texts = _texts(file)
    if len(texts) <= _SAMPLE:
        return texts
    chosen = sorted(random.Random(3).sample(range(len(texts)), _SAMPLE))  # noqa: S311 - no secret
    return [texts[at] for at in chosen]


def _texts(file: str) -> Sequence[str]:
    texts: list[str] = json.loads(Path(file).read_text("utf-8"))
    return texts


def _runs(model: Encoder, threads: int) -> dict[str, Any]:
    """The runtime of a model and its number of threads."""
    runtime = model.choice().runtime
    if runtime == "onnx":
        return {"runtime": runtime, "threads": threads or cores()}
    import torch

    return {"runtime": runtime, "threads": torch.get_num_threads()}


def _warn(text: str) -> None:
    print(f"kb: {text}", file=sys.stderr)
