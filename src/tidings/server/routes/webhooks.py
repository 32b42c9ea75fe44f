"""`/webhooks`: who is sent events over HTTP, and how that goes; for administrators of all projects.

Keeps promise 6: a secret is shown once, by who makes or rotates it, neither it nor a header's value
ever again, and nobody makes the server reach into its own network by a request: that a webhook may
lie in a private network is said where the store is, or by `TIDINGS_WEBHOOK_NETWORKS`. What a
webhook is stands in `tidings.delivery.webhooks`; the shell asks in the same words.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from tidings.delivery.webhooks.managing import Manager
from tidings.errors import InvalidQuery, InvalidSetting, shorten
from tidings.server.administering import (
    LIMIT,
    Admin,
    asked_body,
    described,
    limit_of_page,
    moment,
)
from tidings.server.asking import read_whole
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, link_header, next_link, once
from tidings.server.parameters import parameter
from tidings.server.service import service_of
from tidings.server.webhook_shapes import (
    AttemptsResponse,
    DeletedWebhook,
    MadeWebhook,
    NewWebhook,
    Replay,
    ReplayResponse,
    Resumption,
    Rotation,
    TestItem,
    WebhookChange,
    WebhookItem,
    WebhooksResponse,
)
from tidings.timestamps import parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["router"]

router = APIRouter(tags=["webhooks"])

_ABSENT: dict[int | str, dict[str, Any]] = {404: PROBLEM}
_REFUSED: dict[int | str, dict[str, Any]] = {408: PROBLEM, 413: PROBLEM, 422: PROBLEM}


@router.get(
    "/webhooks",
    response_model=WebhooksResponse,
    responses={**_ABSENT, 422: PROBLEM},
    openapi_extra={
        "parameters": [LIMIT, parameter("after", "Only those past this id", {"type": "string"})]
    },
)
def list_webhooks(request: Request, response: Response, _: Admin) -> dict[str, Any]:
    """The webhooks, the oldest first."""
    params = asked(request)
    ensure_known(params, ("limit", "after"))
    limit = limit_of_page(once(params, "limit"))
    found = _manager(request).webhooks(after=once(params, "after"), limit=limit + 1)
    shown = found[:limit]
    link = next_link(request, shown[-1]["id"] if len(found) > limit else None, backwards=False)
    response.headers.update(link_header(link))
    return {"webhooks": shown, "next": link}


@router.post(
    "/webhooks",
    status_code=201,
    response_model=MadeWebhook,
    responses=_REFUSED,
    openapi_extra=described(NewWebhook),
)
async def make_webhook(request: Request, response: Response, _: Admin) -> dict[str, Any]:
    """Make a webhook; its secret is shown this once."""
    wishes = await _asked(request, NewWebhook)
    _refuse_private(wishes)
    made = await asyncio.to_thread(_manager(request).create, wishes)
    response.headers["location"] = f"webhooks/{made['id']}"
    return made


@router.get("/webhooks/{webhook_id}", response_model=WebhookItem, responses=_ABSENT)
def get_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """One webhook, and how it fares."""
    ensure_known(asked(request), ())
    return _manager(request).get(webhook_id)


@router.patch(
    "/webhooks/{webhook_id}",
    response_model=WebhookItem,
    responses={**_ABSENT, **_REFUSED},
    openapi_extra=described(WebhookChange),
)
async def change_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Change a webhook; what is not named stays as it is."""
    wishes = await _asked(request, WebhookChange)
    _refuse_private(wishes)
    return await asyncio.to_thread(_changed, _manager(request), webhook_id, wishes)


@router.delete("/webhooks/{webhook_id}", response_model=DeletedWebhook, responses=_ABSENT)
def delete_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Delete a webhook with its attempts and dead letters."""
    ensure_known(asked(request), ())
    return _manager(request).delete(webhook_id)


@router.post(
    "/webhooks/{webhook_id}/rotate",
    response_model=MadeWebhook,
    responses={**_ABSENT, **_REFUSED},
    openapi_extra=described(Rotation, required=False),
)
async def rotate_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Give a webhook a new secret; messages are signed with both for a while."""
    wishes = await _asked(request, Rotation)
    return await asyncio.to_thread(lambda: _manager(request).rotate(webhook_id, **wishes))


@router.post("/webhooks/{webhook_id}/pause", response_model=WebhookItem, responses=_ABSENT)
def pause_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Send a webhook nothing until it is resumed; it goes on from where it was."""
    ensure_known(asked(request), ())
    return _manager(request).pause(webhook_id)


@router.post(
    "/webhooks/{webhook_id}/resume",
    response_model=WebhookItem,
    responses={**_ABSENT, **_REFUSED},
    openapi_extra=described(Resumption, required=False),
)
async def resume_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Go on with a webhook that was paused, or stopped by itself."""
    wishes = await _asked(request, Resumption)
    return await asyncio.to_thread(lambda: _manager(request).resume(webhook_id, **wishes))


@router.post("/webhooks/{webhook_id}/test", response_model=TestItem, responses=_ABSENT)
async def try_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Send a webhook a test at once, and tell how that went."""
    ensure_known(asked(request), ())
    return await service_of(request).delivering.test(webhook_id)


@router.get(
    "/webhooks/{webhook_id}/attempts",
    response_model=AttemptsResponse,
    responses={**_ABSENT, 422: PROBLEM},
    openapi_extra={
        "parameters": [
            LIMIT,
            parameter("failed", "Only those that failed", {"type": "boolean"}),
            parameter(
                "before", "Only those that `next` leads to", {"type": "integer", "minimum": 0}
            ),
        ]
    },
)
def list_attempts(
    request: Request, response: Response, webhook_id: str, _: Admin
) -> dict[str, Any]:
    """What a webhook was sent, the newest first."""
    params = asked(request)
    ensure_known(params, ("limit", "failed", "before"))
    limit, failed = limit_of_page(once(params, "limit")), once(params, "failed") or "false"
    if failed not in ("true", "false"):
        raise InvalidQuery(f"failed {shorten(failed)} must be true or false")
    before = once(params, "before")
    found = _manager(request).attempts(
        webhook_id,
        limit=limit + 1,
        failed=failed == "true",
        before=None if before is None else read_whole("before", before),
    )
    shown = found[:limit]
    last = parse_instant(shown[-1]["at"]) if len(found) > limit else None
    link = next_link(request, last, backwards=True)
    response.headers.update(link_header(link))
    return {"attempts": shown, "next": link}


@router.post(
    "/webhooks/{webhook_id}/replay",
    response_model=ReplayResponse,
    responses={**_ABSENT, **_REFUSED},
    openapi_extra=described(Replay),
)
async def replay_to_webhook(request: Request, webhook_id: str, _: Admin) -> dict[str, Any]:
    """Send a webhook an event once more, or all since a moment, or all that were given up."""
    wishes = await _asked(request, Replay)
    if isinstance(wishes.get("since"), str):
        wishes["since"] = moment("since", wishes["since"])
    return await asyncio.to_thread(lambda: _manager(request).replay(webhook_id, **wishes))


# What was asked -----------------------------------------------------------------------------------


def _manager(request: Request) -> Manager:
    return Manager(service_of(request).store)


async def _asked(request: Request, model: type[BaseModel]) -> dict[str, Any]:
    """What a body names."""
    return (await asked_body(request, model)).model_dump(exclude_unset=True)


def _changed(manager: Manager, webhook_id: str, wishes: dict[str, Any]) -> dict[str, Any]:
    private = "url" in wishes and wishes.get("allow_private") is not False
    if private and manager.get(webhook_id)["allow_private"]:
        raise InvalidSetting(
            "this webhook may lie in a private network, so its url is changed where the store is: "
            f"tidings webhooks change {webhook_id} URL; or give allow_private: false too"
        )
    return manager.change(webhook_id, wishes)


def _refuse_private(wishes: dict[str, Any]) -> None:
    """Let nobody have the server reach into its own network by a request.

    Raises:
        InvalidSetting: that is asked for.
    """
    if wishes.get("allow_private"):
        raise InvalidSetting(
            "allow_private cannot be set over HTTP: give --allow-private to `tidings webhooks` "
            "where the store is, or name the network in the server's TIDINGS_WEBHOOK_NETWORKS"
        )
