"""Which files belong to the index: patterns compared with git, and kb's own rules."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import ConfigError
from kb.files.rules import Rules, Scope, parse_ignore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RULES = Rules(include=(), exclude=(), gitignore=True, hidden=True, follow_symlinks=True, max_bytes=10_000_000)
needs_git = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed, so there is nothing to compare with"
)

NAMES = ("a", "b", "ab", "keep", "x.md", "y.log", "a b", "[z]", "#c", "!d", "ü.md", "t ")
TREE = (
    *NAMES[4:],
    *(f"{top}/{name}" for top in ("a", "b", "ab") for name in ("x.md", "y.log", "keep", "ü.md")),
    *(f"{top}/{sub}/{name}" for top in ("a", "ab") for sub in ("a", "b", "keep.d") for name in ("x.md", "y.log", "ab")),
    "a/b/a/x.md",
    "a/b/a/b/y.log",
)


def belongs(
    path: str, ignores: Mapping[str, str], rules: Rules = RULES, kbignores: Mapping[str, str] | None = None
) -> bool:
    """Whether a file belongs, given the ignore files by directory ("" is the top)."""
    scope = Scope.of(rules)
    here = ""
    *directories, name = path.split("/")
    for directory in [*directories, None]:
        scope = scope.with_ignores(gitignore=ignores.get(here, ""), kbignore=(kbignores or {}).get(here, ""))
        if directory is None:
            break
        if scope.excludes(directory, directory=True):
            return False
        scope = scope.below(directory)
        here = f"{here}/{directory}".lstrip("/")
    return not scope.excludes(name, directory=False)


class Repository:
    """A real git repository with a fixed tree of empty files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        self.environment = {**os.environ, **nothing, "HOME": str(root), "XDG_CONFIG_HOME": str(root)}
        self.git("init", "--quiet")
        self.git("config", "core.ignorecase", "false")
        for path in TREE:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    def git(self, *arguments: str, given: bytes = b"") -> bytes:
        """The output of a git command; exit code 1 only says that nothing is ignored."""
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False, env=self.environment)
        assert done.returncode in {0, 1}, done.stderr
        return done.stdout

    def ignored(self, ignores: Mapping[str, str]) -> set[str]:
        """The files of the tree that git ignores with these .gitignore files."""
        for directory in ("", "a", "a/b"):
            (self.root / directory / ".gitignore").write_text(ignores.get(directory, ""), encoding="utf-8")
        listed = "\0".join(TREE).encode()
        return set(self.git("check-ignore", "-z", "--stdin", "--no-index", given=listed).decode().split("\0")) - {""}


@pytest.fixture(scope="module")
def repository() -> Iterator[Repository]:
    """One repository for the module, in which only .gitignore files change."""
    with tempfile.TemporaryDirectory() as folder:
        yield Repository(Path(folder))


@needs_git
@pytest.mark.parametrize(
    "lines",
    [
        "*.log",
        "*",
        "**",
        "*\n!*/\n!*.md",
        "*\n!a/\n!a/**",
        "/*\n!/a\n/a/*\n!/a/b",
        "a/",
        "/a/",
        "a/b",
        "a/b/",
        "a/*",
        "a/**",
        "a/**\n!a/b/",
        "a/**/x.md",
        "**/b",
        "**/b/x.md",
        "**/a/**",
        "a/**/\n",
        "*.log\n!a/y.log",
        "a\n!a/x.md",
        "a/\n!a/",
        "!x.md",
        "\\#c\n\\!d",
        "#c\n!d",
        "\\[z\\]",
        "[[]z]",
        "[a-x].md",
        "[!x].log",
        "[^x].log",
        "[[:alpha:]].md",
        "[[:upper:]].md",
        "[z-a].md",
        "x.m[",
        "x.md\\",
        "a b",
        "a\\ b",
        "t ",
        "t\\ ",
        "x.md   ",
        "x.md\r\n",
        "?.log",
        "ü.*",
        "/",
        "!",
        "//x.md",
        "keep.d/\n!keep.d/x.md",
        "*.log\n!keep.d/",
        "*/x.md",
        "*/",
        "a*/b*",
        "a**",
        "**b/x.md",
        "\ufeffx.md",
    ],
)
def test_pattern_matches_like_git(repository: Repository, lines: str) -> None:
    """For each special case, the same files as in git are ignored."""
    ignores = {"": lines}

    expected = repository.ignored(ignores)

    assert {path for path in TREE if not belongs(path, ignores)} == expected


PIECES = st.sampled_from(["a", "b", "ab", "keep", "keep.d", "*", "**", "x.md", "*.md", "y.*", "?", "[ab]", "a*", "ü*"])


@st.composite
def pattern_lines(draw: st.DrawFn) -> str:
    """A line of an ignore file, from pieces that often match the tree."""
    body = "/".join(draw(st.lists(PIECES, min_size=1, max_size=3)))
    return (
        draw(st.sampled_from(["", "", "!"]))
        + draw(st.sampled_from(["", "", "/"]))
        + body
        + draw(st.sampled_from(["", "", "/"]))
    )


def test_a_question_mark_is_one_character() -> None:
    """Unlike in git, which counts bytes, ? and brackets match a character of any script."""
    assert not belongs("ü.md", {"": "?.md"})
    assert not belongs("日.md", {"": "[!x].md"})


@needs_git
@given(
    st.fixed_dictionaries(
        {directory: st.lists(pattern_lines(), max_size=4).map("\n".join) for directory in ("", "a", "a/b")}
    )
)
def test_nested_ignore_files_match_like_git(repository: Repository, ignores: dict[str, str]) -> None:
    """With any patterns in three nested .gitignore files."""
    assert {path for path in TREE if not belongs(path, ignores)} == repository.ignored(ignores)


@given(st.text(max_size=60), st.sampled_from(TREE))
def test_any_ignore_file_is_accepted(text: str, path: str) -> None:
    """Any text can be parsed."""
    parse_ignore(text)

    assert belongs(path, {"": text}) in {True, False}


def test_kbignore_precedes_gitignore_in_same_directory() -> None:
    """It can include what .gitignore excludes."""
    assert belongs("a/y.log", {"a": "*.log"}, kbignores={"a": "!y.log"})
    assert not belongs("a/y.log", {"a": "!y.log"}, kbignores={"a": "*.log"})


def test_deeper_gitignore_precedes_higher_kbignore() -> None:
    """The nearest ignore file decides, whatever its name."""
    assert belongs("a/y.log", {"a": "!y.log"}, kbignores={"": "*.log"})


def test_gitignore_files_count_only_if_enabled() -> None:
    """With gitignore off, only .kbignore files count."""
    rules = Rules((), (), gitignore=False, hidden=True, follow_symlinks=True, max_bytes=1)

    assert belongs("y.log", {"": "*.log"}, rules)
    assert not belongs("y.log", {}, rules, {"": "*.log"})


def test_configuration_exclude_is_final() -> None:
    """No ignore file can include what folders.exclude excludes."""
    rules = Rules((), ("*.log", "build/", "/a/b"), gitignore=True, hidden=True, follow_symlinks=True, max_bytes=1)

    assert not belongs("y.log", {"": "!y.log"}, rules)
    assert not belongs("x/build/a.md", {}, rules)
    assert belongs("x/build", {}, rules)
    assert not belongs("a/b/x.md", {}, rules)
    assert belongs("x/a/b/x.md", {}, rules)


@pytest.mark.parametrize(
    ("include", "path", "expected"),
    [
        (("*.md",), "a/b/x.md", True),
        (("*.md",), "a/b/x.txt", False),
        (("docs/",), "docs/deep/x.txt", True),
        (("docs/",), "docs", False),
        (("/docs/**/*.md",), "docs/a/b/x.md", True),
        (("/docs/**/*.md",), "a/docs/x.md", False),
        (("*.md", "!draft-*"), "draft-1.md", False),
        (("docs/", "!*.log"), "docs/x.log", False),
    ],
)
def test_only_included_files_belong(include: tuple[str, ...], path: str, *, expected: bool) -> None:
    """With folders.include, a file belongs if it or a folder above it matches."""
    rules = Rules(include, (), gitignore=True, hidden=True, follow_symlinks=True, max_bytes=1)

    assert belongs(path, {}, rules) is expected


def test_hidden_files_belong_only_if_enabled() -> None:
    """Files and folders whose names begin with a dot."""
    shy = Rules((), (), gitignore=True, hidden=False, follow_symlinks=True, max_bytes=1)

    assert not belongs(".notes/x.md", {}, shy)
    assert not belongs("a/.x.md", {}, shy)
    assert belongs(".notes/x.md", {})


@pytest.mark.parametrize(
    "path", [".git/config", "a/.git/HEAD", ".hg/x", ".svn/x", ".kb/catalog", ".kb-old/x", "a/.git"]
)
def test_version_control_and_stores_never_belong(path: str) -> None:
    """No rule can include them."""
    assert not belongs(path, {"": "!*\n!*/"})


def test_name_with_line_end() -> None:
    """A pattern matches the whole name, not only a line of it."""
    assert belongs("x.md\n", {"": "x.md"})
    assert not belongs("x\ny.md", {"": "*.md"})
    assert not belongs("x\ny/z.md", {"": "x?y/"})


def test_inner_repository_uses_its_own_gitignore_files() -> None:
    """Above a git repository, .gitignore files do not count; .kbignore files do."""
    scope = Scope.of(RULES).with_ignores(gitignore="*.log", kbignore="*.tmp").below("inner")

    scope = scope.with_ignores(repository=True, repository_exclude="*.bak")

    assert not scope.excludes("y.log", directory=False)
    assert scope.excludes("y.tmp", directory=False)
    assert scope.excludes("y.bak", directory=False)


@pytest.mark.parametrize("pattern", ["x[", "[z-a]", "x\\"])
def test_invalid_configured_pattern_is_reported(pattern: str) -> None:
    """The error names the key and the pattern."""
    with pytest.raises(ConfigError, match=r"folders\.exclude: .* is not a pattern"):
        Scope.of(Rules((), (pattern,), gitignore=True, hidden=True, follow_symlinks=True, max_bytes=1))
    with pytest.raises(ConfigError, match=r"folders\.include: .* is not a pattern"):
        Scope.of(Rules((pattern,), (), gitignore=True, hidden=True, follow_symlinks=True, max_bytes=1))


@pytest.mark.parametrize(
    "name",
    ["~$plan.docx", ".~lock.plan.odt#", "#note#", ".#note.org", "note.md~", ".note.md.swp", "talk.mp4.part",
     "book.epub.crdownload", "paper.pdf.download", "~WRL0001.tmp", "x.filepart", ".goutputstream-AB12CD",
     "Desktop.ini", "Thumbs.db"],
)  # fmt: skip
def test_temporary_files_are_left_out(name: str) -> None:
    """Temporary files of other programs belong only if an ignore file includes them."""
    scope = Scope.of(RULES)

    assert scope.excludes(name, directory=False)
    assert not scope.excludes(name, directory=True)
    assert Scope.of(replace(RULES, include=("*",))).excludes(name, directory=False)
    back = "!" + name.replace("#", "?").replace("~", "?")
    assert not scope.with_ignores(kbignore=back).excludes(name, directory=False)


@pytest.mark.parametrize("name", ["plan.docx", "#note", "part", "crdownload.md", "a~b.md", "temp.md", "#1.md"])
def test_other_files_are_not_temporary(name: str) -> None:
    """Names that only contain such a word belong."""
    assert not Scope.of(RULES).excludes(name, directory=False)
