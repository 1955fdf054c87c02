"""Opening a ChromaDB collection, making it, and proving that kb made it, before anything else is done with it.

A store may name any embedding function, and ChromaDB builds it, model code included, on many calls that look harmless.
So a collection is judged by its raw configuration, and one that kb did not make is not touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.chroma_import import import_chromadb, safe_settings
from kb.errors import ForeignStore, ModelMismatch, StoreBusy, StoreError
from kb.own_files import unusable
from kb.store.chroma_errors import DATABASE, damaged, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EMBEDDING_FUNCTION: Final = "kb-bge-m3"
SPACE: Final = "cosine"
FORMAT_KEY: Final = "kb_format"
FORMAT: Final = 1
FINGERPRINT_KEY: Final = "kb_fingerprint"
DIMENSION_KEY: Final = "kb_dimension"
# With 100,000 clustered vectors of 384 numbers, recall@10 of 400 candidates is 1.000 here, as with twice the links.
# The graph goes to the disk after every 1000 writes: later would make each start slower, sooner would tear more often.
HNSW: Final[Mapping[str, str | int]] = {
    "space": SPACE,
    "max_neighbors": 16,
    "ef_construction": 100,
    "ef_search": 100,
    "sync_threshold": 1000,
}


def connect(directory: str, *, create: bool) -> Any:  # noqa: ANN401 - naming chromadb's types would import it
    """A client of the store in a directory. ChromaDB itself would make an empty store wherever it is pointed at.

    Raises:
        StoreDamaged: There is no store, and none may be made; or it does not open.
        StoreError: The directory cannot be made.
    """
    if create:
        try:
            Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(directory) from error
    elif not Path(directory, DATABASE).is_file():
        raise damaged(directory, "its database is not there")
    else:
        _check_access(directory)
    try:
        return import_chromadb().PersistentClient(path=directory, settings=safe_settings())
    except AttributeError as error:
        # ChromaDB's way of failing to close what it could not open.
        raise damaged(directory, str(error)) from error
    except ValueError as error:
        # ChromaDB dresses whatever goes wrong while it opens a database as a ValueError about tenants.
        if "already exists" in str(error):
            raise StoreBusy(f"the store in {directory} is already open in this process") from error
        raise damaged(directory, str(error)) from error


def _check_access(directory: str) -> None:
    """See that the database may be read and written, which ChromaDB tells in many ways.

    Raises:
        StoreError: It may not.
    """
    try:
        with Path(directory, DATABASE).open("r+b"):
            return
    except OSError as error:
        raise unusable(f"the vector index in {directory}", error, directory) from error


def find(client: Any, name: str, directory: str) -> Any | None:  # noqa: ANN401 - see connect
    """The collection of this name, or None in an empty store.

    Raises:
        StoreError: kb made the store, with a collection of another name.
        ForeignStore: There are collections, and kb made none of them.
    """
    collections = client.list_collections()
    for collection in collections:
        if collection.name == name:
            # Without an embedding function, and so without the check of its name, which kb does itself.
            return client.get_collection(name, embedding_function=None)
    for collection in collections:
        if FORMAT_KEY in (collection.metadata or {}):
            raise StoreError(
                f"the store in {directory} holds the collection {collection.name!r}, not {name!r}",
                "Set store.collection back, or run kb rebuild.",
            )
    if collections:
        raise _foreign(directory, "kb made none of its collections")
    return None


def make(
    client: Any,  # noqa: ANN401 - see connect
    name: str,
    *,
    fingerprint: str,
    dimension: int,
    function: object | None,
    sync_threshold: int,
) -> Any:  # noqa: ANN401 - see connect
    """Make the collection, with the embedding function that other clients are to use."""
    if function is None:
        raise ValueError("a collection is made with the embedding function it is for")
    return client.create_collection(
        name,
        configuration={"hnsw": {**HNSW, "sync_threshold": sync_threshold}},
        metadata={FORMAT_KEY: FORMAT, FINGERPRINT_KEY: fingerprint, DIMENSION_KEY: dimension},
        embedding_function=function,
    )


def check_origin(collection: Any, directory: str) -> None:  # noqa: ANN401 - see connect
    """Refuse a collection that kb did not make, without building anything that it names.

    Raises:
        ForeignStore: Its mark, its space or an embedding function it names is not kb's.
        StoreError: A later kb made it.
    """
    mark = (collection.metadata or {}).get(FORMAT_KEY)
    if mark is None:
        raise _foreign(directory, f"kb did not make its collection {collection.name!r}")
    if mark != FORMAT:
        raise StoreError(
            f"the store in {directory} has the format {mark}, and this kb knows {FORMAT}", "Install the newer kb."
        )
    configuration = collection.configuration_json
    space = (configuration.get("hnsw") or {}).get("space")
    if space != SPACE:
        raise _foreign(directory, f"its space is {space!r} where kb's is {SPACE!r}")
    if (configuration.get("embedding_function") or {}).get("name") != EMBEDDING_FUNCTION:
        raise _foreign(directory, "its embedding function is not kb's")
    for named in _embedding_functions([configuration, collection.get_model()["serialized_schema"]]):
        raise _foreign(directory, f"it names the embedding function {named!r}, which is not kb's")


def check_model(collection: Any, fingerprint: str, dimension: int) -> None:  # noqa: ANN401 - see connect
    """Refuse a collection that holds another model's vectors.

    Raises:
        ModelMismatch: The fingerprint or the dimension it was made with is another one.
    """
    made_by = collection.metadata.get(FINGERPRINT_KEY)
    if made_by != fingerprint:
        raise ModelMismatch(
            f"the store was made by another model ({made_by}) than the one configured ({fingerprint})",
            "Run kb index --full to embed everything again, or set embed.model back.",
        )
    made_with = collection.metadata.get(DIMENSION_KEY)
    if made_with != dimension or collection.get_model()["dimension"] not in {None, dimension}:
        raise ModelMismatch(
            f"the store holds vectors of {made_with} numbers, and the model gives {dimension}",
            "Run kb index --full to embed everything again, or set embed.model back.",
        )


def _embedding_functions(node: object) -> Iterator[object]:
    """The names of embedding functions other than kb's, wherever they stand in a raw configuration."""
    if isinstance(node, list):
        for item in node:
            yield from _embedding_functions(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "embedding_function" and isinstance(value, dict):
            # The index for sparse vectors, which kb leaves off, has a function of the type "unknown" and no name.
            if value.get("name", EMBEDDING_FUNCTION) != EMBEDDING_FUNCTION:
                yield value["name"]
        else:
            yield from _embedding_functions(value)


def _foreign(directory: str, detail: str) -> ForeignStore:
    return ForeignStore(f"kb did not make the store in {directory}: {detail}", "Set store.path to a folder of its own.")
