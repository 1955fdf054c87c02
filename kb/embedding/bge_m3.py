"""kb's embedding function for ChromaDB, with which any client can query kb's collections by text.

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
from kb.location import expanded  # noqa: E402 - the same

if TYPE_CHECKING:
    from kb.embedding.runtime import Device, Precision, Runtime

NAME: Final = "kb-bge-m3"
# The arguments stored with a collection, and their types.
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
    """Embeds with bge-m3 or another model that kb can load. The model is loaded on first use.

    A document over the model's limit is an error; texts are never truncated.

    Args:
        model: A name on the hub, a directory, or ``all-MiniLM-L6-v2``.
        revision: The revision of a model from the hub.
        device: The device to run on: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: The number format to compute in: ``auto``, ``float32``, ``float16``, ``bfloat16`` or ``int8``.
        batch_tokens: The tokens of a batch, including padding; 0 for a size that suits the device.
        threads: CPU threads; 0 for the number of cores.
        offline: Never download a model.
        runtime: The library that runs the model: ``auto``, ``torch`` or ``onnx``.
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
        # A relative path would not be found when the collection is opened from another folder.
        directory = Path(expanded(model))
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
        """The name of this function in ChromaDB."""
        return NAME

    def default_space(self) -> Space:
        """Cosine, which the models were trained for."""
        return "cosine"

    def supported_spaces(self) -> list[Space]:
        """All spaces, since they rank unit vectors in the same order."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> BgeM3EmbeddingFunction:
        """The function that a collection was created with; does not load or download anything."""
        BgeM3EmbeddingFunction.validate_config(config)
        return BgeM3EmbeddingFunction(**config)

    def get_config(self) -> dict[str, Any]:
        """The arguments to store with a collection."""
        return {argument: getattr(self, f"_{argument}") for argument in ARGUMENTS}

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Reject unknown arguments, and arguments of the wrong type.

        Raises:
            ModelError: An argument is unknown or has the wrong type.
        """
        for argument, value in config.items():
            if type(value) is not ARGUMENTS.get(argument):
                raise ModelError(
                    f"the collection's embedding function has the unknown argument {argument} = {value!r}",
                    "Open the collection with the version of kb that made it",
                )

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Reject another model for existing vectors.

        Raises:
            ModelMismatch: The model, its revision or int8 would change.
        """
        self.validate_config(new_config)
        before, after = (config.get("precision", "auto") for config in (old_config, old_config | new_config))
        if (before == "int8") != (after == "int8"):
            raise ModelMismatch(
                f"the vectors of the collection were made with the precision {before!r} and do not match {after!r}",
                "Run kb index --full to embed everything again",
            )
        for argument in ("model", "revision"):
            old, new = old_config.get(argument), new_config.get(argument, old_config.get(argument))
            if old != new:
                raise ModelMismatch(
                    f"the vectors of the collection were made with the {argument} {old!r} and do not match {new!r}",
                    "Run kb index --full to embed everything again",
                )
