"""Brings up to date what is made from the program and its tests: parts of the pages, table of commands, config.toml.

``make docs`` runs it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import click

# What is described is the kb of this folder, wherever another is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kb.api.limits import NETWORK
from kb.api.openapi import document
from kb.api.operations import OPERATIONS
from kb.cli.command_table import source, table_of
from kb.cli.main import cli
from kb.config import render_default
from kb.config.schema import fields
from kb.doctor.table import CHECKS
from kb.formats.fingerprint import distributions
from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from kb.api.operations import Operation
    from kb.formats.registry import Format

ROOT = Path(__file__).parents[1]


def help_block() -> str:
    """``kb --help``, as it is printed on eighty columns."""
    return f"```text\n{cli.get_help(_context()).strip()}\n```"


def _context() -> click.Context:
    return click.Context(cli, info_name="kb", terminal_width=80, max_content_width=80, **cli.context_settings)


def commands_block() -> str:
    """The help of every command, as it is printed on eighty columns, subcommands below theirs."""
    return "\n\n".join(_command_help(cli, _context()))


def _command_help(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(name)
        with click.Context(command, info_name=name, parent=context) as inner:
            yield f"## {inner.command_path}\n\n```text\n{command.get_help(inner).strip()}\n```"
            if isinstance(command, click.Group):
                yield from _command_help(command, inner)


def config_block() -> str:
    """Every key with its default and the first sentence of its explanation."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for field in fields():
        default = "(a list)" if isinstance(field.default, tuple) and field.default else f"`{_shown(field.default)}`"
        about = re.split(r"(?<=\.) ", field.about)[0].replace("|", "\\|")
        if field.values:
            about += f" One of {', '.join(f'`{value}`' for value in field.values)}."
        rows.append(f"| `{field.key}` | {default} | {about} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[]"
    return f'"{default}"' if isinstance(default, str) else str(default)


def matrix_block() -> str:
    """Every row of the watching matrix with what happens in it and how it was noticed."""
    rows = ["| row | what happens | with |", "|---|---|---|"]
    for file in ("test_matrix.py", "test_processes.py"):
        tree = ast.parse((ROOT / "tests" / "watching" / file).read_text("utf-8"))
        rows += [_matrix_row(node) for node in tree.body if isinstance(node, ast.FunctionDef) and _is_row(node)]
    return "\n".join(rows)


def _is_row(function: ast.FunctionDef) -> bool:
    return _decorated(function) or (function.name.startswith("test_") and function.name != "test_row")


def _decorated(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "row" for node in function.decorator_list)


def _matrix_row(function: ast.FunctionDef) -> str:
    arguments = {argument.arg for argument in function.args.args}
    both = _decorated(function) or arguments & {"watched", "how"}
    name = function.name.removeprefix("test_").replace("_", " ")
    about = (ast.get_docstring(function) or "").replace("\n\n", " ").replace("\n", " ")
    return f"| {name} | {about} | {'events, polling' if both else 'events'} |"


def documents_block() -> str:
    """Every format of another program: what reads it, and what a hit in it says."""
    rows = [row for row in REGISTRY.rows if row.in_child]
    return _formats(
        ("files", "read by", "a hit says"), [(_files(row) or "some `.xml`", _by(row), row.about) for row in rows]
    )


def plain_block() -> str:
    """Every format that is text as it stands, and what kb makes of it."""
    rows = [row for row in REGISTRY.rows if row.about and not row.in_child]
    return _formats(("files", "what kb makes of them"), [(_files(row), row.about) for row in rows])


def unread_block() -> str:
    """Every format that is known and not read."""
    rows = [row for row in REGISTRY.rows if row.how == "unread"]
    return _formats(("files", "what they are"), [(_files(row), row.noun) for row in rows])


def types_block() -> str:
    """Every name that ``--type`` takes, with the suffixes of its files."""
    types: dict[str, list[str]] = {}
    for row in REGISTRY.rows:
        # Languages with a name of their own are not told twice.
        for name in row.types if row.types == ("code",) else (one for one in row.types if one != "code"):
            types.setdefault(name, []).append(_files(row))
    types["code"].insert(0, "every programming language: those above, and")
    return _formats(
        ("`--type`", "files"), [(f"`{name}`", " ".join(filter(None, files))) for name, files in types.items()]
    )


def imports_block() -> str:
    """Which room imports which, as a Mermaid graph, without what everybody imports and what imports everything."""
    arrows = sorted({(here, there) for here, there in _imports() if here != there and not {here, there} & _EVERYWHERE})
    rows = [f"  {here} --> {', '.join(sorted(targets))}" for here, targets in _grouped(arrows)]
    return "\n".join(["```mermaid", "graph LR", *(row.replace(", ", " & ") for row in rows), "```"])


# The vocabulary, and what only passes names on.
_EVERYWHERE: Final = frozenset(
    {"errors", "records", "ports", "system", "kb", "testing", "silence", "chroma_import", "interrupts"}
)


def _imports() -> Iterator[tuple[str, str]]:
    """Each room of the package with each it imports; those for type checking count too."""
    package = ROOT / "kb"
    for path in sorted(package.rglob("*.py")):
        here = _room(("kb", *path.relative_to(package).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kb":
                parts = tuple(node.module.split("."))
                for alias in node.names:
                    yield here, _room(parts if len(parts) > 1 else (*parts, alias.name))


def _room(parts: tuple[str, ...]) -> str:
    """The folder of a module, or the module itself where it lies at the top."""
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else "kb"


def _grouped(arrows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for here in dict.fromkeys(here for here, _ in arrows):
        yield here, [there for one, there in arrows if one == here]


def _formats(head: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in which rows that say the same stand as one, at the first of them."""
    together: dict[tuple[str, ...], list[str]] = {}
    for files, *rest in rows:
        together.setdefault(tuple(rest), []).append(files)
    told = [(" ".join(files), *rest) for rest, files in together.items()]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *told)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _files(row: Format) -> str:
    return " ".join(f"`{one}`" for one in (*row.suffixes, *row.names))


def _by(row: Format) -> str:
    if row.how == "ocr":
        return "Tesseract"
    return ", ".join(distribution for package in row.packages for distribution in distributions(package)) or "Python"


def endpoints_block() -> str:
    """Each operation at the port for programs, with its fields and an example."""
    at_port = [one for one in OPERATIONS if one.scope != "local"]
    made = document(at_port, NETWORK, token=True)
    return "\n\n".join(_endpoint(one, made["paths"][one.path][one.method.lower()]) for one in at_port)


def _endpoint(one: Operation, operation: Mapping[str, Any]) -> str:
    if one.method == "GET":
        fields = {field["name"]: field["description"] for field in operation["parameters"]}
        query = f"?{urlencode(one.example)}" if one.example else ""
        curl = f"curl -H \"Authorization: Bearer $(kb token)\" '{_SERVER}{one.path}{query}'"
    else:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        fields = {name: field["description"] for name, field in schema["properties"].items()}
        curl = (
            f"curl -H \"Authorization: Bearer $(kb token)\" -H 'Content-Type: application/json' \\\n"
            f"  -d '{json.dumps(dict(one.example))}' {_SERVER}{one.path}"
        )
    gives = getattr(one.gives, "__name__", "")
    result = "Result: a list of `Tag`." if gives == "tuple" else f"Result: `{gives}`."
    table = "\n".join(["| field | |", "|---|---|", *(f"| `{name}` | {about} |" for name, about in fields.items())])
    parts = [
        f"### {one.method} {one.path}",
        f"{one.summary} {result}",
        *([table] if fields else []),
        f"```sh\n{curl}\n```",
    ]
    return "\n\n".join(parts)


def doctor_block() -> str:
    """Every check of ``kb doctor``, with its usual remedy."""
    rows = ["| check | is well if | usual remedy |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{one.name}` | {one.about} | {one.remedy} |" for one in CHECKS)])


_SERVER: Final = "http://127.0.0.1:7420"
# What the page of the Python API tells: each class with its members, in this order.
_API: Final = (
    "KnowledgeBase",
    "AsyncKnowledgeBase",
    "RemoteKnowledgeBase",
    "SearchRequest",
    "Filters",
    "Mode",
    "Answer",
    "Hit",
    "StoredPassage",
    "KnownFile",
    "Freshness",
    "FileText",
    "Shown",
    "Links",
    "Reply",
    "Status",
    "IndexReport",
)


def python_block() -> str:
    """Every public class of the Python API with its docstring, signatures, and the exceptions."""
    import kb
    from kb import errors, records

    classes = [getattr(kb, name, None) or getattr(records, name) for name in _API]
    raised = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.KbError)]
    sections = [section for one in classes for section in _class_sections(one)]
    rows = [f"| `{one.__name__}` | {(one.__doc__ or '').partition(chr(10))[0]} |" for one in raised]
    return "\n\n".join([*sections, "## Errors", "\n".join(["| exception | when |", "|---|---|", *rows])])


def _class_sections(one: type) -> Iterator[str]:
    yield f"## {one.__name__}"
    yield f"```text\n{inspect.getdoc(one)}\n```"
    if one.__name__ not in {"KnowledgeBase", "AsyncKnowledgeBase"}:
        return
    for name in _members(one):
        member = inspect.getattr_static(one, name)
        if isinstance(member, property):
            yield f"### {one.__name__}.{name}\n\n```text\n{inspect.getdoc(member)}\n```"
            continue
        begin = "async def" if inspect.iscoroutinefunction(getattr(one, name)) else "def"
        signature = _signature(f"{begin} {name}", getattr(one, name))
        # The coroutines have the docstrings of the methods they stand for.
        about = "" if begin == "async def" and name != "close" else f"\n\n{inspect.getdoc(getattr(one, name))}"
        yield f"### {one.__name__}.{name}\n\n```text\n{signature}{about}\n```"


def _members(one: type) -> list[str]:
    """The public members in the order in which the classes define them, after the way to make one."""
    names = dict.fromkeys(name for base in reversed(one.__mro__) for name in vars(base) if not name.startswith("_"))
    return sorted(names, key=lambda name: name != "open")


def _signature(begin: str, method: Callable[..., object]) -> str:
    """A signature as it stands in the code, one argument a line where it is long."""
    found = inspect.signature(method)
    shown = [_without_address(argument) for argument in found.parameters.values()]
    found = found.replace(parameters=shown)
    whole = f"{begin}{found}".replace("'", "").replace("Ellipsis", "...")
    if len(whole) <= _WIDTH:
        return whole
    lines: list[str] = []
    for argument in found.parameters.values():
        if argument.kind is argument.KEYWORD_ONLY and "*" not in lines:
            lines.append("*")
        lines.append(str(argument).replace("'", "").replace("Ellipsis", "..."))
    arguments = "".join(f"    {line},\n" for line in lines)
    return f"{begin}(\n{arguments}) -> {found.return_annotation}"


def _without_address(argument: inspect.Parameter) -> inspect.Parameter:
    """The same with ... for a default that is a function."""
    return (
        argument.replace(default=...)
        if callable(argument.default) and argument.default is not argument.empty
        else argument
    )


_WIDTH: Final = 100


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "help": help_block,
    "commands": commands_block,
    "config": config_block,
    "matrix": matrix_block,
    "documents": documents_block,
    "plain": plain_block,
    "unread": unread_block,
    "types": types_block,
    "imports": imports_block,
    "python": python_block,
    "endpoints": endpoints_block,
    "doctor": doctor_block,
}


def filled(text: str) -> str:
    """The page with its generated parts up to date."""
    for name, block in BLOCKS.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        if begin in text:
            before, _, rest = text.partition(begin)
            _, _, after = rest.partition(end)
            text = f"{before}{begin}{block()}\n{end}{after}"
    return text


def command_table() -> str:
    """The module ``kb.service.command_table``."""
    return source(table_of(cli))


def configuration() -> str:
    """``config.toml``: every key, for the files of ``examples/``."""
    return render_default({"folders.paths": ["examples"]})


if __name__ == "__main__":
    (ROOT / "config.toml").write_text(configuration(), "utf-8")
    (ROOT / "kb" / "service" / "command_table.py").write_text(command_table(), "utf-8")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
