"""`/subscriptions`: how far handlers have come, and what may be changed; for administrators.

They are of all projects, so a key that is bound to some sees none. It runs nothing; a worker that
runs takes notice within about two seconds. What a subscription is stands in
`tidings.subscriptions.registry`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from tidings.errors import InvalidQuery
from tidings.server.administering import Admin  # noqa: TC001 - FastAPI reads the annotation
from tidings.server.asking import read_whole
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, once
from tidings.server.parameters import parameter
from tidings.server.service import service_of
from tidings.subscriptions.registry import Subscriptions

__all__ = ["router"]

router = APIRouter(tags=["subscriptions"])

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"

Name = Annotated[str, Path(description="Its name", pattern=_NAME, min_length=1, max_length=100)]


class PartitionItem(BaseModel):
    """One partition of a subscription, as of its last checkpoint."""

    index: int = Field(description="Which one")
    position: int = Field(description="How far it has come")
    owner: str | None = Field(description="The worker that runs it; null where none does")
    host: str | None = Field(description="That worker's machine")
    pid: int | None = Field(description="That worker's process")
    waiting: int = Field(description="Aggregates whose events wait to be tried again")
    held: int = Field(description="Aggregates that wait for a decision about a dead letter")
    handled: int = Field(description="Events handled so far")
    failed: int = Field(description="Attempts that failed so far")
    oldest_waiting: str | None = Field(
        description="When the event that waits longest failed first; null where none waits"
    )


class SubscriptionItem(BaseModel):
    """A subscription, and how far it has come."""

    name: str = Field(description="Its name")
    kind: str = Field(description="handler")
    paused: bool = Field(description="Whether it rests until it is resumed")
    filter: str = Field(description="Which events it wants, in words")
    created_at: str = Field(description="When it was made")
    start: int = Field(description="The position past which it began")
    on_failure: str = Field(description="skip or hold")
    generation: int = Field(description="How often its partitions were made")
    head: int = Field(description="The newest position of the store")
    position: int = Field(description="How far its slowest partition has come")
    lag: int = Field(description="How many positions that is behind")
    waiting: int = Field(description="Aggregates whose events wait to be tried again")
    held: int = Field(description="Aggregates that wait for a decision about a dead letter")
    dead_letters: int = Field(description="Events it gave up")
    handled: int = Field(description="Events handled so far")
    failed: int = Field(description="Attempts that failed so far")
    partitions: list[PartitionItem] = Field(description="Each partition")


class SubscriptionsResponse(BaseModel):
    """The subscriptions."""

    subscriptions: list[SubscriptionItem] = Field(description="By name")


class DeletedSubscription(BaseModel):
    """A subscription that is no more."""

    deleted: str = Field(description="Its name")


_ONE: dict[str, Any] = {
    "response_model": SubscriptionItem,
    "responses": {404: PROBLEM, 422: PROBLEM},
}


@router.get("/subscriptions", response_model=SubscriptionsResponse, responses={422: PROBLEM})
def list_subscriptions(request: Request, _: Admin) -> dict[str, Any]:
    """The subscriptions of handlers, and how far each has come."""
    ensure_known(asked(request), ())
    return {"subscriptions": [state.to_dict() for state in _registry(request).list()]}


@router.get("/subscriptions/{name}", **_ONE)
def get_subscription(request: Request, name: Name, _: Admin) -> dict[str, Any]:
    """One subscription."""
    ensure_known(asked(request), ())
    return _registry(request).get(name).to_dict()


@router.post("/subscriptions/{name}/pause", **_ONE)
def pause_subscription(request: Request, name: Name, _: Admin) -> dict[str, Any]:
    """Have it rest: nothing is handled until it is resumed."""
    ensure_known(asked(request), ())
    return _registry(request).pause(name).to_dict()


@router.post("/subscriptions/{name}/resume", **_ONE)
def resume_subscription(request: Request, name: Name, _: Admin) -> dict[str, Any]:
    """Have it go on from where it was."""
    ensure_known(asked(request), ())
    return _registry(request).resume(name).to_dict()


_PLACES = {"anyOf": [{"enum": ["beginning", "now"]}, {"type": "integer", "minimum": 0}]}


@router.post(
    "/subscriptions/{name}/reset",
    **_ONE,
    openapi_extra={
        "parameters": [
            {
                **parameter("to", "beginning, now, or the position past which it goes on", _PLACES),
                "required": True,
            }
        ]
    },
)
def reset_subscription(request: Request, name: Name, _: Admin) -> dict[str, Any]:
    """Have it go on from somewhere else; what waits to be tried again is forgotten."""
    params = asked(request)
    ensure_known(params, ("to",))
    to = once(params, "to")
    if to is None:
        raise InvalidQuery("say from where on: ?to=beginning, ?to=now or ?to=POSITION")
    place = to if to in ("beginning", "now") else read_whole("to", to)
    return _registry(request).reset(name, place).to_dict()


@router.delete(
    "/subscriptions/{name}",
    response_model=DeletedSubscription,
    responses={404: PROBLEM, 422: PROBLEM},
)
def delete_subscription(request: Request, name: Name, _: Admin) -> DeletedSubscription:
    """Forget how far it has come, and its dead letters."""
    ensure_known(asked(request), ())
    _registry(request).delete(name)
    return DeletedSubscription(deleted=name)


def _registry(request: Request) -> Subscriptions:
    return Subscriptions(service_of(request).store)
