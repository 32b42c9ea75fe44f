"""The MCP server of eventuali-mcp-server, on a Tidings server: `mcp`, its tools, and its command.

Tools and resources are those of `tidings.mcp_server`; they act on the event server at
`EVENT_API_URL`, which must be Tidings (`eventuali-api-server` of `tidings-dropins`, or `tidings
serve`). What could not be emitted is told and not spooled: what waits in the spool goes to the
user's own store, which is not this server's.
"""

from __future__ import annotations

import os
import stat
import sys

from mcp.server.mcpserver.exceptions import ToolError

from eventuali_mcp_server.api_server import ApiServer
from eventuali_mcp_server.client import EventAPIClient
from eventuali_mcp_server.models import (
    AgentEventRequest,
    CompleteAgentRequest,
    CompleteWorkflowRequest,
    EventResponse,
    EventsResponse,
    GetEventsRequest,
    StartAgentRequest,
    StartWorkflowRequest,
    SystemEventRequest,
    WorkflowEventRequest,
)
from tidings.errors import InvalidSetting, TidingsError, shorten
from tidings.masking import masked
from tidings.mcp_server.access import OWN_PROCESS, HttpDoor
from tidings.mcp_server.making import Ground, LazyBus, create_mcp
from tidings.mcp_server.serving import http_app, run_stdio
from tidings.server.origins import is_loopback
from tidings.store.remote.address import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import BaseModel

    from tidings.mcp_server.access import Door
    from tidings.mcp_server.making import Server

__all__ = [
    "complete_agent",
    "complete_workflow",
    "emit_agent_event",
    "emit_system_event",
    "emit_workflow_event",
    "get_events",
    "main",
    "mcp",
    "start_agent",
    "start_workflow",
]

_DEADLINE = 10.0
"""How long an emit may take; a model has more patience than a job (seconds)."""

_GRACE_SECONDS = 3

HELP = """\
Usage: eventuali-mcp-server

The MCP server of eventuali-mcp-server, on Tidings. A client that starts it speaks with it over
stdio; started by hand (from a terminal, or with </dev/null) it listens for HTTP.

  EVENT_API_URL      the event server, a Tidings one; http://127.0.0.1:8765
  START_API_SERVER   true: start that server where none answers, and end it at the end; false
  MCP_HOST           where to listen, on this machine; 127.0.0.1
  MCP_PORT           the port; 3333
  TIDINGS_KEY        what an event server with keys is shown"""


def _url() -> str:
    return os.environ.get("EVENT_API_URL") or "http://127.0.0.1:8765"


def _made(door: Door) -> Server:
    bus = LazyBus(_url(), spooling=False, deadline=_DEADLINE)
    return create_mcp(Ground(bus, ("eventuali", "tidings"), door), "eventuali-mcp")


mcp = _made(OWN_PROCESS)
"""The server of the SDK, for `EVENT_API_URL` as it was when this was imported."""


# Tools, to be called from Python ----------------------------------------------------------------


async def emit_agent_event(request: AgentEventRequest) -> EventResponse:
    """Say that something happened to an agent, as `agent.<agent_name>.<event_name>`.

    Like every function here that emits, it answers with `success=False` where nothing was kept.
    """
    return await _emitted("emit_agent_event", request)


async def start_agent(request: StartAgentRequest) -> EventResponse:
    """Say that an agent begins, as `agent.<agent_name>.started`."""
    return await _emitted("start_agent", request)


async def complete_agent(request: CompleteAgentRequest) -> EventResponse:
    """Say that an agent ends, as `agent.<agent_name>.completed` or `.failed`."""
    return await _emitted("complete_agent", request)


async def emit_workflow_event(request: WorkflowEventRequest) -> EventResponse:
    """Say that something happened to a workflow, as `workflow.<event_name>`."""
    return await _emitted("emit_workflow_event", request)


async def start_workflow(request: StartWorkflowRequest) -> EventResponse:
    """Say that a workflow begins, as `workflow.started`."""
    return await _emitted("start_workflow", request)


async def complete_workflow(request: CompleteWorkflowRequest) -> EventResponse:
    """Say that a workflow ends, as `workflow.completed` or `workflow.failed`."""
    return await _emitted("complete_workflow", request)


async def emit_system_event(request: SystemEventRequest) -> EventResponse:
    """Say that something happened to the system, as `system.<event_name>`."""
    return await _emitted("emit_system_event", request)


async def get_events(request: GetEventsRequest) -> EventsResponse:
    """The events that match, newest first.

    Raises:
        httpx.HTTPError: the event server cannot be reached; the original gives an empty list.
    """
    async with EventAPIClient(_url()) as client:
        return await client.get_events(
            request.limit,
            request.offset,
            request.event_type,
            aggregate_type=request.aggregate_type,
        )


async def _emitted(tool: str, request: BaseModel) -> EventResponse:
    try:
        result = await mcp.call_tool(tool, {"request": request.model_dump()})
    except ToolError as error:
        return EventResponse(success=False, message=str(error))
    return EventResponse.model_validate(result.model_dump()["structured_content"])


# The command ------------------------------------------------------------------------------------


def main() -> None:
    """The command `eventuali-mcp-server`; it serves until whoever started it ends it."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(f"{HELP}\n")
        return
    try:
        _serve()
    except TidingsError as error:
        _say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


def _serve() -> None:
    _ensure_usable(_url())
    listens = None if _is_spoken_to() else _address()
    beside = _beside()
    try:
        if beside is not None:
            beside.start()
        if listens is None:
            run_stdio(mcp)
        else:
            _serve_http(*listens)
    finally:
        if beside is not None:
            beside.close()


def _serve_http(host: str, port: int) -> None:
    import uvicorn  # Most are started by clients, and need no web server.

    shown = f"[{host}]" if ":" in host else host
    _say(f"MCP at http://{shown}:{port}/mcp, for the events at {masked(_url())}")
    uvicorn.run(
        http_app(_made(HttpDoor())),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _ensure_usable(url: str) -> None:
    """Tell at once what each tool would tell otherwise.

    Raises:
        InvalidSetting: it is no URL of a server.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InvalidSetting(f"EVENT_API_URL {shorten(masked(url))} must be http://host:port")
    try:
        Address.from_url(url)
    except InvalidSetting as error:
        raise InvalidSetting(f"EVENT_API_URL: {error}") from None


def _is_spoken_to() -> bool:
    """Whether a client may hold the other end of the standard input: a terminal is none.

    What `MCP_PORT` says does not count here, because clients set it as well, and expect stdio.
    """
    try:
        return not stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)  # It is closed; no socket must be given its number.
        return False


def _address() -> tuple[str, int]:
    """Where to listen.

    Raises:
        InvalidSetting: there is no such place, or it can be reached from other machines.
    """
    host = os.environ.get("MCP_HOST") or "127.0.0.1"
    port = os.environ.get("MCP_PORT") or "3333"
    if not (port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise InvalidSetting(f"MCP_PORT {shorten(port)} must be a port from 1 to 65535")
    if not is_loopback(host):
        raise InvalidSetting(
            f"MCP_HOST {shorten(host)} can be reached from other machines, and this command knows "
            f"no keys, so anybody could read and emit; leave it at 127.0.0.1, and for others let "
            f"the event server itself show MCP: `tidings serve` with keys does, at /mcp"
        )
    return host, int(port)


def _beside() -> ApiServer | None:
    """The event server that is to be started, if any."""
    if os.environ.get("START_API_SERVER", "").lower() not in ("true", "1", "yes", "on"):
        return None
    server = ApiServer.at(_url())
    if server is None:
        _say(f"START_API_SERVER: {masked(_url())} is not on this machine, so nothing is started")
    return server


def _say(text: str) -> None:
    sys.stderr.write(f"eventuali-mcp-server: {text}\n")


if __name__ == "__main__":  # as some clients have it in their configuration
    main()
