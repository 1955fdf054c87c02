"""The language of a document: declared, else detected from its prose, else none."""

from __future__ import annotations

import pytest

from kb.formats.language import language_of
from kb.records import Block, Document

GERMAN = "Die Vektoren liegen in einer lokalen Datenbank und werden bei jeder Frage verglichen."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (GERMAN, "de"),
        ("Use ChromaDB when you want to store the vectors of your notes on your own machine.", "en"),
        ("Las copias de seguridad se guardan cada noche en el disco externo del despacho.", "es"),
        ("知识库把每个段落的向量保存在本地的数据库中。", "zh"),
        ("バックアップは毎晩外付けディスクに保存されます。", "ja"),
        ("Резервные копии хранятся на внешнем диске.", "ru"),
        ("GERMAN IN CAPITALS: " + GERMAN.upper(), "de"),
        ("Short", ""),
        ("", ""),
        ("12345 67890 https://example.com/a/very/long/address/without/a/word", ""),
    ],
)
def test_language_of_prose_is_detected(text: str, language: str) -> None:
    """One sentence is enough; a word, numbers and addresses are not."""
    assert language_of(Document(text, "text", "T")) == language


@pytest.mark.parametrize(
    ("declared", "language"), [("en", "en"), ("EN-GB", "en"), ("de_DE.UTF-8", "de"), ("German", "de"), ("", "de")]
)
def test_declared_language_takes_precedence(declared: str, language: str) -> None:
    """If it is a valid code."""
    assert language_of(Document(GERMAN, "markdown", "T", language=declared)) == language


def test_code_and_front_matter_have_no_language() -> None:
    """Neither code in a note nor source files are used for detection."""
    code = "while the list is not empty take the first item and print it to the terminal"
    text = f"title in english words that go on\n```\n{code}\n```\n{GERMAN}\n"

    assert language_of(Document(text, "markdown", "T", body_line=2, blocks=(Block("code", 2, 4),))) == "de"
    assert language_of(Document(GERMAN, "code", "T")) == ""
