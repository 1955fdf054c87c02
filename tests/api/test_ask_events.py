"""An answer that a program follows while it is made, as server-sent events."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from model_server import claims, passages_of, serving
from served import Served

from kb.api import http
from kb.errors import AnswerError
from kb.records import Answer, Claim, Freshness, Quote, Reply, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kb.app import LocalKnowledgeBase
    from kb.records import SearchRequest

EVENTS = {"Accept": "text/event-stream", "Content-Type": "application/json"}
QUESTION = json.dumps({"question": "where do the backups go?"})


class Answering:
    """A knowledge base whose language model does as it is told."""

    def __init__(self, answer: Callable[..., Reply]) -> None:
        self.ask = answer


def serves(answer: Callable[..., Reply], folder: Path) -> Served:
    """A port where questions are answered by a function."""
    return Served(folder, Answering(answer))  # type: ignore[arg-type]  # what is asked of it


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, each with its data."""
    found = []
    for block in text.split("\n\n"):
        if block and not block.startswith(":"):
            kind, data = block.split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_steps_and_sentences_come_before_the_answer(tmp_path: Path) -> None:
    """In their order, with the types that the OpenAPI document names."""
    quote = Quote("The backups go to the cellar disk.", 1, 3)
    claim = Claim("They go to the cellar.", (quote,))
    reply = Reply((quote,), Answer("x", "hybrid", Freshness(None, 0)), (claim,), 1, "small", "this machine")

    def answer(_: SearchRequest, *, on_step: Callable[[Step | Claim], None], **__: object) -> Reply:
        on_step(Step("searching", "searching"))
        on_step(claim)
        return reply

    with serves(answer, tmp_path).at_port() as client:
        response = client.post("/v1/ask", content=QUESTION, headers=EVENTS)
        plain = client.post("/v1/ask", content=QUESTION, headers={**EVENTS, "Accept": "application/json"})
        made = client.get("/v1/openapi.json").json()

    found = events_of(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [kind for kind, _ in found] == ["step", "sentence", "result"]
    assert found[1][1]["text"] == "They go to the cellar."
    assert found[2][1] == plain.json()
    kinds = made["paths"]["/v1/ask"]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]["x-data"]
    for kind, data in found:
        jsonschema.validate(data, {**kinds[kind], "components": made["components"]})


def test_without_a_model_the_sentences_are_those_of_the_files(tmp_path: Path) -> None:
    """Each with itself as its quote."""
    quotes = (Quote("One.", 1, 3), Quote("Two.", 2, 9))
    answer = Answer("x", "hybrid", Freshness(None, 0))
    with serves(lambda *_, **__: Reply(quotes, answer), tmp_path).at_port() as client:
        found = events_of(client.post("/v1/ask", content=QUESTION, headers=EVENTS).text)
    assert [(kind, data["text"]) for kind, data in found[:2]] == [("sentence", "One."), ("sentence", "Two.")]
    assert found[-1][0] == "result"


def test_an_error_is_the_last_event(tmp_path: Path) -> None:
    """With its remedy, as any problem; one of the request itself has its own status, before there is a stream."""

    def fails(*_: object, **__: object) -> Reply:
        raise AnswerError("llm knows no model small", "See llm models")

    with serves(fails, tmp_path).at_port() as client:
        found = events_of(client.post("/v1/ask", content=QUESTION, headers=EVENTS).text)
        wrong = client.post("/v1/ask", content="{}", headers=EVENTS)
    assert [(kind, data["detail"], data["remedy"]) for kind, data in found] == [
        ("problem", "llm knows no model small", "See llm models")
    ]
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")


@dataclass
class Waiting:
    """A model that answers nothing until it is stopped."""

    asked: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def answer(self, _: SearchRequest, *, should_stop: Callable[[], bool], **__: object) -> Reply:
        """Wait."""
        self.asked.set()
        while not should_stop():
            self.stopped.wait(0.01)
        self.stopped.set()
        return Reply((), Answer("x", "hybrid", Freshness(None, 0)))


def test_a_client_that_follows_hangs_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is stopped; until then a comment shows that the daemon is there."""
    monkeypatch.setattr(http, "HEARTBEAT_SECONDS", 0.1)
    waiting = Waiting()
    with serves(waiting.answer, tmp_path).at_port() as client:
        with client.stream("POST", "/v1/ask", content=QUESTION, headers=EVENTS) as response:
            assert next(response.iter_text()).startswith(": still here\n\n")
        assert waiting.stopped.wait(120)


def test_a_client_that_waits_hangs_up(tmp_path: Path) -> None:
    """The model is stopped too."""
    waiting = Waiting()
    with serves(waiting.answer, tmp_path).at_port() as client:
        client.hang_up("/v1/ask", waiting.asked, **json.loads(QUESTION))
        assert waiting.stopped.wait(120)


@pytest.fixture
def obliging() -> Iterator[str]:
    """The address of a model that quotes the first passage."""

    def write(_: str, user: str) -> str:
        text = passages_of(user)[0]["text"].strip().splitlines()[-1]
        return claims({"sentence": text, "source": 1, "quote": text})

    with serving(write) as served:
        yield served.url


@pytest.mark.slow
def test_a_real_answer_is_followed(tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], obliging: str) -> None:
    """Over real notes, with a model on loopback: what it is doing, the sentence, and the answer."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "backup.md").write_text("# Backups\n\nThe backups go to the cellar disk every night.\n")
    kb = open_kb(folder, answer__model="small", answer__endpoint=obliging)
    kb.index()
    with Served(folder, kb).at_port() as client:
        found = events_of(client.post("/v1/ask", content=QUESTION, headers=EVENTS).text)

    kinds = [data["kind"] if kind == "step" else kind for kind, data in found]
    assert kinds == ["searching", "asking", "checking", "sentence", "result"]
    assert found[3][1]["text"] == "The backups go to the cellar disk every night."
    assert found[4][1]["model"] == "small"
