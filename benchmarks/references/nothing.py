"""An endpoint that does nothing: it reads no body, keeps nothing and answers the same each time.

What it takes is the server software alone, so nothing on the same software can be faster.
"""

from __future__ import annotations

from benchmarks.references.asgi import App, Receive, Scope, Send

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY = {"type": "http.response.body", "body": b"{}"}


def app(_directory: str) -> App:
    """The endpoint, at any path."""
    return _answer


async def _answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(_START)
    await send(_BODY)
