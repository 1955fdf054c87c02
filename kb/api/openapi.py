"""The OpenAPI 3.1 document of a server, made from the table of operations and the types of their fields."""

from __future__ import annotations

import copy
import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kb import __version__
from kb.api.events import EVENTS, Missed, WatchingState
from kb.api.events import MEDIA_TYPE as EVENT_STREAM
from kb.api.problems import MEDIA_TYPE, Problem
from kb.records import FileEvent, IndexProgress, IndexReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kb.api.limits import RequestLimits
    from kb.api.operations import Operation

    Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_DATA: Final = {
    "file": FileEvent,
    "progress": IndexProgress,
    "run": IndexReport,
    "state": WatchingState,
    "missed": Missed,
}
_REFUSALS: Final = {
    400: "The request is not valid, or exceeds a limit.",
    401: "The token is missing or wrong.",
    403: "The request comes from a web page.",
    404: "The file or passage is not in the index.",
    405: "The address does not take this method.",
    408: "The request did not arrive in time.",
    409: "Several files have this name.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    421: "The Host header names another server.",
    500: "An error in kb.",
    503: "Too many requests at once, an answer that takes too long, or a store or model that cannot be used.",
}
# Bounds that the operations check themselves.
_BOUNDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "min_score": {"minimum": -1, "maximum": 1},
    "best_seconds": {"minimum": 0},
    "timeout": {"minimum": 0},
    "limit": {"minimum": 1},
    "per_file": {"minimum": 0},
    "offset": {"minimum": 0},
    "first_line": {"minimum": 1},
    "last_line": {"minimum": 1},
    "page": {"minimum": 1},
    "line": {"minimum": 1},
}


def document(operations: Iterable[Operation], limits: RequestLimits, *, token: bool) -> dict[str, Any]:
    """Return the OpenAPI document of a server.

    Args:
        operations: What it offers.
        limits: Its limits.
        token: Whether a request needs the token.
    """
    operations = tuple(operations)
    events = [kind for one in operations for kind in one.events.values()]
    types = [*(one.takes for one in operations), *(one.gives for one in operations), Problem, *_DATA.values(), *events]
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    requests = dict(zip((one.name for one in operations), found, strict=False))
    results = dict(zip((one.name for one in operations), found[len(operations) :], strict=False))
    asked = _reached([_named(schema) for schema in requests.values()], components)
    by_name = _classes(types)
    schemas = {
        name: _described(schema, by_name.get(name), limits, asked=name in asked) for name, schema in components.items()
    }
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(
            one, schemas[_named(requests[one.name])], results[one.name], limits
        )
    paths[EVENTS] = {"get": _events()}
    used = _reached([*_references(paths), Problem.__name__], schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kb",
            "version": __version__,
            "summary": "A folder of notes, searchable by meaning",
            "description": "Every score is the raw cosine of question and passage. Every answer says how up to date "
            f"the index is. A request has at most {limits.body:,} bytes, {limits.depth} levels, {limits.values:,} "
            f"values in a list, and {limits.text:,} characters in a text other than a note.",
        },
        "servers": [{"url": "/", "description": "The server that this document comes from"}],
        "paths": paths,
        "components": {
            "schemas": {name: schemas[name] for name in sorted(used)},
            "responses": {str(status): _refusal(text) for status, text in _REFUSALS.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What kb token prints. It is in a file of the user alone.",
                }
            },
        },
        "security": [{"token": []}] if token else [],
        "tags": [
            {"name": "read", "description": "Reads the index and the files in it"},
            {"name": "write", "description": "Writes files"},
            {"name": "local", "description": "Offered to the user's own processes, on the socket of the daemon"},
        ],
    }


def _operation(one: Operation, request: Schema, result: Schema, limits: RequestLimits) -> Schema:
    """Return an operation of the document."""
    properties = {name: schema for name, schema in request["properties"].items() if name not in one.without}
    required = [name for name in (*request.get("required", ()), *one.requires) if name in properties]
    made: Schema = {
        "operationId": one.name,
        "summary": one.summary,
        "tags": [one.scope],
        "responses": {
            "200": {"description": "The result.", "content": _content(one, result)},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in _statuses(one)},
        },
    }
    if one.method == "GET":
        made["parameters"] = [_parameter(name, schema, name in required) for name, schema in properties.items()]
        return made
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    body: Schema = {"schema": schema}
    if one.example:
        body["example"] = dict(one.example)
    made["requestBody"] = {"required": bool(required), "content": {"application/json": body}}
    if limits.seconds and one.kind == "question":
        made["description"] = f"The answer takes at most {limits.seconds:g} seconds; then the status is 503."
    if one.events:
        names = ", ".join(one.events)
        more = (
            "A client that accepts text/event-stream gets events, each with one line of JSON as its data: "
            f"{names}, and at the end result or problem. Only the model limits how long they take; a comment is sent "
            "every 15 seconds without an event."
        )
        made["description"] = f"{made.get('description', '')} {more}".strip()
    return made


def _content(one: Operation, result: Schema) -> Schema:
    if not one.streams:
        return {
            "application/json": {"schema": result},
            **({EVENT_STREAM: _followed(one, result)} if one.events else {}),
        }
    line = {
        "oneOf": [
            _object("progress", {"$ref": _REF.format(name="IndexProgress")}),
            _object("event", {"$ref": _REF.format(name="FileEvent")}),
            _object("result", result),
            _object("problem", {"$ref": _REF.format(name="Problem")}),
        ]
    }
    return {"application/x-ndjson": {"schema": {"description": "Each line is one of these.", **line}}}


def _followed(one: Operation, result: Schema) -> Schema:
    """Return the server-sent events of an operation."""
    kinds = {name: {"$ref": _REF.format(name=kind.__name__)} for name, kind in one.events.items()}
    return {
        "schema": {
            "type": "string",
            "x-data": {**kinds, "result": result, "problem": {"$ref": _REF.format(name=Problem.__name__)}},
        }
    }


def _object(name: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _statuses(one: Operation) -> Iterator[int]:
    return (status for status in _REFUSALS if one.method == "POST" or status not in {413, 415})


def _parameter(name: str, schema: Schema, required: bool) -> Schema:
    """Return a field of a request as a parameter of the query."""
    given = {key: value for key, value in schema.items() if key != "description"}
    if "anyOf" in given:
        # Null is the same as to leave it out, and cannot be written in an address.
        given = {**next(one for one in given["anyOf"] if one.get("type") != "null")}
    made: Schema = {"name": name, "in": "query", "required": required, "schema": given}
    if "description" in schema:
        made["description"] = schema["description"]
    if given.get("type") == "array":
        made |= {"style": "form", "explode": True}
    return made


def _events() -> Schema:
    """Return the stream of events."""
    kinds = {kind: {"$ref": _REF.format(name=data.__name__)} for kind, data in _DATA.items()}
    return {
        "operationId": "events",
        "summary": "Follow what the daemon does, as server-sent events.",
        "description": "Each event has an id, a type and one line of JSON as its data. A stream begins with the state; "
        "one that is asked for with Last-Event-ID begins after that event, or with the event missed where some are no "
        "longer kept. A comment is sent every 15 seconds without an event. A client that falls behind what is kept is "
        "disconnected. Types: file (a file was indexed, moved or removed, or could not be), progress (of an index run, "
        "a few times a second), run (an index run ended), state (what the daemon does changed), missed.",
        "tags": ["read"],
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The id of the last event that was received.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9]{1,18}$"},
            }
        ],
        "responses": {
            "200": {
                "description": "The events, until either side ends the stream.",
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string", "x-data": kinds},
                        "example": 'id: 5f2b9c01-7\nevent: file\ndata: {"kind":"changed","folder":"/home/me/notes",'
                        '"path":"backup.md","before":"","passages":3,"reused":2,"reason":""}\n\n',
                    }
                },
            },
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in (401, 403, 405, 408, 421, 503)},
        },
    }


def _refusal(description: str) -> Schema:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}}


# Descriptions and bounds.


def _described(schema: Schema, kind: type | None, limits: RequestLimits, *, asked: bool) -> Schema:
    """Return the schema of a type with the descriptions from its docstring.

    Args:
        schema: As msgspec makes it.
        kind: The type.
        limits: The limits of the server.
        asked: Whether it is a part of a request, whose sizes are limited; all fields of a result are there.
    """
    made = copy.deepcopy(schema)
    about, fields = parsed_docstring(kind.__doc__ or "") if kind else ("", {})
    if about:
        made["description"] = about
    else:
        made.pop("description", None)
    properties = made.get("properties")
    if properties is None:
        return made
    for name, one in properties.items():
        if asked:
            _bound(name, one, limits)
        if name in fields:
            properties[name] = (
                {"description": fields[name], **one} if "$ref" not in one else {**one, "description": fields[name]}
            )
    if asked:
        made["additionalProperties"] = False
    elif kind is not Problem:
        made["required"] = list(properties)
    return made


def _bound(name: str, schema: Schema, limits: RequestLimits) -> None:
    """Put the bounds of a field of a request into its schema, or into the parts of it."""
    for one in schema.get("anyOf", [schema]):
        if one.get("type") == "string" and not one.keys() & {"enum", "format"}:
            one["maxLength"] = limits.body if name == "text" else limits.text
            one["pattern"] = "^[^\\u0000]*$"
        elif one.get("type") == "array":
            one["maxItems"] = limits.values
            _bound("", one["items"], limits)
        elif one.get("type") in {"integer", "number"}:
            one |= {**({"maximum": limits.number} if one["type"] == "integer" else {}), **_BOUNDS.get(name, {})}
            if name == "limit":
                one["maximum"] = limits.hits


_FIELDS: Final = re.compile(r"^Attributes:\n((?:(?: .*)?\n?)*)", re.MULTILINE)
_FIELD: Final = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_SECTION: Final = re.compile(r"^(?:Attributes|Raises|Args|Returns):$", re.MULTILINE)


def parsed_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a type, and of each of its fields, in one line each."""
    text = inspect.cleandoc(text)
    about = _SECTION.split(text)[0]
    listed = _FIELDS.search(text)
    fields = dict(_FIELD.findall(listed[1])) if listed else {}
    return _plain(about), {name: _plain(value) for name, value in fields.items()}


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


# Which types there are, and which refer to which.


def _named(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _references(value: object) -> Iterator[str]:
    """Yield the names of the schemas that a part of the document refers to."""
    if isinstance(value, dict):
        if str(value.get("$ref", "")).startswith("#/components/schemas/"):
            yield _named(value)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)


def _reached(names: Iterable[str], schemas: Mapping[str, Schema]) -> set[str]:
    """Return the names of the schemas that some lead to."""
    reached: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _references(schemas[name])
    return reached


def _classes(types: Iterable[Any]) -> dict[str, type]:
    """Return the classes that types consist of, by name."""
    found: dict[str, type] = {}
    waiting: list[object] = list(msgspec.inspect.multi_type_info(types))
    while waiting:
        one = waiting.pop()
        kind = getattr(one, "cls", None)
        if kind is not None:
            if kind.__name__ in found:
                continue
            found[kind.__name__] = kind
        waiting += [field.type for field in getattr(one, "fields", ())]
        waiting += [*getattr(one, "types", ()), *getattr(one, "item_types", ())]
        waiting += [part for name in ("item_type", "value_type") if (part := getattr(one, name, None)) is not None]
    return found
