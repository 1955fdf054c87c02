"""What an answer says beside its hits, a line each: how the question was read, what it lacks, what was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kb.cli.output.formats import absolute, where
from kb.cli.output.reports import count
from kb.cli.output.terminal import one_line, sanitize, shown_path
from kb.records import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kb.records import Answer, Asked, Freshness, Hit, Missing, ReadAs, Unmatched

_LITERAL: Final = "--literal takes the question as it stands"
_FILTERS: Final = ("tag:", "path:", "type:", "lang:", "since:", "until:")
_BY_MEANING: Final = [mode for mode, traits in MODES.items() if traits.by_meaning]
_BY_WORDS: Final = [mode for mode, traits in MODES.items() if traits.by_words]
_BY_BOTH: Final = [mode for mode in _BY_MEANING if mode in _BY_WORDS]
_ELSEWHERE: Final = (
    "passages with the words of the question are not among these hits; "
    f"--mode {' or '.join(_BY_BOTH)} ranks them higher"
)
_NO_WORD: Final = f"no passage has a word of the question; --mode {' or '.join(_BY_MEANING)} searches by meaning"
_WORDS_KNOW: Final = (
    f"its cosines mean little there; {' and '.join(f'--mode {mode}' for mode in _BY_WORDS)} go by the words"
)
_WHAT: Final = {"tag": "has the tag", "path": "matches the path", "type": "is of type", "lang": "is in the language"}
_MANY: Final = 12


def notices(answer: Answer, cwd: str) -> list[str]:
    """Everything that has to be said of an answer, in the order in which it matters.

    Args:
        answer: The answer.
        cwd: The folder that paths are shown relative to.
    """
    told = [_no_hits(answer, cwd), _ELSEWHERE if answer.elsewhere else "", _below(answer)]
    if answer.unfamiliar:
        told.append(f"the model does not know this language ({answer.unfamiliar}): {_WORDS_KNOW}")
    told += unmatched_notices(answer.unmatched)
    if answer.read_as:
        told += [operators_notice(answer.read_as), *as_words_notices(answer.read_as)]
    if answer.parts > 1:
        told.append(f"the question is longer than the model reads: embedded in {answer.parts} parts and averaged")
    if answer.missing:
        told.append(missing_notice(_untold(answer.missing, answer.index)))
    return [one for one in told if one]


def operators_notice(read: ReadAs) -> str:
    """What a question itself left out, and how to ask it as it stands; empty where it has no operators."""
    told = [f"left out: passages with {one} ({_excluding(one)} in the question)" for one in read.without]
    if told and read.left_out:
        told[-1] += f": {_left_out(read)}"
    only = [f'asked: only passages with "{phrase}"' for phrase in read.phrases]
    only += [f"asked: only files with {one}" for one in read.filters]
    if only and read.asked:
        only[-1] += f": {_asked(read.asked)}"
    told += only
    return sanitize("; ".join([*told, _LITERAL])) if told else ""


def as_words_notices(read: ReadAs) -> Iterator[str]:
    """What looks like an operator and was asked as it stands, where that may not have been meant."""
    from kb.search.syntax import is_plain

    for word in read.as_words:
        bare = word.removeprefix("-")
        if bare.lower().startswith(_FILTERS):
            yield f"{one_line(word)} names no {_kind(bare)} and was read as words{_did_you_mean(_meant(bare))}"
        elif bare.isalpha() and not is_plain(bare, read.text):
            yield f'{word} was read as an option of a program and left nothing out: -"{bare}" does'


def unmatched_notices(unmatched: Iterable[Unmatched]) -> Iterator[str]:
    """Values of filters that no file has, and what may have been meant."""
    for one in unmatched:
        near = [one_line(name) for name in one.near[:_MANY]]
        meant = _did_you_mean(near) if one.similar else f": there is {', '.join(near)}" if near else ""
        yield f"no file in the index {_WHAT[one.filter]} {one_line(one.value)}{meant}"


def missing_notice(missing: Missing) -> str:
    """What is not in the index, or kept back; empty where that is nothing."""
    facts = [
        (missing.held, "held (missing from disk)"),
        (missing.waiting, "waiting to be indexed"),
        (missing.failed, "that could not be indexed"),
    ]
    told = ", ".join(f"{count(number, 'file')} {what}" for number, what in facts if number)
    return f"the answer may be in what is missing from the index: {told} (kb status)" if told else ""


def _untold(missing: Missing, index: Freshness) -> Missing:
    """What is missing without the files that wait, where the notice of freshness gives their number.

    While kb watch looks through the folders for the first time it gives none: the whole scan is one change.
    """
    first = index.watching and index.as_of is None
    return missing if first or missing.waiting > index.pending else replace(missing, waiting=0)


def place_of(hit: Hit, cwd: str) -> str:
    """Where a hit is, as it is shown."""
    file = hit.passage.file
    return f"{shown_path(absolute(file.folder, file.path), cwd)}:{where(hit.passage)}"


def _no_hits(answer: Answer, cwd: str) -> str:
    """That no passage is near enough, or none was found at all."""
    if answer.weak:
        if answer.hits:
            return "no passage is near enough to be an answer: these are weak hits"
        near = answer.nearest
        nearest = f"; the nearest is {place_of(near, cwd)} (cosine {near.score:.3f})" if near else ""
        return f"no passage is near enough to be an answer{nearest}; --weak shows weak hits"
    if answer.hits or answer.unmatched or answer.index.as_of is None:
        return ""
    if answer.read_as and not answer.read_as.text:
        return "the question has no words beside what it leaves out: kb list lists files"
    by_words_alone = answer.mode in _BY_WORDS and answer.mode not in _BY_MEANING
    return _NO_WORD if by_words_alone else "nothing found"


def _below(answer: Answer) -> str:
    if not answer.below:
        return ""
    verb = "is" if answer.below == 1 else "are"
    return f"{count(answer.below, 'more hit')} {verb} no nearer than unrelated passages: --weak shows them"


def _left_out(read: ReadAs) -> str:
    out = read.left_out
    if out is None or not out.passages:
        return "no passage"
    ahead = ""
    if out.ahead:
        ahead = f", {'which' if out.ahead == out.passages == 1 else f'{out.ahead} of which'} would come first"
    return f"{count(out.passages, 'passage')} in {count(out.files, 'file')}{ahead}"


def _asked(asked: Asked) -> str:
    return f"{count(asked.passages, 'passage')} in {count(asked.files, 'file')}" if asked.passages else "there is none"


def _excluding(words: str) -> str:
    return f'-"{words}"' if " " in words else f"-{words}"


def _kind(typed: str) -> str:
    key = typed.lower().partition(":")[0]
    return {"since": "day", "until": "day", "lang": "language"}.get(key, key)


def _meant(typed: str) -> Sequence[str]:
    """The filters that may have been meant by one that names nothing."""
    from kb.search.types import near_types

    key, _, value = typed.partition(":")
    return [f"{key.lower()}:{name}" for name in near_types(value)] if key.lower() == "type" else ()


def _did_you_mean(names: Sequence[str]) -> str:
    return f": did you mean {' or '.join(names)}?" if names else ""
