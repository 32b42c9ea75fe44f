"""The OpenAPI document: complete, whole, and such that clients can be generated from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tidings.server.routes import BARE

PROBLEM = "application/problem+json"
MODELS = {"EventRequest", "EventResponse", "EventItem", "EventsResponse", "HealthResponse"}
"""The shapes that eventuali-api-server 0.2.2 names in its document."""


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    """What the server says of itself."""
    told: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
    return told


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of each."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    """What a part of the document refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_bare_routes_are_in_it(document: dict[str, Any]) -> None:
    """Each that has an operation, beside FastAPI's own."""
    assert BARE
    for route in BARE:
        if route.operation:
            assert route.method.lower() in document["paths"][route.path]
    assert {"get", "post"} <= {*document["paths"]["/events/"]}


def test_it_is_whole(document: dict[str, Any]) -> None:
    """Whatever it refers to is there, also the shapes that clients of the seed know."""
    schemas = document["components"]["schemas"]
    assert MODELS | {"ProblemDetails"} <= schemas.keys()
    found = set(references(document))
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_its_schemas_are_schemas(document: dict[str, Any]) -> None:
    """JSON Schema as OpenAPI 3.1 takes it."""
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            Draft202012Validator.check_schema(parameter["schema"])
            assert parameter["name"], (path, method)
            assert parameter["in"] in ("query", "path", "header"), (path, method)


def test_each_operation_has_a_name_and_says_what_it_is_for(document: dict[str, Any]) -> None:
    """Names are unique and can be those of functions; each stands in a group."""
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        assert operation["operationId"].isidentifier(), (path, method)
        assert operation["summary"], (path, method)
        assert operation["tags"], (path, method)


def test_parameters_stand_once(document: dict[str, Any]) -> None:
    """No operation names one twice, and each of the path is named."""
    for path, method, operation in operations(document):
        names = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
        assert len(set(names)) == len(names), (path, method)
        of_path = {name for place, name in names if place == "path"}
        assert all(f"{{{name}}}" in path for name in of_path), (path, method)
        assert path.count("{") == len(of_path), (path, method)


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    """Each operation may refuse and fail, and says so in one form only, or in OTLP's."""
    for path, method, operation in operations(document):
        errors = {status: told for status, told in operation["responses"].items() if status >= "4"}
        assert {"401", "403", "429", "500", "503"} <= errors.keys(), (path, method)
        for status, told in errors.items():
            if path == "/v1/traces":
                assert {PROBLEM, "application/json"} >= told["content"].keys()
                continue
            if status != "503" or PROBLEM in told["content"]:
                assert list(told["content"]) == [PROBLEM], (path, method, status)
        assert any(status < "4" for status in operation["responses"]), (path, method)


def test_keys_are_told(document: dict[str, Any]) -> None:
    """The page of routes can be given one, and needs none where there are none."""
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{}, {"key": []}]
