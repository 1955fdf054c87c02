"""The lines of curl on the page work as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.api.operations import OPERATIONS

if TYPE_CHECKING:
    from served import Client

pytest_plugins = ["served_notes"]

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
AUTHORIZED = "Bearer $(kb token)"
LINES = [
    words
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    if (words := shlex.split(block))[0] == "curl" and "--unix-socket" not in words
]


def test_each_endpoint_has_one() -> None:
    """In the order of the table; /v1/ask once more, for its events."""
    addresses = [words[-1].partition("?")[0].removeprefix("http://127.0.0.1:7420") for words in LINES]

    assert addresses == [*(one.path for one in OPERATIONS if one.scope != "local"), "/v1/ask", "/v1/events"]


@pytest.mark.parametrize("words", [words for words in LINES if "-N" not in words], ids=lambda words: words[-1])
def test_it_is_answered(client: Client, words: list[str]) -> None:
    """With the token in place of the command that prints it, over the notes of these tests."""
    values = {word: words[at + 1] for at, word in enumerate(words) if word == "-d"}
    given = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    headers = {name: value for name, value in given if value != AUTHORIZED}
    path = words[-1].removeprefix("http://127.0.0.1:7420")
    if path == "/v1/notes":
        pytest.skip("the notes of these tests stay as they are: test_http.py writes one elsewhere")

    assert ["Authorization", AUTHORIZED] in given
    body = values.get("-d")
    answer = client.request("POST" if body else "GET", path, content=body, headers=headers)

    # The id of a passage is another one in each store.
    assert answer.status_code == (404 if path.startswith("/v1/passage") else 200), answer.text
