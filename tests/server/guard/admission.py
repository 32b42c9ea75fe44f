"""Requests as the app has them admitted, without an app around."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidings.server.access import CALLER, NOBODY
from tidings.server.config import APIServerConfig
from tidings.server.guard import Admission, Guard
from tidings.server.keys import KeyRing
from tidings.server.limits import Limits
from tidings.server.problems import Problem
from tidings.server.sessions import Sessions
from tidings.store.base import Store

HOST = (b"host", b"localhost:8765")
AFAR = "192.0.2.1"
FROM_EVIL = (b"origin", b"https://evil.example")
OWN = (b"origin", b"http://localhost:8765")


class Server:
    """A guard with its store, as one worker has it."""

    def __init__(self, store: Store, **fields: Any) -> None:
        self.config = APIServerConfig(**fields)
        self.now = 1000.0
        self.keys = KeyRing(store)
        self.sessions = Sessions(store, self.keys, lambda: self.now)
        limits = Limits(self.config, lambda: self.now)
        self.guard = Guard(self.config, self.keys, limits, self.sessions)

    def ask(self, *headers: tuple[bytes, bytes], **fields: Any) -> Admission:
        """Have a request admitted, as the app does it."""
        scope = scope_of(*headers, **fields)
        admission = self.guard.admit(scope)
        if admission.pending is not None:
            assert scope[CALLER] is NOBODY
            admission = asyncio.run(admission.pending())  # type: ignore[arg-type]  # a coroutine
        assert scope[CALLER] == admission.caller
        return admission

    def refused(self, status: int, *headers: tuple[bytes, bytes], **fields: Any) -> Problem:
        """The problem that a request is refused with."""
        with pytest.raises(Problem) as refused:
            self.ask(*headers, **fields)
        assert refused.value.status == status, refused.value
        return refused.value


def scope_of(
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    path: str = "/events/",
    query: bytes = b"",
    client: str = "127.0.0.1",
    server: tuple[str, int | None] | None = ("127.0.0.1", 8765),
    host: bool = True,
) -> dict[str, Any]:
    """The ASGI scope of a request."""
    return {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "root_path": "",
        "client": (client, 4711),
        "server": server,
        "headers": [*([HOST] if host else []), *headers],
    }


def bearer(token: str) -> tuple[bytes, bytes]:
    """The header that gives a key."""
    return b"authorization", b"Bearer " + token.encode()


def cookie(session_id: str) -> tuple[bytes, bytes]:
    """The header that gives a session."""
    return b"cookie", b"theme=dark; tidings_session=" + session_id.encode()
