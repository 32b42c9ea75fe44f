"""The page at `/docs`: every route, to be read and tried out, without any other host.

Swagger UI comes from the wheel of fastapi-offline: that project keeps it current, and ours carries
no copy. Its page is not used, because it starts Swagger UI by a script in the HTML, which a strict
Content-Security-Policy forbids; ours names files only. All addresses are relative, so the page
works behind a proxy with any prefix.
"""

from __future__ import annotations

import os
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from tidings.errors import shorten
from tidings.server.problems import Problem

__all__ = ["CONTENT_POLICY", "router"]

router = APIRouter(include_in_schema=False)

CONTENT_POLICY = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'"
"""What a browser may load for our pages: what comes from here. Source: CSP Level 3."""

# Swagger UI carries its icons in its style sheet, and sets styles of its own.
_POLICY = f"{CONTENT_POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidings: the HTTP interface</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon.png">
</head>
<body>
<div id="routes">The routes are also in <a href="openapi.json">openapi.json</a>.</div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#routes",
  deepLinking: true,
  validatorUrl: null,
});
"""


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/docs/")
async def docs_with_slash() -> Response:
    """Sends on to the page: its addresses are relative to `/docs`."""
    return RedirectResponse("../docs", status_code=307)


@router.get("/docs/start.js")
async def start() -> Response:
    """What starts Swagger UI."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _ASSETS:
        raise Problem(404, "no-such-path", f"/docs has no file {shorten(name)}")
    path = os.path.join(str(files("fastapi_offline")), "static", name)
    return FileResponse(path, headers={"cache-control": "max-age=86400"})
