"""Finds functions, methods and classes in source code with tree-sitter, in a child process.

tree-sitter is written in C, and hostile code can overflow its stack or take gigabytes. So it runs only here, and
returns only names and line numbers.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.formats.builder import line
from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node, Parser

    from kb.formats.builder import TextBuilder
    from kb.formats.registry import Grammar
    from kb.sandbox.protocol import Limits

# A class of at most this many lines stays whole.
_SHORT: Final = 12
_DEEPEST: Final = 6
_LONGEST_NAME: Final = 120
_ABOVE: Final = frozenset({"comment", "line_comment", "block_comment", "attribute_item", "decorator"})
_WRAPPERS: Final = frozenset(
    {"decorated_definition", "export_statement", "template_declaration", "type_declaration", "ambient_declaration"}
)
# Nodes that may contain definitions without being a definition.
_OPEN: Final = frozenset(
    {
        *("program", "module", "source_file", "translation_unit", "compilation_unit", "ERROR", "block", "else_clause"),
        *("body_statement", "class_body", "interface_body", "enum_body", "enum_body_declarations", "declaration_list"),
        *("field_declaration_list", "statement_block", "if_statement", "elif_clause", "try_statement", "except_clause"),
        *("linkage_specification", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "compound_statement"),
        *("file_scoped_namespace_declaration", "singleton_class", "annotation_type_body", "export_statement"),
    }
)
_FUNCTIONS: Final = frozenset(
    {"arrow_function", "function_expression", "function", "generator_function", "class", "class_expression"}
)
_RECEIVER: Final = re.compile(r"[\w.]+(?=\s*(?:\[[^\]]*\])?\s*\)$)")
_PARSERS: Final[dict[str, tuple[Parser, Grammar]]] = {}


def prepare() -> None:
    """Load every grammar that is installed."""
    if rows := [row for row in REGISTRY.rows if row.grammar and row.available]:
        from tree_sitter import Language, Parser

        for row in rows:
            if grammar := row.grammar:
                parser = Parser(Language(getattr(import_module(grammar.package), grammar.function)()))
                _PARSERS.update(dict.fromkeys(row.suffixes, (parser, grammar)))


def extract(name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add the definitions in source code (UTF-8) as headings, outer ones first; the level is the depth."""
    parser, grammar = _PARSERS[PurePosixPath(name).suffix.lower()]
    builder.add_headings(_definitions(parser.parse(data).root_node, grammar, 1))


def _definitions(parent: Node, grammar: Grammar, level: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield the definitions in a node as headings; comments right above one belong to it."""
    above: tuple[int, int] | None = None
    said = -1
    waiting = list(reversed(parent.children))
    while waiting:
        node = waiting.pop()
        first, last = node.start_point.row, _last_row(node)
        if node.type in _ABOVE:
            if first > said:  # a comment after code on its line is about that code
                above = (above[0] if above and above[1] >= first - 1 else first, last)
            continue
        own, name = _named(node, grammar)
        if name:
            begin = above[0] if above and above[1] >= first - 1 else first
            yield name, level, begin + 1, last + 1
            if own.type in grammar.holders and level < _DEEPEST and last - first >= _SHORT:
                yield from _definitions(own, grammar, level + 1)
        elif node.type in _OPEN or node.type in grammar.holders:
            waiting.extend(reversed(node.children))
            continue
        above, said = None, last


def _last_row(node: Node) -> int:
    """Return the last line of a node, not counting the line after a trailing line feed."""
    end = node.end_point
    return end.row - (end.column == 0 and end.row > node.start_point.row)


def _named(node: Node, grammar: Grammar) -> tuple[Node, str]:
    """Return the definition that a node is or wraps, and its name; an empty name if it is none."""
    while node.type in _WRAPPERS:
        inner = [one for one in node.children if one.type in _WRAPPERS | grammar.leaves | grammar.holders]
        if len(inner) != 1:
            return node, ""
        node = inner[0]
    if node.type not in grammar.leaves and node.type not in grammar.holders:
        return node, ""
    return node, line(_name(node))[:_LONGEST_NAME]


def _name(node: Node) -> str:
    if node.type == "impl_item":
        trait, of = _text(node, "trait"), _text(node, "type")
        return f"impl {trait} for {of}" if trait else f"impl {of}"
    if node.type in {"lexical_declaration", "variable_declaration", "expression_statement"}:
        return _assigned(node)
    name = _text(node, "name") or _text(node, "property")
    if receiver := _RECEIVER.search(_text(node, "receiver")):
        return f"{receiver[0]}.{name}"
    if name or node.child_by_field_name("declarator") is None:
        return name
    inner = node
    while (deeper := inner.child_by_field_name("declarator")) is not None:
        inner = deeper
    # "int& at()": the declarator of a reference is not in a field.
    return _plain(inner).lstrip("&* ").partition("(")[0]


def _assigned(node: Node) -> str:
    """Return the variable or property to which a JavaScript statement assigns a function or class."""
    inner = [one for one in node.named_children if one.type in {"variable_declarator", "assignment_expression"}]
    if len(inner) != 1:
        return ""
    value = inner[0].child_by_field_name("value") or inner[0].child_by_field_name("right")
    named = _text(inner[0], "name") or _text(inner[0], "left")
    return named if value is not None and value.type in _FUNCTIONS else ""


def _text(node: Node, name: str) -> str:
    part = node.child_by_field_name(name)
    return _plain(part) if part is not None else ""


def _plain(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
