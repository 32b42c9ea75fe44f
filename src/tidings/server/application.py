"""The app: every request admitted, found its route, and answered, errors included.

A FastAPI app whose hot routes are looked up in a table first (`calls`). Whoever asks is admitted by
`guard` before anything else runs (promise 6), and every error leaves as a problem (promise 5). What
routes do stands in `routes/`; the process around the app is `serving`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from time import perf_counter

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from tidings.errors import TidingsError
from tidings.server.adopting import adopt
from tidings.server.calls import Call, Disconnected
from tidings.server.config import get_config
from tidings.server.draining import ending_signals_call
from tidings.server.ingest.operations import SCHEMAS
from tidings.server.openapi import document
from tidings.server.problems import PROBLEM_TYPE, Problem, problem_of
from tidings.server.routes import BARE, ROUTERS
from tidings.server.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, MutableMapping
    from typing import Any

    from fastapi.routing import APIRoute
    from starlette.requests import Request

    from tidings.server.calls import BareRoute
    from tidings.server.config import APIServerConfig

__all__ = ["Application", "create_app"]

_log = logging.getLogger("tidings.server")

_CUT_OFF = Problem(
    503,
    "stopping",
    "this server stopped before the request was answered; whether anything was kept is not known: "
    "send the same again (same ids)",
    headers=(("retry-after", "1"), ("connection", "close")),
)

_TABLE: dict[str, dict[str, BareRoute]] = {}
for _route in BARE:
    _TABLE.setdefault(_route.path, {})[_route.method] = _route


class Application(FastAPI):
    """An ASGI app that serves one store.

    Args:
        config: how, or what says so when the app starts; left out, that is `get_config`.
    """

    def __init__(
        self, config: APIServerConfig | Callable[[], APIServerConfig] = get_config
    ) -> None:
        super().__init__(
            lifespan=_lifespan,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            generate_unique_id_function=_operation_id,
            exception_handlers={
                RequestValidationError: _answer_error,
                HTTPException: _answer_error,
                TidingsError: _answer_error,
                Exception: _answer_failure,
            },
        )
        self._config = config
        self._service: Service | None = None
        for router in ROUTERS:
            self.include_router(router)

    @property
    def service(self) -> Service:
        """What the running server holds; made by the first request where nothing started it."""
        if self._service is None:
            config = self._config() if callable(self._config) else self._config
            self.title, self.description = config.title, config.description
            self.version, self.root_path = config.version, config.root_path
            self.openapi_schema = None
            self._service = Service(config)
        return self._service

    async def stop(self) -> None:
        """Let go of everything; the next request starts anew."""
        service, self._service = self._service, None
        if service is not None:
            await service.close()

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, bare routes included."""
        if not self.openapi_schema:
            self.openapi_schema = document(self, BARE, SCHEMAS)
        return self.openapi_schema

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or run the app's lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            service = self.service
        except TidingsError as error:
            # Nothing started the app, and now it cannot: told as any other error, not as a trace.
            await _fail(Call(scope, receive, send, None), error)  # type: ignore[arg-type]  # there is none
            return
        call = Call(scope, receive, send, service)
        if self.root_path:
            scope["root_path"] = self.root_path
        started = perf_counter()
        try:
            await self._answer(call)
        except Disconnected:
            pass  # Nobody is left to be told.
        except asyncio.CancelledError:
            if not call.service.draining:
                raise
            # The grace is over (`serving`): uvicorn would log a traceback and answer a bare 500.
            if call.status == 0:
                await _fail(call, _CUT_OFF)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must be told
            await _fail(call, error)
        finally:
            self._measure(call, perf_counter() - started)

    async def _answer(self, call: Call) -> None:
        scope = call.scope
        preflight = await _admit(call)
        if preflight is not None:
            status, headers = preflight
            await call.send({"type": "http.response.start", "status": status, "headers": headers})
            await call.send({"type": "http.response.body", "body": b""})
            return
        path = scope["path"]
        if self.root_path and path.startswith(f"{self.root_path}/"):
            path = path[len(self.root_path) :]
        route = _TABLE.get(path, {}).get(scope["method"])
        if route is None:
            await self._answer_by_fastapi(call)
            return
        scope["route"] = route
        if route.scope:
            call.caller.require(route.scope)
        await route.handler(call)

    async def _answer_by_fastapi(self, call: Call) -> None:
        if call.scope["method"] != "HEAD":
            await super().__call__(call.scope, call.receive, call.send)
            return
        # FastAPI's routes know no HEAD, which is GET without the body (RFC 9110, section 9.3.2).
        call.scope = {**call.scope, "method": "GET"}

        async def send_head(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await call.send(message)

        await super().__call__(call.scope, call.receive, send_head)

    def _measure(self, call: Call, seconds: float) -> None:
        # Of what is not there the path is the client's invention, and would be a series of its own.
        route = getattr(call.scope.get("route"), "path", None) or "other"
        call.service.metrics.request(route, call.scope["method"], call.status, seconds)


async def _admit(call: Call) -> tuple[int, list[tuple[bytes, bytes]]] | None:
    """Have the guard look at a request.

    Returns:
        The answer, where a browser asks what a page may do.

    Raises:
        Problem: it is not let in.
    """
    guard, scope = call.service.guard, call.scope
    try:
        admission = guard.admit(scope)
        if admission.pending is not None:
            admission = await admission.pending()
    except Exception:  # also a ledger that is away: that answer has the headers of every other
        call.added = guard.headers_for(scope)
        call.request_id = scope["tidings.request_id"]
        raise
    call.caller, call.request_id = admission.caller, admission.request_id
    call.added = admission.headers
    return admission.preflight


async def _fail(call: Call, error: Exception) -> None:
    """Tell the client of an error, and the log of one that is our own fault."""
    problem = problem_of(error)
    where = {"request_id": call.request_id}
    line = f"{call.scope['method']} {call.scope['path']!r}: {error.__cause__ or error}"
    if problem.status == 500:
        _log.error(line, exc_info=error, extra=where)
    elif problem.status == 503:
        _log.warning(line, extra=where)
    if call.status == 0:
        headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in problem.headers]
        await call.answer(problem.status, problem.body(call.request_id), PROBLEM_TYPE, headers)


def create_app(
    config: APIServerConfig | Callable[[], APIServerConfig] | None = None,
) -> Application:
    """An app for any ASGI server.

    Args:
        config: how it serves, or what says so when the app starts; none for `get_config`.
    """
    return Application(config or get_config)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    assert isinstance(app, Application)  # noqa: S101 - only an Application has this lifespan
    service = app.service
    await asyncio.to_thread(adopt, service.config, service.store)
    service.start()
    try:
        with ending_signals_call(service.drain):
            yield
    finally:
        await app.stop()


def _operation_id(route: APIRoute) -> str:
    """The name of a route in the OpenAPI document, from which clients are generated."""
    return route.name


async def _answer_error(request: Request, error: Exception) -> Response:
    """The answer for what a client did wrong in one of FastAPI's routes."""
    if isinstance(error, RequestValidationError):
        problem = _refused(error)
    elif isinstance(error, HTTPException):
        problem = _told(request, error)
    else:
        problem = problem_of(error)
        if problem.status >= 500:
            raise error  # so that it is logged where all are; `_answer_failure` answers it
    return _response(request, problem)


async def _answer_failure(request: Request, error: Exception) -> Response:
    """The answer for what went wrong here; Starlette then raises it on, to be logged."""
    return _response(request, problem_of(error))


def _response(request: Request, problem: Problem) -> Response:
    body = problem.body(request.scope.get("tidings.request_id", ""))
    return Response(body, problem.status, dict(problem.headers), PROBLEM_TYPE)


def _refused(error: RequestValidationError) -> Problem:
    """A request that does not fit its route's declared shape."""
    errors = [
        {"field": ".".join(map(str, each["loc"][1:])) or "body", "message": each["msg"]}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
    return Problem(422, "invalid-request", detail, errors=errors)


def _told(request: Request, error: HTTPException) -> Problem:
    """What the router says: there is no such path, or not with this method."""
    path = request.scope["path"].removeprefix(request.app.root_path)
    methods = {*_TABLE.get(path, ()), *_methods_of(request)}
    if methods and request.method not in methods:
        allowed = ", ".join(sorted(methods))
        detail = f"this path answers {allowed} only"
        return Problem(405, "method-not-allowed", detail, headers=(("allow", allowed),))
    if error.status_code == 404:
        return Problem(404, "no-such-path", "there is nothing here; GET / lists what there is")
    return Problem(error.status_code, "refused", str(error.detail))


def _methods_of(request: Request) -> set[str]:
    """The methods FastAPI's routes answer on a path; what an error says is the first route's."""
    return {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.router.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
