"""Decisions of an index run: comparison, moves, identities, vector steps."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kb.indexing.plan import RemovedFiles, compare, identify, pages, vector_steps
from kb.records import FileStat, FoundFile, KnownFile, Passage, Scan
from kb.records.files import RACY_NS

SECOND = 10**9
STAT = FileStat(size=10, mtime_ns=100 * SECOND, ctime_ns=100 * SECOND, inode=1, device=1)


def found(path: str, stat: FileStat = STAT, folder: str = "/f") -> FoundFile:
    """A file of a scan."""
    return FoundFile(folder, path, stat)


def known(path: str, **more: object) -> KnownFile:
    """A file of the catalog."""
    base = KnownFile(
        id=abs(hash(path)) % 10**6,
        folder="/f",
        path=path,
        stat=STAT,
        content_hash=b"h",
        read_ns=STAT.mtime_ns + 10 * RACY_NS,
        state="done",
    )
    return replace(base, **more)  # type: ignore[arg-type]  # fields by name


def passage(text: str) -> Passage:
    """A passage with this text."""
    return Passage(text=text, embedded=text, tokens=1, first_line=1, last_line=1)


def test_same_stat_is_unchanged() -> None:
    """A file with the same stat is not read."""
    comparison = compare(Scan((found("a"),)), [known("a")])

    assert [file.path for file in comparison.unchanged] == ["a"]
    assert comparison.pending == 0


def test_another_stat_is_suspect() -> None:
    """Each part of the stat counts, including change time and inode."""
    for field in ("size", "mtime_ns", "ctime_ns", "inode", "device"):
        other = replace(STAT, **{field: 7})
        comparison = compare(Scan((found("a", other),)), [known("a")])
        assert comparison.certain == 1, field


def test_file_read_in_the_tick_it_was_written_is_suspect_but_not_pending() -> None:
    """A stat proves nothing if the file was written just before it was read."""
    comparison = compare(Scan((found("a"),)), [known("a", read_ns=STAT.mtime_ns + 1)])

    assert len(comparison.suspect) == 1
    assert comparison.pending == 0


def test_missing_folder_holds_its_files() -> None:
    """Nothing is concluded about files whose folder is missing or cannot be listed."""
    files = [known("sub/a"), known("b"), known("c", folder="/g")]

    unread = compare(Scan((), unread=(("/f", "sub"),)), files)
    missing = compare(Scan((), missing=("/f",)), files)

    assert {file.path for file in unread.held} == {"sub/a"}
    assert {file.path for file in unread.gone} == {"b", "c"}
    assert {file.path for file in missing.held} == {"sub/a", "b"}
    assert {file.path for file in missing.gone} == {"c"}


def test_only_files_in_unread_directories_are_held() -> None:
    """Not files in directories whose names only begin alike; in an unread folder, all files."""
    files = [known("sub/a"), known("subway/a"), known("sub"), known("b")]

    below = compare(Scan((), unread=(("/f", "sub"),)), files)
    whole = [compare(Scan((), unread=(("/f", root),)), files) for root in ("", ".")]

    assert {file.path for file in below.held} == {"sub/a", "sub"}
    assert [{file.path for file in one.gone} for one in whole] == [set(), set()]


def test_unfinished_and_failed_files() -> None:
    """A pending file is read again; a failed one only after it changes."""
    comparison = compare(Scan((found("a"), found("b"))), [known("a", state="pending"), known("b", state="failed")])

    assert [file.path for _, file in comparison.suspect] == ["a"]
    assert [file.path for file in comparison.failed] == ["b"]


def test_twins_are_claimed_once_and_by_inode_first() -> None:
    """Of two removed files with the same content each is claimed once, the one with the same inode first."""
    one, two = known("x/one"), known("x/two", stat=replace(STAT, inode=9))
    removed = RemovedFiles((one, two, known("bad", state="failed")))

    assert removed.claim(found("new", replace(STAT, inode=9)), b"h") == two
    assert removed.claim(found("other"), b"h") == one
    assert removed.claim(found("third"), b"h") is None
    assert [file.path for file in removed.remaining()] == ["bad"]


def test_an_inode_counts_with_its_device() -> None:
    """Files of two disks may have the same number."""
    other = known("a", id=1, stat=replace(STAT, inode=5, device=2))
    same = known("z", id=2, stat=replace(STAT, inode=5, device=1))

    assert RemovedFiles([other, same]).claim(found("new", replace(STAT, inode=5, device=1)), b"h") is same


def test_twins_are_claimed_by_name_without_a_matching_inode() -> None:
    """After a copy to another disk and the deletion of the original."""
    removed = RemovedFiles((known("x/one"), known("x/two")))

    claimed = removed.claim(found("new/two", replace(STAT, inode=9)), b"h")

    assert claimed is not None
    assert claimed.path == "x/two"
    assert [file.path for file in removed.remaining()] == ["x/one"]


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_identities_are_unique_and_survive_insertions(texts: list[str]) -> None:
    """Equal texts are numbered, and text inserted above changes no identity."""
    before = [one.id for one in identify(7, [passage(text) for text in texts])]
    after = [one.id for one in identify(7, [passage("new"), *(passage(text) for text in texts)])]

    assert len(set(before)) == len(texts)
    assert after[1:] == before


def test_identity_includes_the_file() -> None:
    """The same text in two files is two passages."""
    assert identify(1, [passage("x")])[0].id != identify(2, [passage("x")])[0].id


@given(st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdef"), max_size=8))
def test_vector_steps_lead_from_old_to_new_and_are_empty_the_second_time(old: list[str], new: list[str]) -> None:
    """After the steps exactly the target exists, and a second plan is empty."""
    target = identify(1, [passage(text) for text in new])
    present = {one.id: True for one in identify(1, [passage(text) for text in old])}

    steps = vector_steps(target, present)
    result = (set(present) - set(steps.delete)) | set(steps.write)
    again = vector_steps(target, dict.fromkeys(result, True))

    assert result == {one.id for one in target}
    assert again.write == again.delete == ()


def test_a_passage_that_is_only_coming_is_written_again() -> None:
    """A vector that may be missing is written again, one that certainly exists is not."""
    target = identify(1, [passage("a"), passage("b")])

    steps = vector_steps(target, {target[0].id: True, target[1].id: False})

    assert steps.keep == (target[0].id,)
    assert steps.write == (target[1].id,)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_pages_lose_nothing(items: list[int], size: int) -> None:
    """Pages contain all items in order, and none is too long."""
    cut = list(pages(items, size))

    assert [item for page in cut for item in page] == items
    assert all(1 <= len(page) <= size for page in cut)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2)),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2)),
)
def test_every_file_is_in_exactly_one_part(disk: dict[str, int], catalog: dict[str, int]) -> None:
    """Each file of disk and catalog is in exactly one part of a comparison."""
    scan = Scan(tuple(found(path, replace(STAT, size=size)) for path, size in sorted(disk.items())))
    files = [known(path, stat=replace(STAT, size=size)) for path, size in catalog.items()]

    result = compare(scan, files)

    fates = [file.path for file in result.new] + [file.path for file, _ in result.suspect]
    fates += [file.path for group in (result.gone, result.held, result.unchanged, result.failed) for file in group]
    assert sorted(fates) == sorted(set(disk) | set(catalog))
    assert {file.path for file in result.unchanged} == {path for path in disk if catalog.get(path) == disk[path]}
