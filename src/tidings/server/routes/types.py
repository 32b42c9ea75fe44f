"""The event types: what the catalog says of them, and how often and when they occur."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidings.errors import InvalidQuery, shorten
from tidings.record import INSTANT
from tidings.server.access import Caller, needs
from tidings.server.asking import read_whole
from tidings.server.calls import BareRoute
from tidings.server.openapi import PLAIN, PROBLEM
from tidings.server.paging import asked, ensure_known, link_header, next_link, once
from tidings.server.parameters import MOST, parameter
from tidings.server.problems import Problem
from tidings.server.service import service_of
from tidings.store.query import Query
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.catalog import Catalog
    from tidings.server.calls import Call
    from tidings.server.service import Service
    from tidings.store.base import Store, TypeCount

__all__ = ["BARE", "router"]

router = APIRouter(tags=["types"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_LARGEST_TYPE = 256 * 1024
"""The most that a registration may take (bytes)."""


class TypeItem(BaseModel):
    """An event type."""

    type: str = Field(description="Its name")
    known: bool = Field(description="Whether the catalog knows it")
    description: str = Field(description="What an event of this type says")
    payload_keys: list[str] = Field(description="The keys its readers may expect")
    aggregate_type: str | None = Field(None, description="What its events are about")
    has_schema: bool = Field(description="Whether there is a JSON Schema for its payload")
    count: int | None = Field(None, description="How many there are; null for who may not know")
    last_position: int | None = Field(None, description="The place of the newest")
    last_seen: str | None = Field(None, description="When the newest happened")


class TypeInfo(TypeItem):
    """An event type with its schema."""

    payload_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="The JSON Schema of its payload"
    )


class TypesResponse(BaseModel):
    """The event types."""

    types: list[TypeItem] = Field(description="By name")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class NewType(BaseModel):
    """An event type to make known; one that is registered again is replaced."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(
        description="Its name", min_length=1, max_length=250, json_schema_extra={"pattern": PLAIN}
    )
    description: str = Field("", description="What an event of this type says", max_length=4096)
    payload_keys: list[str] = Field(
        default_factory=list, description="The keys its readers may expect", max_length=256
    )
    payload_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="A JSON Schema for its payload"
    )


@router.get(
    "/events/types",
    response_model=TypesResponse,
    responses={422: PROBLEM},
    openapi_extra={
        "parameters": [
            parameter(
                "limit", "At most so many", {"type": "integer", "minimum": 1, "maximum": MOST}
            ),
            parameter("after", "Only names past this one", {"type": "string"}),
        ]
    },
)
@router.get("/events/types/", include_in_schema=False, response_model=TypesResponse)
def list_types(request: Request, response: Response, caller: _Reader) -> dict[str, Any]:
    """The types the catalog knows and those that occur, by name.

    A key that is bound to projects sees the catalog and no counts, which are of all projects.
    """
    params = asked(request)
    ensure_known(params, ("limit", "after"))
    limit, after = _limit(once(params, "limit")), once(params, "after")
    service = service_of(request)
    catalog, store = service.bus.bus.catalog, service.store
    counts = _counts(store, caller)
    names = sorted(name for name in {*catalog.names(), *counts} if after is None or name > after)
    shown = names[:limit]
    link = next_link(request, shown[-1] if len(names) > limit else None, backwards=False)
    response.headers.update(link_header(link))
    return {"types": [_item(catalog, store, name, counts, caller) for name in shown], "next": link}


@router.get(
    "/events/types/{name:path}",
    response_model=TypeInfo,
    response_model_exclude_none=True,
    responses={404: PROBLEM, 422: PROBLEM},
)
def get_type(request: Request, name: str, caller: _Reader) -> dict[str, Any]:
    """What is known of a type, its JSON Schema included."""
    ensure_known(asked(request), ())
    service = service_of(request)
    catalog, store = service.bus.bus.catalog, service.store
    counts = _counts(store, caller)
    item = _info(catalog, store, name, counts, caller)
    if not item["known"] and name not in counts:
        raise Problem(
            404,
            "no-type",
            f"no event of type {shorten(name)} was kept and nobody registered it; "
            "GET /events/types lists what there is",
        )
    return item


async def register_type(call: Call) -> None:
    """Make a type known to everyone who uses this store.

    Bare, because FastAPI would read a body of any size, at any pace, before it asks who sends it.
    """
    call.caller.require_all_projects()
    ensure_known(call.params, ())
    new = _new_type(await call.body(_LARGEST_TYPE))
    info = await asyncio.to_thread(_registered, call.service, new, call.caller)
    location = f"types/{quote(new.type, safe='')}".encode()
    body = TypeInfo(**info).model_dump_json(by_alias=True, exclude_none=True).encode()
    await call.answer(201, body, headers=[(b"location", location)])


def _new_type(body: bytes) -> NewType:
    try:
        return NewType.model_validate_json(body)
    except ValidationError as error:
        errors = [
            {"field": ".".join(map(str, each["loc"])) or "body", "message": each["msg"]}
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        raise Problem(422, "invalid-request", detail, errors=errors) from None


def _registered(service: Service, new: NewType, caller: Caller) -> dict[str, Any]:
    catalog = service.bus.bus.catalog
    catalog.register(new.type, new.description, new.payload_keys, new.payload_schema)
    return _info(catalog, service.store, new.type, _counts(service.store, caller), caller)


_OPERATION: dict[str, Any] = {
    "tags": ["types"],
    "operationId": "register_type",
    "summary": "Register a type",
    "description": "Make a type known to everyone who uses this store; needs the scope `admin`. "
    "A type that is registered again is replaced.",
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": NewType.model_json_schema()}},
    },
    "responses": {
        "201": {
            "description": "The type as it is known now",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TypeInfo"}}},
        },
        "408": PROBLEM,
        "413": PROBLEM,
        "422": PROBLEM,
    },
}

BARE = (BareRoute("POST", "/events/types", "admin", register_type, _OPERATION),)


def _limit(given: str | None) -> int:
    limit = MOST if given is None else read_whole("limit", given, MOST)
    if limit < 1:
        raise InvalidQuery(f"limit {limit} must be from 1 to {MOST}")
    return limit


def _counts(store: Store, caller: Caller) -> dict[str, TypeCount]:
    """How often each type occurs; nothing for a key that may not see all projects."""
    return {each.type: each for each in store.types()} if caller.projects is None else {}


def _item(
    catalog: Catalog, store: Store, name: str, counts: dict[str, TypeCount], caller: Caller
) -> dict[str, Any]:
    info = catalog.info(name)
    occurs = counts.get(name)
    return {
        "type": name,
        "known": bool(info),
        "description": info.get("description", ""),
        "payload_keys": info.get("payload_keys", []),
        "aggregate_type": info.get("aggregate_type"),
        "has_schema": bool(info.get("schema")),
        "count": None if caller.projects is not None else occurs.count if occurs else 0,
        "last_position": occurs.last_position if occurs else None,
        "last_seen": _seen(store, occurs.last_position) if occurs else None,
    }


def _info(
    catalog: Catalog, store: Store, name: str, counts: dict[str, TypeCount], caller: Caller
) -> dict[str, Any]:
    """The item with the type's JSON Schema."""
    schema = catalog.info(name).get("schema")
    return {**_item(catalog, store, name, counts, caller), "schema": schema}


def _seen(store: Store, position: int) -> str | None:
    """When the event at a position happened."""
    query = Query(before=position + 1, backwards=True, limit=1)
    event = next(store.read(query), None)
    return None if event is None else format_instant(event.record[INSTANT])
