"""The routes, one file for each group; this is the list of them.

Bare routes are plain ASGI (see `tidings.server.calls`), the others FastAPI's.
"""

from __future__ import annotations

from tidings.server.live import BARE as LIVE
from tidings.server.mcp import BARE as MCP
from tidings.server.routes import (
    claude_code,
    dead_letters,
    emit,
    health,
    histogram,
    ingest,
    ledger,
    listing,
    log,
    metrics,
    otlp,
    overviews,
    root,
    session,
    subscriptions,
    tree,
    types,
    webhooks,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastapi import APIRouter

    from tidings.server.calls import BareRoute

__all__ = ["BARE", "ROUTERS"]

BARE: tuple[BareRoute, ...] = (
    *emit.BARE,
    *ingest.BARE,
    *otlp.BARE,
    *claude_code.BARE,
    *types.BARE,
    *LIVE,
    *log.BARE,
    *ledger.BARE,
    *MCP,
)

# In this order: `/events/types` is found before `/events/agents/{agent_id}` and the like.
ROUTERS: tuple[APIRouter, ...] = (
    root.router,
    health.router,
    metrics.router,
    session.router,
    types.router,
    tree.router,
    histogram.router,
    overviews.router,
    subscriptions.router,
    dead_letters.router,
    webhooks.router,
    listing.router,
)
