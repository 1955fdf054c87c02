"""Source code is split along its definitions, in every language that has a grammar; lines are those of the file."""

# ruff: noqa: E501, ISC004 - a source reads best as one string

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.chunking.split import Chunker
from kb.errors import DocumentError
from kb.formats import registry, source
from kb.formats.source import SourceCode
from kb.formats.text import extract
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Extracted, Limits
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.records import Document, Passage

HEAD = "import os\n\nLIMIT = 3\n\n\n"
CLASS = '''\
# What is kept.
@final
class Store:
    """Keeps what is told to it.

    For a while, that is.
    """

    def __init__(self) -> None:
        """Nothing is kept yet."""
        self.kept = []

    # Locked by the first who asks.
    @cached
    def open(self) -> None:
        def nested() -> int:
            return 1

        lock(self, nested())
'''
TAIL = "\n\ndef main() -> None:\n    Store().open()\n\n\nmain()\n"


SANDBOX = Sandbox(Limits(seconds=30, memory=300_000_000), [source.PARSER])


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    SANDBOX.close()


def document(path: str, text: str) -> Document:
    """A file with its sections."""
    return SourceCode(SANDBOX).outlined(path, extract(path, text.encode()))


def passages(path: str, text: str, most: int = 200) -> tuple[Passage, ...]:
    """The passages of a file."""
    return Chunker(FakeTokens(), most).split(document(path, text))


def outline(path: str, text: str) -> list[tuple[str, int, int]]:
    """Trail, first and last line of each passage; the text of each is that of its lines."""
    found = passages(path, text)
    lines = text.replace("\r\n", "\n").split("\n")
    for one in found:
        assert one.text == "\n".join(lines[one.first_line - 1 : one.last_line]).rstrip()
    return [(" > ".join(one.heading), one.first_line, one.last_line) for one in found]


SOURCES = {
    "a.js": (
        "import x from 'x';\n\n/** Opens. */\nexport function open(a) {\n  return a;\n}\n\n"
        "const shut = async (a) => {\n  return a;\n};\n\nStore.prototype.keep = function () {\n  return 1;\n};\n",
        [("", 1, 1), ("open", 3, 6), ("shut", 8, 10), ("Store.prototype.keep", 12, 14)],
    ),
    "a.ts": (
        "import x from 'x';\n\nexport interface Kept {\n  at: number;\n}\n\n@injectable()\nexport class Store {\n"
        "  a = 1;\n  b = 2;\n  c = 3;\n\n  // Opens.\n  @once()\n  async open(): Promise<void> {\n    lock(this);\n  }\n\n"
        "  shut = (a: number) => {\n    free(a);\n  };\n}\n",
        [("", 1, 1), ("Kept", 3, 5), ("Store", 7, 11), ("Store > open", 13, 17), ("Store > shut", 19, 22)],
    ),
    "a.tsx": (
        "const x = 1;\n\nexport const View = (props: P) => {\n  return <b>{props.a}</b>;\n};\n",
        [("", 1, 1), ("View", 3, 5)],
    ),
    "a.go": (
        "package a\n\n// Store keeps.\ntype Store struct {\n\tat int\n}\n\n// Open opens.\nfunc (s *Store) Open() error {\n"
        "\treturn nil\n}\n\nfunc main() {\n\tnew(Store).Open()\n}\n",
        [("", 1, 1), ("Store", 3, 6), ("Store.Open", 8, 11), ("main", 13, 15)],
    ),
    "a.rs": (
        "use std::fmt;\n\n/// Keeps.\n#[derive(Debug)]\npub struct Store {\n    at: u32,\n}\n\n"
        "impl fmt::Display for Store {\n    /// Says it.\n    fn fmt(&self) -> u32 {\n        1\n    }\n\n"
        "    #[inline]\n    fn open(&self) {\n        lock();\n        lock();\n        lock();\n        lock();\n    }\n}\n",
        [
            ("", 1, 1),
            ("Store", 3, 7),
            ("impl fmt::Display for Store > fmt", 9, 13),
            ("impl fmt::Display for Store > open", 15, 22),
        ],
    ),
    "A.java": (
        "package a;\n\n/** Keeps. */\n@Kept\npublic class Store {\n    private int a;\n    private int b;\n\n    Store() {\n"
        "        a = 1;\n    }\n\n    /** Opens. */\n    @Override\n    public void open() {\n        lock();\n    }\n}\n",
        [("", 1, 1), ("Store", 3, 7), ("Store > Store", 9, 11), ("Store > open", 13, 18)],
    ),
    "a.c": (
        "#include <a.h>\n\n/* Kept. */\ntypedef struct {\n    int at;\n} kept_t;\n\nstruct store {\n    int at;\n};\n\n"
        "// Opens.\nstatic char *store_open(struct store *s)\n{\n    return 0;\n}\n",
        [("", 1, 1), ("kept_t", 3, 6), ("store", 8, 10), ("store_open", 12, 16)],
    ),
    "a.hpp": (
        "#pragma once\n\nnamespace kept {\n\ntemplate <typename T>\nclass Store {\npublic:\n  Store() {\n    a = 1;\n  }\n"
        "  int& at() {\n    return a;\n  }\n  int a;\n  int b;\n  int c;\n};\n\nint Store::open() {\n  return 1;\n}\n}\n",
        [
            ("", 1, 1),
            ("kept > Store", 3, 7),
            ("kept > Store > Store", 8, 10),
            ("kept > Store > at", 11, 13),
            ("kept > Store", 14, 17),
            ("kept > Store::open", 19, 22),
        ],
    ),
    "a.cs": (
        "using System;\n\nnamespace Kept;\n\n/// <summary>Keeps.</summary>\n[Serializable]\npublic class Store\n{\n"
        "    private int a;\n    private int b;\n\n    public int At\n    {\n        get { return a; }\n    }\n\n"
        "    // Opens.\n    public void Open()\n    {\n        Lock();\n    }\n}\n",
        [("", 1, 3), ("Store", 5, 10), ("Store > At", 12, 15), ("Store > Open", 17, 22)],
    ),
    "a.rb": (
        "require 'a'\n\n# Keeps.\nmodule Kept\n  class Store\n    def initialize\n      @a = 1\n    end\n\n    # Opens.\n"
        "    def self.open\n      lock\n      lock\n      lock\n      lock\n    end\n  end\nend\n",
        [("", 1, 1), ("Kept > Store", 3, 5), ("Kept > Store > initialize", 6, 8), ("Kept > Store > open", 10, 18)],
    ),
    "a.php": (
        "<?php\n\nuse A;\n\n/** Keeps. */\nclass Store\n{\n    private $a;\n    private $b;\n    private $c;\n\n"
        "    /** Opens. */\n    public function open()\n    {\n        lock();\n        lock();\n    }\n}\n\nfunction main()\n{\n    open();\n}\n",
        [("", 1, 3), ("Store", 5, 10), ("Store > open", 12, 18), ("main", 20, 23)],
    ),
    "a.sh": (
        "#!/bin/sh\nset -e\n\n# Opens.\nopen() {\n  lock\n}\n\nfunction shut {\n  free\n}\n\nopen\n",
        [("", 1, 2), ("open", 4, 7), ("shut", 9, 13)],
    ),
}


def test_definitions_are_sections() -> None:
    """Methods are below their class, with decorators and comments."""
    assert outline("a.py", HEAD + CLASS + TAIL) == [
        ("", 1, 3),
        ("Store", 6, 12),
        ("Store > __init__", 14, 16),
        ("Store > open", 18, 24),
        ("main", 27, 31),
    ]


@pytest.mark.parametrize("path", SOURCES)
def test_each_language(path: str) -> None:
    """The definitions of every language are found, with their comments and exact lines."""
    text, expected = SOURCES[path]

    assert outline(path, text) == expected


def test_every_language_is_tested() -> None:
    """Every grammar has a source here, and all are installed."""
    suffixes = {f".{path.partition('.')[2]}" for path in SOURCES} | {".py"}

    rows = [one for one in registry.REGISTRY.rows if one.grammar]
    told = {one.grammar for one in rows if suffixes & set(one.suffixes)}

    assert told == {one.grammar for one in rows}
    assert all(one.available for one in rows)
    assert all(extract(f"a{suffix}", b"x").kind == "code" for one in rows for suffix in one.suffixes)


def test_the_trail_is_embedded() -> None:
    """The embedded text of a method names its class."""
    found = passages("store.py", HEAD + CLASS)[-1]

    assert found.embedded.startswith("Store > open\n")
    assert found.text.startswith("    # Locked by")


def test_a_long_definition_is_cut_inside() -> None:
    """All parts of a function over the limit have its name, the first with its first line."""
    body = "".join(f"    step_{number}(one, two, three)\n{'' if number % 3 else chr(10)}" for number in range(60))

    found = passages("a.py", f"{HEAD}def long():\n{body}", most=64)

    assert len(found) > 3
    assert {one.heading for one in found[1:]} == {("long",)}
    assert found[1].first_line == 6
    assert all(one.tokens <= 64 for one in found)


def test_small_things_stay_together() -> None:
    """Constants, functions of one line and small classes are not separate passages."""
    rows = "".join(f"def f{number}(): return {number}\n" for number in range(5))
    small = "class E(Exception):\n    def __str__(self):\n        return ''\n"

    assert outline("a.py", f"{HEAD}{small}\nA = 1\nB = 2\nC = 3\n{rows}\nD = 1\ndef g():\n    return 2\n") == [
        ("", 1, 3),
        ("E", 6, 8),
        ("", 10, 19),
        ("g", 20, 21),
    ]


def test_windows_line_ends() -> None:
    """Lines count as in any other file."""
    text = HEAD + CLASS + TAIL

    assert outline("a.py", text.replace("\n", "\r\n")) == outline("a.py", text)


def test_broken_syntax() -> None:
    """Definitions next to an error are sections; without any, the text is split at blank lines."""
    found = outline("a.py", f"{HEAD}def first():\n    x = = 1\n\n\n{CLASS}{TAIL}")

    assert ("main", 31, 35) in found
    assert outline("a.py", "((((\n\n]]]]\n") == [("", 1, 3)]


class Answers:
    """A replacement for the sandbox that gives or refuses the same for every file, and counts them."""

    def __init__(self, *headings: tuple[str, int, int, int], refuses: bool = False) -> None:
        self.headings = list(headings)
        self.refuses = refuses
        self.asked = 0

    def extract(self, _extractor: str, _name: str, _data: bytes) -> Extracted:
        """What was agreed."""
        self.asked += 1
        if self.refuses:
            raise DocumentError("made its reader crash")
        return Extracted(text="", headings=self.headings)


@pytest.mark.parametrize("installed", [("go",), ()])
def test_without_the_grammar(installed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Code without a grammar is plain text."""
    monkeypatch.setattr(registry, "installed", lambda package: package.rpartition("_")[2] in {"sitter", *installed})

    assert outline("a.py", CLASS) == [("", 1, 19)]
    assert len(outline("a.go", SOURCES["a.go"][0])) == (4 if installed else 1)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("huge.py", "def f():\n    pass\n" * 120_000),
        ("minified.py", f"def f():\n    return '{'x' * 20_000}'\n"),
        ("a.kt", "fun f() {\n}\n"),
        ("a.txt", CLASS),
    ],
)
def test_some_files_are_not_parsed(path: str, text: str) -> None:
    """Generated and minified files, and those without a grammar."""
    answers = Answers(("f", 1, 1, 2))
    given = extract(path, text.encode())

    assert SourceCode(answers).outlined(path, given) is given
    assert answers.asked == 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "* a &\n" * 83_000),
        ("a.c", "!\n" * 249_000),
        pytest.param("a.cpp", "a<b<\n" * 50_000, marks=pytest.mark.slow),
        ("a.cpp", "a<b<\n" * 99_000),
    ],
)
def test_hostile_code_loses_only_structure(path: str, text: str) -> None:
    """Code that exhausts the parser is split at blank lines, and the next file is parsed."""
    found = document(path, f"{text}\n\nlast words\n")

    assert found.headings == ()
    assert found.text.endswith("last words\n")
    assert document("b.py", CLASS).headings[0].text == "Store"


def test_parser_crash_is_not_a_failure() -> None:
    """Code that crashes the parser is split as if there were no grammar."""
    with pytest.raises(DocumentError, match="made its reader"):
        SANDBOX.extract(source.PARSER, "a.cpp", b"a<b<\n" * 99_000)
    given = extract("a.py", CLASS.encode())

    assert SourceCode(Answers(refuses=True)).outlined("a.py", given) == given


@pytest.mark.parametrize(
    "told",
    [
        [("f", 1, 1, 99)],
        [("f", 1, 0, 2)],
        [("f", 1, 3, 2)],
        [("f", 2, 1, 2)],
        [("f", 0, 1, 2)],
        [("C", 1, 1, 3), ("f", 2, 2, 5)],
        [("C", 1, 4, 6), ("f", 2, 2, 5)],
        [("C", 1, 4, 6), ("f", 3, 4, 5)],
    ],
)
def test_invalid_definitions_are_ignored(told: list[tuple[str, int, int, int]]) -> None:
    """The process that parsed hostile code may return anything."""
    assert SourceCode(Answers(*told)).outlined("a.py", extract("a.py", CLASS.encode())).headings == ()


@pytest.mark.parametrize("line", ["import sys\n", "# A comment.\n", "\n", "X = 1\n"])
@pytest.mark.parametrize("path", ["a.py", "b.py"])
def test_line_on_top_changes_one_passage(line: str, path: str) -> None:
    """The embedded texts below stay, and so do their vectors."""
    text = (HEAD if path == "a.py" else "") + CLASS + TAIL
    before = {one.embedded for one in passages(path, text)}

    assert len([one for one in passages(path, line + text) if one.embedded not in before]) <= 1


_PIECES = [
    "import os\n",
    "\n",
    "A = 1\n",
    "# note\n",
    "@mark\n",
    "class C:\n",
    "    a = 1\n",
    "    def m(self):\n",
    "        return 1\n",
    "def f():\n",
    "    return 2\n",
    "if x:\n",
    "((\n",
    "}\n",
    '"""\n',
    "end\n",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=60).map("".join), st.sampled_from(["a.py", "a.rb", "a.js", "a.cpp"]))
def test_passages_cover_every_line(text: str, path: str) -> None:
    """Each non-blank line is in exactly one passage, and passages are in order."""
    found = passages(path, text)

    assert all(one.last_line < other.first_line for one, other in pairwise(found))
    covered = {line for one in found for line in range(one.first_line, one.last_line + 1)}
    assert {number for number, line in enumerate(text.split("\n"), 1) if line.strip()} <= covered
    headings = document(path, text).headings
    assert all(one.first_line <= other.first_line for one, other in pairwise(headings))
