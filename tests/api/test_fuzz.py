"""The HTTP interface asked at random, against its own OpenAPI document (schemathesis).

A quarter of a minute here; longer by ``KB_FUZZ_MINUTES=10 python -m pytest -m slow tests/api/test_fuzz.py``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from served import Served, write_notes

from kb.api.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy
    from served import Client

    from kb.app import LocalKnowledgeBase

pytest_plugins = ["served_notes"]

# A stream that does not end.
EXCLUDED = "events"
MEGABYTE = 1_000_000
# How many requests at once have one seed.
ROUND = 10


def minutes() -> float:
    """How long all operations together are asked."""
    return float(os.environ.get("KB_FUZZ_MINUTES", "0.25"))


# A busy machine takes several times as long for the least number of requests.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 180 * minutes())]


def all_cases(client: Client) -> dict[str, SearchStrategy[Any]]:
    """What every operation can be asked, by its name and whether that is valid; made once, since schemas take long."""
    # Here and below, so that collecting the tests does not import it.
    import schemathesis
    from schemathesis.core.result import Ok

    made = schemathesis.openapi.from_dict(client.get("/v1/openapi.json").json())
    found = list(made.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    every = [one.ok() for one in found if isinstance(one, Ok)]
    operations = [one for one in every if one.definition.raw["operationId"] != EXCLUDED]
    return {
        f"{operation.label} {mode.value}": operation.as_strategy(generation_mode=mode)
        for operation in operations
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    }


def ask_at_random(client: Client, every: Mapping[str, SearchStrategy[Any]], seconds: float, number: int) -> int:
    """Ask every operation for some seconds altogether; returns about how many requests that were.

    Args:
        client: A client with the token.
        every: What can be asked.
        seconds: For how long.
        number: The seed.
    """
    asked = 0
    for cases in every.values():
        until, rounds = time.monotonic() + seconds / len(every), 0
        while not rounds or time.monotonic() < until:
            _ask(client, cases, number + rounds)
            rounds += 1
        asked += rounds * ROUND
    return asked


def _ask(client: Client, cases: SearchStrategy[Any], number: int) -> None:
    """Ask a few times at random."""
    from schemathesis.specs.openapi import checks

    every = [checks.content_type_conformance, checks.response_schema_conformance, checks.status_code_conformance]

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        answer = case.call(
            base_url=str(client.base_url).rstrip("/"),
            headers={"Authorization": client.headers["authorization"]},
            timeout=60,
        )
        # 503 is a refusal with a remedy: a model without the reranker that was asked for, too many requests.
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=every)

    ask()


def test_nothing_that_is_asked_at_random_is_an_error_of_kb(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], capsys: pytest.CaptureFixture[str]
) -> None:
    """No 500, each answer as it is documented, no file outside opened, and no growth of memory."""
    folder = write_notes(tmp_path / "notes")
    reached: set[str] = set()

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and "outside.md" in os.fsdecode(str(args[0])):
            reached.add(str(args[0]))

    sys.addaudithook(watch)
    kb = open_kb(folder, folders__follow_symlinks="false")
    kb.own(lambda: (True, 0))
    kb.index()
    served = Served(folder, kb)
    with served.at_port() as client:
        # Each operation once, before the memory is measured.
        cases = all_cases(client)
        ask_at_random(client, cases, 0, 1)
        before = _memory()
        asked = ask_at_random(client, cases, minutes() * 60, 2)
        grown = _memory() - before

    with capsys.disabled():
        sys.stdout.write(f"\n{asked:,} requests, memory {grown / MEGABYTE:+.0f} MB\n")
    assert len(cases) == 2 * sum(one.scope != "local" for one in OPERATIONS)
    assert not [line for line in served.said if "failed" in line]
    assert not reached
    assert grown < 50 * MEGABYTE


def _memory() -> int:
    """The memory of this process in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read once
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
