"""Search requests: one value from the command line or Python to the searcher."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from numbers import Integral, Real
from typing import Final, Literal, TypeAlias, get_args

from kb.errors import RequestError
from kb.records.modes import DEFAULT_MODE, MODE_NAMES, Mode

Rerank: TypeAlias = Literal["off", "cross-encoder", "colbert", "lexical"]
RERANKERS: Final[tuple[Rerank, ...]] = get_args(Rerank)
# The mode of a search for passages like a file, which has no query words.
_LIKE_MODE: Final = Mode.COSINE


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters on files. Empty fields match all files.

    A leading ``!`` in a path, tag, type or language excludes what matches.

    Attributes:
        paths: Globs as in .gitignore, one of which has to match.
        tags: Tags that a file must all have; a file with ``a/b`` also has ``a``.
        since: The earliest date of the document, or of its last modification if it has none.
        until: The latest date.
        types: Names of file types (``kb.search.types``), one of which has to match.
        languages: ISO 639 codes, one of which has to match.
    """

    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any filter."""
        return bool(self.paths or self.tags or self.types or self.languages or self.since or self.until)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search for a question, or for passages like a file.

    Fields that are None have the configured value. ``msgspec`` reads and writes it as JSON.

    Attributes:
        question: The question, optionally with phrases, exclusions and filters: see ``kb.search.syntax``.
        like: A file, by path, name, alias or title, whose nearest passages in other files are found, one per file
            unless ``per_file`` is given. There is no question then.
        limit: How many hits at most, 1 or more.
        min_score: The least cosine, -1..1.
        per_file: How many hits of one file at most; 0 for any number.
        filters: The files to search.
        mode: The search mode.
        weak: Whether to return hits no nearer to the question than unrelated passages.
        fold: Whether near duplicates become one hit, with the others as its ``duplicates``.
        explain: Whether each hit has an explanation of its rank.
        literal: Whether to take the question literally, without phrases, exclusions and filters.
        rerank: The reranker for the best hits.
        best_seconds: How many seconds to spend on the best sentences of the hits; 0 for none.
        cwd: The folder that ``path:`` in the question may also be relative to; empty for the watched folders only.
        files: The ids of the only files to search; empty for all.

    Raises:
        RequestError: A value is out of its range, or two contradict each other.
    """

    question: str = ""
    like: str | None = None
    limit: int | None = None
    min_score: float | None = None
    per_file: int | None = None
    filters: Filters = Filters()
    mode: Mode | None = None
    weak: bool | None = None
    fold: bool | None = None
    explain: bool = False
    literal: bool = False
    rerank: Rerank | None = None
    best_seconds: float | None = 0.0
    cwd: str = ""
    files: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Validate the values; a mode may be given by its name."""
        _require_text("question", self.question)
        _require_text("like", "" if self.like is None else self.like)
        _require_text("cwd", self.cwd)
        _require_count("limit", self.limit, least=1)
        _require_count("per_file", self.per_file, least=0)
        _require_number("min_score", self.min_score, -1, 1, "a number from -1 to 1")
        _require_number("best_seconds", self.best_seconds, 0, float("inf"), "0 or more seconds")
        _require_one_of("mode", self.mode, MODE_NAMES)
        _require_one_of("rerank", self.rerank, RERANKERS)
        if not isinstance(self.filters, Filters):
            raise RequestError(f"filters must be kb.Filters, not {self.filters!r}", "Write filters=kb.Filters(...)")
        if not all(isinstance(id_, int) for id_ in self.files):
            raise RequestError("files must be ids of files, whole numbers", "Take them from hit.passage.file.id")
        if self.mode is not None:
            object.__setattr__(self, "mode", Mode(self.mode))
        if self.like is not None:
            self._require_nothing_of_questions()

    def resolved(self, defaults: ResolvedRequest) -> ResolvedRequest:
        """Return the request with configured values in place of None.

        Args:
            defaults: The configured values.
        """
        if isinstance(self, ResolvedRequest):
            return self
        if self.like is not None:
            defaults = replace(defaults, per_file=1, mode=_LIKE_MODE, rerank="off", best_seconds=0.0)
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen = {name: value for name, value in given.items() if value is not None}
        return replace(defaults, **chosen, mode_open="mode" not in chosen and self.like is None)

    def _require_nothing_of_questions(self) -> None:
        """Reject options that only apply to a question, where ``like`` is given."""
        options = {
            "question": bool(self.question),
            "mode": self.mode not in {None, _LIKE_MODE},
            "explain": self.explain,
            "literal": self.literal,
            "rerank": self.rerank not in {None, "off"},
            "best_seconds": bool(self.best_seconds),
        }
        wrong = [name for name, given in options.items() if given]
        if wrong:
            raise RequestError(
                f"like conflicts with {' and '.join(wrong)}", f"Leave out like, or {' and '.join(wrong)}"
            )


@dataclass(frozen=True, slots=True)
class ResolvedRequest(SearchRequest):
    """A request with all values set, as the searcher takes it.

    Attributes:
        candidates: How many candidates to retrieve at first; only set by the configuration.
        mode_open: Whether the request named no mode, so that ``mode`` is the configured one.
    """

    limit: int = 10
    min_score: float = -1.0
    per_file: int = 0
    mode: Mode = DEFAULT_MODE
    weak: bool = False
    fold: bool = False
    rerank: Rerank = "off"
    best_seconds: float = 0.0
    candidates: int = 320
    mode_open: bool = False


def mode_named(name: str) -> Mode:
    """Return the mode with a name.

    Raises:
        RequestError: There is none.
    """
    _require_one_of("mode", name, MODE_NAMES)
    return Mode(name)


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, not {value!r}", f'Write {name}="..."')


def _require_count(name: str, value: object, *, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise RequestError(f"{name} must be a whole number from {least} on, not {value!r}", _as_configured(name))


def _require_number(name: str, value: object, least: float, most: float, expected: str) -> None:
    if value is None:
        return
    # NaN is neither below nor above.
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
        raise RequestError(f"{name} must be {expected}, not {value!r}", _as_configured(name))


def _require_one_of(name: str, value: object, names: tuple[str, ...]) -> None:
    if value is not None and value not in names:
        raise RequestError(f"unknown {name} {value!r}", f"Write one of {', '.join(names)}")


def _as_configured(name: str) -> str:
    return f"Leave out {name} to take the configured value"
