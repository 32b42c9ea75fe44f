"""What the routes of administrators share: who may ask, bodies, and the limits of pages.

Keeps promise 6: only the scope `admin` for all projects comes in, and a body is bounded in size and
in time, and read only once its sender is known. It knows no route.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from tidings.errors import InvalidQuery, shorten
from tidings.server.access import Caller, needs
from tidings.server.asking import read_whole
from tidings.server.calls import BODY_SECONDS, too_large, too_slow
from tidings.server.paging import asked, ensure_known
from tidings.server.parameters import MOST, parameter
from tidings.server.problems import Problem
from tidings.timestamps import parse_instant

if TYPE_CHECKING:
    from typing import TypeVar

    Model = TypeVar("Model", bound=BaseModel)

__all__ = ["LIMIT", "Admin", "asked_body", "described", "limit_of_page", "moment"]

LIMIT = parameter("limit", "At most so many", {"type": "integer", "minimum": 1, "maximum": MOST})
"""The parameter that says how much a page holds."""

_DEFAULT_LIMIT = 100

_LARGEST = 256 * 1024
"""The most that a body may take (bytes)."""


async def _admin(caller: Annotated[Caller, Depends(needs("admin"))]) -> Caller:
    caller.require_all_projects()
    return caller


Admin = Annotated[Caller, Depends(_admin)]
"""Who asks; refused unless they may administer all projects."""


def described(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What a route that reads its body by `asked_body` says of it, for `openapi_extra`.

    FastAPI would read one of any size, at any pace, before it asks who sends it.
    """
    schema = model.model_json_schema()
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


async def asked_body(request: Request, model: type[Model]) -> Model:
    """What a body says; an empty one says nothing.

    Raises:
        Problem: it is too large (413), too slow (408), or not what the model says (422).
        InvalidQuery: the URL has parameters.
    """
    ensure_known(asked(request), ())
    body = await _body(request)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        # Without what was sent: it may hold secrets.
        errors = [
            {"field": ".".join(map(str, each["loc"])) or "body", "message": each["msg"]}
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        raise Problem(422, "invalid-request", detail, errors=errors) from None


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                parts.append(chunk)
                size += len(chunk)
                if size > _LARGEST:
                    raise too_large(_LARGEST)
    except TimeoutError:
        raise too_slow() from None
    return b"".join(parts)


def limit_of_page(given: str | None) -> int:
    """How much a page may hold; 100 where nothing is said.

    Raises:
        InvalidQuery: what is asked for is nothing, or too much.
    """
    limit = _DEFAULT_LIMIT if given is None else read_whole("limit", given, MOST)
    if limit < 1:
        raise InvalidQuery(f"limit {limit} must be from 1 to {MOST}; follow `next` for more")
    return limit


def moment(name: str, text: str) -> int:
    """A moment (microseconds since 1970); without an offset it is UTC.

    Raises:
        InvalidQuery: it is none.
    """
    try:
        # A plus sign that was not escaped arrives as a space.
        return parse_instant(text.replace(" ", "+") if "T" in text else text, naive="utc")
    except (ValueError, OverflowError):
        raise InvalidQuery(
            f"{name} {shorten(text)} must be a moment such as 2026-01-01T12:00:00Z"
        ) from None
