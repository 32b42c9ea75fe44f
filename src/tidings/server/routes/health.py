"""`/health`: whether the server can serve, for load balancers, systemd and people.

`/health/` and `/health/database` are those of eventuali-api-server 0.2.2, which answer 200 and say
in the body how things stand; a store that is away makes them 503 here, so that `curl -f` and load
balancers understand it too. Beside them the usual pair: *live* (start me anew if not) and *ready*
(send me nothing if not). None needs a key or waits for a store that hangs (`tidings.server.probe`).
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from tidings.server.models import HealthResponse
from tidings.server.openapi import PROBLEM
from tidings.server.problems import PROBLEM_TYPE, Problem
from tidings.server.service import Service, service_of
from tidings.timestamps import format_instant, now_instant

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["health"])

_SERVED_BY = Depends(service_of)
_NOT_STORED = {"cache-control": "no-store"}


class DatabaseHealth(BaseModel):
    """Whether the store answers."""

    status: str = Field(description="healthy or unhealthy")
    timestamp: datetime = Field(description="When it was looked at")
    connected: bool = Field(description="Whether the store answers")


class State(BaseModel):
    """A state in one word."""

    status: str = Field(description="live, or ready")


@router.get("/", response_model=HealthResponse, responses={503: {"model": HealthResponse}})
@router.get("", include_in_schema=False, response_model=HealthResponse)
async def health(response: Response, service: Service = _SERVED_BY) -> dict[str, Any]:
    """Whether the server and its store are well."""
    well = await _look(response, service)
    return {
        "status": _word(well),
        "timestamp": format_instant(now_instant()),
        "api_connected": True,
        "database_connected": well,
    }


@router.get("/database", response_model=DatabaseHealth, responses={503: {"model": DatabaseHealth}})
async def database(response: Response, service: Service = _SERVED_BY) -> dict[str, Any]:
    """Whether the store answers."""
    well = await _look(response, service)
    return {
        "status": _word(well),
        "timestamp": format_instant(now_instant()),
        "connected": well,
    }


@router.get("/live", response_model=State)
async def live(response: Response) -> dict[str, str]:
    """Whether the process runs; a server that does not answer this one should be started anew."""
    response.headers.update(_NOT_STORED)
    return {"status": "live"}


@router.get("/ready", response_model=State, responses={503: PROBLEM})
async def ready(
    request: Request, response: Response, service: Service = _SERVED_BY
) -> Response | dict[str, str]:
    """Whether requests should be sent here: not while the server ends, nor without its store."""
    if service.draining:
        detail = "the server is about to end; ask another, or come back when it runs again"
        return _not_ready(request, Problem(503, "stopping", detail))
    if not await _look(response, service):
        detail = "the store does not answer; come back a little later"
        return _not_ready(request, Problem(503, "store-unavailable", detail))
    return {"status": "ready"}


def _not_ready(request: Request, problem: Problem) -> Response:
    # Answered, not raised: what a load balancer asks every second must not fill the log.
    body = problem.body(request.scope.get("tidings.request_id", ""))
    return Response(body, problem.status, {**_NOT_STORED, "retry-after": "1"}, PROBLEM_TYPE)


async def _look(response: Response, service: Service) -> bool:
    """Whether the store answers; the answer's status says so as well."""
    well = await service.upkeep.probe.store_answers()
    response.status_code = 200 if well else 503
    response.headers.update(_NOT_STORED)
    return well


def _word(well: bool) -> str:  # noqa: FBT001 - the only thing it goes by
    return "healthy" if well else "unhealthy"
