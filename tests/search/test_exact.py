"""The vectors of all live passages, compared one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.exact import ExactIndex, exact_index
from kb.testing import MemoryVectorCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase
    from kb.embedding.spec import Located

UNITS = np.eye(4, dtype=np.float32)


class Catalog:
    """Knows which passages have a vector, and nothing else."""

    def __init__(self, *live: tuple[str, int, bytes]) -> None:
        self._live = list(live)

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        """All of them."""
        return self._live

    def count_embedded(self) -> int:
        """How many they are."""
        return len(self._live)


def index_of(*live: tuple[str, int, bytes], known: dict[bytes, int], most_bytes: int = 1000) -> ExactIndex | None:
    """An index over passages whose digests have these unit vectors."""
    cache = MemoryVectorCache()
    cache.put("model", {digest: UNITS[axis] for digest, axis in known.items()})
    return exact_index(Catalog(*live), cache, "model", 4, most_bytes)  # type: ignore[arg-type] # all that it asks for


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10**6)), min_size=1, max_size=30),
    st.integers(0, 40),
    st.none() | st.sets(st.integers(1, 6)),
)
def test_the_nearest_are_those_of_a_full_comparison(
    rows: list[tuple[int, int]], count: int, files: set[int] | None
) -> None:
    """All records of the files that are asked for, best first, as many as wanted, each with its own vector."""
    vectors = np.stack([np.random.default_rng(seed).standard_normal(8) for _, seed in rows]).astype(np.float32)
    index = ExactIndex([str(place) for place in range(len(rows))], [file for file, _ in rows], vectors)
    question = np.ones(8, dtype=np.float32)

    found = index.query(question, count, None if files is None else sorted(files))

    among = [place for place, (file, _) in enumerate(rows) if files is None or file in files]
    scores = np.sort([vectors[place] @ question for place in among])[::-1][:count]
    # Near zero the rounding of the sum is large beside it: numbers of this size keep six decimals.
    np.testing.assert_allclose(found.vectors @ question, scores, rtol=1e-5, atol=1e-6)
    assert len(found.ids) == min(count, len(among))
    for id_, vector in zip(found.ids, found.vectors, strict=True):
        assert rows[int(id_)][0] in (files or range(9))
        np.testing.assert_array_equal(vector, vectors[int(id_)])


def test_equal_texts_share_a_vector_and_are_two_passages() -> None:
    """A digest that stands in two files is found in both."""
    index = index_of(("1-a", 1, b"a"), ("2-a", 2, b"a"), ("2-b", 2, b"b"), known={b"a": 0, b"b": 1})

    assert index is not None
    assert set(index.query(UNITS[0], 2).ids) == {"1-a", "2-a"}
    assert list(index.vectors(["2-b", "nothing"])) == ["2-b"]


def test_a_vector_that_is_gone_leaves_it_to_chromadb() -> None:
    """The cache may have let go of some; an answer must not miss them."""
    assert index_of(("1-a", 1, b"a"), ("1-b", 1, b"b"), known={b"a": 0}) is None


def test_too_many_leave_it_to_chromadb() -> None:
    """Beyond so many bytes reading them takes longer than opening the store."""
    assert index_of(("1-a", 1, b"a"), known={b"a": 0}, most_bytes=16) is not None
    assert index_of(("1-a", 1, b"a"), known={b"a": 0}, most_bytes=15) is None


def test_a_cold_question_opens_neither_torch_nor_chromadb(
    minilm: Located, forms: Path, notes: Path, tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """One command without an owner: the same answer as from ChromaDB, from catalog, cache and ONNX form alone."""
    question = "What tool should I use to store vector data locally?"
    with open_kb(notes) as kb:
        kb.index()
        assert kb._container.vectors.opened
        warm = [(hit.passage.file.path, round(hit.score or 0.0, 5)) for hit in kb.search(question).hits]
    overrides = {
        "embed.model": minilm.name,
        "embed.offline": "true",
        "folders.paths": json.dumps([str(notes)]),
        "store.path": str(tmp_path / "store"),
    }
    code = (
        "import sys\n"
        "from kb.app import LocalKnowledgeBase\n"
        f"with LocalKnowledgeBase.open(overrides={overrides!r}) as kb:\n"
        f"    hits = kb.search({question!r}).hits\n"
        "print([(hit.passage.file.path, round(hit.score or 0.0, 5)) for hit in hits])\n"
        "print([name for name in ('torch', 'transformers', 'chromadb', 'huggingface_hub') if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"KB_MODELS": str(forms), "PATH": "", "HOME": str(tmp_path)},
    )

    cold, heavy = done.stdout.splitlines()
    assert cold == str(warm)
    assert heavy == "[]"


def test_what_is_indexed_later_is_found_in_the_same_process(
    notes: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """A question before an index run leaves nothing behind that hides what the run brought, or shows what it took."""
    with open_kb(notes) as kb:
        kb.index()
    with open_kb(notes) as kb:
        assert kb.search("sourdough bread").hits
        assert not kb._container.vectors.opened
        (notes / "bread.md").write_text("Sourdough bread rises slowly with flour and salt.\n", "utf-8")
        gone = max(notes.iterdir())
        gone.unlink()
        kb.index(accept_deletions=True)

        found = [hit.passage.file.path for hit in kb.search("sourdough bread").hits]

    assert found[0] == "bread.md"
    assert gone.name not in found


@pytest.mark.parametrize("missing", [False, True])
def test_a_lost_cache_costs_time_only(
    notes: Path, tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], *, missing: bool
) -> None:
    """Without the embedding cache the same question is answered by ChromaDB."""
    with open_kb(notes) as kb:
        kb.index()
    if missing:
        for file in (tmp_path / "store").glob("embeddings.sqlite3*"):
            file.unlink()
    with open_kb(notes) as kb:
        hits = kb.search("vector database").hits
        assert kb._container.vectors.opened is missing

    first, second = (hit.score or 0.0 for hit in hits[:2])
    assert first > second > 0
