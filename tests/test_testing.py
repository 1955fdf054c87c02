"""What the shipped fakes promise beyond the contracts of their ports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from kb.records import FoundFile, VectorRecord
from kb.testing import FakeEmbedder, FakeTokens, MemoryFiles, MemoryVectorCache, MemoryVectorIndex


def test_the_fake_embedder_counts_what_it_is_given() -> None:
    """A test can prove that nothing was embedded twice."""
    embedder = FakeEmbedder()

    embedder.embed_documents(["a b", "c"], [4, 3])
    embedder.embed_documents(["d"], [3])
    embedder.embed_query("e?")

    assert (embedder.calls, embedder.texts, embedder.questions) == (2, ["a b", "c", "d"], ["e?"])


def test_the_fake_embedder_gives_the_cosine_of_shared_words() -> None:
    """Two of four words shared, none repeated: one half, whatever the case and the order."""
    embedder = FakeEmbedder(dimension=4096)

    one, other = embedder.embed_documents(["red green blue cyan", "Blue RED white black"], [6, 6])

    assert one @ other == pytest.approx(0.5)
    assert one @ embedder.embed_query("cyan, blue; green! red.") == pytest.approx(1)


def test_the_fake_embedder_is_the_same_in_every_process() -> None:
    """Python's own hash of a text changes from process to process; this one must not."""
    code = "from kb.testing import FakeEmbedder; print(FakeEmbedder(16).embed_query('some words here').tolist())"

    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert outputs == {str(FakeEmbedder(16).embed_query("some words here").tolist())}


def test_fake_models_of_two_names_disagree() -> None:
    """Another name is another model: another fingerprint and other vectors."""
    one, other = FakeEmbedder(name="one"), FakeEmbedder(name="other")

    assert one.fingerprint != other.fingerprint
    assert FakeEmbedder(32).fingerprint != FakeEmbedder(64).fingerprint
    assert not np.allclose(one.embed_query("some words"), other.embed_query("some words"))


@pytest.mark.parametrize("text", ["", " ", "\n", "!?", "😀"])
def test_a_text_without_words_has_a_direction_all_the_same(text: str) -> None:
    """A zero vector would have no cosine."""
    assert np.linalg.norm(FakeEmbedder().embed_query(text)) == pytest.approx(1)


def test_fake_tokens_are_words_and_two_more() -> None:
    """So that a test can say how long a passage may be."""
    tokens = FakeTokens(limit=7)

    assert tokens.limit == 7
    assert tokens.count(["", "one", "one two\nthree"]) == [2, 3, 5]


def test_files_in_memory_are_given_at_once() -> None:
    """A whole disk in one line, over several folders."""
    files = MemoryFiles({("/b", "x.md"): b"1", ("/a", "y.md"): b"22"})

    assert [(file.folder, file.path, file.stat.size) for file in files.scan().files] == [
        ("/a", "y.md", 2),
        ("/b", "x.md", 1),
    ]


def test_a_file_in_memory_keeps_its_inode_when_it_is_written_and_gets_a_new_one_when_made_again() -> None:
    """As on a disk, where an editor writes in place or a file is deleted and made anew."""
    files = MemoryFiles({("/a", "x.md"): b"1"})
    first = files.stat("/a", "x.md")
    files.write("/a", "x.md", b"2")
    second = files.stat("/a", "x.md")
    files.remove("/a", "x.md")
    files.write("/a", "x.md", b"2")
    third = files.stat("/a", "x.md")

    assert first
    assert second
    assert third
    assert first.inode == second.inode != third.inode
    assert first.mtime_ns < second.mtime_ns < third.mtime_ns


def test_reading_is_seconds_after_writing() -> None:
    """So that no file seems written while it was read, and is read again for safety."""
    files = MemoryFiles({("/a", "x.md"): b"1"})
    (file,) = files.scan().files

    assert files.load(file).read_ns - file.stat.mtime_ns >= 5_000_000_000
    assert files.load(file).file == FoundFile("/a", "x.md", file.stat)


def test_the_index_in_memory_shows_its_records() -> None:
    """Texts and labels can be looked at, in copies that later changes of the caller's do not reach."""
    index = MemoryVectorIndex()
    labels: dict[str, str | int] = {"file": 1}
    vector = np.array([1, 0], np.float32)
    index.upsert([VectorRecord("a", vector, "text", labels)])

    labels["file"] = 2
    vector[0] = 0

    assert index.records["a"].labels == {"file": 1}
    assert index.records["a"].text == "text"
    assert index.records["a"].vector.tolist() == [1, 0]


def test_equally_near_records_come_by_id() -> None:
    """The order is the same in every run."""
    index = MemoryVectorIndex()
    same = np.array([1, 0], np.float32)
    index.upsert([VectorRecord(id_, same, "", {"file": 1}) for id_ in "cab"])

    assert index.query(same, 2).ids == ("a", "b")


def test_a_cache_in_memory_is_empty_at_first() -> None:
    """Each test begins with its own."""
    MemoryVectorCache().put("model", {b"d": np.ones(2, np.float32)})

    assert MemoryVectorCache().get("model", [b"d"]) == {}
