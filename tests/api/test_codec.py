"""Requests from JSON and from the query of an address, checked against their types."""

from __future__ import annotations

import pytest

from kb.api.codec import request_of
from kb.api.operations import FileRequest
from kb.errors import RequestError

UNDECODABLE = "caf\udce9.md"


def test_undecodable_names_are_texts_and_no_numbers() -> None:
    """A file may be called so; a page may not."""
    assert request_of({"path": UNDECODABLE}, FileRequest, strict=False).path == UNDECODABLE
    with pytest.raises(RequestError, match="not text"):
        request_of({"path": "a", "page": UNDECODABLE}, FileRequest, strict=False)
