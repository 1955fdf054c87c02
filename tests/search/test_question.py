"""A question as typed: phrases, exclusions and filters are taken out, the rest is asked."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.records import Filters
from kb.search.syntax import Question, narrowed, parse

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("where do the backups go?", Question("where do the backups go?")),
        ('the "exact phrase" here', Question("the exact phrase here", ("exact phrase",))),
        ("\u201ecurly\u201c quotes", Question("curly quotes", ("curly",))),
        ('apple -berry -"red wine"', Question("apple", without=("berry", "red wine"))),
        ("3-2 well-known - x", Question("3-2 well-known - x")),
        ("plan tag:work", Question("plan", filters=Filters(tags=("work",)), named=("tag:work",))),
        ("plan TAG:a -tag:b", Question("plan", filters=Filters(tags=("a", "!b")), named=("TAG:a", "-tag:b"))),
        ('x path:"my notes/" -path:old/', Question("x", filters=Filters(paths=("my notes/", "!old/")),
                                                   named=('path:"my notes/"', "-path:old/"))),
        ("x type:pdf lang:de", Question("x", filters=Filters(types=("pdf",), languages=("de",)),
                                         named=("type:pdf", "lang:de"))),
        ("x since:7d until:2026-03-09",
         Question("x", filters=Filters(since=date(2026, 3, 3), until=date(2026, 3, 9)),
                  named=("since:7d", "until:2026-03-09"))),
        ("meet since:then", Question("meet since:then", as_words=("since:then",))),
        ("x -since:7d", Question("x -since:7d", as_words=("-since:7d",))),
        ('x " " -" "', Question("x")),
        ("what is type:nosuchtype", Question("what is type:nosuchtype", as_words=("type:nosuchtype",))),
        ("C:path and http://x.org", Question("C:path and http://x.org")),
        ('"unclosed', Question('"unclosed')),
        ("tag:work", Question("", filters=Filters(tags=("work",)), named=("tag:work",))),
        ("docker -windows?", Question("docker ?", without=("windows",))),
        ("docker (not -windows).", Question("docker (not ).", without=("windows",))),
        ("backups tag:work?", Question("backups ?", filters=Filters(tags=("work",)), named=("tag:work",))),
        ("backups since:7d.", Question("backups .", filters=Filters(since=date(2026, 3, 3)), named=("since:7d",))),
        ("x path:*.md, -a.b!", Question("x , !", without=("a.b",), filters=Filters(paths=("*.md",)),
                                        named=("path:*.md",))),
        ("ls -l, grep -R. at -20 degrees or -3.5", Question("ls -l, grep -R. at -20 degrees or -3.5")),
        ('x -"20" -y2k', Question("x", without=("20", "y2k"))),
        ("find . --name foo", Question("find . --name foo")),
        ("x ext:md -EXT:.Tex", Question("x", filters=Filters(types=(".md", "!.Tex")),
                                        named=("type:.md", "-type:.Tex"))),
        ('filetype:nosuch x file:"my plan"', Question("x", filters=Filters(types=(".nosuch",), paths=("my plan",)),
                                                      named=("type:.nosuch", 'path:"my plan"'))),
        ("x -folder:old/ Language:de, y", Question("x , y", filters=Filters(paths=("!old/",), languages=("de",)),
                                                   named=("-path:old/", "lang:de"))),
        ("open file:///etc/fstab in profile:x", Question("open file:///etc/fstab in profile:x")),
    ],
)  # fmt: skip
def test_what_is_read(typed: str, expected: Question) -> None:
    """Each operator stands at the beginning of a word; all else is the question."""
    assert parse(typed, TODAY) == expected


@pytest.mark.parametrize(
    "typed",
    ["what does file:line mean", "error: file:main.py not found", "mount file:rw", "ext:x", 'set language:"x y" there'],
)
def test_filter_by_the_name_of_another_program_that_matches_nothing_is_words(typed: str) -> None:
    """It may be asked about; one that matches, one that excludes and one by kb's own name are filters."""
    read = parse(typed, TODAY, matches=lambda _: False)
    assert (read.text, len(read.as_words), read.filters) == (typed, 1, Filters())
    assert parse(typed, TODAY).filters
    assert parse("path:line -file:line", TODAY, matches=lambda _: False).filters.paths == ("line", "!line")


@given(st.text(max_size=80) | st.from_regex(r'(-?[a-z0-9":.,?]{1,8} ){1,6}'))
def test_any_text_is_a_question(typed: str) -> None:
    """Whatever is typed can be read, and no phrase is empty."""
    question = parse(typed, TODAY)

    assert all(one.strip() for one in question.phrases + question.without)
    assert parse(typed, TODAY, literal=True) == Question(" ".join(typed.split()))
    assert all(one in typed for one in question.phrases + question.without + question.named)


def test_filters_of_the_question_narrow_those_of_the_options() -> None:
    """Days are the narrower ones, the rest is added."""
    both = narrowed(
        Filters(("a/",), ("x",), date(2026, 1, 1), date(2026, 2, 1)), Filters((), ("y",), date(2026, 1, 15), None)
    )

    assert both == Filters(("a/",), ("x", "y"), date(2026, 1, 15), date(2026, 2, 1))


@pytest.mark.parametrize(
    ("typed", "globs"),
    [
        ("x path:notes", ("notes", "{home}/notes")),
        ("x path:notes/", ("notes/", "{home}/notes/")),
        ("x path:notes/*.md", ("notes/*.md", "{home}/notes/*.md")),
        ("x path:./notes/*", ("{home}/notes/*",)),
        ("x -path:notes/", ("!notes/", "!{home}/notes/")),
        ('x path:"my [old] notes/a*"', ("my [old] notes/a*",)),
        ('x path:"my [old] notes"', ("my [old] notes", "{home}/my \\[old] notes")),
        ("x path:link/", ("link/", "{home}/notes/")),
        ("x path:gone/", ("gone/",)),
        ("x path:/notes/", ("/notes/",)),
        ("x path:*.md path:notes", ("*.md", "notes", "{home}/notes")),
    ],
)
def test_a_path_in_a_question_is_taken_from_the_current_folder_too(
    tmp_path: Path, typed: str, globs: tuple[str, ...]
) -> None:
    """As ``--path`` is; without a folder, only as it stands."""
    home = tmp_path.resolve()
    for name in ("notes", "my [old] notes"):
        (home / name).mkdir()
    (home / "link").symlink_to("notes")

    assert parse(typed, TODAY, cwd=str(home)).filters.paths == tuple(glob.format(home=home) for glob in globs)
    assert all(str(home) not in glob for glob in parse(typed, TODAY).filters.paths)


def test_a_path_from_the_root_is_one() -> None:
    """There, the current folder means everything, and a folder is not taken twice."""
    assert parse("x path:./", TODAY, cwd="/").filters.paths == ("/*",)
    assert parse("x path:./*.md", TODAY, cwd="/").filters.paths == ("/*.md",)
