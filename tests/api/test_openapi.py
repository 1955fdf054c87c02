"""The OpenAPI document: valid, complete, and true of what is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from kb.api.codec import encode
from kb.api.limits import LOCAL, NETWORK
from kb.api.openapi import document, parsed_docstring
from kb.api.operations import OPERATIONS
from kb.records import SearchRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Client

pytest_plugins = ["served_notes"]

# As it is sent: with lists in place of tuples, and dates as text.
AT_PORT = json.loads(encode(document([one for one in OPERATIONS if one.scope != "local"], NETWORK, token=True)))
ON_SOCKET = json.loads(encode(document(OPERATIONS, LOCAL, token=False)))


def parts_of(value: object) -> Iterator[dict[str, Any]]:
    """All objects of a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts_of(one)


def schema_of(response: Any) -> dict[str, Any]:
    """A schema of the document, with what it refers to."""
    return {**response["schema"], "components": AT_PORT["components"]}


def test_it_is_valid() -> None:
    """By the official schema of OpenAPI 3.1, and each schema in it by that of JSON Schema."""
    # Here, so that no other process of the tests imports it.
    from schemathesis.specs.openapi.definitions import OPENAPI_31

    official = jsonschema.validators.validator_for(OPENAPI_31)(OPENAPI_31)
    schemas = []
    for made in (AT_PORT, ON_SOCKET):
        official.validate(made)
        # Most are in both.
        schemas += [schema for schema in made["components"]["schemas"].values() if schema not in schemas]
    for schema in schemas:
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("made", [AT_PORT, ON_SOCKET], ids=["port", "socket"])
def test_each_reference_leads_somewhere(made: dict[str, Any]) -> None:
    """And each schema and response is referred to."""
    references = {one["$ref"] for one in parts_of(made) if isinstance(one.get("$ref"), str)}
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in made["components"][kind]}

    assert references == there


def test_it_has_the_operations_of_its_server() -> None:
    """What changes the index is on the socket alone."""
    at_port = {one["operationId"] for path in AT_PORT["paths"].values() for one in path.values()}

    assert at_port == {one.name for one in OPERATIONS if one.scope != "local"} | {"events"}
    assert not [path for path in AT_PORT["paths"] if not path.startswith("/v1/")]
    assert "/local/index" in ON_SOCKET["paths"]
    assert AT_PORT["security"] == [{"token": []}]
    assert ON_SOCKET["security"] == []


def test_all_is_described() -> None:
    """Each operation in one sentence; each field of a request and of the records, from its docstring."""
    for path in AT_PORT["paths"].values():
        for one in path.values():
            assert one["summary"].endswith(".")
            fields = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            assert all(field["description"] for field in fields.get("properties", {}).values()), one["operationId"]
            assert all(parameter["description"] for parameter in one.get("parameters", ())), one["operationId"]
    for name, schema in AT_PORT["components"]["schemas"].items():
        assert schema["description"], name
        assert "Attributes:" not in schema["description"]
    hit = AT_PORT["components"]["schemas"]["Hit"]["properties"]
    assert hit["score"]["description"].startswith("Its cosine with the question, -1..1; None while it waits")


def test_docstrings_are_read_whole() -> None:
    """A field that goes over two lines, and what stands after the fields."""
    about, fields = parsed_docstring(SearchRequest.__doc__ or "")

    assert about.startswith("A search for a question, or for passages like a file.")
    assert fields["like"].endswith("There is no question then.")
    assert "RequestError" not in fields["cwd"]


def test_the_examples_are_requests() -> None:
    """Each by the schema of its own request."""
    for path in AT_PORT["paths"].values():
        for one in path.values():
            if "requestBody" in one:
                body = one["requestBody"]["content"]["application/json"]
                jsonschema.validate(body["example"], schema_of(body))


def test_it_is_served_and_answers_conform(client: Client) -> None:
    """Where each program looks for it; a search, a file and a problem are as it says."""
    assert client.get("/v1/openapi.json").json() == AT_PORT

    def expected(path: str, method: str, status: str, media: str) -> dict[str, Any]:
        response = AT_PORT["paths"][path][method]["responses"][status]
        name = response.get("$ref", "").rpartition("/")[2]
        response = AT_PORT["components"]["responses"][name] if name else response
        return schema_of(response["content"][media])

    answer = client.ask("/v1/search", question="tea", weak=True, explain=True)
    jsonschema.validate(answer.json(), expected("/v1/search", "post", "200", "application/json"))
    answer = client.get("/v1/file", params={"path": "backup.md"})
    jsonschema.validate(answer.json(), expected("/v1/file", "get", "200", "application/json"))
    answer = client.get("/v1/file", params={"path": "nowhere"})
    jsonschema.validate(answer.json(), expected("/v1/file", "get", "404", "application/problem+json"))
