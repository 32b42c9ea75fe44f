"""The way in: `/` says what there is, to people by their page and to programs by JSON.

`/ui/` is the dashboard. All addresses are relative, so they hold behind a proxy with any prefix.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, RedirectResponse, Response

from tidings.server import docs_page
from tidings.server.dashboard_files import DashboardFiles
from tidings.server.service import service_of

__all__ = ["router"]

router = APIRouter()
router.include_router(docs_page.router)

_FILES = DashboardFiles()


class RootResponse(BaseModel):
    """What the server is, and where to go on."""

    name: str = Field(description="What it calls itself")
    version: str = Field(description="Its version")
    description: str = Field(description="One sentence more")
    endpoints: dict[str, str] = Field(description="Where to go on")


@router.get(
    "/",
    tags=["server"],
    response_model=RootResponse,
    responses={303: {"description": "To the page for people, for those who accept HTML"}},
)
async def root(request: Request) -> Response:
    """What this server is, and where to go on."""
    vary = {"vary": "accept"}
    if _accepts_html(request.headers.get("accept", "")):
        return RedirectResponse(f"{_base(request)}ui/", status_code=303, headers=vary)
    config = service_of(request).config
    about = RootResponse(
        name=config.title,
        version=config.version,
        description=config.description,
        endpoints={
            "events": f"{config.root_path}/events",
            "health": f"{config.root_path}/health",
            "docs": f"{config.root_path}/docs",
            "openapi": f"{config.root_path}/openapi.json",
        },
    )
    return JSONResponse(about.model_dump(), headers=vary)


@router.get("/ui", include_in_schema=False)
async def page_without_slash(request: Request) -> Response:
    """Sends on to the page: its addresses are relative to `/ui/`."""
    return RedirectResponse(f"{_base(request)}ui/", status_code=307)


@router.get("/ui/{path:path}", include_in_schema=False)
async def page(request: Request, path: str) -> Response:
    """The dashboard, and its files."""
    return await _FILES.answer(request, path)


def _accepts_html(accept: str) -> bool:
    """Whether HTML is asked for by name; curl's and a program's `*/*` does not."""
    named = (each.partition(";")[0].strip().lower() for each in accept.split(","))
    return "text/html" in named


def _base(request: Request) -> str:
    """What stands before our paths in a redirect: the prefix we were told of, else nothing."""
    root = request.scope.get("root_path", "")
    return f"{root}/" if root else ""
