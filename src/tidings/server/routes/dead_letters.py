"""`/dead-letters`: the events that were given up, and what becomes of them; for administrators.

They are of all projects, so a key that is bound to some sees none. Which letters a filter means is
said in `tidings.subscriptions.choosing`, as for the shell. However many there are, an answer looks
at a bounded number and says where to go on. What was decided is carried out by whoever runs the
subscription.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tidings.errors import InvalidQuery
from tidings.event_item import item
from tidings.server.administering import (
    LIMIT,
    Admin,
    asked_body,
    described,
    limit_of_page,
    moment,
)
from tidings.server.models import EventItem  # noqa: TC001 - pydantic reads the annotation
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, link_header, next_link, once
from tidings.server.parameters import parameter
from tidings.server.service import service_of
from tidings.subscriptions.choosing import (
    Choice,
    counted,
    decide,
    decided,
    event_of,
    letter_called,
    page,
    said,
)
from tidings.subscriptions.dead_letters import DISCARD, REPLAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["router"]

router = APIRouter(tags=["dead letters"])

_MOST_LOOKED_AT = 5_000
"""So many letters one page looks at; it may be empty, and `next` goes on."""

_PAGES = 20
"""So many pages of letters are decided by one request, 10,000 letters; then it says where to go on:
an answer that takes minutes is one that a proxy gives up."""

_LARGEST = 2**63 - 1
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"

Subscription = Annotated[
    str, Path(description="Whose it is", pattern=_NAME, min_length=1, max_length=100)
]
Position = Annotated[int, Path(description="The place of its event", ge=0, le=_LARGEST)]


class AttemptMade(BaseModel):
    """An attempt that failed."""

    at: str = Field(description="When it began")
    seconds: float = Field(description="How long it took")
    error: str = Field(description="What went wrong")
    status: int | None = Field(None, description="The HTTP status it was answered with")
    answer: str | None = Field(None, description="The start of the answer")


class DeadLetterItem(BaseModel):
    """An event that was given up."""

    id: str = Field(description="Its id: SUBSCRIPTION/POSITION")
    subscription: str = Field(
        description="Which subscription gave it up; `webhook:ID` of a webhook"
    )
    position: int = Field(description="The event's place in the store")
    event_id: str = Field(description="The event's id")
    type: str = Field(description="The event's type")
    project: str = Field(description="The event's project")
    given_up_at: str = Field(description="When it was given up")
    held: bool = Field(description="Whether its aggregate's later events wait for the decision")
    asked: str = Field(description="What was decided and not carried out yet: replay or discard")
    error: str = Field(description="What went wrong last")
    attempts: list[AttemptMade] = Field(description="Every attempt, oldest first")


class DeadLettersResponse(BaseModel):
    """A page of dead letters."""

    dead_letters: list[DeadLetterItem] = Field(description="By subscription and position")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class DeadLetterInfo(DeadLetterItem):
    """An event that was given up, and the event itself."""

    event: EventItem | None = Field(None, description="The event; null where it was pruned")


class LetterDecided(BaseModel):
    """What was decided about one dead letter."""

    id: str = Field(description="Its id")
    decided: str = Field(description="replay or discard")


class LettersChosen(BaseModel):
    """Which dead letters; all that is given must hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    all: bool = Field(default=False, description="Must be true where there is no filter")
    subscription: str | None = Field(None, description="Of this subscription")
    type: list[str] = Field(
        default_factory=list,
        description="Of events of these types, exact or such as `job.*`",
        max_length=100,
    )
    project: list[str] = Field(
        default_factory=list, description="Of events of these projects", max_length=100
    )
    since: str | None = Field(None, description="Given up at or after this moment")
    until: str | None = Field(None, description="Given up before this moment")
    contains: str | None = Field(None, description="With this text in an error or an answer")
    dry_run: bool = Field(default=False, description="Only count them")
    after: str | None = Field(None, description="Go on from here: `after` of the answer before")


class LettersDecided(BaseModel):
    """What was decided about many dead letters."""

    count: int = Field(description="How many")
    dry_run: bool = Field(description="Whether they were only counted")
    after: str | None = Field(
        None, description="Where there are more: send the same again with this; null at the end"
    )


_WORD = {"type": "string"}
_FILTERS = [
    parameter("subscription", "Of this subscription", _WORD),
    parameter("type", "Of events of this type, exact or such as `job.*`", _WORD, several=True),
    parameter("project", "Of events of this project", _WORD, several=True),
    parameter("since", "Given up at or after this moment", {**_WORD, "format": "date-time"}),
    parameter("until", "Given up before this moment", {**_WORD, "format": "date-time"}),
    parameter("contains", "With this text in an error or an answer", _WORD),
    LIMIT,
    parameter(
        "after",
        "Only those past this id, as `next` says",
        {**_WORD, "pattern": "^([^/]+/[0-9]{1,18})?$"},
    ),
]
_KNOWN = tuple(each["name"] for each in _FILTERS)

_ONE: dict[int | str, dict[str, Any]] = {404: PROBLEM, 422: PROBLEM}
_MANY: dict[str, Any] = {
    "response_model": LettersDecided,
    "responses": {408: PROBLEM, 413: PROBLEM, 422: PROBLEM},
    "openapi_extra": described(LettersChosen),
}


@router.get(
    "/dead-letters",
    response_model=DeadLettersResponse,
    responses={422: PROBLEM},
    openapi_extra={"parameters": _FILTERS},
)
def list_dead_letters(request: Request, response: Response, _: Admin) -> dict[str, Any]:
    """The events that were given up, by subscription and position."""
    params = asked(request)
    ensure_known(params, _KNOWN)
    since, until = once(params, "since"), once(params, "until")
    choice = Choice(
        once(params, "subscription"),
        tuple(value for name, value in params if name == "type"),
        tuple(value for name, value in params if name == "project"),
        None if since is None else moment("since", since),
        None if until is None else moment("until", until),
        once(params, "contains"),
    )
    limit, after = limit_of_page(once(params, "limit")), once(params, "after") or ""
    found = page(service_of(request).store, choice, after, limit, _MOST_LOOKED_AT)
    link = next_link(request, found.after, backwards=False)
    response.headers.update(link_header(link))
    return {"dead_letters": [said(each.letter) for each in found.kept], "next": link}


@router.post("/dead-letters/replay", **_MANY)
async def replay_dead_letters(request: Request, _: Admin) -> LettersDecided:
    """Have many handled again, with all their attempts; 10,000 a request."""
    return await _decide_many(request, REPLAY)


@router.post("/dead-letters/discard", **_MANY)
async def discard_dead_letters(request: Request, _: Admin) -> LettersDecided:
    """Let many go; 10,000 a request. Their events stay."""
    return await _decide_many(request, DISCARD)


@router.get(
    "/dead-letters/{subscription}/{position}", response_model=DeadLetterInfo, responses=_ONE
)
def get_dead_letter(
    request: Request, subscription: Subscription, position: Position, _: Admin
) -> dict[str, Any]:
    """One dead letter, with its event if that is still there."""
    ensure_known(asked(request), ())
    store = service_of(request).store
    letter = letter_called(store, f"{subscription}/{position}")
    event = event_of(store, letter)
    return {**said(letter), "event": None if event is None else item(event)}


@router.post(
    "/dead-letters/{subscription}/{position}/replay", response_model=LetterDecided, responses=_ONE
)
def replay_dead_letter(
    request: Request, subscription: Subscription, position: Position, _: Admin
) -> LetterDecided:
    """Have one handled again, with all its attempts."""
    return _decide_one(request, f"{subscription}/{position}", REPLAY)


@router.post(
    "/dead-letters/{subscription}/{position}/discard", response_model=LetterDecided, responses=_ONE
)
def discard_dead_letter(
    request: Request, subscription: Subscription, position: Position, _: Admin
) -> LetterDecided:
    """Let one go; where it held up its aggregate, what came after it goes on."""
    return _decide_one(request, f"{subscription}/{position}", DISCARD)


def _decide_one(request: Request, name: str, what: str) -> LetterDecided:
    ensure_known(asked(request), ())
    decide(service_of(request).store, name, what)
    return LetterDecided(id=name, decided=what)


async def _decide_many(request: Request, what: str) -> LettersDecided:
    chosen = await asked_body(request, LettersChosen)
    choice = Choice(
        chosen.subscription,
        tuple(chosen.type),
        tuple(chosen.project),
        None if chosen.since is None else moment("since", chosen.since),
        None if chosen.until is None else moment("until", chosen.until),
        chosen.contains,
    )
    if chosen.all == (choice != Choice()):
        raise InvalidQuery(
            f"say which dead letters to {what}: by a filter such as subscription, type, since or "
            f'contains, or with "all": true, but not both'
        )
    store = service_of(request).store
    count, after = await asyncio.to_thread(_decided, store, choice, what, chosen)
    return LettersDecided(count=count, dry_run=chosen.dry_run, after=after)


def _decided(
    store: Store, choice: Choice, what: str, chosen: LettersChosen
) -> tuple[int, str | None]:
    after = chosen.after or ""
    dry = chosen.dry_run
    steps = counted(store, choice, after) if dry else decided(store, choice, what, after)
    *_, last = islice(steps, _PAGES)
    return last
