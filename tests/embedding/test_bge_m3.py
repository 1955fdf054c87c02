"""kb's embedding function, used by ChromaDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kb.chroma_import import import_chromadb, safe_settings
from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.embedding.locate import BGE_M3, BUNDLED
from kb.errors import ModelError, ModelMismatch

if TYPE_CHECKING:
    from kb.embedding.encoder import Encoder

ROOT = Path(__file__).resolve().parents[2]
NOTES = [
    "Python is a high-level, general-purpose programming language.",
    "The PyTorch library is widely used for deep learning and neural networks.",
    "ChromaDB is an open-source vector database specialized for AI embeddings.",
    "OpenAI relies on cloud-hosted API architecture for model evaluation.",
]
QUESTION = "What tool should I use to store vector data locally?"


def client(folder: Path) -> Any:
    """A ChromaDB client for a directory."""
    return import_chromadb().PersistentClient(str(folder), settings=safe_settings())


@pytest.mark.slow
def test_any_client_that_imports_kb_queries_by_text(minilm_encoder: Encoder, tmp_path: Path) -> None:
    """Another process can query a collection that was made with the function by text."""
    with client(tmp_path / "store") as writer:
        collection = writer.create_collection("notes", embedding_function=BgeM3EmbeddingFunction(BUNDLED))
        vectors = minilm_encoder.embed_documents(NOTES, minilm_encoder.tokens.count(NOTES))
        collection.upsert(ids=list("abcd"), embeddings=list(vectors), documents=NOTES)
    code = (
        "from kb.embedding.registration import register_when_imported; register_when_imported()\n"
        "import chromadb, json\n"
        f"collection = chromadb.PersistentClient({str(tmp_path / 'store')!r}).get_collection('notes')\n"
        f"found = collection.query(query_texts=[{QUESTION!r}], n_results=2)\n"
        "print(json.dumps([found['documents'][0][0], found['distances'][0][0]]))"
    )

    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    document, distance = json.loads(found.stdout)
    assert document == NOTES[2]
    assert 1 - distance == pytest.approx(float(vectors[2] @ minilm_encoder.embed_query(QUESTION)), abs=1e-5)


def test_collection_is_cosine_by_default_and_stores_the_arguments(tmp_path: Path) -> None:
    """The function determines the space, and its stored arguments are plain JSON."""
    function = BgeM3EmbeddingFunction(BUNDLED, batch_tokens=512, offline=True)
    with client(tmp_path) as writer:
        configuration = writer.create_collection("notes", embedding_function=function).configuration_json

    kept = configuration["embedding_function"]
    assert configuration["hnsw"]["space"] == "cosine"
    assert (kept["name"], kept["config"]) == ("kb-bge-m3", function.get_config())
    assert json.loads(json.dumps(kept["config"])) == kept["config"]
    assert BgeM3EmbeddingFunction.build_from_config(kept["config"]).get_config() == kept["config"]


def test_documents_and_questions_are_embedded_as_kb_does(minilm_encoder: Encoder) -> None:
    """The function gives the same vectors as the encoder."""
    function = BgeM3EmbeddingFunction(BUNDLED)

    np.testing.assert_allclose(
        function(NOTES), minilm_encoder.embed_documents(NOTES, minilm_encoder.tokens.count(NOTES)), atol=1e-6
    )
    np.testing.assert_allclose(function.embed_query([QUESTION])[0], minilm_encoder.embed_query(QUESTION), atol=1e-6)


def test_too_long_document_is_refused() -> None:
    """A document over the model's limit is an error and is not truncated."""
    with pytest.raises(ModelError, match="longer than the 256"):
        BgeM3EmbeddingFunction(BUNDLED)(["water " * 300])


def test_building_loads_and_fetches_nothing() -> None:
    """A function for a missing model can be created; only its use raises an error."""
    function = BgeM3EmbeddingFunction("nobody/nothing", offline=True)

    with pytest.raises(ModelError, match="nobody/nothing"):
        function([QUESTION])


def test_directory_is_kept_as_an_absolute_path(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection made in one folder finds its model from another folder."""
    monkeypatch.chdir(tiny.parent)

    assert BgeM3EmbeddingFunction(tiny.name).get_config()["model"] == str(tiny.resolve())


def test_default_is_bge_m3() -> None:
    """Without arguments, the function uses bge-m3."""
    assert BgeM3EmbeddingFunction().get_config()["model"] == BGE_M3


@pytest.mark.parametrize("config", [{"trust_remote_code": True}, {"model": 3}, {"offline": "no"}, {"threads": True}])
def test_unknown_arguments_are_refused(config: dict[str, Any]) -> None:
    """A store cannot pass unknown arguments to the function."""
    with pytest.raises(ModelError, match="unknown argument"):
        BgeM3EmbeddingFunction.build_from_config(config)


@pytest.mark.parametrize(("argument", "value"), [("model", BUNDLED), ("revision", "main")])
def test_another_model_is_refused_for_existing_vectors(argument: str, value: str) -> None:
    """An update may change where the model runs, but not the model."""
    function = BgeM3EmbeddingFunction()
    old = function.get_config()

    function.validate_config_update(old, old | {"device": "cpu"})
    with pytest.raises(ModelMismatch, match=argument):
        function.validate_config_update(old, old | {argument: value})
