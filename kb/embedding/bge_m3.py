"""kb's embedding function for ChromaDB, by which any client can query kb's collections by text.

Importing this module imports ChromaDB and registers the function with it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.chroma_import import import_chromadb

import_chromadb()

from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space  # noqa: E402 - only after a safe import
from chromadb.utils.embedding_functions import register_embedding_function  # noqa: E402 - the same

from kb.embedding.encoder import BATCH_TOKENS, Encoder  # noqa: E402 - the same
from kb.embedding.locate import BGE_M3, locate  # noqa: E402 - the same
from kb.errors import ModelError, ModelMismatch  # noqa: E402 - the same

if TYPE_CHECKING:
    from kb.embedding.runtime import Device, Precision, Runtime

NAME: Final = "kb-bge-m3"
# The arguments as they are kept with a collection, and what each may be.
ARGUMENTS: Final[dict[str, type]] = {
    "model": str,
    "revision": str,
    "runtime": str,
    "device": str,
    "precision": str,
    "batch_tokens": int,
    "threads": int,
    "offline": bool,
}


@register_embedding_function
class BgeM3EmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds with bge-m3, or another model that kb can load. The model is loaded with the first text.

    A document that is longer than the model reads is an error: nothing is ever cut.

    Args:
        model: A name on the hub, a directory, or ``all-MiniLM-L6-v2``.
        revision: The revision of a model from the hub.
        device: Where to run the model: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: What to compute in: ``auto``, ``float32``, ``float16``, ``bfloat16`` or ``int8``.
        batch_tokens: How many tokens, padding included, the model gets at once. 0: what suits the device.
        threads: CPU threads. 0: as many as there are cores.
        offline: Never fetch a model.
        runtime: By which library to run the model: ``auto``, ``torch`` or ``onnx``.
    """

    def __init__(  # noqa: PLR0917 - as ChromaDB's own functions, which are called by position
        self,
        model: str = BGE_M3,
        revision: str = "",
        device: Device = "auto",
        precision: Precision = "auto",
        batch_tokens: int = BATCH_TOKENS,
        threads: int = 0,
        offline: bool = False,
        runtime: Runtime = "auto",
    ) -> None:
        # A collection is opened from other folders than the one it was made in.
        directory = Path(model).expanduser()
        self._model = str(directory.resolve()) if model != BGE_M3 and directory.is_dir() else model
        self._revision = revision
        self._runtime: Runtime = runtime
        self._device: Device = device
        self._precision: Precision = precision
        self._batch_tokens = batch_tokens
        self._threads = threads
        self._offline = offline

    @cached_property
    def encoder(self) -> Encoder:
        """The model behind this function."""
        return Encoder(
            locate(self._model, self._revision, offline=self._offline),
            runtime=self._runtime,
            device=self._device,
            precision=self._precision,
            batch_tokens=self._batch_tokens,
            threads=self._threads,
        )

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - ChromaDB's own name
        """Unit vectors of documents."""
        return list(self.encoder.embed_documents(input, self.encoder.tokens.count(input)))

    def embed_query(self, input: Documents) -> Embeddings:  # noqa: A002 - ChromaDB's own name
        """Unit vectors of questions."""
        return [self.encoder.embed_query(text) for text in input]

    @staticmethod
    def name() -> str:
        """The name under which ChromaDB knows this function."""
        return NAME

    def default_space(self) -> Space:
        """Cosine, for which the models were trained."""
        return "cosine"

    def supported_spaces(self) -> list[Space]:
        """All of them: between unit vectors they give the same order."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> BgeM3EmbeddingFunction:
        """The function that a collection was made with. Nothing is loaded or fetched yet."""
        BgeM3EmbeddingFunction.validate_config(config)
        return BgeM3EmbeddingFunction(**config)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as they are kept with a collection."""
        return {argument: getattr(self, f"_{argument}") for argument in ARGUMENTS}

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Refuse arguments this function does not have, or of another type.

        Raises:
            ModelError: There are such.
        """
        for argument, value in config.items():
            if type(value) is not ARGUMENTS.get(argument):
                raise ModelError(
                    f"The collection's embedding function has an argument {argument} = {value!r} that kb does not know",
                    "Open the collection with the version of kb that made it.",
                )

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Refuse another model for vectors that are there already.

        Raises:
            ModelMismatch: The model, its revision or int8 would change.
        """
        self.validate_config(new_config)
        before, after = (config.get("precision", "auto") for config in (old_config, old_config | new_config))
        if (before == "int8") != (after == "int8"):
            raise ModelMismatch(
                f"The collection was made in the precision {before!r}, and its vectors mean nothing to {after!r}",
                "Embed again with: kb index --full",
            )
        for argument in ("model", "revision"):
            old, new = old_config.get(argument), new_config.get(argument, old_config.get(argument))
            if old != new:
                raise ModelMismatch(
                    f"The collection was made with the {argument} {old!r}, and its vectors mean nothing to {new!r}",
                    "Embed again with: kb index --full",
                )
