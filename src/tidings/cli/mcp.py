"""`tidings mcp`: the MCP server, for a client that starts it and speaks over stdio.

It says what to open and leaves the rest to `tidings.mcp_server`. What waits in the spool is moved
into the default store now and then, as the HTTP server does it: an agent asks for what it emitted.
"""

from __future__ import annotations

import sys

from tidings.cli.command import Command
from tidings.cli.exit_codes import DONE
from tidings.cli.opening import is_default
from tidings.cli.show import say
from tidings.errors import MissingExtra, StoreUnavailable, TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.mcp_server.making import LazyBus

__all__ = ["COMMANDS"]

_COLLECT_SECONDS = 10.0


def _mcp(given: Given) -> int:
    try:
        from tidings.mcp_server.making import Ground, LazyBus, create_mcp
        from tidings.mcp_server.serving import run_stdio
    except ImportError as error:
        raise MissingExtra("the MCP server", "mcp") from error
    if sys.stdin is not None and sys.stdin.isatty():
        say("an MCP client starts this and speaks to it; Ctrl-D ends it. See tidings mcp --help")
    bus = LazyBus(given["url"])
    try:
        bus()
    except StoreUnavailable as error:
        # It may be there when a tool needs it, and emits wait in the spool until then.
        say(f"the store cannot be opened now: {error}")
    beside = (lambda: _collect(bus)) if is_default(given) else None
    run_stdio(create_mcp(Ground(bus)), beside)
    return DONE


async def _collect(bus: LazyBus) -> None:
    """Move what waits in the spool into the store, now and from time to time."""
    import asyncio

    while True:
        try:
            opened = bus().bus
            if opened.spool.waiting():
                await asyncio.to_thread(opened.collect)
        except TidingsError:
            pass  # It goes on waiting; tools that need the store say why.
        await asyncio.sleep(_COLLECT_SECONDS)


COMMANDS = (
    Command(
        "mcp",
        "serve AI agents over stdio (MCP), until the client leaves",
        (),
        (),
        _mcp,
        details="""\
An MCP client starts it; nobody types into it. Logs go to the standard error. For example:

  claude mcp add tidings -- tidings mcp
  claude mcp add --transport http tidings http://127.0.0.1:8765/mcp    (a server: tidings serve)

Its store is that of every command: --url, TIDINGS_URL, else ~/.tidings/events.db; with
http://host:8765 that of a server (TIDINGS_KEY). It ends when its input ends, and at SIGTERM.""",
    ),
)
