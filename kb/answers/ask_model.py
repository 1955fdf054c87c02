"""An answer by a language model: asked once, checked, repaired once, and given up where nothing holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.answers.claims import MOST, Checked, check_claims, read_claims
from kb.answers.language_model import AnswerLimits
from kb.answers.prompt import SCHEMA, prompt_of
from kb.errors import AnswerError, Cancelled
from kb.records import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.answers.language_model import LanguageModel
    from kb.answers.passages import SourceText
    from kb.records import Claim, Reply

_ROUNDS: Final = 2
_NOT_READ: Final = Checked((), ("the answer is not the JSON object asked for",))


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked.

    Attributes:
        seconds: How long both rounds may take together.
        tokens: The most tokens of a round.
        should_stop: Whether the user gave up.
        on_step: Called with each step, and with each claim as soon as its quotes are checked.
    """

    seconds: float
    tokens: int
    should_stop: Callable[[], bool]
    on_step: Callable[[Step | Claim], None]


def asked_of_model(
    reply: Reply, model: LanguageModel, sources: Sequence[SourceText], question: str, asking: Asking
) -> Reply:
    """Return a reply with the claims of a model, or without them and with the reason.

    Where the model answers that the passages hold nothing, the reply has no quotes. Where it cannot be asked, or none
    of its claims holds, it keeps those it has.

    Args:
        reply: The reply without a model.
        model: The model.
        sources: The passages that it is given.
        question: The question.
        asking: How it is asked.

    Raises:
        Cancelled: The user gave up.
    """
    if asking.should_stop():
        raise Cancelled(f"{model.name} was not asked", "Ask again")
    reply = replace(reply, model=model.name, sent_to=model.host)
    asking.on_step(Step("asking", _about(model, sources)))
    limits = AnswerLimits(time.monotonic() + asking.seconds, asking.tokens, asking.should_stop)
    claims: dict[str, Claim] = {}
    dropped, problem, failed = set[str](), "", tuple[str, ...]()
    for number in range(_ROUNDS):
        try:
            answer = model.write(prompt_of(question, sources, failed), SCHEMA, limits)
        except AnswerError as error:
            problem = str(error)
            break
        written = read_claims(answer.text)
        if written == [] and not number:
            return replace(reply, quotes=(), problem=f"{model.name} found no answer in these passages")
        asking.on_step(Step("checking", "checking the quotes"))
        checked = _NOT_READ if written is None else check_claims(written, sources, question)
        problem = str(_unreadable(model, is_cut=answer.is_cut)) if written is None else ""
        dropped.update(checked.dropped if written else ())
        for claim in checked.claims:
            if claim.text not in claims and len(claims) < MOST:
                claims[claim.text] = claim
                asking.on_step(claim)
        failed = checked.dropped
        if not failed:
            break
        if number + 1 < _ROUNDS:
            what = "1 claim" if len(failed) == 1 else f"{len(failed)} claims"
            asking.on_step(Step("repairing", f"{what} did not hold; asking {model.name} once more"))
    if claims:
        quotes = tuple(dict.fromkeys(quote for claim in claims.values() for quote in claim.quotes))
        return replace(reply, quotes=quotes, claims=tuple(claims.values()), dropped=len(dropped))
    return replace(
        reply,
        dropped=len(dropped),
        problem=problem or f"none of the claims of {model.name} is borne out by a quote from your files",
    )


def _unreadable(model: LanguageModel, *, is_cut: bool) -> AnswerError:
    """Return what is wrong with an answer that is not the JSON asked for."""
    if is_cut:
        return AnswerError(
            f"{model.name} did not end its answer within answer.max_tokens", "Set that higher, or ask a more able model"
        )
    return AnswerError(
        f"{model.name} did not answer in the form asked for", "Ask a more able model: kb ask --model MODEL"
    )


def _about(model: LanguageModel, sources: Sequence[SourceText]) -> str:
    """Return what a model is asked about, and where."""
    files = len({source.passages[0].file.id for source in sources})
    passages = "1 passage" if len(sources) == 1 else f"{len(sources)} passages"
    return f"asking {model.name} at {model.host} about {passages} of {'1 file' if files == 1 else f'{files} files'}"
