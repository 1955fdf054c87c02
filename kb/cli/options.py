"""Options shared by several commands, each group parsed into one value."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from kb.cli.output.formats import FORMATS, Format
from kb.records import MODE_NAMES, MODES, RERANKERS, Filters, Mode
from kb.search.filters import globs_from
from kb.search.syntax import parse_day
from kb.search.types import type_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from click.shell_completion import CompletionItem

    from kb.cli.session import Session

_LANGUAGE: Final = re.compile(r"(!?)([a-zA-Z]{2,3})(?:[-_][\w-]+)?")
_P = ParamSpec("_P")
_T = TypeVar("_T")


def file_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete file names in the shell."""
    return _names(incomplete, "file")


def folder_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete folder names in the shell."""
    return _names(incomplete, "dir")


def _names(incomplete: str, kind: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type=kind)]


# What --rerank means alone.
_RERANKER: Final = "cross-encoder"


def _day(_ctx: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    """Parse a day; relative ones count back from today's local date."""
    if value is None:
        return None
    try:
        return parse_day(value, datetime.now(UTC).astimezone().date())
    except ValueError as error:
        wanted = "YYYY-MM-DD, or 7d, 2w, 3m, 1y, today, yesterday"
        raise click.BadParameter(f"invalid date {value!r} (expected {wanted})") from error


def _types(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Parse names of file types."""
    try:
        return tuple(type_named(word) for word in value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _languages(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Parse language codes; a region, as in en-GB, is dropped."""
    codes = []
    for word in value:
        found = _LANGUAGE.fullmatch(word.strip())
        if found is None:
            raise click.BadParameter(f"invalid language code {word!r} (expected one such as en, de or zh)")
        codes.append(f"{found[1]}{found[2].lower()}")
    return tuple(codes)


def _globs(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Parse path patterns; one that names something in the client's folder matches that too."""
    if ctx.resilient_parsing:
        return value
    session: Session = ctx.obj
    return tuple(glob for typed in value for glob in globs_from(session.client.cwd, typed))


def _cosine(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """Check a cosine; a range type would let ``nan`` pass."""
    if value is not None and not -1 <= value <= 1:
        raise click.BadParameter(f"invalid cosine {value} (expected a number from -1 to 1)")
    return value


def _mode(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Mode | None:
    return None if value is None else Mode(value)


def _ranks_by() -> str:
    """Return what each mode ranks by, as a list in a sentence."""
    *first, last = [f"{traits.ranks_by} ({mode})" for mode, traits in MODES.items()]
    return f"{', '.join(first)} or {last}"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The options for how many hits are shown and how they are printed."""

    limit: int | None
    min_score: float | None
    per_file: int | None
    l2: bool
    format: Format | None
    as_json: bool
    only_files: bool
    null: bool
    full: bool
    context: int
    unfold: bool
    wait: bool
    require_fresh: bool

    @property
    def fold(self) -> bool | None:
        """Whether near-duplicates become one hit; None for the configured value."""
        return False if self.unfold else None

    def chosen(self) -> Format:
        """The output format that the flags ask for."""
        asked: dict[Format, str] = {}
        if self.format:
            asked[self.format] = f"--format {self.format}"
        if self.as_json:
            asked.setdefault("json", "--json")
        if self.only_files or self.null:
            asked.setdefault("paths", "-l" if self.only_files else "-0")
        if len(asked) > 1:
            first, *others = asked.values()
            raise click.UsageError(f"{first} conflicts with {' and '.join(others)}")
        return next(iter(asked), "text")


_OUTPUT: Final = (
    click.option(
        "-n",
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Show at most N hits, even if they do not fit the terminal.",
    ),
    click.option(
        "--min-score",
        type=float,
        callback=_cosine,
        metavar="COSINE",
        help="Only hits with at least this cosine similarity.",
    ),
    click.option(
        "--per-file", type=click.IntRange(min=0), metavar="N", help="Show at most N hits per file; 0 means no limit."
    ),
    click.option("--l2", is_flag=True, help="Also show the Euclidean distance."),
    click.option("--format", type=click.Choice(FORMATS), help="Output format.  [default: text]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object; short for --format json."),
    click.option(
        "-l", "--files-with-matches", "only_files", is_flag=True, help="Print only the paths of files with hits."
    ),
    click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0; implies -l."),
    click.option("--full", is_flag=True, help="Show whole passages instead of their best sentences."),
    click.option(
        "-C",
        "--context",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Show whole passages with N lines of context from the file.",
    ),
    click.option("--all", "unfold", is_flag=True, help="Show near-duplicates as hits of their own."),
    click.option("--wait", is_flag=True, help="Index changes on disk first."),
    click.option("--require-fresh", is_flag=True, help="Exit with code 3 if the answer may be incomplete."),
)
_FILTERS: Final = (
    click.option(
        "--path",
        "paths",
        multiple=True,
        callback=_globs,
        metavar="GLOB",
        help="Only files that match: a .gitignore pattern relative to a watched folder, or a path relative to "
        "the current one. !GLOB excludes. Repeatable.",
    ),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        help="Only files with this tag or a tag below it. If repeated, all must match. !TAG excludes.",
    ),
    click.option(
        "--type",
        "types",
        multiple=True,
        callback=_types,
        metavar="TYPE",
        help="Only files of this type: markdown, pdf, code, python, sheet, mail, .tex ... !TYPE excludes. Repeatable.",
    ),
    click.option(
        "--lang",
        "languages",
        multiple=True,
        callback=_languages,
        metavar="CODE",
        help="Only documents in this language: en, de, zh ... !CODE excludes. Repeatable.",
    ),
    click.option(
        "--since",
        callback=_day,
        metavar="DAY",
        help="Only files dated this day or later: 2026-01-15, today, 7d, 2w, 3m, 1y.",
    ),
    click.option("--until", callback=_day, metavar="DAY", help="Only files dated this day or earlier."),
)


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """The options for how hits are found and ranked."""

    mode: Mode | None
    weak: bool | None
    explain: bool
    literal: bool


_RANKING: Final = (
    click.option(
        "--mode",
        type=click.Choice(MODE_NAMES),
        callback=_mode,
        help=f"Rank by {_ranks_by()}.  [default: search.mode]",
    ),
    click.option("--weak", is_flag=True, default=None, help="Show the nearest hits even if none is near enough."),
    click.option("--explain", is_flag=True, help="Show why each hit ranks where it does."),
    click.option("--literal", is_flag=True, help="Take the question literally: no phrases, exclusions or filters."),
)


def ranking_options(command: Callable[..., _T]) -> Callable[..., _T]:
    """Add the ranking options to a command, as ``ranking``."""
    return _grouped(command, _RANKING, "ranking", RankingOptions)


def output_options(command: Callable[..., _T]) -> Callable[..., _T]:
    """Add the output options to a command, as ``output``."""
    return _grouped(command, _OUTPUT, "output", OutputOptions)


def filter_options(command: Callable[..., _T]) -> Callable[..., _T]:
    """Add the filter options to a command, as ``filters``."""
    return _grouped(command, _FILTERS, "filters", Filters)


def rerank_option(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Add ``--rerank`` to a command, as ``rerank``; without a value, it means the cross-encoder."""
    return click.option(
        "--rerank",
        type=click.Choice(RERANKERS),
        is_flag=False,
        flag_value=_RERANKER,
        metavar="[BY]",
        help=f"Rerank the best hits: {', '.join((*RERANKERS[1:], RERANKERS[0]))}.  [default: search.rerank]",
    )(command)


def limit_option(noun: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Add ``-n`` to a command that lists files or the like, as ``limit``."""
    return click.option(
        "-n", "--limit", type=click.IntRange(min=1), metavar="N", help=f"List at most N {noun}, the first ones."
    )


def json_option(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Add ``--json`` to a command, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _grouped(
    command: Callable[..., _T],
    options: tuple[Callable[..., Any], ...],
    name: str,
    kind: type[OutputOptions | RankingOptions | Filters],
) -> Callable[..., _T]:
    """Pass the values of some options to a command as one argument."""

    @functools.wraps(command)
    def with_value(*args: object, **kwargs: Any) -> _T:  # noqa: ANN401 - click decides what they are
        value = kind(**{one.name: kwargs.pop(one.name) for one in fields(kind)})
        return command(*args, **{name: value}, **kwargs)

    decorated: Callable[..., _T] = with_value
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def refuse_conflicts(options: Mapping[str, bool]) -> None:
    """Check that at most one of some options is given.

    Args:
        options: The options by name, each with whether it is given.

    Raises:
        click.UsageError: Several are.
    """
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} conflicts with {' and '.join(given[1:])}")


def overrides_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse ``section.key=value`` overrides into a mapping by key.

    Raises:
        click.BadParameter: One is written otherwise.
    """
    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or "." not in key:
            raise click.BadParameter(f"{pair!r}: write section.key=value, as in embed.device=cpu", param_hint="--set")
        overrides[key.strip()] = value
    return overrides


def question_of(session: Session, parts: tuple[str, ...]) -> str:
    """Join the words of a command line to a question; ``-`` alone reads standard input.

    Raises:
        click.UsageError: It is empty.
    """
    text = session.client.text() if parts == ("-",) else " ".join(parts)
    # An argument that was no UTF-8 holds lone surrogates, which no model reads.
    question = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not question:
        raise click.UsageError("the question is empty")
    return question
