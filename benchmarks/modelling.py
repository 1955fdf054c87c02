"""Work for child processes of the model benchmark, one runtime each."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate

if TYPE_CHECKING:
    from kb.embedding.runtime import Device, Precision, Runtime

# The dense bfloat16 rate of a card in FLOP/s, without sparsity, from NVIDIA's data sheets.
PEAK: Final = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12}


def encoder(model: str, models: str, runtime: Runtime, precision: Precision, threads: int) -> Encoder:
    """A model in one runtime."""
    return Encoder(
        locate(model, offline=True), runtime=runtime, precision=precision, threads=threads, models=Path(models)
    )


def build(directory: str, scale: int) -> None:
    """Build a model of bge-m3's size, with fewer layers if sizes are scaled down."""
    from benchmarks.twin import LAYERS, build_twin

    build_twin(Path(directory), max(1, LAYERS // scale))


def texts(model: str, file: str, count: int, length: int) -> None:
    """Write texts of about a number of tokens."""
    one = Encoder(locate(model, offline=True))
    Path(file).write_text(json.dumps([text_of(one, length, seed) for seed in range(count)]), "utf-8")


def export(model: str, models: str) -> dict[str, Any]:
    """Export both ONNX forms; returns the measurements."""
    from kb.embedding.onnx_export import export as make_export

    located = locate(model, offline=True)
    made = make_export(located, Encoder(located).tokens, int8=True, models=Path(models), say=lambda _: None)
    return {one.form: {**one.measured, "size": one.size()} for one in made}


def plain(model: str, file: str, threads: int) -> dict[str, Any]:
    """``SentenceTransformer.encode`` in float32, with the batch size that is fastest on a sample."""
    import torch
    from sentence_transformers import SentenceTransformer

    from benchmarks.indexing import BATCH_SIZES

    if threads:
        torch.set_num_threads(threads)
    read: list[str] = json.loads(Path(file).read_text("utf-8"))
    loaded = SentenceTransformer(str(locate(model, offline=True).directory), device="cpu", local_files_only=True)
    loaded.encode(read[:2], show_progress_bar=False)
    part = read[:: max(1, len(read) // 48)]
    seconds = {}
    for size in BATCH_SIZES:
        began = time.perf_counter()
        loaded.encode(part, batch_size=size, show_progress_bar=False)
        seconds[size] = time.perf_counter() - began
    best = min(seconds, key=seconds.__getitem__)
    clock = time.perf_counter(), time.process_time()
    loaded.encode(read, batch_size=best, show_progress_bar=False)
    return {**_since(*clock), "count": len(read), "batch": best, "resident": resident()}


def kb_way(model: str, models: str, file: str, precision: Precision, threads: int) -> dict[str, Any]:
    """Kb's encoder in ONNX Runtime over the same texts."""
    read: list[str] = json.loads(Path(file).read_text("utf-8"))
    one = encoder(model, models, "onnx", precision, threads)
    tokens = one.tokens.count(read)
    one.embed_documents(read[:2], tokens[:2])
    clock = time.perf_counter(), time.process_time()
    one.embed_documents(read, tokens)
    return {**_since(*clock), "count": len(read), "tokens": sum(tokens), "resident": resident()}


def agreement(model: str, models: str, file: str, count: int) -> dict[str, Any]:
    """The difference between vectors of ONNX Runtime and torch, over texts of many lengths and languages."""
    from kb.embedding.references import SENTENCES

    chance = random.Random(11)  # noqa: S311 - the same texts every time
    own: list[str] = json.loads(Path(file).read_text("utf-8"))
    torch = encoder(model, models, "torch", "float32", 0)
    onnx = encoder(model, models, "onnx", "float32", 0)
    eight = encoder(model, models, "onnx", "int8", 0)
    mixed: list[str] = []
    while len(mixed) < count:
        parts = [chance.choice(SENTENCES if chance.random() < 0.5 else own) for _ in range(chance.choice((1, 1, 2, 4)))]
        text = "\n".join(parts)
        text = text[: chance.randint(1, len(text))]
        if torch.tokens.count([text])[0] <= torch.tokens.limit:
            mixed.append(text)
    vectors = [one.embed_documents(mixed, one.tokens.count(mixed)) for one in (torch, onnx)]
    sample = own[:: max(1, len(own) // 500)]
    exact, rounded = (one.embed_documents(sample, one.tokens.count(sample)) for one in (onnx, eight))
    cosines = np.sum(exact * rounded, axis=1)
    return {
        "difference": float(np.max(np.abs(vectors[0] - vectors[1]))),
        "mean": float(np.mean(cosines)),
        "first": float(np.percentile(cosines, 1)),
        "least": float(np.min(cosines)),
        "sample": len(sample),
    }


def on_gpu(model: str, folder: str) -> dict[str, Any]:
    """The share of the card's dense rate that the model reaches in bfloat16, over texts of one length.

    Counts the multiplications of the published model, two operations each: with weights for each token, and of
    attention for each pair of tokens.
    """
    import torch

    device: Device = "cuda" if torch.cuda.is_available() else "cpu"
    one = Encoder(locate(model, offline=True), runtime="torch", device=device, precision="bfloat16")
    made = [file.read_text("utf-8").strip() for file in sorted(Path(folder).iterdir())]
    tokens = one.tokens.count(made)
    one.embed_documents(made[:2], tokens[:2])
    began = time.perf_counter()
    one.embed_documents(made, tokens)
    seconds = time.perf_counter() - began
    config = json.loads((locate(model, offline=True).directory / "config.json").read_text("utf-8"))
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner)
    work = sum(2 * weights * n + 4 * layers * hidden * n * n for n in tokens)
    name = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    peak = next((rate for card, rate in PEAK.items() if card in name), None)
    return {"card": name, "rate": work / seconds, "peak": peak, "passages": len(made) / seconds, "where": one.load()}


def whole_on_gpu(model: str, docs: str, store: str) -> dict[str, Any]:
    """An index run over the same passages with a loaded model, in passages per second."""
    import torch

    from benchmarks.indexing import settings
    from kb.app import LocalKnowledgeBase

    wanted = settings(
        docs,
        store,
        0,
        **{
            "embed.model": model,
            "embed.runtime": "torch",
            "embed.precision": "bfloat16",
            "embed.device": "cuda" if torch.cuda.is_available() else "cpu",
            "chunk.max_tokens": "600",
        },
    )
    with LocalKnowledgeBase.open(wanted) as knowledge:
        knowledge.own()
        began = time.perf_counter()
        report = knowledge.index()
        return {"rate": report.embedded / (time.perf_counter() - began), "passages": report.embedded}


def write_passages(model: str, folder: str, count: int, length: int) -> None:
    """Write files of one passage each, of about a number of tokens."""
    one = Encoder(locate(model, offline=True))
    Path(folder).mkdir(parents=True)
    for seed in range(count):
        (Path(folder) / f"{seed:06}.txt").write_text(f"{text_of(one, length, seed)}\n", "utf-8")


def text_of(one: Encoder, length: int, seed: int) -> str:
    """A text of about a number of tokens."""
    chance = random.Random(seed)  # noqa: S311 - the same texts every time
    words: list[str] = []
    while one.tokens.count([" ".join(words)])[0] < length - 12:
        words += ["".join(chance.choices("abcdefghij", k=3)) for _ in range(max(1, length // 16))]
        while one.tokens.count([" ".join(words)])[0] > length:
            words.pop()
    return " ".join(words)


def resident() -> int:
    """The memory this process holds now, in bytes; only Linux tells. This file imports little, not to add to it."""
    status = Path("/proc/self/status")
    lines = status.read_text("ascii", "replace").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _since(wall: float, processor: float) -> dict[str, float]:
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
