"""The modes of search are listed once: a new one is a row in the enumeration and a class in kb/search."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.records import MODE_NAMES, MODES, Mode
from kb.search.retrieve import strategy_of

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kb"
LIST = PACKAGE / "records" / "modes.py"
MEMBERS = """\
    FARTHEST = "farthest"
    VERBATIM = "verbatim"
"""
ROWS = """\
    Mode.FARTHEST: ModeTraits(
        "kb.search.made_up:Farthest", "distance", "the farthest first", by_meaning=True, by_words=False
    ),
    Mode.VERBATIM: ModeTraits(
        "kb.search.made_up:Verbatim",
        "words of passages with the whole question",
        "only what has the question as it stands",
        by_meaning=False,
        by_words=True,
        answered_by="any hit",
        nothing_found="no passage has the question as it stands",
    ),
"""
MODULE = '''\
"""Two modes: one in another order, one that leaves passages out."""

from dataclasses import replace

from kb.search.retrieve import ByMeaning, ByWords


class Farthest:
    """By the cosine with the question, the least first."""

    def candidates(self, retriever, wanted):
        """All that are near, turned round."""
        found = ByMeaning().candidates(retriever, wanted)
        return replace(found, scores=-found.scores)

    def why(self, cosine, signals):
        """How far it is."""
        return f"{1 - cosine:.1f} away"


class Verbatim(ByWords):
    """By the words, in the passages alone that contain the question."""

    def candidates(self, retriever, wanted):
        """The best of these."""
        return super().candidates(retriever.containing(retriever.text), wanted)
'''
BEGINNING = """
import kb
from contextlib import nullcontext
from datetime import UTC, datetime
from click import Context
from worlds import World
from kb.cli.commands.eval import ask_with, evaluate
from kb.cli.commands.search import search
from kb.config import load
from kb.config.schema import fields
from kb.records import Filters, Freshness, Mode, SearchRequest
from kb.search.search import Searcher

print(kb.__file__)

def shown(name, ranks_by, about):
    for command in (search, evaluate):
        option = next(one for one in command.params if "--mode" in one.opts)
        print(*[one.value for one in option.shell_complete(Context(command), name[:3])])
    print(f"{ranks_by} ({name})" in " ".join(search.get_help(Context(search)).split()))
    field = next(one for one in fields() if one.key == "search.mode")
    print(name in field.values, f"{name}: {about}" in field.about)

class Asked:
    def __init__(self, mode, texts):
        self.defaults = load(
            None, overrides={"search.mode": mode, "folders.paths": "."}, environ={}
        ).config.search.defaults()
        self.world = World()
        for name, text in texts.items():
            self.world.write(name, text)
        self.world.run()

    def search(self, request):
        world, index = self.world, Freshness(datetime.now(UTC), 0)
        asked = Searcher(world.embedder, lambda: nullcontext(world.vectors), world.catalog, world.files, lambda: index)
        return asked.search(request.resolved(self.defaults))

def paths(hits):
    return [hit.passage.file.path for hit in hits]
"""
FARTHEST = """
shown("farthest", "distance", "the farthest first")
kb = Asked("farthest", {"0.md": "apple", "1.md": "apple berry", "2.md": "cherry"})
answer = kb.search(SearchRequest("apple", explain=True, weak=True))
print(answer.mode, *paths(answer.hits), answer.hits[-1].why)
"""
VERBATIM = """
from kb.cli.output.notices import notices
from kb.mcp.text import search_notices
from kb.web.text import by_mode, nothing_line

shown("verbatim", "words of passages with the whole question", "only what has the question as it stands")
others = " ".join(f"word{number}" for number in range(12))
kb = Asked(
    "verbatim",
    {"far.md": f"{others} Apple  berry {others}"}
    | {f"{number:02}.md": f"berry apple {number}" for number in range(40)},
)
# The words are common, and the passage is farther than all that are left out.
answer = kb.search(SearchRequest("apple berry"))
print(answer.mode, paths(answer.hits), answer.weak, answer.nearest, [str(one) for one in notices(answer, "")])
print(paths(kb.search(SearchRequest("apple berry", filters=Filters(paths=("03.md",)))).hits))
print(paths(kb.search(SearchRequest("apple berry -word3")).hits))
answer = kb.search(SearchRequest("apple berry 3"))
print(paths(answer.hits), answer.weak, answer.nearest)
print([str(one) for one in notices(answer, "")])
print(nothing_line(answer), *by_mode(answer))
print(search_notices(answer, (), None))
print(paths(ask_with(kb, Mode("verbatim"))("apple berry", limit=2, per_file=1)))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has two more modes: their rows, and a module in kb/search."""
    folder = tmp_path_factory.mktemp("modes")
    # With what is compiled, but for what another process is just writing.
    shutil.copytree(PACKAGE, folder / "kb", ignore=shutil.ignore_patterns("*.pyc.*"))
    text = LIST.read_text("utf-8")
    for before, added in (
        ('    KEYWORD = "keyword"\n', MEMBERS),
        ('        nothing_found="no passage has a word of the question",\n    ),\n', ROWS),
    ):
        assert before in text
        text = text.replace(before, before + added)
    (folder / "kb" / "records" / "modes.py").write_text(text, "utf-8")
    (folder / "kb" / "search" / "made_up.py").write_text(MODULE, "utf-8")
    return folder


def printed(package: Path, program: str) -> list[str]:
    """The lines that a program prints with the modes of the copy, after the path of that."""
    path = os.pathsep.join([str(package), str(ROOT / "tests" / "indexing"), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program],
        env=os.environ | {"PYTHONPATH": path, "HOME": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=package,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    first, *lines = done.stdout.splitlines()
    assert first == str(package / "kb" / "__init__.py")
    return lines


def test_a_new_mode_is_a_row_and_a_class(package: Path) -> None:
    """Options, completion, help, configuration and the searcher have it without being told."""
    assert printed(package, FARTHEST) == [
        "farthest",
        "farthest",
        "True",
        "True True",
        "farthest 2.md 1.md 0.md 0.0 away",
    ]


def test_a_new_mode_may_leave_passages_out(package: Path) -> None:
    """What it finds answers, however far; what it leaves out is named nowhere; where nothing is left, it says so."""
    assert printed(package, VERBATIM) == [
        "verbatim",
        "verbatim",
        "True",
        "True True",
        "verbatim ['far.md'] False None []",
        "[]",
        "[]",
        "[] False None",
        "['no passage has the question as it stands; --mode cosine or hybrid searches by meaning']",
        "No passage has the question as it stands. cosine by_meaning",
        "No passage has the question as it stands.",
        "['far.md']",
    ]


def test_no_other_file_lists_the_modes() -> None:
    """At most one of them is named in a file: what holds for some is asked of their traits."""
    naming = {path: names for path in PACKAGE.rglob("*.py") if len(names := named_in(path)) > 1}

    assert naming == {LIST: set(MODE_NAMES)}


def test_no_other_file_names_a_mode_in_a_text() -> None:
    """Texts recommend ``BY_MEANING``, ``BY_WORDS`` and ``BY_BOTH``; what holds for one mode is asked of its traits."""
    assert {path: names for path in PACKAGE.rglob("*.py") if (names := told_in(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('x = f"{a}: mode hybrid or keyword finds {b}"', {"hybrid", "keyword"}),
        ('x = "--mode cosine, then --mode=hybrid"', {"cosine", "hybrid"}),
        ('x = answer.mode == "keyword"', {"keyword"}),
        ('x = answer.mode in {"cosine", "hybrid"}', {"cosine", "hybrid"}),
        ('x = mode_named("keyword" if quick else mode)', {"keyword"}),
        ('x = f(mode="hybrid")', {"hybrid"}),
        ('x = "the keyword index, by cosine"', set()),
        ('x = row["cosine"] if name == "keyword" else 0', set()),
        ('def f():\n    """The mode hybrid."""\n', set()),
    ],
)
def test_modes_in_texts_are_seen(code: str, names: set[str]) -> None:
    """After the word mode, compared with one, or given as one; not in docstrings."""
    assert told_in(code) == names


def named_in(path: Path) -> set[str]:
    """The modes that a file names, as text or as members of the enumeration."""
    text = path.read_text("utf-8")
    if not any(mode.value in text or mode.name in text for mode in Mode):
        return set()
    tree = ast.parse(text)
    members = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & Mode.__members__.keys()
    return {name for name in texts_of(tree) if name in MODE_NAMES} | {str(Mode[member]) for member in members}


ANY = re.compile(rf"\b(?:{'|'.join(MODE_NAMES)})\b")
# As in "mode hybrid or keyword".
TOLD = re.compile(rf"\bmodes?[\s=]+{ANY.pattern}(?:(?:,| and| or)+ {ANY.pattern})*")


def told_in(code: str) -> set[str]:
    """The modes that are named in code: told to somebody, or where a mode is asked for."""
    if not ANY.search(code):
        return set()
    tree = ast.parse(code)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    told = {name for one in texts_of(tree, docstrings) for part in TOLD.findall(one) for name in ANY.findall(part)}
    asked = [node for node in ast.walk(tree) if is_about_a_mode(node)]
    return told | {text for node in asked for text in texts_of(node) if text in MODE_NAMES}


def texts_of(tree: ast.AST, without: Collection[int] = ()) -> list[str]:
    """The text constants in some code, but for those with one of the ids."""
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in without]
    return [node.value for node in constants if isinstance(node.value, str)]


def is_about_a_mode(node: ast.AST) -> bool:
    """Whether code compares a mode, makes one from its name, or passes one on."""
    match node:
        case ast.Compare():
            return "mode" in ast.unparse(node)
        case ast.Call(func=ast.Name(id="Mode" | "mode_named")) | ast.keyword(arg="mode"):
            return True
    return False


def test_every_mode_has_its_traits_and_its_class() -> None:
    """In the order in which they are listed everywhere."""
    assert list(MODES) == list(Mode)
    assert len({type(strategy_of(mode)) for mode in Mode}) == len(Mode)
