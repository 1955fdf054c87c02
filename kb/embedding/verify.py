"""Verifies a model on this machine: its modules, tokenizer, vectors and published cosines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.embedding.onnx_files import read_exports
from kb.embedding.references import ANSWERS, QUESTION, TOLERANCE, golden_of, sample_texts
from kb.embedding.runtime import PROBES
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kb.embedding.encoder import Encoder
    from kb.embedding.spec import Located

INT8_TOLERANCE: Final = 0.05
_SAME: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        what: The subject of the check.
        told: What was found.
        good: Whether the check passed; None if there is no reference.
    """

    what: str
    told: str
    good: bool | None


def verify(encoder: Encoder, located: Located, forms: Path) -> list[Check]:
    """Run all checks on a model, loaded as it is configured.

    Args:
        encoder: The model.
        located: Its location.
        forms: The directory of its ONNX forms.
    """
    spec = encoder.tokens.spec
    shape = f"{spec.model_type}, {spec.pooling} pooling, {spec.dimension} numbers, reads {spec.limit} tokens"
    checks = [Check("files and configuration", shape, good=True), _tokenizer(encoder)]
    try:
        where = encoder.load()
    except ModelError as error:
        return [*checks, Check("loading", error.message, good=False)]
    checks += [Check("loading, modules as configured", where, good=True), _vectors(encoder), _batching(encoder)]
    return [*checks, published_cosines(encoder, located), *_forms(forms)]


def _tokenizer(encoder: Encoder) -> Check:
    """Whether the tokenizer knows words and fits the embedding table."""
    tokens = encoder.tokens
    first, second = (tokens.tokenizer.encode(word).ids for word in PROBES[:2])
    known = first != second and tokens.tokenizer.get_vocab_size() <= tokens.spec.vocab_size
    told = f"{tokens.tokenizer.get_vocab_size():,} tokens for {tokens.spec.vocab_size:,} rows"
    return Check("tokenizer", told, good=known)


def _vectors(encoder: Encoder) -> Check:
    """Whether vectors have length 1, and those of different texts differ."""
    texts = sample_texts(encoder.tokens)
    vectors = encoder.embed_documents(texts, encoder.tokens.count(texts))
    off = float(np.max(np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1)))
    nearest = float(np.max(vectors[0] @ vectors[1:].T))
    good = off < _SAME and nearest < 1 - _SAME
    return Check("vectors", f"{len(texts)} texts, lengths within {off:.0e} of 1", good=good)


def _batching(encoder: Encoder) -> Check:
    """Whether a text has the same vector alone and in a batch, so that padding has no effect."""
    texts = list(PROBES)
    lengths = encoder.tokens.count(texts)
    together = encoder.embed_documents(texts, lengths)
    alone = np.concatenate(
        [encoder.embed_documents([text], [length]) for text, length in zip(texts, lengths, strict=True)]
    )
    off = float(np.max(np.abs(together - alone)))
    half = "float16" in encoder.load()
    return Check("alone and in a batch", f"differ by {off:.0e}", good=off < (1e-2 if half else _SAME))


def published_cosines(encoder: Encoder, located: Located) -> Check:
    """Whether cosines match those published by the authors of sentence-transformers."""
    vectors = encoder.embed_documents(ANSWERS, encoder.tokens.count(ANSWERS))
    cosines = (vectors @ encoder.embed_query(QUESTION)).tolist()
    told = " ".join(f"{cosine:.4f}" for cosine in cosines)
    golden = golden_of(located)
    if golden is None:
        return Check("published cosines", f"{told}; none are known for this model", good=None)
    wanted = " ".join(f"{cosine:.4f}" for cosine in golden)
    most = INT8_TOLERANCE if "int8" in encoder.load() else TOLERANCE
    good = max(abs(one - other) for one, other in zip(cosines, golden, strict=True)) <= most
    return Check("published cosines", f"{told}; expected {wanted}", good=good)


def _forms(folder: Path) -> list[Check]:
    """Whether the files of the ONNX forms have their recorded checksums."""
    checks = []
    for export in read_exports(folder):
        damaged = export.damaged()
        told = f"damaged: {', '.join(damaged)}" if damaged else measured_text(export.measured)
        checks.append(Check(f"ONNX form in {export.form}", told, good=not damaged))
    return checks


def measured_text(measured: Mapping[str, float]) -> str:
    """The result of comparing a form with the original, as text."""
    return (
        f"differs by {measured['largest_difference']:.0e} at most, mean cosine {measured['mean_cosine']:.4f} with the "
        f"original, least {measured['least_cosine']:.4f} ({measured['texts']:.0f} texts)"
    )
