"""The MCP server: AI agents emit, read, wait and look (extra `mcp`).

    access       what a client may do; on HTTP its key decides, on stdio it may do all
    making       the server of the SDK with our tools and resources
    seed_tools   the tools of eventuali-mcp-server, by its names; seed_events, what they emit
    tools        our own beside them; pages and waiting, what they read and wait for
    calling      how each is called; arguments, shapes and schemas say what goes in and comes out,
                 admitting who may, emitting how an event is kept, telling what went wrong
    resources    what can be read by an address, and who is told when it changes
    serving      over stdio; and as an ASGI app, which the server shows at `/mcp`

Every tool calls the same bus verbs as the command line and the server; none knows a backend. Keeps
promise 5 towards models: an error says what was wrong and what to do, and a store that is away is
an error, never an empty answer.
"""

from __future__ import annotations

__all__: list[str] = []
