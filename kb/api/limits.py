"""How large, deep and long a request may be, and its fields from JSON or from the query of an address."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from kb.api.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

# Python keeps the bytes of undecodable file names as the surrogates U+DC80 to U+DCFF; no others mean anything.
_NOT_TEXT: Final = re.compile("[\\ud800-\\udc7f\\udd00-\\udfff\\0]")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one server admits.

    Attributes:
        body: The bytes of a request.
        depth: How deeply its JSON may be nested.
        text: The characters of each text but that of a note.
        values: The values of each list.
        hits: The most hits that a search may ask for.
        number: The largest whole number, either side of 0.
        seconds: How long a question may take; None for any time.
        running: How many questions are answered at once.
        waiting: How many more may wait for their turn.
        listeners: How many clients may follow the events.
    """

    body: int
    depth: int
    text: int
    values: int
    hits: int
    number: int
    seconds: float | None
    running: int
    waiting: int
    listeners: int


# The user's own processes, over the socket: what they may ask of a knowledge base that they open themselves.
LOCAL: Final = RequestLimits(
    body=32_000_000,
    depth=32,
    text=32_000_000,
    values=1_000_000,
    hits=2**31 - 1,
    number=2**53,
    seconds=None,
    running=8,
    waiting=128,
    listeners=32,
)
# Whoever has the token, over TCP.
NETWORK: Final = RequestLimits(
    body=1_000_000,
    depth=8,
    text=20_000,
    values=256,
    hits=1_000,
    number=2**31 - 1,
    seconds=60.0,
    running=8,
    waiting=64,
    listeners=16,
)


async def body_of(http: Request, limits: RequestLimits) -> bytes:
    """Read the body of a request.

    Raises:
        Refusal: It is too large.
    """
    too_large = Refusal(413, f"the request is larger than {limits.body:,} bytes", "Send less at once")
    length = http.headers.get("content-length", "0")
    # Digits only: int() also takes signs, spaces and other scripts. More than 18 of them are more than any limit.
    if not (length.isascii() and length.isdigit()):
        raise Refusal(400, "Content-Length is not a number")
    if len(length) > 18 or int(length) > limits.body:  # noqa: PLR2004 - see above
        raise too_large
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > limits.body:
            raise too_large
    return bytes(body)


def fields_of_json(body: bytes, limits: RequestLimits) -> dict[str, Any]:
    """Return the fields of a request from its body; none where that is empty.

    Raises:
        Refusal: It is not a JSON object, or nested too deeply.
    """
    try:
        value = _parsed(body) if body.strip() else {}
    except RecursionError as error:
        raise _too_deep(limits) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise Refusal(400, f"the body is not JSON: {error}", "Send a JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise Refusal(400, "the body is not a JSON object", "Send the fields of the request as an object")
    return value


def fields_of_query(query: bytes, kind: type, limits: RequestLimits) -> dict[str, Any]:
    """Return the fields of a request from the query of its address; a list is given by repeating its name.

    Args:
        query: The query, still encoded. Escapes of bytes that are not UTF-8 stand for those of a file name.
        kind: The type of the request.
        limits: How many values there may be.

    Raises:
        Refusal: There are too many values, or a single value is repeated.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=limits.values,
        )
    except ValueError as error:
        raise Refusal(400, f"the query of the address has more than {limits.values} values") from error
    lists = {name for name, hint in get_type_hints(kind).items() if get_origin(hint) is tuple}
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise Refusal(400, f"{name!r} is given twice", "Give it once")
        else:
            fields[name] = value
    return fields


def require_within(fields: Mapping[str, Any], limits: RequestLimits, *, long_texts: bool = False) -> None:
    """Check the sizes in a request, and that its texts are texts.

    Args:
        fields: The fields of the request.
        limits: The limits.
        long_texts: Whether texts may be as long as the body, as those of notes.

    Raises:
        Refusal: Something is larger, or a text has a NUL or half of a surrogate pair.
    """
    _check(fields, limits, limits.depth, limits.body if long_texts else limits.text)
    limit = fields.get("limit")
    if isinstance(limit, int) and limit > limits.hits:
        raise Refusal(400, f"limit is more than {limits.hits:,}", "Ask for less")


def _check(value: object, limits: RequestLimits, depth: int, text: int) -> None:
    match value:
        case str():
            _check_text(value, text)
        case int():
            if abs(value) > limits.number:
                raise Refusal(400, f"a number is larger than {limits.number:,}", "Send a smaller one")
        case dict() | list():
            if not depth:
                raise _too_deep(limits)
            if len(value) > limits.values:
                raise Refusal(400, f"a list has more than {limits.values} values", "Send fewer")
            for one in value.values() if isinstance(value, dict) else value:
                _check(one, limits, depth - 1, text)


def _check_text(value: str, most: int) -> None:
    if len(value) > most:
        raise Refusal(400, f"a text is longer than {most:,} characters", "Send a shorter one")
    if _NOT_TEXT.search(value):
        raise Refusal(400, "a text has a NUL or half of a surrogate pair", "Send Unicode text")


def _too_deep(limits: RequestLimits) -> Refusal:
    return Refusal(400, f"the request is nested more than {limits.depth} levels deep", "Send it flatter")


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        # It takes no escapes of lone surrogates, which stand for the undecodable bytes of file names.
        if b"\\ud" not in body.lower():
            raise
        return json.loads(body.decode(), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
