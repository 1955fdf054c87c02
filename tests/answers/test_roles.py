"""What a sentence does beside the others."""

from __future__ import annotations

import pytest

from kb.answers.roles import asks_how, asks_why, gives_reason, gives_step, refers_back, states_problem


@pytest.mark.parametrize(
    ("question", "how", "why"),
    [
        ("How do I undo the last commit?", True, False),
        ("What is the easiest way to copy a file?", True, False),
        ("Why does the index grow?", False, True),
        ("How many files are there?", False, False),
        ("How large is the index?", False, False),
        ("Who wrote it?", False, False),
    ],
)
def test_how_and_why_are_told_from_other_questions(question: str, how: bool, why: bool) -> None:
    """*How many* asks for a number."""
    assert (asks_how(question), asks_why(question)) == (how, why)


@pytest.mark.parametrize(
    ("sentence", "refers"),
    [
        ("It was founded again in 1991.", True),
        ("However, they left.", True),
        ("The latter is quick.", True),
        ("Its name is Ada.", True),
        ("Italy was founded again.", False),
        ("The tower fell.", False),
        ("She", True),
    ],
)
def test_words_that_refer_back(sentence: str, refers: bool) -> None:
    """At the beginning alone."""
    assert refers_back(sentence) is refers


@pytest.mark.parametrize(
    ("sentence", "problem", "step"),
    [
        ("I wanted to filter rows.", True, False),
        ("I was getting occasional errors.", True, False),
        ("Say you have two tables.", True, False),
        ("The trick is to use a flag.", False, True),
        ("Run the script.", False, True),
        ("2. Add a hyphen to the number.", False, True),
        ("It turns out there is a default.", False, True),
        ("The committee wanted peace.", False, False),
    ],
)
def test_problems_and_steps(sentence: str, problem: bool, step: bool) -> None:
    """What somebody wanted or ran into, and what helped."""
    assert (states_problem(sentence), gives_step(sentence)) == (problem, step)


def test_reasons() -> None:
    """By their words, wherever they stand."""
    assert gives_reason("It fell because of rain.")
    assert gives_reason("Due to rain, it fell.")
    assert not gives_reason("It fell.")
