"""Documents of other programs through the whole of kb: found at their place, told where they cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import made_documents as made
import pytest

from kb.formats import fingerprint, registry
from kb.records import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase

    Open = Callable[..., LocalKnowledgeBase]

pytestmark = pytest.mark.skipif(
    not all(one.available for one in registry.REGISTRY.rows if one.in_child),
    reason="the extra 'documents' is not installed",
)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder with a document of several formats."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "report.pdf").write_bytes(
        made.pdf([["The budget was approved in March."], ["The boiler in the cellar is to be replaced."]], author="Ada")
    )
    (folder / "talk.pptx").write_bytes(made.pptx([["Welcome"], ["Timeline", "The satellite is launched in autumn."]]))
    (folder / "birds.xlsx").write_bytes(
        made.xlsx({"Ponds": {1: ["Species", "Nests"], 2: ["mallard duck", 12], 3: ["whooper swan", 2]}})
    )
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing more")
    return folder


def test_documents_are_found_at_their_place(open_kb: Open, papers: Path) -> None:
    """The right page, slide and row come first; a document that cannot be read is told and stops nothing."""
    kb = open_kb(papers)

    report = kb.index()

    assert report.added == 3
    assert report.failures == (Failure(str(papers), "broken.pdf", "is damaged: it is not a PDF that can be opened"),)
    for question, path, place, page in (
        ("Which heating has to be renewed?", "report.pdf", "p. 2", 2),
        ("When does the spacecraft take off?", "talk.pptx", "slide 2", None),
        ("How many swans breed here?", "birds.xlsx", "Ponds rows 1-3", None),
    ):
        passage = kb.search(question, limit=1).hits[0].passage
        assert (passage.file.path, passage.place, passage.page, passage.exact) == (path, place, page, False)
    assert kb.show(str(papers / "report.pdf")).file.author == "Ada"
    assert kb.check().differences == ()


def test_the_process_is_gone_when_kb_is_closed(open_kb: Open, papers: Path) -> None:
    """Closing leaves no process behind."""
    (papers / "store.py").write_text("def keep():\n    return 1\n", "utf-8")
    kb = open_kb(papers)
    kb.index()
    both = (kb._container.sandboxes.documents, kb._container.sandboxes.code)
    assert all(one.process is not None for one in both)

    kb.close()

    assert all(one.process is None for one in both)


def test_code_is_found_in_its_class(open_kb: Open, tmp_path: Path) -> None:
    """A method comes with the class it stands in."""
    folder = tmp_path / "code"
    folder.mkdir()
    attributes = "".join(f"    a{number} = {number}\n" for number in range(12))
    method = "    def swim(self):\n        # The duck crosses the pond.\n        return self.feet.paddle()\n"
    (folder / "birds.py").write_text(f"class Mallard:\n{attributes}\n{method}", "utf-8")
    kb = open_kb(folder)

    report = kb.index()

    assert (report.added, report.failures) == (1, ())
    assert kb.search("a duck crossing a pond", limit=1).hits[0].passage.heading == ("Mallard", "swim")


def test_without_the_library_files_are_told_and_read_once_it_is_there(
    open_kb: Open, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that lacks its library is named with the command that installs it, and read by the run after that."""
    kb = open_kb(papers)
    with monkeypatch.context() as without:
        without.setattr(registry, "installed", lambda _: False)
        without.setattr(fingerprint, "_version", lambda _: "absent")
        reasons = {failure.path: failure.reason for failure in kb.index().failures}
        kb.close()

    assert reasons["report.pdf"] == (
        "PDF files (.pdf) are read with the extra for documents: pip install 'localkb[documents]'"
    )
    again = open_kb(papers).index()
    assert (again.failures[0].path, len(again.failures), again.total) == ("broken.pdf", 1, 5)


def test_larger_documents_are_taken_than_texts(open_kb: Open, papers: Path) -> None:
    """The limit of documents is their own."""
    (papers / "long.txt").write_text("word\n" * 2_000)
    kb = open_kb(papers, folders__max_file_mb="0.0005")

    failures = {failure.path: failure.reason for failure in kb.index().failures}

    assert failures["long.txt"] == "is 0.0100 MB, over the limit of 0.0005 MB (folders.max_file_mb)"
    assert "talk.pptx" not in failures


def test_what_is_read_in_part_is_told_and_found(open_kb: Open, papers: Path) -> None:
    """A damaged page or a line that is no YAML costs neither the file nor its place among those that are indexed."""
    data = made.pdf([["The budget was approved in March."], ["The boiler in the cellar is to be replaced."]])
    (papers / "report.pdf").write_bytes(data.replace(b"/Type /Page ", b"/Type /Pxge ", 1))
    (papers / "tea.md").write_text("---\ntitle: Tea: how to\n---\nBoil the water first.\n", "utf-8")
    kb = open_kb(papers)

    assert kb.index().added == 4

    status = kb.status()
    assert status.partly == (
        Failure(str(papers), "report.pdf", "1 of 2 pages is damaged"),
        Failure(str(papers), "tea.md", 'front matter is not valid YAML or TOML at "title"'),
    )
    assert (status.failed, [one.path for one in status.problems]) == (1, ["broken.pdf"])
    assert kb.search("Which heating has to be renewed?", limit=1).hits[0].passage.place == "p. 2"
    (papers / "tea.md").write_text("---\ntitle: Tea\n---\nBoil the water first.\n", "utf-8")
    kb.index()
    assert [one.path for one in kb.status().partly] == ["report.pdf"]
