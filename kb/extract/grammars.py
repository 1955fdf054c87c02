"""Which languages are parsed by tree-sitter, and which nodes of their trees are definitions. Imports nothing of them.

A further language is one more grammar in the extra ``code`` and one more entry in ``LANGUAGES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language's parser, and what its trees call definitions.

    Attributes:
        module: The package of the grammar.
        suffixes: The files it is for.
        leaves: Definitions that are one thing: functions, methods, types.
        holders: Definitions that hold others: classes, namespaces, implementations.
        function: The function of the package that gives the language.
    """

    module: str
    suffixes: str
    leaves: frozenset[str]
    holders: frozenset[str]
    function: str = "language"


def _grammar(module: str, suffixes: str, leaves: str, holders: str, function: str = "language") -> Grammar:
    return Grammar(f"tree_sitter_{module}", suffixes, frozenset(leaves.split()), frozenset(holders.split()), function)


_JS: Final = (
    "function_declaration generator_function_declaration method_definition lexical_declaration variable_declaration "
    "expression_statement field_definition"
)
_TS: Final = (
    f"{_JS} public_field_definition interface_declaration enum_declaration type_alias_declaration function_signature"
)
_TS_HOLDERS: Final = "class_declaration abstract_class_declaration internal_module module"
_C: Final = "function_definition type_definition enum_specifier preproc_function_def"
LANGUAGES: Final[dict[str, Grammar]] = {
    "python": _grammar("python", ".py .pyi", "function_definition", "class_definition"),
    "javascript": _grammar("javascript", ".js .mjs .cjs .jsx", _JS, "class_declaration"),
    "typescript": _grammar("typescript", ".ts", _TS, _TS_HOLDERS, "language_typescript"),
    "tsx": _grammar("typescript", ".tsx", _TS, _TS_HOLDERS, "language_tsx"),
    "go": _grammar("go", ".go", "function_declaration method_declaration type_spec type_alias", ""),
    "rust": _grammar(
        "rust",
        ".rs",
        "function_item struct_item enum_item union_item type_item macro_definition",
        "impl_item trait_item mod_item",
    ),
    "java": _grammar(
        "java",
        ".java",
        "method_declaration constructor_declaration compact_constructor_declaration",
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    "c": _grammar("c", ".c", f"{_C} struct_specifier union_specifier", ""),
    "cpp": _grammar(
        "cpp",
        ".h .cc .cpp .cxx .hh .hpp .hxx",
        f"{_C} concept_definition alias_declaration",
        "class_specifier struct_specifier union_specifier namespace_definition",
    ),
    "csharp": _grammar(
        "c_sharp",
        ".cs",
        "method_declaration constructor_declaration destructor_declaration property_declaration enum_declaration "
        "delegate_declaration",
        "namespace_declaration class_declaration struct_declaration interface_declaration record_declaration",
    ),
    "ruby": _grammar("ruby", ".rb", "method singleton_method", "class module"),
    "php": _grammar(
        "php",
        ".php",
        "function_definition method_declaration enum_declaration",
        "class_declaration interface_declaration trait_declaration namespace_definition",
        "language_php",
    ),
    "bash": _grammar("bash", ".sh .bash", "function_definition", ""),
}


SUFFIXES: Final = {suffix: name for name, one in LANGUAGES.items() for suffix in one.suffixes.split()}


def grammars() -> tuple[str, ...]:
    """The languages that can be parsed with what is installed."""
    if find_spec("tree_sitter") is None:
        return ()
    return tuple(sorted(name for name, one in LANGUAGES.items() if find_spec(one.module) is not None))
