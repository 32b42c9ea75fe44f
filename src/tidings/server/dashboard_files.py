"""The dashboard's files, as they were built into `static/` (see `dashboard/build.py`).

Files are served from that one directory and nowhere else. What has a hash of its content in its
name is never asked for again; the rest each time, and answered 304 while it is the same. What was
packed when it was built goes out packed to whoever unpacks it.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from tidings.server.docs_page import CONTENT_POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

__all__ = ["DashboardFiles"]

_BUILT = os.path.join(os.path.dirname(__file__), "static")
_HASHED = "assets/"
_FOR_GOOD = "public, max-age=31536000, immutable"

_NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tidings</title></head>
<body>
<h1>The dashboard is not built here</h1>
<p>In a checkout of Tidings <code>make run</code> builds it, or <code>make dashboard</code> alone;
an installed Tidings has it. Everything else works: <a href="../docs">the HTTP interface</a>.</p>
</body>
</html>
"""


class DashboardFiles(StaticFiles):
    """The files of a directory, for `/ui/`.

    Args:
        directory: where the dashboard was built.
    """

    def __init__(self, directory: str = _BUILT) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self._page = os.path.join(directory, "index.html")

    async def answer(self, request: Request, path: str) -> Response:
        """The answer to a request for a file; the empty path is the page.

        Raises:
            HTTPException: there is no such file.
        """
        if not path and not self._is_built():
            response: Response = HTMLResponse(_NOT_BUILT, 501)
        else:
            response = await self.get_response(path or ".", request.scope)
        response.headers["content-security-policy"] = CONTENT_POLICY
        hashed = path.startswith(_HASHED)
        response.headers["cache-control"] = _FOR_GOOD if hashed else "no-cache"
        return response

    def _is_built(self) -> bool:
        return os.path.exists(self._page)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """A file, packed where that is possible; 304 where the client has it."""
        packed = f"{os.fspath(full_path)}.gz"
        if os.path.exists(packed):
            if _unpacks(Headers(scope=scope)):
                return _packed(super().file_response(packed, os.stat(packed), scope, status_code))
            return _varied(super().file_response(full_path, stat_result, scope, status_code))
        response = FileResponse(full_path, status_code, stat_result=stat_result)
        # By its content: the times of files may be set to one moment when a package is made, and
        # two versions of the page have the same length.
        with open(full_path, "rb") as file:
            response.headers["etag"] = f'"{sha256(file.read()).hexdigest()[:32]}"'
        del response.headers["last-modified"]
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def _packed(response: Response) -> Response:
    if isinstance(response, FileResponse):
        response.headers["content-encoding"] = "gzip"
    return _varied(response)


def _varied(response: Response) -> Response:
    response.headers["vary"] = "accept-encoding"
    return response


def _unpacks(headers: Headers) -> bool:
    """Whether the client takes gzip: it is named, and not with a weight of zero."""
    for each in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False
