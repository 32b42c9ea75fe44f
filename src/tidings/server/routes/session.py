"""`/session`: a browser trades its key for a cookie, asks who it is, and lets go of it.

Keeps promise 6: the key is neither in a URL nor in an answer, nor in an error. The body is read by
hand, because a validation error would show what was sent.
"""

from __future__ import annotations

import asyncio
from json import loads
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import JSONResponse, Response

from tidings.server.access import Caller, caller_with, needs, unauthorized
from tidings.server.calls import BODY_SECONDS, too_slow
from tidings.server.openapi import PROBLEM
from tidings.server.problems import Problem
from tidings.server.service import Service, service_of
from tidings.server.sessions import session_cookie, session_id_of

__all__ = ["router"]

_MOST_BYTES = 4096

router = APIRouter(tags=["session"])
_Caller = Annotated[Caller, Depends(needs(""))]
_Service = Annotated[Service, Depends(service_of)]

_WHO: dict[str, Any] = {
    "type": "object",
    "required": ["keys", "authenticated", "name", "scopes", "projects"],
    "properties": {
        "keys": {"type": "boolean", "description": "Whether this server asks for keys."},
        "authenticated": {"type": "boolean", "description": "Whether a key is known."},
        "name": {"type": "string", "description": "Of the key."},
        "scopes": {"type": "array", "items": {"type": "string"}},
        "projects": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "The only projects one may see and emit for; null for all.",
        },
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Who one is.", "content": {"application/json": {"schema": _WHO}}}
}
_HOW = 'send the key as `Authorization: Bearer tid_…` or as JSON: {"key": "tid_…"}'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["key"],
                    "properties": {"key": {"type": "string"}},
                }
            }
        },
    }
}


@router.get("/session", responses=_ANSWERS, response_class=JSONResponse)
async def who(request: Request, caller: _Caller, service: _Service) -> Response:
    """Say who one is, and whether this server asks for keys."""
    return _who(request, caller, service)


@router.post(
    "/session",
    responses={**_ANSWERS, 422: PROBLEM},
    response_class=JSONResponse,
    openapi_extra=_BODY,
)
async def begin(request: Request, caller: _Caller, service: _Service) -> Response:
    """Trade a key (`Authorization: Bearer`, or `{"key": …}`) for a session's cookie."""
    key = service.keys.known(caller.key_id)
    if key is None:
        body = await _body(request)
        if not body:
            raise unauthorized(_HOW)
        token = _token_in(body)
        key = service.keys.check(token)
        if key is None:
            address = request.client.host if request.client else ""
            service.limits.may_try(address)
            key = await asyncio.to_thread(service.keys.check_anew, token)
            if key is None:
                service.limits.failed(address)
                raise unauthorized("the key given is not known: it was revoked or has expired")
    session_id = await asyncio.to_thread(service.sessions.begin, key)
    answer = _who(request, caller_with(key), service)
    answer.headers["set-cookie"] = _cookie(request, session_id)
    return answer


@router.delete("/session", status_code=204, response_class=Response)
async def end(request: Request, caller: _Caller, service: _Service) -> Response:
    """End the session; without one there is nothing to do."""
    session_id = session_id_of(request.headers.get("cookie", ""))
    if session_id and caller.key_id:
        await asyncio.to_thread(service.sessions.end, session_id)
    return Response(status_code=204, headers={"set-cookie": _cookie(request, "")})


def _who(request: Request, caller: Caller, service: Service) -> Response:
    return JSONResponse(
        {
            "keys": service.guard.needs_key(request.scope),
            "authenticated": bool(caller.key_id),
            "name": caller.name,
            "scopes": sorted(caller.scopes),
            "projects": None if caller.projects is None else sorted(caller.projects),
        }
    )


def _cookie(request: Request, session_id: str) -> str:
    path = request.scope.get("root_path", "")
    return session_cookie(session_id, path=path, secure=request.url.scheme == "https")


async def _body(request: Request) -> bytes:
    parts = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                parts += chunk
                if len(parts) > _MOST_BYTES:
                    raise Problem(413, "too-large", f"a key takes less than {_MOST_BYTES:,} bytes")
    except TimeoutError:
        raise too_slow() from None
    return parts


def _token_in(body: bytes) -> str:
    """The key in a body.

    Raises:
        Problem: 422 where there is none; it does not show what was sent.
    """
    try:
        value = loads(body)
    except (ValueError, RecursionError):
        value = None
    key = value.get("key") if isinstance(value, dict) else None
    if not isinstance(key, str):
        raise Problem(
            422,
            "invalid-request",
            _HOW,
            errors=[{"field": "key", "message": "must be a string"}],
        )
    return key
