"""An answer by a language model: asked once, checked, repaired once, and given up where nothing holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.answers.claims import MOST, Checked, check_claims, read_claims
from kb.answers.language_model import Limits
from kb.answers.prompt import SCHEMA, prompt_of
from kb.errors import AnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.answers.language_model import LanguageModel
    from kb.answers.passages import SourceText
    from kb.records import Reply

_ROUNDS: Final = 2
_NOT_READ: Final = "the answer is not the JSON object asked for"


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked.

    Attributes:
        seconds: How long both rounds may take together.
        tokens: The most tokens of a round.
        should_stop: Whether the user gave up.
        on_step: Called with a few words on what is happening.
    """

    seconds: float
    tokens: int
    should_stop: Callable[[], bool]
    on_step: Callable[[str], None]


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
    reply = replace(reply, model=model.name, sent_to=model.host)
    files = len({source.passages[0].file.id for source in sources})
    asking.on_step(f"asking {model.name} at {model.host} about {len(sources)} passages of {files} files")
    limits = Limits(time.monotonic() + asking.seconds, asking.tokens, asking.should_stop)
    held: list[Checked] = []
    problem = ""
    silent = False
    failed: tuple[str, ...] = ()
    for number in range(_ROUNDS):
        try:
            text = model.write(prompt_of(question, sources, failed), SCHEMA, limits)
        except AnswerError as error:
            problem = str(error)
            break
        written = read_claims(text)
        silent = written == [] and not number
        checked = Checked((), (_NOT_READ,)) if written is None else check_claims(written, sources, question)
        problem = f"{model.name} did not answer in the form asked for" if written is None else ""
        held.append(checked)
        failed = checked.dropped
        if not failed:
            break
        if number + 1 < _ROUNDS:
            asking.on_step(f"{len(failed)} of its claims did not hold; asking once more")
    claims = tuple({claim.text: claim for checked in held for claim in checked.claims}.values())[:MOST]
    dropped = sum(one != _NOT_READ for checked in held for one in checked.dropped)
    if claims:
        quotes = tuple(dict.fromkeys(quote for claim in claims for quote in claim.quotes))
        return replace(reply, quotes=quotes, claims=claims, dropped=dropped)
    if silent:
        return replace(reply, quotes=(), problem=f"{model.name} found no answer in these passages")
    why = problem or f"no quote of {model.name} stands in your files"
    return replace(reply, dropped=dropped, problem=why)
