"""What a report shows of the daemon's log: each sentence of the daemon's own code, without what it is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kb
from kb.doctor import report

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(kb.__file__).parent
# Where the daemon writes to its log, and what it writes it with.
WRITERS = ("cli/daemon.py", "cli/http_port.py", "cli/web_port.py", "embedding/takeover.py")
CALLS = frozenset({"_say", "_warn_once", "_finish"})
NAME = "sycamore"


def lines_of(module: str) -> Iterator[str]:
    """The lines that a module writes, with a name of the user's for each text in them and a number for each number."""
    tree = ast.parse((PACKAGE / module).read_text("utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            known = {
                one.targets[0].id: one.value
                for one in ast.walk(function)
                if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
            }
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS:
                    first = call.args[0]
                    if isinstance(first, (ast.Constant, ast.JoinedStr)):
                        yield from written(first, known)


def written(node: ast.expr, known: dict[str, ast.expr]) -> list[str]:  # noqa: PLR0911 - one for each kind
    """What an expression may give; each way where it has two."""
    match node:
        case ast.Constant(value=value):
            return [str(value)]
        case ast.IfExp():
            return written(node.body, known) + written(node.orelse, known)
        case ast.Name() if isinstance(known.get(node.id), (ast.JoinedStr, ast.IfExp)):
            return written(known[node.id], known)
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=[ast.Constant(value=spec)])):
            return ["1,204" if spec == "," else "1.5"]
        case ast.FormattedValue():
            return written(node.value, known)
        case ast.Call(func=ast.Name(id="count"), args=[_, ast.Constant(value=str(noun))]):
            return [f"1,204 {noun}s"]
        case ast.Call(func=ast.Attribute(attr="getpid")):
            return ["42"]
        case ast.JoinedStr():
            made = [""]
            for part in node.values:
                made = [before + after for before in made for after in written(part, known)]
            return made
    return [NAME]


@pytest.mark.parametrize("module", WRITERS)
def test_every_line_of_the_daemon_is_known(module: str) -> None:
    """None becomes a number of characters, which says nothing, and none keeps a name."""
    lines = list(lines_of(module))
    assert lines

    shown = {line: report._said(f"2026-11-29 10:00:00 {line}") for line in lines}

    assert [line for line, said in shown.items() if re.search(r"<\d+ characters>", said)] == []
    assert [line for line, said in shown.items() if NAME in said] == []
