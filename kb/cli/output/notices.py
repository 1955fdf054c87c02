"""Notices about an answer, one line each: how the question was parsed, what is missing, what may have been meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.cli.output.formats import where
from kb.cli.output.reports import words_only_text
from kb.cli.output.terminal import one_line, sanitize, shown_path
from kb.records import BY_BOTH, BY_MEANING, BY_WORDS, MODES, nothing_found
from kb.records.wording import FILTER_PHRASES, count
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kb.records import Answer, Freshness, Hit, Missing, ReadAs, Searched, Unmatched

_FILTERS: Final = ("tag:", "path:", "type:", "lang:", "since:", "until:")
_FILTERS_OF_OTHERS: Final = ("ext:", "filetype:", "file:", "folder:", "language:")
_WITH_WORDS: Final = [mode for mode, traits in MODES.items() if traits.by_words]
_WITHOUT_WORDS: Final = [mode for mode in MODES if mode not in _WITH_WORDS]
_WITHOUT_MEANING: Final = [mode for mode, traits in MODES.items() if not traits.by_meaning]
_MANY: Final = 12
# Around the value of a filter.
_MARKS: Final = '"\u201c\u201d\u201e\u00ab\u00bb'


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice about an answer; ``str`` gives all of it, for the command line.

    Attributes:
        message: What it says.
        advice: What an option of the command line does about it; empty for none.
        mark: What stands between the two.
    """

    message: str
    advice: str = ""
    mark: str = ";"

    def __str__(self) -> str:
        """The message and the advice."""
        return f"{self.message}{self.mark} {self.advice}" if self.advice else self.message


_ELSEWHERE: Final = Notice(
    "passages with the words of the question are not among these hits",
    f"--mode {BY_BOTH} ranks them higher",
)
_MEANING_FINDS: Final = f"--mode {BY_MEANING} or {BY_BOTH} searches by meaning"
_WORDS_KNOW: Final = f"--mode {BY_BOTH} and --mode {BY_WORDS} go by the words"


def notices(answer: Answer, cwd: str) -> list[Notice]:
    """Return the notices about an answer, the most important first.

    Args:
        answer: The answer.
        cwd: The folder that paths are shown relative to.
    """
    found = [
        Notice(one_line(answer.index.without_server)),
        _no_hits(answer, cwd),
        *([_ELSEWHERE] if answer.elsewhere else []),
        _below(answer),
    ]
    if answer.unfamiliar:
        message = f"the model does not know this language ({answer.unfamiliar}): its cosines mean little there"
        found.append(Notice(message, _WORDS_KNOW))
    found += map(Notice, unmatched_notices(answer.unmatched))
    if answer.read_as:
        found += [_operators(answer.read_as), *map(Notice, _read_as_words(answer.read_as))]
    if answer.parts > 1:
        message = f"the question is longer than the model reads: embedded in {answer.parts} parts and averaged"
        found.append(Notice(message))
    found.append(_words_only(answer))
    if answer.missing:
        found.append(Notice(_missing(_not_yet_reported(answer.missing, answer.index))))
    return [notice for notice in found if notice.message]


def _operators(read: ReadAs) -> Notice:
    """Return what the operators of a question did, and how to take it literally; empty where it has none."""
    notes = [f"left out: passages with {one} ({_excluding(one)} in the question)" for one in read.without]
    if notes and read.left_out:
        notes[-1] += f": {_left_out(read)}"
    if read.phrases or read.filters:
        phrases = ", ".join(f'"{phrase}"' for phrase in read.phrases)
        within = [f"passages with {phrases}"] if phrases else []
        within += [f"files with {', '.join(read.filters)}"] if read.filters else []
        notes.append(f"asked: only {' in '.join(within)}" + (f": {_searched_text(read.asked)}" if read.asked else ""))
    return Notice(sanitize("; ".join(notes)), "--literal takes the question as it stands")


def _read_as_words(read: ReadAs) -> Iterator[str]:
    """Yield a notice for each word that looks like an operator and was taken as a word."""
    from kb.search.syntax import is_plain

    for word in read.as_words:
        bare = word.removeprefix("-")
        if bare.lower().startswith(_FILTERS):
            yield f"{one_line(word)} names no {_kind(bare)} and was read as words{_did_you_mean(_meant(bare))}"
        elif bare.lower().startswith(_FILTERS_OF_OTHERS):
            yield f"{one_line(word)} matches no file and was read as words"
        elif bare.isalpha() and not is_plain(bare, read.text):
            yield f'{word} was read as an option of a program and left nothing out: -"{bare}" does'


def unmatched_notices(unmatched: Iterable[Unmatched]) -> Iterator[str]:
    """Yield a notice for each filter value that matches no file, with similar ones."""
    for one in unmatched:
        near = [one_line(name) for name in one.near[:_MANY]]
        meant = _did_you_mean(near) if one.similar else f": there is {', '.join(near)}" if near else ""
        yield f"no file in the index {FILTER_PHRASES[one.filter]} {one_line(one.value)}{meant}"


def _missing(missing: Missing) -> str:
    """Return what is missing from the index; empty where nothing is."""
    facts = [
        (missing.held, "held (missing from disk)"),
        (missing.waiting, "waiting to be indexed"),
        (missing.failed, "that could not be indexed"),
    ]
    listed = ", ".join(f"{count(number, 'file')} {what}" for number, what in facts if number)
    return f"the answer may be in what is missing from the index: {listed} (kb status)" if listed else ""


def _not_yet_reported(missing: Missing, index: Freshness) -> Missing:
    """Return what is missing, without the pending files where the freshness notice gives their number.

    During the first scan of a daemon it gives none, since the whole scan counts as one change.
    """
    first = index.watching and index.as_of is None
    return missing if first or missing.waiting > index.pending else replace(missing, waiting=0)


def place_of(hit: Hit, cwd: str) -> str:
    """Return path and place of a hit as they are shown."""
    file = hit.passage.file
    return f"{shown_path(file.absolute_path, cwd)}:{where(hit.passage)}"


def _no_hits(answer: Answer, cwd: str) -> Notice:
    """Return the notice that no passage is near enough, or that none was found; else an empty one."""
    if answer.weak:
        if answer.hits:
            return Notice("no passage is near enough to be an answer: these are weak hits")
        near = answer.nearest
        cosine = f" (cosine {near.score:.3f})" if near and near.score is not None else ""
        nearest = f"; the nearest is {place_of(near, cwd)}{cosine}" if near else ""
        return Notice(f"no passage is near enough to be an answer{nearest}", "--weak shows weak hits")
    if answer.hits or answer.unmatched or answer.index.as_of is None:
        return Notice("")
    if answer.read_as and not answer.read_as.text:
        if answer.read_as.filters:
            listing = _listing(answer.read_as.filters)
            return Notice(f"the question has no words beside its filters: {listing} lists these files")
        return Notice("the question has no words beside what it leaves out: kb list lists files")
    return Notice(nothing_found(answer.mode), _MEANING_FINDS if answer.mode in _WITHOUT_MEANING else "")


def _listing(filters: Iterable[str]) -> str:
    """Return the command that lists the files of some filters of a question."""
    words = ["kb", "list"]
    for key, _, value in (one.partition(":") for one in filters):
        wanted = value.strip(_MARKS)
        words += [f"--{key.removeprefix('-').lower()}", f"!{wanted}" if key.startswith("-") else wanted]
    return shell.join(words)


def _words_only(answer: Answer) -> Notice:
    """Return how many files are found by meaning and by words, where those are not the same."""
    counts = words_only_text(answer.index)
    # Filters choose among all files, whether they are embedded or not.
    filtered_out = answer.unmatched and not answer.hits and not answer.weak
    if not counts or (filtered_out and answer.mode in _WITH_WORDS):
        return Notice("")
    said = f"found so far: {counts}"
    if answer.mode in _WITHOUT_WORDS:
        return Notice(said, f"--mode {BY_BOTH} goes by both", ":")
    return Notice(said if answer.hits and not answer.weak else f"{said}; the answer may be in the others")


def _below(answer: Answer) -> Notice:
    if not answer.below:
        return Notice("")
    verb = "is" if answer.below == 1 else "are"
    message = f"{count(answer.below, 'more hit')} {verb} no nearer than unrelated passages"
    return Notice(message, "--weak shows them", ":")


def _left_out(read: ReadAs) -> str:
    out = read.left_out
    if out is None or not out.passages:
        return "no passage"
    ahead = ""
    if out.ahead:
        ahead = f", {'which' if out.ahead == out.passages == 1 else f'{out.ahead} of which'} would come first"
    return f"{count(out.passages, 'passage')} in {count(out.files, 'file')}{ahead}"


def _searched_text(searched: Searched) -> str:
    return (
        f"{count(searched.passages, 'passage')} in {count(searched.files, 'file')}"
        if searched.passages
        else "no passage matches"
    )


def _excluding(words: str) -> str:
    return f'-"{words}"' if " " in words else f"-{words}"


def _kind(typed: str) -> str:
    key = typed.lower().partition(":")[0]
    return {"since": "day", "until": "day", "lang": "language"}.get(key, key)


def _meant(typed: str) -> Sequence[str]:
    """Return the filters that may have been meant by one that names nothing."""
    from kb.search.types import near_types

    key, _, value = typed.partition(":")
    return [f"{key.lower()}:{name}" for name in near_types(value)] if key.lower() == "type" else ()


def _did_you_mean(names: Sequence[str]) -> str:
    return f": did you mean {' or '.join(names)}?" if names else ""
