"""Requests and responses as JSON, checked against their types.

Names of files may hold bytes that are not UTF-8; Python keeps them as lone surrogates, and JSON as their escapes.
msgspec takes neither, so texts with one of them go the slower way through ``json``.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kb.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return a value as JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def decode(data: bytes, kind: type[T]) -> T:
    """Return the value of a type that JSON stands for.

    Raises:
        msgspec.ValidationError: It is of another type.
        ValueError: It is not JSON.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(data), kind)


def request_of(values: Mapping[str, Any], kind: type[T], *, strict: bool = True) -> T:
    """Return a request from its fields, and refuse fields that it does not have.

    Args:
        values: The fields.
        kind: The type of the request.
        strict: False where all values are texts, as in the query of an address.

    Raises:
        RequestError: A field is unknown, missing or of another type.
    """
    _refuse_unknown(values, kind)
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        message = str(error)
        raise RequestError(f"the request is not valid: {message[:1].lower()}{message[1:]}") from error
    except UnicodeEncodeError as error:
        # Where a number or a date is wanted; as a text, an undecodable name is taken.
        raise RequestError("the request is not valid: a number or a date has characters that are not text") from error


def _refuse_unknown(values: Mapping[str, Any], kind: type) -> None:
    """Refuse unknown fields: msgspec ignores them in dataclasses, and a misspelt one would change the answer."""
    if not dataclasses.is_dataclass(kind):
        return
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(values.keys() - known.keys()):
        raise RequestError(f"the request has an unknown field {unknown[0]!r}", f"It may have {', '.join(known)}")
    for name, value in values.items():
        default = known[name].default
        if isinstance(value, dict) and dataclasses.is_dataclass(default):
            _refuse_unknown(value, type(default))
