"""The OpenAPI document: what FastAPI knows of its routes, and the operations of the bare ones."""

from __future__ import annotations

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from tidings.server import models

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from fastapi import FastAPI

    from tidings.server.calls import BareRoute

__all__ = ["PLAIN", "PROBLEM", "document"]

PROBLEM = {
    "description": "What was wrong, where, and what to do next",
    "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
    },
}
"""The response object of an error, for `responses` of FastAPI's routes and for bare ones."""

PLAIN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
"""The pattern of an event's words: neither control characters nor line breaks. JSON Schema cannot
name lone surrogates, which are refused as well."""

_FAILURES = {"ValidationError", "HTTPValidationError"}
"""What FastAPI declares for its own errors, which never leave this server."""


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "From `tidings keys create`. Where no keys exist none is needed",
}


def document(
    app: FastAPI, bare: Iterable[BareRoute], schemas: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """The document.

    Args:
        app: whose routes FastAPI describes.
        bare: routes it does not know.
        schemas: what those refer to by name, beside `models`.
    """
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    named = [getattr(models, name) for name in models.__all__]
    _, modelled = models_json_schema(
        [(model, "serialization") for model in named],
        ref_template="#/components/schemas/{model}",
    )
    components = described.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in {**modelled["$defs"], **schemas}.items():
        components.setdefault(name, schema)
    for name in _FAILURES:
        components.pop(name, None)
    for route in bare:
        if route.operation:
            described["paths"].setdefault(route.path, {})[route.method.lower()] = route.operation
    for path in described["paths"].values():
        for operation in path.values():
            _declare_problems(operation)
    described["components"]["securitySchemes"] = {"key": _KEY}
    described["security"] = [{}, {"key": []}]
    return described


def _declare_problems(operation: dict[str, Any]) -> None:
    """Say that any route may refuse, or fail."""
    responses = operation.setdefault("responses", {})
    if "422" in responses and "HTTPValidationError" in str(responses["422"]):
        responses["422"] = PROBLEM
    for status in ("400", "401", "403", "421", "429", "500", "503"):
        responses.setdefault(status, PROBLEM)
