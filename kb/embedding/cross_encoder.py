"""Reranks with a cross-encoder, which reads question and passage together.

It is loaded and verified like the embedding model. One of the two files that import sentence-transformers.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.embedding.fetch import fetch, find_fetched, incomplete_files
from kb.embedding.locate import COMMIT, HUB_NAME, cached, digest_of_files, prepare_environment
from kb.embedding.runtime import first_line
from kb.embedding.spec import Located, missing_weights, present
from kb.embedding.tokens import encodable
from kb.embedding.torch_runtime import LOADING_ERRORS, device_for, lacking_weights
from kb.errors import ModelError
from kb.location import expanded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentence_transformers import CrossEncoder

    from kb.embedding.runtime import Device, Precision

BGE_RERANKER: Final = "BAAI/bge-reranker-v2-m3"
BGE_RERANKER_REVISION: Final = "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e"
_KIND: Final = "ForSequenceClassification"
_REMEDY: Final = (
    "Replace it by a complete copy, fetch it while online (embed.offline = false), "
    "or set search.rerank_model to another one, or search.rerank to off"
)
_SAMPLES: Final = (("What is water?", "Water is a liquid."), ("What is water?", "Stones and rivers, 42 of them."))


def locate_reranker(model: str, revision: str = "", *, offline: bool = False, cache_dir: Path | None = None) -> Located:
    """Find a cross-encoder, and download it if necessary and allowed.

    Args:
        model: A directory, or a name on the hub.
        revision: The commit, branch or tag of a model from the hub. Empty: the pinned one for bge-reranker-v2-m3, else
            ``main``.
        offline: Never download anything.
        cache_dir: The hub's cache; None for Hugging Face's default.

    Raises:
        ModelError: It is neither on this machine nor downloadable, or is not a cross-encoder.
    """
    prepare_environment(offline=offline)
    path = Path(expanded(model))
    if model != BGE_RERANKER and path.is_dir():
        directory = path.resolve()
        _require(directory)
        return Located(directory, str(path), f"sha256:{digest_of_files(directory)}", published=False)
    if not HUB_NAME.fullmatch(model) or model.startswith((".", "~")):
        raise ModelError(f"there is no reranker directory {model}", f"Set search.rerank_model, as to {BGE_RERANKER}")
    wanted = _pinned(model, revision)
    if (own := find_fetched(model, wanted)) and not incomplete_files(own[0], _missing):
        return Located(own[0], model, own[1])
    snapshot = cached(model, wanted, cache_dir)
    if snapshot is None or _missing(snapshot):
        if offline:
            raise ModelError(
                f"the reranker {model} is not on this machine, and fetching is off (embed.offline)", _REMEDY
            )
        directory, commit = fetch(model, wanted, missing=_missing)
        return Located(directory, model, commit)
    _require(snapshot)
    return Located(snapshot, model, snapshot.name, published=bool(COMMIT.fullmatch(snapshot.name)))


def is_here(model: str, revision: str = "") -> bool:
    """Whether a cross-encoder can be used without downloading anything."""
    if model != BGE_RERANKER and Path(expanded(model)).is_dir():
        return True
    wanted = _pinned(model, revision)
    own = find_fetched(model, wanted)
    if own is not None and not incomplete_files(own[0], _missing):
        return True
    snapshot = cached(model, wanted)
    return snapshot is not None and not _missing(snapshot)


def _pinned(model: str, revision: str) -> str:
    """The revision if one is given, else the pinned one for bge-reranker-v2-m3, else ``main``."""
    return revision or (BGE_RERANKER_REVISION if model == BGE_RERANKER else "main")


class CrossEncoderReranker:
    """Scores passages for a question by reading both together, in 0..1.

    Args:
        located: The cross-encoder.
        device: The device to run it on.
        precision: The number format to compute in; ``int8`` is only for embedding and counts as ``auto`` here.
    """

    def __init__(self, located: Located, *, device: Device = "auto", precision: Precision = "auto") -> None:
        self.name = "cross-encoder"
        self._located = located
        self._device: Device = device
        self._precision = "auto" if precision == "int8" else precision
        self._model: CrossEncoder | None = None

    def load(self) -> None:
        """Load the model now.

        Raises:
            ModelError: It cannot be loaded, or does not match its directory.
        """
        if self._model is None:
            model = _load(self._located, device_for(self._device), self._precision)
            _verify(model, self._located)
            self._model = model

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question; higher is better. A text over the model's limit is truncated.

        Raises:
            ModelError: The model cannot be used.
        """
        self.load()
        assert self._model is not None  # noqa: S101 - loaded just above
        return _scores(self._model, [(question, text) for text in texts])


def _load(located: Located, device: str, precision: str) -> CrossEncoder:
    import torch
    import transformers
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    kind = ("float32" if device == "cpu" else "float16") if precision == "auto" else precision
    try:
        model: CrossEncoder = CrossEncoder(
            str(located.directory),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, kind)},
        )
    except (*LOADING_ERRORS, SafetensorError) as error:
        why = first_line(error)
        raise ModelError(f"the reranker in {located.directory} cannot be loaded ({why})", _REMEDY) from error
    return model


def _verify(model: CrossEncoder, located: Located) -> None:
    """Check that all weights come from the files, that the tokenizer fits, and that scores differ between passages.

    Raises:
        ModelError: A check fails.
    """
    transformer: Any = model.model
    needed = {name for name, _ in transformer.named_parameters()}
    if lacking := lacking_weights(needed, located.directory):
        raise _invalid(located, f"its files lack {len(lacking)} of {len(needed)} weights, such as {lacking[0]}")
    words = len(model.tokenizer)
    if words > int(transformer.config.vocab_size):
        raise _invalid(located, f"its tokenizer has more tokens ({words}) than the model has embeddings")
    first, second = (model.tokenizer(word, add_special_tokens=False)["input_ids"] for word in ("water", "stone"))
    if first == second or model.tokenizer.unk_token_id in {*first, *second}:
        raise _invalid(located, "its tokenizer does not know ordinary words")
    one, other = _scores(model, _SAMPLES)
    if not (math.isfinite(one) and math.isfinite(other)) or one == other:
        raise _invalid(located, "it gives two different passages the same score, or none")


def _scores(model: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> list[float]:
    try:
        found = model.predict(
            [(encodable(question), encodable(text)) for question, text in pairs],
            batch_size=len(pairs),
            show_progress_bar=False,
        )
    except (IndexError, RuntimeError) as error:
        raise ModelError(
            f"the reranker failed ({first_line(error)})", "Set search.rerank to off, or embed.device to cpu"
        ) from error
    return [float(score) for score in found]


def _require(directory: Path) -> None:
    """Check that a directory is a complete cross-encoder that gives one number per pair.

    Raises:
        ModelError: It is not.
    """
    if missing := _missing(directory):
        raise ModelError(f"the reranker in {directory} is incomplete: {', '.join(missing)} missing", _REMEDY)
    try:
        config = json.loads((directory / "config.json").read_text("utf-8"))
        kinds = [str(kind) for kind in config.get("architectures") or ()]
        labels = config.get("num_labels") or len(config.get("id2label") or {0: ""})
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{directory / 'config.json'} cannot be read ({error})", _REMEDY) from error
    if not any(kind.endswith(_KIND) for kind in kinds) or labels != 1:
        raise ModelError(
            f"the model in {directory} is not a cross-encoder with one score ({', '.join(kinds) or 'unknown kind'})",
            _REMEDY,
        )


def _missing(directory: Path) -> list[str]:
    names = [name for name in ("config.json", "tokenizer.json") if not present(directory / name)]
    return names + missing_weights(directory)


def _invalid(located: Located, what: str) -> ModelError:
    return ModelError(f"the reranker in {located.directory} is invalid: {what}", _REMEDY)
