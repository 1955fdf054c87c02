"""The collections that kb keeps vectors in: how they are made, and how those of other programs are told apart.

A collection may name any embedding function, and ChromaDB instantiates it, including model code, on many seemingly
harmless calls. So kb checks the raw configuration of a collection, and does not use one that it did not create.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kb.errors import ForeignStore, ModelMismatch, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EMBEDDING_FUNCTION: Final = "kb-bge-m3"
SPACE: Final = "cosine"
FORMAT_KEY: Final = "kb_format"
FORMAT: Final = 1
FINGERPRINT_KEY: Final = "kb_fingerprint"
DIMENSION_KEY: Final = "kb_dimension"
# With 100,000 clustered vectors of 384 numbers, recall@10 of 400 candidates is 1.000 here, as with twice the links.
# Larger collections are searched further by asking for more (kb.store.chroma.least_visited): ChromaDB takes another
# ef_search over only when the collection is opened again.
# The graph is persisted every 1,000 writes: less often slows down each start, more often risks more torn files.
HNSW: Final[Mapping[str, str | int]] = {
    "space": SPACE,
    "max_neighbors": 16,
    "ef_construction": 100,
    "ef_search": 100,
    "sync_threshold": 1000,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where collections are, for messages.

    Attributes:
        name: What is there, such as ``the store in /notes/.kb``.
        remedy: What to do if another program made it.
    """

    name: str
    remedy: str

    def foreign(self, detail: str) -> ForeignStore:
        """The error for a collection that kb did not create."""
        return ForeignStore(f"kb did not make {self.name}: {detail}", self.remedy)


def make_collection(
    client: Any,  # noqa: ANN401 - naming chromadb's types would import it
    name: str,
    *,
    fingerprint: str,
    dimension: int,
    function: object | None,
    sync_threshold: int = int(HNSW["sync_threshold"]),
    marks: Mapping[str, str | int] | None = None,
    spann: bool = False,
) -> Any:  # noqa: ANN401 - the same
    """Create a collection with the embedding function for other clients.

    Args:
        client: The client.
        name: The name of the collection, which must be new.
        fingerprint: The fingerprint of the model.
        dimension: The length of its vectors.
        function: The embedding function.
        sync_threshold: The number of writes after which it persists its graph.
        marks: Further metadata.
        spann: Use the index of Chroma Cloud instead of a graph.
    """
    if function is None:
        raise ValueError("a new collection needs an embedding function")
    return client.create_collection(
        name,
        configuration={"spann": {"space": SPACE}} if spann else {"hnsw": {**HNSW, "sync_threshold": sync_threshold}},
        metadata={**(marks or {}), FORMAT_KEY: FORMAT, FINGERPRINT_KEY: fingerprint, DIMENSION_KEY: dimension},
        embedding_function=function,
    )


def check_origin(collection: Any, place: Place) -> None:  # noqa: ANN401 - see make_collection
    """Reject a collection that kb did not create, without instantiating anything that it names.

    Raises:
        ForeignStore: Its format mark, its space or an embedding function is not kb's.
        StoreError: A later version of kb created it.
    """
    mark = (collection.metadata or {}).get(FORMAT_KEY)
    if mark is None:
        raise place.foreign(f"kb did not make its collection {collection.name!r}")
    if mark != FORMAT:
        raise StoreError(f"{place.name} has the format {mark}, and this kb knows {FORMAT}", "Install the newer kb")
    configuration = collection.configuration_json
    space = (configuration.get("hnsw") or configuration.get("spann") or {}).get("space")
    if space != SPACE:
        raise place.foreign(f"its space is {space!r} where kb's is {SPACE!r}")
    if (configuration.get("embedding_function") or {}).get("name") != EMBEDDING_FUNCTION:
        raise place.foreign("its embedding function is not kb's")
    for named in _embedding_functions([configuration, collection.get_model()["serialized_schema"]]):
        raise place.foreign(f"it names the embedding function {named!r}, which is not kb's")


def check_model(collection: Any, fingerprint: str, dimension: int) -> None:  # noqa: ANN401 - see make_collection
    """Reject a collection with another model's vectors.

    Raises:
        ModelMismatch: Its fingerprint or dimension differs.
    """
    made_by = collection.metadata.get(FINGERPRINT_KEY)
    if made_by != fingerprint:
        raise ModelMismatch(
            f"the store was made with another model ({made_by}) than the configured one ({fingerprint})",
            "Run kb index --full to embed everything again, or set embed.model back",
        )
    made_with = collection.metadata.get(DIMENSION_KEY)
    if made_with != dimension or collection.get_model()["dimension"] not in {None, dimension}:
        raise ModelMismatch(
            f"the store has vectors of {made_with} numbers, and the model gives {dimension}",
            "Run kb index --full to embed everything again, or set embed.model back",
        )


def _embedding_functions(node: object) -> Iterator[object]:
    """The names of all embedding functions in a raw configuration that are not kb's."""
    if isinstance(node, list):
        for item in node:
            yield from _embedding_functions(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "embedding_function" and isinstance(value, dict):
            # The sparse index, which kb does not use, has a function of type "unknown" without a name.
            if value.get("name", EMBEDDING_FUNCTION) != EMBEDDING_FUNCTION:
                yield value["name"]
        else:
            yield from _embedding_functions(value)
