"""The modes of search are listed once: a new one is a row in the enumeration and a class in kb/search."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

from kb.records import MODE_NAMES, MODES, Mode
from kb.search.retrieve import strategy_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kb"
LIST = PACKAGE / "records" / "modes.py"
MEMBER = '    FARTHEST = "farthest"\n'
ROW = """\
    Mode.FARTHEST: ModeTraits(
        "kb.search.farthest:Farthest", "distance", "the farthest first", by_meaning=True, by_words=False
    ),
"""
MODULE = '''\
"""The farthest passages first."""

from dataclasses import replace

from kb.search.retrieve import ByMeaning


class Farthest:
    """By the cosine with the question, the least first."""

    def candidates(self, retriever, wanted):
        """All that are near, turned round."""
        found = ByMeaning().candidates(retriever, wanted)
        return replace(found, scores=-found.scores)

    def why(self, cosine, signals):
        """How far it is."""
        return f"{1 - cosine:.1f} away"
'''
PROGRAM = """
import kb
from contextlib import nullcontext
from click import Context
from worlds import World
from kb.cli.commands.eval import evaluate
from kb.cli.commands.search import search
from kb.config import load
from kb.config.schema import fields
from kb.records import Freshness, SearchRequest
from kb.search.search import Searcher

print(kb.__file__)
for command in (search, evaluate):
    option = next(one for one in command.params if "--mode" in one.opts)
    print(*[one.value for one in option.shell_complete(Context(command), "far")])
print("distance (farthest)" in " ".join(search.get_help(Context(search)).split()))
field = next(one for one in fields() if one.key == "search.mode")
print("farthest" in field.values, "farthest: the farthest first" in field.about)
world = World()
for number, text in enumerate(["apple", "apple berry", "cherry"]):
    world.write(f"{number}.md", text)
world.run()
searcher = Searcher(
    world.embedder, lambda: nullcontext(world.vectors), world.catalog, world.files, lambda: Freshness(None, 0)
)
configured = load(None, overrides={"search.mode": "farthest", "folders.paths": "."}, environ={}).config.search
answer = searcher.search(SearchRequest("apple", explain=True, weak=True).resolved(configured.defaults()))
print(answer.mode, *[hit.passage.file.path for hit in answer.hits], answer.hits[-1].why)
"""


def test_a_new_mode_is_a_row_and_a_class(tmp_path: Path) -> None:
    """Options, completion, help, configuration and the searcher have it without being told."""
    # With what is compiled, but for what another process is just writing.
    shutil.copytree(PACKAGE, tmp_path / "kb", ignore=shutil.ignore_patterns("*.pyc.*"))
    text = LIST.read_text("utf-8")
    text = text.replace("\n\n\n@dataclass", f"\n{MEMBER}\n\n@dataclass", 1).replace(
        "\n}\nDEFAULT", f"\n{ROW}}}\nDEFAULT"
    )
    (tmp_path / "kb" / "records" / "modes.py").write_text(text, "utf-8")
    (tmp_path / "kb" / "search" / "farthest.py").write_text(MODULE, "utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT / "tests" / "indexing")])

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": path, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        str(tmp_path / "kb" / "__init__.py"),
        "farthest",
        "farthest",
        "True",
        "True True",
        "farthest 2.md 1.md 0.md 0.0 away",
    ]


def test_no_other_file_lists_the_modes() -> None:
    """At most one of them is named in a file: what holds for some is asked of their traits."""
    naming = {path: names for path in PACKAGE.rglob("*.py") if len(names := named_in(path)) > 1}

    assert naming == {LIST: set(MODE_NAMES)}


def named_in(path: Path) -> set[str]:
    """The modes that a file names, as text or as members of the enumeration."""
    text = path.read_text("utf-8")
    if not any(mode.value in text or mode.name in text for mode in Mode):
        return set()
    tree = ast.parse(text)
    names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in MODE_NAMES}
    members = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & Mode.__members__.keys()
    return {str(name) for name in names} | {str(Mode[member]) for member in members}


def test_every_mode_has_its_traits_and_its_class() -> None:
    """In the order in which they are listed everywhere."""
    assert list(MODES) == list(Mode)
    assert len({type(strategy_of(mode)) for mode in Mode}) == len(Mode)
