"""What questions ask for, and which sentences hold it."""

from __future__ import annotations

import pytest

from kb.answers.kinds import Kind, holds, kind_of


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was the roof mended?", Kind.DATE),
        ("In what year did it open?", Kind.DATE),
        ("How many keys are there?", Kind.NUMBER),
        ("Where is the spare key?", Kind.PLACE),
        ("Which city has the archive?", Kind.PLACE),
        ("Who mended the roof?", Kind.NAME),
        ("¿Cuándo se reparó el tejado?", Kind.DATE),
        ("¿Cuántas llaves hay?", Kind.NUMBER),
        ("¿Dónde está la llave?", Kind.PLACE),
        ("¿Quién reparó el tejado?", Kind.NAME),
        ("In welchem Jahr wurde es eröffnet?", Kind.DATE),
        ("Wie viele Schlüssel gibt es?", Kind.NUMBER),
        ("Wo ist der Schlüssel?", Kind.PLACE),
        ("Wer hat das Dach gedeckt?", Kind.NAME),
        ("Quand le toit a-t-il été réparé ?", Kind.DATE),
        ("Combien de clés y a-t-il ?", Kind.NUMBER),
        ("Où est la clé ?", Kind.PLACE),
        ("Qui a réparé le toit ?", Kind.NAME),
        ("屋顶是什么时候修的\uff1f", Kind.DATE),
        ("有多少把钥匙\uff1f", Kind.NUMBER),
        ("钥匙在哪里\uff1f", Kind.PLACE),
        ("谁修了屋顶\uff1f", Kind.NAME),
        ("ซ่อมหลังคาเมื่อใด", Kind.DATE),
        ("มีกุญแจกี่ดอก", Kind.NUMBER),
        ("กุญแจอยู่ที่ไหน", Kind.PLACE),
        ("ใครซ่อมหลังคา", Kind.NAME),
        ("Why does the roof leak?", None),
        ("Warum ist das Dach undicht?", None),
    ],
)
def test_question_words_tell_what_is_asked(question: str, kind: Kind | None) -> None:
    """In each of the languages; a question for anything else has no kind."""
    assert kind_of(question) is kind


@pytest.mark.parametrize(
    ("kind", "sentence", "held"),
    [
        (Kind.DATE, "It opened in 1974.", True),
        (Kind.DATE, "El museo abrió en marzo.", True),
        (Kind.DATE, "博物馆于1974年开放。", True),
        (Kind.DATE, "เปิดในปี 1974", True),
        (Kind.DATE, "It opened soon after.", False),
        (Kind.NUMBER, "There are seven of them.", True),
        (Kind.NUMBER, "一共有三把。", True),
        (Kind.NUMBER, "There are many of them.", False),
        (Kind.NAME, "It was mended by Ines Vogel.", True),
        (Kind.NAME, "It was mended by a roofer.", False),
        (Kind.NAME, "Roofers mended it.", False),
    ],
)
def test_sentences_hold_what_is_asked(kind: Kind, sentence: str, held: bool) -> None:
    """Years, months, digits, number words, and capitals that do not begin the sentence."""
    assert holds(kind, sentence, "Which one?") is held


def test_what_the_question_says_itself_is_no_answer() -> None:
    """A year or a name of the question is in many sentences, and none of them answers by it."""
    assert not holds(Kind.DATE, "The roof of 1974 leaks.", "When was the roof of 1974 mended?")
    assert not holds(Kind.NAME, "The roof of Vogel leaks.", "Who mended Vogel's roof?")


def test_german_nouns_are_no_names() -> None:
    """Every noun has a capital there."""
    assert not holds(Kind.NAME, "Repariert hat es ein Dachdecker.", "Wer war es?", language="de")
