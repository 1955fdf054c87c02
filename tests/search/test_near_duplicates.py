"""What says the same is told from what only looks like it, and is folded without losing anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.records import FileStat, KnownFile, StoredPassage
from kb.search.rank import ComparableText, taken

STAT = FileStat(1, 1, 1, 1, 1)
PROSE = (
    "The backups of the server go to the disk in the cellar every night, and once a week to a friend who keeps them "
    "in another town, so that neither a fire nor a thief takes all of them at once. Restoring is tried in spring, "
    "on a machine that knows nothing of the old one, with nothing but the paper in the drawer to go by."
)
# Twice as long, so that two words that change places make no other text.
LONG = f"{PROSE} {' '.join(reversed(PROSE.split()))}"
ONE_WORD = PROSE.replace("cellar", "basement")
# Few texts, so that copies are frequent; some alike, one like two that are not alike, some told apart by a number only.
TEXTS = [
    PROSE,
    PROSE.replace(" ", "\n"),
    ONE_WORD,
    ONE_WORD.replace("friend", "sister"),
    f"{PROSE} 1",
    f"{PROSE} 2",
    "a",
]


def stored(number: int, text: str, file: int) -> StoredPassage:
    """A passage of one of a few files."""
    known = KnownFile(file, "/f", f"{file}.md", STAT, b"", 0, "done")
    return StoredPassage(f"{number}", known, text, (), number, number, None, b"", number)


orders = st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(1, 4)), max_size=14).map(
    lambda rows: [(stored(number, text, file), 1 - number / 100) for number, (text, file) in enumerate(rows, 1)]
)


def numbers(found: list[list[StoredPassage]]) -> list[int]:
    """The places of everything in an answer, folded or not, as they stood in the order."""
    return sorted(one.ordinal for same in found for one in same)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PROSE, PROSE, True),
        (PROSE, f"\n{PROSE}\t\n".replace(" ", "  \n"), True),
        (PROSE, PROSE.replace("cellar", "basement"), True),
        (PROSE, PROSE.replace("cellar", "basement").replace("friend", "sister").replace("spring", "May"), False),
        (f"{PROSE} It costs 5 euros.", f"{PROSE} It costs 6 euros.", False),
        (f"{LONG} Heating falls from high to low.", f"{LONG} Heating falls from low to high.", True),
        (f"{LONG} Heating falls from 21 to 17.", f"{LONG} Heating falls from 17 to 21.", False),
        (PROSE, f"{PROSE} {PROSE[::-1]}", False),
        ("x = a + b", "x = a - b", False),
        ("yes", "no", False),
        ("好" * 4, "好" * 5, True),
        ("备份每天晚上存到地下室的磁盘", "备份每天晚上存到朋友家的磁盘", False),
        ("", "", True),
    ],
)
def test_what_is_the_same(one: str, other: str, *, same: bool) -> None:
    """White space is nothing, a word in a long text little, a number everything; and it holds both ways."""
    assert ComparableText(one).is_near_duplicate(ComparableText(other)) is same
    assert ComparableText(other).is_near_duplicate(ComparableText(one)) is same


@given(st.text(), st.text())
def test_likeness_is_mutual(one: str, other: str) -> None:
    """Whatever two texts are, one is like the other or not, and each is like itself."""
    assert ComparableText(one).is_near_duplicate(ComparableText(other)) == ComparableText(other).is_near_duplicate(
        ComparableText(one)
    )
    assert ComparableText(one).is_near_duplicate(ComparableText(one))


@given(orders, st.integers(1, 6), st.sampled_from([0, 1, 2]), st.sets(st.integers(1, 4), max_size=2))
def test_folding_loses_nothing(
    order: list[tuple[StoredPassage, float]], limit: int, per_file: int, gone: set[int]
) -> None:
    """Hits and what is folded under them are the beginning of what there is, up to the first that is one too many."""

    def there(passage: StoredPassage) -> bool:
        return passage.file.id not in gone

    found = taken(order, limit=limit, per_file=per_file, there=there, fold=True)
    everything = taken(order, limit=len(order) or 1, per_file=0, there=there)

    named, all_numbers = numbers(found), numbers(everything)
    assert len(found) <= limit
    assert set(named) <= set(all_numbers)
    assert len(set(named)) == len(named)
    if not per_file:
        assert named == all_numbers[: len(named)]
        assert len(found) == limit or named == all_numbers
    else:
        of_file = [passage.file.id for passage, *_ in found]
        assert all(of_file.count(one) <= per_file for one in of_file)
    # In order, and each under the first it is like.
    shown = [passage.ordinal for passage, *_ in found]
    assert shown == sorted(shown)
    for at, (passage, *copies) in enumerate(found):
        texts = [ComparableText(one.text) for one in copies]
        assert all(text.is_near_duplicate(ComparableText(passage.text)) for text in texts)
        assert not any(
            text.is_near_duplicate(ComparableText(earlier.text)) for text in texts for earlier, *_ in found[:at]
        )
        assert all(one.ordinal > passage.ordinal for one in copies)


@given(orders, st.integers(1, 6))
def test_folding_twice_folds_nothing_more(order: list[tuple[StoredPassage, float]], limit: int) -> None:
    """What is shown is all different, so that folding it again leaves it as it is."""
    once = taken(order, limit=limit, per_file=0, there=lambda _: True, fold=True)

    again = taken([(passage, 0.0) for passage, *_ in once], limit=limit, per_file=0, there=lambda _: True, fold=True)

    assert again == [[passage] for passage, *_ in once]
