"""`GET /metrics`: what the server counts, for Prometheus (see `tidings.server.metrics`).

It tells of all projects, so a key that is bound to some may not read it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from tidings.errors import TidingsError
from tidings.server.access import Caller, needs
from tidings.server.service import Service, service_of

__all__ = ["router"]

router = APIRouter(tags=["metrics"])

_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "In Prometheus' text format", "content": _TEXT}},
)
def metrics(request: Request, caller: Annotated[Caller, Depends(needs("read"))]) -> Response:
    """What the server counts, in Prometheus' text format."""
    caller.require_all_projects()
    service = service_of(request)
    service.metrics.store_stands(*_store_and_spool(service))
    service.metrics.delivery.look(service.store)
    service.metrics.delivery.webhooks_stand(service.delivering.counts())
    body, content_type = service.metrics.told(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})


def _store_and_spool(service: Service) -> tuple[int | None, int | None, int | None]:
    """The store's head and size and the spool's depth, each as far as it can be told now."""
    try:
        facts = service.store.describe()
    except TidingsError:
        facts = {}  # The store is away: what it was stays, and /health says so.
    try:
        spooled = service.bus.bus.spool.waiting()
    except TidingsError:
        spooled = None
    return facts.get("head"), facts.get("size"), spooled
