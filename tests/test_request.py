"""A search is one value, checked where it is made, that is passed on unchanged and travels as JSON."""

from __future__ import annotations

import inspect
import math
from dataclasses import FrozenInstanceError, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_up import hit

from kb.app import LocalKnowledgeBase
from kb.cli.remote import DaemonProxy
from kb.config import Config, Settings
from kb.config.schema import Folders, Search
from kb.errors import RequestError
from kb.records import Answer, Filters, Freshness, Mode, ResolvedRequest, SearchRequest

if TYPE_CHECKING:
    from pathlib import Path

FULL = SearchRequest(
    "where do the backups go?",
    limit=3,
    min_score=0.25,
    per_file=2,
    filters=Filters(("*.md", "!old/"), ("server",), date(2026, 1, 15), None, ("markdown",), ("de",)),
    mode=Mode.HYBRID,
    weak=True,
    fold=False,
    explain=True,
    literal=True,
    rerank="lexical",
    best_seconds=None,
    cwd="/home/ann",
)


@pytest.mark.parametrize("request_", [SearchRequest(), FULL, SearchRequest(like="notes/a b.md", per_file=3)])
def test_a_request_travels_as_json(request_: SearchRequest) -> None:
    """A program sends what it wants; what it leaves out is as configured."""
    assert msgspec.json.decode(msgspec.json.encode(request_), type=SearchRequest) == request_
    assert msgspec.json.decode(b'{"question": "x", "mode": "keyword"}', type=SearchRequest) == SearchRequest(
        "x", mode=Mode.KEYWORD
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": 0}, "limit must be a whole number from 1 on, not 0"),
        ({"limit": 2.5}, "limit must be a whole number from 1 on, not 2.5"),
        ({"limit": True}, "limit must be a whole number from 1 on, not True"),
        ({"per_file": -1}, "per_file must be a whole number from 0 on, not -1"),
        ({"min_score": 1.5}, "min_score must be a number from -1 to 1, not 1.5"),
        ({"min_score": math.nan}, "min_score must be a number from -1 to 1, not nan"),
        ({"best_seconds": -0.1}, "best_seconds must be 0 or more seconds, not -0.1"),
        ({"mode": "taste"}, "unknown mode 'taste'"),
        ({"rerank": "twice"}, "unknown rerank 'twice'"),
        ({"question": 7}, "question must be text, not 7"),
        ({"cwd": None}, "cwd must be text, not None"),
        ({"filters": {"tags": ("a",)}}, "filters must be kb.Filters, not {'tags': ('a',)}"),
        ({"like": "a.md", "question": "x"}, "like conflicts with question"),
        ({"like": "a.md", "mode": "keyword", "literal": True}, "like conflicts with mode and literal"),
        ({"like": "", "rerank": "lexical"}, "like conflicts with rerank"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_remedy(given: dict[str, Any], message: str) -> None:
    """In kb's own words, as it is made, and from JSON too where the types are right."""
    with pytest.raises(RequestError) as told:
        SearchRequest(**given)

    assert told.value.message == message
    assert told.value.remedy
    assert told.value.exit_code == 2


def test_values_out_of_range_are_refused_from_json_too() -> None:
    """The error is kb's own, not the library's."""
    with pytest.raises(RequestError, match="limit must be a whole number from 1 on, not 0"):
        msgspec.json.decode(b'{"question": "x", "limit": 0}', type=SearchRequest)


def test_a_request_does_not_change() -> None:
    """Whoever gets it has what was asked."""
    with pytest.raises(FrozenInstanceError):
        FULL.limit = 4  # type: ignore[misc]  # what is tried


def test_what_is_left_open_is_as_configured() -> None:
    """Each key of the configuration that a search can be given fills its field, and no field stays open."""
    configured = Search(limit=7, mode=Mode.KEYWORD, weak=True, fold=False, min_score=0.1, per_file=4, best_seconds=0.5)
    open_, given = (one.resolved(configured.defaults()) for one in (SearchRequest("x", best_seconds=None), FULL))

    assert (open_.limit, open_.mode, open_.weak, open_.fold) == (7, Mode.KEYWORD, True, False)
    assert (open_.min_score, open_.per_file, open_.best_seconds, open_.rerank) == (0.1, 4, 0.5, "off")
    assert (given.limit, given.mode, given.fold, given.best_seconds) == (3, Mode.HYBRID, False, 0.5)
    assert given.resolved(Search().defaults()) is given
    assert [
        one.name for one in fields(ResolvedRequest) if one.name != "like" and getattr(open_, one.name) is None
    ] == []


def test_passages_like_a_file_are_found_by_meaning_one_a_file() -> None:
    """Whatever the configuration says of questions."""
    configured = Search(limit=7, mode=Mode.HYBRID, per_file=0, rerank="lexical")
    like = SearchRequest(like="a.md").resolved(configured.defaults())

    assert (like.limit, like.per_file, like.mode, like.rerank) == (7, 1, Mode.COSINE, "off")
    assert SearchRequest(like="a.md", per_file=0).resolved(configured.defaults()).per_file == 0


def test_the_keywords_of_python_are_the_fields_of_a_request(tmp_path: Path) -> None:
    """The same search either way; both at once is a mistake."""
    keywords = list(inspect.signature(LocalKnowledgeBase.search).parameters)[2:]
    assert keywords == [one.name for one in fields(SearchRequest) if one.name not in {"question", "like"}]

    settings = Settings(Config(folders=Folders(paths=(str(tmp_path),))), None, tmp_path, {})
    with LocalKnowledgeBase.open(settings) as kb:
        whole, keyword = kb.search(SearchRequest("x", mode=Mode.KEYWORD)), kb.search("x", mode="keyword")
        assert whole == replace(keyword, index=whole.index)
        with pytest.raises(RequestError, match="a SearchRequest conflicts with keywords"):
            kb.search(SearchRequest("x"), limit=3)
        with pytest.raises(RequestError, match="unknown mode 'taste'"):
            kb.search("x", mode="taste")


class Asked:
    """A knowledge base that keeps what it was asked."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: name

    def search(self, request: SearchRequest, /) -> Answer:
        """Keep the request."""
        self.request = request
        return Answer(request.question, "cosine", Freshness(None, 0))


def test_a_daemon_fills_in_the_configuration_of_the_command() -> None:
    """What the command left open is as the command is configured, not as the daemon is; the rest is passed on."""
    kb = Asked()
    lent = DaemonProxy(kb, Config(search=Search(limit=4, mode=Mode.HYBRID)))

    lent.search(SearchRequest("x", min_score=0.5))

    assert kb.request == SearchRequest("x", min_score=0.5).resolved(Search(limit=4, mode=Mode.HYBRID).defaults())


def test_former_names_of_results_are_taken_with_a_notice() -> None:
    """Programs that were written for the names before go on."""
    answer = Answer("tea", "cosine", Freshness(None, 0))

    with pytest.deprecated_call(match="query"):
        assert answer.asked == answer.query == "tea"
    with pytest.deprecated_call(match="duplicates"):
        assert hit("a").alike == ()


def test_ids_of_files_are_numbers() -> None:
    """A path in place of an id is refused."""
    with pytest.raises(RequestError, match="ids of files"):
        SearchRequest("x", files=("a.md",))  # type: ignore[arg-type]  # the point of the test
