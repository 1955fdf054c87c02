"""What a check finds: a state, a sentence whose names can be left out, a remedy, and a fix where one is safe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]

# The worst first.
_ORDER: Final[tuple[State, ...]] = ("failed", "warning", "skipped", "ok")


class Plain(str):
    """A text that a report may show as it is: kb's own words, names of libraries, versions.

    Any other text may be a path, the name of a person or a word of the notes, and is left out of a report.
    """

    __slots__ = ()


class Skipped(Exception):
    """A check does not apply, or what it looks at cannot be reached.

    Args:
        reason: Why, in kb's own words alone, since reports contain it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Remedy:
    """What mends something: one command, with what is said before and after it; or words alone.

    Attributes:
        command: The command, which is never broken where it is shown; empty if there is none.
        before: What is said before it.
        after: What is said after it.
    """

    command: str = ""
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.command}{self.after}"


def advice(text: str) -> Remedy:
    """A remedy that is no command."""
    return Remedy(before=text)


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that is safe to make without asking further.

    Attributes:
        what: What it does, as a sentence without a full stop.
        do: Makes the change; raises ``OSError`` or ``KbError`` if it cannot.
    """

    what: str
    do: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check finds.

    Attributes:
        state: How it is; a warning does not keep kb from working.
        template: The sentence, with the names of values in braces.
        values: The values.
        remedy: What mends it; empty if nothing is wrong.
        fixes: The changes by which ``--fix`` mends it; empty where that is left to the user.
        details: More facts, as (name, value), for ``--verbose``, JSON and reports.
    """

    state: State
    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    remedy: Remedy = Remedy()
    fixes: tuple[Fix, ...] = ()
    details: tuple[tuple[str, object], ...] = ()

    @property
    def message(self) -> str:
        """The sentence with its values, for the user's own eyes."""
        return self.template.format(**self.values)

    def anonymous(self) -> str:
        """The sentence with placeholders for all values but numbers and kb's own words."""
        return self.template.format(
            **{
                name: shown if (shown := reportable(value)) is not None else f"<{name}>"
                for name, value in self.values.items()
            }
        )

    def with_details(self, *details: tuple[str, object]) -> Finding:
        """The same finding with more facts."""
        return replace(self, details=(*self.details, *details))


def reportable(value: object) -> object | None:
    """A value as a report may show it; None for a text that may name something of the user's."""
    return value if isinstance(value, (bool, int, float, Plain)) else None


def ok(template: str, /, **values: object) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", template, values)


def warning(template: str, remedy: Remedy | str, /, *fixes: Fix, **values: object) -> Finding:
    """Something is not as it should be, but kb works. A remedy that is a text is a command."""
    return Finding("warning", template, values, _remedy(remedy), fixes)


def failed(template: str, remedy: Remedy | str, /, *fixes: Fix, **values: object) -> Finding:
    """Something keeps kb, or a part of it, from working. A remedy that is a text is a command."""
    return Finding("failed", template, values, _remedy(remedy), fixes)


def _remedy(given: Remedy | str) -> Remedy:
    return Remedy(given) if isinstance(given, str) else given


def worst(found: Iterable[Finding], otherwise: Finding) -> Finding:
    """The worst of several findings, which tells how many others there are and makes their changes too.

    Args:
        found: The findings; none that is ok.
        otherwise: The finding if there are none.
    """
    listed = sorted(found, key=lambda one: _ORDER.index(one.state))
    if not listed:
        return otherwise
    first, *rest = listed
    others = tuple(("also", one.message) for one in rest)
    more = f"{first.template} (and {len(rest)} more: kb doctor -v)" if rest else first.template
    fixes = tuple(fix for one in listed for fix in one.fixes)
    return replace(first, template=more, fixes=fixes, details=(*first.details, *others, *otherwise.details))
