"""Known items: the question is a heading of one's own, and the file has to be found without it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_up import known_file, passage

from kb.chunking.split import Chunker
from kb.evaluation.known_items import KnownItem, Withheld, judged, known_items, without
from kb.formats.text import extract
from kb.records import Filters, FoundFile, KnownFile, Shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase
    from kb.embedding.encoder import Encoder

NOTE = """---
title: How we brew tea
aliases:
  - How we brew tea
  - Brewing
author: Ada
---
Water first.

# Green tea at home

Eighty degrees are enough.

## Which pot to take

Clay keeps the heat.

Setext heading here
===================

Iron keeps it longer.

## Elsewhere

How we brew tea is told elsewhere.
"""


@pytest.mark.parametrize(
    "heading", ["How we brew tea", "Green tea at home", "Which pot to take", "Setext heading here"]
)
def test_nothing_embedded_has_the_heading(heading: str, minilm_encoder: Encoder) -> None:
    """Neither text, trail nor title of any passage; all else stays on its lines."""
    document = extract("tea.md", NOTE.encode())
    chunker = Chunker(minilm_encoder.tokens, 64)
    before = [one for one in chunker.split(document) if "told elsewhere" not in one.text]
    assert any(heading in one.embedded for one in before)

    changed = without(document, heading)

    after = [one for one in chunker.split(changed) if "told elsewhere" not in one.text]
    assert [one.embedded for one in after if heading in one.embedded] == []
    assert any("author: Ada" in one.text for one in after)
    assert heading not in {changed.title, changed.own_title, *changed.aliases}
    lines = changed.text.split("\n")
    assert lines[document.text.split("\n").index("Clay keeps the heat.")] == "Clay keeps the heat."
    assert [one.first_line for one in changed.headings] == [one.first_line for one in document.headings]


def test_other_files_are_left_alone() -> None:
    """Only the file a question was made of loses it."""
    document = extract("tea.md", NOTE.encode())
    edit = Withheld([KnownItem("Which pot to take", known_file("tea.md"), 11)])

    assert edit(FoundFile("/notes", "other.md", known_file().stat), document) is document
    assert "Which pot" not in edit(FoundFile("/notes", "tea.md", known_file().stat), document).text


def shown(file: KnownFile) -> Shown:
    """A file with two sections, one of them with a heading that says too little."""
    places = [((file.title, "Usage"), 3), ((file.title, f"How {file.path} is used"), 9)]
    passages = (passage(path=file.path, heading=heading, first_line=line) for heading, line in places)
    return Shown(file, tuple(passages))


def test_questions_are_headings_that_say_enough() -> None:
    """Three words at least; the same ones for the same seed; a title that two files have is none."""
    files = [replace(known_file(f"{at}.md"), id=at, title=f"All about number {at}") for at in range(30)]
    files += [known_file("x.md", title="The very same title"), known_file("y.md", title="The very same title")]

    found = known_items(files, shown, 20, seed=3)

    assert found == known_items(files, shown, 20, seed=3)
    assert found != known_items(files, shown, 20, seed=4)
    assert len({one.file.path for one in found}) == len(found) == 20
    every = known_items(files, shown, 99, seed=1)
    assert len(every) == 32
    assert {one.question for one in every} & {"Usage", "The very same title"} == set()
    assert {one.line for one in every} == {1, 9}
    assert next(iter(judged(every).relevant.values())) == {every[0].document: 1}


def test_a_file_that_changed_is_not_asked_for() -> None:
    """Its passages are not those on the disk."""
    assert known_items([known_file()], lambda file: replace(shown(file), changed=True), 9, seed=1) == ()


def test_source_code_is_not_asked_about() -> None:
    """The name of a function stands in its text and would find it."""
    files = [replace(known_file("a.py"), kind="code"), known_file("b.md", title="All about one thing")]

    assert {one.file.path for one in known_items(files, shown, 9, seed=1)} == {"b.md"}


def test_the_users_store_stays_as_it_is(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command asks an index of its own, which borrows vectors, and tells of what it missed."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tea.md").write_text("# Brewing tea at home\n\nGreen leaves want eighty degrees.\n", "utf-8")
    (notes / "db.md").write_text("# Where vectors are kept\n\nEmbeddings are stored in ChromaDB.\n", "utf-8")
    (notes / "zzz.md").write_text("# Seventeen purple elephants dancing\n\nqwx 1 2 3\n", "utf-8")
    kb = open_kb(notes)
    kb.index()
    before = kb.status().passages
    kb.close()

    from kb.cli.main import run

    model, folders, store = "embed.model=all-MiniLM-L6-v2", f'folders.paths=["{notes}"]', str(tmp_path / "store")
    code = run(["-s", model, "-s", folders, "--store", store, "eval", "--self", "--mode", "cosine", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["questions"] == 3
    assert told["runs"]["cosine"]["Recall@10"] == 1.0
    assert told["runs"]["cosine"]["Success@1"] >= 2 / 3
    assert told["missed"] == {"cosine": []}
    again = open_kb(notes)
    assert again.status().passages == before
    assert again.index().embedded == 0
    assert [one.path for one in again.documents(Filters())] == ["db.md", "tea.md", "zzz.md"]
