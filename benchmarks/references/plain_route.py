"""The route `POST /events/emit/agent` as one plainly writes it, and as the seed's server does.

FastAPI finds the route, pydantic checks what came and what is answered, and each request is one
transaction of sqlite3, synced to the disk (`synchronous=FULL`) before the answer. Connections are
one for each thread of the pool FastAPI runs `def` endpoints in.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel, Field

_TABLE = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    event_name TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    attributes TEXT NOT NULL,
    correlation_id TEXT,
    causation_id TEXT,
    UNIQUE (aggregate_type, aggregate_id, version)
)
"""
_NEXT = (
    "SELECT ifnull(max(version), 0) + 1 FROM events WHERE aggregate_type = ? AND aggregate_id = ?"
)
_INSERT = "INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class EventRequest(BaseModel):
    """What the seed's clients send."""

    name: str
    attributes: dict[str, Any] = Field(default_factory=dict)
    timestamp: datetime | None = None
    aggregate_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None


class EventResponse(BaseModel):
    """What they are answered."""

    success: bool
    event_id: str
    message: str
    timestamp: datetime


def app(directory: str) -> FastAPI:
    """The application, on a new SQLite file in the directory."""
    store = _Store(os.path.join(directory, "plain.db"))
    made = FastAPI()

    @made.post("/events/emit/agent", response_model=EventResponse)
    def emit_agent_event(request: EventRequest) -> EventResponse:
        """Emit an agent event."""
        event_id = str(uuid4())
        timestamp = request.timestamp or datetime.now(UTC)
        store.append(event_id, request.aggregate_id or str(uuid4()), timestamp, request)
        return EventResponse(
            success=True,
            event_id=event_id,
            message=f"Agent event {request.name!r} emitted successfully",
            timestamp=timestamp,
        )

    return made


class _Store:
    """A file of SQLite, one transaction for each event."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.local()
        self._lock = threading.Lock()
        connection = self._connection()
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(_TABLE)

    def append(
        self, event_id: str, aggregate_id: str, timestamp: datetime, request: EventRequest
    ) -> None:
        connection = self._connection()
        aggregate = ("agent_aggregate", aggregate_id)
        # SQLite lets those who wait for its lock sleep; a lock of the process wakes them at once.
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute(_NEXT, aggregate).fetchone()[0]
            connection.execute(
                _INSERT,
                (
                    event_id,
                    *aggregate,
                    version,
                    "AgentEvent",
                    request.name,
                    timestamp.isoformat(),
                    json.dumps(request.attributes),
                    request.correlation_id,
                    request.causation_id,
                ),
            )
            connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=60)
            connection.execute("PRAGMA synchronous=FULL")
            self._threads.connection = connection
        return connection
